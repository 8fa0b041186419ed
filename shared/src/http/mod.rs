//! The HTTP edge: sessions, bodies, problems. Handlers parse, call and map; what is common to them is here.

mod body;
mod problem;
mod router;
mod session;

pub use body::{BODY_BYTES_MAX, Body, IdempotencyKey, Path, Query};
pub use problem::{Correlation, Problem, problem_type};
pub use router::router;
pub use session::{ACCESS_SECONDS, Caller, Sessions, mint};
