//! One account with one assignment on an empty table, and the checks that must hold after everything.

use aws_config::SdkConfig;
use shared::clock::Clock;
use shared::domain::catalogue::{Catalogue, Interval};
use shared::domain::copy::{Copy, CopyState, Lease, Resolution, ResultSummary};
use shared::domain::failure::Failure;
use shared::domain::ids::{AccountId, AssignmentId, CopyId, RunId};
use shared::domain::money::{Cost, Spent, Usage};
use shared::domain::quota::{Counter, Entry, Period, Tier};
use shared::domain::run::{
    Address, Estimate, Grader, PREFIX_RESERVE_TOKENS, Reservation, ReservationState, Reserved, Run,
};
use shared::domain::subscription::{Payment, Subscription};
use shared::domain::time::UnixMillis;
use shared::store::{Answer, Charge, Clients, EntryLine, Extended, Pending, Reserve, Store, result_run};

use crate::emulators::Emulator;

pub(super) const START_MILLIS: i64 = 1_763_596_800_000;
pub(super) const GRANTED: u64 = 100_000;
pub(super) const LEASE_SECONDS: i64 = 330;
/// What is given back may be taken at once.
pub(super) const AT_ONCE: UnixMillis = UnixMillis::new(0);
const SUBSCRIPTION: &str = "sub_1";
const RUN_SECONDS: i64 = 6 * 3600;

/// An account with an assignment.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) account: AccountId,
    pub(crate) period: Period,
    pub(crate) assignment: AssignmentId,
    pub(crate) granted: u64,
}

/// Who grades is all one to the ledger.
pub(super) fn grader() -> Grader {
    Grader {
        provider: "local".to_owned(),
        model: "model".to_owned(),
        prompt_version: "prompt".to_owned(),
    }
}

impl World {
    pub(super) async fn new(emulator: Emulator) -> Self {
        Self::on(emulator.config().await, &emulator.table().await)
    }

    pub(super) fn on(config: SdkConfig, table: &str) -> Self {
        let clock = Clock::fixed(START_MILLIS);
        let now = UnixMillis::new(START_MILLIS);
        Self {
            store: Clients::on(config).store(table),
            account: AccountId::mint(now),
            period: Period::parse(&format!("{SUBSCRIPTION}@{}", START_MILLIS / 1000)).unwrap(),
            assignment: AssignmentId::mint(now),
            granted: GRANTED,
            clock,
        }
    }

    /// The same world, seen through other clients: faulty ones.
    pub(super) fn through(&self, store: Store) -> Self {
        Self {
            store,
            clock: self.clock.clone(),
            period: self.period.clone(),
            ..*self
        }
    }

    pub(super) fn now(&self) -> UnixMillis {
        UnixMillis::new(self.clock.now_millis())
    }

    /// Stripe's answer of this revision: the period now grants so many tokens.
    pub(super) async fn regrant(&self, granted: u64, revision: u64) -> Result<Counter, Failure> {
        let mut catalogue = serde_json::to_value(Catalogue::default()).unwrap();
        for (tier, tokens) in [("free", granted - 1), ("essentiel", granted)] {
            catalogue[tier]["tokens"] = tokens.into();
        }
        let start = UnixMillis::new(START_MILLIS);
        let subscription = Subscription {
            id: SUBSCRIPTION.to_owned(),
            tier: Tier::Essentiel,
            interval: Interval::Month,
            term_start: start,
            term_end: start.plus_seconds(30 * 24 * 3_600),
            started_at: start,
            renews: true,
            paid: true,
            payment: Payment::Paid,
            kept_until: None,
            pay_page: None,
            frozen: false,
            pending: None,
        };
        let answer = Answer {
            account: self.account,
            revision,
            subscription: Some(&subscription),
            contact: None,
            events: &[],
            catalogue: &serde_json::from_value(catalogue).unwrap(),
            now: self.now(),
        };
        self.store.record(&answer).await?;
        Ok(self.store.counter(self.account, &self.period).await?.unwrap())
    }

    pub(crate) async fn copies(&self, count: usize) -> Vec<CopyId> {
        let now = self.now();
        let copies: Vec<Copy> = (0..count)
            .map(|place| Copy {
                copy: CopyId::mint(now),
                assignment: self.assignment,
                file_name: format!("{place}.pdf"),
                pupil: None,
                size_bytes: 1000,
                created_at: now,
                state: CopyState::New,
                run: None,
                phase: None,
                epoch: 0,
                lease_until: None,
                reserved_tokens: 0,
                kept_tokens: 0,
                released_epoch: 0,
                result: None,
                summary: None,
                failure: None,
            })
            .collect();
        self.store.put_copies(&copies).await.unwrap();
        copies.into_iter().map(|copy| copy.copy).collect()
    }

