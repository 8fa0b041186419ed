//! Copies that are graded again: a proposal that was published stays until another takes its place.

use shared::domain::copy::{Copy, CopyState, Lease, Resolution};
use shared::domain::failure::CopyFailure;
use shared::domain::ids::CopyId;
use shared::domain::run::{Address, ReservationState, Reserved, Run};
use shared::store::result_run;

use super::on_both;
use super::world::{AT_ONCE, GRANTED, LEASE_SECONDS, World, charge, estimates, warm_up};
use crate::emulators::Emulator;

on_both! {
    a_copy_graded_again_shows_the_later_proposal_and_is_charged_by_each_run
    a_proposal_stays_while_its_copy_is_graded_again
    a_copy_graded_again_that_fails_keeps_its_proposal_and_shows_its_failure
    a_copy_graded_again_that_is_given_back_is_graded_as_before
    copies_to_grade_again_that_are_never_taken_fail_visibly_and_keep_their_proposals
    a_run_that_was_not_asked_to_leaves_alone_what_was_graded_since
    a_preparation_that_comes_again_never_takes_what_the_run_has_graded
    a_worker_of_the_earlier_run_publishes_nothing_any_more
    a_runs_cost_is_that_of_its_own_proposals
}

impl World {
    /// A run that grades each of the copies for so many tokens, to its end.
    pub(super) async fn graded(&self, copies: &[CopyId], tokens: u64) -> Address {
        let address = self.started(copies, 5_000).await;
        for &copy in copies {
            let copy = self.taken(&address, copy, "before").await;
            assert_eq!(self.settle(&address, &copy, tokens).await, Resolution::Done);
        }
        self.store.finish(&address, self.now()).await.unwrap();
        address
    }

    /// A run that is to grade the copies again, accepted and no more.
    async fn asked_again(&self, copies: &[CopyId]) -> Run {
        let run = self.run();
        let reserved = self
            .reserve_for(&run, &estimates(copies, 5_000, true), None)
            .await;
        assert_eq!(reserved.unwrap(), Reserved::Accepted(run.run));
        run
    }

    /// The same, with its copies claimed.
    async fn started_again(&self, copies: &[CopyId]) -> Address {
        let address = self.asked_again(copies).await.address();
        let claimed = self.store.claim_copies(&address, self.now()).await.unwrap();
        assert!(claimed.is_some());
        address
    }

    async fn fail(&self, address: &Address, copy: &Copy) {
        let failure = CopyFailure::file_missing();
        let failed = self.store.void(address, copy, &failure, 0, self.now()).await;
        assert_eq!(failed.unwrap(), Resolution::Done);
    }
}

/// The run whose proposal is published.
fn shown(copy: &Copy) -> Option<shared::domain::ids::RunId> {
    copy.result.as_deref().and_then(result_run)
}

async fn a_copy_graded_again_shows_the_later_proposal_and_is_charged_by_each_run(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(2).await;
    let first = world.graded(&copies, 1_000).await;
    let second = world.started_again(&copies[..1]).await;
    let copy = world.taken(&second, copies[0], "a").await;
    for expected in [Resolution::Done, Resolution::Already] {
        assert_eq!(world.settle(&second, &copy, 3_000).await, expected);
    }
    world.store.finish(&second, world.now()).await.unwrap();
    let (again, once) = (world.copy(copies[0]).await, world.copy(copies[1]).await);
    assert_eq!((shown(&again), shown(&once)), (Some(second.run), Some(first.run)));
    assert_eq!(again.summary.unwrap().charged_tokens, 3_000);
    assert_eq!(world.counter().await.used, 5_000);
    world.check(&[first, second]).await;
}

async fn a_proposal_stays_while_its_copy_is_graded_again(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(1).await;
    let first = world.graded(&copies, 1_000).await;
    let before = world.copy(copies[0]).await;
    let second = world.started_again(&copies).await;
    let is_there = async |state| {
        let copy = world.copy(copies[0]).await;
        assert_eq!((copy.state, copy.run), (state, Some(second.run)));
        assert_eq!(
            (copy.result, copy.summary),
            (before.result.clone(), before.summary.clone())
        );
    };
    is_there(CopyState::Queued).await;
    let copy = world.taken(&second, copies[0], "a").await;
    is_there(CopyState::Leased).await;
    assert!(world.store.release(&second, &copy, AT_ONCE).await.unwrap());
    is_there(CopyState::Queued).await;
    world.taken(&second, copies[0], "b").await;
    world.clock.advance_seconds(LEASE_SECONDS + 1);
    is_there(CopyState::Leased).await;
    world.check(&[first, second]).await;
}

