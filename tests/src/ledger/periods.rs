//! Counters over time: one a period, whatever the account's tier becomes (I7).

use futures::future::join_all;
use shared::domain::quota::Period;
use shared::domain::run::PREFIX_RESERVE_TOKENS;

use super::on_both;
use super::world::{GRANTED, World};
use crate::emulators::Emulator;

on_both! {
    a_new_tier_never_makes_remaining_negative
    an_older_answer_changes_nothing
    an_old_settle_never_touches_a_new_period
    one_grant_is_given_once
}

async fn a_new_tier_never_makes_remaining_negative(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(2).await;
    let address = world.started(&copies, 30_000).await;
    let copy = world.taken(&address, copies[0], "a").await;
    world.settle(&address, &copy, 29_000).await;
    let regrant = async |granted, revision| world.regrant(granted, revision).await.unwrap();
    let lowered = regrant(10, 1).await;
    assert_eq!(
        (lowered.remaining, lowered.granted),
        (0, 60_000 + PREFIX_RESERVE_TOKENS)
    );
    let raised = regrant(1_200_000, 2).await;
    assert_eq!(raised.granted, 1_200_000);
    assert_eq!(
        regrant(5_000_000, 2).await,
        raised,
        "the same change is made once"
    );
    let copy = world.taken(&address, copies[1], "b").await;
    world.settle(&address, &copy, 1_000).await;
    world.store.finish(&address, world.now()).await.unwrap();
    assert_eq!(world.counter().await.remaining, 1_200_000 - 30_000);
    world.check(&[address]).await;
}

async fn an_older_answer_changes_nothing(emulator: Emulator) {
    let world = World::new(emulator).await;
    let newest = world.regrant(1_100_000, 7).await.unwrap();
    for older in [1, 6] {
        assert_eq!(world.regrant(900_000, older).await.unwrap(), newest, "{older}");
    }
    assert_eq!(world.regrant(900_000, 8).await.unwrap().granted, 900_000);
}

async fn an_old_settle_never_touches_a_new_period(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(1).await;
    let address = world.started(&copies, 5_000).await;
    let copy = world.taken(&address, copies[0], "a").await;
    let next = Period::parse("sub_1@1766275200").unwrap();
    let opened = world
        .store
        .open_counter(world.account, &next, 1_200_000, world.now())
        .await
        .unwrap();
    world.settle(&address, &copy, 2_000).await;
    world.store.finish(&address, world.now()).await.unwrap();
    assert_eq!(
        world.store.counter(world.account, &next).await.unwrap(),
        Some(opened)
    );
    assert_eq!(world.counter().await.used, 2_000);
    world.check(&[address]).await;
}

async fn one_grant_is_given_once(emulator: Emulator) {
    let world = World::new(emulator).await;
    let open = || {
        world
            .store
            .open_counter(world.account, &world.period, GRANTED, world.now())
    };
    let opened = join_all((0..20).map(|_| open())).await;
    assert!(
        opened
            .into_iter()
            .all(|counter| counter.unwrap().granted == GRANTED)
    );
    world.check(&[]).await;
}
