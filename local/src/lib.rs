//! The same system on one machine: no account, no key, no container.

pub mod demo;
pub mod demo_grader;
pub mod emulator;
pub mod process;
pub mod provider;
pub mod smoke;
pub mod supervisor;