async fn a_copy_graded_again_that_fails_keeps_its_proposal_and_shows_its_failure(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(1).await;
    let first = world.graded(&copies, 1_000).await;
    let second = world.started_again(&copies).await;
    let copy = world.taken(&second, copies[0], "a").await;
    world.fail(&second, &copy).await;
    let ended = world.store.finish(&second, world.now()).await.unwrap().unwrap();
    assert_eq!((ended.state, ended.failed), (ReservationState::Void, 1));
    let failed = world.copy(copies[0]).await;
    assert_eq!((failed.state, failed.run), (CopyState::Failed, Some(second.run)));
    assert_eq!(
        (shown(&failed), failed.failure.is_some()),
        (Some(first.run), true)
    );
    assert_eq!(world.counter().await.remaining, GRANTED - 1_000);
    // It is tried again only by a run that was asked to.
    let unasked = world.started(&copies, 5_000).await;
    assert_eq!(world.lease(&unasked, copies[0], "b").await, Lease::Gone);
    let third = world.started_again(&copies).await;
    let copy = world.taken(&third, copies[0], "c").await;
    assert_eq!(world.settle(&third, &copy, 2_000).await, Resolution::Done);
    let graded = world.copy(copies[0]).await;
    assert_eq!(
        (graded.state, shown(&graded)),
        (CopyState::Graded, Some(third.run))
    );
    assert_eq!(graded.failure, None);
    world.check(&[first, second, unasked, third]).await;
}

async fn a_copy_graded_again_that_is_given_back_is_graded_as_before(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(3).await;
    let first = world.graded(&copies, 1_000).await;
    let second = world.started_again(&copies[..2]).await;
    let third = world.asked_again(&copies[2..]).await.address();
    let held = world.taken(&second, copies[0], "a").await;
    for run in [&second, &third] {
        world.store.stop(run, world.now()).await.unwrap();
    }
    // What its worker does when it sees the stop.
    world.store.hand_back(&second, &held, world.now()).await.unwrap();
    let ended = world.store.finish(&second, world.now()).await.unwrap().unwrap();
    assert_eq!((ended.state, ended.skipped()), (ReservationState::Void, 2));
    for copy in copies {
        let copy = world.copy(copy).await;
        assert_eq!((copy.state, shown(&copy)), (CopyState::Graded, Some(first.run)));
    }
    let counter = world.counter().await;
    assert_eq!((counter.reserved, counter.used), (0, 3_000));
    world.check(&[first, second, third]).await;
}

async fn copies_to_grade_again_that_are_never_taken_fail_visibly_and_keep_their_proposals(
    emulator: Emulator,
) {
    let world = World::new(emulator).await;
    let copies = world.copies(2).await;
    let first = world.graded(&copies, 1_000).await;
    let claimed = world.started_again(&copies[..1]).await;
    let unclaimed = world.asked_again(&copies[1..]).await.address();
    for (run, &copy) in [&claimed, &unclaimed].into_iter().zip(&copies) {
        let ended = world.store.expire(run, world.now()).await.unwrap().unwrap();
        assert_eq!((ended.state, ended.failed), (ReservationState::Void, 1));
        let copy = world.copy(copy).await;
        assert_eq!((copy.state, copy.run), (CopyState::Failed, Some(run.run)));
        assert_eq!(copy.failure.as_ref().unwrap().code(), "expired");
        assert_eq!(shown(&copy), Some(first.run));
    }
    world.check(&[first, claimed, unclaimed]).await;
}

