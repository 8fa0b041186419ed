//! Requests that are sound and still refused: repeated otherwise, over the quota, at the wrong time.

use serde_json::{Value, json};
use shared::domain::quota::copy_estimate_tokens;
use shared::domain::run::PREFIX_RESERVE_TOKENS;
use shared::store::{Clients, result_key};

use super::teacher::{sample, sample_json, text};
use super::world::World;

/// What a Free account is granted, once. Unit: tokens.
const GRANTED: u64 = 100_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_request_has_the_same_answer_and_another_under_its_key_is_refused() {
    let world = World::new().await;
    let assignment = world.teacher().exam().await;
    let pdf = sample("histoire/bernard-ines.pdf");
    let copies = world
        .teacher()
        .hand_in(&assignment, &[("a.pdf", pdf.clone()), ("b.pdf", pdf)])
        .await;
    let path = |rest: &str| format!("/api/assignments/{assignment}/{rest}");
    let rubric = |guidance: &str| {
        let mut rubric = sample_json("histoire/rubric.json");
        rubric["guidance"] = json!(guidance);
        rubric
    };
    let cases = [
        (
            "/api/assignments".to_owned(),
            json!({ "title": "Devoir", "subject": "Histoire", "level": "3e" }),
            json!({ "title": "Autre", "subject": "Histoire", "level": "3e" }),
        ),
        (
            path("copies"),
            json!({ "files": [{ "name": "c.pdf", "size_bytes": 10 }] }),
            json!({ "files": [{ "name": "d.pdf", "size_bytes": 10 }] }),
        ),
        (path("rubrics"), rubric("Un"), rubric("Deux")),
        (
            path("runs"),
            json!({ "copies": [copies[0]] }),
            json!({ "copies": [copies[1]] }),
        ),
    ];
    let teacher = world.teacher().keyed("la même clé");
    for (path, body, other) in &cases {
        let first = teacher.post(path, body).await;
        first.ok();
        assert_eq!(teacher.post(path, body).await, first);
        teacher
            .post_refused(path, other, (409, "idempotency-key-reused"))
            .await;
    }
    // A barème that is the latest already keeps its key too, and one sent again later is not the latest again.
    let latest = teacher.keyed("encore");
    let first = latest.post(&path("rubrics"), &rubric("Un")).await;
    assert_eq!(first.ok()["version"], 2);
    teacher
        .keyed("autre")
        .post(&path("rubrics"), &rubric("Deux"))
        .await
        .ok();
    assert_eq!(latest.post(&path("rubrics"), &rubric("Un")).await, first);
    // Someone else's key of the same name is another key.
    world
        .stranger()
        .keyed("la même clé")
        .post("/api/assignments", &cases[0].2)
        .await
        .ok();
    for (list, count) in [
        ("/api/assignments".to_owned(), 2),
        (path("copies"), 3),
        (path("rubrics"), 3),
        (path("runs"), 1),
    ] {
        let listed = world.teacher().get(&list).await.ok();
        assert_eq!(listed["items"].as_array().unwrap().len(), count, "{list}");
    }
    for key in ["", &"k".repeat(256)] {
        let teacher = world.teacher().keyed(key);
        let problem = teacher
            .post_refused("/api/assignments", &cases[0].1, (422, "invalid-idempotency-key"))
            .await;
        assert_eq!(problem["path"], "Idempotency-Key");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_request_for_slots_leaves_a_graded_copy_alone() {
    let world = World::new().await;
    let teacher = world.teacher().keyed("slots");
    let assignment = world.teacher().exam().await;
    let files = [("a.pdf", sample("histoire/bernard-ines.pdf"))];
    let copies = teacher.hand_in(&assignment, &files).await;
    let run = world.teacher().start(&assignment).await;
    world.work().await;
    teacher.slots(&assignment, &files).await;
    assert_eq!(
        world.teacher().copies(&assignment, &run).await[0]["state"],
        "graded"
    );
    world.teacher().result(&assignment, &copies[0]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_over_the_quota_is_refused_with_what_would_fit_and_nothing_is_sent_or_lost() {
    let world = World::new().await;
    let teacher = world.teacher();
    let assignment = teacher.exam().await;
    let offer = |tier: &str, tokens: u64, cents: u64| {
        let href = format!("/api/subscription/checkout/{tier}");
        json!({ "tier": tier, "tokens": tokens, "amount_cents": cents, "method": "GET", "href": href })
    };
    let names: Vec<String> = (0..18).map(|place| format!("{place}.pdf")).collect();
    let files: Vec<(&str, Vec<u8>)> = names
        .iter()
        .map(|name| (name.as_str(), b"%PDF-1.7".to_vec()))
        .collect();
    let copies = teacher.hand_in(&assignment, &files).await;
    let runs = format!("/api/assignments/{assignment}/runs");
    let each = copy_estimate_tokens(b"%PDF-1.7".len() as u64);
    let fit = usize::try_from((GRANTED - PREFIX_RESERVE_TOKENS) / each).unwrap();

    let problem = teacher
        .keyed("once")
        .post(&runs, &json!({}))
        .await
        .problem(402, "quota-exceeded");
    let expected = json!({
        "tier": "free", "limit_tokens": GRANTED, "remaining_tokens": GRANTED,
        "needed_tokens": PREFIX_RESERVE_TOKENS + 18 * each, "copies_that_fit": fit, "fitting_copies": copies[..fit],
        "upgrades": [offer("essentiel", 1_200_000, 1_200), offer("pro", 6_000_000, 3_900), offer("max", 24_000_000, 12_900)],
    });
    assert_eq!(problem["quota"], expected);
    let english = teacher
        .english()
        .post(&runs, &json!({}))
        .await
        .problem(402, "quota-exceeded");
    assert!(
        text(&english, "detail").contains(&format!("the {fit} lightest")),
        "{english}"
    );

    assert!(world.receive().await.is_empty(), "nothing is sent");
    assert!(world.provider.ledger().is_empty());
    world.assert_settled(0).await;
    assert_eq!(teacher.get(&runs).await.ok()["items"], json!([]));
    let listed = teacher
        .get(&format!("/api/assignments/{assignment}/copies"))
        .await
        .ok();
    let states: Vec<&Value> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|copy| &copy["state"])
        .collect();
    assert_eq!(states, vec!["new"; 18]);

    let fitting = teacher
        .keyed("once")
        .post(&runs, &json!({ "copies": copies[..fit] }))
        .await
        .ok();
    let reserved = PREFIX_RESERVE_TOKENS + fit as u64 * each;
    assert_eq!(fitting["reserved_tokens"], reserved);
    let more = teacher
        .post(&runs, &json!({ "copies": [copies[17]] }))
        .await
        .problem(402, "quota-exceeded");
    assert_eq!(more["quota"]["remaining_tokens"], GRANTED - reserved);
    assert_eq!(more["quota"]["copies_that_fit"], 0);
    assert!(text(&more, "detail").contains("Aucune de ces copies"), "{more}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_heavy_copy_that_does_not_fit_hides_none_that_do() {
    let world = World::new().await;
    let teacher = world.teacher();
    let assignment = teacher.exam().await;
    let mut heavy = b"%PDF-1.7".to_vec();
    heavy.resize(40_000_000, b' ');
    let files = [("heavy.pdf", heavy), ("light.pdf", b"%PDF-1.7".to_vec())];
    let copies = teacher.hand_in(&assignment, &files).await;
    let runs = format!("/api/assignments/{assignment}/runs");
    let problem = teacher
        .post(&runs, &json!({}))
        .await
        .problem(402, "quota-exceeded");
    assert_eq!(problem["quota"]["fitting_copies"], json!([copies[1]]));
    assert!(text(&problem, "detail").contains("la plus légère"), "{problem}");
    let named = json!({ "copies": problem["quota"]["fitting_copies"] });
    assert_eq!(teacher.post(&runs, &named).await.ok()["copies"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_does_not_fit_the_state_of_things_is_refused() {
    let world = World::new().await;
    let teacher = world.teacher();
    let bare = teacher.assignment().await;
    let refused = async |assignment: &str, body: Value, code: &str| {
        let path = format!("/api/assignments/{assignment}/runs");
        teacher.post_refused(&path, &body, (409, code)).await;
    };
    refused(&bare, json!({}), "no-rubric").await;

    let assignment = teacher.exam().await;
    refused(&assignment, json!({}), "nothing-to-grade").await;
    let files = [("a.pdf", sample("histoire/bernard-ines.pdf"))];
    teacher.slots(&assignment, &files).await;
    refused(&assignment, json!({}), "nothing-to-grade").await;

    let copies = teacher.hand_in(&assignment, &files).await;
    let run = teacher.start(&assignment).await;
    let prepare = world.receive().await;
    world.deliver(&world.worker(), &prepare).await;
    refused(&assignment, json!({}), "copies-busy").await;
    refused(&assignment, json!({ "copies": copies }), "copies-busy").await;
    let retry = format!("/api/assignments/{assignment}/runs/{run}/retry");
    teacher
        .post_refused(&retry, &json!({}), (409, "nothing-to-grade"))
        .await;

    world.work().await;
    refused(&assignment, json!({}), "nothing-to-grade").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_wrong_on_our_side_is_said_without_its_cause() {
    let mut world = World::new().await;
    let (assignment, run, copy) = world.teacher().one_copy_started().await;
    world.work().await;
    let record = world
        .store
        .run(assignment.parse().unwrap(), run.parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    let key = result_key(&record.run.address(), copy.parse().unwrap(), 1);
    let objects = Clients::on(world.config.clone()).objects(&world.bucket);
    objects
        .put(&key, "application/json", b"damaged".to_vec())
        .await
        .unwrap();
    let path = format!("/api/assignments/{assignment}/copies/{copy}/result");
    let problem = world
        .teacher()
        .refused(("GET", &path), b"", (500, "internal"))
        .await;
    assert!(!problem.to_string().contains("line 1"), "{problem}");

    world.cut_off().await;
    let problem = world
        .teacher()
        .refused(("GET", "/api/usage"), b"", (503, "unavailable"))
        .await;
    assert!(!problem.to_string().contains("127.0.0.1"), "{problem}");
}
