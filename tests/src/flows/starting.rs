//! Starts without an idempotency key, while an earlier run has not taken its copies yet: a double click makes one run.

use futures::future::join_all;
use serde_json::{Value, json};

use super::teacher::{Teacher, sample, text};
use super::world::World;

/// An assignment with copies handed in, and the path of its runs.
async fn class(teacher: &Teacher<'_>, names: &[&str]) -> (String, Vec<String>, String) {
    let assignment = teacher.exam().await;
    let pdf = sample("histoire/bernard-ines.pdf");
    let files: Vec<(&str, Vec<u8>)> = names.iter().map(|name| (*name, pdf.clone())).collect();
    let copies = teacher.hand_in(&assignment, &files).await;
    let runs = format!("/api/assignments/{assignment}/runs");
    (assignment, copies, runs)
}

const BUSY: (u16, &str) = (409, "copies-busy");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_starts_at_once_make_one_run() {
    let world = World::new().await;
    let teacher = world.teacher();
    let (assignment, _, runs) = class(&teacher, &["a.pdf", "b.pdf"]).await;
    let all = json!({});
    let answers = join_all((0..4).map(|_| teacher.post(&runs, &all))).await;
    let (accepted, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 202);
    assert_eq!(accepted.len(), 1, "{answers:?}");
    for answer in refused {
        answer.problem(BUSY.0, BUSY.1);
    }
    teacher.post_refused(&runs, &json!({}), BUSY).await;
    world.work().await;
    let listed = teacher.get(&runs).await.ok();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
    let run = teacher.run(&assignment, &text(&accepted[0].ok(), "id")).await;
    assert_eq!(
        (
            &run["state"],
            &run["copies"]["graded"],
            &run["copies"]["given_back"]
        ),
        (&json!("done"), &json!(2), &json!(0))
    );
    world.assert_settled(world.billed_tokens()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn starts_at_once_under_one_key_have_one_answer() {
    let world = World::new().await;
    let teacher = world.teacher().keyed("la même clé");
    let (_, _, runs) = class(&world.teacher(), &["a.pdf", "b.pdf"]).await;
    let all = json!({});
    let answers = join_all((0..6).map(|_| teacher.post(&runs, &all))).await;
    for answer in &answers {
        assert_eq!((answer.status, answer), (202, &answers[0]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn starts_at_once_for_other_copies_are_each_accepted() {
    let world = World::new().await;
    let teacher = world.teacher();
    let (_, copies, runs) = class(&teacher, &["a.pdf", "b.pdf", "c.pdf", "d.pdf"]).await;
    let bodies: Vec<Value> = copies[..3]
        .iter()
        .map(|copy| json!({ "copies": [copy] }))
        .collect();
    for answer in join_all(bodies.iter().map(|body| teacher.post(&runs, body))).await {
        assert_eq!(answer.ok()["copies"], 1);
    }
    // All that are left: those on their way are as good as taken.
    assert_eq!(teacher.post(&runs, &json!({})).await.ok()["copies"], 1);
    teacher
        .post_refused(&runs, &json!({ "copies": copies }), BUSY)
        .await;
    world.work().await;
    let listed = teacher.get(&runs).await.ok();
    for run in listed["items"].as_array().unwrap() {
        assert_eq!(
            (&run["state"], &run["copies"]["graded"]),
            (&json!("done"), &json!(1))
        );
    }
    world.assert_settled(world.billed_tokens()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_never_takes_its_copies_blocks_them_no_longer_than_it_lasts() {
    let world = World::new().await;
    let teacher = world.teacher();
    let (assignment, _, runs) = class(&teacher, &["a.pdf"]).await;
    let stopped = teacher.start(&assignment).await;
    teacher.post_refused(&runs, &json!({}), BUSY).await;
    teacher
        .post(&format!("{runs}/{stopped}/stop"), &json!({}))
        .await
        .ok();

    let lost = teacher.start(&assignment).await;
    teacher.post_refused(&runs, &json!({}), BUSY).await;
    world.clock.advance_seconds(6 * 3600 + 1);
    world.sweep().await;
    assert_eq!(teacher.run(&assignment, &lost).await["state"], "expired");

    let last = teacher.start(&assignment).await;
    world.work().await;
    let run = teacher.run(&assignment, &last).await;
    assert_eq!(
        (&run["state"], &run["copies"]["graded"]),
        (&json!("done"), &json!(1)),
        "{run}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_asked_for_twice_is_one_run() {
    let world = World::new().await;
    let teacher = world.teacher();
    let assignment = teacher.exam().await;
    let files = [("a.pdf", sample("histoire/garnier-lina.pdf"))];
    teacher.hand_in(&assignment, &files).await;
    let run = teacher.start(&assignment).await;
    world.work().await;
    let retry = format!("/api/assignments/{assignment}/runs/{run}/retry");
    teacher.post(&retry, &json!({})).await.ok();
    teacher.post_refused(&retry, &json!({}), BUSY).await;
}
