//! The provider's key, rotated while a run goes on.

use aws_sdk_secretsmanager::Client;
use shared::store::Clients;
use worker::Models;

use super::teacher::sample;
use super::work::Worker;
use super::world::World;

/// Longer than a secret that was just read is taken for the current one. Unit: seconds.
const LATER_SECONDS: i64 = 6;

/// A worker whose key is in a secret, which the test changes.
async fn worker(world: &World, key: &str) -> (Worker<Models>, Client, String) {
    let secrets = Client::new(&world.config);
    let name = format!("model-key-{}", world.table);
    let made = secrets.create_secret().name(&name).secret_string(key);
    made.send().await.unwrap();
    let clients = Clients::on(world.config.clone());
    let model = Models::new(
        clients.secrets(world.clock.clone()),
        Some(name.clone()),
        world.settings(),
    );
    let doors = world.worker().doors;
    (Worker { doors, model }, secrets, name)
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
async fn without_a_key_that_can_work_copies_fail_at_once_and_say_so() {
    let world = World::new().await;
    let teacher = world.teacher();
    let (assignment, run, _) = teacher.one_copy_started().await;
    let (worker, ..) = worker(&world, "no header can\ncarry this").await;
    world.work_by(&worker).await;
    let copy = teacher.copies(&assignment, &run).await.remove(0);
    assert_eq!(copy["failure"]["code"], "provider-account", "{copy}");
    world.assert_settled(0).await;
}