async fn a_run_that_was_not_asked_to_leaves_alone_what_was_graded_since(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(3).await;
    let (picked, expiring) = (world.run(), world.run());
    for run in [&picked, &expiring] {
        world.reserve_run(run, &copies, 5_000).await.unwrap();
    }
    let other = world.graded(&copies[..2], 1_000).await;
    let failed = world.started_again(&copies[1..2]).await;
    let copy = world.taken(&failed, copies[1], "a").await;
    world.fail(&failed, &copy).await;

    let (picked, expiring) = (picked.address(), expiring.address());
    world.store.claim_copies(&picked, world.now()).await.unwrap();
    world.store.expire(&expiring, world.now()).await.unwrap();
    for &copy in &copies[..2] {
        assert_eq!(world.lease(&picked, copy, "b").await, Lease::Gone);
        assert_eq!(shown(&world.copy(copy).await), Some(other.run));
    }
    assert_eq!(world.copy(copies[0]).await.run, Some(other.run));
    assert_eq!(world.copy(copies[1]).await.run, Some(failed.run));
    let copy = world.taken(&picked, copies[2], "c").await;
    world.settle(&picked, &copy, 1_000).await;
    for run in [&picked, &failed] {
        world.store.finish(run, world.now()).await.unwrap();
    }
    assert_eq!(world.reservation(&picked).await.skipped(), 2);
    let counter = world.counter().await;
    assert_eq!((counter.reserved, counter.used), (0, 3_000));
    world.check(&[picked, expiring, other, failed]).await;
}

async fn a_preparation_that_comes_again_never_takes_what_the_run_has_graded(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(2).await;
    let first = world.graded(&copies, 1_000).await;
    let second = world.started_again(&copies).await;
    let copy = world.taken(&second, copies[0], "a").await;
    world.settle(&second, &copy, 1_000).await;
    let third = world.started_again(&copies[..1]).await;
    let copy = world.taken(&third, copies[0], "b").await;
    world.fail(&third, &copy).await;
    // The second run's preparation died before it was recorded, and comes again.
    let again = world.store.claim_copies(&second, world.now()).await.unwrap();
    assert!(again.unwrap().is_empty());
    let copy = world.copy(copies[0]).await;
    assert_eq!((copy.state, copy.run), (CopyState::Failed, Some(third.run)));
    assert_eq!(shown(&copy), Some(second.run));
    world.check(&[first, second, third]).await;
}

async fn a_worker_of_the_earlier_run_publishes_nothing_any_more(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(1).await;
    let first = world.started(&copies, 5_000).await;
    let sleeper = world.taken(&first, copies[0], "a").await;
    world.clock.advance_seconds(LEASE_SECONDS + 1);
    let copy = world.taken(&first, copies[0], "b").await;
    world.settle(&first, &copy, 1_000).await;
    world.store.finish(&first, world.now()).await.unwrap();
    let second = world.started_again(&copies).await;
    assert_eq!(world.settle(&first, &sleeper, 2_000).await, Resolution::Fenced);
    // In the second run, the same number of leases: the epochs are equal, the runs are not.
    world.taken(&second, copies[0], "c").await;
    assert_eq!(world.settle(&first, &sleeper, 2_000).await, Resolution::Fenced);
    let shows = world.copy(copies[0]).await;
    assert_eq!(shows.result, Some(charge(&copy, 0).result));
    world.check(&[first, second]).await;
}

async fn a_runs_cost_is_that_of_its_own_proposals(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(2).await;
    let grade = async |address: &Address, copy: CopyId, tokens: u64| {
        let copy = world.taken(address, copy, "a").await;
        let mut charge = charge(&copy, tokens);
        charge.summary.spent = vec![warm_up(tokens)];
        let settled = world.store.settle(address, &copy, &charge, world.now()).await;
        assert_eq!(settled.unwrap(), Resolution::Done);
    };
    let cost = async |address: &Address| {
        world.store.finish(address, world.now()).await.unwrap();
        let record = world.store.run(world.assignment, address.run).await.unwrap();
        let spent = record.unwrap().spent;
        spent.iter().map(|line| line.usage.input_tokens).sum::<u64>()
    };
    let first = world.started(&copies, 5_000).await;
    for &copy in &copies {
        grade(&first, copy, 1_000).await;
    }
    assert_eq!(cost(&first).await, 2_000);
    let second = world.started_again(&copies).await;
    let failing = world.taken(&second, copies[0], "b").await;
    world.fail(&second, &failing).await;
    grade(&second, copies[1], 3_000).await;
    assert_eq!(
        cost(&second).await,
        3_000,
        "the proposal of the first run is not its own"
    );
    assert_eq!(cost(&first).await, 2_000);
    world.check(&[first, second]).await;
}
