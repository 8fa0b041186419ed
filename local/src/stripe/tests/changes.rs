//! Another price: what it costs, when it counts.

use super::super::calendar::Interval::{Month, Year};
use super::super::calendar::boundary;
use super::super::change::{PaymentBehavior, Proration, Update};
use super::super::customer::By;
use super::super::portal::PortalChanges;
use super::super::schedule::{EndBehavior, NewPhase, ScheduleStatus};
use super::super::world::Metadata;
use super::*;

fn to(scene: &Scene, subscription: &str, price: &str, proration: Proration) -> Update {
    Update {
        item: Some(scene.subscription(subscription).item.clone()),
        price: Some(price.to_owned()),
        proration,
        ..Update::default()
    }
}

fn upgrade(scene: &Scene, subscription: &str) -> Update {
    Update {
        payment: PaymentBehavior::PendingIfIncomplete,
        ..to(scene, subscription, PRO, Proration::AlwaysInvoice)
    }
}

#[test]
fn an_upgrade_charges_the_rest_of_the_period_to_the_second() {
    // Of 28 days: the seconds left, and what 900 and 2900 cents are worth for them.
    for (gone, credit, charge) in [
        (0, -900, 2900),
        (14 * DAY, -450, 1450),
        (28 * DAY - 1, 0, 0),
        (7 * DAY + 1, -675, 2175),
    ] {
        let mut scene = Scene::new();
        let subscription = scene.subscribe(ESSENTIEL, Card::Ok);
        scene.world.advance(gone);
        let update = upgrade(&scene, &subscription);
        let preview = scene.world.preview(&subscription, &update).unwrap();
        let period = scene.subscription(&subscription).period;
        scene.world.update_subscription(&subscription, &update).unwrap();
        let invoice = scene.latest(&subscription);
        let cents: Vec<i64> = invoice.lines.iter().map(|line| line.cents).collect();
        assert_eq!(cents, [credit, charge], "after {gone} s");
        assert_eq!(preview.total(), invoice.total());
        let changed = scene.subscription(&subscription);
        assert_eq!((changed.price.as_str(), changed.period), (PRO, period));
        assert!(scene.paid(&subscription));
    }
}

#[test]
fn an_upgrade_that_is_not_paid_waits_and_is_forgotten_after_23_hours() {
    let mut scene = Scene::new();
    let subscription = scene.subscribe(ESSENTIEL, Card::DeclinedLater);
    scene.world.advance(DAY);
    let update = upgrade(&scene, &subscription);
    scene.world.update_subscription(&subscription, &update).unwrap();
    let waiting = scene.subscription(&subscription);
    assert_eq!(
        (waiting.status, waiting.price.as_str()),
        (Status::Active, ESSENTIEL)
    );
    assert_eq!(waiting.pending_update.as_ref().unwrap().price, PRO);
    scene.world.advance(23 * HOUR);
    let after = scene.subscription(&subscription);
    assert_eq!((after.price.as_str(), &after.pending_update), (ESSENTIEL, &None));
    assert_eq!(scene.latest(&subscription).status, InvoiceStatus::Void);
    assert_eq!(
        scene.kinds(0).last(),
        Some(&"customer.subscription.pending_update_expired")
    );
}

#[test]
fn an_upgrade_is_made_when_its_invoice_is_paid() {
    for card in [Card::DeclinedLater, Card::ActionLater] {
        let mut scene = Scene::new();
        let subscription = scene.subscribe(ESSENTIEL, card);
        scene.world.advance(DAY);
        let update = upgrade(&scene, &subscription);
        scene.world.update_subscription(&subscription, &update).unwrap();
        let invoice = scene.latest(&subscription).id.clone();
        let seen = scene.seen();
        match card {
            Card::ActionLater => scene.world.confirm(&invoice, true).unwrap(),
            _ => scene.world.pay_invoice(&invoice, By::Customer).unwrap(),
        };
        assert_eq!(scene.subscription(&subscription).price, PRO);
        assert!(
            scene
                .kinds(seen)
                .contains(&"customer.subscription.pending_update_applied")
        );
    }
}

#[test]
fn without_pending_updates_a_change_counts_at_once_and_may_leave_past_due() {
    let mut scene = Scene::new();
    let subscription = scene.subscribe(ESSENTIEL, Card::DeclinedLater);
    let update = to(&scene, &subscription, PRO, Proration::AlwaysInvoice);
    scene.world.update_subscription(&subscription, &update).unwrap();
    let changed = scene.subscription(&subscription);
    assert_eq!((changed.price.as_str(), changed.status), (PRO, Status::PastDue));
}

