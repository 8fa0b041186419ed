//! Subscriptions, schedules and invoices.

use serde_json::Value;

use super::api::Page;
use super::form::Params;
use crate::stripe::calendar::Interval;
use crate::stripe::change::{PaymentBehavior, Proration, Update};
use crate::stripe::customer::By;
use crate::stripe::invoice::InvoiceStatus;
use crate::stripe::json;
use crate::stripe::payment::Attempt;
use crate::stripe::refusal::Refusal;
use crate::stripe::schedule::{EndBehavior, NewPhase};
use crate::stripe::subscription::{Cancel, FirstPayment, NewSubscription, Status};
use crate::stripe::world::World;

const PRORATIONS: [(&str, Proration); 3] = [
    ("none", Proration::None),
    ("create_prorations", Proration::Create),
    ("always_invoice", Proration::AlwaysInvoice),
];
const PAYMENTS: [(&str, PaymentBehavior); 3] = [
    ("allow_incomplete", PaymentBehavior::AllowIncomplete),
    ("pending_if_incomplete", PaymentBehavior::PendingIfIncomplete),
    ("error_if_incomplete", PaymentBehavior::ErrorIfIncomplete),
];
const FIRST_PAYMENTS: [(&str, FirstPayment); 3] = [
    ("allow_incomplete", FirstPayment::AllowIncomplete),
    ("default_incomplete", FirstPayment::DefaultIncomplete),
    ("error_if_incomplete", FirstPayment::ErrorIfIncomplete),
];
/// A word of the filter `status`, and whether it lets a status through.
type Filter = (&'static str, fn(Status) -> bool);

/// There are no trials here.
const STATUSES: [Filter; 10] = [
    ("all", |_| true),
    ("active", |status| status == Status::Active),
    ("trialing", |_| false),
    ("past_due", |status| status == Status::PastDue),
    ("unpaid", |status| status == Status::Unpaid),
    ("paused", |status| status == Status::Paused),
    ("canceled", |status| status == Status::Canceled),
    ("ended", Status::ended),
    ("incomplete", |status| status == Status::Incomplete),
    ("incomplete_expired", |status| status == Status::IncompleteExpired),
];

pub(super) fn create(world: &mut World, mut params: Params) -> Result<Value, Refusal> {
    let customer = params.needed("customer")?;
    let mut items = params.list("items");
    let [item] = items.as_mut_slice() else {
        return Err(Refusal::absent("items"));
    };
    let price = item.needed("price")?;
    item.only("quantity", "1")?;
    std::mem::take(item).done()?;
    let payment = params
        .one_of("payment_behavior", &FIRST_PAYMENTS)?
        .unwrap_or_default();
    // Unlike for an invoice, the customer is taken to look on unless our side says otherwise.
    let by = match params.boolean("off_session")? {
        Some(true) => By::Machine,
        _ => By::Customer,
    };
    let new = NewSubscription {
        customer,
        price,
        metadata: params.metadata("metadata").unwrap_or_default(),
    };
    params.only("collection_method", "charge_automatically")?;
    params.done()?;
    let subscription = world.create_subscription(new, payment, by)?;
    Ok(json::subscription(&world.account, &subscription))
}

pub(super) fn subscriptions(world: &World, mut params: Params) -> Result<Value, Refusal> {
    let page = Page::read(&mut params)?;
    let (customer, price) = (params.text("customer")?, params.text("price")?);
    let clock = params.text("test_clock")?;
    let status = params.one_of("status", &STATUSES)?;
    params.done()?;
    if let Some(customer) = &customer {
        world.named_customer(customer)?;
    }
    page.of(
        "/v1/subscriptions",
        world.subscriptions(),
        |it| {
            customer.as_ref().is_none_or(|customer| *customer == it.customer)
                && price.as_ref().is_none_or(|price| *price == it.price)
                // Those on a clock show only to who asks for them.
                && match &clock {
                    Some(_) => clock == it.test_clock,
                    None => customer.is_some() || it.test_clock.is_none(),
                }
                // Without a word, only the canceled ones are left out.
                && status.map_or(it.status != Status::Canceled, |wanted| wanted(it.status))
        },
        |it| json::subscription(&world.account, it),
    )
}

pub(super) fn subscription(world: &World, id: &str, params: Params) -> Result<Value, Refusal> {
    params.done()?;
    Ok(json::subscription(&world.account, world.subscription(id)?))
}

pub(super) fn update(world: &mut World, id: &str, mut params: Params) -> Result<Value, Refusal> {
    let mut update = Update {
        cancel_at_period_end: params.boolean("cancel_at_period_end")?,
        metadata: params.metadata("metadata"),
        ..Update::default()
    };
    read_change(&mut params, &mut update)?;
    params.only("billing_cycle_anchor", "unchanged")?;
    params.done()?;
    let subscription = world.update_subscription(id, &update)?;
    Ok(json::subscription(&world.account, &subscription))
}

/// What a change and its preview have in common.
fn read_change(params: &mut Params, update: &mut Update) -> Result<(), Refusal> {
    let mut items = params.list("items");
    if items.len() > 1 {
        return Err(Refusal::invalid(
            "This local Stripe knows subscriptions of one item.",
        ));
    }
    if let Some(mut item) = items.pop() {
        update.item = item.text("id")?;
        update.price = item.text("price")?;
        item.only("quantity", "1")?;
        item.done()?;
    }
    update.proration = params
        .one_of("proration_behavior", &PRORATIONS)?
        .unwrap_or_default();
    update.proration_date = params.integer("proration_date")?;
    update.payment = params.one_of("payment_behavior", &PAYMENTS)?.unwrap_or_default();
    Ok(())
}

pub(super) fn cancel(world: &mut World, id: &str, mut params: Params) -> Result<Value, Refusal> {
    let cancel = Cancel {
        prorate: params.boolean("prorate")?.unwrap_or_default(),
        invoice_now: params.boolean("invoice_now")?.unwrap_or_default(),
    };
    params.inner("cancellation_details");
    params.done()?;
    let subscription = world.cancel_subscription(id, cancel)?;
    Ok(json::subscription(&world.account, &subscription))
}

pub(super) fn create_schedule(world: &mut World, mut params: Params) -> Result<Value, Refusal> {
    let subscription = params.needed("from_subscription")?;
    params.done()?;
    let schedule = world.create_schedule(&subscription)?;
    Ok(json::schedule(&world.account, &schedule))
}

pub(super) fn schedule(world: &World, id: &str, params: Params) -> Result<Value, Refusal> {
    params.done()?;
    Ok(json::schedule(&world.account, world.schedule(id)?))
}

pub(super) fn update_schedule(world: &mut World, id: &str, mut params: Params) -> Result<Value, Refusal> {
    let ends = [("release", EndBehavior::Release), ("cancel", EndBehavior::Cancel)];
    let end_behavior = params.one_of("end_behavior", &ends)?;
    let metadata = params.metadata("metadata").unwrap_or_default();
    let asked = params.list("phases");
    let given = params.one_of("proration_behavior", &PRORATIONS)?;
    params.done()?;
    let mut phases = Vec::with_capacity(asked.len());
    for phase in asked {
        phases.push(read_phase(phase)?);
    }
    // The call's own word is about the current phase.
    if let (Some(proration), Some(current)) = (given, phases.first_mut()) {
        current.proration = proration;
    }
    let phases = (!phases.is_empty()).then_some(phases);
    let schedule = world.update_schedule(id, phases.as_deref(), end_behavior, &metadata)?;
    Ok(json::schedule(&world.account, &schedule))
}

fn read_phase(mut params: Params) -> Result<NewPhase, Refusal> {
    let mut items = params.list("items");
    let [item] = items.as_mut_slice() else {
        return Err(Refusal::absent(&params.name("items")));
    };
    let price = item.needed("price")?;
    item.only("quantity", "1")?;
    std::mem::take(item).done()?;
    let mut length = params.inner("duration");
    let interval = length.one_of(
        "interval",
        &[("month", Interval::Month), ("year", Interval::Year)],
    )?;
    let count = length.integer("interval_count")?.unwrap_or(1);
    length.done()?;
    let phase = NewPhase {
        price,
        start: params.integer("start_date")?,
        end: params.integer("end_date")?,
        duration: interval.map(|interval| (interval, count)),
        proration: params
            .one_of("proration_behavior", &PRORATIONS)?
            .unwrap_or_default(),
        metadata: params.metadata("metadata").unwrap_or_default(),
    };
    params.only("currency", "eur")?;
    params.only("collection_method", "charge_automatically")?;
    params.done()?;
    Ok(phase)
}

pub(super) fn release(world: &mut World, id: &str, mut params: Params) -> Result<Value, Refusal> {
    params.boolean("preserve_cancel_date")?;
    params.done()?;
    let schedule = world.release_schedule(id)?;
    Ok(json::schedule(&world.account, &schedule))
}

pub(super) fn cancel_schedule(world: &mut World, id: &str, mut params: Params) -> Result<Value, Refusal> {
    params.boolean("prorate")?;
    params.boolean("invoice_now")?;
    params.done()?;
    let schedule = world.cancel_schedule(id)?;
    Ok(json::schedule(&world.account, &schedule))
}

pub(super) fn invoices(world: &World, mut params: Params) -> Result<Value, Refusal> {
    let page = Page::read(&mut params)?;
    let (customer, subscription) = (params.text("customer")?, params.text("subscription")?);
    let statuses = [
        InvoiceStatus::Draft,
        InvoiceStatus::Open,
        InvoiceStatus::Paid,
        InvoiceStatus::Void,
        InvoiceStatus::Uncollectible,
    ];
    let status = params.one_of("status", &statuses.map(|status| (status.name(), status)))?;
    params.done()?;
    page.of(
        "/v1/invoices",
        world.invoices(),
        |it| {
            customer.as_ref().is_none_or(|customer| *customer == it.customer)
                && subscription
                    .as_ref()
                    .is_none_or(|wanted| *wanted == it.subscription)
                && status.is_none_or(|status| status == it.status)
        },
        |it| json::invoice(&world.account, it),
    )
}

pub(super) fn invoice(world: &World, id: &str, params: Params) -> Result<Value, Refusal> {
    params.done()?;
    Ok(json::invoice(&world.account, world.invoice(id)?))
}

pub(super) fn lines(world: &World, id: &str, mut params: Params) -> Result<Value, Refusal> {
    let page = Page::read(&mut params)?;
    params.done()?;
    let invoice = world.invoice(id)?;
    page.cut(
        &format!("/v1/invoices/{id}/lines"),
        invoice.lines.iter().collect(),
        |line| &line.id,
        |line| json::line(&world.account, invoice, line),
    )
}

pub(super) fn pay(world: &mut World, id: &str, mut params: Params) -> Result<Value, Refusal> {
    // The customer is taken to look on only if our side says so.
    let by = match params.boolean("off_session")? {
        Some(false) => By::Customer,
        _ => By::Machine,
    };
    params.done()?;
    let attempt = world.pay_invoice(id, by)?;
    let invoice = world.invoice(id)?;
    match attempt {
        Attempt::Paid => Ok(json::invoice(&world.account, invoice)),
        Attempt::Declined => Err(Refusal::declined("generic_decline", invoice.intent.clone())),
        Attempt::ActionRequired => Err(Refusal::declined(
            "authentication_required",
            invoice.intent.clone(),
        )),
    }
}

pub(super) fn void(world: &mut World, id: &str, params: Params) -> Result<Value, Refusal> {
    params.done()?;
    let invoice = world.void_invoice(id)?;
    Ok(json::invoice(&world.account, &invoice))
}

pub(super) fn preview(world: &World, mut params: Params) -> Result<Value, Refusal> {
    let subscription = params.needed("subscription")?;
    let customer = params.text("customer")?;
    let mut details = params.inner("subscription_details");
    let mut update = Update::default();
    read_change(&mut details, &mut update)?;
    details.done()?;
    params.done()?;
    let found = world.subscription(&subscription)?;
    if customer.is_some_and(|customer| customer != found.customer) {
        return Err(Refusal::missing_in("subscription", "subscription", &subscription));
    }
    let invoice = world.preview(&subscription, &update)?;
    Ok(json::invoice(&world.account, &invoice))
}
