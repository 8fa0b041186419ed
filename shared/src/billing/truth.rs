//! From Stripe's answers to the truth of `domain::subscription`.

use super::client::Stripe;
use super::refusal::Refusal;
use super::wire;
use crate::domain::failure::{Failure, Internal};
use crate::domain::mail::Contact;
use crate::domain::subscription::{Charge, Dispute, Invoice, InvoiceState, Seen, Status, Truth};
use crate::domain::time::UnixMillis;

/// Pages of a hundred, newest first. Older subscriptions would be an error; older invoices and charges decide
/// nothing about the current period.
const SUBSCRIPTION_PAGES_MAX: u32 = 5;
const MONEY_PAGES_MAX: u32 = 3;
/// Open invoices whose payment is looked at. A subscription has one.
const INTENTS_MAX: usize = 3;
/// Invoices, newest first, whose lines are read to the end where an invoice itself shows only the first ten; and pages of a
/// hundred lines. Ours have three: more come of changes in Stripe's Dashboard that the next invoice asks for.
const LONG_INVOICES_MAX: usize = 5;
const LINE_PAGES_MAX: u32 = 3;

/// All that Stripe knows of one customer. A deleted one has nothing.
///
/// # Errors
/// `Unavailable` when Stripe is; `Internal` for a customer that Stripe never had (the key of another account,
/// perhaps: nobody loses a plan by that), or an answer that decides nothing.
pub async fn truth(stripe: &Stripe, customer: &str) -> Result<Truth, Failure> {
    let subscriptions = match stripe.subscriptions_of(customer, SUBSCRIPTION_PAGES_MAX).await {
        Err(Refusal::Missing) if stripe.customer(customer).await?.deleted => return Ok(Truth::default()),
        answer => answer?,
    };
    if subscriptions.cut {
        return Err(undecided("more subscriptions than anybody has"));
    }
    let mut invoices = stripe.invoices_of(customer, MONEY_PAGES_MAX).await?;
    let charges = stripe.charges_of(customer, MONEY_PAGES_MAX).await?;
    if invoices.cut || charges.cut {
        tracing::warn!(customer, "old invoices or charges were not looked at");
    }
    read_long(stripe, &mut invoices.objects).await?;
    let mut truth = Truth {
        contact: subscriptions.objects.first().and_then(contact),
        ..Truth::default()
    };
    for subscription in &subscriptions.objects {
        truth.subscriptions.extend(seen(subscription)?);
    }
    let mut open = 0;
    for invoice in &invoices.objects {
        let mut read = read_invoice(invoice);
        if read.state == InvoiceState::Open && open < INTENTS_MAX {
            open += 1;
            read.action_required = action_required(stripe, &read.payments).await?;
        }
        truth.invoices.push(read);
    }
    for charge in &charges.objects {
        truth.charges.push(read_charge(stripe, charge).await?);
    }
    Ok(truth)
}

/// Reads the lines that invoices do not show. Stripe puts a period's own line behind what was changed before.
async fn read_long(stripe: &Stripe, invoices: &mut [wire::Invoice]) -> Result<(), Failure> {
    let long = invoices.iter_mut().filter(|invoice| invoice.lines.has_more);
    for (number, invoice) in long.enumerate() {
        let mut cut = true;
        if number < LONG_INVOICES_MAX {
            let lines = stripe.lines_of(&invoice.id, LINE_PAGES_MAX).await?;
            invoice.lines.data = lines.objects;
            cut = lines.cut;
        }
        if cut {
            tracing::warn!(invoice = invoice.id, "lines of an invoice were not looked at");
        }
    }
    Ok(())
}

fn undecided(what: &str) -> Failure {
    Failure::Internal(Internal::new(format!("Stripe's answer decides nothing: {what}")))
}

/// Each subscription comes with its customer, which is the same for all: asking for it would be one call more.
fn contact(subscription: &wire::Subscription) -> Option<Contact> {
    let customer = subscription.customer.object()?;
    let locales = customer.preferred_locales.as_deref().unwrap_or_default();
    Contact::read(customer.email.as_deref()?, locales)
}

const fn moment(seconds: i64) -> UnixMillis {
    UnixMillis::new(seconds.saturating_mul(1000))
}

/// What a subscription is to us. Statuses: <https://docs.stripe.com/api/subscriptions/object#subscription_object-status>.
fn seen(subscription: &wire::Subscription) -> Result<Option<Seen>, Failure> {
    let status = match subscription.status.as_str() {
        "active" => Status::Active,
        "trialing" => Status::Trialing,
        "past_due" => Status::PastDue,
        // `unpaid`, `canceled`, `incomplete`, `incomplete_expired`, `paused`, and what Stripe may invent.
        _ => Status::Without,
    };
    let Some(item) = subscription.items.data.first() else {
        return match status {
            Status::Without => Ok(None),
            Status::Active | Status::Trialing | Status::PastDue => {
                Err(undecided("a live subscription that sells nothing"))
            }
        };
    };
    let at_end = subscription
        .cancel_at_period_end
        .then_some(item.current_period_end);
    Ok(Some(Seen {
        id: subscription.id.clone(),
        status,
        price: item.price.id.clone(),
        created: moment(subscription.created),
        period_start: moment(item.current_period_start),
        period_end: moment(item.current_period_end),
        cancel_at: subscription.cancel_at.or(at_end).map(moment),
        scheduled: subscription
            .schedule
            .as_ref()
            .and_then(|schedule| schedule.object())
            .and_then(|schedule| scheduled(schedule, &item.price.id)),
        update_pending: subscription.pending_update.is_some(),
    }))
}

