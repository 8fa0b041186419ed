//! Graded copies that are graded again: with another barème, or because another file is there.

use futures::future::join_all;
use serde_json::{Value, json};
use shared::domain::copy::EPOCHS_MAX;

use super::death::Moment;
use super::killed::kill;
use super::teacher::{Teacher, sample, sample_json, text};
use super::work::outlive_leases;
use super::world::World;

/// An assignment with one copy, graded a second ago.
struct Graded<'w> {
    world: &'w World,
    teacher: Teacher<'w>,
    assignment: String,
    copy: String,
    /// The slot's form, which still works.
    form: Value,
    run: String,
    result: Value,
    used: u64,
}

impl<'w> Graded<'w> {
    async fn new(world: &'w World) -> Self {
        let teacher = world.teacher();
        let assignment = teacher.exam().await;
        let pdf = sample("histoire/bernard-ines.pdf");
        let slot = teacher
            .slots(&assignment, &[("copie.pdf", pdf.clone())])
            .await
            .remove(0);
        assert_eq!(world.upload(&slot["upload"], pdf).await.0, 204);
        let (run, copy) = (teacher.start(&assignment).await, text(&slot, "copy"));
        world.work().await;
        world.clock.advance_seconds(1);
        Self {
            world,
            result: teacher.result(&assignment, &copy).await,
            teacher,
            assignment,
            copy,
            form: slot["upload"].clone(),
            run,
            used: world.billed_tokens(),
        }
    }

    fn runs(&self) -> String {
        format!("/api/assignments/{}/runs", self.assignment)
    }

    /// Names the copy in a new run.
    async fn again(&self) -> String {
        let body = json!({ "copies": [self.copy] });
        text(&self.teacher.post(&self.runs(), &body).await.ok(), "id")
    }

    /// The copy in the assignment's list: its state, the run that had it last, its result's.
    async fn listed(&self) -> (String, String, String) {
        let path = format!("/api/assignments/{}/copies", self.assignment);
        let copy = self.teacher.get(&path).await.ok()["items"][0].clone();
        (
            text(&copy, "state"),
            text(&copy, "run"),
            text(&copy, "result_run"),
        )
    }

    async fn stands(&self, state: &str, run: &str) {
        let expected = (state.to_owned(), run.to_owned(), self.run.clone());
        assert_eq!(self.listed().await, expected);
        self.shows_the_old().await;
    }

    async fn shows_the_old(&self) {
        let shown = self.teacher.result(&self.assignment, &self.copy).await;
        for field in ["run", "rubric_version", "mark", "pdf"] {
            assert_eq!(shown[field], self.result[field], "{field}");
        }
    }

    async fn replace_pdf(&self, path: &str) {
        assert_eq!(self.world.upload(&self.form, sample(path)).await.0, 204);
    }

    /// The run, done, with its counts of graded and failed copies.
    async fn is_done(&self, run: &str, counts: (u64, u64)) -> Value {
        let record = self.teacher.run(&self.assignment, run).await;
        assert_eq!(record["state"], "done", "{record}");
        let copies = &record["copies"];
        assert_eq!(
            (copies["graded"].as_u64(), copies["failed"].as_u64()),
            (Some(counts.0), Some(counts.1))
        );
        record
    }
}

