//! Every event that is emitted verifies and parses.

use std::collections::BTreeSet;

use local::stripe::change::Update;
use local::stripe::courier::{Courier, Letter, Policy};
use local::stripe::customer::By;
use local::stripe::event::Delivery;
use local::stripe::refund::NewRefund;
use local::stripe::subscription::Cancel;
use local::stripe::world::World;
use stripe_webhook::{EventObject, Webhook};

use super::*;

/// What our side is to understand, at least.
const PROMISED: [&str; 28] = [
    "charge.dispute.closed",
    "charge.dispute.created",
    "charge.refunded",
    "checkout.session.completed",
    "checkout.session.expired",
    "customer.created",
    "customer.subscription.created",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.pending_update_applied",
    "customer.subscription.pending_update_expired",
    "customer.subscription.resumed",
    "customer.subscription.updated",
    "invoice.created",
    "invoice.finalized",
    "invoice.paid",
    "invoice.payment_action_required",
    "invoice.payment_failed",
    "invoice.payment_succeeded",
    "invoice.voided",
    "payment_method.attached",
    "subscription_schedule.created",
    "subscription_schedule.released",
    "subscription_schedule.updated",
    "test_helpers.test_clock.advancing",
    "test_helpers.test_clock.created",
    "test_helpers.test_clock.deleted",
    "test_helpers.test_clock.ready",
];

fn upgrade(world: &mut World, subscription: &str) {
    let price = if world.subscription(subscription).unwrap().price == PRO {
        "price_max_monthly"
    } else {
        PRO
    };
    world.portal_change(subscription, price).unwrap();
}

/// Everything that can happen to a subscriber.
fn live(fake: &Fake) {
    let unpaid = fake.session(ESSENTIEL);
    let id = fake.subscribe(ESSENTIEL, Card::Ok);
    let customer = fake.customer.as_str();
    fake.stripe.with(|world| {
        world.pay(&unpaid, Card::Declined).unwrap();
        world.advance(2 * DAY);
        world.pause(&id).unwrap();
        world.resume(&id).unwrap();
        world.set_card(customer, Card::ActionLater).unwrap();
        upgrade(world, &id);
        let invoice = world.subscription(&id).unwrap().latest_invoice.clone().unwrap();
        world.confirm(&invoice, true).unwrap();
        world.set_card(customer, Card::DeclinedLater).unwrap();
        upgrade(world, &id);
        world.advance(DAY);
        world.portal_change(&id, ESSENTIEL).unwrap();
        world.portal_cancel(&id, false).unwrap();
        world.advance(30 * DAY);
        let invoice = world.subscription(&id).unwrap().latest_invoice.clone().unwrap();
        world.pay_invoice(&invoice, By::Customer).unwrap();
        world
            .update_subscription(
                &id,
                &Update {
                    cancel_at_period_end: Some(true),
                    ..Update::default()
                },
            )
            .unwrap();
        let charges: Vec<String> = world
            .charges()
            .iter()
            .filter(|it| it.decline.is_none())
            .map(|it| it.id.clone())
            .collect();
        world
            .refund(NewRefund {
                charge: Some(charges[0].clone()),
                ..NewRefund::default()
            })
            .unwrap();
        let dispute = world.open_dispute(&charges[1]).unwrap().id.clone();
        world.close_dispute(&dispute, false).unwrap();
        world
            .cancel_subscription(
                &id,
                Cancel {
                    prorate: true,
                    invoice_now: true,
                },
            )
            .unwrap();
        world.attach_method("pm_card_visa", customer).unwrap();
        world.delete_customer(customer).unwrap();
        let clock = world.create_test_clock(world.now(), None).unwrap().id.clone();
        let later = world.now() + DAY;
        world.advance_test_clock(&clock, later).unwrap();
        world.delete_test_clock(&clock).unwrap();
    });
}

fn verified(letter: &Letter, secret: &str, at: i64) -> stripe_webhook::Event {
    Webhook::construct_event_with_timestamp(&letter.body, &letter.signature, secret, at)
        .unwrap_or_else(|error| panic!("{}: {error}\n{}", letter.kind, letter.body))
}

#[tokio::test]
async fn every_event_verifies_and_parses() {
    let fake = Fake::start().await;
    live(&fake);
    let mut courier = Courier::new(
        1,
        vec!["whsec_new".to_owned(), "whsec_old".to_owned()],
        Policy::default(),
    );
    let (letters, now) = fake.stripe.with(|world| (courier.due(world), world.now()));
    for letter in &letters {
        for secret in ["whsec_new", "whsec_old"] {
            let event = verified(letter, secret, now);
            assert_eq!(event.type_.as_str(), letter.kind);
            assert!(
                !matches!(event.data.object, EventObject::Unknown(_)),
                "{}",
                letter.kind
            );
        }
        assert!(
            Webhook::construct_event_with_timestamp(&letter.body, &letter.signature, "whsec_other", now)
                .is_err()
        );
    }
    let told: BTreeSet<&str> = letters.iter().map(|letter| letter.kind).collect();
    let missing: Vec<_> = PROMISED.iter().filter(|kind| !told.contains(*kind)).collect();
    assert!(missing.is_empty(), "never told: {missing:?}");
}

#[tokio::test]
async fn what_is_not_taken_comes_again_until_it_is_or_is_given_up() {
    let fake = Fake::start().await;
    let policy = Policy {
        retry_waits_seconds: vec![60, 600],
        ..Policy::default()
    };
    let mut courier = Courier::new(1, vec!["whsec".to_owned()], policy);
    fake.stripe.with(|world| {
        for (status, delivery) in [
            (Some(500), Delivery::Pending),
            (None, Delivery::Pending),
            (Some(503), Delivery::Failed),
        ] {
            let letters = courier.due(world);
            assert_eq!(letters.len(), 1);
            courier.answered(world, &letters[0], status);
            assert_eq!(world.events().iter().next().unwrap().delivery, delivery);
            let next = courier.next_due_at().unwrap_or(world.now());
            world.advance_to(next);
        }
        assert!(courier.due(world).is_empty());
    });
}

#[tokio::test]
async fn a_bad_post_loses_repeats_and_reorders_what_it_carries() {
    let fake = Fake::start().await;
    live(&fake);
    let policy = Policy {
        duplicates_per_cent: 30,
        losses_per_cent: 20,
        late_up_to_seconds: 3600,
        ..Policy::default()
    };
    let mut courier = Courier::new(5, vec!["whsec".to_owned()], policy);
    fake.stripe.with(|world| {
        world.advance(3600);
        let letters = courier.due(world);
        for letter in &letters {
            courier.answered(world, letter, Some(200));
        }
        let sent: Vec<&str> = world.events().iter().map(|event| event.id.as_str()).collect();
        let came: Vec<&str> = letters.iter().map(|letter| letter.event.as_str()).collect();
        let once: BTreeSet<&str> = came.iter().copied().collect();
        assert!(once.len() < sent.len(), "some are lost");
        assert!(came.len() > once.len(), "some come twice");
        assert!(
            !came.is_sorted_by_key(|id| sent.iter().position(|sent| sent == id)),
            "some are overtaken"
        );
        let failed = world
            .events()
            .iter()
            .filter(|event| event.delivery == Delivery::Failed)
            .count();
        assert_eq!(failed, sent.len() - once.len());
    });
}
