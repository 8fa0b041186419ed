//! A Stripe on this machine that behaves: subscriptions, Checkout, the portal, invoices, events, and time.
//!
//! [`world::World`] is the whole of it, without input or output: a seed, a clock that is moved by hand, and what
//! Stripe's calls do. It is written from Stripe's documentation for API version `2026-09-30.endive`. What it does not
//! do, it refuses: trials, taxes, vouchers, several items or currencies.
//!
//! [`courier::Courier`] delivers its events, signed, as badly as a [`courier::Policy`] says.

pub mod calendar;
pub mod catalogue;
pub mod change;
pub mod checkout;
pub mod customer;
pub mod courier;
mod cycle;
pub mod event;
pub mod invoice;
pub mod json;
pub mod payment;
pub mod portal;
mod proration;
pub mod refund;
pub mod refusal;
pub mod schedule;
pub mod seed;
pub mod subscription;
pub mod table;
pub mod world;

#[cfg(test)]
mod tests;
