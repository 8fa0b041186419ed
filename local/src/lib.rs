//! The same system on one machine: no account, no key, no container.

pub mod emulator;
pub mod process;
pub mod provider;
pub mod supervisor;
