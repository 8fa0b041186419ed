//! Which events are hints for us, and how each names its customer.

use super::wire;
use crate::domain::billing::{About, Message};

/// Where an event's customer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    /// `data.object.customer`.
    Customer,
    /// `data.object.charge`: a dispute has no customer of its own.
    Charge,
    /// `data.object.id`: it is the customer.
    Itself,
}

/// The events that may change an account. Any other is taken and forgotten, so that nobody's settings at Stripe
/// can fill the queue.
const TABLE: [(&str, Names); 30] = [
    ("charge.dispute.closed", Names::Charge),
    ("charge.dispute.created", Names::Charge),
    ("charge.dispute.funds_reinstated", Names::Charge),
    // An inquiry has become a dispute.
    ("charge.dispute.funds_withdrawn", Names::Charge),
    ("charge.dispute.updated", Names::Charge),
    ("charge.refunded", Names::Customer),
    ("checkout.session.async_payment_failed", Names::Customer),
    ("checkout.session.async_payment_succeeded", Names::Customer),
    ("checkout.session.completed", Names::Customer),
    ("checkout.session.expired", Names::Customer),
    // Its address may be another, or gone: the next letter goes there, or nowhere.
    ("customer.deleted", Names::Itself),
    ("customer.subscription.created", Names::Customer),
    ("customer.subscription.deleted", Names::Customer),
    ("customer.subscription.paused", Names::Customer),
    ("customer.subscription.pending_update_applied", Names::Customer),
    ("customer.subscription.pending_update_expired", Names::Customer),
    ("customer.subscription.resumed", Names::Customer),
    ("customer.subscription.updated", Names::Customer),
    ("customer.updated", Names::Itself),
    // An invoice that is given up may leave its subscription as it was, which then tells nothing.
    ("invoice.marked_uncollectible", Names::Customer),
    ("invoice.paid", Names::Customer),
    ("invoice.payment_action_required", Names::Customer),
    ("invoice.payment_failed", Names::Customer),
    ("invoice.payment_succeeded", Names::Customer),
    ("invoice.voided", Names::Customer),
    ("subscription_schedule.canceled", Names::Customer),
    ("subscription_schedule.completed", Names::Customer),
    ("subscription_schedule.created", Names::Customer),
    ("subscription_schedule.released", Names::Customer),
    ("subscription_schedule.updated", Names::Customer),
];

/// What an event tells us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Something about a customer may have changed: this message asks to look.
    Hint(Message),
    /// Nothing that matters here.
    NotOurs,
    /// It should name a customer, and names none.
    NoCustomer,
}

/// What `event` tells us.
#[must_use]
pub fn told(event: &wire::Event) -> Told {
    let Some((_, names)) = TABLE.iter().find(|(kind, _)| *kind == event.kind) else {
        return Told::NotOurs;
    };
    let object = &event.data.object;
    let about = match names {
        Names::Customer => object
            .customer
            .as_ref()
            .map(|it| About::Customer(it.id().to_owned())),
        Names::Itself => object.id.clone().map(About::Customer),
        Names::Charge => object.charge.as_ref().map(|it| About::Charge(it.id().to_owned())),
    };
    match about {
        Some(about) => Told::Hint(Message::Event {
            id: event.id.clone(),
            kind: event.kind.clone(),
            about,
        }),
        None => Told::NoCustomer,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told_of(kind: &str, object: serde_json::Value) -> Told {
        let event = json!({
            "id": "evt_1", "type": kind, "created": 1, "livemode": false, "data": { "object": object },
        });
        told(&serde_json::from_value(event).unwrap())
    }

    fn hint(kind: &str, about: About) -> Told {
        Told::Hint(Message::Event {
            id: "evt_1".to_owned(),
            kind: kind.to_owned(),
            about,
        })
    }

    #[test]
    fn an_event_names_its_customer_or_the_charge_that_does() {
        let customer = || About::Customer("cus_1".to_owned());
        for (kind, object, expected) in [
            (
                "invoice.paid",
                json!({ "id": "in_1", "customer": "cus_1" }),
                hint("invoice.paid", customer()),
            ),
            (
                "charge.refunded",
                json!({ "id": "ch_1", "customer": { "id": "cus_1" } }),
                hint("charge.refunded", customer()),
            ),
            (
                "charge.dispute.created",
                json!({ "id": "dp_1", "charge": "ch_1" }),
                hint("charge.dispute.created", About::Charge("ch_1".to_owned())),
            ),
            (
                "checkout.session.completed",
                json!({ "id": "cs_1", "customer": null }),
                Told::NoCustomer,
            ),
            (
                "customer.updated",
                json!({ "id": "cus_1" }),
                hint("customer.updated", customer()),
            ),
            ("customer.created", json!({ "id": "cus_1" }), Told::NotOurs),
        ] {
            assert_eq!(told_of(kind, object), expected, "{kind}");
        }
    }
}
