//! Thousands of random histories, and what holds in all of them.

use std::collections::BTreeSet;

use super::super::change::{PaymentBehavior, Proration, Update};
use super::super::customer::By;
use super::super::event::Snapshot;
use super::super::json;
use super::super::refund::NewRefund;
use super::super::schedule::NewPhase;
use super::super::seed::Seed;
use super::super::subscription::Cancel;
use super::super::world::{AfterRetries, Metadata};
use super::*;

const PRICES: [&str; 4] = [ESSENTIEL, PRO, PRO_YEARLY, "price_max_monthly"];
const CARDS: [Card; 5] = [
    Card::Ok,
    Card::Declined,
    Card::NeedsAction,
    Card::DeclinedLater,
    Card::ActionLater,
];
const PRORATIONS: [Proration; 3] = [Proration::None, Proration::Create, Proration::AlwaysInvoice];
const PAYMENTS: [PaymentBehavior; 3] = [
    PaymentBehavior::AllowIncomplete,
    PaymentBehavior::PendingIfIncomplete,
    PaymentBehavior::ErrorIfIncomplete,
];

/// What some history must come to, or these tests show little.
const REACHED: [&str; 13] = [
    "checkout.session.completed",
    "checkout.session.expired",
    "customer.subscription.deleted",
    "customer.subscription.pending_update_applied",
    "customer.subscription.pending_update_expired",
    "invoice.payment_action_required",
    "invoice.payment_failed",
    "invoice.marked_uncollectible",
    "invoice.voided",
    "charge.refunded",
    "subscription_schedule.canceled",
    "subscription_schedule.completed",
    "subscription_schedule.released",
];

fn any<T: Copy>(seed: &mut Seed, of: &[T]) -> T {
    of[usize::try_from(seed.below(of.len() as u64)).unwrap()]
}

/// Any id, or half the time the newest: what has just begun must be able to go on.
fn any_id<'a>(seed: &mut Seed, ids: impl Iterator<Item = &'a str>) -> String {
    let ids: Vec<&str> = ids.collect();
    match ids.last() {
        None => "none".to_owned(),
        Some(newest) if seed.chance(50) => (*newest).to_owned(),
        Some(_) => any(seed, &ids).to_owned(),
    }
}

/// One step; what is refused changes nothing that matters here.
fn step(scene: &mut Scene, seed: &mut Seed) {
    let world = &scene.world;
    let subscription = any_id(seed, world.subscriptions().iter().map(|it| it.id.as_str()));
    let session = any_id(seed, world.sessions().iter().map(|it| it.id.as_str()));
    let invoice = any_id(seed, world.invoices().iter().map(|it| it.id.as_str()));
    let schedule = any_id(seed, world.schedules().iter().map(|it| it.id.as_str()));
    let charge = any_id(seed, world.charges().iter().map(|it| it.id.as_str()));
    let (card, price) = (any(seed, &CARDS), any(seed, &PRICES));
    let world = &mut scene.world;
    match seed.below(20) {
        0 => drop(scene.session(price)),
        1 | 2 => drop(world.pay(&session, card)),
        3 => drop(world.confirm_checkout(&session, seed.chance(50))),
        4 => world.advance(i64::try_from(seed.below(3600)).unwrap()),
        5 | 6 => world.advance(i64::try_from(seed.below(40 * 86_400)).unwrap()),
        7 | 8 => {
            let update = Update {
                item: world.subscription(&subscription).ok().map(|it| it.item.clone()),
                price: Some(price.to_owned()),
                proration: any(seed, &PRORATIONS),
                payment: any(seed, &PAYMENTS),
                ..Update::default()
            };
            drop(world.update_subscription(&subscription, &update));
        }
        9 => drop(world.portal_cancel(&subscription, seed.chance(70))),
        10 => drop(world.portal_change(&subscription, price)),
        11 => drop(world.pay_invoice(&invoice, any(seed, &[By::Customer, By::Machine]))),
        12 => drop(world.confirm(&invoice, seed.chance(50))),
        13 => drop(world.set_card(&scene.customer, card)),
        14 => drop(world.cancel_subscription(
            &subscription,
            Cancel {
                prorate: seed.chance(50),
                invoice_now: seed.chance(50),
            },
        )),
        15 => drop(world.refund(NewRefund {
            charge: Some(charge),
            ..NewRefund::default()
        })),
        16 => drop(world.void_invoice(&invoice)),
        17 => drop(world.mark_uncollectible(&invoice)),
        18 => drop(world.finalize_invoice(&invoice)),
        _ => {
            let start = world
                .schedule(&schedule)
                .ok()
                .and_then(|it| it.phases.get(it.current).map(|phase| phase.start));
            let phases = [
                NewPhase {
                    price: PRO.to_owned(),
                    start,
                    end: Some(world.now() + 5 * DAY),
                    ..NewPhase::default()
                },
                NewPhase {
                    price: price.to_owned(),
                    ..NewPhase::default()
                },
            ];
            drop(world.update_schedule(&schedule, Some(&phases), None, &Metadata::new()));
        }
    }
}

