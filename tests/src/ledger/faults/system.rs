//! The system around the ledger, in small: a client that asks again, workers that die and are replaced, a queue
//! that delivers again, and the real sweeper. Only what a worker does with its model is left out.

use std::cell::Cell;

use shared::domain::copy::{Copy, CopyState, Lease, Resolution};
use shared::domain::failure::{CopyFailure, Failure};
use shared::domain::ids::CopyId;
use shared::domain::quota::Entry;
use shared::domain::run::{Address, Message, PREFIX_RESERVE_TOKENS, Reservation, ReservationState, Reserved};
use shared::store::{EntryLine, Extended, Preparation, Queue, Reserve};
use sweeper::{Doors, sweep};

use crate::faulty::Faulty;
use crate::ledger::world::{GRANTED, LEASE_SECONDS, World, charge, estimates, grader, warm_up};

const ESTIMATE: u64 = 5_000;
/// What the first copy is to hold, in two steps: what the warm-up left is enough for the first alone.
const MORE: [u64; 2] = [8_000, 10_000];
const LONG: u64 = 9_500;
const PLAIN: u64 = 2_000;
const WARM_UP: u64 = 1_000;
const WASTE: u64 = 500;
const LATE: u64 = 4_000;
const BEFORE: u64 = 1_500;
const UPGRADE: u64 = 1_200_000;
const REFUND: u64 = 60_000;
const RUN_SECONDS: i64 = 6 * 3600;
const ATTEMPTS_MAX: usize = 5;
const ROUNDS_MAX: usize = 8;

/// What happens beside the grading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plot {
    /// Nothing; three copies, each of its own kind.
    Straight,
    /// Nothing; more copies than one outbox group holds.
    TwoGroups,
    /// The teacher stops the run before it is prepared.
    StoppedAtOnce,
    /// The teacher stops the run after a few copies.
    StoppedMidway,
    /// A worker sleeps through its lease; it speaks up after another has taken its copy.
    TwoWorkers,
    /// The account changes its tier twice.
    Regrant,
    /// An earlier run has graded the copies.
    GradedBefore,
}

