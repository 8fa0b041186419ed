//! Random histories of one account: its customer, the bank and time do what they like at Stripe, the news comes late,
//! twice, in any order or not at all, and runs reserve, charge and end all the while, also in the middle of a sync. After
//! every step all ledgers of the account are whole (I1, I2, I7); in the end it is what Stripe says (I5).
//!
//! Every run of the tests lives some. `CORRIGEUSE_HISTORIES=10000 cargo test -p tests any_history_ends` lives more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::FutureExt as _;
use futures::future::join_all;
use local::stripe::seed::Seed;
use shared::domain::billing::{Cause, Message};
use shared::domain::copy::Copy;
use shared::domain::ids::{AssignmentId, CopyId};
use shared::domain::plan::Plan;
use shared::domain::quota::Tier;
use shared::domain::run::Address;

use super::acts::Act;
use super::oracle;
use super::place::{Books, Place};
use super::world::World;
use crate::emulators::Emulator;
use crate::faulty::connections;
use crate::ledger::histories::{Step, take};
use crate::ledger::world::World as Ledger;

/// Histories of one run of the tests; `CORRIGEUSE_HISTORIES` asks for more.
const HISTORIES: u64 = 300;
/// Lived side by side.
const LANES: usize = 3;
const STEPS: u64 = 6;
const COPIES: usize = 2;
/// More requests than a sync makes until it has written.
const SYNC_REQUESTS: u64 = 9;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_history_ends_in_the_account_that_stripe_has() {
    let first = asked("CORRIGEUSE_FIRST_SEED").unwrap_or(1);
    let end = first + asked("CORRIGEUSE_HISTORIES").unwrap_or(HISTORIES);
    let seeds = Arc::new(AtomicU64::new(first));
    let table = Emulator::Dynoxide.table().await;
    let lanes = (0..LANES).map(|_| tokio::spawn(lane(Arc::clone(&seeds), end, table.clone())));
    let failed: Vec<u64> = join_all(lanes)
        .await
        .into_iter()
        .filter_map(Result::unwrap)
        .collect();
    assert!(
        failed.is_empty(),
        "CORRIGEUSE_FIRST_SEED={} CORRIGEUSE_HISTORIES=1 lives what failed again",
        failed[0]
    );
}

fn asked(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Lives histories one after the other until there are no more seeds; ends with the first that fails.
async fn lane(seeds: Arc<AtomicU64>, end: u64, table: String) -> Option<u64> {
    let place = Place::new(&connections(), &table).await;
    loop {
        let seed = seeds.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return None;
        }
        let lived = std::panic::AssertUnwindSafe(live(&place, seed))
            .catch_unwind()
            .await;
        if lived.is_err() {
            return Some(seed);
        }
    }
}

async fn live(place: &Place, seed: u64) {
    let mut life = Life::begin(place, seed).await;
    for _ in 0..STEPS {
        life.step().await;
        life.books.check(place, &life.work.runs).await;
    }
    life.end().await;
}

/// An account that buys and grades.
struct Life<'a> {
    place: &'a Place,
    seed: Seed,
    world: World,
    unheard: Vec<Message>,
    /// For whoever must find out why it failed.
    acts: Vec<Act>,
    work: Work,
    books: Books,
}

/// Its runs.
struct Work {
    ledger: Ledger,
    copies: Vec<CopyId>,
    runs: Vec<Address>,
    held: Vec<(Address, Copy)>,
    steps: usize,
}

impl<'a> Life<'a> {
    async fn begin(place: &'a Place, number: u64) -> Self {
        let mut seed = Seed::new(number);
        let world = World::at(place, number).await;
        // The answer of its creation may have been lost: an event then says whose the customer is.
        if !seed.chance(20) {
            world.link().await;
        }
        Self {
            work: Work::of(&world, place).await,
            books: Books::of(world.account),
            unheard: Vec::new(),
            acts: Vec::new(),
            place,
            seed,
            world,
        }
    }

