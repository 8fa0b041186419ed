//! Two at once, the one between the other's look and its write: what each write's conditions are for.

use aws_sdk_dynamodb::types::AttributeValue;
use futures::future::join;
use shared::domain::copy::{Copy, CopyState, Resolution};
use shared::domain::failure::CopyFailure;
use shared::domain::run::{Address, PREFIX_RESERVE_TOKENS, ReservationState, RunState};
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
    a_closed_reservation_moves_no_more
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

/// Nothing leads here: a leased copy keeps its run open. Were it to happen, no money would move.
async fn a_closed_reservation_moves_no_more(emulator: Emulator) {
    let race = Race::new(emulator, usize::MAX).await;
    let world = &race.world;
    let copies = world.copies(4).await;
    let run = world.run();
    world.reserve_run(&run, &copies[..3], 5_000).await.unwrap();
    let address = run.address();
    world.store.claim_copies(&address, world.now()).await.unwrap();
    let held = world.taken(&address, copies[0], "a").await;
    close(emulator, &race.table, &address).await;
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
    store.finish(&address, now).await.unwrap();

    assert_eq!(world.reservation(&address).await, before);
    assert_eq!(world.counter().await, counter);
    let after: Copy = world.copy(copies[0]).await;
    assert_eq!(after, held);
}

/// Closes a reservation behind the store's back.
async fn close(emulator: Emulator, table: &str, address: &Address) {
    let text = |text: String| AttributeValue::S(text);
    aws_sdk_dynamodb::Client::new(&emulator.config().await)
        .update_item()
        .table_name(table)
        .key(
            "pk",
            text(format!("L#{}#{}", address.account, address.period.as_str())),
        )
        .key("sk", text(format!("RES#{}", address.run)))
        .update_expression("SET #state = :posted")
        .expression_attribute_names("#state", "state")
        .expression_attribute_values(":posted", text("POSTED".to_owned()))
        .send()
        .await
        .unwrap();
}
