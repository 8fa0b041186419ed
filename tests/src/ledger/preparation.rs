//! A run's start: prepared by one worker at a time, a bounded number of times, and never lost unseen.

use shared::domain::copy::{CopyState, EPOCHS_MAX, Resolution};
use shared::domain::ids::RunId;
use shared::domain::run::{Address, PREFIX_RESERVE_TOKENS, ReservationState};
use shared::store::Preparation;

use super::on_both;
use super::world::{AT_ONCE, GRANTED, LEASE_SECONDS, World, grader, warm_up};
use crate::emulators::Emulator;

on_both! {
    a_run_that_never_started_fails_its_copies_visibly
    a_preparation_is_one_workers_at_a_time_and_tried_a_bounded_number_of_times
    a_prepared_run_is_not_prepared_again
    a_warm_up_is_charged_once_and_never_more_than_the_runs_own_part
}

async fn lease(world: &World, address: &Address) -> Preparation {
    let until = world.now().plus_seconds(LEASE_SECONDS);
    world
        .store
        .lease_preparation(
            address,
            &RunId::mint(world.now()).to_string(),
            &grader(),
            world.now(),
            until,
        )
        .await
        .unwrap()
}

async fn a_run_that_never_started_fails_its_copies_visibly(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(3).await;
    let run = world.run();
    world.reserve_run(&run, &copies, 5_000).await.unwrap();
    let other = world.started(&copies[..1], 5_000).await;
    let ended = world
        .store
        .expire(&run.address(), world.now())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (ended.state, ended.open, ended.failed),
        (ReservationState::Void, 0, 2)
    );
    assert_eq!(
        world.copy(copies[0]).await.run,
        Some(other.run),
        "another run's copy is left to it"
    );
    for &copy in &copies[1..] {
        let copy = world.copy(copy).await;
        assert_eq!((copy.state, copy.run), (CopyState::Failed, Some(run.run)));
        assert_eq!(copy.failure.unwrap().code(), "expired");
    }
    let again = world
        .store
        .expire(&run.address(), world.now())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(again.failed, 2, "ending it twice counts once");
    world.check(&[run.address(), other]).await;
}

async fn a_preparation_is_one_workers_at_a_time_and_tried_a_bounded_number_of_times(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(1).await;
    let run = world.run();
    world.reserve_run(&run, &copies, 5_000).await.unwrap();
    let address = run.address();
    let Preparation::Taken(first) = lease(&world, &address).await else {
        panic!("not taken")
    };
    assert_eq!(
        lease(&world, &address).await,
        Preparation::Busy(world.now().plus_seconds(LEASE_SECONDS))
    );
    assert!(world.store.release_preparation(&first, AT_ONCE).await.unwrap());
    for _ in 1..EPOCHS_MAX {
        assert!(matches!(lease(&world, &address).await, Preparation::Taken(_)));
        assert!(
            !world.store.release_preparation(&first, AT_ONCE).await.unwrap(),
            "an old holder gives nothing back"
        );
        world.clock.advance_seconds(LEASE_SECONDS + 1);
    }
    let exhausted = lease(&world, &address).await;
    assert!(matches!(exhausted, Preparation::Exhausted(_)), "{exhausted:?}");
    world
        .store
        .claim_copies(&address, world.now())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(lease(&world, &address).await, Preparation::Gone);
}

async fn a_prepared_run_is_not_prepared_again(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(1).await;
    let address = world.started(&copies, 5_000).await;
    assert_eq!(lease(&world, &address).await, Preparation::Gone);
}

async fn a_warm_up_is_charged_once_and_never_more_than_the_runs_own_part(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(1).await;
    let address = world.started(&copies, 5_000).await;
    let long = PREFIX_RESERVE_TOKENS + 700;
    let spent = warm_up(long);
    let charge = async || {
        world
            .store
            .charge_warm_up(&address, &spent, world.now())
            .await
            .unwrap()
    };
    assert_eq!(charge().await, Resolution::Done);
    let reservation = world.reservation(&address).await;
    assert_eq!(
        (reservation.used, reservation.waste),
        (PREFIX_RESERVE_TOKENS, 700),
        "the excess is ours"
    );
    assert_eq!(charge().await, Resolution::Already);
    assert_eq!(world.reservation(&address).await, reservation);
    assert_eq!(reservation.left, 5_000, "the copies' part stays theirs");
    world.store.stop(&address, world.now()).await.unwrap();
    assert_eq!(world.counter().await.remaining, GRANTED - PREFIX_RESERVE_TOKENS);
    world.check(&[address]).await;
}