    pub(super) fn run(&self) -> Run {
        Run {
            run: RunId::mint(self.now()),
            account: self.account,
            period: self.period.clone(),
            assignment: self.assignment,
            rubric_version: 1,
            retry_of: None,
            correlation: "correlation".to_owned(),
            created_at: self.now(),
        }
    }

    pub(super) async fn reserve_run(
        &self,
        run: &Run,
        copies: &[CopyId],
        tokens: u64,
    ) -> Result<Reserved, Failure> {
        self.reserve_keyed(run, copies, tokens, None).await
    }

    pub(super) async fn reserve_keyed(
        &self,
        run: &Run,
        copies: &[CopyId],
        tokens: u64,
        idempotency: Option<(&str, &str)>,
    ) -> Result<Reserved, Failure> {
        self.reserve_for(run, &estimates(copies, tokens, false), idempotency)
            .await
    }

    pub(super) async fn reserve_for(
        &self,
        run: &Run,
        copies: &[Estimate],
        idempotency: Option<(&str, &str)>,
    ) -> Result<Reserved, Failure> {
        let reserve = Reserve {
            run,
            copies,
            granted_tokens: self.granted,
            idempotency,
            starting: None,
            expires_at: self.now().plus_seconds(RUN_SECONDS),
        };
        self.store.reserve(&reserve).await.map(|(outcome, _)| outcome)
    }

    /// A run whose copies are reserved and claimed.
    pub(super) async fn started(&self, copies: &[CopyId], tokens: u64) -> Address {
        let run = self.run();
        assert_eq!(
            self.reserve_run(&run, copies, tokens).await.unwrap(),
            Reserved::Accepted(run.run)
        );
        self.store
            .claim_copies(&run.address(), self.now())
            .await
            .unwrap()
            .unwrap();
        run.address()
    }

    pub(super) async fn lease(&self, address: &Address, copy: CopyId, holder: &str) -> Lease {
        let until = self.now().plus_seconds(LEASE_SECONDS);
        self.store
            .lease(address, copy, holder, self.now(), until)
            .await
            .unwrap()
    }

    pub(super) async fn taken(&self, address: &Address, copy: CopyId, holder: &str) -> Copy {
        match self.lease(address, copy, holder).await {
            Lease::Taken(copy) => *copy,
            other => panic!("expected a lease, got {other:?}"),
        }
    }

    pub(super) async fn settle(&self, address: &Address, copy: &Copy, tokens: u64) -> Resolution {
        self.store
            .settle(address, copy, &charge(copy, tokens), self.now())
            .await
            .unwrap()
    }

    pub(super) async fn extend(&self, address: &Address, copy: &Copy, tokens: u64) -> Extended {
        self.store
            .extend(address, copy, tokens, self.now())
            .await
            .unwrap()
    }

    /// What the whole outbox holds from before `before`.
    pub(super) async fn unsent(&self, before: UnixMillis) -> Vec<Pending> {
        self.store.unsent(before, None, 1_000).await.unwrap().found
    }

    pub(super) async fn counter(&self) -> Counter {
        self.store
            .counter(self.account, &self.period)
            .await
            .unwrap()
            .unwrap()
    }

    pub(super) async fn copy(&self, copy: CopyId) -> Copy {
        self.store.copy(self.assignment, copy).await.unwrap().unwrap()
    }

    pub(super) async fn reservation(&self, address: &Address) -> Reservation {
        self.store.reservation(address).await.unwrap().unwrap()
    }

