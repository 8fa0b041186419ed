//! Assignments, their barèmes, upload slots and lists of copies.

mod intake;
mod view;

use axum::Json;
use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use shared::clock::Clock;
use shared::domain::copy::{Copy, CopyState};
use shared::domain::failure::{Conflict, Failure, Noun};
use shared::domain::ids::{AssignmentId, CopyId};
use shared::domain::time::UnixMillis;
use shared::http::{Body, Caller, IdempotencyKey, ListQuery, Path, Problem, Sessions, edge};
use shared::store::{Assignment, COPIES_PER_ASSIGNMENT_MAX, Created, Cursor, Store, UploadSigner, copy_key};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use intake::{NewAssignment, NewCopies};
use view::{AssignmentList, AssignmentView, CopyList, CopyView, RubricList, RubricView, Slots};

/// What the routes need.
#[derive(Clone)]
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

impl FromRef<Doors> for Sessions {
    fn from_ref(doors: &Doors) -> Self {
        doors.sessions.clone()
    }
}

impl Doors {
    fn now(&self) -> UnixMillis {
        UnixMillis::new(self.clock.now_millis())
    }

    async fn assignment(&self, caller: Caller, id: &str) -> Result<Assignment, Failure> {
        let missing = Failure::NotFound(Noun::Assignment);
        let id: AssignmentId = id.parse().map_err(|_| missing.clone())?;
        self.store.assignment(caller.account(), id).await?.ok_or(missing)
    }
}

/// The function's routes and their contract.
pub fn router(doors: Doors) -> (axum::Router, OpenApi) {
    let clock = doors.clock.clone();
    let (router, api) = OpenApiRouter::new()
        .routes(routes!(create_assignment, list_assignments))
        .routes(routes!(get_assignment))
        .routes(routes!(add_rubric, list_rubrics))
        .routes(routes!(get_rubric))
        .routes(routes!(request_slots, list_copies))
        .with_state(doors)
        .split_for_parts();
    let router = router
        .fallback(async || Failure::NotFound(Noun::Route))
        .method_not_allowed_fallback(async || Failure::MethodNotAllowed)
        .layer(axum::middleware::from_fn_with_state(clock, edge));
    (router, api)
}

