//! What waits after a failure waits as long as it was told, and what an old run left behind touches no other run.

use shared::domain::copy::{CopyState, Lease, Resolution};
use shared::domain::failure::CopyFailure;
use shared::domain::run::{Address, Reserved, RunState};
use shared::domain::time::UnixMillis;
use shared::store::{Extended, Preparation};

use super::on_both;
use super::world::{AT_ONCE, GRANTED, LEASE_SECONDS, World, grader};
use crate::emulators::Emulator;

on_both! {
    a_copy_that_waits_is_taken_by_no_message_before_its_time
    a_preparation_that_was_put_off_is_taken_by_nobody_before_its_time
    a_preparation_whose_reply_was_lost_is_still_the_holders
    a_message_of_an_old_run_takes_nothing_of_another_run
    a_sleeper_touches_nothing_of_what_a_stop_gave_back
    a_stopped_run_that_then_runs_out_of_time_was_stopped
    a_period_that_cost_as_much_in_vain_as_it_grants_starts_nothing_more
}

const WAIT_SECONDS: i64 = 60;

fn later(world: &World) -> UnixMillis {
    world.now().plus_seconds(WAIT_SECONDS)
}

async fn a_copy_that_waits_is_taken_by_no_message_before_its_time(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(1).await;
    let address = world.started(&copies, 5_000).await;
    let copy = world.taken(&address, copies[0], "a").await;
    let until = later(&world);
    assert!(world.store.release(&address, &copy, until).await.unwrap());
    assert_eq!(world.copy(copies[0]).await.state, CopyState::Queued);
    for message in ["b", "c"] {
        assert_eq!(
            world.lease(&address, copies[0], message).await,
            Lease::Busy(until)
        );
    }
    world.clock.advance_seconds(WAIT_SECONDS + 1);
    assert_eq!(world.taken(&address, copies[0], "b").await.epoch, 2);
    // A stop waits for nobody.
    let held = world.copy(copies[0]).await;
    world.store.release(&address, &held, later(&world)).await.unwrap();
    world.store.stop(&address, world.now()).await.unwrap();
    assert_eq!(world.copy(copies[0]).await.state, CopyState::New);
    let again = world.started(&copies, 5_000).await;
    world.taken(&again, copies[0], "d").await;
}

async fn prepare(world: &World, address: &Address, holder: &str) -> Preparation {
    let until = world.now().plus_seconds(LEASE_SECONDS);
    world
        .store
        .lease_preparation(address, holder, &grader(), world.now(), until)
        .await
        .unwrap()
}

async fn a_preparation_that_was_put_off_is_taken_by_nobody_before_its_time(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(1).await;
    let run = world.run();
    world.reserve_run(&run, &copies, 5_000).await.unwrap();
    let Preparation::Taken(first) = prepare(&world, &run.address(), "a").await else {
        panic!("not taken")
    };
    let until = later(&world);
    assert!(world.store.release_preparation(&first, until).await.unwrap());
    assert_eq!(
        prepare(&world, &run.address(), "a").await,
        Preparation::Busy(until)
    );
    world.clock.advance_seconds(WAIT_SECONDS + 1);
    let Preparation::Taken(second) = prepare(&world, &run.address(), "b").await else {
        panic!("not taken")
    };
    assert_eq!(second.prepare_epoch, 2);
}

async fn a_preparation_whose_reply_was_lost_is_still_the_holders(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(1).await;
    let run = world.run();
    world.reserve_run(&run, &copies, 5_000).await.unwrap();
    let lost = prepare(&world, &run.address(), "a").await;
    assert!(matches!(&lost, Preparation::Taken(record) if record.prepare_epoch == 1));
    assert_eq!(prepare(&world, &run.address(), "a").await, lost);
    assert!(matches!(
        prepare(&world, &run.address(), "b").await,
        Preparation::Busy(_)
    ));
}

