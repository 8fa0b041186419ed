//! What happens to a subscription, by name. However the events of each come (in another order, each of them twice, one
//! of them never), the account is what Stripe's books say, with the same letters (I5), and its ledgers are whole. So it is
//! when they are heard while things go on happening.

use local::stripe::change::Proration;
use local::stripe::customer::Card;
use local::stripe::seed::Seed;
use shared::domain::billing::Cause;
use shared::domain::catalogue::Interval::{Month, Year};
use shared::domain::quota::Tier::{self, Essentiel, Free, Max, Pro};

use super::acts::Act::{self, *};
use super::acts::GivenUp;
use super::kills;
use super::oracle;
use super::place::{Books, Place};
use super::world::World;
use crate::emulators::Emulator;
use crate::faulty::connections;

/// Up to so many events, every order is lived; of more, as many orders as this has.
const EVERY_ORDER_OF: usize = 4;
const ORDERS: usize = 24;
/// How often some of the events are heard between the acts.
const IN_PART: u64 = 4;

/// A piece of a customer's life.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scenario {
    name: &'static str,
    /// What happened before, and was heard.
    pub(super) before: &'static [Act],
    /// What happens then.
    pub(super) then: &'static [Act],
    /// The tier in the end, and what its period grants. Unit: tokens.
    pub(super) ends: (Tier, u64),
}

macro_rules! scenarios {
    ($($name:ident: $before:expr, $then:expr => $tier:ident $tokens:literal;)*) => {
        fn named(name: &'static str) -> Scenario {
            match name {
                $(stringify!($name) => Scenario { name, before: &$before, then: &$then, ends: ($tier, $tokens) },)*
                other => panic!("no scenario is named {other}"),
            }
        }
        mod in_any_order {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::in_any_order(super::named(stringify!($name))).await;
            })*
        }
        mod heard_between_the_acts {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::heard_between_the_acts(super::named(stringify!($name))).await;
            })*
        }
        mod killed_at_every_step {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::kills::at_every_step(super::named(stringify!($name))).await;
            })*
        }
    };
}

