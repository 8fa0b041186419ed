//! Runs that are accepted and have not taken their copies hold them against other runs, whatever becomes of them.

use shared::domain::ids::{CopyId, RunId};
use shared::domain::run::{Address, Reserved};
use shared::store::{Reserve, Starting};

use super::on_both;
use super::world::{GRANTED, World, estimates};
use crate::emulators::Emulator;
use crate::faulty::{Fault, Faulty, Kind, Script, connections};

on_both! {
    of_runs_that_looked_at_the_copies_at_once_one_is_accepted
    a_run_holds_its_copies_from_its_reservation_until_it_has_taken_them
    a_run_that_ends_before_it_took_its_copies_holds_none
    a_run_that_is_stopped_holds_none_while_its_last_copies_are_in_hand
    a_run_that_is_over_holds_none_though_nobody_said_that_it_took_them
}

async fn look(world: &World) -> Starting {
    world.store.starting(world.assignment).await.unwrap()
}

async fn reserve(world: &World, copies: &[CopyId], starting: &Starting) -> (RunId, Reserved) {
    let run = world.run();
    let copies = estimates(copies, 1_000, false);
    let request = Reserve {
        run: &run,
        copies: &copies,
        granted_tokens: GRANTED,
        idempotency: None,
        starting: Some(starting),
        expires_at: world.now().plus_seconds(3600),
    };
    let (outcome, _) = world.store.reserve(&request).await.unwrap();
    (run.run, outcome)
}

async fn accepted(world: &World, copies: &[CopyId]) -> RunId {
    let (run, outcome) = reserve(world, copies, &look(world).await).await;
    assert_eq!(outcome, Reserved::Accepted(run));
    run
}

async fn of_runs_that_looked_at_the_copies_at_once_one_is_accepted(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(2).await;
    let nothing = look(&world).await;
    assert!(!nothing.holds(copies[0]));
    let (first, outcome) = reserve(&world, &copies[..1], &nothing).await;
    assert_eq!(outcome, Reserved::Accepted(first));
    let (_, outcome) = reserve(&world, &copies[..1], &nothing).await;
    assert_eq!(outcome, Reserved::Overtaken);

    let one = look(&world).await;
    assert!(one.holds(copies[0]) && !one.holds(copies[1]));
    let (second, outcome) = reserve(&world, &copies[1..], &one).await;
    assert_eq!(outcome, Reserved::Accepted(second));
    let (_, outcome) = reserve(&world, &copies[1..], &one).await;
    assert_eq!(outcome, Reserved::Overtaken);
    let two = look(&world).await;
    assert!(two.holds(copies[0]) && two.holds(copies[1]));
    assert_eq!(
        world.counter().await.reserved,
        2 * (1_000 + shared::domain::run::PREFIX_RESERVE_TOKENS)
    );
}

async fn a_run_holds_its_copies_from_its_reservation_until_it_has_taken_them(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(1).await;
    let run = accepted(&world, &copies).await;
    assert!(look(&world).await.holds(copies[0]));
    let record = world.store.run(world.assignment, run).await.unwrap().unwrap();
    world
        .store
        .claim_copies(&record.run.address(), world.now())
        .await
        .unwrap();
    assert!(!look(&world).await.holds(copies[0]));
    assert!(
        world.copy(copies[0]).await.state.is_busy(),
        "its own state says it now"
    );
}

async fn a_run_that_ends_before_it_took_its_copies_holds_none(emulator: Emulator) {
    let world = World::new(emulator).await;
    let copies = world.copies(1).await;
    for stopped in [true, false] {
        let run = accepted(&world, &copies).await;
        let record = world.store.run(world.assignment, run).await.unwrap().unwrap();
        let address = record.run.address();
        let ended = if stopped {
            world.store.stop(&address, world.now()).await
        } else {
            world.store.expire(&address, world.now()).await
        };
        ended.unwrap();
        assert!(!look(&world).await.holds(copies[0]), "stopped: {stopped}");
    }
}

/// A run over the copies, whose preparer takes them and dies before it says so.
async fn taken_by_one_who_died(emulator: Emulator, world: &World, table: &str, copies: &[CopyId]) -> Address {
    let run = accepted(world, copies).await;
    let record = world.store.run(world.assignment, run).await.unwrap().unwrap();
    let address = record.run.address();
    let said = Script {
        kind: Kind::Write,
        place: 1,
        fault: Fault::DeathBefore,
        stubborn: false,
    };
    let faulty = Faulty::new(&connections(), Some(said));
    let (mortal, _) = faulty.doors(&emulator.config().await, table);
    tokio::select! {
        claimed = mortal.claim_copies(&address, world.now()) => panic!("it lives: {claimed:?}"),
        () = faulty.death() => {}
    }
    address
}

async fn a_run_that_is_stopped_holds_none_while_its_last_copies_are_in_hand(emulator: Emulator) {
    let table = emulator.table().await;
    let world = World::on(emulator.config().await, &table);
    let copies = world.copies(2).await;
    let address = taken_by_one_who_died(emulator, &world, &table, &copies).await;
    world.taken(&address, copies[0], "a").await;
    assert!(look(&world).await.holds(copies[1]));
    let stopped = world.store.stop(&address, world.now()).await.unwrap().unwrap();
    assert_eq!((stopped.stop, stopped.open), (true, 1));
    assert!(!look(&world).await.holds(copies[1]), "what it gave back is free");
}

async fn a_run_that_is_over_holds_none_though_nobody_said_that_it_took_them(emulator: Emulator) {
    let table = emulator.table().await;
    let world = World::on(emulator.config().await, &table);
    let copies = world.copies(1).await;
    let address = taken_by_one_who_died(emulator, &world, &table, &copies).await;
    let copy = world.taken(&address, copies[0], "a").await;
    world.settle(&address, &copy, 500).await;
    assert!(look(&world).await.holds(copies[0]));
    world.store.finish(&address, world.now()).await.unwrap();
    assert!(!look(&world).await.holds(copies[0]));
}