impl Plot {
    const fn copies(self) -> usize {
        match self {
            Self::Straight | Self::TwoWorkers | Self::Regrant | Self::GradedBefore => 3,
            Self::TwoGroups | Self::StoppedAtOnce | Self::StoppedMidway => 12,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Done,
    Later,
}

/// One account's run, from the request to its end.
pub(super) struct System {
    plot: Plot,
    world: World,
    faulty: Faulty,
    queue: Queue,
    copies: Vec<CopyId>,
    /// The run that graded them before.
    before: Option<Address>,
    attempts: Cell<u32>,
    delivered: Cell<usize>,
}

impl System {
    /// `sober` sees the same table without faults.
    pub(super) async fn new(
        plot: Plot,
        sober: &World,
        faulty: Faulty,
        doors: (shared::store::Store, Queue),
    ) -> Self {
        let copies = sober.copies(plot.copies()).await;
        let before = if plot == Plot::GradedBefore {
            Some(sober.graded(&copies, BEFORE).await)
        } else {
            None
        };
        let (store, queue) = doors;
        Self {
            plot,
            world: sober.through(store),
            faulty,
            queue,
            copies,
            before,
            attempts: Cell::new(0),
            delivered: Cell::new(0),
        }
    }

    /// Lives until the run has ended and nothing is left to be sent, and checks what then is.
    pub(super) async fn live(&self, sober: &World) {
        let address = self.insist(async || self.request().await).await;
        if self.plot == Plot::StoppedAtOnce {
            self.stop(&address).await;
        }
        for _ in 0..ROUNDS_MAX {
            let mut again = Vec::new();
            while let Some(message) = self.faulty.receive() {
                let next = self.attempt(self.handle(&message)).await;
                if matches!(message, Message::Grade { .. }) {
                    self.delivered.set(self.delivered.get() + 1);
                    self.meanwhile(&address).await;
                }
                if next != Some(Next::Done) {
                    again.push(message);
                }
            }
            // A dead worker's lease runs out, its message comes back, the sweeper comes by.
            self.world.clock.advance_seconds(LEASE_SECONDS + 1);
            let doors = Doors {
                store: self.world.store.clone(),
                queue: self.queue.clone(),
                post: None,
                clock: self.world.clock.clone(),
            };
            self.attempt(async { Ok(sweep(&doors).await) }).await;
            let quiet = again.is_empty();
            again
                .into_iter()
                .for_each(|message| self.faulty.put_back(message));
            if quiet && self.is_over(sober, &address).await {
                return self.check(sober, &address).await;
            }
        }
        panic!("the run does not end: {:?}", sober.reservation(&address).await);
    }

    /// One life: `None` when it ends early or with an error that time heals.
    async fn attempt<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Option<T> {
        let lived = tokio::select! {
            biased;
            () = self.faulty.death() => return None,
            lived = work => lived,
        };
        match lived {
            Ok(value) => Some(value),
            Err(Failure::Unavailable(_)) => None,
            Err(failure) => panic!("not a failure that time heals: {failure:?}"),
        }
    }

    /// What a client does that got no answer.
    async fn insist<T>(&self, ask: impl AsyncFn() -> Result<T, Failure>) -> T {
        for _ in 0..ATTEMPTS_MAX {
            if let Some(value) = self.attempt(ask()).await {
                return value;
            }
        }
        panic!("no answer in {ATTEMPTS_MAX} attempts");
    }

    /// Asks for the run. A new attempt mints a new run; the idempotency key says that it is the same.
    async fn request(&self) -> Result<Address, Failure> {
        let run = self.world.run();
        let copies = estimates(&self.copies, ESTIMATE, self.before.is_some());
        let reserve = Reserve {
            run: &run,
            copies: &copies,
            granted_tokens: GRANTED,
            idempotency: Some(("key", "body")),
            starting: None,
            expires_at: self.world.now().plus_seconds(RUN_SECONDS),
        };
        let (outcome, pending) = self.world.store.reserve(&reserve).await?;
        if let Some(pending) = pending {
            // A message that is not sent now waits in the outbox.
            drop(self.world.store.relay(&self.queue, &pending).await);
        }
        match outcome {
            Reserved::Accepted(accepted) | Reserved::Repeated(accepted) => Ok(Address {
                run: accepted,
                ..run.address()
            }),
            other => panic!("{other:?}"),
        }
    }

    async fn stop(&self, address: &Address) {
        let stopped = self
            .insist(async || self.world.store.stop(address, self.world.now()).await)
            .await;
        assert!(stopped.unwrap().stop);
    }

    /// What happens beside the grading, after so many deliveries.
    async fn meanwhile(&self, address: &Address) {
        let world = &self.world;
        let regrant =
            async |granted, revision| self.insist(async || world.regrant(granted, revision).await).await;
        match (self.plot, self.delivered.get()) {
            (Plot::StoppedMidway, 3) => self.stop(address).await,
            (Plot::Regrant, 1) => assert_eq!(regrant(UPGRADE, 1).await.granted, UPGRADE),
            (Plot::Regrant, 3) => assert_eq!(regrant(REFUND, 2).await.granted, REFUND),
            _ => {}
        }
    }

    async fn handle(&self, message: &Message) -> Result<Next, Failure> {
        match message {
            Message::Prepare(address) => self.prepare(address).await,
            Message::Grade { address, copy } => self.grade(address, *copy).await,
        }
    }

    async fn prepare(&self, address: &Address) -> Result<Next, Failure> {
        let (store, now) = (&self.world.store, self.world.now());
        self.attempts.set(self.attempts.get() + 1);
        let holder = self.attempts.get().to_string();
        let epoch = match store
            .lease_preparation(address, &holder, &grader(), now, now.plus_seconds(LEASE_SECONDS))
            .await?
        {
            Preparation::Taken(record) => record.prepare_epoch,
            Preparation::Busy(_) => return Ok(Next::Later),
            Preparation::Exhausted(_) => {
                store.expire(address, now).await?;
                return Ok(Next::Done);
            }
            Preparation::Gone => return Ok(Next::Done),
        };
        let reservation = store.reservation(address).await?.unwrap();
        if reservation.state != ReservationState::Pending {
            return Ok(Next::Done);
        }
        if reservation.stop {
            store.stop(address, now).await?;
            return Ok(Next::Done);
        }
        let charged = store.charge_warm_up(address, &warm_up(WARM_UP), now).await?;
        if charged == Resolution::Already {
            store.record_waste(address, None, epoch, WARM_UP, now).await?;
        }
        let Some(pending) = store.claim_copies(address, now).await? else {
            store.stop(address, now).await?;
            return Ok(Next::Done);
        };
        for group in &pending {
            drop(store.relay(&self.queue, group).await);
        }
        store.finish(address, now).await?;
        Ok(Next::Done)
    }

    async fn grade(&self, address: &Address, id: CopyId) -> Result<Next, Failure> {
        let copy = match self.lease(address, id).await? {
            Ok(copy) => copy,
            Err(next) => return Ok(next),
        };
        if self.plot != Plot::TwoWorkers || id != self.copies[2] || copy.epoch > 1 {
            return self.resolve(address, copy).await;
        }
        self.world.clock.advance_seconds(LEASE_SECONDS + 1);
        let other = match self.lease(address, id).await {
            Ok(Ok(other)) => self.resolve(address, other).await,
            Ok(Err(next)) => Ok(next),
            Err(failure) => Err(failure),
        };
        let late = self.late(address, &copy).await?;
        if other.is_ok() {
            assert_eq!(late, Resolution::Fenced, "a sleeper is fenced");
        }
        other
    }

    /// What a sleeper tries: it charges another sum and shows another result.
    async fn late(&self, address: &Address, copy: &Copy) -> Result<Resolution, Failure> {
        let (store, now) = (&self.world.store, self.world.now());
        store.set_phase(address, copy, "grading").await?;
        store
            .extend(address, copy, copy.reserved_tokens + 700, now)
            .await?;
        let resolution = store.settle(address, copy, &charge(copy, LATE), now).await?;
        if resolution == Resolution::Fenced {
            store
                .record_waste(address, Some(copy.copy), copy.epoch, LATE, now)
                .await?;
        }
        Ok(resolution)
    }

    /// A lease, or what becomes of the message.
    async fn lease(&self, address: &Address, id: CopyId) -> Result<Result<Copy, Next>, Failure> {
        let (store, now) = (&self.world.store, self.world.now());
        self.attempts.set(self.attempts.get() + 1);
        let holder = self.attempts.get().to_string();
        let until = now.plus_seconds(LEASE_SECONDS);
        let copy = match store.lease(address, id, &holder, now, until).await? {
            Lease::Taken(copy) => *copy,
            Lease::Busy(_) => return Ok(Err(Next::Later)),
            Lease::Gone => return Ok(Err(Next::Done)),
            Lease::Exhausted(copy) => panic!("leased too often: {copy:?}"),
        };
        let reservation = store.reservation(address).await?.unwrap();
        if reservation.state != ReservationState::Pending || reservation.stop {
            store.hand_back(address, &copy, now).await?;
            store.finish(address, now).await?;
            return Ok(Err(Next::Done));
        }
        Ok(Ok(copy))
    }

    async fn resolve(&self, address: &Address, mut copy: Copy) -> Result<Next, Failure> {
        let (store, now) = (&self.world.store, self.world.now());
        let place = self.copies.iter().position(|id| *id == copy.copy).unwrap();
        let resolution = match place {
            0 => {
                if !store.set_phase(address, &copy, "grading").await? {
                    return Ok(Next::Done);
                }
                // A lease that follows a dead one finds what that one took hold of.
                for tokens in MORE {
                    match store.extend(address, &copy, tokens, now).await? {
                        Extended::To(tokens) => copy.reserved_tokens = tokens,
                        Extended::Later | Extended::QuotaExceeded => panic!("the quota holds it"),
                        Extended::Fenced => return Ok(Next::Done),
                    }
                }
                store.settle(address, &copy, &charge(&copy, LONG), now).await?
            }
            1 => {
                store
                    .void(address, &copy, &CopyFailure::file_missing(), WASTE, now)
                    .await?
            }
            _ => store.settle(address, &copy, &charge(&copy, PLAIN), now).await?,
        };
        assert_ne!(resolution, Resolution::Fenced, "nobody else has the copy");
        store.finish(address, now).await?;
        Ok(Next::Done)
    }

    async fn is_over(&self, sober: &World, address: &Address) -> bool {
        let resolved = sober.reservation(address).await.state != ReservationState::Pending;
        let later = sober.now().plus_seconds(1);
        resolved && self.faulty.waiting() == 0 && sober.unsent(later).await.is_empty()
    }

    /// Whatever failed on the way, the end is one of those that the plot allows.
    async fn check(&self, sober: &World, address: &Address) {
        let runs: Vec<Address> = self.before.iter().chain([address]).cloned().collect();
        sober.check(&runs).await;
        let (reservation, counter) = (sober.reservation(address).await, sober.counter().await);
        let copies = sober.store.all_copies(sober.assignment).await.unwrap();
        let mut lines = sober
            .store
            .entries(sober.account, &sober.period, 1_000)
            .await
            .unwrap();
        let of_before = |line: &EntryLine| {
            let before = self.before.as_ref();
            before.is_some_and(|before| line.operation.starts_with(&format!("run#{}#", before.run)))
        };
        lines.retain(|line| !of_before(line));
        let count = |part: &str| lines.iter().filter(|line| line.operation.contains(part)).count();
        assert_eq!(count("#copy#"), self.copies.len(), "I3: each copy ends once");
        assert_eq!((reservation.open, counter.reserved), (0, 0));
        let in_state = |state| copies.iter().filter(move |copy| copy.state == state);
        assert_eq!(in_state(CopyState::Graded).count(), reservation.graded as usize);
        assert_eq!(in_state(CopyState::Failed).count(), reservation.failed as usize);
        assert_eq!(in_state(CopyState::New).count(), reservation.skipped() as usize);
        let mut used = WARM_UP * count("#warm") as u64;
        for copy in in_state(CopyState::Graded) {
            let charged = copy.summary.as_ref().unwrap().charged_tokens;
            assert!(
                charged <= copy.reserved_tokens,
                "I6: {charged} of {}",
                copy.reserved_tokens
            );
            used += charged;
        }
        let before = self
            .before
            .as_ref()
            .map_or(0, |_| BEFORE * self.copies.len() as u64);
        assert_eq!(counter.used, before + used);
        let proposals = copies.iter().filter(|copy| copy.has_proposal()).count();
        assert!(
            self.before.is_none() || proposals == self.copies.len(),
            "a proposal is lost"
        );
        let failed = lines
            .iter()
            .find(|line| line.operation.ends_with(&format!("#copy#{}", self.copies[1])));
        let waste = matches!(failed.unwrap().entry, Entry::Charge { waste: WASTE, .. });
        self.check_plot(&reservation, used, waste, count("regrant#"));
    }

    fn check_plot(&self, reservation: &Reservation, used: u64, waste: bool, regrants: usize) {
        let stopped = matches!(self.plot, Plot::StoppedAtOnce | Plot::StoppedMidway);
        assert_eq!(reservation.stop, stopped);
        assert_eq!(regrants, if self.plot == Plot::Regrant { 2 } else { 0 });
        if self.plot == Plot::StoppedAtOnce {
            assert_eq!((reservation.graded, used), (0, 0), "nothing was begun");
        }
        if stopped {
            return;
        }
        let copies = self.copies.len() as u64;
        let estimated = PREFIX_RESERVE_TOKENS + ESTIMATE * copies;
        let all = WARM_UP + LONG + PLAIN * (copies - 2);
        assert_eq!(
            (u64::from(reservation.graded), reservation.failed),
            (copies - 1, 1)
        );
        assert!(waste, "what was paid for the failed copy has its line");
        assert!(
            reservation.amount < estimated + MORE[1] - ESTIMATE,
            "what the warm-up left was used first: {reservation:?}"
        );
        if self.plot == Plot::TwoWorkers && used != all {
            // The second worker died before it had the copy: the first one's result stands.
            assert_eq!(used, all - PLAIN + LATE);
        } else {
            assert_eq!(used, all);
        }
    }
}
