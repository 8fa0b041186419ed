//! What the ledger promises, one rule a test.

use futures::future::join_all;
use shared::domain::copy::{CopyState, EPOCHS_MAX, Lease, Resolution};
use shared::domain::failure::{Conflict, CopyFailure, Failure};
use shared::domain::run::{COPIES_MAX, Message, PREFIX_RESERVE_TOKENS, ReservationState, Reserved, RunState};
use shared::store::Extended;

use super::on_both;
use super::world::{GRANTED, LEASE_SECONDS, World};
use crate::emulators::Emulator;

on_both! {
    a_thousand_reserves_at_the_edge_of_the_quota_overshoot_by_nothing
    a_run_that_does_not_fit_changes_nothing
    a_repeated_request_reserves_once_and_another_body_is_told
    a_copy_delivered_ten_times_is_charged_once
    a_worker_that_wakes_after_its_lease_ran_out_charges_nothing
    a_killed_workers_copy_is_finished_by_another_until_it_was_tried_too_often
    a_stop_returns_what_was_not_used
    a_stop_before_the_copies_are_claimed_returns_everything
    a_failed_copy_is_free_and_can_be_retried
    a_run_that_ran_out_of_time_fails_its_copies_visibly
    two_runs_over_the_same_copies_grade_each_once
    a_crash_after_the_reservation_leaves_its_message_in_the_outbox
    five_hundred_copies_are_one_run
    a_copy_that_needs_more_asks_before_anything_is_sent
    a_charge_never_passes_its_reservation
}