async fn a_message_of_an_old_run_takes_nothing_of_another_run(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(1).await;
    let old = world.started(&copies, 5_000).await;
    let sleeper = world.taken(&old, copies[0], "a").await;
    world.clock.advance_seconds(LEASE_SECONDS + 1);
    world.store.stop(&old, world.now()).await.unwrap();

    let new = world.started(&copies, 5_000).await;
    assert_eq!(world.lease(&old, copies[0], "late").await, Lease::Gone);
    let holder = world.taken(&new, copies[0], "b").await;
    assert_eq!(holder.epoch, sleeper.epoch, "only the run tells the two apart");
    let store = &world.store;
    assert!(!store.set_phase(&old, &sleeper, "grading").await.unwrap());
    assert!(!store.release(&old, &sleeper, AT_ONCE).await.unwrap());
    assert_eq!(world.settle(&old, &sleeper, 100).await, Resolution::Fenced);
    let failure = CopyFailure::file_missing();
    let failed = store.void(&old, &sleeper, &failure, 0, world.now());
    assert_eq!(failed.await.unwrap(), Resolution::Fenced);
    store.hand_back(&old, &sleeper, world.now()).await.unwrap();
    assert_eq!(world.copy(copies[0]).await, holder);
    world.check(&[old, new]).await;
}

async fn a_sleeper_touches_nothing_of_what_a_stop_gave_back(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(2).await;
    let address = world.started(&copies, 5_000).await;
    let sleeper = world.taken(&address, copies[0], "a").await;
    world.clock.advance_seconds(LEASE_SECONDS + 1);
    let in_hand = world.taken(&address, copies[1], "b").await;
    world.store.stop(&address, world.now()).await.unwrap();
    let given_back = world.copy(copies[0]).await;
    assert_eq!(given_back.state, CopyState::New);
    assert_eq!(
        (given_back.run, given_back.epoch),
        (sleeper.run, sleeper.epoch),
        "only its state tells"
    );
    let (store, now) = (&world.store, world.now());
    assert!(!store.set_phase(&address, &sleeper, "grading").await.unwrap());
    assert!(!store.release(&address, &sleeper, AT_ONCE).await.unwrap());
    assert_eq!(world.extend(&address, &sleeper, 9_000).await, Extended::Fenced);
    assert_eq!(world.settle(&address, &sleeper, 100).await, Resolution::Fenced);
    let failure = CopyFailure::file_missing();
    let failed = store.void(&address, &sleeper, &failure, 0, now);
    assert_eq!(failed.await.unwrap(), Resolution::Fenced);
    assert_eq!(world.lease(&address, copies[0], "late").await, Lease::Gone);
    assert_eq!(world.copy(copies[0]).await, given_back);
    assert_eq!(world.settle(&address, &in_hand, 1_000).await, Resolution::Done);
    store.finish(&address, now).await.unwrap();
    world.check(&[address]).await;
}

async fn a_stopped_run_that_then_runs_out_of_time_was_stopped(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(1).await;
    let address = world.started(&copies, 5_000).await;
    world.taken(&address, copies[0], "dies").await;
    let stopping = world.store.stop(&address, world.now()).await.unwrap().unwrap();
    assert_eq!(stopping.run_state(), RunState::Stopping);
    world.clock.advance_seconds(LEASE_SECONDS + 1);
    let ended = world.store.expire(&address, world.now()).await.unwrap().unwrap();
    assert_eq!((ended.run_state(), ended.failed), (RunState::Stopped, 1));
    world.check(&[address]).await;
}

async fn a_period_that_cost_as_much_in_vain_as_it_grants_starts_nothing_more(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(1).await;
    for waste in [GRANTED - 1, 1] {
        let address = world.started(&copies, 5_000).await;
        let copy = world.taken(&address, copies[0], "a").await;
        let failure = CopyFailure::file_missing();
        let failed = world.store.void(&address, &copy, &failure, waste, world.now());
        assert_eq!(failed.await.unwrap(), Resolution::Done);
        world.store.finish(&address, world.now()).await.unwrap();
        world.check(&[address]).await;
    }
    assert_eq!(
        world.counter().await.remaining,
        GRANTED,
        "nothing of it is charged"
    );
    for (tokens, why) in [
        (5_000, "it would fit"),
        (GRANTED + 1, "a smaller one would not be started either"),
    ] {
        let refused = world.reserve_run(&world.run(), &copies, tokens).await.unwrap();
        assert_eq!(refused, Reserved::Wasteful, "{why}");
    }
}
