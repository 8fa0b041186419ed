//! From Stripe to an account: the production functions against the local Stripe and an emulated table.

mod accounts;
mod acts;
mod away;
mod buyer;
mod checkout;
mod delivery;
mod histories;
mod kills;
mod letters;
mod nightly;
mod oracle;
mod place;
mod portal;
mod races;
mod scenarios;
mod storm;
mod webhook;
pub(crate) mod world;