/// The first other price that a schedule brings, and when.
fn scheduled(schedule: &wire::Schedule, price: &str) -> Option<(String, UnixMillis)> {
    let current = schedule.current_phase.filter(|_| schedule.status == "active")?;
    schedule
        .phases
        .iter()
        .filter(|phase| phase.span.start_date >= current.end_date)
        .find_map(|phase| {
            let next = phase.items.first()?.price.id();
            (next != price).then(|| (next.to_owned(), moment(phase.span.start_date)))
        })
}

fn read_invoice(invoice: &wire::Invoice) -> Invoice {
    let regular = |line: &&wire::Line| {
        let details = line.parent.as_ref().and_then(|it| it.subscription_item_details);
        details.is_some_and(|it| !it.proration)
    };
    let parent = invoice.parent.as_ref();
    let payments = invoice.payments.iter().flat_map(|list| &list.data);
    Invoice {
        id: invoice.id.clone(),
        subscription: parent
            .and_then(|it| it.subscription_details.as_ref())
            .map(|it| it.subscription.id().to_owned()),
        state: match invoice.status.as_deref() {
            Some("draft") | None => InvoiceState::Draft,
            Some("open") => InvoiceState::Open,
            Some("paid") => InvoiceState::Paid,
            // `void`, `uncollectible`.
            Some(_) => InvoiceState::Closed,
        },
        created: moment(invoice.created),
        covers: invoice
            .lines
            .data
            .iter()
            .filter(regular)
            .map(|line| moment(line.period.start))
            .collect(),
        prices: invoice
            .lines
            .data
            .iter()
            .filter(|line| line.amount >= 0)
            .filter_map(|line| {
                let details = line.pricing.as_ref()?.price_details.as_ref()?;
                Some((details.price.id().to_owned(), moment(line.period.start)))
            })
            .collect(),
        action_required: false,
        page: invoice.hosted_invoice_url.clone(),
        payments: payments
            .filter_map(|it| it.payment.payment_intent.as_ref())
            .map(|intent| intent.id().to_owned())
            .collect(),
    }
}

