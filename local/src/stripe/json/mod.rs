//! Objects as Stripe writes them, at [`API_VERSION`]: every field that its clients insist on, and the others that
//! our side reads.

use serde_json::{Map, Value, json};

use super::event::{Delivery, Event, Snapshot};
use super::refusal::Refusal;
use super::world::{API_VERSION, Account};

mod billing;
mod catalogue;
mod checkout;
mod clock;
mod method;
mod money;
mod schedule;

pub use billing::{invoice, invoice_payment, line, payments, subscription};
pub use catalogue::{price, product};
pub use checkout::{customer, portal, portal_configuration, portal_products, session};
pub use clock::test_clock;
pub use method::method;
pub use money::{charge, dispute, intent, refund};
pub use schedule::schedule;

/// An object as it was.
#[must_use]
pub fn snapshot(account: &Account, object: &Snapshot) -> Value {
    match object {
        Snapshot::Customer(it) => customer(account, it),
        Snapshot::Session(it) => session(account, it),
        Snapshot::Subscription(it) => subscription(account, it),
        Snapshot::Schedule(it) => schedule(account, it),
        Snapshot::Invoice(it) => invoice(account, it),
        Snapshot::Intent(it) => intent(account, it),
        Snapshot::Charge(it) => charge(account, it),
        Snapshot::Refund(it) => refund(it),
        Snapshot::Dispute(it) => dispute(account, it),
        Snapshot::Method(it) => method(account, it),
        Snapshot::TestClock(it) => test_clock(account, it),
    }
}

/// An event, as it is listed and as it is delivered.
#[must_use]
pub fn event(account: &Account, event: &Event) -> Value {
    let object = snapshot(account, &event.object);
    let mut data = Map::new();
    if let Some(before) = &event.before {
        let before = snapshot(account, before);
        data.insert("previous_attributes".to_owned(), difference(before, &object));
    }
    data.insert("object".to_owned(), object);
    let pending = i32::from(event.delivery != Delivery::Succeeded);
    json!({
        "id": event.id,
        "object": "event",
        "api_version": API_VERSION,
        "created": event.created,
        "data": data,
        "livemode": account.livemode,
        "pending_webhooks": pending,
        "request": {
            "id": event.request.as_ref().map(|mark| &mark.id),
            "idempotency_key": event.request.as_ref().and_then(|mark| mark.idempotency_key.as_ref()),
        },
        "type": event.kind,
    })
}

/// What `before` said otherwise.
fn difference(before: Value, after: &Value) -> Value {
    match before {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(key, value)| after.get(key) != Some(value))
            .collect::<Map<_, _>>()
            .into(),
        _ => Value::Null,
    }
}

/// A page of a list.
#[must_use]
pub fn list(url: &str, data: Vec<Value>, has_more: bool) -> Value {
    json!({ "object": "list", "url": url, "has_more": has_more, "data": data })
}

/// An error's envelope; `payment_intent` is the whole object.
#[must_use]
pub fn refusal(refusal: &Refusal, payment_intent: Option<Value>) -> Value {
    let mut error = Map::new();
    let mut say = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            error.insert(key.to_owned(), value);
        }
    };
    say("type", Some(refusal.kind.into()));
    say("code", refusal.code.map(Into::into));
    say("message", Some(refusal.message.clone().into()));
    say("param", refusal.param.clone().map(Into::into));
    let declined = refusal.declined.as_ref();
    say("decline_code", declined.map(|it| it.decline_code.into()));
    say("payment_intent", payment_intent);
    json!({ "error": error })
}
