//! Two at once, the one between the other's look and its write: what each write's conditions are for.

use aws_sdk_dynamodb::types::AttributeValue;
use futures::future::join;
use shared::domain::copy::{Copy, CopyState, Resolution};
use shared::domain::failure::CopyFailure;
use shared::domain::run::{Address, PREFIX_RESERVE_TOKENS, ReservationState, Reserved, RunState};
use shared::store::Extended;

use super::on_both;
use super::world::{GRANTED, World, warm_up};
use crate::emulators::Emulator;
use crate::faulty::{Fault, Faulty, Kind, Script, connections};

on_both! {
    a_copy_that_is_let_go_and_taken_after_all_is_not_given_back
    a_warm_up_charged_while_its_run_ends_is_in_the_bill
    a_copy_is_not_claimed_between_a_stop_and_its_giving_back
    two_copies_never_take_the_same_free_tokens
    what_another_copy_took_meanwhile_is_taken_of_the_counter
    waste_written_down_while_its_run_ends_is_in_the_bill
    a_run_closed_while_it_expires_fails_nothing_more
    a_closed_reservation_moves_no_more
    a_counter_that_holds_less_than_a_run_is_not_driven_below_nothing
    a_grant_is_changed_by_what_remains_when_it_is_written
}

/// An account, seen by one who is quick and by one whose write of a given place waits for the other.
struct Race {
    world: World,
    slow: World,
    faulty: Faulty,
    table: String,
}

impl Race {
    async fn new(emulator: Emulator, held_write: usize) -> Self {
        let (config, table) = (emulator.config().await, emulator.table().await);
        let script = Script {
            kind: Kind::Write,
            place: held_write,
            fault: Fault::Held,
            stubborn: false,
        };
        let faulty = Faulty::new(&connections(), Some(script));
        let world = World::on(config.clone(), &table);
        let slow = world.through(faulty.doors(&config, &table).0);
        Self {
            world,
            slow,
            faulty,
            table,
        }
    }

    /// Lives `quick` between what `slow` saw and what it then writes.
    async fn between<S, Q>(&self, slow: impl Future<Output = S>, quick: impl Future<Output = Q>) -> (S, Q) {
        let quick = async {
            self.faulty.held().await;
            let done = quick.await;
            self.faulty.go();
            done
        };
        join(slow, quick).await
    }
}

async fn a_copy_that_is_let_go_and_taken_after_all_is_not_given_back(emulator: Emulator) {
    // Its first write is the claim, which another run's copy refuses; its second gives that copy's part back.
    let race = Race::new(emulator, 1).await;
    let world = &race.world;
    let copies = world.copies(1).await;
    let other = world.started(&copies, 5_000).await;
    let run = world.run();
    world.reserve_run(&run, &copies, 5_000).await.unwrap();
    let address = run.address();
    let (_, claimed) = race
        .between(race.slow.store.claim_copies(&address, world.now()), async {
            world.store.stop(&other, world.now()).await.unwrap();
            world.store.claim_copies(&address, world.now()).await.unwrap()
        })
        .await;
    assert!(
        claimed.is_some_and(|groups| groups.len() == 1),
        "the second preparer takes it"
    );
    assert_eq!(
        world.reservation(&address).await.open,
        1,
        "and it is still to be graded"
    );
    let copy = world.taken(&address, copies[0], "a").await;
    assert_eq!(world.settle(&address, &copy, 900).await, Resolution::Done);
    world.store.finish(&address, world.now()).await.unwrap();
    world.check(&[other, address]).await;
}

async fn a_warm_up_charged_while_its_run_ends_is_in_the_bill(emulator: Emulator) {
    let race = Race::new(emulator, 0).await;
    let world = &race.world;
    let copies = world.copies(1).await;
    let address = world.started(&copies, 5_000).await;
    let copy = world.taken(&address, copies[0], "a").await;
    world.settle(&address, &copy, 2_000).await;
    let (now, spent) = (world.now(), warm_up(1_000));
    let (ended, charged) = race
        .between(
            race.slow.store.finish(&address, now),
            world.store.charge_warm_up(&address, &spent, now),
        )
        .await;
    assert_eq!(charged.unwrap(), Resolution::Done);
    assert_eq!(ended.unwrap().unwrap().state, ReservationState::Pending);
    let posted = world.store.finish(&address, now).await.unwrap().unwrap();
    assert_eq!((posted.state, posted.used), (ReservationState::Posted, 3_000));
    assert_eq!(world.counter().await.remaining, GRANTED - 3_000);
    world.check(&[address]).await;
}

