//! A Stripe on this machine that behaves: subscriptions, Checkout, the portal, invoices, events, and time.
//!
//! [`world::World`] is the whole of it, without input or output: a seed, a clock that is moved by hand, and what
//! Stripe's calls do. [`courier::Courier`] delivers its events, signed, as badly as a [`courier::Policy`] says.
//! [`Stripe`] puts both behind HTTP:
//!
//! ```no_run
//! # use local::stripe::{Settings, Stripe};
//! # async fn start() -> std::io::Result<()> {
//! let stripe = Stripe::start(Settings::default()).await?;
//! let client_url = stripe.base_url() + "/"; // for `stripe::ClientBuilder::url`, with the key `sk_test_local`
//! stripe.advance(31 * 86_400);
//! let subscriptions = stripe.with(|world| world.subscriptions().iter().count());
//! # Ok(())
//! # }
//! ```
//!
//! [`Settings`] says where it listens, its key and mode, what is sold, the seed, the clock, what follows a declined
//! renewal, where events go and how badly, and whether it is kept in a file. In `make dev` it is, the clock is the
//! system's, and only the control API (JSON, no key) moves it ahead:
//!
//! | Call | What it does |
//! |---|---|
//! | `GET /_control/state` | the time, customers, subscriptions, charges |
//! | `POST /_control/clock` | `{"advance_seconds": 3600}` |
//! | `POST /_control/customers/{id}/card` | `{"card": "ok"}`, or `declined`, `needs_action`, `declined_later`, `action_later` |
//! | `POST /_control/charges/{id}/dispute` | the customer disowns a charge |
//! | `POST /_control/charges/{id}/inquiry` | the customer's bank asks about a charge, and takes no money |
//! | `POST /_control/disputes/{id}/escalate` | an inquiry becomes a dispute |
//! | `POST /_control/disputes/{id}/close` | `{"won": false}` |
//! | `POST /_control/refunds` | `{"charge": "ch_…", "amount": 450}`, in cents; all that is left without an amount |
//! | `POST /_control/endpoint` | `{"url": "http://…", "secrets": ["whsec_…"]}` |
//! | `POST /_control/policy` | `{"duplicates_per_cent": 20, "losses_per_cent": 5, "late_up_to_seconds": 60}` |
//! | `GET /_control/events`, `GET /_control/deliveries` | what happened, and what was delivered |
//! | `GET`, `POST`, `DELETE /_control/faults` | `[{"kind": "reply_lost", "path": "/v1/subscriptions", "times": 2}]` |
//!
//! A test clock of the API moves the same time, for all of this Stripe ([`clock`]).
//!
//! Pages to pay on must end soon by this world's clock, and our functions count by the machine's: once it is an hour
//! ahead, none opens any more.
//!
//! It is written from Stripe's documentation for API version `2026-09-30.endive`. What it does not do, it refuses:
//! trials, taxes, vouchers, several items or currencies.

pub mod calendar;
pub mod catalogue;
pub mod change;
pub mod checkout;
pub mod clock;
pub mod configuration;
pub mod courier;
pub mod customer;
mod cycle;
pub mod event;
mod http;
pub mod invoice;
pub mod json;
mod kept;
pub mod method;
pub mod payment;
mod phase;
pub mod portal;
mod proration;
pub mod refund;
pub mod refusal;
pub mod schedule;
pub mod seed;
pub mod subscription;
pub mod table;
pub mod world;

pub use http::{Endpoint, Fault, Kind, Seen, Settings, Stripe};

#[cfg(test)]
mod tests;
