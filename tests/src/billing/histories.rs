//! Random histories: whatever a customer does, and however the news of it comes, the account ends as Stripe has it,
//! and its counters stay whole (I1, I2, I5).

use local::stripe::customer::Card;
use local::stripe::refund::NewRefund;
use local::stripe::seed::Seed;
use shared::billing::truth;
use shared::domain::billing::{Cause, Message};
use shared::domain::catalogue::Interval;
use shared::domain::quota::{Counter, Tier};
use shared::domain::subscription::entitle;

use super::world::{DAY, World};

/// Histories of one run of the tests; `CORRIGEUSE_HISTORIES` asks for more.
const HISTORIES: u64 = 12;
const STEPS: u64 = 14;
const CARDS: [Card; 4] = [Card::Ok, Card::Declined, Card::DeclinedLater, Card::NeedsAction];
const PAID: [Tier; 3] = [Tier::Essentiel, Tier::Pro, Tier::Max];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_history_ends_in_the_account_that_stripe_has() {
    let asked = std::env::var("CORRIGEUSE_HISTORIES").ok();
    let count = asked.and_then(|text| text.parse().ok()).unwrap_or(HISTORIES);
    let first = std::env::var("CORRIGEUSE_FIRST_SEED").ok();
    let first: u64 = first.and_then(|text| text.parse().ok()).unwrap_or(1);
    for seed in first..first + count {
        println!("replay with CORRIGEUSE_FIRST_SEED={seed} CORRIGEUSE_HISTORIES=1");
        live(seed).await;
    }
}

async fn live(seed: u64) {
    let mut seed = Seed::new(seed);
    let mut world = World::new().await;
    let mut unheard: Vec<Message> = Vec::new();
    for step in 0..STEPS {
        act(&world, &mut seed, step).await;
        unheard.extend(world.hints());
        hear_some(&world, &mut seed, &mut unheard).await;
        check_counters(&world).await;
    }
    // What was lost is found by the comparison.
    world.tell(&[world.sync(Cause::Reconcile)]).await;
    // A payment that was given back ends its subscription, which is news again.
    world.tell(&[world.sync(Cause::Reconcile)]).await;
    let theirs = truth(&world.stripe, &world.customer).await.unwrap();
    let entitled = entitle(&theirs, &world.doors.catalogue).unwrap();
    assert_eq!(world.billing().await.subscription, entitled.subscription);
    check_counters(&world).await;
}

/// Something that a customer, a bank or time does. What Stripe refuses is refused.
async fn act(world: &World, seed: &mut Seed, step: u64) {
    let pick = |seed: &mut Seed, len: usize| usize::try_from(seed.below(len as u64)).unwrap();
    let customer = world.customer.clone();
    let newest = world
        .fake
        .with(|stripe| stripe.subscriptions().iter().next_back().map(|it| it.id.clone()));
    let charge = world
        .fake
        .with(|stripe| stripe.charges().iter().next_back().map(|it| it.id.clone()));
    match (seed.below(10), newest, charge) {
        (0 | 1, None, _) | (0, _, _) => {
            let tier = PAID[pick(seed, PAID.len())];
            let card = CARDS[pick(seed, CARDS.len())];
            let price = world
                .doors
                .catalogue
                .price(tier, Interval::Month)
                .unwrap()
                .id
                .clone();
            world.try_to_buy(&price, card, step).await;
        }
        (1, Some(id), _) => {
            let tier = PAID[pick(seed, PAID.len())];
            let price = world
                .doors
                .catalogue
                .price(tier, Interval::Month)
                .unwrap()
                .id
                .clone();
            let _refused = world
                .fake
                .with(|stripe| stripe.portal_change(&id, &price).map(drop));
        }
        (2, Some(id), _) => {
            let cancel = seed.chance(50);
            let _refused = world
                .fake
                .with(|stripe| stripe.portal_cancel(&id, cancel).map(drop));
        }
        (3, Some(id), _) => {
            let _refused = world.fake.with(|stripe| stripe.portal_pay(&id).map(drop));
        }
        (4, _, Some(charge)) => {
            let _refused = world.fake.with(|stripe| stripe.open_dispute(&charge).map(drop));
        }
        (5, _, Some(charge)) => {
            let all = NewRefund {
                charge: Some(charge),
                ..NewRefund::default()
            };
            let _refused = world.fake.with(|stripe| stripe.refund(all).map(drop));
        }
        (6, _, _) => {
            let card = CARDS[pick(seed, CARDS.len())];
            let _refused = world
                .fake
                .with(|stripe| stripe.set_card(&customer, card).map(drop));
        }
        _ => world.pass(DAY * i64::try_from(1 + seed.below(20)).unwrap()),
    }
}

/// Some of the news, in any order, some of it twice; some of it is never heard.
async fn hear_some(world: &World, seed: &mut Seed, unheard: &mut Vec<Message>) {
    let mut batch = Vec::new();
    for _ in 0..seed.below(6) {
        if unheard.is_empty() {
            break;
        }
        let place = usize::try_from(seed.below(unheard.len() as u64)).unwrap();
        let message = if seed.chance(30) {
            unheard[place].clone()
        } else {
            unheard.swap_remove(place)
        };
        if !seed.chance(10) {
            batch.push(message);
        }
    }
    world.tell(&batch).await;
}

/// I1 and I2 for the counter of the present period.
async fn check_counters(world: &World) {
    let (store, account) = (&world.doors.store, world.account);
    let plan = world.billing().await.plan(world.now());
    let Some(counter) = store.counter(account, &plan.period).await.unwrap() else {
        return;
    };
    assert!(counter.is_whole(), "{counter:?}");
    let lines = store.entries(account, &plan.period, 1_000).await.unwrap();
    assert_eq!(
        Counter::fold(lines.into_iter().map(|line| line.entry)),
        Some(counter)
    );
}
