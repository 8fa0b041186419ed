//! Run progress, results and usage: reads only.

mod progress;
mod view;

use axum::Json;
use axum::extract::{FromRef, State};
use shared::clock::Clock;
use shared::domain::Language;
use shared::domain::catalogue::Catalogue;
use shared::domain::failure::Failure;
use shared::domain::ids::{AssignmentId, CopyId, RunId};
use shared::domain::page::{Page, Paging};
use shared::domain::standing::Standing;
use shared::domain::time::UnixMillis;
use shared::http::{Caller, Path, Problem, Sessions};
use shared::store::{Objects, Store};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use view::{ResultNow, RunCopy, RunView, UsageView};

/// What the routes need.
#[derive(Clone, FromRef)]
pub struct Doors {
    /// The table.
    pub store: Store,
    /// The bucket: results.
    pub objects: Objects,
    /// What is sold.
    pub catalogue: Catalogue,
    /// Checks session tokens.
    pub sessions: Sessions,
    /// Tells the time.
    pub clock: Clock,
}

impl Doors {
    fn now(&self) -> UnixMillis {
        UnixMillis::new(self.clock.now_millis())
    }
}

/// The function's routes and their contract.
pub fn router(doors: Doors) -> (axum::Router, OpenApi) {
    let routes = OpenApiRouter::new()
        .routes(routes!(list_runs))
        .routes(routes!(get_run))
        .routes(routes!(list_run_copies))
        .routes(routes!(get_result))
        .routes(routes!(get_usage))
        .routes(routes!(get_subscription));
    shared::http::router(doors, routes)
}

/// List an assignment's runs, newest first.
#[utoipa::path(get, path = "/api/assignments/{assignment}/runs", tag = "status",
    params(("assignment" = String, Path), Paging),
    responses((status = 200, description = "A page of runs.", body = Page<RunView>), Problem))]
async fn list_runs(
    State(doors): State<Doors>,
    caller: Caller,
    Path(assignment): Path<AssignmentId>,
    paging: Paging,
) -> Result<Json<Page<RunView>>, Failure> {
    let assignment = doors.store.owned_assignment(caller.account(), assignment).await?;
    Ok(Json(progress::runs(&doors, &assignment, &paging).await?))
}

/// Show a run's progress, and, once it is finished, its cost.
#[utoipa::path(get, path = "/api/assignments/{assignment}/runs/{run}", tag = "status",
    params(("assignment" = String, Path), ("run" = String, Path)),
    responses((status = 200, description = "The run as it stands now.", body = RunView), Problem))]
async fn get_run(
    State(doors): State<Doors>,
    caller: Caller,
    Path((assignment, run)): Path<(AssignmentId, RunId)>,
) -> Result<Json<RunView>, Failure> {
    let (_, record) = doors.store.owned_run(caller.account(), assignment, run).await?;
    Ok(Json(progress::run(&doors, &record).await?))
}

/// List a run's copies with their phase, result or failure, in the run's order.
#[utoipa::path(get, path = "/api/assignments/{assignment}/runs/{run}/copies", tag = "status",
    params(("assignment" = String, Path), ("run" = String, Path), Paging),
    responses((status = 200, description = "A page of the run's copies.", body = Page<RunCopy>), Problem))]
async fn list_run_copies(
    State(doors): State<Doors>,
    caller: Caller,
    Path((assignment, run)): Path<(AssignmentId, RunId)>,
    paging: Paging,
    language: Language,
) -> Result<Json<Page<RunCopy>>, Failure> {
    let (_, record) = doors.store.owned_run(caller.account(), assignment, run).await?;
    let page = progress::copies(&doors, &record, &paging, language).await?;
    Ok(Json(page))
}

/// Show a copy's published proposal: marks with evidence, flags, model, versions and cost. `run` and `rubric_version`
/// say where it came from: it stays until a later run has graded the copy again. `pdf` names the file
/// that was graded, by digest and version; `pdf_changed` says whether another is in its place now.
#[utoipa::path(get, path = "/api/assignments/{assignment}/copies/{copy}/result", tag = "status",
    params(("assignment" = String, Path), ("copy" = String, Path)),
    responses((status = 200, description = "The copy's published proposal.", body = ResultNow), Problem))]
async fn get_result(
    State(doors): State<Doors>,
    caller: Caller,
    Path((assignment, copy)): Path<(AssignmentId, CopyId)>,
) -> Result<Json<ResultNow>, Failure> {
    let copy = doors.store.owned_copy(caller.account(), assignment, copy).await?;
    Ok(Json(progress::result(&doors, &copy).await?))
}

/// Show what the account used of its quota.
#[utoipa::path(get, path = "/api/usage", tag = "status",
    responses(
        (status = 200, description = "What is granted, used, reserved and left.", body = UsageView),
        Problem))]
async fn get_usage(State(doors): State<Doors>, caller: Caller) -> Result<Json<UsageView>, Failure> {
    Ok(Json(progress::usage(&doors, caller.account()).await?))
}

/// Show how the account stands: tier, tokens, period, what is pending and how its payments are.
#[utoipa::path(get, path = "/api/subscription/status", tag = "status",
    responses(
        (status = 200, description = "How the account stands, as far as we know.", body = Standing),
        Problem))]
async fn get_subscription(State(doors): State<Doors>, caller: Caller) -> Result<Json<Standing>, Failure> {
    Ok(Json(progress::standing(&doors, caller.account()).await?))
}
