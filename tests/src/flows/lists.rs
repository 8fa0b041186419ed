//! Lists by cursor.

use serde_json::json;

use super::teacher::{Teacher, sample_json, text};
use super::world::World;

/// A field of each item of a list of five, read two at a time.
async fn walked(teacher: &Teacher<'_>, list: &str, field: &str) -> Vec<String> {
    let mut seen = Vec::new();
    let mut next = format!("{list}?limit=2");
    for _ in 0..3 {
        let page = teacher.get(&next).await.ok();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 2, "{list}");
        seen.extend(items.iter().map(|item| item[field].to_string().replace('"', "")));
        match page["cursor"].as_str() {
            Some(cursor) => next = format!("{list}?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_come_in_pages_without_a_gap_or_a_repeat() {
    let world = World::new().await;
    let teacher = world.teacher();
    let assignment = teacher.exam().await;
    for version in 2..6 {
        world.clock.advance_seconds(1);
        teacher.assignment().await;
        let mut rubric = sample_json("histoire/rubric.json");
        rubric["guidance"] = json!(format!("Version {version}"));
        teacher
            .post(&format!("/api/assignments/{assignment}/rubrics"), &rubric)
            .await
            .ok();
    }
    let files = ["a.pdf", "b.pdf", "c.pdf", "d.pdf", "e.pdf"].map(|name| (name, b"%PDF-1.7".to_vec()));
    let copies = teacher.hand_in(&assignment, &files).await;
    let run = teacher.start(&assignment).await;
    world.work().await;
    let path = |rest: &str| format!("/api/assignments/{assignment}/{rest}");
    for (list, field, expected) in [
        ("/api/assignments".to_owned(), "id", None),
        (path("rubrics"), "version", None),
        (path("copies"), "id", Some(&copies)),
        (path(&format!("runs/{run}/copies")), "copy", Some(&copies)),
    ] {
        let seen = walked(&teacher, &list, field).await;
        assert_eq!(seen.len(), 5, "{list}: {seen:?}");
        match expected {
            Some(expected) => assert_eq!(&seen, expected, "{list}: as handed in"),
            None => assert!(
                seen.is_sorted_by(|a, b| a > b),
                "{list}: newest first, each once: {seen:?}"
            ),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_assignments_runs_come_in_pages_newest_first() {
    let world = World::new().await;
    let teacher = world.teacher();
    let assignment = teacher.exam().await;
    let files = ["a.pdf", "b.pdf", "c.pdf", "d.pdf", "e.pdf"].map(|name| (name, b"%PDF-1.7".to_vec()));
    let runs = format!("/api/assignments/{assignment}/runs");
    let mut started = Vec::new();
    for copy in teacher.hand_in(&assignment, &files).await {
        world.clock.advance_seconds(1);
        let run = teacher.post(&runs, &json!({ "copies": [copy] })).await.ok();
        started.insert(0, text(&run, "id"));
    }
    assert_eq!(walked(&teacher, &runs, "id").await, started);
}
