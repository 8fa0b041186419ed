//! Refunds, disputes, and invoices that are given up.

use super::super::change::{Proration, Update};
use super::super::refund::{DisputeStatus, NewRefund};
use super::*;

fn charge(scene: &mut Scene) -> String {
    scene.subscribe(ESSENTIEL, Card::Ok);
    scene.world.charges().iter().next().unwrap().id.clone()
}

fn part(charge: &str, cents: Option<i64>) -> NewRefund {
    NewRefund {
        charge: Some(charge.to_owned()),
        cents,
        ..NewRefund::default()
    }
}

#[test]
fn no_more_is_given_back_than_was_taken() {
    let mut scene = Scene::new();
    let charge = charge(&mut scene);
    scene.world.refund(part(&charge, Some(400))).unwrap();
    assert!(scene.world.refund(part(&charge, Some(501))).is_err());
    scene.world.refund(part(&charge, None)).unwrap();
    assert_eq!(scene.world.charge_by_id(&charge).unwrap().refunded_cents, 900);
    let again = scene.world.refund(part(&charge, None)).unwrap_err();
    assert_eq!(again.code, Some("charge_already_refunded"));
    let told = scene.kinds(0);
    assert_eq!(told.iter().filter(|kind| **kind == "charge.refunded").count(), 2);
}

#[test]
fn a_dispute_opens_and_closes_once() {
    let mut scene = Scene::new();
    let charge = charge(&mut scene);
    let dispute = scene.world.open_dispute(&charge).unwrap().id.clone();
    assert!(scene.world.open_dispute(&charge).is_err());
    let refused = scene.world.refund(part(&charge, None)).unwrap_err();
    assert_eq!(refused.code, Some("charge_disputed"));
    let closed = scene.world.close_dispute(&dispute, false).unwrap();
    assert_eq!(closed.status, DisputeStatus::Lost);
    assert!(scene.world.close_dispute(&dispute, true).is_err());
    assert_eq!(scene.kinds(0).last(), Some(&"charge.dispute.closed"));
}

#[test]
fn an_inquiry_takes_no_money_and_can_still_be_answered_by_giving_it_back() {
    type End = fn(&mut Scene, &str, &str);
    let ends: [(End, DisputeStatus, &str); 3] = [
        (
            |scene, _, inquiry| drop(scene.world.close_dispute(inquiry, true).unwrap()),
            DisputeStatus::WarningClosed,
            "charge.dispute.closed",
        ),
        (
            |scene, charge, _| drop(scene.world.refund(part(charge, None)).unwrap()),
            DisputeStatus::WarningClosed,
            "charge.dispute.closed",
        ),
        (
            |scene, charge, inquiry| {
                assert!(scene.world.close_dispute(inquiry, false).is_err());
                scene.world.escalate_inquiry(inquiry).unwrap();
                let refused = scene.world.refund(part(charge, None)).unwrap_err();
                assert_eq!(refused.code, Some("charge_disputed"));
            },
            DisputeStatus::NeedsResponse,
            "charge.dispute.funds_withdrawn",
        ),
    ];
    for (end, status, last) in ends {
        let mut scene = Scene::new();
        let charge = charge(&mut scene);
        let inquiry = scene.world.open_inquiry(&charge).unwrap();
        assert!(inquiry.status.is_inquiry());
        // A part of it leaves the question open.
        scene.world.refund(part(&charge, Some(400))).unwrap();
        assert_eq!(scene.world.dispute(&inquiry.id).unwrap().status, inquiry.status);
        end(&mut scene, &charge, &inquiry.id);
        assert_eq!(scene.world.dispute(&inquiry.id).unwrap().status, status);
        assert_eq!(scene.kinds(0).last(), Some(&last));
        if status.is_inquiry() {
            assert!(scene.world.escalate_inquiry(&inquiry.id).is_err());
        }
    }
}

#[test]
fn an_invoice_that_is_given_up_no_longer_makes_its_subscription_past_due() {
    for uncollectible in [false, true] {
        let mut scene = Scene::new();
        let subscription = scene.subscribe(ESSENTIEL, Card::DeclinedLater);
        scene.world.advance(29 * DAY);
        let renewal = scene.latest(&subscription).id.clone();
        assert_eq!(scene.status(&subscription), Status::PastDue);
        let seen = scene.seen();
        let (given_up, kind) = if uncollectible {
            (
                scene.world.mark_uncollectible(&renewal),
                "invoice.marked_uncollectible",
            )
        } else {
            (scene.world.void_invoice(&renewal), "invoice.voided")
        };
        assert_eq!(given_up.unwrap().next_attempt, None);
        assert_eq!(scene.status(&subscription), Status::Active);
        let told = scene.kinds(seen);
        assert!(
            told.contains(&kind) && told.contains(&"customer.subscription.updated"),
            "{told:?}"
        );
    }
}

#[test]
fn of_two_unpaid_invoices_the_newer_says_how_the_subscription_stands() {
    let mut scene = Scene::new();
    let subscription = scene.subscribe(ESSENTIEL, Card::DeclinedLater);
    scene.world.advance(25 * DAY);
    let update = Update {
        item: Some(scene.subscription(&subscription).item.clone()),
        price: Some(PRO.to_owned()),
        proration: Proration::AlwaysInvoice,
        ..Update::default()
    };
    scene.world.update_subscription(&subscription, &update).unwrap();
    let change = scene.latest(&subscription).id.clone();
    scene.world.advance(4 * DAY);
    let renewal = scene.latest(&subscription).id.clone();
    scene.world.void_invoice(&change).unwrap();
    assert_eq!(scene.status(&subscription), Status::PastDue);
    scene.world.mark_uncollectible(&renewal).unwrap();
    assert_eq!(scene.status(&subscription), Status::Active);
}

#[test]
fn a_draft_that_is_finalized_by_hand_is_charged_to_nobody() {
    let mut scene = Scene::new();
    let subscription = scene.subscribe(ESSENTIEL, Card::Ok);
    scene.world.advance(28 * DAY);
    let draft = scene.latest(&subscription).id.clone();
    let open = scene.world.finalize_invoice(&draft).unwrap();
    assert_eq!((open.status, open.attempts), (InvoiceStatus::Open, 0));
    assert!(scene.world.finalize_invoice(&draft).is_err());
    scene.world.void_invoice(&draft).unwrap();
    scene.world.advance(DAY);
    assert_eq!(scene.latest(&subscription).status, InvoiceStatus::Void);
    assert_eq!(scene.status(&subscription), Status::Active);
}