#[test]
fn prorations_wait_for_the_next_invoice_unless_told_otherwise() {
    for (proration, total) in [(Proration::Create, 2900 - 450 + 1450), (Proration::None, 2900)] {
        let mut scene = Scene::new();
        let subscription = scene.subscribe(ESSENTIEL, Card::Ok);
        scene.world.advance(14 * DAY);
        let update = to(&scene, &subscription, PRO, proration);
        let preview = scene.world.preview(&subscription, &update).unwrap();
        scene.world.update_subscription(&subscription, &update).unwrap();
        scene.world.advance_to(boundary(START, Month, 1) + HOUR);
        assert_eq!(scene.latest(&subscription).total(), total, "{proration:?}");
        assert_eq!(preview.total(), total);
    }
}

#[test]
fn another_interval_begins_a_period_now() {
    let mut scene = Scene::new();
    let subscription = scene.subscribe(PRO, Card::Ok);
    scene.world.advance(14 * DAY);
    let update = to(&scene, &subscription, PRO_YEARLY, Proration::Create);
    scene.world.update_subscription(&subscription, &update).unwrap();
    let changed = scene.subscription(&subscription);
    let now = scene.world.now();
    assert_eq!((changed.anchor, changed.period.start), (now, now));
    assert_eq!(changed.period.end, boundary(now, Year, 1));
    assert_eq!(scene.latest(&subscription).total(), 29_000 - 1450);
}

#[test]
fn what_a_downgrade_leaves_is_used_by_later_invoices() {
    let mut scene = Scene::new();
    let subscription = scene.subscribe(PRO, Card::Ok);
    scene.world.advance(14 * DAY);
    let update = to(&scene, &subscription, ESSENTIEL, Proration::AlwaysInvoice);
    scene.world.update_subscription(&subscription, &update).unwrap();
    assert_eq!(
        scene.world.customer(&scene.customer).unwrap().balance_cents,
        -1000
    );
    scene.world.advance_to(boundary(START, Month, 2) + HOUR);
    assert_eq!(scene.world.customer(&scene.customer).unwrap().balance_cents, 0);
    let due: Vec<i64> = scene
        .world
        .invoices()
        .iter()
        .map(|invoice| invoice.amount_due)
        .collect();
    assert_eq!(due, [2900, 0, 0, 800]);
}

#[test]
fn a_schedule_lowers_the_price_with_the_period_and_lets_go() {
    let mut scene = Scene::new();
    let subscription = scene.subscribe(PRO, Card::Ok);
    let period = scene.subscription(&subscription).period;
    let schedule = scene.world.create_schedule(&subscription).unwrap().id.clone();
    let phases = [
        NewPhase {
            price: PRO.to_owned(),
            start: Some(period.start),
            end: Some(period.end),
            ..NewPhase::default()
        },
        NewPhase {
            price: ESSENTIEL.to_owned(),
            proration: Proration::None,
            ..NewPhase::default()
        },
    ];
    let release = Some(EndBehavior::Release);
    scene
        .world
        .update_schedule(&schedule, Some(&phases), release, &Metadata::new())
        .unwrap();
    scene.world.advance_to(period.end - 1);
    assert_eq!(scene.subscription(&subscription).price, PRO);
    scene.world.advance(1 + HOUR);
    assert_eq!(scene.subscription(&subscription).price, ESSENTIEL);
    assert_eq!(scene.latest(&subscription).amount_paid, 900);
    scene.world.advance_to(boundary(START, Month, 2));
    assert_eq!(
        scene.world.schedule(&schedule).unwrap().status,
        ScheduleStatus::Completed
    );
    assert_eq!(scene.subscription(&subscription).schedule, None);
    assert_eq!(scene.status(&subscription), Status::Active);
}

#[test]
fn a_released_schedule_changes_nothing_more() {
    let mut scene = Scene::new();
    let subscription = scene.subscribe(PRO, Card::Ok);
    scene.world.portal_change(&subscription, ESSENTIEL).unwrap();
    let schedule = scene.subscription(&subscription).schedule.clone().unwrap();
    scene.world.release_schedule(&schedule).unwrap();
    scene.world.advance(40 * DAY);
    assert_eq!(scene.subscription(&subscription).price, PRO);
    assert!(scene.kinds(0).contains(&"subscription_schedule.released"));
}

#[test]
fn a_portal_that_is_set_up_so_changes_at_once_and_asks_for_the_difference_later() {
    let mut scene = Scene::new();
    scene.world.account.portal_changes = PortalChanges {
        proration: Proration::Create,
        lower_at_period_end: false,
    };
    let subscription = scene.subscribe(ESSENTIEL, Card::Ok);
    scene.world.advance(14 * DAY);
    for price in [PRO, ESSENTIEL, PRO] {
        scene.world.portal_change(&subscription, price).unwrap();
        assert_eq!(scene.subscription(&subscription).price, price);
        assert_eq!(scene.world.invoices().iter().count(), 1);
    }
    scene.world.advance_to(boundary(START, Month, 1) + HOUR);
    assert_eq!(scene.latest(&subscription).amount_paid, 2900 - 450 + 1450);
}
