//! The whole job.

use local::provider::Shown;
use serde_json::{Value, json};
use shared::domain::quota::copy_estimate_tokens;
use shared::domain::run::PREFIX_RESERVE_TOKENS;
use shared::domain::time::UnixMillis;
use shared::grading::cost::cost;
use shared::grading::result::CopyResult;
use shared::llm::prices::Prices;

use super::teacher::{sample, sample_json, text};
use super::work::MODEL;
use super::world::World;

/// Each copy of the history samples, and the encrypted one of the others: its state, its failure, and flags that
/// it must have.
const COPIES: [(&str, &str, &str, &[&str]); 10] = [
    ("histoire/durand-lea.pdf", "graded", "", &[]),
    ("histoire/martin-hugo.pdf", "graded", "", &[]),
    ("histoire/bernard-ines.pdf", "graded", "", &[]),
    ("histoire/petit-noah.pdf", "graded", "", &[]),
    (
        "histoire/lefebvre-sarah.pdf",
        "graded",
        "",
        &["hidden_text", "instructions_in_copy"],
    ),
    ("histoire/moreau-camille.pdf", "graded", "", &[]),
    ("histoire/roux-theo.pdf", "graded", "", &[]),
    ("histoire/fontaine-jules.pdf", "graded", "", &["blank_copy"]),
    ("histoire/garnier-lina.pdf", "failed", "pdf-truncated", &[]),
    ("svt/girard-zoe.pdf", "failed", "pdf-encrypted", &[]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_class_is_graded_from_upload_to_result() {
    let world = World::new().await;
    let teacher = world.teacher();
    let assignment = teacher.exam().await;
    let files: Vec<(&str, Vec<u8>)> = COPIES
        .iter()
        .map(|(path, ..)| (path.rsplit_once('/').unwrap().1, sample(path)))
        .collect();
    let copies = teacher.hand_in(&assignment, &files).await;
    let run = teacher.start(&assignment).await;

    let before = teacher.run(&assignment, &run).await;
    assert_eq!(before["state"], "running");
    assert_eq!(before["copies"]["open"], 10);
    assert_eq!(
        before["cost"],
        Value::Null,
        "no cost is shown before the run is finished"
    );
    assert!(
        before["tokens"]["reserved"].as_u64().unwrap()
            >= PREFIX_RESERVE_TOKENS + 10 * copy_estimate_tokens(0)
    );
    assert_eq!(
        world.usage().await["tokens_reserved"],
        before["tokens"]["reserved"]
    );

    world.work().await;

    let after = teacher.run(&assignment, &run).await;
    assert_eq!(after["state"], "done", "{after}");
    assert_eq!(
        after["copies"],
        serde_json::json!({"total": 10, "graded": 8, "failed": 2, "open": 0, "given_back": 0})
    );
    let listed = teacher.copies(&assignment, &run).await;
    for (id, (path, state, failure, flags)) in copies.iter().zip(COPIES) {
        let copy = listed.iter().find(|copy| copy["copy"] == id.as_str()).unwrap();
        assert_eq!(copy["state"], state, "{path}: {copy}");
        assert_eq!(
            copy["failure"]["code"].as_str().unwrap_or_default(),
            failure,
            "{path}: {copy}"
        );
        for flag in flags {
            let found = copy["result"]["flags"].as_array().unwrap();
            assert!(found.iter().any(|it| it == flag), "{path} lacks {flag}: {copy}");
        }
        if state == "graded" {
            let result = teacher.result(&assignment, id).await;
            assert_a_whole_result(copy, &result);
            for fact in ["provider", "model", "prompt_version"] {
                assert_eq!(result[fact], after["grader"][fact], "{path}: {fact}");
            }
            let hidden = result["hidden_text"][0]["text"].as_str();
            let orders = hidden.is_some_and(|text| text.contains("20/20"));
            assert_eq!(orders, flags.contains(&"hidden_text"), "{path}: {result}");
        } else {
            let stable = format!("/problems/{failure}");
            assert_eq!(copy["failure"]["type"], stable, "{path}: {copy}");
            let missing = teacher
                .get(&format!("/api/assignments/{assignment}/copies/{id}/result"))
                .await;
            missing.problem(404, "not-found");
        }
    }
    let used = after["tokens"]["used"].as_u64().unwrap();
    assert_eq!(used, world.billed_tokens(), "the charge is the provider's bill");
    assert_eq!(after["tokens"]["reserved"], 0);
    world.assert_settled(used).await;
    assert_the_costs_add_up(&world, &after, &listed);
    assert_no_name_was_sent(&world);
}

/// Marks with evidence, and what explains them a year later.
fn assert_a_whole_result(copy: &Value, result: &Value) {
    let name = text(copy, "name");
    assert_eq!(result["status"], "proposal", "{name}");
    assert_eq!(result["rubric_version"], 1, "{name}");
    assert_eq!(result["model"], MODEL, "{name}");
    assert!(!text(result, "prompt_version").is_empty(), "{name}");
    assert_eq!(
        result["charged_tokens"], copy["result"]["charged_tokens"],
        "{name}"
    );
    assert_eq!(result["pdf_changed"], false, "{name}");
    let read: CopyResult = serde_json::from_value(result.clone()).unwrap();
    let mut again = serde_json::to_value(read).unwrap();
    again["pdf_changed"] = result["pdf_changed"].clone();
    assert!(again == *result, "{name}: all of it is in the contract");
    for question in result["questions"].as_array().unwrap() {
        for criterion in question["criteria"].as_array().unwrap() {
            let earned = criterion["points"]
                .as_str()
                .is_some_and(|points| !points.trim_matches(['0', '.']).is_empty());
            let quoted = criterion["quote"].as_str().is_some_and(|quote| !quote.is_empty());
            assert_eq!(
                criterion["quote_found"].as_bool(),
                quoted.then(|| criterion["page"].is_u64()),
                "{name}: {criterion}"
            );
            let flagged = result["findings"].as_array().unwrap();
            let flagged = flagged
                .iter()
                .any(|finding| finding["criterion"] == criterion["id"]);
            assert!(
                !earned || quoted || flagged,
                "{name}: points without evidence: {criterion}"
            );
        }
    }
}

fn assert_the_costs_add_up(world: &World, run: &Value, copies: &[Value]) {
    let micro = |line: &Value, field: &str| -> u64 { text(line, field).replace('.', "").parse().unwrap() };
    let lines = run["cost"].as_array().unwrap();
    let phases: Vec<&str> = lines.iter().map(|line| line["phase"].as_str().unwrap()).collect();
    for phase in ["warm-up", "detection", "grading"] {
        assert_eq!(phases.iter().filter(|it| **it == phase).count(), 1, "{phases:?}");
    }
    for line in lines {
        let parts = ["prompt_cost_usd", "completion_cost_usd", "cached_cost_usd"];
        let sum: u64 = parts.iter().map(|part| micro(line, part)).sum();
        assert_eq!(sum, micro(line, "total_cost_usd"), "{line}");
    }
    let row = Prices::load(None).unwrap();
    let row = row
        .row("local", MODEL, UnixMillis::new(world.clock.now_millis()))
        .unwrap();
    let bill: u64 = world
        .provider
        .ledger()
        .iter()
        .map(|call| cost(&call.usage, &row.rates(call.usage.prompt_tokens())).total_cost_micro_usd)
        .sum();
    let total: u64 = lines.iter().map(|line| micro(line, "total_cost_usd")).sum();
    assert_eq!(total, bill, "our cost is the provider's bill");
    let charged = [
        "input_tokens",
        "cache_write_5m_tokens",
        "cache_write_1h_tokens",
        "output_tokens",
    ];
    let tokens = |line: &Value| -> u64 {
        let of = |field: &&str| line["usage"][field].as_u64().unwrap();
        charged.iter().map(of).sum()
    };
    let by_phase: u64 = lines.iter().map(tokens).sum();
    assert_eq!(run["tokens"]["used"], by_phase);
    let warm_up: u64 = lines
        .iter()
        .filter(|line| line["phase"] == "warm-up")
        .map(tokens)
        .sum();
    let by_copy: u64 = copies
        .iter()
        .map(|copy| copy["result"]["charged_tokens"].as_u64().unwrap_or(0))
        .sum();
    assert_eq!(by_phase, warm_up + by_copy);
}

/// No word of any pupil's name, in any text that the provider was shown.
fn assert_no_name_was_sent(world: &World) {
    let roster = sample_json("histoire/assignment.json");
    let names: Vec<&str> = roster["roster"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|name| name.as_str().unwrap().split(' '))
        .collect();
    let seen = world.witness.seen();
    assert!(seen.len() >= 7, "{} questions", seen.len());
    for question in seen {
        let shown = question.shown.iter().filter_map(|part| match part {
            Shown::Text(text) => Some(text.as_str()),
            Shown::Image(_) => None,
        });
        for words in shown.chain([question.system.as_str()]) {
            for word in words.split(|c: char| !c.is_alphabetic()) {
                let leaked = names
                    .iter()
                    .find(|name| name.to_lowercase() == word.to_lowercase());
                assert_eq!(leaked, None, "in: {words}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mark_is_rounded_as_the_assignment_says_and_its_points_are_not() {
    let world = World::new().await;
    let teacher = world.teacher();
    for (settings, on_20) in [
        (json!({}), "9.25"),
        (json!({ "rounding": "half" }), "9.5"),
        (json!({ "rounding": "one" }), "9"),
    ] {
        let assignment = teacher.exam_with(&settings).await;
        let copy = sample("histoire/martin-hugo.pdf");
        let copies = teacher.hand_in(&assignment, &[("copie.pdf", copy)]).await;
        teacher.start(&assignment).await;
        world.work().await;
        let mark = teacher.result(&assignment, &copies[0]).await["mark"].clone();
        assert_eq!(
            (&mark["points"], &mark["on_20"]),
            (&json!("9.25"), &json!(on_20)),
            "{mark}"
        );
    }
}
