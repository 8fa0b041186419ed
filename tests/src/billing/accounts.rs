//! What an account may use because of what happens at Stripe.

use local::stripe::change::{Proration, Update};
use local::stripe::customer::Card;
use local::stripe::refund::NewRefund;
use shared::domain::catalogue::Interval;
use shared::domain::plan::Hold;
use shared::domain::quota::Tier;
use shared::domain::subscription::{Payment, Pending};

use super::world::{DAY, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paid_checkout_gives_the_tier_with_its_tokens_and_one_letter() {
    let mut world = World::new().await;
    world.buy(Tier::Pro, Card::Ok).await;
    assert_eq!(
        world.may_use().await,
        (Tier::Free, 0),
        "before anybody hears of it"
    );
    world.hear().await;
    assert_eq!(world.may_use().await, (Tier::Pro, 6_000_000));
    assert_eq!(world.letters().await, ["plan-changed"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declined_checkout_gives_nothing() {
    let mut world = World::new().await;
    world.buy(Tier::Pro, Card::Declined).await;
    world.hear().await;
    assert_eq!(world.may_use().await.0, Tier::Free);
    assert!(world.letters().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_that_is_declined_keeps_the_tier_with_a_slice_and_asks_once_for_payment() {
    let mut world = World::new().await;
    world.buy(Tier::Essentiel, Card::DeclinedLater).await;
    world.hear().await;
    for _ in 0..4 {
        world.pass(8 * DAY);
        world.hear().await;
    }
    let late = world.billing().await.subscription.unwrap();
    assert_eq!((late.payment, late.paid), (Payment::PastDue, false));
    assert!(late.pay_page.is_some() && late.kept_until.is_some());
    assert_eq!(world.may_use().await, (Tier::Essentiel, 60_000));
    let mut letters = world.letters().await;
    letters.sort();
    assert_eq!(letters, ["payment-failed", "plan-changed"]);

    let customer = world.customer.clone();
    let subscription = world.theirs().id.clone();
    world.fake.with(|stripe| {
        stripe.set_card(&customer, Card::Ok).unwrap();
        stripe.portal_pay(&subscription).map(drop).unwrap();
    });
    world.hear().await;
    assert_eq!(world.may_use().await, (Tier::Essentiel, 1_200_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_holds_at_once_and_a_downgrade_from_the_next_period() {
    let mut world = World::new().await;
    world.buy(Tier::Essentiel, Card::Ok).await;
    world.hear().await;
    world.pass(10 * DAY);
    let price = |tier| {
        let catalogue = &world.doors.catalogue;
        catalogue.price(tier, Interval::Month).unwrap().id.clone()
    };
    let (essentiel, max) = (price(Tier::Essentiel), price(Tier::Max));
    let seen = world.seen().await;
    let item = &seen.items.data[0].id;
    world.stripe.change_price(&seen.id, item, &max).await.unwrap();
    world.hear().await;
    assert_eq!(world.may_use().await, (Tier::Max, 24_000_000));

    let seen = world.seen().await;
    let interval = Interval::Month;
    world
        .stripe
        .change_price_at_period_end(&seen, &essentiel, interval)
        .await
        .unwrap();
    world.hear().await;
    let announced = world.billing().await.subscription.unwrap().pending;
    assert!(
        matches!(
            announced,
            Some(Pending::Tier {
                tier: Tier::Essentiel,
                ..
            })
        ),
        "{announced:?}"
    );
    assert_eq!(world.may_use().await, (Tier::Max, 24_000_000));

    world.pass(25 * DAY);
    world.hear().await;
    assert_eq!(world.may_use().await, (Tier::Essentiel, 1_200_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancellation_can_be_taken_back_and_ends_with_the_period_otherwise() {
    let mut world = World::new().await;
    world.buy(Tier::Pro, Card::Ok).await;
    let id = world.theirs().id.clone();
    for (cancel, renews) in [(true, false), (false, true), (true, false)] {
        world.stripe.cancel_at_period_end(&id, cancel).await.unwrap();
        world.hear().await;
        assert_eq!(world.billing().await.subscription.unwrap().renews, renews);
    }
    assert_eq!(world.may_use().await, (Tier::Pro, 6_000_000));
    world.pass(32 * DAY);
    assert_eq!(world.may_use().await.0, Tier::Free, "time alone ends it");
    world.hear().await;
    assert_eq!(world.billing().await.subscription, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dispute_freezes_until_it_is_decided() {
    let mut world = World::new().await;
    world.buy(Tier::Pro, Card::Ok).await;
    world.hear().await;
    let charge = world
        .fake
        .with(|stripe| stripe.charges().iter().next_back().unwrap().id.clone());
    let dispute = world
        .fake
        .with(|stripe| stripe.open_dispute(&charge).unwrap().id.clone());
    world.hear().await;
    let plan = world.billing().await.plan(world.now());
    assert_eq!((plan.tier, plan.hold), (Tier::Pro, Some(Hold::Frozen)));
    world
        .fake
        .with(|stripe| stripe.close_dispute(&dispute, true).map(drop))
        .unwrap();
    world.hear().await;
    assert_eq!(world.billing().await.plan(world.now()).hold, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inquiry_calls_somebody_and_freezes_nothing_until_it_is_a_dispute() {
    let mut world = World::new().await;
    world.buy(Tier::Pro, Card::Ok).await;
    world.hear().await;
    let inquiry = world.fake.with(|stripe| {
        let charge = stripe.charges().iter().next_back().unwrap().id.clone();
        stripe.open_inquiry(&charge).unwrap().id.clone()
    });
    world.hear().await;
    assert_eq!(world.measured("BillingAlerts"), ["inquiry"]);
    let plan = world.billing().await.plan(world.now());
    assert_eq!((plan.tier, plan.hold), (Tier::Pro, None));
    world
        .fake
        .with(|stripe| stripe.escalate_inquiry(&inquiry).map(drop))
        .unwrap();
    world.hear().await;
    let plan = world.billing().await.plan(world.now());
    assert_eq!((plan.tier, plan.hold), (Tier::Pro, Some(Hold::Frozen)));
    assert_eq!(world.measured("BillingAlerts"), ["inquiry", "disputed"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inquiry_that_is_closed_leaves_everything_as_it_was() {
    let mut world = World::new().await;
    world.buy(Tier::Pro, Card::Ok).await;
    world.hear().await;
    let before = world.billing().await.subscription;
    let inquiry = world.fake.with(|stripe| {
        let charge = stripe.charges().iter().next_back().unwrap().id.clone();
        stripe.open_inquiry(&charge).unwrap().id.clone()
    });
    world.hear().await;
    world
        .fake
        .with(|stripe| stripe.close_dispute(&inquiry, true).map(drop))
        .unwrap();
    world.hear().await;
    assert_eq!(world.billing().await.subscription, before);
    assert_eq!(world.measured("BillingAlerts"), ["inquiry"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_period_is_paid_wherever_its_line_stands_on_a_long_invoice() {
    for changes in [1, 8, 60] {
        let mut world = World::new().await;
        world.buy(Tier::Essentiel, Card::Ok).await;
        let (id, item) = (world.theirs().id.clone(), world.theirs().item.clone());
        let price = |tier| {
            world
                .doors
                .catalogue
                .price(tier, Interval::Month)
                .unwrap()
                .id
                .clone()
        };
        let [essentiel, pro] = [Tier::Essentiel, Tier::Pro].map(price);
        // In the Dashboard, again and again: each is credited and charged on the next invoice.
        for price in [&pro, &essentiel].into_iter().cycle().take(2 * changes) {
            let change = Update {
                item: Some(item.clone()),
                price: Some(price.clone()),
                proration: Proration::Create,
                ..Update::default()
            };
            world
                .fake
                .with(|stripe| stripe.update_subscription(&id, &change).map(drop))
                .unwrap();
        }
        world.pass(32 * DAY);
        let lines = world
            .fake
            .with(|stripe| stripe.invoices().iter().next_back().unwrap().lines.len());
        assert_eq!(lines, 4 * changes + 1);
        world.hear().await;
        let renewed = world.billing().await.subscription.unwrap();
        assert!(renewed.paid, "{lines} lines");
        assert_eq!(
            world.may_use().await,
            (Tier::Essentiel, 1_200_000),
            "{lines} lines"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_given_back_ends_the_subscription() {
    let mut world = World::new().await;
    world.buy(Tier::Pro, Card::Ok).await;
    world.hear().await;
    let charge = world
        .fake
        .with(|stripe| stripe.charges().iter().next_back().unwrap().id.clone());
    let all = NewRefund {
        charge: Some(charge),
        ..NewRefund::default()
    };
    world.fake.with(|stripe| stripe.refund(all).map(drop)).unwrap();
    world.hear().await;
    world.hear().await;
    assert_eq!(world.may_use().await.0, Tier::Free);
}
