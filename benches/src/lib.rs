//! What the benchmarks share: how a figure is printed, the pipeline in one process, a meter of DynamoDB's write
//! units, a storm of Stripe's events, and Lambda's side of a cold start.

pub mod figures;
pub mod house;
pub mod runtime_api;
pub mod samples;
pub mod scans;
pub mod storm;
mod teacher;
pub mod write_units;
