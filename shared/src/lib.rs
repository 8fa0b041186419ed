//! La Corrigeuse's library: what the functions share.
//!
//! The arrows between these modules are tested (`tests/src/tidy.rs`): `domain` depends on nothing;
//! `grading` and `pdf` on `domain`; `llm` on `domain` and `grading`; `store` and `http` on `domain` and `clock`;
//! `billing` on `domain` and `store`.

#[cfg(feature = "billing")]
pub mod billing;
pub mod clock;
pub mod config;
pub mod domain;
pub mod grading;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "llm")]
pub mod llm;
#[cfg(feature = "pdf")]
pub mod pdf;
#[cfg(feature = "store")]
pub mod store;
pub mod telemetry;
