//! Stripe: what we ask of it, what it tells us, and how an account follows.
//!
//! An event is only a hint. Whoever hears one fetches all that Stripe knows of the customer ([`truth`]), derives
//! the account from it (`domain::subscription::entitle`) and stores that under a revision ([`sync()`]).

mod change;
mod client;
mod event;
mod portal;
mod prices;
mod read;
mod refusal;
mod signature;
mod sync;
mod truth;
pub mod wire;

pub use change::Order;
pub use client::{BadSettings, Connection, Patience, Stripe, api_version};
pub use event::{Told, told};
pub use portal::{PortalDrift, portal_drifts};
pub use prices::{Mismatch, mismatches};
pub use read::Listed;
pub use refusal::Refusal;
pub use signature::{Heard, Rejected, Signing, hear, verify};
pub use sync::{Asked, Doors, Synced, Unsynced, sync};
pub use truth::truth;
