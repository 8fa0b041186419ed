//! The sweep: its steps do not wait for each other, and what it ends, it audits.

use serde_json::Value;
use shared::domain::copy::Resolution;
use shared::domain::run::Address;
use sweeper::{Doors, Swept, sweep};

use super::on_both;
use super::world::World;
use crate::emulators::Emulator;
use crate::faulty::{Fault, Faulty, Kind, Script, connections};

on_both! {
    an_outbox_of_several_pages_is_emptied_by_one_sweep
    an_outbox_item_that_cannot_be_read_hides_none_behind_it
    a_read_that_fails_keeps_no_other_step_of_a_sweep_from_running
    a_ledger_is_audited_when_the_sweep_finishes_a_run_of_it
    a_ledger_with_a_pending_run_is_audited_at_first_and_once_an_hour
}

const RUNS: u64 = 6;
/// Together more than the page of the outbox that a sweep reads at once.
const LONG_RUNS: u64 = 5;
/// The outbox, the index of pending runs, and some of those runs.
const FIRST_READS: usize = 6;

/// A world with runs that were reserved and never started, a minute ago.
async fn with_waiting_runs(emulator: Emulator, table: &str) -> World {
    let world = World::on(emulator.config().await, table);
    for _ in 0..RUNS {
        let copies = world.copies(1).await;
        world.reserve_run(&world.run(), &copies, 1_000).await.unwrap();
    }
    world.clock.advance_seconds(60);
    world
}

/// One sweep whose requests meet what the script says.
async fn swept(emulator: Emulator, table: &str, world: &World, script: Option<Script>) -> Swept {
    let faulty = Faulty::new(&connections(), script);
    let (store, queue) = faulty.doors(&emulator.config().await, table);
    let doors = Doors {
        store,
        queue,
        post: None,
        clock: world.clock.clone(),
    };
    sweep(&doors).await
}

async fn an_outbox_of_several_pages_is_emptied_by_one_sweep(emulator: Emulator) {
    let table = emulator.table().await;
    let world = World::on(emulator.config().await, &table);
    for _ in 0..LONG_RUNS {
        let copies = world.copies(420).await;
        world.started(&copies, 10).await;
    }
    world.clock.advance_seconds(60);
    let waiting = world.unsent(world.now()).await.len() as u64;
    assert!(waiting > 200, "{waiting} groups are one page");
    let first = swept(emulator, &table, &world, None).await;
    assert_eq!((first.sent, first.failures), (waiting, 0), "{first:?}");
    assert!(world.unsent(world.now()).await.is_empty());
    let second = swept(emulator, &table, &world, None).await;
    assert_eq!((second.sent, second.pending), (0, LONG_RUNS), "{second:?}");
}

async fn an_outbox_item_that_cannot_be_read_hides_none_behind_it(emulator: Emulator) {
    use aws_sdk_dynamodb::types::AttributeValue::S;
    let table = emulator.table().await;
    let world = World::on(emulator.config().await, &table);
    aws_sdk_dynamodb::Client::new(&emulator.config().await)
        .put_item()
        .table_name(&table)
        .item("pk", S("OUTBOX".to_owned()))
        .item("sk", S("000000000000001#first".to_owned()))
        .send()
        .await
        .unwrap();
    for _ in 0..LONG_RUNS {
        let copies = world.copies(420).await;
        world.started(&copies, 10).await;
    }
    world.clock.advance_seconds(60);
    let waiting = world.unsent(world.now()).await.len() as u64;
    let swept = swept(emulator, &table, &world, None).await;
    assert_eq!((swept.sent, swept.failures), (waiting, 0), "{swept:?}");
    assert!(world.unsent(world.now()).await.is_empty());
}

async fn a_read_that_fails_keeps_no_other_step_of_a_sweep_from_running(emulator: Emulator) {
    for place in 0..FIRST_READS {
        let table = emulator.table().await;
        let world = with_waiting_runs(emulator, &table).await;
        let script = Script {
            kind: Kind::Read,
            place,
            fault: Fault::RequestLost,
            stubborn: true,
        };
        let first = swept(emulator, &table, &world, Some(script)).await;
        assert_eq!(first.failures, 1, "{place}: {first:?}");
        assert!(first.pending == RUNS || first.sent == RUNS, "{place}: {first:?}");
        let second = swept(emulator, &table, &world, None).await;
        assert_eq!(first.sent + second.sent, RUNS, "{place}: {first:?}, {second:?}");
        assert_eq!(
            (second.failures, second.pending),
            (0, RUNS),
            "{place}: {second:?}"
        );
    }
}

/// A run whose copy is graded, as a worker leaves it that dies before it posts the run.
async fn unposted(world: &World) -> Address {
    let copies = world.copies(1).await;
    let address = world.started(&copies, 5_000).await;
    let copy = world.taken(&address, copies[0], "w").await;
    assert_eq!(world.settle(&address, &copy, 2_000).await, Resolution::Done);
    address
}

/// Five tokens come from nowhere.
async fn corrupt(emulator: Emulator, table: &str, world: &World) {
    use aws_sdk_dynamodb::types::AttributeValue::{N, S};
    let pk = format!("L#{}#{}", world.account, world.period.as_str());
    aws_sdk_dynamodb::Client::new(&emulator.config().await)
        .update_item()
        .table_name(table)
        .key("pk", S(pk))
        .key("sk", S("COUNTER".to_owned()))
        .update_expression("SET remaining = remaining + :five")
        .expression_attribute_values(":five", N("5".to_owned()))
        .send()
        .await
        .unwrap();
}

/// The minutes until the account's own minute of the hour.
fn minutes_until_due(world: &World) -> i64 {
    let minute = world.clock.now_millis() / 60_000 % 60;
    (i64::from(world.account.bytes()[15]) - minute).rem_euclid(60)
}

async fn a_ledger_is_audited_when_the_sweep_finishes_a_run_of_it(emulator: Emulator) {
    let table = emulator.table().await;
    let world = World::on(emulator.config().await, &table);
    unposted(&world).await;
    // Not new any more, and not due.
    world.clock.advance_seconds(120);
    if minutes_until_due(&world) == 0 {
        world.clock.advance_seconds(60);
    }
    corrupt(emulator, &table, &world).await;
    let swept = swept(emulator, &table, &world, None).await;
    assert_eq!(
        (swept.finished, swept.drift_tokens, swept.failures),
        (1, 5, 0),
        "{swept:?}"
    );
    let line: Value = serde_json::from_str(&swept.line(world.now())).unwrap();
    assert_eq!(line["LedgerDrift"], 5, "{line}");
}

async fn a_ledger_with_a_pending_run_is_audited_at_first_and_once_an_hour(emulator: Emulator) {
    let table = emulator.table().await;
    let world = World::on(emulator.config().await, &table);
    while minutes_until_due(&world) < 2 {
        world.clock.advance_seconds(60);
    }
    let copies = world.copies(1).await;
    world.started(&copies, 5_000).await;
    corrupt(emulator, &table, &world).await;
    let due = minutes_until_due(&world);
    let mut found = Vec::new();
    for minute in 0..60 {
        let swept = swept(emulator, &table, &world, None).await;
        if swept.drift_tokens > 0 {
            found.push(minute);
        }
        world.clock.advance_seconds(60);
    }
    assert_eq!(found, [0, 1, due]);
}
