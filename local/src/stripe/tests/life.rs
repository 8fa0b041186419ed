//! From the first payment to the end.

use super::super::calendar::Interval::Month;
use super::super::calendar::boundary;
use super::super::change::Update;
use super::super::checkout::SessionStatus;
use super::super::customer::By;
use super::super::invoice::Reason;
use super::super::world::AfterRetries;
use super::*;

#[test]
fn a_paid_page_makes_a_subscription_and_says_so() {
    let mut scene = Scene::new();
    let session = scene.session(ESSENTIEL);
    let seen = scene.seen();
    assert_eq!(scene.world.pay(&session, Card::Ok), Ok(Attempt::Paid));
    let told = [
        "invoice.created",
        "customer.subscription.created",
        "payment_intent.created",
        "invoice.finalized",
        "charge.succeeded",
        "payment_intent.succeeded",
        "customer.subscription.updated",
        "invoice.paid",
        "invoice.payment_succeeded",
        "checkout.session.completed",
    ];
    assert_eq!(scene.kinds(seen), told);
    assert!(
        scene.world.pay(&session, Card::Ok).is_err(),
        "a page is paid once"
    );
}

#[test]
fn a_page_stays_open_until_it_is_paid_or_a_day_old() {
    let mut scene = Scene::new();
    let session = scene.session(ESSENTIEL);
    assert_eq!(scene.world.pay(&session, Card::Declined), Ok(Attempt::Declined));
    assert_eq!(
        scene.world.pay(&session, Card::NeedsAction),
        Ok(Attempt::ActionRequired)
    );
    assert_eq!(
        scene.world.confirm_checkout(&session, false),
        Ok(Attempt::Declined)
    );
    assert_eq!(
        scene.world.subscriptions().iter().count(),
        1,
        "each attempt pays the same subscription"
    );
    let late = scene.session(ESSENTIEL);
    assert_eq!(scene.world.pay(&session, Card::Ok), Ok(Attempt::Paid));
    scene.world.advance(DAY);
    assert_eq!(scene.world.session(&late).unwrap().status, SessionStatus::Expired);
    assert_eq!(
        scene.world.session(&session).unwrap().status,
        SessionStatus::Complete
    );
}

#[test]
fn a_first_payment_that_never_comes_expires_after_23_hours() {
    let mut scene = Scene::new();
    let session = scene.session(ESSENTIEL);
    scene.world.pay(&session, Card::Declined).unwrap();
    let subscription = scene.world.subscriptions().iter().next().unwrap().id.clone();
    assert_eq!(scene.status(&subscription), Status::Incomplete);
    scene.world.advance(23 * HOUR);
    assert_eq!(scene.status(&subscription), Status::IncompleteExpired);
    assert_eq!(scene.latest(&subscription).status, InvoiceStatus::Void);
    // The page is still open for an hour: what is paid now is another subscription.
    assert_eq!(scene.world.pay(&session, Card::Ok), Ok(Attempt::Paid));
    assert_eq!(scene.world.subscriptions().iter().count(), 2);
}

#[test]
fn a_renewal_is_active_at_once_and_paid_an_hour_later() {
    let mut scene = Scene::new();
    let subscription = scene.subscribe(ESSENTIEL, Card::Ok);
    for month in 1..=14 {
        scene.world.advance_to(boundary(START, Month, month));
        let renewed = scene.subscription(&subscription);
        assert_eq!(renewed.status, Status::Active);
        assert_eq!(renewed.period.start, boundary(START, Month, month));
        assert_eq!(renewed.period.end, boundary(START, Month, month + 1));
        let draft = scene.latest(&subscription);
        assert_eq!(
            (draft.status, draft.reason),
            (InvoiceStatus::Draft, Reason::Cycle)
        );
        scene.world.advance(HOUR - 1);
        assert!(!scene.paid(&subscription));
        scene.world.advance(1);
        assert!(scene.paid(&subscription));
    }
}

#[test]
fn a_declined_renewal_is_tried_again_and_then_ends_as_the_settings_say() {
    let check = |then, end| {
        let mut scene = Scene::new();
        scene.world.account.dunning.then = then;
        let subscription = scene.subscribe(ESSENTIEL, Card::DeclinedLater);
        scene.world.advance_to(boundary(START, Month, 1) + HOUR);
        for wait in [3, 5, 7] {
            assert_eq!(scene.status(&subscription), Status::PastDue);
            let next = scene.latest(&subscription).next_attempt;
            assert_eq!(next, Some(scene.world.now() + wait * DAY));
            scene.world.advance(wait * DAY);
        }
        assert_eq!(scene.status(&subscription), end, "{then:?}");
        assert_eq!(scene.latest(&subscription).attempts, 4);
        assert_eq!(scene.latest(&subscription).status, InvoiceStatus::Open);
    };
    check(AfterRetries::Cancel, Status::Canceled);
    check(AfterRetries::Unpaid, Status::Unpaid);
    check(AfterRetries::PastDue, Status::PastDue);
}

#[test]
fn paying_the_newest_invoice_makes_active_again() {
    let mut scene = Scene::new();
    let subscription = scene.subscribe(ESSENTIEL, Card::DeclinedLater);
    scene.world.advance_to(boundary(START, Month, 1) + HOUR);
    let invoice = scene.latest(&subscription).id.clone();
    assert_eq!(
        scene.world.pay_invoice(&invoice, By::Machine),
        Ok(Attempt::Declined)
    );
    assert_eq!(scene.world.pay_invoice(&invoice, By::Customer), Ok(Attempt::Paid));
    assert_eq!(scene.status(&subscription), Status::Active);
    assert!(scene.world.pay_invoice(&invoice, By::Customer).is_err());
}

#[test]
fn a_renewal_that_needs_the_customer_waits_for_them() {
    let mut scene = Scene::new();
    let subscription = scene.subscribe(ESSENTIEL, Card::ActionLater);
    let seen = scene.seen();
    scene.world.advance_to(boundary(START, Month, 1) + HOUR);
    assert_eq!(scene.status(&subscription), Status::PastDue);
    assert!(scene.kinds(seen).contains(&"invoice.payment_action_required"));
    let invoice = scene.latest(&subscription).id.clone();
    assert_eq!(scene.world.confirm(&invoice, true), Ok(Attempt::Paid));
    assert_eq!(scene.status(&subscription), Status::Active);
}

#[test]
fn an_end_with_the_period_can_be_taken_back_until_then() {
    let mut scene = Scene::new();
    let subscription = scene.subscribe(ESSENTIEL, Card::Ok);
    let end = |cancel| Update {
        cancel_at_period_end: Some(cancel),
        ..Update::default()
    };
    for cancel in [true, false, true] {
        scene
            .world
            .update_subscription(&subscription, &end(cancel))
            .unwrap();
    }
    let period = scene.subscription(&subscription).period;
    scene.world.advance_to(period.end - 1);
    assert_eq!(scene.status(&subscription), Status::Active);
    scene.world.advance(1);
    assert_eq!(scene.status(&subscription), Status::Canceled);
    assert_eq!(
        scene.world.invoices().iter().count(),
        1,
        "nothing is charged for another period"
    );
}

#[test]
fn a_pause_and_its_end_are_told() {
    let mut scene = Scene::new();
    let subscription = scene.subscribe(ESSENTIEL, Card::Ok);
    let seen = scene.seen();
    scene.world.pause(&subscription).unwrap();
    scene.world.resume(&subscription).unwrap();
    let told = scene.kinds(seen);
    assert!(
        told.contains(&"customer.subscription.paused") && told.contains(&"customer.subscription.resumed")
    );
}