/// The samples' barème, in which only words about the moon earn points.
fn another_rubric() -> Value {
    let mut rubric = sample_json("histoire/rubric.json");
    for question in rubric["questions"].as_array_mut().unwrap() {
        for criterion in question["criteria"].as_array_mut().unwrap() {
            criterion["keywords"] = json!(["lune", "marées", "éclipse"]);
        }
    }
    rubric
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_named_in_a_run_is_graded_again_with_the_latest_bareme_and_charged_again() {
    let world = World::new().await;
    let graded = Graded::new(&world).await;
    let (teacher, assignment) = (&graded.teacher, &graded.assignment);
    let nothing = (409, "nothing-to-grade");
    teacher.post_refused(&graded.runs(), &json!({}), nothing).await;
    let rubrics = format!("/api/assignments/{assignment}/rubrics");
    teacher.post(&rubrics, &another_rubric()).await.ok();

    let run = graded.again().await;
    graded.stands("graded", &graded.run).await;
    let prepare = world.receive().await;
    world.deliver(&world.worker(), &prepare).await;
    graded.stands("queued", &run).await;
    teacher.post_refused(&graded.runs(), &json!({}), nothing).await;
    world.work().await;

    let record = graded.is_done(&run, (1, 0)).await;
    assert_eq!(record["rubric_version"], 2);
    let result = teacher.result(assignment, &graded.copy).await;
    assert_eq!(
        (&result["run"], &result["rubric_version"]),
        (&json!(run), &json!(2))
    );
    assert_ne!(result["mark"], graded.result["mark"]);
    assert_eq!(
        graded.listed().await,
        ("graded".to_owned(), run.clone(), run.clone())
    );
    let before = graded.is_done(&graded.run, (1, 0)).await;
    let used = before["tokens"]["used"].as_u64().unwrap() + record["tokens"]["used"].as_u64().unwrap();
    assert_eq!(
        (before["tokens"]["used"].as_u64(), used),
        (Some(graded.used), world.billed_tokens())
    );
    world.assert_settled(used).await;

    // Each run shows what it published, for as long as that is shown at all.
    let (old, new) = (
        teacher.copies(assignment, &graded.run).await,
        teacher.copies(assignment, &run).await,
    );
    assert_eq!(
        (&old[0]["state"], &old[0]["later_run"]),
        (&json!("new"), &json!(run))
    );
    assert!(old[0].get("result").is_none(), "{}", old[0]);
    assert_eq!(new[0]["result"]["charged_tokens"], result["charged_tokens"]);
    // An earlier version is still there to be asked for.
    let body = json!({ "copies": [graded.copy], "rubric_version": 1 });
    teacher.post(&graded.runs(), &body).await.ok();
    world.work().await;
    let result = teacher.result(assignment, &graded.copy).await;
    assert_eq!(result["rubric_version"], 1);
    assert_eq!(result["mark"], graded.result["mark"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clicks_make_one_run_of_a_graded_copy() {
    for key in [None, Some("la même clé")] {
        let world = World::new().await;
        let graded = Graded::new(&world).await;
        let teacher = key.map_or_else(|| world.teacher(), |key| world.teacher().keyed(key));
        let (runs, body) = (graded.runs(), json!({ "copies": [graded.copy] }));
        let answers = join_all((0..4).map(|_| teacher.post(&runs, &body))).await;
        let (accepted, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 202);
        assert_eq!(accepted.len(), if key.is_some() { 4 } else { 1 }, "{answers:?}");
        for answer in refused {
            answer.problem(409, "copies-busy");
        }
        let run = text(&accepted[0].ok(), "id");
        assert!(accepted.iter().all(|answer| answer.ok()["id"] == run.as_str()));
        world.work().await;
        let listed = teacher.get(&runs).await.ok();
        assert_eq!(listed["items"].as_array().unwrap().len(), 2, "{listed}");
        graded.is_done(&run, (1, 0)).await;
        world.assert_settled(world.billed_tokens()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graded_copy_is_its_runs_until_that_is_over() {
    let world = World::new().await;
    let teacher = world.teacher();
    let assignment = teacher.exam().await;
    let pdf = sample("histoire/bernard-ines.pdf");
    let files = [("a.pdf", pdf.clone()), ("b.pdf", pdf)];
    let copies = teacher.hand_in(&assignment, &files).await;
    let run = teacher.start(&assignment).await;
    let worker = world.worker();
    let prepare = world.receive().await;
    world.deliver(&worker, &prepare).await;
    let mut messages = world.receive().await;
    let waiting = messages.split_off(1);
    world.deliver(&worker, &messages).await;
    let runs = format!("/api/assignments/{assignment}/runs");
    let graded = teacher.copies(&assignment, &run).await;
    let graded = graded.iter().find(|copy| copy["state"] == "graded").unwrap();
    let body = json!({ "copies": [graded["copy"]] });
    teacher.post_refused(&runs, &body, (409, "copies-busy")).await;
    world.deliver(&worker, &waiting).await;
    teacher.post(&runs, &json!({ "copies": copies })).await.ok();
    world.work().await;
    world.assert_settled(world.billed_tokens()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_leaves_the_proposal_and_returns_the_tokens() {
    let world = World::new().await;
    let graded = Graded::new(&world).await;
    let run = graded.again().await;
    let prepare = world.receive().await;
    world.deliver(&world.worker(), &prepare).await;
    let stop = format!("{}/{run}/stop", graded.runs());
    let stopped = graded.teacher.post(&stop, &json!({})).await.ok();
    assert_eq!(
        (&stopped["state"], &stopped["open"]),
        (&json!("stopped"), &json!(0))
    );
    world.work().await;
    graded.stands("graded", &run).await;
    let copies = graded.teacher.copies(&graded.assignment, &run).await;
    assert_eq!(
        copies[0]["state"], "new",
        "this run has not graded it: {}",
        copies[0]
    );
    world.assert_settled(world.billed_tokens()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_leaves_the_proposal_and_a_retry_takes_the_copy() {
    let world = World::new().await;
    let graded = Graded::new(&world).await;
    graded.replace_pdf("histoire/garnier-lina.pdf").await;
    let run = graded.again().await;
    world.work().await;
    let record = graded.is_done(&run, (0, 1)).await;
    graded.stands("failed", &run).await;
    let shown = graded.teacher.result(&graded.assignment, &graded.copy).await;
    assert_eq!(shown["pdf_changed"], true);
    let copies = graded.teacher.copies(&graded.assignment, &run).await;
    assert_eq!(copies[0]["failure"]["code"], "pdf-truncated");
    assert!(copies[0].get("result").is_none(), "not this run's: {}", copies[0]);
    let of_copies = |record: &Value| {
        let lines = record["cost"].as_array().unwrap();
        lines.iter().filter(|line| line["phase"] == "grading").count()
    };
    assert_eq!(
        of_copies(&record),
        0,
        "what the first run spent is not this run's: {record}"
    );
    let nothing = (409, "nothing-to-grade");
    graded
        .teacher
        .post_refused(&graded.runs(), &json!({}), nothing)
        .await;
    let of_the_first = format!("{}/{}/retry", graded.runs(), graded.run);
    graded
        .teacher
        .post_refused(&of_the_first, &json!({}), nothing)
        .await;

    graded.replace_pdf("histoire/petit-noah.pdf").await;
    world.clock.advance_seconds(1);
    let retry = format!("{}/{run}/retry", graded.runs());
    let retry = text(&graded.teacher.post(&retry, &json!({})).await.ok(), "id");
    world.work().await;
    graded.is_done(&retry, (1, 0)).await;
    let shown = graded.teacher.result(&graded.assignment, &graded.copy).await;
    assert_eq!(
        (&shown["run"], &shown["pdf_changed"]),
        (&json!(retry), &json!(false))
    );
    world.assert_settled(world.billed_tokens()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_time_is_over_leaves_the_proposal() {
    let world = World::new().await;
    let graded = Graded::new(&world).await;
    let run = graded.again().await;
    world.clock.advance_seconds(6 * 3600 + 1);
    world.sweep().await;
    assert_eq!(
        graded.teacher.run(&graded.assignment, &run).await["state"],
        "expired"
    );
    graded.stands("failed", &run).await;
    world.assert_settled(graded.used).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_worker_hides_no_proposal_and_another_publishes_the_next() {
    for moment in [Moment::Leased, Moment::ResultStored, Moment::Settled] {
        let world = World::new().await;
        let graded = Graded::new(&world).await;
        let run = graded.again().await;
        let prepare = world.receive().await;
        world.deliver(&world.worker(), &prepare).await;
        kill(&world, moment, &world.receive().await).await;
        if moment != Moment::Settled {
            graded.stands("leased", &run).await;
        }
        outlive_leases(&world.clock);
        world.sweep().await;
        world.work().await;
        graded.is_done(&run, (1, 0)).await;
        let shown = graded.teacher.result(&graded.assignment, &graded.copy).await;
        assert_eq!(shown["run"], run, "{moment:?}");
        world.assert_settled(world.billed_tokens()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_kills_every_worker_of_its_second_run_keeps_its_proposal() {
    let world = World::new().await;
    let graded = Graded::new(&world).await;
    let run = graded.again().await;
    let prepare = world.receive().await;
    world.deliver(&world.worker(), &prepare).await;
    let warm = world.billed_tokens();
    let mut message = world.receive().await;
    for _ in 0..EPOCHS_MAX {
        kill(&world, Moment::ResultStored, &message).await;
        outlive_leases(&world.clock);
        assert_eq!(world.sweep().await.revived, 1);
        message = world.receive().await;
    }
    assert!(world.deliver(&world.worker(), &message).await.is_empty());
    graded.is_done(&run, (0, 1)).await;
    graded.stands("failed", &run).await;
    world.assert_settled(warm).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn someone_elses_graded_copy_is_not_there() {
    let world = World::new().await;
    let graded = Graded::new(&world).await;
    let stranger = world.stranger();
    let theirs = format!("/api/assignments/{}/runs", stranger.exam().await);
    let body = json!({ "copies": [graded.copy] });
    for runs in [theirs, graded.runs()] {
        stranger.post_refused(&runs, &body, (404, "not-found")).await;
    }
    graded.stands("graded", &graded.run).await;
}