/// Whether the bank wants a confirmation. An invoice does not say; expanding its payment's intent in a list is
/// deeper than Stripe allows.
async fn action_required(stripe: &Stripe, payments: &[String]) -> Result<bool, Failure> {
    for id in payments.iter().take(INTENTS_MAX) {
        if stripe.payment_intent(id).await?.status == "requires_action" {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn read_charge(stripe: &Stripe, charge: &wire::Charge) -> Result<Charge, Failure> {
    let disputes = if charge.disputed {
        stripe.disputes_of(&charge.id).await?
    } else {
        Vec::new()
    };
    Ok(Charge {
        id: charge.id.clone(),
        payment: charge.payment_intent.as_ref().map(|it| it.id().to_owned()),
        refunded: charge.refunded,
        dispute: worst(&disputes),
    })
}

/// A bank may dispute a charge twice: money that is gone counts before money that may go.
fn worst(disputes: &[wire::Dispute]) -> Option<Dispute> {
    let standings: Vec<Dispute> = disputes.iter().map(|it| standing(&it.status)).collect();
    [Dispute::Lost, Dispute::Open, Dispute::Inquiry, Dispute::Won]
        .into_iter()
        .find(|it| standings.contains(it))
}

/// <https://docs.stripe.com/api/disputes/object#dispute_object-status>. The `warning_` ones are of an inquiry, which takes no
/// money: <https://docs.stripe.com/disputes/how-disputes-work#inquiries>.
fn standing(status: &str) -> Dispute {
    match status {
        "warning_needs_response" | "warning_under_review" => Dispute::Inquiry,
        "won" | "warning_closed" | "prevented" => Dispute::Won,
        "lost" => Dispute::Lost,
        _ => Dispute::Open,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn subscription(change: impl FnOnce(&mut Value)) -> wire::Subscription {
        let mut json = json!({
            "id": "sub_1", "status": "active", "customer": "cus_1", "created": 10,
            "items": { "data": [{
                "id": "si_1", "price": { "id": "price_pro" },
                "current_period_start": 20, "current_period_end": 30,
            }] },
        });
        change(&mut json);
        serde_json::from_value(json).unwrap()
    }

    fn seen_with(change: impl FnOnce(&mut Value)) -> Seen {
        seen(&subscription(change)).unwrap().unwrap()
    }

    #[test]
    fn a_status_gives_the_plan_or_nothing() {
        for (text, status) in [
            ("active", Status::Active),
            ("trialing", Status::Trialing),
            ("past_due", Status::PastDue),
            ("unpaid", Status::Without),
            ("canceled", Status::Without),
            ("incomplete", Status::Without),
            ("incomplete_expired", Status::Without),
            ("paused", Status::Without),
            ("invented", Status::Without),
        ] {
            assert_eq!(
                seen_with(|it| it["status"] = text.into()).status,
                status,
                "{text}"
            );
        }
    }

    #[test]
    fn a_subscription_is_read_with_its_periods_and_what_is_announced() {
        let plain = seen_with(|_| ());
        assert_eq!(
            (plain.created, plain.period_start, plain.period_end),
            (moment(10), moment(20), moment(30))
        );
        assert_eq!(
            (plain.cancel_at, plain.scheduled, plain.update_pending),
            (None, None, false)
        );
        let ending = seen_with(|it| it["cancel_at_period_end"] = true.into());
        assert_eq!(ending.cancel_at, Some(moment(30)));
        let dated = seen_with(|it| it["cancel_at"] = 25.into());
        assert_eq!(dated.cancel_at, Some(moment(25)));
        let waiting = seen_with(|it| it["pending_update"] = json!({ "expires_at": 22 }));
        assert!(waiting.update_pending);
        let sells_nothing = |it: &mut Value| it["items"]["data"] = json!([]);
        assert!(seen(&subscription(sells_nothing)).is_err());
    }

    #[test]
    fn a_schedule_announces_its_next_other_price_while_it_is_active() {
        fn phase(start: i64, end: i64, price: &str) -> Value {
            json!({ "start_date": start, "end_date": end, "items": [{ "price": price }] })
        }
        let with = |status: &str, next: &str| {
            seen_with(|it| {
                it["schedule"] = json!({
                    "id": "sub_sched_1", "status": status,
                    "current_phase": { "start_date": 20, "end_date": 30 },
                    "phases": [phase(20, 30, "price_pro"), phase(30, 40, next)],
                });
            })
            .scheduled
        };
        assert_eq!(
            with("active", "price_less"),
            Some(("price_less".to_owned(), moment(30)))
        );
        assert_eq!(with("active", "price_pro"), None);
        assert_eq!(with("released", "price_less"), None);
    }

    #[test]
    fn an_invoice_covers_the_periods_that_it_pays_for_in_full() {
        let invoice: wire::Invoice = serde_json::from_value(json!({
            "id": "in_1", "status": "open", "created": 5,
            "parent": { "subscription_details": { "subscription": "sub_1" } },
            "hosted_invoice_url": "https://invoice",
            "lines": { "data": [
                { "id": "il_1", "period": { "start": 20 }, "parent": { "subscription_item_details": { "proration": false } },
                  "amount": 3_900, "pricing": { "price_details": { "price": "price_pro" } } },
                { "id": "il_2", "period": { "start": 21 }, "parent": { "subscription_item_details": { "proration": true } },
                  "amount": -700, "pricing": { "price_details": { "price": "price_given_back" } } },
                { "id": "il_3", "period": { "start": 22 }, "parent": { "invoice_item_details": { "proration": true } },
                  "amount": 5, "pricing": null },
            ] },
            "payments": { "data": [{ "payment": { "payment_intent": "pi_1" } }, { "payment": { "charge": "py_1" } }] },
        }))
        .unwrap();
        let read = read_invoice(&invoice);
        assert_eq!(read.subscription.as_deref(), Some("sub_1"));
        assert_eq!(
            (read.state, read.covers, read.prices, read.payments),
            (
                InvoiceState::Open,
                vec![moment(20)],
                vec![("price_pro".to_owned(), moment(20))],
                vec!["pi_1".to_owned()]
            )
        );
        for (status, state) in [
            (json!(null), InvoiceState::Draft),
            (json!("paid"), InvoiceState::Paid),
            (json!("void"), InvoiceState::Closed),
        ] {
            let bare = json!({ "id": "in_1", "created": 5, "status": status });
            assert_eq!(read_invoice(&serde_json::from_value(bare).unwrap()).state, state);
        }
    }

    #[test]
    fn a_dispute_is_open_until_it_is_won_or_lost_and_the_worst_of_several_counts() {
        let of = |statuses: &[&str]| {
            let disputes: Vec<wire::Dispute> = statuses
                .iter()
                .map(|status| serde_json::from_value(json!({ "status": status })).unwrap())
                .collect();
            worst(&disputes)
        };
        assert_eq!(of(&[]), None);
        for (status, expected) in [
            ("needs_response", Dispute::Open),
            ("under_review", Dispute::Open),
            ("invented", Dispute::Open),
            ("warning_needs_response", Dispute::Inquiry),
            ("warning_under_review", Dispute::Inquiry),
            ("won", Dispute::Won),
            ("warning_closed", Dispute::Won),
            ("lost", Dispute::Lost),
        ] {
            assert_eq!(of(&[status]), Some(expected), "{status}");
        }
        assert_eq!(of(&["won", "warning_under_review"]), Some(Dispute::Inquiry));
        assert_eq!(of(&["warning_closed", "needs_response"]), Some(Dispute::Open));
        assert_eq!(of(&["needs_response", "lost"]), Some(Dispute::Lost));
    }
}
