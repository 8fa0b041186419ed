//! Payments, charges, refunds, disputes and events.

use serde_json::Value;

use super::api::Page;
use super::expand;
use super::form::Params;
use crate::stripe::event::{Delivery, Event};
use crate::stripe::json;
use crate::stripe::refund::NewRefund;
use crate::stripe::refusal::Refusal;
use crate::stripe::world::World;

/// Any object whose id says what it is; `what` as Stripe calls it.
pub(super) fn by_id(world: &World, what: &str, id: &str, params: Params) -> Result<Value, Refusal> {
    params.done()?;
    expand::by_id(world, id)
        .filter(|found| found.get("object").is_some_and(|object| object == what))
        .ok_or_else(|| Refusal::missing(what, id))
}

pub(super) fn intents(world: &World, mut params: Params) -> Result<Value, Refusal> {
    let page = Page::read(&mut params)?;
    let customer = params.text("customer")?;
    params.done()?;
    page.of(
        "/v1/payment_intents",
        world.intents(),
        |it| customer.as_ref().is_none_or(|customer| *customer == it.customer),
        |it| json::intent(&world.account, it),
    )
}

pub(super) fn charges(world: &World, mut params: Params) -> Result<Value, Refusal> {
    let page = Page::read(&mut params)?;
    let (customer, intent) = (params.text("customer")?, params.text("payment_intent")?);
    params.done()?;
    page.of(
        "/v1/charges",
        world.charges(),
        |it| {
            customer.as_ref().is_none_or(|customer| *customer == it.customer)
                && intent.as_ref().is_none_or(|intent| *intent == it.intent)
        },
        |it| json::charge(&world.account, it),
    )
}

pub(super) fn invoice_payments(world: &World, mut params: Params) -> Result<Value, Refusal> {
    let page = Page::read(&mut params)?;
    let invoice = params.text("invoice")?;
    let mut payment = params.inner("payment");
    payment.only("type", "payment_intent")?;
    let intent = payment.text("payment_intent")?;
    payment.done()?;
    params.done()?;
    page.of(
        "/v1/invoice_payments",
        world.intents(),
        |it| {
            invoice.as_ref().is_none_or(|invoice| *invoice == it.invoice)
                && intent.as_ref().is_none_or(|intent| *intent == it.id)
        },
        |it| {
            let invoice = world.invoices().get(&it.invoice);
            invoice.map_or(Value::Null, |invoice| {
                json::invoice_payment(&world.account, invoice, it)
            })
        },
    )
}

pub(super) fn refund(world: &mut World, mut params: Params) -> Result<Value, Refusal> {
    let reasons = ["duplicate", "fraudulent", "requested_by_customer"];
    let reason = params.one_of("reason", &reasons.map(|reason| (reason, reason)))?;
    let asked = NewRefund {
        charge: params.text("charge")?,
        payment_intent: params.text("payment_intent")?,
        cents: params.integer("amount")?,
        reason: reason.map(str::to_owned),
        metadata: params.metadata("metadata").unwrap_or_default(),
    };
    params.done()?;
    let refund = world.refund(asked)?;
    Ok(json::refund(&refund))
}

pub(super) fn refunds(world: &World, mut params: Params) -> Result<Value, Refusal> {
    let page = Page::read(&mut params)?;
    let (charge, intent) = (params.text("charge")?, params.text("payment_intent")?);
    params.done()?;
    page.of(
        "/v1/refunds",
        world.refunds(),
        |it| {
            charge.as_ref().is_none_or(|charge| *charge == it.charge)
                && intent.as_ref().is_none_or(|intent| *intent == it.intent)
        },
        json::refund,
    )
}

pub(super) fn disputes(world: &World, mut params: Params) -> Result<Value, Refusal> {
    let page = Page::read(&mut params)?;
    let (charge, intent) = (params.text("charge")?, params.text("payment_intent")?);
    params.done()?;
    page.of(
        "/v1/disputes",
        world.disputes(),
        |it| {
            charge.as_ref().is_none_or(|charge| *charge == it.charge)
                && intent.as_ref().is_none_or(|intent| *intent == it.intent)
        },
        |it| json::dispute(&world.account, it),
    )
}

pub(super) fn events(world: &World, mut params: Params) -> Result<Value, Refusal> {
    let page = Page::read(&mut params)?;
    let delivered = params.boolean("delivery_success")?;
    let mut kinds = params.texts("types");
    kinds.extend(params.text("type")?);
    let mut created = params.inner("created");
    let exactly: Option<i64> = params.integer("created")?;
    let after = created
        .integer::<i64>("gt")?
        .map(|at| at + 1)
        .max(created.integer("gte")?);
    let before = created.integer::<i64>("lte")?.map(|at| at + 1);
    let before = before.into_iter().chain(created.integer("lt")?).min();
    created.done()?;
    params.done()?;
    let wanted = |event: &Event| {
        let at = event.created;
        delivered.is_none_or(|wanted| wanted == (event.delivery == Delivery::Succeeded))
            && (kinds.is_empty() || kinds.iter().any(|kind| matches(kind, event.kind)))
            && exactly.is_none_or(|exactly| exactly == at)
            && after.is_none_or(|after| at >= after)
            && before.is_none_or(|before| at < before)
    };
    page.of("/v1/events", world.events(), wanted, |it| {
        json::event(&world.account, it)
    })
}

/// Whether `pattern`, which may end with a star, names `kind`.
fn matches(pattern: &str, kind: &str) -> bool {
    pattern
        .strip_suffix('*')
        .map_or(pattern == kind, |prefix| kind.starts_with(prefix))
}

pub(super) fn event(world: &World, id: &str, params: Params) -> Result<Value, Refusal> {
    params.done()?;
    let event = world
        .events()
        .get(id)
        .ok_or_else(|| Refusal::missing("event", id))?;
    Ok(json::event(&world.account, event))
}