/// Create an assignment (*devoir*).
#[utoipa::path(post, path = "/api/assignments", tag = "assignments", request_body = NewAssignment,
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key give the same answer.")),
    responses((status = 201, body = AssignmentView), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn create_assignment(
    State(doors): State<Doors>,
    caller: Caller,
    key: IdempotencyKey,
    body: Body<NewAssignment>,
) -> Result<(StatusCode, Json<AssignmentView>), Failure> {
    let assignment = body.value.check(doors.now())?;
    let idempotency = key.digest().map(|key| (key, body.digest.as_str()));
    match doors
        .store
        .create_assignment(caller.account(), &assignment, idempotency)
        .await?
    {
        Created::New(made) | Created::Repeated(made) => Ok((StatusCode::CREATED, Json(made.into()))),
        Created::KeyReused => Err(Failure::Conflict(Conflict::KeyReused)),
    }
}

/// List the caller's assignments, newest first.
#[utoipa::path(get, path = "/api/assignments", tag = "assignments",
    params(("cursor" = Option<String>, Query, description = "From the previous page."), ("limit" = Option<u16>, Query, description = "1 to 100; 50 when not said.")),
    responses((status = 200, body = AssignmentList), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn list_assignments(
    State(doors): State<Doors>,
    caller: Caller,
    list: ListQuery,
) -> Result<Json<AssignmentList>, Failure> {
    let cursor = list.cursor.as_deref().map(Cursor::parse).transpose()?;
    let page = doors
        .store
        .assignments(caller.account(), cursor.as_ref(), list.limit)
        .await?;
    Ok(Json(AssignmentList {
        items: page.items.into_iter().map(Into::into).collect(),
        cursor: page.cursor.map(Into::into),
    }))
}

/// Show one assignment.
#[utoipa::path(get, path = "/api/assignments/{assignment}", tag = "assignments",
    params(("assignment" = String, Path)),
    responses((status = 200, body = AssignmentView), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn get_assignment(
    State(doors): State<Doors>,
    caller: Caller,
    Path(assignment): Path<String>,
) -> Result<Json<AssignmentView>, Failure> {
    Ok(Json(doors.assignment(caller, &assignment).await?.into()))
}

/// Add a barème version. Sums are checked; versions are never changed, so marks can be explained later.
#[utoipa::path(post, path = "/api/assignments/{assignment}/rubrics", tag = "assignments",
    params(("assignment" = String, Path)), request_body(content = serde_json::Value, description = "The barème: `total`, `step`, `questions`, `guidance`."),
    responses((status = 201, body = RubricView), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn add_rubric(
    State(doors): State<Doors>,
    caller: Caller,
    Path(assignment): Path<String>,
    body: Body<serde_json::Value>,
) -> Result<(StatusCode, Json<RubricView>), Failure> {
    let assignment = doors.assignment(caller, &assignment).await?;
    let canonical = intake::rubric(&body.value)?;
    let added = doors
        .store
        .add_rubric(caller.account(), assignment.assignment, &canonical, doors.now())
        .await?;
    match added {
        Created::New(record) | Created::Repeated(record) => {
            Ok((StatusCode::CREATED, Json(RubricView::read(&record)?)))
        }
        Created::KeyReused => Err(Failure::Conflict(Conflict::KeyReused)),
    }
}

/// List an assignment's barème versions, newest first.
#[utoipa::path(get, path = "/api/assignments/{assignment}/rubrics", tag = "assignments",
    params(("assignment" = String, Path), ("cursor" = Option<String>, Query), ("limit" = Option<u16>, Query)),
    responses((status = 200, body = RubricList), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn list_rubrics(
    State(doors): State<Doors>,
    caller: Caller,
    Path(assignment): Path<String>,
    list: ListQuery,
) -> Result<Json<RubricList>, Failure> {
    let assignment = doors.assignment(caller, &assignment).await?;
    let cursor = list.cursor.as_deref().map(Cursor::parse).transpose()?;
    let page = doors
        .store
        .rubrics(assignment.assignment, cursor.as_ref(), list.limit)
        .await?;
    let items = page
        .items
        .iter()
        .map(RubricView::read)
        .collect::<Result<_, _>>()?;
    Ok(Json(RubricList {
        items,
        cursor: page.cursor.map(Into::into),
    }))
}

/// Show one barème version.
#[utoipa::path(get, path = "/api/assignments/{assignment}/rubrics/{version}", tag = "assignments",
    params(("assignment" = String, Path), ("version" = u32, Path)),
    responses((status = 200, body = RubricView), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn get_rubric(
    State(doors): State<Doors>,
    caller: Caller,
    Path((assignment, version)): Path<(String, String)>,
) -> Result<Json<RubricView>, Failure> {
    let assignment = doors.assignment(caller, &assignment).await?;
    let missing = Failure::NotFound(Noun::Rubric);
    let version = version.parse().map_err(|_| missing.clone())?;
    let record = doors
        .store
        .rubric(assignment.assignment, version)
        .await?
        .ok_or(missing)?;
    Ok(Json(RubricView::read(&record)?))
}

/// Ask for upload slots: a form per PDF, which the browser sends straight to S3.
#[utoipa::path(post, path = "/api/assignments/{assignment}/copies", tag = "assignments", request_body = NewCopies,
    params(("assignment" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = Slots), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn request_slots(
    State(doors): State<Doors>,
    caller: Caller,
    Path(assignment): Path<String>,
    key: IdempotencyKey,
    body: Body<NewCopies>,
) -> Result<(StatusCode, Json<Slots>), Failure> {
    let assignment = doors.assignment(caller, &assignment).await?.assignment;
    let files = body.value.check()?;
    let now = doors.now();
    let (at, seed) = match key.digest() {
        None => (now, CopyId::mint(now).to_string()),
        Some(key) => match doors
            .store
            .slots_requested_at(caller.account(), (key, &body.digest), now)
            .await?
        {
            Created::New(at) | Created::Repeated(at) => (at, format!("{assignment}#{key}")),
            Created::KeyReused => return Err(Failure::Conflict(Conflict::KeyReused)),
        },
    };
    let copies: Vec<Copy> = files
        .into_iter()
        .enumerate()
        .map(|(place, file)| Copy {
            // A millisecond apart, so that lists keep the order of the files.
            copy: CopyId::derive(at.plus_millis(place), format!("{seed}#{place}").as_bytes()),
            assignment,
            file_name: file.name,
            pupil: file.pupil,
            size_bytes: file.size_bytes,
            created_at: at,
            state: CopyState::New,
            run: None,
            phase: None,
            epoch: 0,
            lease_until: None,
            reserved_tokens: 0,
            result: None,
            summary: None,
            failure: None,
        })
        .collect();
    // Those of a repeated request are there already, and take no room twice.
    let ids: Vec<CopyId> = copies.iter().map(|copy| copy.copy).collect();
    let known = doors.store.copies_by_id(assignment, &ids).await?.len();
    let more = copies.len() - known.min(copies.len());
    if more > 0 && doors.store.count_copies(assignment).await? + more > COPIES_PER_ASSIGNMENT_MAX {
        return Err(intake::too_many_copies());
    }
    doors.store.put_copies(&copies).await?;
    let credentials = doors.signer.credentials().await?;
    let slots = copies.into_iter().map(|copy| {
        let upload = doors
            .signer
            .presign(&copy_key(assignment, copy.copy), &credentials, now);
        view::Slot::new(&copy, upload)
    });
    Ok((
        StatusCode::CREATED,
        Json(Slots {
            slots: slots.collect(),
        }),
    ))
}

/// List an assignment's copies, oldest first.
#[utoipa::path(get, path = "/api/assignments/{assignment}/copies", tag = "assignments",
    params(("assignment" = String, Path), ("cursor" = Option<String>, Query), ("limit" = Option<u16>, Query)),
    responses((status = 200, body = CopyList), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn list_copies(
    State(doors): State<Doors>,
    caller: Caller,
    Path(assignment): Path<String>,
    list: ListQuery,
) -> Result<Json<CopyList>, Failure> {
    let assignment = doors.assignment(caller, &assignment).await?;
    let cursor = list.cursor.as_deref().map(Cursor::parse).transpose()?;
    let page = doors
        .store
        .copies(assignment.assignment, cursor.as_ref(), list.limit)
        .await?;
    Ok(Json(CopyList {
        items: page.items.iter().map(CopyView::from).collect(),
        cursor: page.cursor.map(Into::into),
    }))
}
