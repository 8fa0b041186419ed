//! Assignments, their barèmes, upload slots and lists of copies.

mod intake;
mod slots;
mod view;

use axum::Json;
use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use shared::clock::Clock;
use shared::domain::failure::Failure;
use shared::domain::ids::{AssignmentId, CopyId};
use shared::domain::page::{Page, Paging};
use shared::domain::rubric::Rubric;
use shared::domain::time::UnixMillis;
use shared::http::{Body, Caller, IdempotencyKey, Path, Problem, Sessions};
use shared::store::{Store, UploadSigner};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use intake::{NewAssignment, NewCopies};
use view::{AssignmentView, CopyView, RubricView, Slot, Slots};

/// What the routes need.
#[derive(Clone, FromRef)]
pub struct Doors {
    /// The table.
    pub store: Store,
    /// Signs upload forms.
    pub signer: UploadSigner,
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
        .routes(routes!(create_assignment, list_assignments))
        .routes(routes!(get_assignment))
        .routes(routes!(add_rubric, list_rubrics))
        .routes(routes!(get_rubric))
        .routes(routes!(request_slots, list_copies))
        .routes(routes!(renew_slot));
    shared::http::router(doors, routes)
}

/// Create an assignment (*devoir*).
#[utoipa::path(post, path = "/api/assignments", tag = "assignments", request_body = NewAssignment,
    params(IdempotencyKey),
    responses(
        (status = 201, description = "The assignment.", body = AssignmentView),
        Problem))]
async fn create_assignment(
    State(doors): State<Doors>,
    caller: Caller,
    key: IdempotencyKey,
    body: Body<NewAssignment>,
) -> Result<(StatusCode, Json<AssignmentView>), Failure> {
    let assignment = body.value.check(doors.now())?;
    let made = doors
        .store
        .create_assignment(caller.account(), &assignment, key.asking(&body.digest))
        .await?;
    Ok((StatusCode::CREATED, Json(made.into())))
}

/// List the caller's assignments, newest first.
#[utoipa::path(get, path = "/api/assignments", tag = "assignments", params(Paging),
    responses((status = 200, description = "A page of assignments.", body = Page<AssignmentView>), Problem))]
async fn list_assignments(
    State(doors): State<Doors>,
    caller: Caller,
    paging: Paging,
) -> Result<Json<Page<AssignmentView>>, Failure> {
    let page = doors.store.assignments(caller.account(), &paging).await?;
    Ok(Json(page.map(Into::into)))
}

/// Show one assignment.
#[utoipa::path(get, path = "/api/assignments/{assignment}", tag = "assignments",
    params(("assignment" = String, Path)),
    responses((status = 200, description = "The assignment.", body = AssignmentView), Problem))]
async fn get_assignment(
    State(doors): State<Doors>,
    caller: Caller,
    Path(assignment): Path<AssignmentId>,
) -> Result<Json<AssignmentView>, Failure> {
    let found = doors.store.owned_assignment(caller.account(), assignment).await?;
    Ok(Json(found.into()))
}

/// Add a barème version. Sums are checked; versions are never changed, so marks can be explained later. The same
/// barème as the latest is the latest.
#[utoipa::path(post, path = "/api/assignments/{assignment}/rubrics", tag = "assignments",
    params(("assignment" = String, Path), IdempotencyKey),
    request_body = Rubric,
    responses(
        (status = 201, description = "The version that the barème has now.", body = RubricView),
        Problem))]
async fn add_rubric(
    State(doors): State<Doors>,
    caller: Caller,
    Path(assignment): Path<AssignmentId>,
    key: IdempotencyKey,
    body: Body<serde_json::Value>,
) -> Result<(StatusCode, Json<RubricView>), Failure> {
    let owner = caller.account();
    let assignment = doors.store.owned_assignment(owner, assignment).await?.assignment;
    let canonical = intake::rubric(&body.value)?;
    let asking = key.asking(&body.digest);
    let added = doors
        .store
        .add_rubric(owner, assignment, &canonical, asking, doors.now())
        .await?;
    Ok((StatusCode::CREATED, Json(RubricView::read(added)?)))
}