async fn a_thousand_reserves_at_the_edge_of_the_quota_overshoot_by_nothing(emulator: Emulator) {
    let world = World {
        granted: 300_000,
        ..World::new(emulator).await
    };
    let copies = world.copies(1).await;
    let each = 1_000 + PREFIX_RESERVE_TOKENS;
    let runs: Vec<_> = (0..1_000).map(|_| world.run()).collect();
    let outcomes = join_all(runs.iter().map(|run| world.reserve_run(run, &copies, 1_000))).await;
    let mut accepted = Vec::new();
    for (run, outcome) in runs.iter().zip(outcomes) {
        match outcome.unwrap() {
            Reserved::Accepted(_) => accepted.push(run.address()),
            Reserved::Refused(counter) => assert!(counter.remaining < each),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(accepted.len() as u64, 300_000 / each);
    let counter = world.counter().await;
    assert_eq!(counter.reserved, accepted.len() as u64 * each);
    world.check(&accepted).await;
}

async fn a_run_that_does_not_fit_changes_nothing(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(2).await;
    let run = world.run();
    let Reserved::Refused(counter) = world.reserve_run(&run, &copies, GRANTED).await.unwrap() else {
        panic!("a run over the quota was accepted");
    };
    assert_eq!((counter.remaining, counter.reserved), (GRANTED, 0));
    assert_eq!(world.store.reservation(&run.address()).await.unwrap(), None);
    assert!(world.unsent(world.now().plus_seconds(1)).await.is_empty());
    world.check(&[]).await;
}

async fn a_repeated_request_reserves_once_and_another_body_is_told(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(1).await;
    let (first, second) = (world.run(), world.run());
    let reserve = async |run, body| {
        world
            .reserve_keyed(run, &copies, 1_000, Some(("key", body)))
            .await
            .unwrap()
    };
    assert_eq!(reserve(&first, "body").await, Reserved::Accepted(first.run));
    assert_eq!(reserve(&second, "body").await, Reserved::Repeated(first.run));
    let reused = world.reserve_keyed(&second, &copies, 1_000, Some(("key", "another body")));
    assert_eq!(reused.await, Err(Failure::Conflict(Conflict::KeyReused)));
    assert_eq!(world.counter().await.reserved, 1_000 + PREFIX_RESERVE_TOKENS);
    world.check(&[first.address(), second.address()]).await;
}

async fn a_copy_delivered_ten_times_is_charged_once(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(1).await;
    let address = world.started(&copies, 5_000).await;
    let deliver = async |holder: usize| match world.lease(&address, copies[0], &format!("w{holder}")).await {
        Lease::Taken(copy) => Some(world.settle(&address, &copy, 2_000).await),
        Lease::Busy(_) | Lease::Gone => None,
        Lease::Exhausted(_) => panic!("leased too often"),
    };
    let outcomes = join_all((0..10).map(deliver)).await;
    assert_eq!(
        outcomes
            .iter()
            .filter(|it| **it == Some(Resolution::Done))
            .count(),
        1
    );
    world.clock.advance_seconds(LEASE_SECONDS + 1);
    assert_eq!(world.lease(&address, copies[0], "late").await, Lease::Gone);
    let posted = world.store.finish(&address, world.now()).await.unwrap().unwrap();
    assert_eq!(
        (posted.state, posted.used, posted.graded),
        (ReservationState::Posted, 2_000, 1)
    );
    assert_eq!(world.counter().await.used, 2_000);
    world.check(&[address]).await;
}

async fn a_worker_that_wakes_after_its_lease_ran_out_charges_nothing(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(1).await;
    let address = world.started(&copies, 5_000).await;
    let zombie = world.taken(&address, copies[0], "first").await;
    world.clock.advance_seconds(LEASE_SECONDS + 1);
    let second = world.taken(&address, copies[0], "second").await;
    assert_eq!(world.settle(&address, &zombie, 4_000).await, Resolution::Fenced);
    assert!(!world.store.set_phase(&address, &zombie, "grading").await.unwrap());
    assert_eq!(world.settle(&address, &second, 2_000).await, Resolution::Done);
    assert_eq!(world.settle(&address, &second, 2_000).await, Resolution::Already);
    let failure = CopyFailure::attempts_exhausted();
    assert_eq!(
        world
            .store
            .void(&address, &zombie, &failure, 0, world.now())
            .await
            .unwrap(),
        Resolution::Fenced
    );
    world.store.finish(&address, world.now()).await.unwrap();
    let published = world.copy(copies[0]).await.result.unwrap();
    assert!(published.ends_with("/2.json"), "the second lease's: {published}");
    assert_eq!(world.counter().await.used, 2_000);
    world.check(&[address]).await;
}

async fn a_killed_workers_copy_is_finished_by_another_until_it_was_tried_too_often(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(1).await;
    let address = world.started(&copies, 5_000).await;
    for epoch in 1..=EPOCHS_MAX {
        let copy = world.taken(&address, copies[0], &format!("w{epoch}")).await;
        assert_eq!(copy.epoch, epoch);
        assert!(matches!(
            world.lease(&address, copies[0], "eager").await,
            Lease::Busy(_)
        ));
        world.clock.advance_seconds(LEASE_SECONDS + 1);
    }
    let Lease::Exhausted(copy) = world.lease(&address, copies[0], "one more").await else {
        panic!("leased without bound");
    };
    let failure = CopyFailure::attempts_exhausted();
    assert_eq!(
        world
            .store
            .void(&address, &copy, &failure, 0, world.now())
            .await
            .unwrap(),
        Resolution::Done
    );
    world.store.finish(&address, world.now()).await.unwrap();
    let copy = world.copy(copies[0]).await;
    assert_eq!((copy.state, copy.failure), (CopyState::Failed, Some(failure)));
    assert_eq!(world.counter().await.remaining, GRANTED);
    world.check(&[address]).await;
}

async fn a_stop_returns_what_was_not_used(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(5).await;
    let address = world.started(&copies, 5_000).await;
    let done = world.taken(&address, copies[0], "a").await;
    world.settle(&address, &done, 1_500).await;
    let in_hand = world.taken(&address, copies[1], "b").await;
    let stopping = world.store.stop(&address, world.now()).await.unwrap().unwrap();
    assert_eq!(
        (stopping.run_state(), stopping.open, stopping.skipped()),
        (RunState::Stopping, 1, 3)
    );
    world.check(std::slice::from_ref(&address)).await;
    world.settle(&address, &in_hand, 2_500).await;
    let stopped = world.store.stop(&address, world.now()).await.unwrap().unwrap();
    assert_eq!(
        (stopped.run_state(), stopped.graded, stopped.used),
        (RunState::Stopped, 2, 4_000)
    );
    assert_eq!(world.counter().await.remaining, GRANTED - 4_000);
    assert_eq!(world.copy(copies[4]).await.state, CopyState::New);
    let again = world.started(&copies[2..], 5_000).await;
    world.check(&[address, again]).await;
}

async fn a_stop_before_the_copies_are_claimed_returns_everything(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(90).await;
    let run = world.run();
    world.reserve_run(&run, &copies, 500).await.unwrap();
    let stopped = world
        .store
        .stop(&run.address(), world.now())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((stopped.state, stopped.open), (ReservationState::Void, 0));
    assert_eq!(
        world
            .store
            .claim_copies(&run.address(), world.now())
            .await
            .unwrap(),
        None
    );
    assert_eq!(world.counter().await.remaining, GRANTED);
    world.check(&[run.address()]).await;
}

async fn a_failed_copy_is_free_and_can_be_retried(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(2).await;
    let first = world.started(&copies, 5_000).await;
    let copy = world.taken(&first, copies[0], "a").await;
    let failure = CopyFailure::file_missing();
    let void = async || {
        world
            .store
            .void(&first, &copy, &failure, 700, world.now())
            .await
            .unwrap()
    };
    assert_eq!(
        (void().await, void().await),
        (Resolution::Done, Resolution::Already)
    );
    let other = world.taken(&first, copies[1], "b").await;
    world.settle(&first, &other, 1_000).await;
    let posted = world.store.finish(&first, world.now()).await.unwrap().unwrap();
    assert_eq!((posted.used, posted.waste, posted.failed), (1_000, 700, 1));
    let second = world.started(&copies[..1], 5_000).await;
    let copy = world.taken(&second, copies[0], "c").await;
    assert_eq!((copy.epoch, copy.failure.as_ref()), (1, None));
    world.settle(&second, &copy, 1_000).await;
    world.store.finish(&second, world.now()).await.unwrap();
    assert_eq!(world.counter().await.used, 2_000);
    world.check(&[first, second]).await;
}

async fn a_run_that_ran_out_of_time_fails_its_copies_visibly(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(3).await;
    let address = world.started(&copies, 5_000).await;
    world.taken(&address, copies[0], "dies").await;
    let alive_until_later = world.now();
    world.clock.advance_seconds(LEASE_SECONDS + 1);
    let held = world.taken(&address, copies[1], "works").await;
    assert!(alive_until_later < world.now());
    let left = world.store.expire(&address, world.now()).await.unwrap().unwrap();
    assert_eq!(
        (left.open, left.failed),
        (1, 2),
        "the copy in hand is left to its worker"
    );
    world.settle(&address, &held, 1_000).await;
    let ended = world.store.expire(&address, world.now()).await.unwrap().unwrap();
    assert_eq!(
        (ended.run_state(), ended.graded, ended.failed),
        (RunState::Expired, 1, 2)
    );
    assert_eq!(world.copy(copies[0]).await.failure.unwrap().code(), "expired");
    world.check(&[address]).await;
}

async fn two_runs_over_the_same_copies_grade_each_once(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(4).await;
    let (first, second) = (world.run(), world.run());
    world.reserve_run(&first, &copies[..3], 5_000).await.unwrap();
    world.reserve_run(&second, &copies[1..], 5_000).await.unwrap();
    let (now, store) = (world.now(), &world.store);
    let (a, b) = (first.address(), second.address());
    let (one, two) = futures::future::join(store.claim_copies(&a, now), store.claim_copies(&b, now)).await;
    let sent: Vec<_> = [one, two]
        .into_iter()
        .flat_map(|it| it.unwrap().unwrap())
        .flat_map(|it| it.messages())
        .collect();
    assert_eq!(sent.len(), 4, "each copy has one message");
    for message in sent {
        let Message::Grade { address, copy } = message else {
            panic!("{message:?}")
        };
        let copy = world.taken(&address, copy, "w").await;
        world.settle(&address, &copy, 1_000).await;
    }
    for run in [&a, &b] {
        store.claim_copies(run, now).await.unwrap().unwrap();
        assert_eq!(store.finish(run, now).await.unwrap().unwrap().open, 0);
    }
    assert_eq!(world.counter().await.used, 4_000);
    world.check(&[a, b]).await;
}

async fn a_crash_after_the_reservation_leaves_its_message_in_the_outbox(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(12).await;
    let run = world.run();
    world.reserve_run(&run, &copies, 1_000).await.unwrap();
    let later = world.now().plus_seconds(60);
    let unsent = world.unsent(later).await;
    let messages: Vec<_> = unsent.iter().flat_map(|it| it.messages()).collect();
    assert_eq!(messages, [Message::Prepare(run.address())]);
    world
        .store
        .claim_copies(&run.address(), world.now())
        .await
        .unwrap()
        .unwrap();
    let again = world
        .store
        .claim_copies(&run.address(), world.now())
        .await
        .unwrap()
        .unwrap();
    assert!(again.is_empty(), "a second preparation claims nothing twice");
    let waiting: usize = world
        .unsent(later)
        .await
        .iter()
        .map(|it| it.messages().len())
        .sum();
    assert_eq!(waiting, 1 + 12, "I4: what was not sent is still to be sent");
    let pending = world.store.pending_runs(None, 10).await.unwrap().found;
    let (found, _) = world.store.pending_run(&pending[0]).await.unwrap().unwrap();
    assert_eq!((pending.len(), found), (1, run.address()));
    world.check(&[run.address()]).await;
}

async fn five_hundred_copies_are_one_run(emulator: Emulator) {
    let world = World {
        granted: 6_000_000,
        ..World::new(emulator).await
    };
    let copies = world.copies(COPIES_MAX).await;
    let address = world.started(&copies, 5_000).await;
    assert_eq!(
        world.counter().await.reserved,
        5_000 * 500 + PREFIX_RESERVE_TOKENS
    );
    for batch in copies.chunks(20) {
        join_all(batch.iter().map(async |&copy| {
            let copy = world.taken(&address, copy, "w").await;
            assert_eq!(world.settle(&address, &copy, 2_000).await, Resolution::Done);
        }))
        .await;
    }
    let posted = world.store.finish(&address, world.now()).await.unwrap().unwrap();
    assert_eq!((posted.graded, posted.used), (500, 1_000_000));
    world.check(&[address]).await;
}

async fn a_copy_that_needs_more_asks_before_anything_is_sent(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(1).await;
    let address = world.started(&copies, 5_000).await;
    let mut copy = world.taken(&address, copies[0], "a").await;
    let extend = async |copy: &_, tokens| world.extend(&address, copy, tokens).await;
    assert_eq!(extend(&copy, GRANTED).await, Extended::QuotaExceeded);
    assert_eq!(extend(&copy, 25_000).await, Extended::To(25_000));
    assert_eq!(
        extend(&copy, 25_000).await,
        Extended::To(25_000),
        "asking again takes hold once"
    );
    assert_eq!(
        world.counter().await.reserved,
        5_000 + 20_000 + PREFIX_RESERVE_TOKENS
    );
    copy.reserved_tokens = 25_000;
    world.settle(&address, &copy, 24_000).await;
    world.store.finish(&address, world.now()).await.unwrap();
    assert_eq!(world.counter().await.used, 24_000);
    world.check(&[address]).await;
}

async fn a_charge_never_passes_its_reservation(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(1).await;
    let address = world.started(&copies, 5_000).await;
    let copy = world.taken(&address, copies[0], "a").await;
    world.settle(&address, &copy, 7_000).await;
    let posted = world.store.finish(&address, world.now()).await.unwrap().unwrap();
    assert_eq!((posted.used, posted.waste), (5_000, 2_000), "the excess is ours");
    world.check(&[address]).await;
}