async fn a_copy_is_not_claimed_between_a_stop_and_its_giving_back(emulator: Emulator) {
    // The stop's first write closes the run, its second gives back.
    let race = Race::new(emulator, 1).await;
    let world = &race.world;
    let copies = world.copies(2).await;
    let run = world.run();
    world.reserve_run(&run, &copies, 5_000).await.unwrap();
    let (address, now) = (run.address(), world.now());
    let (stopped, claimed) = race
        .between(
            race.slow.store.stop(&address, now),
            world.store.claim_copies(&address, now),
        )
        .await;
    assert_eq!(claimed.unwrap(), None);
    assert_eq!(stopped.unwrap().unwrap().state, ReservationState::Void);
    for copy in copies {
        assert_eq!(world.copy(copy).await.state, CopyState::New);
    }
    world.check(&[address]).await;
}

async fn two_copies_never_take_the_same_free_tokens(emulator: Emulator) {
    let race = Race::new(emulator, 0).await;
    let world = World {
        granted: 3 * 5_000 + PREFIX_RESERVE_TOKENS,
        ..race.world.through(race.world.store.clone())
    };
    let copies = world.copies(3).await;
    let address = world.started(&copies, 5_000).await;
    let done = world.taken(&address, copies[0], "a").await;
    world.settle(&address, &done, 1_000).await;
    let (one, two) = (
        world.taken(&address, copies[1], "b").await,
        world.taken(&address, copies[2], "c").await,
    );
    let (late, quick) = race
        .between(
            race.slow.extend(&address, &one, 9_000),
            world.extend(&address, &two, 8_000),
        )
        .await;
    assert_eq!((quick, late), (Extended::To(8_000), Extended::Later));
    assert_eq!(world.reservation(&address).await.free, 1_000);
    assert_eq!(world.extend(&address, &one, 6_000).await, Extended::To(6_000));
    world.check(&[address]).await;
}

async fn what_another_copy_took_meanwhile_is_taken_of_the_counter(emulator: Emulator) {
    let race = Race::new(emulator, 0).await;
    let world = &race.world;
    let copies = world.copies(3).await;
    let address = world.started(&copies, 5_000).await;
    let done = world.taken(&address, copies[0], "a").await;
    world.settle(&address, &done, 1_000).await;
    let (one, two) = (
        world.taken(&address, copies[1], "b").await,
        world.taken(&address, copies[2], "c").await,
    );
    let before = world.counter().await.reserved;
    let (late, quick) = race
        .between(
            race.slow.extend(&address, &one, 10_000),
            world.extend(&address, &two, 8_000),
        )
        .await;
    assert_eq!((quick, late), (Extended::To(8_000), Extended::To(10_000)));
    assert_eq!(world.reservation(&address).await.free, 0);
    assert_eq!(world.counter().await.reserved, before + 4_000);
    world.check(&[address]).await;
}

async fn waste_written_down_while_its_run_ends_is_in_the_bill(emulator: Emulator) {
    let race = Race::new(emulator, 0).await;
    let world = &race.world;
    let copies = world.copies(1).await;
    let address = world.started(&copies, 5_000).await;
    let copy = world.taken(&address, copies[0], "a").await;
    world.settle(&address, &copy, 2_000).await;
    let (store, now) = (&world.store, world.now());
    let (ended, wasted) = race
        .between(
            race.slow.store.finish(&address, now),
            store.record_waste(&address, None, 1, 700, now),
        )
        .await;
    wasted.unwrap();
    assert_eq!(ended.unwrap().unwrap().state, ReservationState::Pending);
    let posted = store.finish(&address, now).await.unwrap().unwrap();
    assert_eq!((posted.state, posted.waste), (ReservationState::Posted, 700));
    world.check(&[address]).await;
}

/// Nothing leads here either: a copy that waits keeps its run open.
async fn a_run_closed_while_it_expires_fails_nothing_more(emulator: Emulator) {
    // The end's first write stops the run, its second fails a copy that was never claimed.
    let race = Race::new(emulator, 1).await;
    let world = &race.world;
    let copies = world.copies(1).await;
    let run = world.run();
    world.reserve_run(&run, &copies, 5_000).await.unwrap();
    let (address, now) = (run.address(), world.now());
    let closing = corrupt(emulator, &race.table, &address, Corrupted::Closed);
    let (ended, ()) = race.between(race.slow.store.expire(&address, now), closing).await;
    let ended = ended.unwrap().unwrap();
    assert_eq!((ended.open, ended.failed), (1, 0));
    assert_eq!(world.copy(copies[0]).await.state, CopyState::New);
}

