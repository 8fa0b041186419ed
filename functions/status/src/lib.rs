//! Run progress, results and usage: reads only.

mod view;

use axum::Json;
use axum::extract::{FromRef, State};
use shared::clock::Clock;
use shared::domain::copy::Copy;
use shared::domain::failure::{Failure, Internal, Noun};
use shared::domain::ids::{AssignmentId, CopyId, RunId};
use shared::domain::quota::{Counter, TierLimits};
use shared::http::{Caller, ListQuery, Path, Problem, Sessions, edge};
use shared::store::{Assignment, Cursor, Objects, RunRecord, Store, copy_key};
use std::collections::HashMap;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use view::{CopyList, CopyView, RunList, RunView, UsageView};

/// Bytes of a stored result, at most.
const RESULT_BYTES_MAX: usize = 2 * 1024 * 1024;

/// What the routes need.
#[derive(Clone)]
pub struct Doors {
    /// The table.
    pub store: Store,
    /// The bucket: results.
    pub objects: Objects,
    /// What each tier grants.
    pub limits: TierLimits,
    /// Checks session tokens.
    pub sessions: Sessions,
    /// Tells the time.
    pub clock: Clock,
}

impl FromRef<Doors> for Sessions {
    fn from_ref(doors: &Doors) -> Self {
        doors.sessions.clone()
    }
}

impl Doors {
    async fn assignment(&self, caller: Caller, id: &str) -> Result<Assignment, Failure> {
        let missing = Failure::NotFound(Noun::Assignment);
        let id: AssignmentId = id.parse().map_err(|_| missing.clone())?;
        self.store.assignment(caller.account(), id).await?.ok_or(missing)
    }

    async fn run(&self, assignment: &Assignment, id: &str) -> Result<RunRecord, Failure> {
        let missing = Failure::NotFound(Noun::Run);
        let id: RunId = id.parse().map_err(|_| missing.clone())?;
        self.store.run(assignment.assignment, id).await?.ok_or(missing)
    }

    async fn run_view(&self, record: &RunRecord) -> Result<RunView, Failure> {
        let reservation = self.store.reservation(&record.run.address()).await?;
        let reservation =
            reservation.ok_or_else(|| Failure::Internal(Internal::new("a run without reservation")))?;
        Ok(RunView::new(record, &reservation))
    }
}

/// The function's routes and their contract.
pub fn router(doors: Doors) -> (axum::Router, OpenApi) {
    let clock = doors.clock.clone();
    let (router, api) = OpenApiRouter::new()
        .routes(routes!(list_runs))
        .routes(routes!(get_run))
        .routes(routes!(list_run_copies))
        .routes(routes!(get_result))
        .routes(routes!(get_usage))
        .with_state(doors)
        .split_for_parts();
    let router = router
        .fallback(async || Failure::NotFound(Noun::Route))
        .method_not_allowed_fallback(async || Failure::MethodNotAllowed)
        .layer(axum::middleware::from_fn_with_state(clock, edge));
    (router, api)
}

