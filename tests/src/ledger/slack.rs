//! What a run's copies leave unused is there for its other copies.

use shared::domain::copy::{Copy, EPOCHS_MAX, Resolution};
use shared::domain::failure::CopyFailure;
use shared::domain::ids::CopyId;
use shared::domain::quota::Entry;
use shared::domain::run::{Address, PREFIX_RESERVE_TOKENS};
use shared::store::Extended;

use super::on_both;
use super::world::{AT_ONCE, LEASE_SECONDS, World, warm_up};
use crate::emulators::Emulator;

on_both! {
    a_copy_near_the_limit_takes_what_its_neighbours_left
    what_the_run_has_free_is_taken_before_the_counters
    a_copy_that_asks_again_after_a_lost_reply_takes_once
    only_the_holder_of_a_copy_takes_hold_of_more
    what_is_given_back_or_failed_is_free_for_the_others
    a_copy_that_nobody_leaves_enough_is_refused_when_it_is_the_last
    what_an_overtaken_lease_paid_has_its_line
}

/// An account whose one run of `copies` copies holds all its tokens: the counter has nothing left.
async fn full(emulator: Emulator, copies: u64) -> World {
    World {
        granted: 5_000 * copies + PREFIX_RESERVE_TOKENS,
        ..World::new(emulator).await
    }
}

async fn a_copy_near_the_limit_takes_what_its_neighbours_left(emulator: Emulator) {
    let world = full(emulator, 2).await;
    let copies = world.copies(2).await;
    let address = world.started(&copies, 5_000).await;
    let mut long = world.taken(&address, copies[0], "a").await;
    let neighbour = world.taken(&address, copies[1], "b").await;
    assert_eq!(world.extend(&address, &long, 8_000).await, Extended::Later);
    assert!(world.store.release(&address, &long, AT_ONCE).await.unwrap());

    world.settle(&address, &neighbour, 2_000).await;
    assert_eq!(world.reservation(&address).await.free, 3_000);
    long = world.taken(&address, long.copy, "c").await;
    assert_eq!(world.extend(&address, &long, 8_000).await, Extended::To(8_000));
    long.reserved_tokens = 8_000;
    assert_eq!(world.settle(&address, &long, 7_500).await, Resolution::Done);
    let posted = world.store.finish(&address, world.now()).await.unwrap().unwrap();
    assert_eq!((posted.graded, posted.used), (2, 9_500));
    assert_eq!(posted.amount, world.granted, "the counter was not asked");
    world.check(&[address]).await;
}

async fn what_the_run_has_free_is_taken_before_the_counters(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(1).await;
    let address = world.started(&copies, 5_000).await;
    let spent = warm_up(1_000);
    world
        .store
        .charge_warm_up(&address, &spent, world.now())
        .await
        .unwrap();
    let unused = PREFIX_RESERVE_TOKENS - 1_000;
    let before = world.counter().await;
    let mut copy = world.taken(&address, copies[0], "a").await;
    let part = 5_000 + unused - 100;
    assert_eq!(world.extend(&address, &copy, part).await, Extended::To(part));
    assert_eq!(world.counter().await, before, "the run had it");
    copy.reserved_tokens = part;
    assert_eq!(
        world.extend(&address, &copy, part + 700).await,
        Extended::To(part + 700)
    );
    assert_eq!(world.counter().await.reserved, before.reserved + 600);
    assert_eq!(world.reservation(&address).await.free, 0);
    world.check(&[address]).await;
}

async fn a_copy_that_asks_again_after_a_lost_reply_takes_once(emulator: Emulator) {
    let world = full(emulator, 3).await;
    let copies = world.copies(3).await;
    let address = world.started(&copies, 5_000).await;
    let neighbour = world.taken(&address, copies[0], "a").await;
    world.settle(&address, &neighbour, 0).await;
    let copy = world.taken(&address, copies[1], "b").await;
    for (tokens, held) in [(7_000, 7_000), (7_000, 7_000), (8_000, 8_000), (6_000, 8_000)] {
        let extended = world.extend(&address, &copy, tokens).await;
        assert_eq!(extended, Extended::To(held), "asked for {tokens}");
    }
    assert_eq!(world.reservation(&address).await.free, 2_000);
    assert_eq!(world.copy(copies[1]).await.reserved_tokens, 8_000);
    world.check(&[address]).await;
}

