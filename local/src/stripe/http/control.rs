//! What a demonstration does that a customer or a bank would do: JSON, no key, on this machine only.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json as object};

use super::faults::Fault;
use super::{Desk, Endpoint};
use crate::stripe::courier::{Delivered, Policy};
use crate::stripe::customer::Card;
use crate::stripe::json;
use crate::stripe::refund::NewRefund;
use crate::stripe::refusal::Refusal;

type Answer = Result<Json<Value>, Refused>;

/// A refusal, as the API would say it.
pub(super) struct Refused(Refusal);

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::BAD_REQUEST);
        (status, Json(json::refusal(&self.0, None))).into_response()
    }
}

pub(super) async fn state(Shared(desk): Shared<Arc<Desk>>) -> Json<Value> {
    Json(desk.with(|state| {
        let world = &state.world;
        object!({
            "now": world.now(),
            "next_due_at": world.next_due_at(),
            "endpoint": state.endpoint,
            "policy": state.courier.policy,
            "customers": world.customers().iter().map(|it| object!({
                "id": it.id, "email": it.details.email, "card": it.card, "deleted": it.deleted,
            })).collect::<Vec<_>>(),
            "subscriptions": world.subscriptions().iter().map(|it| object!({
                "id": it.id, "customer": it.customer, "status": it.status.name(), "price": it.price,
                "current_period_end": it.period.end, "latest_invoice": it.latest_invoice,
            })).collect::<Vec<_>>(),
            "charges": world.charges().iter().map(|it| object!({
                "id": it.id, "customer": it.customer, "cents": it.cents, "refunded_cents": it.refunded_cents,
                "dispute": it.dispute, "decline": it.decline,
            })).collect::<Vec<_>>(),
        })
    }))
}

/// `{"advance_seconds": 3600}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Move {
    advance_seconds: i64,
}

pub(super) async fn clock(Shared(desk): Shared<Arc<Desk>>, Json(by): Json<Move>) -> Json<Value> {
    desk.advance(by.advance_seconds);
    Json(desk.with(|state| object!({ "now": state.world.now() })))
}

/// `{"card": "declined"}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Behaviour {
    card: Card,
}

pub(super) async fn card(
    Shared(desk): Shared<Arc<Desk>>,
    Path(customer): Path<String>,
    Json(behaviour): Json<Behaviour>,
) -> Answer {
    desk.with(|state| state.world.set_card(&customer, behaviour.card))?;
    Ok(Json(object!({ "customer": customer, "card": behaviour.card })))
}

pub(super) async fn dispute(Shared(desk): Shared<Arc<Desk>>, Path(charge): Path<String>) -> Answer {
    Ok(Json(desk.with(|state| {
        let dispute = state.world.open_dispute(&charge)?;
        Ok::<_, Refusal>(json::dispute(&state.world.account, &dispute))
    })?))
}

pub(super) async fn inquire(Shared(desk): Shared<Arc<Desk>>, Path(charge): Path<String>) -> Answer {
    Ok(Json(desk.with(|state| {
        let inquiry = state.world.open_inquiry(&charge)?;
        Ok::<_, Refusal>(json::dispute(&state.world.account, &inquiry))
    })?))
}

pub(super) async fn escalate(Shared(desk): Shared<Arc<Desk>>, Path(dispute): Path<String>) -> Answer {
    Ok(Json(desk.with(|state| {
        let dispute = state.world.escalate_inquiry(&dispute)?;
        Ok::<_, Refusal>(json::dispute(&state.world.account, &dispute))
    })?))
}

/// `{"won": false}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Verdict {
    won: bool,
}

pub(super) async fn close(
    Shared(desk): Shared<Arc<Desk>>,
    Path(dispute): Path<String>,
    Json(verdict): Json<Verdict>,
) -> Answer {
    Ok(Json(desk.with(|state| {
        let dispute = state.world.close_dispute(&dispute, verdict.won)?;
        Ok::<_, Refusal>(json::dispute(&state.world.account, &dispute))
    })?))
}

/// `{"charge": "ch_…", "amount": 450}`; all that is left without an amount, in cents.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Back {
    charge: String,
    amount: Option<i64>,
}

pub(super) async fn refund(Shared(desk): Shared<Arc<Desk>>, Json(back): Json<Back>) -> Answer {
    let asked = NewRefund {
        charge: Some(back.charge),
        cents: back.amount,
        ..NewRefund::default()
    };
    let refund = desk.with(|state| state.world.refund(asked))?;
    Ok(Json(json::refund(&refund)))
}

pub(super) async fn endpoint(Shared(desk): Shared<Arc<Desk>>, Json(endpoint): Json<Endpoint>) -> StatusCode {
    desk.deliver_to(endpoint);
    StatusCode::NO_CONTENT
}

pub(super) async fn policy(Shared(desk): Shared<Arc<Desk>>, Json(policy): Json<Policy>) -> StatusCode {
    desk.with(|state| state.courier.policy = policy);
    StatusCode::NO_CONTENT
}

pub(super) async fn events(Shared(desk): Shared<Arc<Desk>>) -> Json<Vec<Value>> {
    Json(desk.with(|state| {
        let account = &state.world.account;
        let events = state.world.events().iter();
        events.map(|event| json::event(account, event)).collect()
    }))
}

pub(super) async fn deliveries(Shared(desk): Shared<Arc<Desk>>) -> Json<Vec<Delivered>> {
    Json(desk.with(|state| state.courier.delivered().to_vec()))
}

pub(super) async fn faults(Shared(desk): Shared<Arc<Desk>>) -> Json<Vec<Fault>> {
    Json(desk.with(|state| state.faults.waiting()))
}

pub(super) async fn add_faults(
    Shared(desk): Shared<Arc<Desk>>,
    Json(faults): Json<Vec<Fault>>,
) -> StatusCode {
    desk.with(|state| state.faults.add(faults));
    StatusCode::NO_CONTENT
}

pub(super) async fn clear_faults(Shared(desk): Shared<Arc<Desk>>) -> StatusCode {
    desk.with(|state| state.faults.clear());
    StatusCode::NO_CONTENT
}
