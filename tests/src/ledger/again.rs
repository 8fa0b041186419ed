//! What is asked a second time, or too late: by the same worker, after a crash, beside another.

use futures::future::{join, join_all};
use shared::domain::copy::{CopyState, Resolution};
use shared::domain::failure::CopyFailure;
use shared::domain::run::{PREFIX_RESERVE_TOKENS, ReservationState, Reserved};
use shared::store::Extended;

use super::on_both;
use super::world::{AT_ONCE, LEASE_SECONDS, World};
use crate::emulators::Emulator;

on_both! {
    a_run_that_gave_a_copy_back_never_takes_it
    a_copy_that_asks_for_more_twice_in_one_lease_holds_both
    a_preparation_that_comes_again_leaves_resolved_copies_alone
    a_copy_that_a_run_failed_is_not_taken_again_when_another_run_lets_it_go
    a_repeated_request_that_took_the_last_tokens_is_not_refused
    a_lease_whose_reply_was_lost_is_still_the_holders
    a_lease_given_back_twice_was_given_back
    a_sleeper_neither_fails_nor_gives_back_what_another_holds
    changes_of_grant_beside_reservations_lose_nothing
}

async fn a_run_that_gave_a_copy_back_never_takes_it(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(2).await;
    let first = world.started(&copies[..1], 5_000).await;
    let second = world.started(&copies, 5_000).await;
    let failing = world.taken(&first, copies[0], "a").await;
    let failure = CopyFailure::file_missing();
    let failed = world.store.void(&first, &failing, &failure, 0, world.now()).await;
    assert_eq!(failed.unwrap(), Resolution::Done);
    // The second run's preparation died before it was recorded, and comes again: the copy is free now, but the
    // run has counted it as resolved.
    let again = world.store.claim_copies(&second, world.now()).await.unwrap();
    assert!(again.unwrap().is_empty());
    assert_eq!(world.copy(copies[0]).await.state, CopyState::Failed);
    let copy = world.taken(&second, copies[1], "b").await;
    world.settle(&second, &copy, 1_000).await;
    for run in [&first, &second] {
        let ended = world.store.finish(run, world.now()).await.unwrap().unwrap();
        assert_ne!(ended.state, ReservationState::Pending);
    }
    world.check(&[first, second]).await;
}

async fn a_copy_that_asks_for_more_twice_in_one_lease_holds_both(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(2).await;
    let address = world.started(&copies, 5_000).await;
    let mut copy = world.taken(&address, copies[0], "a").await;
    for total in [8_000, 10_000] {
        for _ in 0..2 {
            assert_eq!(world.extend(&address, &copy, total).await, Extended::To(total));
        }
        copy.reserved_tokens = total;
    }
    assert_eq!(
        world.reservation(&address).await.amount,
        15_000 + PREFIX_RESERVE_TOKENS
    );
    assert_eq!(world.copy(copies[0]).await.reserved_tokens, 10_000);
    world.check(&[address]).await;
}

async fn a_preparation_that_comes_again_leaves_resolved_copies_alone(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(2).await;
    let address = world.started(&copies, 5_000).await;
    let copy = world.taken(&address, copies[0], "a").await;
    let failure = CopyFailure::file_missing();
    let failed = world.store.void(&address, &copy, &failure, 0, world.now()).await;
    assert_eq!(failed.unwrap(), Resolution::Done);
    let again = world.store.claim_copies(&address, world.now()).await.unwrap();
    assert!(again.unwrap().is_empty());
    assert_eq!(world.copy(copies[0]).await.state, CopyState::Failed);
    world.check(&[address]).await;
}

async fn a_copy_that_a_run_failed_is_not_taken_again_when_another_run_lets_it_go(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(2).await;
    let first = world.started(&copies, 5_000).await;
    let failing = world.taken(&first, copies[0], "a").await;
    let failure = CopyFailure::file_missing();
    let failed = world.store.void(&first, &failing, &failure, 0, world.now()).await;
    assert_eq!(failed.unwrap(), Resolution::Done);
    let second = world.started(&copies[..1], 5_000).await;
    world.store.stop(&second, world.now()).await.unwrap();
    assert_eq!(world.copy(copies[0]).await.state, CopyState::New);
    // The first run's preparation died before it was recorded, and comes again.
    let again = world.store.claim_copies(&first, world.now()).await.unwrap();
    assert!(again.unwrap().is_empty());
    assert_eq!(world.copy(copies[0]).await.state, CopyState::New);
    world.check(&[first, second]).await;
}

async fn a_repeated_request_that_took_the_last_tokens_is_not_refused(emulator: Emulator) {
    let world = World {
        granted: 5_000 + PREFIX_RESERVE_TOKENS,
        ..World::new(emulator).await
    };
    let copies = world.copies(1).await;
    let (first, second) = (world.run(), world.run());
    let key = Some(("key", "body"));
    let reserve = async |run| world.reserve_keyed(run, &copies, 5_000, key).await.unwrap();
    assert_eq!(reserve(&first).await, Reserved::Accepted(first.run));
    assert_eq!(world.counter().await.remaining, 0);
    assert_eq!(reserve(&second).await, Reserved::Repeated(first.run));
    world.check(&[first.address(), second.address()]).await;
}

async fn a_lease_whose_reply_was_lost_is_still_the_holders(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(1).await;
    let address = world.started(&copies, 5_000).await;
    let lost = world.taken(&address, copies[0], "a").await;
    assert_eq!(world.taken(&address, copies[0], "a").await, lost);
}

async fn a_lease_given_back_twice_was_given_back(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(1).await;
    let address = world.started(&copies, 5_000).await;
    let copy = world.taken(&address, copies[0], "a").await;
    for _ in 0..2 {
        assert!(world.store.release(&address, &copy, AT_ONCE).await.unwrap());
    }
    let next = world.taken(&address, copies[0], "b").await;
    assert!(!world.store.release(&address, &copy, AT_ONCE).await.unwrap());
    assert_eq!(world.copy(copies[0]).await, next);
}

async fn a_sleeper_neither_fails_nor_gives_back_what_another_holds(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(1).await;
    let address = world.started(&copies, 5_000).await;
    let sleeper = world.taken(&address, copies[0], "a").await;
    world.clock.advance_seconds(LEASE_SECONDS + 1);
    let holder = world.taken(&address, copies[0], "b").await;
    let (store, now) = (&world.store, world.now());
    store.hand_back(&address, &sleeper, now).await.unwrap();
    let failed = store
        .void(&address, &sleeper, &CopyFailure::file_missing(), 0, now)
        .await;
    assert_eq!(failed.unwrap(), Resolution::Fenced);
    assert!(!store.release(&address, &sleeper, AT_ONCE).await.unwrap());
    assert_eq!(world.copy(copies[0]).await, holder);
    assert_eq!(world.reservation(&address).await.open, 1);
    world.check(&[address]).await;
}

async fn changes_of_grant_beside_reservations_lose_nothing(emulator: Emulator) {
    let world = World {
        granted: 1_000_000,
        ..World::new(emulator).await
    };
    let copies = world.copies(1).await;
    let runs: Vec<_> = (0..6).map(|_| world.run()).collect();
    let regrant = async |revision| world.regrant(1_000_000 + revision, revision).await.unwrap();
    let reserve = async |run| world.reserve_run(run, &copies, 1_000).await.unwrap();
    join(join_all(runs.iter().map(reserve)), join_all((1..4).map(regrant))).await;
    let runs: Vec<_> = runs.iter().map(|run| run.address()).collect();
    world.check(&runs).await;
}