    /// Something happens at Stripe, some of the news is heard, and runs go on: before, between two requests of the
    /// sync, or after.
    async fn step(&mut self) {
        let act = Act::any(&mut self.seed);
        self.acts.push(act);
        self.world.act(act).await;
        self.unheard.extend(self.world.hints());
        let news = self.some_news();
        let requests = usize::try_from(self.seed.below(SYNC_REQUESTS)).unwrap();
        let (place, world, seed) = (self.place, &self.world, &mut self.seed);
        let listening = world.tell(&news);
        // The same account is looked at by another door meanwhile, or its runs go on.
        if seed.chance(15) {
            let act = Act::any(seed);
            self.acts.push(act);
            let meanwhile = async {
                world.act(act).await;
                let asked = world.sync(Cause::Asked);
                world.through(&place.ledger_store).tell(&[asked]).await;
            };
            place.billing.between(requests, listening, meanwhile).await;
        } else {
            let working = self.work.go_on(seed, world);
            place.billing.between(requests, listening, working).await;
        }
    }

    /// Some of the news, in any order, some of it twice; some of it is never heard.
    fn some_news(&mut self) -> Vec<Message> {
        let mut heard = Vec::new();
        for _ in 0..self.seed.below(4) {
            if self.unheard.is_empty() {
                break;
            }
            let place = usize::try_from(self.seed.below(self.unheard.len() as u64)).unwrap();
            let message = if self.seed.chance(30) {
                self.unheard[place].clone()
            } else {
                self.unheard.swap_remove(place)
            };
            if !self.seed.chance(10) {
                heard.push(message);
            }
        }
        heard
    }

    /// What was lost is found by the comparison, and then the account is what Stripe's books say.
    async fn end(mut self) {
        let world = &self.world;
        world.reconcile().await;
        let due = oracle::check(world, &format!("{:?}", self.acts)).await;
        self.books.check_all(self.place, &self.work.runs).await;
        let plan = world.billing().await.plan(world.now());
        let Some((tier, granted)) = due.and_then(|due| due.gives(world.now())) else {
            assert_eq!(plan.tier, Tier::Free, "I5");
            return;
        };
        assert_eq!(plan.tier, tier, "I5");
        let store = &self.place.ledger_store;
        let counter = store.counter(world.account, &plan.period).await.unwrap().unwrap();
        assert_eq!(
            counter.granted,
            granted.max(counter.used + counter.reserved),
            "I5"
        );
    }
}

impl Work {
    async fn of(world: &World, place: &Place) -> Self {
        let plan = Plan::free();
        let ledger = Ledger {
            store: place.ledger_store.clone(),
            clock: world.doors.clock.clone(),
            account: world.account,
            granted: plan.granted_tokens(&world.doors.catalogue),
            period: plan.period,
            assignment: AssignmentId::mint(world.now()),
        };
        Self {
            copies: ledger.copies(COPIES).await,
            ledger,
            runs: Vec::new(),
            held: Vec::new(),
            steps: 0,
        }
    }

    /// A run is started, or those there are go on by a few operations.
    async fn go_on(&mut self, seed: &mut Seed, world: &World) {
        let run = usize::try_from(seed.below(3)).unwrap();
        let held = usize::try_from(seed.below(3)).unwrap();
        let copy = usize::try_from(seed.below(COPIES as u64)).unwrap();
        let tokens = seed.below(60_000);
        let again = seed.chance(30);
        let steps: &[Step] = match seed.below(10) {
            0..3 => &[
                Step::Start {
                    from: copy,
                    to: COPIES,
                    tokens,
                    again,
                },
                Step::Claim { run: self.runs.len() },
            ],
            3 | 4 => &[
                Step::Lease { run, copy },
                Step::Settle {
                    held: self.held.len(),
                    tokens,
                },
            ],
            5 => &[
                Step::Lease { run, copy },
                Step::Extend {
                    held: self.held.len(),
                    more: tokens,
                    told: true,
                },
            ],
            6 => &[Step::Settle { held, tokens }, Step::Finish { run }],
            7 => &[Step::Void { held }, Step::Finish { run }],
            8 => &[Step::Stop { run }, Step::Claim { run }],
            _ => &[Step::Expire { run }],
        };
        for step in steps {
            if matches!(step, Step::Start { .. }) && !self.may_start(world).await {
                return;
            }
            let (runs, held) = (&mut self.runs, &mut self.held);
            take(&self.ledger, &self.copies, runs, held, step.clone(), self.steps).await;
            self.steps += 1;
        }
    }

    /// As the door of runs does: the period that counts now, unless something holds the account.
    async fn may_start(&mut self, world: &World) -> bool {
        let plan = self.ledger.store.plan(world.account, world.now()).await.unwrap();
        self.ledger.granted = plan.granted_tokens(&world.doors.catalogue);
        self.ledger.period = plan.period;
        plan.hold.is_none()
    }
}
