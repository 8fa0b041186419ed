//! The comparison of each night: what no event has told is found, mended and counted.

use local::stripe::customer::Card;
use local::stripe::event::Delivery;
use serde_json::json;
use shared::domain::billing::{List, Message};
use shared::domain::quota::Tier;

use super::world::{DAY, World};

/// Every list is gone through, and what they ask for is done.
async fn night(world: &World) {
    let began = ::billing::answer(&world.doors, json!({})).await.unwrap();
    assert_eq!(began, json!(null));
    let asked = world.queued().await;
    assert_eq!(asked.len(), List::ALL.len());
    listed(world, asked).await;
}

/// The same for some lists.
async fn listed(world: &World, mut asked: Vec<Message>) {
    while !asked.is_empty() {
        world.tell(&asked).await;
        asked = world.queued().await;
    }
}

fn undelivered(world: &World) -> Message {
    Message::Reconcile {
        list: List::Undelivered,
        page: 0,
        after: None,
        at: world.now(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_event_told_the_nightly_comparison_finds_and_counts() {
    let mut world = World::new().await;
    world.buy(Tier::Pro, Card::Ok).await;
    let lost = world.hints();
    assert!(!lost.is_empty());
    // They are lost for good: Stripe takes them for delivered.
    deliver_all_but(&world, "");
    night(&world).await;
    assert_eq!(world.may_use().await, (Tier::Pro, 6_000_000));
    assert_eq!(world.measured("BillingDrift"), ["account"]);

    // Both sides agree now: nothing is news.
    world.pass(3_600);
    night(&world).await;
    assert_eq!(world.measured("BillingDrift").len(), 1);

    // And what ended here although nobody said so.
    let id = world.theirs().id.clone();
    world.stripe.cancel_now(&id).await.unwrap();
    world.hints();
    deliver_all_but(&world, "");
    world.pass(3_600);
    night(&world).await;
    assert_eq!(world.billing().await.subscription, None);
    assert_eq!(world.measured("BillingDrift"), ["account", "account"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_event_told_is_no_drift() {
    let mut world = World::new().await;
    world.buy(Tier::Pro, Card::Ok).await;
    world.hear().await;
    night(&world).await;
    for metric in [
        "BillingDrift",
        "UndeliveredEvents",
        "PortalDrift",
        "BillingAlerts",
    ] {
        assert!(world.measured(metric).is_empty(), "{metric}");
    }
}

/// Stripe takes every event for delivered that is not of this kind.
fn deliver_all_but(world: &World, kind: &str) {
    world.fake.with(|stripe| {
        let events: Vec<String> = stripe
            .events()
            .iter()
            .filter(|event| event.kind != kind)
            .map(|event| event.id.clone())
            .collect();
        for event in events {
            stripe.record_delivery(&event, Delivery::Succeeded);
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_stripe_could_not_deliver_is_counted_and_heard_once() {
    let world = World::new().await;
    world.buy(Tier::Pro, Card::Ok).await;
    deliver_all_but(&world, "invoice.paid");
    assert_eq!(world.may_use().await.0, Tier::Free);
    listed(&world, vec![undelivered(&world)]).await;
    assert_eq!(world.measured("UndeliveredEvents"), ["invoice.paid"]);
    assert_eq!(world.may_use().await, (Tier::Pro, 6_000_000));
    let drifts = world.measured("BillingDrift");
    assert!(drifts.is_empty(), "an event told of it, late: {drifts:?}");

    // Stripe lists it for a month; its effect is written.
    world.pass(DAY);
    listed(&world, vec![undelivered(&world)]).await;
    assert_eq!(world.measured("UndeliveredEvents").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_nobody_took_for_a_week_is_left_to_the_lists_of_accounts() {
    let world = World::new().await;
    world.buy(Tier::Pro, Card::Ok).await;
    world.pass(8 * DAY);
    listed(&world, vec![undelivered(&world)]).await;
    assert!(world.measured("UndeliveredEvents").is_empty());
    night(&world).await;
    assert_eq!(world.measured("BillingDrift"), ["account"]);
    assert_eq!(world.may_use().await, (Tier::Pro, 6_000_000));
}