/// Nothing leads here: a leased copy keeps its run open. Were it to happen, no money would move.
async fn a_closed_reservation_moves_no_more(emulator: Emulator) {
    let race = Race::new(emulator, usize::MAX).await;
    let world = &race.world;
    let copies = world.copies(4).await;
    let (run, unclaimed) = (world.run(), world.run());
    world.reserve_run(&run, &copies[..3], 5_000).await.unwrap();
    let address = run.address();
    world.store.claim_copies(&address, world.now()).await.unwrap();
    world.reserve_run(&unclaimed, &copies[3..], 5_000).await.unwrap();
    let held = world.taken(&address, copies[0], "a").await;
    for address in [&address, &unclaimed.address()] {
        corrupt(emulator, &race.table, address, Corrupted::Closed).await;
    }
    let (before, counter) = (world.reservation(&address).await, world.counter().await);

    let (store, now, failure) = (&world.store, world.now(), CopyFailure::file_missing());
    assert_eq!(world.settle(&address, &held, 1_000).await, Resolution::Fenced);
    let voided = store.void(&address, &held, &failure, 100, now).await.unwrap();
    assert_eq!(voided, Resolution::Fenced);
    assert_eq!(world.extend(&address, &held, 8_000).await, Extended::Fenced);
    store.hand_back(&address, &held, now).await.unwrap();
    let charged = store
        .charge_warm_up(&address, &warm_up(1_000), now)
        .await
        .unwrap();
    assert_eq!(charged, Resolution::Already);
    let stopped = store.stop(&address, now).await.unwrap().unwrap();
    assert_eq!(stopped.run_state(), RunState::Done);
    let claimed = store.claim_copies(&unclaimed.address(), now).await.unwrap();
    assert!(claimed.is_none_or(|messages| messages.is_empty()));
    assert_eq!(world.copy(copies[3]).await.state, CopyState::New);
    store.finish(&address, now).await.unwrap();

    assert_eq!(world.reservation(&address).await, before);
    assert_eq!(world.counter().await, counter);
    let after: Copy = world.copy(copies[0]).await;
    assert_eq!(after, held);
}

/// Nothing leads here either: a counter holds what its pending runs hold. Were it to hold less, the run would wait for
/// whom the audit wakes.
async fn a_counter_that_holds_less_than_a_run_is_not_driven_below_nothing(emulator: Emulator) {
    let race = Race::new(emulator, usize::MAX).await;
    let world = &race.world;
    let copies = world.copies(1).await;
    let address = world.started(&copies, 5_000).await;
    let copy = world.taken(&address, copies[0], "a").await;
    world.settle(&address, &copy, 1_000).await;
    corrupt(emulator, &race.table, &address, Corrupted::Unheld).await;
    let before = world.counter().await;
    let ended = world.store.finish(&address, world.now()).await.unwrap().unwrap();
    assert_eq!(ended.state, ReservationState::Pending);
    assert_eq!(world.counter().await, before);
}

async fn a_grant_is_changed_by_what_remains_when_it_is_written(emulator: Emulator) {
    let race = Race::new(emulator, 0).await;
    let world = &race.world;
    let copies = world.copies(1).await;
    let before = world.started(&copies, 5_000).await;
    let run = world.run();
    let (raised, reserved) = race
        .between(
            race.slow.regrant(2 * GRANTED, 1),
            world.reserve_run(&run, &copies, 7_000),
        )
        .await;
    assert_eq!(reserved.unwrap(), Reserved::Accepted(run.run));
    assert_eq!(raised.unwrap().granted, 2 * GRANTED);
    world.check(&[before, run.address()]).await;
}

/// What somebody else than the store did.
#[derive(Debug, Clone, Copy)]
enum Corrupted {
    /// A reservation was closed.
    Closed,
    /// A counter holds nothing.
    Unheld,
}

/// Changes an item behind the store's back.
async fn corrupt(emulator: Emulator, table: &str, address: &Address, how: Corrupted) {
    let text = |text: String| AttributeValue::S(text);
    let (key, name, value) = match how {
        Corrupted::Closed => (format!("RES#{}", address.run), "state", text("POSTED".to_owned())),
        Corrupted::Unheld => (
            "COUNTER".to_owned(),
            "reserved",
            AttributeValue::N("0".to_owned()),
        ),
    };
    aws_sdk_dynamodb::Client::new(&emulator.config().await)
        .update_item()
        .table_name(table)
        .key(
            "pk",
            text(format!("L#{}#{}", address.account, address.period.as_str())),
        )
        .key("sk", text(key))
        .update_expression("SET #name = :value")
        .expression_attribute_names("#name", name)
        .expression_attribute_values(":value", value)
        .send()
        .await
        .unwrap();
}
