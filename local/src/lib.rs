//! The same system on one machine: no account, no key, no container.

// Stripe's objects are long, and `json!` recurses once a field.
#![recursion_limit = "256"]

pub mod demo;
pub mod demo_grader;
pub mod emulator;
mod html;
pub mod mail;
pub mod process;
pub mod provider;
pub mod smoke;
pub mod stripe;
pub mod stripe_smoke;
pub mod supervisor;
