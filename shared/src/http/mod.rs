//! The HTTP edge: sessions, bodies, problems. Handlers parse, call and map; what is common to them is here.

mod body;
mod problem;
mod session;

pub use body::{BODY_BYTES_MAX, Body, IdempotencyKey, ListQuery, Path};
pub use problem::{Correlation, Problem, edge};
pub use session::{ACCESS_SECONDS, Caller, Sessions, mint};
