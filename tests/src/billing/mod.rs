//! From Stripe to an account: the production functions against the local Stripe and an emulated table.

mod accounts;
mod checkout;
mod delivery;
mod histories;
mod letters;
mod webhook;
mod world;
