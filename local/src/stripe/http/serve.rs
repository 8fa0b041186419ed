//! One request: its key, its faults, its idempotency, its answer.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State as Shared;
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::stream;
use serde::Serialize;

use super::api::{Call, answer};
use super::faults::Kind;
use super::form::Params;
use super::{Desk, State};
use crate::stripe::event::RequestMark;
use crate::stripe::json;
use crate::stripe::refusal::Refusal;
use crate::stripe::world::API_VERSION;

/// A call as it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// `req_…`.
    pub id: String,
    /// Such as `POST`.
    pub method: String,
    /// From the slash on, without the query.
    pub path: String,
    /// The request's `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// What was done wrong on purpose.
    pub fault: Option<Kind>,
}

/// An answer kept for its key.
pub(super) struct Kept {
    fingerprint: String,
    status: u16,
    body: String,
}

/// How a request ends.
enum End {
    Answer {
        status: u16,
        body: String,
        replayed: bool,
    },
    Hang,
    Cut,
}

pub(super) async fn api(
    Shared(desk): Shared<Arc<Desk>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let mut form = String::from_utf8_lossy(&body).into_owned();
    if let Some(query) = uri.query() {
        form = format!("{query}&{form}");
    }
    let call = Call {
        method: method.to_string(),
        path: uri.path().to_owned(),
        params: Params::parse(&form),
    };
    let key = text("idempotency-key").filter(|_| method == Method::POST);
    let access = check_headers(&desk, &headers);
    let (mark, end) = desk.with(|state| {
        let mark = RequestMark {
            id: format!("req_local_{:06}", state.seen.len() + 1),
            idempotency_key: key.map(str::to_owned),
        };
        let end = serve(state, &mark, &call, access);
        if state.seen.last().is_some_and(|seen| seen.fault.is_some()) {
            desk.struck.notify_one();
        }
        (mark, end)
    });
    match end {
        End::Answer {
            status,
            body,
            replayed,
        } => respond(&mark, status, body, replayed),
        End::Hang => pending::<Infallible>().await.into_response(),
        End::Cut => cut(),
    }
}

/// Does what the request asks, or what a fault makes of it.
fn serve(state: &mut State, mark: &RequestMark, call: &Call, access: Result<(), Refusal>) -> End {
    let fault = state.faults.take(&call.method, &call.path);
    state.seen.push(Seen {
        id: mark.id.clone(),
        method: call.method.clone(),
        path: call.path.clone(),
        idempotency_key: mark.idempotency_key.clone(),
        fault,
    });
    let before = match fault {
        Some(Kind::RateLimited) => Some(Refusal::rate_limited()),
        Some(Kind::ServerError) => Some(Refusal::server_error(500)),
        Some(Kind::Unavailable) => Some(Refusal::server_error(503)),
        Some(Kind::Hang) => return End::Hang,
        Some(Kind::Cut) => return End::Cut,
        Some(Kind::HangAfter | Kind::ReplyLost | Kind::ServerErrorAfter) | None => access.err(),
    };
    if let Some(refusal) = before {
        return say(state, &refusal);
    }
    let fingerprint = format!("{} {} {}", call.method, call.path, call.params.fingerprint());
    if let Some(kept) = mark.idempotency_key.as_ref().and_then(|key| state.kept.get(key)) {
        if kept.fingerprint != fingerprint {
            return say(state, &Refusal::other_parameters(mark));
        }
        let (status, body) = (kept.status, kept.body.clone());
        return after(
            fault,
            End::Answer {
                status,
                body,
                replayed: true,
            },
        );
    }
    let done = state.world.as_request(mark.clone(), |world| answer(world, call));
    let invalid = |refusal: &Refusal| refusal.code.is_some_and(|code| code.starts_with("parameter_"));
    let kept = !done.as_ref().is_err_and(invalid);
    let mut end = match done {
        Ok(value) => End::Answer {
            status: 200,
            body: value.to_string(),
            replayed: false,
        },
        Err(refusal) => say(state, &refusal),
    };
    if fault == Some(Kind::ServerErrorAfter) {
        end = say(state, &Refusal::server_error(500));
    }
    if let (true, Some(key), End::Answer { status, body, .. }) = (kept, &mark.idempotency_key, &end) {
        let (status, body) = (*status, body.clone());
        state.kept.insert(
            key.clone(),
            Kept {
                fingerprint,
                status,
                body,
            },
        );
    }
    after(fault, end)
}

/// What a fault makes of an answer.
fn after(fault: Option<Kind>, end: End) -> End {
    match fault {
        Some(Kind::HangAfter) => End::Hang,
        Some(Kind::ReplyLost) => End::Cut,
        _ => end,
    }
}

fn say(state: &State, refusal: &Refusal) -> End {
    let world = &state.world;
    let declined = refusal.declined.as_ref();
    let intent = declined.and_then(|it| world.intents().get(it.payment_intent.as_deref()?));
    let intent = intent.map(|intent| json::intent(&world.account, intent));
    End::Answer {
        status: refusal.status,
        body: json::refusal(refusal, intent).to_string(),
        replayed: false,
    }
}

/// The key, and the version if one is named.
fn check_headers(desk: &Desk, headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let given = text(AUTHORIZATION.as_str()).unwrap_or_default();
    let key = match given.split_once(' ') {
        Some(("Bearer", key)) => key.to_owned(),
        Some(("Basic", pair)) => STANDARD
            .decode(pair)
            .ok()
            .and_then(|pair| String::from_utf8(pair).ok())
            .map(|pair| pair.trim_end_matches(':').to_owned())
            .unwrap_or_default(),
        _ => {
            let message = "You did not provide an API key.";
            return Err(Refusal::unauthorized(message));
        }
    };
    if key != desk.secret_key {
        let end: String = key
            .chars()
            .rev()
            .take(4)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect();
        return Err(Refusal::unauthorized(format!(
            "Invalid API Key provided: ****{end}"
        )));
    }
    match text("stripe-version") {
        None | Some(API_VERSION) => Ok(()),
        Some(other) => Err(Refusal::invalid(format!(
            "Invalid Stripe API version: {other}. This local Stripe speaks {API_VERSION} only."
        ))),
    }
}

fn respond(mark: &RequestMark, status: u16, body: String, replayed: bool) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("stripe-version", HeaderValue::from_static(API_VERSION));
    if let Ok(id) = mark.id.parse() {
        headers.insert("request-id", id);
    }
    if let Some(key) = mark.idempotency_key.as_ref().and_then(|key| key.parse().ok()) {
        headers.insert("idempotency-key", key);
    }
    if replayed {
        headers.insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    response
}

/// Fewer bytes than announced, then an error: the server closes the connection.
fn cut() -> Response {
    let lost: Result<Bytes, io::Error> = Err(io::Error::from(io::ErrorKind::ConnectionReset));
    let length = (CONTENT_LENGTH, HeaderValue::from(1000));
    let half = Ok(Bytes::from_static(b"{"));
    ([length], Body::from_stream(stream::iter([half, lost]))).into_response()
}