scenarios! {
    a_sign_up:
        [], [Buy(Pro, Month, Card::Ok)] => Pro 6_000_000;
    a_sign_up_for_a_year:
        [], [Buy(Max, Year, Card::Ok), Days(40)] => Max 24_000_000;
    an_upgrade:
        [Buy(Essentiel, Month, Card::Ok)], [Upgrade(Max)] => Max 24_000_000;
    an_upgrade_that_the_bank_refuses:
        [Buy(Essentiel, Month, Card::DeclinedLater)], [Upgrade(Max)] => Essentiel 1_200_000;
    a_downgrade:
        [Buy(Max, Month, Card::Ok)], [Downgrade(Essentiel), Days(32)] => Essentiel 1_200_000;
    a_cancellation_and_its_end:
        [Buy(Pro, Month, Card::Ok)], [Cancel(true), Days(32)] => Free 0;
    a_cancellation_that_is_taken_back:
        [Buy(Pro, Month, Card::Ok)], [Cancel(true), Cancel(false)] => Pro 6_000_000;
    a_renewal_that_is_paid:
        [Buy(Pro, Month, Card::Ok)], [Days(32)] => Pro 6_000_000;
    a_renewal_that_is_unpaid:
        [Buy(Pro, Month, Card::DeclinedLater)], [Days(32)] => Pro 300_000;
    a_renewal_that_is_unpaid_and_then_paid:
        [Buy(Pro, Month, Card::DeclinedLater)], [Days(32), Card(Card::Ok), Pay] => Pro 6_000_000;
    a_refund_heard_before_its_invoice:
        [], [Buy(Pro, Month, Card::Ok), Refund] => Free 0;
    a_dispute:
        [Buy(Pro, Month, Card::Ok)], [Dispute] => Pro 6_000_000;
    a_dispute_that_is_won:
        [Buy(Pro, Month, Card::Ok)], [Dispute, Decide(true)] => Pro 6_000_000;
    a_dispute_that_is_lost:
        [Buy(Pro, Month, Card::Ok)], [Dispute, Decide(false)] => Free 0;
    a_dispute_that_is_lost_after_the_next_period_began:
        [Buy(Pro, Month, Card::Ok)], [Dispute, Days(32), Decide(false)] => Free 0;
    two_checkouts_that_are_both_paid:
        [], [Buy(Essentiel, Month, Card::Ok), Buy(Pro, Month, Card::Ok)] => Pro 6_000_000;
    two_customers_for_one_account:
        [Buy(Essentiel, Month, Card::Ok)], [BuyAsAnother(Max)] => Max 24_000_000;
    a_plan_changed_in_the_portal:
        [Buy(Essentiel, Month, Card::Ok)], [Portal(Pro)] => Pro 6_000_000;
    a_plan_raised_in_the_dashboard_without_an_invoice:
        [Buy(Essentiel, Month, Card::Ok)], [Dashboard(Max, Proration::None)] => Essentiel 1_200_000;
    a_plan_raised_in_the_dashboard_that_is_paid_from_the_next_period_on:
        [Buy(Essentiel, Month, Card::Ok)], [Dashboard(Max, Proration::None), Days(32)] => Max 24_000_000;
    a_plan_raised_in_the_dashboard_and_never_paid:
        [Buy(Essentiel, Month, Card::DeclinedLater)],
        [Dashboard(Max, Proration::AlwaysInvoice), GiveUp(GivenUp::Voided)] => Essentiel 1_200_000;
    a_plan_raised_in_a_portal_that_asks_for_the_difference_later:
        [Buy(Essentiel, Month, Card::Ok)], [LaxPortal(Max)] => Essentiel 1_200_000;
    a_plan_raised_for_days_that_were_paid_with_the_next_period:
        [Buy(Essentiel, Month, Card::Ok), LaxPortal(Max), LaxPortal(Essentiel), Days(32)],
        [LaxPortal(Max)] => Essentiel 1_200_000;
    a_higher_plan_that_was_not_paid_for_beside_one_that_was:
        [Buy(Pro, Month, Card::Ok)],
        [Buy(Essentiel, Month, Card::Ok), Dashboard(Max, Proration::None)] => Pro 6_000_000;
    a_plan_bought_while_a_higher_one_waits_for_its_money:
        [Buy(Max, Month, Card::Ok), Days(30), Buy(Essentiel, Month, Card::Ok)], [Cancel(true)]
            => Essentiel 1_200_000;
    a_plan_bought_beside_one_whose_change_is_past_due:
        [
            Buy(Pro, Month, Card::DeclinedLater),
            Dashboard(Max, Proration::AlwaysInvoice),
            Buy(Essentiel, Month, Card::Ok),
        ],
        [Cancel(true)] => Essentiel 1_200_000;
    a_plan_bought_after_one_that_ended_in_a_dispute:
        [Buy(Pro, Month, Card::Ok), Cancel(true), Dispute, Days(32), Buy(Essentiel, Month, Card::Ok)],
        [Cancel(true)] => Essentiel 1_200_000;
    a_renewal_that_is_given_up:
        [Buy(Pro, Month, Card::DeclinedLater), Days(32)], [GiveUp(GivenUp::Voided)] => Pro 300_000;
    a_renewal_that_is_given_up_and_its_grace_that_ends:
        [Buy(Pro, Month, Card::DeclinedLater), Days(32)], [GiveUp(GivenUp::Uncollectible), Days(15)] => Free 0;
    a_renewal_that_is_given_up_before_it_is_tried:
        [Buy(Pro, Month, Card::Ok), Days(30)], [GiveUp(GivenUp::Voided)] => Pro 300_000;
    a_grace_that_a_change_does_not_prolong:
        [Buy(Pro, Month, Card::DeclinedLater), Days(32), GiveUp(GivenUp::Voided), Days(8)],
        [Dashboard(Max, Proration::AlwaysInvoice), Days(6)] => Free 0;
}

async fn in_any_order(scenario: Scenario) {
    let place = Place::new(&connections(), &Emulator::Dynoxide.table().await).await;
    let mut number = 1;
    let (events, letters) = live(&place, number, scenario, None).await;
    assert!(events > 0, "nobody tells");
    let lost = (0..events).map(|lost| (0..events).filter(|it| *it != lost).collect());
    for order in orders(scenario, events).into_iter().chain(lost) {
        number += 1;
        let (_, again) = live(&place, number, scenario, Some(&order)).await;
        assert_eq!(again, letters, "{order:?}");
    }
}

