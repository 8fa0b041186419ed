//! What Stripe told of the run, read as the webhook function reads it.

use std::collections::BTreeSet;

use anyhow::{bail, ensure};
use serde_json::Value;
use shared::billing::{Heard, Signing, Told, hear, told};
use shared::domain::billing::{About, Message};
use shared::domain::time::UnixMillis;

use super::api::text;
use super::customer::Customer;
use crate::stripe::courier::sign;

/// What a run makes happen, of what changes an account. Four of them are the product's own; the fifth,
/// `checkout.session.completed`, needs a browser.
const EXPECTED: [&str; 10] = [
    "checkout.session.expired",
    "customer.subscription.created",
    "customer.subscription.deleted",
    "customer.subscription.updated",
    "invoice.paid",
    "invoice.payment_failed",
    "invoice.payment_succeeded",
    "subscription_schedule.created",
    "subscription_schedule.released",
    "subscription_schedule.updated",
];
/// A run makes about sixty, and a sandbox may see other work meanwhile.
const PAGES_MAX: usize = 10;
/// Stripe's clock and ours may differ by so much. Unit: seconds.
const SLACK_SECONDS: i64 = 300;
/// Signs what the list gives, as the endpoint's own secret would.
const SECRET: &str = "whsec_smoke";

/// Reads all that was told of `customer` since `began`, until what is expected has come.
pub(super) async fn read(customer: &Customer<'_>, began: UnixMillis) -> anyhow::Result<((), String)> {
    let pace = customer.sandbox.pace;
    let mut missing = BTreeSet::from(EXPECTED);
    for look in 0..pace.looks_max {
        if look > 0 {
            tokio::time::sleep(pace.wait).await;
        }
        let events = listed(customer, began).await?;
        missing = BTreeSet::from(EXPECTED);
        let mut hints = 0;
        for event in &events {
            let kind = text(event, "type").unwrap_or_default();
            if understood(customer, event)? {
                hints += 1;
                missing.remove(kind.as_str());
            }
        }
        if missing.is_empty() {
            let all = events.len();
            return Ok(((), format!("{all} read, {hints} of them ask to look")));
        }
    }
    bail!("expected all of the product's events, never found {missing:?}")
}

/// The events about the customer; the list is everybody's.
async fn listed(customer: &Customer<'_>, began: UnixMillis) -> anyhow::Result<Vec<Value>> {
    let since = (began.get() / 1000 - SLACK_SECONDS).to_string();
    let mut about = Vec::new();
    let mut after: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let mut query = vec![("limit", "100"), ("created[gte]", since.as_str())];
        query.extend(after.as_deref().map(|after| ("starting_after", after)));
        let page = customer.sandbox.api.get("/v1/events", &query).await?;
        let events = page["data"].as_array().cloned().unwrap_or_default();
        after = events.last().map(|event| text(event, "id")).transpose()?;
        about.extend(events.into_iter().filter(|event| names(event, &customer.id)));
        if page["has_more"] != true {
            return Ok(about);
        }
    }
    bail!("too many other events in this sandbox: {PAGES_MAX} pages since the run began")
}

fn names(event: &Value, customer: &str) -> bool {
    let object = &event["data"]["object"];
    object["customer"] == customer || object["id"] == customer
}

/// Whether an event asks to look at the customer. One that is not ours asks nothing.
fn understood(customer: &Customer<'_>, event: &Value) -> anyhow::Result<bool> {
    let shown = || format!("{} ({})", event["id"], event["type"]);
    let now = customer.sandbox.now();
    let body = event.to_string();
    let header = sign(&body, now.get() / 1000, &[SECRET.to_owned()]);
    let Some(signing) = Signing::parse(SECRET) else {
        bail!("no signing secret");
    };
    let heard = match hear(body.as_bytes(), Some(&header), &signing, now) {
        Heard::Event(heard) => heard,
        other => bail!("expected an event, found {other:?} in {}", shown()),
    };
    ensure!(
        !heard.livemode && heard.account.is_none(),
        "expected an event of this sandbox, found {}",
        shown()
    );
    match told(&heard) {
        Told::NotOurs => Ok(false),
        Told::Hint(Message::Event {
            about: About::Customer(about),
            ..
        }) if about == customer.id => Ok(true),
        other => bail!(
            "expected a hint about {}, found {other:?} in {}",
            customer.id,
            shown()
        ),
    }
}