async fn only_the_holder_of_a_copy_takes_hold_of_more(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(2).await;
    let first = world.started(&copies, 5_000).await;
    let sleeper = world.taken(&first, copies[0], "a").await;
    world.store.release(&first, &sleeper, AT_ONCE).await.unwrap();
    let asks = async || world.extend(&first, &sleeper, 9_000).await;
    assert_eq!(asks().await, Extended::Fenced, "it waits");
    let holder = world.taken(&first, copies[0], "b").await;
    assert_eq!(asks().await, Extended::Fenced, "another worker has it");
    let (failure, now) = (CopyFailure::file_missing(), world.now());
    world.store.void(&first, &holder, &failure, 0, now).await.unwrap();
    let second = world.started(&copies[..1], 5_000).await;
    let elsewhere = world.taken(&second, copies[0], "c").await;
    assert_eq!(elsewhere.epoch, sleeper.epoch);
    assert_eq!(asks().await, Extended::Fenced, "another run has it");
    assert_eq!(world.copy(copies[0]).await, elsewhere);
    world.check(&[first, second]).await;
}

async fn what_is_given_back_or_failed_is_free_for_the_others(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(4).await;
    let elsewhere = world.started(&copies[3..], 1_000).await;
    let address = world.started(&copies, 5_000).await;
    assert_eq!(
        world.reservation(&address).await.free,
        5_000,
        "the other run's copy"
    );
    let failing = world.taken(&address, copies[0], "a").await;
    let failure = CopyFailure::file_missing();
    world
        .store
        .void(&address, &failing, &failure, 0, world.now())
        .await
        .unwrap();
    assert_eq!(world.reservation(&address).await.free, 10_000, "the failed one");
    let in_hand = world.taken(&address, copies[1], "b").await;
    world.store.stop(&address, world.now()).await.unwrap();
    assert_eq!(
        world.reservation(&address).await.free,
        15_000,
        "the one that waited"
    );
    world.settle(&address, &in_hand, 1_000).await;
    world.check(&[address, elsewhere]).await;
}

async fn a_copy_that_nobody_leaves_enough_is_refused_when_it_is_the_last(emulator: Emulator) {
    let world = full(emulator, 2).await;
    let copies = world.copies(2).await;
    let address = world.started(&copies, 5_000).await;
    for epoch in 1..=EPOCHS_MAX {
        let copy = world.taken(&address, copies[0], &epoch.to_string()).await;
        assert_eq!(world.extend(&address, &copy, 9_000).await, Extended::Later);
        if epoch == EPOCHS_MAX {
            let failure = CopyFailure::quota(9_000);
            world
                .store
                .void(&address, &copy, &failure, 0, world.now())
                .await
                .unwrap();
        } else {
            world.store.release(&address, &copy, AT_ONCE).await.unwrap();
        }
    }
    let last = world.taken(&address, copies[1], "last").await;
    assert_eq!(
        world.extend(&address, &last, 10_001).await,
        Extended::QuotaExceeded,
        "nothing more will come back"
    );
    assert_eq!(world.extend(&address, &last, 10_000).await, Extended::To(10_000));
    world.check(&[address]).await;
}

async fn what_an_overtaken_lease_paid_has_its_line(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(1).await;
    let address = world.started(&copies, 5_000).await;
    let sleepers = [
        world.taken(&address, copies[0], "a").await,
        overtaking(&world, &address, copies[0], "b").await,
    ];
    let holder = overtaking(&world, &address, copies[0], "c").await;
    let record = async |epoch, tokens| {
        let (copy, now) = (Some(copies[0]), world.now());
        world
            .store
            .record_waste(&address, copy, epoch, tokens, now)
            .await
            .unwrap();
    };
    record(sleepers[0].epoch, 1_500).await;
    record(sleepers[0].epoch, 1_500).await;
    record(holder.epoch, 0).await;
    assert_eq!(world.reservation(&address).await.waste, 1_500, "once a lease");
    world.settle(&address, &holder, 2_000).await;
    world.store.finish(&address, world.now()).await.unwrap();
    record(sleepers[1].epoch, 800).await;
    assert_eq!(world.reservation(&address).await.waste, 1_500, "it is closed");
    let lines = world
        .store
        .entries(world.account, &world.period, 100)
        .await
        .unwrap();
    let wasted = |epoch: u32| {
        let operation = format!("run#{}#waste#{}#{epoch}", address.run, copies[0]);
        lines
            .iter()
            .find(|line| line.operation == operation)
            .map(|line| line.entry)
    };
    let waste = |waste| Some(Entry::Charge { tokens: 0, waste });
    assert_eq!(
        [wasted(1), wasted(2), wasted(3)],
        [waste(1_500), waste(800), None]
    );
    world.check(&[address]).await;
}

async fn overtaking(world: &World, address: &Address, copy: CopyId, holder: &str) -> Copy {
    world.clock.advance_seconds(LEASE_SECONDS + 1);
    world.taken(address, copy, holder).await
}