/// List an assignment's runs, newest first.
#[utoipa::path(get, path = "/api/assignments/{assignment}/runs", tag = "status",
    params(("assignment" = String, Path), ("cursor" = Option<String>, Query), ("limit" = Option<u16>, Query)),
    responses((status = 200, body = RunList), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn list_runs(
    State(doors): State<Doors>,
    caller: Caller,
    Path(assignment): Path<String>,
    list: ListQuery,
) -> Result<Json<RunList>, Failure> {
    let assignment = doors.assignment(caller, &assignment).await?;
    let cursor = list.cursor.as_deref().map(Cursor::parse).transpose()?;
    let page = doors
        .store
        .runs(assignment.assignment, cursor.as_ref(), list.limit)
        .await?;
    let mut items = Vec::with_capacity(page.items.len());
    for record in &page.items {
        items.push(doors.run_view(record).await?);
    }
    Ok(Json(RunList {
        items,
        cursor: page.cursor.map(Into::into),
    }))
}

/// Show a run's progress, and, once it is finished, its cost.
#[utoipa::path(get, path = "/api/assignments/{assignment}/runs/{run}", tag = "status",
    params(("assignment" = String, Path), ("run" = String, Path)),
    responses((status = 200, body = RunView), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn get_run(
    State(doors): State<Doors>,
    caller: Caller,
    Path((assignment, run)): Path<(String, String)>,
) -> Result<Json<RunView>, Failure> {
    let assignment = doors.assignment(caller, &assignment).await?;
    let record = doors.run(&assignment, &run).await?;
    Ok(Json(doors.run_view(&record).await?))
}

/// List a run's copies with their phase, result or failure, in the run's order.
#[utoipa::path(get, path = "/api/assignments/{assignment}/runs/{run}/copies", tag = "status",
    params(("assignment" = String, Path), ("run" = String, Path), ("cursor" = Option<String>, Query), ("limit" = Option<u16>, Query)),
    responses((status = 200, body = CopyList), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn list_run_copies(
    State(doors): State<Doors>,
    caller: Caller,
    Path((assignment, run)): Path<(String, String)>,
    list: ListQuery,
) -> Result<Json<CopyList>, Failure> {
    let assignment = doors.assignment(caller, &assignment).await?;
    let record = doors.run(&assignment, &run).await?;
    let from = list
        .cursor
        .as_deref()
        .map(Cursor::parse)
        .transpose()?
        .map_or(Ok(0), |cursor| cursor.place())?;
    let manifest = doors.store.manifest(&record.run.address()).await?;
    let ids: Vec<CopyId> = manifest
        .iter()
        .skip(from)
        .take(usize::from(list.limit))
        .map(|estimate| estimate.copy)
        .collect();
    let next = from + ids.len();
    let found = doors.store.copies_by_id(assignment.assignment, &ids).await?;
    let by_id: HashMap<CopyId, Copy> = found.into_iter().map(|copy| (copy.copy, copy)).collect();
    let view = |id: &CopyId| {
        let copy = by_id.get(id)?;
        Some(CopyView::new(
            copy,
            copy.run == Some(record.run.run),
            assignment.language,
        ))
    };
    Ok(Json(CopyList {
        items: ids.iter().filter_map(view).collect(),
        cursor: (next < manifest.len()).then(|| Cursor::at_place(next).into()),
    }))
}

/// Show a copy's published proposal: marks with evidence, flags, model, versions and cost. `pdf` names the file
/// that was graded, by digest and version; `pdf_changed` says whether another is in its place now.
#[utoipa::path(get, path = "/api/assignments/{assignment}/copies/{copy}/result", tag = "status",
    params(("assignment" = String, Path), ("copy" = String, Path)),
    responses((status = 200, body = serde_json::Value), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn get_result(
    State(doors): State<Doors>,
    caller: Caller,
    Path((assignment, copy)): Path<(String, String)>,
) -> Result<Json<serde_json::Value>, Failure> {
    let assignment = doors.assignment(caller, &assignment).await?;
    let missing = Failure::NotFound(Noun::Copy);
    let id: CopyId = copy.parse().map_err(|_| missing.clone())?;
    let copy = doors
        .store
        .copy(assignment.assignment, id)
        .await?
        .ok_or(missing)?;
    let key = copy.result.ok_or(Failure::NotFound(Noun::Result))?;
    let bytes = doors
        .objects
        .get(&key, RESULT_BYTES_MAX)
        .await?
        .ok_or(Failure::NotFound(Noun::Result))?;
    let mut result: serde_json::Value = serde_json::from_slice(&bytes)
        .map_err(|error| Failure::Internal(Internal::new(format!("stored result: {error}"))))?;
    let uploaded = doors
        .objects
        .version(&copy_key(assignment.assignment, id))
        .await?;
    result["pdf_changed"] = (uploaded.as_deref() != result["pdf"]["version"].as_str()).into();
    Ok(Json(result))
}

/// Show what the account used of its quota.
#[utoipa::path(get, path = "/api/usage", tag = "status",
    responses((status = 200, body = UsageView), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn get_usage(State(doors): State<Doors>, caller: Caller) -> Result<Json<UsageView>, Failure> {
    let plan = doors.store.plan(caller.account()).await?;
    let granted = plan.granted_tokens(&doors.limits);
    // Before its first run, a period's counter is what it will be opened with.
    let unopened = Counter {
        granted,
        remaining: granted,
        ..Counter::default()
    };
    let counter = doors
        .store
        .counter(caller.account(), &plan.period)
        .await?
        .unwrap_or(unopened);
    Ok(Json(UsageView::new(&plan, counter)))
}