fn check(world: &World) {
    for subscription in world.subscriptions().iter() {
        let at = format!("{} {:?}", subscription.id, subscription.status);
        assert!(subscription.period.start < subscription.period.end, "{at}");
        if subscription.status.renews() {
            assert!(
                subscription.period.end > world.now(),
                "{at}: a period that is over"
            );
        }
        if let Some(pending) = &subscription.pending_update {
            assert!(
                subscription.status.renews() && pending.expires_at > world.now(),
                "{at}"
            );
            let waits = world.invoice(&pending.invoice).unwrap().status;
            assert!(
                matches!(waits, InvoiceStatus::Open | InvoiceStatus::Uncollectible),
                "{at}"
            );
        }
        let managed = subscription
            .schedule
            .as_ref()
            .map(|id| world.schedule(id).unwrap().active());
        assert_ne!(managed, Some(false), "{at}: a schedule that manages nothing");
        assert!(!(subscription.status.ended() && managed.is_some()), "{at}");
    }
    for charge in world.charges().iter() {
        assert!(charge.refunded_cents <= charge.cents);
    }
    let mut charged = 0;
    let mut paid = 0;
    for invoice in world.invoices().iter() {
        assert!(invoice.amount_due >= 0 && invoice.amount_paid <= invoice.amount_due);
        paid += invoice.amount_paid;
    }
    for charge in world.charges().iter().filter(|charge| charge.decline.is_none()) {
        charged += charge.cents;
    }
    assert_eq!(charged, paid, "each successful charge pays one invoice");
    let last = world.events().iter().fold(i64::MIN, |before, event| {
        assert!(event.created >= before, "events are in order");
        event.created
    });
    assert!(last <= world.now());
}

#[test]
fn whatever_happens_the_books_agree() {
    let mut told = BTreeSet::new();
    for number in 0..400 {
        let mut seed = Seed::new(number);
        let mut scene = Scene::new();
        scene.world.account.dunning.then = any(
            &mut seed,
            &[AfterRetries::Cancel, AfterRetries::Unpaid, AfterRetries::PastDue],
        );
        for _ in 0..60 {
            step(&mut scene, &mut seed);
            check(&scene.world);
        }
        told.extend(scene.kinds(0));
    }
    let missing: Vec<_> = REACHED.iter().filter(|kind| !told.contains(*kind)).collect();
    assert!(missing.is_empty(), "no history came to {missing:?}");
}

#[test]
fn the_same_seed_plays_the_same_history() {
    let play = || {
        let (mut seed, mut scene) = (Seed::new(3), Scene::new());
        (0..80).for_each(|_| step(&mut scene, &mut seed));
        let account = &scene.world.account;
        let told: Vec<_> = scene
            .world
            .events()
            .iter()
            .map(|event| json::event(account, event))
            .collect();
        told
    };
    assert_eq!(play(), play());
}

#[test]
fn an_event_shows_the_object_as_it_was() {
    let mut scene = Scene::new();
    let subscription = scene.subscribe(ESSENTIEL, Card::Ok);
    scene
        .world
        .cancel_subscription(&subscription, Cancel::default())
        .unwrap();
    let statuses: Vec<Status> = scene
        .world
        .events()
        .iter()
        .filter_map(|event| match &event.object {
            Snapshot::Subscription(it) => Some(it.status),
            _ => None,
        })
        .collect();
    assert_eq!(statuses, [Status::Incomplete, Status::Active, Status::Canceled]);
}
