//! Stripe's portal: the configuration that is named opens it, and each night it is read.

use local::stripe::change::Proration;
use local::stripe::portal::CONFIGURATION;
use local::stripe::world::World as AtStripe;
use serde_json::json;
use shared::domain::billing::{List, Message};

use super::buyer::{Buyer, problem, refusal};
use super::world::World;

async fn read(world: &World) -> Vec<String> {
    let message = Message::Reconcile {
        list: List::Portal,
        page: 0,
        after: None,
        at: world.now(),
    };
    let before = world.measured("PortalDrift").len();
    world.tell(&[message]).await;
    world.measured("PortalDrift").split_off(before)
}

/// What somebody does to the portal's settings, and which drifts are counted.
type Case = (fn(&mut AtStripe), &'static [&'static str]);

const CASES: [Case; 8] = [
    (|_| (), &[]),
    // Nobody has set it up: nothing opens, and nothing is sold.
    (|stripe| stripe.account.portal_saved = false, &[]),
    (
        |stripe| stripe.account.portal_changes.proration = Proration::Create,
        &["proration"],
    ),
    (
        |stripe| stripe.account.portal_changes.lower_at_period_end = false,
        &["at-once", "at-once"],
    ),
    (|stripe| stripe.account.portal.anchor = Some("now"), &["anchor"]),
    (
        |stripe| {
            let all = stripe
                .account
                .catalogue
                .prices
                .iter()
                .map(|price| price.id.clone());
            stripe.account.portal.prices = Some(all.collect());
        },
        &["yearly", "yearly", "yearly"],
    ),
    (
        |stripe| stripe.account.portal.cancel = "immediately",
        &["cancellation"],
    ),
    (|stripe| stripe.account.portal.changes = Vec::new(), &[]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_portal_that_sells_otherwise_is_counted_whether_it_is_named_or_stripes_default() {
    let mut world = World::new().await;
    let (portal, changes) = world
        .fake
        .with(|stripe| (stripe.account.portal.clone(), stripe.account.portal_changes));
    for named in [None, Some(CONFIGURATION.to_owned())] {
        world.doors.portal = named;
        for (number, (change, expected)) in CASES.into_iter().enumerate() {
            world.fake.with(|stripe| {
                stripe.account.portal_saved = true;
                stripe.account.portal = portal.clone();
                stripe.account.portal_changes = changes;
                change(stripe);
            });
            let found = read(&world).await;
            // A configuration that is named must be there.
            let gone = world.doors.portal.is_some() && world.fake.with(|stripe| !stripe.account.portal_saved);
            let expected = if gone { &["unknown"] } else { expected };
            assert_eq!(found, expected, "case {number}, {:?}", world.doors.portal);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_named_configuration_that_was_put_away_is_counted_and_opens_nothing() {
    let mut world = World::new().await;
    world.fake.with(|stripe| stripe.account.portal.active = false);
    assert!(read(&world).await.is_empty(), "no default one is active");
    world.doors.portal = Some(CONFIGURATION.to_owned());
    assert_eq!(read(&world).await, ["inactive"]);
    let buyer = Buyer::bought_at(world, "pro").await;
    let answer = buyer.ask("POST", "portal", &json!({})).await;
    assert_eq!(refusal(answer), problem(500, "internal"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_portal_opens_as_the_named_configuration_says() {
    for (named, status) in [
        (None, 200),
        (Some(CONFIGURATION), 200),
        (Some("bpc_of_another"), 500),
    ] {
        let mut world = World::new().await;
        world.doors.portal = named.map(str::to_owned);
        let buyer = Buyer::bought_at(world, "pro").await;
        let (answered, page) = buyer.ask("POST", "portal", &json!({})).await;
        assert_eq!(answered, status, "{named:?}: {page}");
    }
}
