//! Start, stop and retry a run. Everything is refused or reserved here, before anything is sent to a model.

mod start;

use axum::Json;
use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use shared::clock::Clock;
use shared::domain::catalogue::Catalogue;
use shared::domain::failure::{Failure, Internal};
use shared::domain::ids::{AssignmentId, RunId};
use shared::domain::run::{Reservation, ReservationState, RunState};
use shared::domain::time::UnixMillis;
use shared::http::{Body, Caller, Correlation, IdempotencyKey, Path, Problem, Sessions};
use shared::store::{BillingQueue, Objects, Queue, Store};
use utoipa::ToSchema;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What the routes need.
#[derive(Clone, FromRef)]
pub struct Doors {
    /// The table.
    pub store: Store,
    /// The bucket: what was uploaded, and how large it is.
    pub objects: Objects,
    /// The work queue.
    pub queue: Queue,
    /// The billing queue: a renewal that nobody told us of is asked for there.
    pub billing: BillingQueue,
    /// What is sold.
    pub catalogue: Catalogue,
    /// Checks session tokens.
    pub sessions: Sessions,
    /// Tells the time.
    pub clock: Clock,
}

/// Which copies to grade, and with which barème.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewRun {
    /// The barème version; the latest when not said.
    rubric_version: Option<u32>,
    /// The copies, at most 500: those that are graded already are graded, and charged, again. All that were uploaded
    /// and have no proposal when not said.
    copies: Option<Vec<String>>,
}

/// Nothing to say.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// A run that was accepted, or asked to stop.
#[derive(Debug, Serialize, ToSchema)]
struct AcceptedRun {
    id: String,
    state: RunState,
    /// Copies in the run.
    copies: u32,
    /// Copies not resolved.
    open: u32,
    /// Tokens held for it until it is done.
    reserved_tokens: u64,
}

impl From<Reservation> for AcceptedRun {
    fn from(it: Reservation) -> Self {
        Self {
            id: it.run.to_string(),
            state: it.run_state(),
            copies: it.total,
            open: it.open,
            reserved_tokens: if it.state == ReservationState::Pending {
                it.left
            } else {
                0
            },
        }
    }
}

impl Doors {
    fn now(&self) -> UnixMillis {
        UnixMillis::new(self.clock.now_millis())
    }
}

/// The function's routes and their contract.
pub fn router(doors: Doors) -> (axum::Router, OpenApi) {
    let routes = OpenApiRouter::new()
        .routes(routes!(start_run))
        .routes(routes!(stop_run))
        .routes(routes!(retry_run));
    shared::http::router(doors, routes)
}

/// Start grading. The quota is checked and tokens are reserved before anything is sent; a run that does not fit
/// is refused with what is left and what would fit. A copy that is graded again keeps its proposal until there is
/// another.
#[utoipa::path(post, path = "/api/assignments/{assignment}/runs", tag = "runs", request_body = NewRun,
    params(("assignment" = String, Path), IdempotencyKey),
    responses(
        (status = 202, description = "The run is accepted, and its tokens are reserved.", body = AcceptedRun),
        (status = 402, description = "The run does not fit what is left: see `quota`.",
            body = Problem, content_type = "application/problem+json"),
        Problem))]
async fn start_run(
    State(doors): State<Doors>,
    caller: Caller,
    Path(assignment): Path<AssignmentId>,
    Correlation(correlation): Correlation,
    key: IdempotencyKey,
    body: Body<NewRun>,
) -> Result<(StatusCode, Json<AcceptedRun>), Failure> {
    let assignment = doors.store.owned_assignment(caller.account(), assignment).await?;
    let request = start::Request {
        account: caller.account(),
        assignment,
        rubric_version: body.value.rubric_version,
        copies: start::Which::parse(body.value.copies)?,
        idempotency: key.asking(&body.digest),
        correlation,
    };
    Ok((
        StatusCode::ACCEPTED,
        Json(start::start(&doors, request).await?.into()),
    ))
}

/// Stop a run. Copies that wait are given back, those in hand may finish; what was not used returns.
#[utoipa::path(post, path = "/api/assignments/{assignment}/runs/{run}/stop", tag = "runs", request_body = Nothing,
    params(("assignment" = String, Path), ("run" = String, Path)),
    responses(
        (status = 202, description = "The run is asked to stop, or was over already.", body = AcceptedRun),
        Problem))]
async fn stop_run(
    State(doors): State<Doors>,
    caller: Caller,
    Path((assignment, run)): Path<(AssignmentId, RunId)>,
    _body: Body<Nothing>,
) -> Result<(StatusCode, Json<AcceptedRun>), Failure> {
    let (_, record) = doors.store.owned_run(caller.account(), assignment, run).await?;
    let stopped = doors.store.stop(&record.run.address(), doors.now()).await?;
    let reservation = stopped.ok_or_else(|| Failure::Internal(Internal::new("a run without reservation")))?;
    Ok((StatusCode::ACCEPTED, Json(reservation.into())))
}

/// Grade the failed copies of a run again, as a new run with the same barème version.
#[utoipa::path(post, path = "/api/assignments/{assignment}/runs/{run}/retry", tag = "runs", request_body = Nothing,
    params(("assignment" = String, Path), ("run" = String, Path), IdempotencyKey),
    responses(
        (status = 202, description = "The new run is accepted, and its tokens are reserved.",
            body = AcceptedRun),
        (status = 402, description = "The run does not fit what is left: see `quota`.",
            body = Problem, content_type = "application/problem+json"),
        Problem))]
async fn retry_run(
    State(doors): State<Doors>,
    caller: Caller,
    Path((assignment, run)): Path<(AssignmentId, RunId)>,
    Correlation(correlation): Correlation,
    key: IdempotencyKey,
    body: Body<Nothing>,
) -> Result<(StatusCode, Json<AcceptedRun>), Failure> {
    let (assignment, record) = doors.store.owned_run(caller.account(), assignment, run).await?;
    let request = start::Request {
        account: caller.account(),
        assignment,
        rubric_version: Some(record.run.rubric_version),
        copies: start::Which::FailedIn(record.run.address()),
        idempotency: key.asking(&body.digest),
        correlation,
    };
    Ok((
        StatusCode::ACCEPTED,
        Json(start::start(&doors, request).await?.into()),
    ))
}
