//! What a run leaves in the metrics.

use std::collections::BTreeSet;

use local::provider::{Fault, Kind};
use serde_json::{Value, json};
use shared::domain::copy::Resolution;
use shared::domain::money::{Cost, Spent, Usage};
use shared::domain::time::UnixMillis;

use super::teacher::sample;
use super::world::World;

fn sum(lines: &[Value], name: &str) -> u64 {
    lines.iter().filter_map(|line| line.get(name)?.as_u64()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_counts_its_copies_and_times_every_phase_of_each() {
    let world = World::new().await;
    let teacher = world.teacher();
    let assignment = teacher.exam().await;
    let files = [
        ("typed.pdf", sample("histoire/bernard-ines.pdf")),
        ("scan.pdf", sample("histoire/roux-theo.pdf")),
        ("blank.pdf", sample("histoire/fontaine-jules.pdf")),
        ("cut.pdf", sample("histoire/garnier-lina.pdf")),
    ];
    teacher.hand_in(&assignment, &files).await;
    teacher.start(&assignment).await;
    world.work().await;

    let lines = world.measured();
    assert_eq!(sum(&lines, "CopiesGraded"), 3);
    assert_eq!(sum(&lines, "CopiesFailed"), 1);
    let failures: Vec<&Value> = lines.iter().filter_map(|line| line.get("failure")).collect();
    assert_eq!(failures, ["pdf-truncated"]);
    let calls = world.provider.ledger();
    let read: u64 = calls.iter().map(|call| call.usage.cache_read_tokens).sum();
    let charged: u64 = calls[1..].iter().map(|call| call.usage.charged_tokens()).sum();
    assert!(read > 0);
    assert_eq!(sum(&lines, "CacheReadTokens"), read);
    assert_eq!(sum(&lines, "CacheMisses"), 0);
    assert_eq!(sum(&lines, "Calls"), calls.len() as u64);
    assert_eq!(
        sum(&lines, "ChargedTokens"),
        charged,
        "a warm-up is in the run's costs"
    );
    // A blank copy asks no model and has nothing to verify; a file that cannot be read was not detected.
    for (phase, times) in [
        ("warm-up", 1),
        ("detection", 3),
        ("grading", 2),
        ("verification", 2),
    ] {
        let timed = lines
            .iter()
            .filter(|line| line["phase"] == phase && line.get("PhaseMilliseconds").is_some())
            .count();
        assert_eq!(timed, times, "{phase}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copys_tokens_are_counted_once_however_many_leases_it_took() {
    let world = World::new().await;
    let teacher = world.teacher();
    let assignment = teacher.exam().await;
    let scan = [("scan.pdf", sample("histoire/roux-theo.pdf"))];
    teacher.hand_in(&assignment, &scan).await;
    let run = teacher.start(&assignment).await;
    let prepare = world.receive().await;
    world.deliver(&world.worker(), &prepare).await;
    // The transcription is paid for; the call for marks gives up, so that another lease finds what was read.
    let mut fault = Fault::times(Kind::Overloaded, 4);
    fault.only_if_copy_contains = Some("<copie".to_owned());
    world.provider.inject([fault]);
    world.work().await;

    let copy = teacher.copies(&assignment, &run).await.remove(0);
    assert_eq!(copy["state"], "graded", "{copy}");
    let lines = world.measured();
    let leases = lines
        .iter()
        .filter(|line| line.get("CopyTokens").is_some())
        .count();
    assert_eq!(leases, 2);
    assert_eq!(copy["result"]["charged_tokens"], sum(&lines, "CopyTokens"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_workers_metrics_are_few_and_their_dimensions_bounded() {
    let world = World::new().await;
    let teacher = world.teacher();
    let assignment = teacher.exam().await;
    let files = [
        ("typed.pdf", sample("histoire/bernard-ines.pdf")),
        ("scan.pdf", sample("histoire/roux-theo.pdf")),
    ];
    teacher.hand_in(&assignment, &files).await;
    teacher.start(&assignment).await;
    world.work().await;

    let mut paid_for = BTreeSet::new();
    for line in world.measured() {
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        let dimensions = directive["Dimensions"][0].as_array().unwrap();
        let values: Vec<String> = dimensions
            .iter()
            .map(|name| format!("{name}={}", line[name.as_str().unwrap()]))
            .collect();
        assert!(
            dimensions.contains(&json!("function")) && dimensions.contains(&json!("stage")),
            "{line}"
        );
        for metric in directive["Metrics"].as_array().unwrap() {
            paid_for.insert(format!("{} {}", metric["Name"], values.join(" ")));
        }
    }
    assert!(paid_for.len() <= 24, "{} metrics: {paid_for:#?}", paid_for.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_unknown_cost_are_metered_at_their_bound() {
    let world = World::new().await;
    world.teacher().one_copy_started().await;
    // The warm-up gives up after the second; the third meets the copy's grading.
    world.provider.inject([Fault::times(Kind::ReplyLost, 3)]);
    world.work().await;
    let lines = world.measured();
    assert_eq!(sum(&lines, "CopiesGraded"), 1);
    let bill = world.provider.ledger();
    let lost = bill.iter().filter(|call| call.fault.is_some());
    let lost: u64 = lost.map(|call| call.usage.charged_tokens()).sum();
    let bound = sum(&lines, "UnknownTokensMax");
    assert!(0 < lost && lost <= bound, "{lost} of at most {bound}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_warm_up_is_written_down_as_waste() {
    let world = World::new().await;
    let (assignment, run, _) = world.teacher().one_copy_started().await;
    let (assignment, run) = (assignment.parse().unwrap(), run.parse().unwrap());
    let address = world
        .store
        .run(assignment, run)
        .await
        .unwrap()
        .unwrap()
        .run
        .address();
    let first = Spent {
        phase: "warm-up".to_owned(),
        model: "model".to_owned(),
        usage: Usage {
            input_tokens: 100,
            ..Usage::default()
        },
        cost: Cost::default(),
    };
    let now = UnixMillis::new(world.clock.now_millis());
    let charged = world.store.charge_warm_up(&address, &first, now).await.unwrap();
    assert_eq!(charged, Resolution::Done);
    world.work().await;
    let second = world.provider.ledger()[0].usage.charged_tokens();
    let reservation = world.store.reservation(&address).await.unwrap().unwrap();
    assert_eq!((reservation.graded, reservation.waste), (1, second));
    assert_eq!(sum(&world.measured(), "WasteTokens"), second);
}