/// Lives it, and hears those of its events that are in `order`, each twice. Returns how many events there were, and
/// the letters that were due.
async fn live(
    place: &Place,
    number: u64,
    scenario: Scenario,
    order: Option<&[usize]>,
) -> (usize, Vec<String>) {
    let mut world = until(place, number, scenario).await;
    let hints = world.hints();
    let natural: Vec<usize> = (0..hints.len()).collect();
    let order = order.unwrap_or(&natural);
    for &event in order {
        world.tell(&[hints[event].clone()]).await;
    }
    let again: Vec<_> = order.iter().rev().map(|&event| hints[event].clone()).collect();
    world.tell(&again).await;
    world.hear().await;
    if order.len() < hints.len() {
        world.reconcile().await;
    }
    let letters = check(place, &world, scenario, &format!("{order:?}")).await;
    (hints.len(), letters)
}

/// The same news, while things go on happening: all of it after each act, which then makes the account what it must be;
/// or some of it, in any order, and the rest in the end.
async fn heard_between_the_acts(scenario: Scenario) {
    let place = Place::new(&connections(), &Emulator::Dynoxide.table().await).await;
    let mut world = World::at(&place, 0).await;
    world.link().await;
    for act in scenario.before.iter().chain(scenario.then) {
        world.act(*act).await;
        world.hear().await;
        oracle::check(&world, &format!("{act:?}")).await;
    }
    // A month of a year that is paid begins without an event: whoever looks next opens it.
    world.tell(&[world.sync(Cause::Asked)]).await;
    check(&place, &world, scenario, "after each act").await;
    for number in 1..=IN_PART {
        heard_in_part(&place, number, scenario).await;
    }
}

async fn heard_in_part(place: &Place, number: u64, scenario: Scenario) {
    let mut seed = scenario.seed(number);
    let mut world = World::at(place, number).await;
    world.link().await;
    let mut unheard = Vec::new();
    for act in scenario.before.iter().chain(scenario.then) {
        world.act(*act).await;
        unheard.extend(world.hints());
        shuffle(&mut seed, &mut unheard);
        let late = usize::try_from(seed.below(unheard.len() as u64 + 1)).unwrap();
        for message in unheard.split_off(late) {
            world.tell(&[message]).await;
        }
    }
    world.tell(&unheard).await;
    world.hear().await;
    world.tell(&[world.sync(Cause::Asked)]).await;
    check(place, &world, scenario, &format!("in part: {number}")).await;
}

/// All of it happens; what happened before was heard.
pub(super) async fn until(place: &Place, number: u64, scenario: Scenario) -> World {
    let mut world = World::at(place, number).await;
    world.link().await;
    for act in scenario.before {
        world.act(*act).await;
        world.hear().await;
    }
    for act in scenario.then {
        world.act(*act).await;
    }
    world
}

impl Scenario {
    /// Chances of its own.
    fn seed(&self, number: u64) -> Seed {
        let letters = self.name.bytes().map(u64::from);
        Seed::new(letters.fold(number, |sum, letter| sum.wrapping_mul(31).wrapping_add(letter)))
    }
}

/// The account is Stripe's and the scenario's, and its ledgers are whole. Returns its letters.
pub(super) async fn check(place: &Place, world: &World, scenario: Scenario, how: &str) -> Vec<String> {
    oracle::check(world, how).await;
    let plan = world.billing().await.plan(world.now());
    let counter = place
        .ledger_store
        .counter(world.account, &plan.period)
        .await
        .unwrap();
    let granted = counter.map_or(0, |counter| counter.granted);
    assert_eq!((plan.tier, granted), scenario.ends, "{how}");
    Books::of(world.account).check_all(place, &[]).await;
    place.letters(world.account).await
}

/// Every order of so many events; or some, the last first among them.
fn orders(scenario: Scenario, events: usize) -> Vec<Vec<usize>> {
    if events <= EVERY_ORDER_OF {
        return every_order((0..events).collect());
    }
    let mut seed = scenario.seed(0);
    let mut order: Vec<usize> = (0..events).rev().collect();
    let mut orders = vec![order.clone()];
    while orders.len() < ORDERS {
        shuffle(&mut seed, &mut order);
        orders.push(order.clone());
    }
    orders
}

fn shuffle<T>(seed: &mut Seed, of: &mut [T]) {
    for place in 1..of.len() {
        of.swap(place, usize::try_from(seed.below(place as u64 + 1)).unwrap());
    }
}

fn every_order(of: Vec<usize>) -> Vec<Vec<usize>> {
    if of.len() < 2 {
        return vec![of];
    }
    let first = |place: usize| {
        let mut rest = of.clone();
        let first = rest.remove(place);
        every_order(rest)
            .into_iter()
            .map(move |rest| [vec![first], rest].concat())
    };
    (0..of.len()).flat_map(first).collect()
}