/// List an assignment's barème versions, newest first.
#[utoipa::path(get, path = "/api/assignments/{assignment}/rubrics", tag = "assignments",
    params(("assignment" = String, Path), Paging),
    responses((status = 200, description = "A page of barème versions.", body = Page<RubricView>), Problem))]
async fn list_rubrics(
    State(doors): State<Doors>,
    caller: Caller,
    Path(assignment): Path<AssignmentId>,
    paging: Paging,
) -> Result<Json<Page<RubricView>>, Failure> {
    let assignment = doors.store.owned_assignment(caller.account(), assignment).await?;
    let page = doors.store.rubrics(assignment.assignment, &paging).await?;
    Ok(Json(page.try_map(RubricView::read)?))
}

/// Show one barème version.
#[utoipa::path(get, path = "/api/assignments/{assignment}/rubrics/{version}", tag = "assignments",
    params(("assignment" = String, Path), ("version" = u32, Path)),
    responses((status = 200, description = "The barème version.", body = RubricView), Problem))]
async fn get_rubric(
    State(doors): State<Doors>,
    caller: Caller,
    Path((assignment, version)): Path<(AssignmentId, u32)>,
) -> Result<Json<RubricView>, Failure> {
    let found = doors
        .store
        .owned_rubric(caller.account(), assignment, version)
        .await?;
    Ok(Json(RubricView::read(found)?))
}

/// Ask for upload slots: a form per PDF, which the browser sends straight to S3.
#[utoipa::path(post, path = "/api/assignments/{assignment}/copies", tag = "assignments", request_body = NewCopies,
    params(("assignment" = String, Path), IdempotencyKey),
    responses(
        (status = 201, description = "A slot for each file, in the order of the files.", body = Slots),
        Problem))]
async fn request_slots(
    State(doors): State<Doors>,
    caller: Caller,
    Path(assignment): Path<AssignmentId>,
    key: IdempotencyKey,
    body: Body<NewCopies>,
) -> Result<(StatusCode, Json<Slots>), Failure> {
    let owner = caller.account();
    let assignment = doors.store.owned_assignment(owner, assignment).await?.assignment;
    let (files, asking) = (body.value.check()?, key.asking(&body.digest));
    let slots = slots::open(&doors, owner, assignment, files, asking).await?;
    Ok((StatusCode::CREATED, Json(slots)))
}

/// Ask for another form for a copy, when its first has run out or another PDF is to take the place of the one that was
/// sent. What a run has graded keeps its mark, which names its PDF.
#[utoipa::path(post, path = "/api/assignments/{assignment}/copies/{copy}/upload", tag = "assignments",
    params(("assignment" = String, Path), ("copy" = String, Path)),
    responses((status = 200, description = "The copy's slot, with a form that works from now on.", body = Slot), Problem))]
async fn renew_slot(
    State(doors): State<Doors>,
    caller: Caller,
    Path((assignment, copy)): Path<(AssignmentId, CopyId)>,
) -> Result<Json<Slot>, Failure> {
    let copy = doors.store.owned_copy(caller.account(), assignment, copy).await?;
    Ok(Json(slots::renew(&doors, &copy).await?))
}

/// List an assignment's copies, oldest first.
#[utoipa::path(get, path = "/api/assignments/{assignment}/copies", tag = "assignments",
    params(("assignment" = String, Path), Paging),
    responses((status = 200, description = "A page of copies.", body = Page<CopyView>), Problem))]
async fn list_copies(
    State(doors): State<Doors>,
    caller: Caller,
    Path(assignment): Path<AssignmentId>,
    paging: Paging,
) -> Result<Json<Page<CopyView>>, Failure> {
    let assignment = doors.store.owned_assignment(caller.account(), assignment).await?;
    let page = doors.store.copies(assignment.assignment, &paging).await?;
    Ok(Json(page.map(Into::into)))
}