    /// I1, I2, I3 for every run, and that each resolved copy was charged at most once.
    pub(super) async fn check(&self, runs: &[Address]) {
        let counter = self.counter().await;
        assert!(counter.is_whole(), "I1: {counter:?}");
        let lines = self
            .store
            .entries(self.account, &self.period, 10_000)
            .await
            .unwrap();
        assert_eq!(
            Counter::fold(lines.iter().map(|line| line.entry)),
            Some(counter),
            "I2"
        );
        let (mut pending, mut posted) = (0, 0);
        for address in runs {
            let Some(reservation) = self.store.reservation(address).await.unwrap() else {
                continue;
            };
            assert!(reservation.is_whole(), "{reservation:?}");
            let prefix = format!("run#{}#", address.run);
            let of_run: Vec<_> = lines
                .iter()
                .filter(|line| line.operation.starts_with(&prefix))
                .collect();
            let (charged, wasted) = of_run
                .iter()
                .map(|line| match line.entry {
                    Entry::Charge { tokens, waste } => (tokens, waste),
                    _ => (0, 0),
                })
                .fold((0, 0), |sum, line| (sum.0 + line.0, sum.1 + line.1));
            let reserved: u64 = of_run
                .iter()
                .map(|line| {
                    if let Entry::Reserve { tokens } = line.entry {
                        tokens
                    } else {
                        0
                    }
                })
                .sum();
            assert_eq!(reservation.amount, reserved, "I2: what a run holds was reserved");
            assert_eq!(
                reservation.used, charged,
                "I2: the run's used is the sum of its charges"
            );
            assert!(
                reservation.waste <= wasted,
                "I6: what was paid for nothing has its line"
            );
            let count = |end: &str| {
                lines
                    .iter()
                    .filter(|line| line.operation == format!("{prefix}{end}"))
                    .count()
            };
            assert_eq!(count("reserve"), 1, "I3: reserved once");
            let resolved = reservation.state != ReservationState::Pending;
            assert_eq!(count("post"), usize::from(resolved), "I3: resolved once");
            if resolved {
                assert_eq!(reservation.open, 0);
                posted += reservation.used;
            } else {
                pending += reservation.amount;
            }
            self.check_copies(address, &reservation, &lines).await;
        }
        assert_eq!(
            (counter.reserved, counter.used),
            (pending, posted),
            "I2: reserved and used are the runs'"
        );
    }

    async fn check_copies(&self, address: &Address, reservation: &Reservation, lines: &[EntryLine]) {
        let manifest = self.store.manifest(address).await.unwrap();
        let asked: Vec<CopyId> = manifest.iter().map(|estimate| estimate.copy).collect();
        let asked = self.store.copies_by_id(self.assignment, &asked).await.unwrap();
        let published = |copy: &&Copy| copy.result.as_deref().and_then(result_run) == Some(address.run);
        let proposals = asked.iter().filter(published).count();
        let (copies, elsewhere): (Vec<_>, Vec<_>) =
            asked.iter().partition(|copy| copy.run == Some(address.run));
        assert!(
            (proposals..=proposals + elsewhere.len()).contains(&(reservation.graded as usize)),
            "I3: a charge has its proposal, until a later run's takes its place"
        );
        let count = |state: CopyState| copies.iter().filter(|copy| copy.state == state).count();
        let busy = count(CopyState::Queued) + count(CopyState::Leased);
        assert!(
            busy <= reservation.open as usize,
            "a busy copy is open in its run"
        );
        let has = |name: String| lines.iter().any(|line| line.operation == name);
        let mut held = 0;
        for estimate in manifest {
            let claimed = copies.iter().find(|copy| copy.copy == estimate.copy);
            let busy = claimed.filter(|copy| copy.state.is_busy());
            if has(format!("run#{}#copy#{}", address.run, estimate.copy)) {
                assert_eq!(busy, None, "I4: a resolved copy waits for nobody");
            } else {
                held += busy.map_or(estimate.tokens, |copy| copy.reserved_tokens);
            }
        }
        if !has(format!("run#{}#warm", address.run)) {
            held += PREFIX_RESERVE_TOKENS;
        }
        assert!(
            reservation.free + held <= reservation.left,
            "what is free is held by nobody: {held} beside {reservation:?}"
        );
        for copy in &copies {
            assert!(
                copy.epoch <= shared::domain::copy::EPOCHS_MAX,
                "I6: leases are bounded"
            );
            match copy.state {
                CopyState::New => assert!(!copy.has_proposal(), "I3"),
                CopyState::Graded => assert!(copy.has_proposal(), "I3"),
                CopyState::Queued | CopyState::Leased | CopyState::Failed => {}
            }
        }
    }
}

pub(super) fn estimates(copies: &[CopyId], tokens: u64, again: bool) -> Vec<Estimate> {
    let estimate = |&copy| Estimate { copy, tokens, again };
    copies.iter().map(estimate).collect()
}

pub(super) fn charge(copy: &Copy, tokens: u64) -> Charge {
    let run = copy.run.unwrap();
    Charge {
        result: format!(
            "results/{}/{}/{run}/{}.json",
            copy.assignment, copy.copy, copy.epoch
        ),
        summary: ResultSummary {
            total: "12".to_owned(),
            total_on_20: "12".to_owned(),
            flags: Vec::new(),
            charged_tokens: 0,
            spent: Vec::new(),
        },
        pupil: None,
        used_tokens: tokens,
        waste_tokens: 0,
    }
}

/// A call that warmed the cache.
pub(super) fn warm_up(tokens: u64) -> Spent {
    Spent {
        phase: "warm-up".to_owned(),
        model: "model".to_owned(),
        usage: Usage {
            input_tokens: tokens,
            ..Usage::default()
        },
        cost: Cost::default(),
    }
}
