//! Scans: the names on them, and what their transcriptions share.

use local::provider::Shown;
use serde_json::{Value, json};

use super::teacher::sample;
use super::world::World;

/// The images that the provider was shown when the two pages of a scan were graded with these settings.
async fn pages_shown(settings: Value) -> Vec<Vec<u8>> {
    let world = World::new().await;
    let teacher = world.teacher();
    let assignment = teacher.exam_with(&settings).await;
    let scan = sample("histoire/moreau-camille.pdf");
    teacher.hand_in(&assignment, &[("copie.pdf", scan)]).await;
    teacher.start(&assignment).await;
    world.work().await;
    let shown = world
        .witness
        .seen()
        .into_iter()
        .flat_map(|question| question.shown);
    let image = |part| match part {
        Shown::Image(jpeg) => Some(jpeg),
        Shown::Text(_) => None,
    };
    shown.filter_map(image).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_name_zone_is_painted_over_on_every_page_only_when_the_assignment_says_so() {
    let first = pages_shown(json!({})).await;
    let every = pages_shown(json!({ "name_zone_pages": "every" })).await;
    let unpainted = pages_shown(json!({ "name_zone_percent": 0 })).await;
    assert_eq!((first.len(), every.len(), unpainted.len()), (2, 2, 2));
    assert!(
        first[0] == every[0] && first[0] != unpainted[0],
        "the first page always"
    );
    assert!(
        first[1] == unpainted[1] && every[1] != unpainted[1],
        "the second when asked"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_the_model_could_read_is_flagged_on_its_page_and_counted() {
    for (settings, visible) in [(json!({ "name_zone_percent": 0 }), 1), (json!({}), 0)] {
        let world = World::new().await;
        let teacher = world.teacher();
        let assignment = teacher.exam_with(&settings).await;
        let scan = sample("histoire/roux-theo.pdf");
        let copies = teacher.hand_in(&assignment, &[("copie.pdf", scan)]).await;
        let run = teacher.start(&assignment).await;
        world.work().await;

        let copy = teacher.copies(&assignment, &run).await.remove(0);
        assert_eq!(copy["state"], "graded", "{copy}");
        let flags = copy["result"]["flags"].as_array().unwrap();
        assert_eq!(
            flags.contains(&json!("name_visible")),
            visible == 1,
            "{settings}: {copy}"
        );
        let result = teacher.result(&assignment, &copies[0]).await;
        let findings = result["findings"].as_array().unwrap();
        let found: Vec<&Value> = findings
            .iter()
            .filter(|finding| finding["flag"] == "name_visible")
            .map(|finding| &finding["page"])
            .collect();
        assert_eq!(found, vec![1; visible], "{settings}");
        let lines = world.measured();
        let counts: Vec<&Value> = lines.iter().filter_map(|line| line.get("NamesVisible")).collect();
        assert_eq!(counts, [visible], "{settings}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_class_of_scans_writes_each_prefix_once_before_it_fans_out() {
    let scans = ["histoire/moreau-camille.pdf", "histoire/roux-theo.pdf"];
    for (files, warm_ups) in [(&scans[..], 2), (&scans[..1], 1)] {
        let world = World::new().await;
        let teacher = world.teacher();
        let assignment = teacher.exam().await;
        let files: Vec<_> = files.iter().map(|file| ("copie.pdf", sample(file))).collect();
        teacher.hand_in(&assignment, &files).await;
        let run = teacher.start(&assignment).await;
        world.work().await;

        let bill = world.provider.ledger();
        let (warm, calls): (Vec<_>, Vec<_>) = bill.iter().partition(|call| call.output_tokens_max == 1);
        assert_eq!(warm.len(), warm_ups, "{} scans", files.len());
        let writing = calls
            .iter()
            .filter(|call| call.usage.cache_write_5m_tokens > 0)
            .count();
        assert_eq!(writing, 2 - warm_ups, "{} scans", files.len());
        let record = teacher.run(&assignment, &run).await;
        assert_eq!(record["copies"]["graded"], files.len());
        assert_eq!(record["tokens"]["used"], world.billed_tokens());
        world.assert_settled(world.billed_tokens()).await;
    }
}
