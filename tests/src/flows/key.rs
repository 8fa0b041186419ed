//! The provider's key: rotated while a run goes on, or not to be had.

use aws_sdk_secretsmanager::Client;
use serde_json::json;
use shared::store::Clients;
use worker::Models;

use super::teacher::{sample, text};
use super::work::Worker;
use super::world::World;

/// Longer than a secret that was just read is taken for the current one. Unit: seconds.
const LATER_SECONDS: i64 = 6;

fn secret_of(world: &World) -> String {
    format!("model-key-{}", world.table)
}

/// A worker that reads its key from the world's secret, which may not be there, by these clients.
fn worker_reading(world: &World, clients: &Clients) -> Worker<Models> {
    let secrets = clients.secrets(world.clock.clone());
    Worker {
        doors: world.worker().doors,
        model: Models::new(secrets, Some(secret_of(world)), world.settings()),
    }
}

/// A worker whose key is in a secret, which the test changes.
async fn worker(world: &World, key: &str) -> (Worker<Models>, Client, String) {
    let secrets = Client::new(&world.config);
    let name = secret_of(world);
    let made = secrets.create_secret().name(&name).secret_string(key);
    made.send().await.unwrap();
    let clients = Clients::on(world.config.clone());
    (worker_reading(world, &clients), secrets, name)
}

async fn rotate(secrets: &Client, name: &str, key: &str) {
    let put = secrets.put_secret_value().secret_id(name).secret_string(key);
    put.send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_was_rotated_is_read_again_when_the_old_one_is_refused() {
    let world = World::new().await;
    let teacher = world.teacher();
    let (assignment, run, _) = teacher.one_copy_started().await;
    let (worker, secrets, name) = worker(&world, "old").await;
    let prepare = world.receive().await;
    world.deliver(&worker, &prepare).await;

    rotate(&secrets, &name, "new").await;
    world.provider.revoke("old");
    world.clock.advance_seconds(LATER_SECONDS);
    world.work_by(&worker).await;

    let copy = teacher.copies(&assignment, &run).await.remove(0);
    assert_eq!(copy["state"], "graded", "{copy}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_key_that_is_still_the_secrets_fails_copies_and_is_not_read_with_each_of_them() {
    let world = World::new().await;
    let teacher = world.teacher();
    let assignment = teacher.exam().await;
    let files = ["a.pdf", "b.pdf", "c.pdf"].map(|name| (name, sample("histoire/bernard-ines.pdf")));
    teacher.hand_in(&assignment, &files).await;
    let run = teacher.start(&assignment).await;
    let (worker, secrets, name) = worker(&world, "old").await;
    let prepare = world.receive().await;
    world.deliver(&worker, &prepare).await;
    world.provider.revoke("old");

    let copies = world.receive().await;
    world.clock.advance_seconds(LATER_SECONDS);
    world.deliver(&worker, &copies[..1]).await;
    rotate(&secrets, &name, "new").await;
    world.deliver(&worker, &copies[1..2]).await;
    world.clock.advance_seconds(LATER_SECONDS);
    world.deliver(&worker, &copies[2..]).await;

    let record = teacher.run(&assignment, &run).await;
    assert_eq!(
        (&record["copies"]["failed"], &record["copies"]["graded"]),
        (&2.into(), &1.into()),
        "the second came within seconds of a reading: {record}"
    );
    let listed = teacher.copies(&assignment, &run).await;
    for copy in listed.iter().filter(|copy| copy["state"] == "failed") {
        assert_eq!(copy["failure"]["code"], "provider-account", "{copy}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_key_that_can_work_copies_fail_at_once_and_are_graded_once_there_is_one() {
    for key in [None, Some(" "), Some("no header can\ncarry this")] {
        let world = World::new().await;
        let teacher = world.teacher();
        let (assignment, run, _) = teacher.one_copy_started().await;
        let worker = match key {
            Some(key) => worker(&world, key).await.0,
            None => worker_reading(&world, &Clients::on(world.config.clone())),
        };
        world.work_by(&worker).await;
        let record = teacher.run(&assignment, &run).await;
        assert_eq!(record["state"], "done", "{key:?}: {record}");
        let copy = teacher.copies(&assignment, &run).await.remove(0);
        assert_eq!(
            copy["failure"]["code"], "provider-not-configured",
            "{key:?}: {copy}"
        );
        assert!(world.provider.ledger().is_empty(), "{key:?}");
        world.assert_settled(0).await;

        let retry = format!("/api/assignments/{assignment}/runs/{run}/retry");
        let run = text(&teacher.post(&retry, &json!({})).await.ok(), "id");
        world.work().await;
        let copy = teacher.copies(&assignment, &run).await.remove(0);
        assert_eq!(copy["state"], "graded", "{key:?}: {copy}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_waits_while_the_key_cannot_be_read_for_a_moment() {
    let world = World::new().await;
    let teacher = world.teacher();
    let (assignment, run, _) = teacher.one_copy_started().await;
    let nowhere = Clients::on(local::emulator::sdk_config("http://127.0.0.1:9").await);
    let cut_off = worker_reading(&world, &nowhere);
    let prepare = world.receive().await;
    world.deliver(&cut_off, &prepare).await;
    let copies = world.receive().await;
    let back = world.deliver(&cut_off, &copies).await;
    assert_eq!(back.len(), 1, "its message comes back");
    let copy = teacher.copies(&assignment, &run).await.remove(0);
    assert_eq!(copy["state"], "queued", "{copy}");

    let (worker, ..) = worker(&world, "key").await;
    world.work_by(&worker).await;
    let copy = teacher.copies(&assignment, &run).await.remove(0);
    assert_eq!(copy["state"], "graded", "{copy}");
    world.assert_settled(world.billed_tokens()).await;
}
