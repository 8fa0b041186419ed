//! Messages that come often, late, or from no one of ours; runs that a teacher stops and retries.

use futures::future::join_all;
use local::provider::{Fault, Kind};
use serde_json::json;

use super::death::Moment;
use super::killed::kill;
use super::teacher::{Teacher, sample, text};
use super::work::{LEASE_SECONDS, event, outlive_leases};
use super::world::World;

async fn class(teacher: &Teacher<'_>, names: &[&str]) -> (String, String) {
    let assignment = teacher.exam().await;
    let pdf = sample("histoire/bernard-ines.pdf");
    let files: Vec<(&str, Vec<u8>)> = names.iter().map(|name| (*name, pdf.clone())).collect();
    teacher.hand_in(&assignment, &files).await;
    let run = teacher.start(&assignment).await;
    (assignment, run)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_delivered_ten_times_at_once_is_charged_once() {
    let world = World::new().await;
    let teacher = world.teacher();
    let (assignment, run) = class(&teacher, &["a.pdf"]).await;
    let worker = world.worker();
    for step in ["prepare", "grade"] {
        let message = world.receive().await;
        assert_eq!(message.len(), 1, "{step}");
        let again = || worker::handle(&worker.doors, &worker.model, event(&message));
        join_all((0..10).map(|_| again())).await;
        assert_eq!(again().await.batch_item_failures, [], "{step}: it is done");
    }
    let record = teacher.run(&assignment, &run).await;
    assert_eq!(
        (&record["state"], &record["copies"]["graded"]),
        (&json!("done"), &json!(1))
    );
    assert_eq!(world.provider.ledger().len(), 2, "a warm-up and an answer");
    assert_eq!(record["tokens"]["used"], world.billed_tokens());
    world.assert_settled(world.billed_tokens()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_stopped_midway_gives_back_what_waits_and_another_grades_it() {
    let world = World::new().await;
    let teacher = world.teacher();
    let (assignment, run) = class(&teacher, &["a.pdf", "b.pdf", "c.pdf"]).await;
    let worker = world.worker();
    let prepare = world.receive().await;
    world.deliver(&worker, &prepare).await;
    let copies = world.receive().await;
    world.deliver(&worker, &copies[..1]).await;

    let stop = format!("/api/assignments/{assignment}/runs/{run}/stop");
    let stopped = teacher.post(&stop, &json!({})).await.ok();
    assert_eq!(
        (&stopped["state"], &stopped["reserved_tokens"]),
        (&json!("stopped"), &json!(0))
    );
    assert_eq!(
        teacher.post(&stop, &json!({})).await.ok(),
        stopped,
        "asked twice, stopped once"
    );
    let record = teacher.run(&assignment, &run).await;
    assert_eq!(
        (&record["copies"]["graded"], &record["copies"]["given_back"]),
        (&json!(1), &json!(2))
    );
    let used = world.billed_tokens();
    world.assert_settled(used).await;

    assert!(
        world.deliver(&worker, &copies[1..]).await.is_empty(),
        "late messages find nothing to do"
    );
    assert_eq!(world.billed_tokens(), used);

    let next = teacher.start(&assignment).await;
    world.work().await;
    let record = teacher.run(&assignment, &next).await;
    assert_eq!(
        (&record["copies"]["total"], &record["copies"]["graded"]),
        (&json!(2), &json!(2))
    );
    world.assert_settled(world.billed_tokens()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_stopped_before_it_began_costs_nothing() {
    let world = World::new().await;
    let teacher = world.teacher();
    let (assignment, run) = class(&teacher, &["a.pdf"]).await;
    let stop = format!("/api/assignments/{assignment}/runs/{run}/stop");
    assert_eq!(teacher.post(&stop, &json!({})).await.ok()["state"], "stopped");
    world.work().await;
    assert!(world.provider.ledger().is_empty());
    world.assert_settled(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_comes_again_after_a_stop_is_handed_back_without_a_call() {
    let world = World::new().await;
    let teacher = world.teacher();
    let (assignment, run) = class(&teacher, &["a.pdf"]).await;
    let worker = world.worker();
    let prepare = world.receive().await;
    world.deliver(&worker, &prepare).await;
    let copy = world.receive().await;
    kill(&world, Moment::Leased, &copy).await;
    let paid = world.billed_tokens();
    stop_in_hand(&teacher, &assignment, &run).await;
    outlive_leases(&world.clock);
    assert!(world.deliver(&worker, &copy).await.is_empty());
    let record = teacher.run(&assignment, &run).await;
    assert_eq!(
        (&record["state"], &record["copies"]["given_back"]),
        (&json!("stopped"), &json!(1))
    );
    assert_eq!(world.billed_tokens(), paid);
    world.assert_settled(paid).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preparation_that_comes_again_after_a_stop_warms_nothing() {
    let world = World::new().await;
    let teacher = world.teacher();
    let (assignment, run) = class(&teacher, &["a.pdf"]).await;
    let prepare = world.receive().await;
    kill(&world, Moment::Claimed, &prepare).await;
    let paid = world.billed_tokens();
    // The outbox has the copy's message. Its worker dies too, and its lease ends after the preparation's.
    world.clock.advance_seconds(20);
    assert_eq!(world.sweep().await.sent, 1);
    let copy = world.receive().await;
    kill(&world, Moment::Leased, &copy).await;
    stop_in_hand(&teacher, &assignment, &run).await;
    world.clock.advance_seconds(LEASE_SECONDS - 10);
    assert!(world.deliver(&world.worker(), &prepare).await.is_empty());
    assert_eq!(world.billed_tokens(), paid);
    outlive_leases(&world.clock);
    assert_eq!(world.sweep().await.finished, 1);
    assert_eq!(teacher.run(&assignment, &run).await["state"], "stopped");
    world.assert_settled(paid).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preparation_that_comes_again_after_its_run_is_over_warms_nothing() {
    let world = World::new().await;
    let teacher = world.teacher();
    let (assignment, run) = class(&teacher, &["a.pdf"]).await;
    let worker = world.worker();
    let prepare = world.receive().await;
    kill(&world, Moment::Claimed, &prepare).await;
    world.clock.advance_seconds(20);
    world.sweep().await;
    let copy = world.receive().await;
    world.deliver(&worker, &copy).await;
    assert_eq!(teacher.run(&assignment, &run).await["state"], "done");
    let paid = world.billed_tokens();
    outlive_leases(&world.clock);
    assert!(world.deliver(&worker, &prepare).await.is_empty());
    assert_eq!(world.billed_tokens(), paid);
    world.assert_settled(paid).await;
}

/// Stops a run while a worker holds its last copy.
async fn stop_in_hand(teacher: &Teacher<'_>, assignment: &str, run: &str) {
    let stop = format!("/api/assignments/{assignment}/runs/{run}/stop");
    let stopped = teacher.post(&stop, &json!({})).await.ok();
    assert_eq!(
        (&stopped["state"], &stopped["open"]),
        (&json!("stopping"), &json!(1))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_is_retried_as_a_new_run_and_nothing_else_is() {
    let world = World::new().await;
    let teacher = world.teacher();
    let (assignment, run) = class(&teacher, &["a.pdf", "b.pdf"]).await;
    let worker = world.worker();
    let prepare = world.receive().await;
    world.deliver(&worker, &prepare).await;
    world.provider.inject([Fault::next(Kind::Refusal)]);
    world.work().await;
    let record = teacher.run(&assignment, &run).await;
    assert_eq!(
        (&record["copies"]["graded"], &record["copies"]["failed"]),
        (&json!(1), &json!(1))
    );

    let retry = format!("/api/assignments/{assignment}/runs/{run}/retry");
    let again = teacher.keyed("again").post(&retry, &json!({})).await;
    assert_eq!(
        teacher.keyed("again").post(&retry, &json!({})).await,
        again,
        "asked twice, retried once"
    );
    let again = text(&again.ok(), "id");
    world.work().await;
    let record = teacher.run(&assignment, &again).await;
    assert_eq!(record["retry_of"], run.as_str());
    assert_eq!(
        (&record["copies"]["total"], &record["copies"]["graded"]),
        (&json!(1), &json!(1))
    );
    teacher
        .post(&retry, &json!({}))
        .await
        .problem(409, "nothing-to-grade");
    let used = teacher.run(&assignment, &run).await["tokens"]["used"]
        .as_u64()
        .unwrap()
        + record["tokens"]["used"].as_u64().unwrap();
    world.assert_settled(used).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_not_ours_comes_back_and_its_neighbours_are_done() {
    let world = World::new().await;
    let teacher = world.teacher();
    let (assignment, run) = class(&teacher, &["a.pdf", "b.pdf"]).await;
    let worker = world.worker();
    let prepare = world.receive().await;
    world.deliver(&worker, &prepare).await;
    for body in ["bonjour", "{}", r#"{"kind":"grade"}"#] {
        world
            .sqs
            .send_message()
            .queue_url(&world.queue_url)
            .message_body(body)
            .send()
            .await
            .unwrap();
    }
    let batch = world.receive().await;
    assert_eq!(batch.len(), 5);
    let failed = world.deliver(&worker, &batch).await;
    assert_eq!(failed.len(), 3);
    let record = teacher.run(&assignment, &run).await;
    assert_eq!(
        (&record["state"], &record["copies"]["graded"]),
        (&json!("done"), &json!(2))
    );
}
