//! The main job through its public doors: HTTP in, the queue, the worker, the model's wire, the sweeper. Real
//! functions, a real emulator, a provider on this machine; only the time is the test's.

mod access;
mod accounted;
mod bad_input;
mod correlation;
mod death;
mod events;
mod holds;
mod hostile;
mod job;
mod key;
mod killed;
mod lists;
mod measured;
mod names;
mod near_limit;
mod provider_faults;
mod redelivery;
mod refusals;
mod regrade;
mod replaced;
mod scans;
pub(crate) mod session;
mod starting;
mod teacher;
mod till;
mod upload;
mod work;
mod world;
