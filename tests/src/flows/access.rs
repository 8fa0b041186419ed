//! Who may open which door. The routes are the contract's, so a new one without a row here fails.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::session::uuid_of;
use super::teacher::{Answer, Teacher, Who, sample, sample_json, text};
use super::world::World;

/// What one account has made.
struct Made {
    assignment: String,
    run: String,
    graded: String,
    waiting: String,
}

/// A graded copy, one that failed, and one that waits.
async fn make(world: &World, teacher: &Teacher<'_>) -> Made {
    let assignment = teacher.exam().await;
    let good = sample("histoire/bernard-ines.pdf");
    let files = [
        ("a.pdf", good.clone()),
        ("b.pdf", sample("histoire/garnier-lina.pdf")),
    ];
    let copies = teacher.hand_in(&assignment, &files).await;
    let run = teacher.start(&assignment).await;
    world.work().await;
    let waiting = teacher.hand_in(&assignment, &[("c.pdf", good)]).await.remove(0);
    Made {
        assignment,
        run,
        graded: copies[0].clone(),
        waiting,
    }
}

/// A route, what its owner sends, and what the owner is answered.
struct Row {
    method: &'static str,
    path: &'static str,
    body: Value,
    status: u16,
}

/// In an order in which each can be answered by the owner.
fn rows(made: &Made) -> Vec<Row> {
    let row = |method, path, body, status| Row {
        method,
        path,
        body,
        status,
    };
    let nothing = Value::Null;
    let get = |path| row("GET", path, nothing.clone(), 200);
    let new = json!({ "title": "Devoir", "subject": "Histoire", "level": "3e" });
    let file = json!({ "files": [{ "name": "d.pdf", "size_bytes": 10 }] });
    vec![
        get("/api/usage"),
        get("/api/subscription/status"),
        get("/api/assignments"),
        get("/api/assignments/{assignment}"),
        get("/api/assignments/{assignment}/rubrics"),
        get("/api/assignments/{assignment}/rubrics/{version}"),
        get("/api/assignments/{assignment}/copies"),
        get("/api/assignments/{assignment}/runs"),
        get("/api/assignments/{assignment}/runs/{run}"),
        get("/api/assignments/{assignment}/runs/{run}/copies"),
        get("/api/assignments/{assignment}/copies/{copy}/result"),
        row("POST", "/api/assignments", new, 201),
        row(
            "POST",
            "/api/assignments/{assignment}/rubrics",
            sample_json("histoire/rubric.json"),
            201,
        ),
        row("POST", "/api/assignments/{assignment}/copies", file, 201),
        row(
            "POST",
            "/api/assignments/{assignment}/copies/{copy}/upload",
            nothing.clone(),
            200,
        ),
        row(
            "POST",
            "/api/assignments/{assignment}/runs",
            json!({ "copies": [made.waiting] }),
            202,
        ),
        row(
            "POST",
            "/api/assignments/{assignment}/runs/{run}/retry",
            json!({}),
            202,
        ),
        row(
            "POST",
            "/api/assignments/{assignment}/runs/{run}/stop",
            json!({}),
            202,
        ),
    ]
}

impl Row {
    fn path(&self, assignment: &str, made: &Made) -> String {
        self.path
            .replace("{assignment}", assignment)
            .replace("{run}", &made.run)
            .replace("{copy}", &made.graded)
            .replace("{version}", "1")
    }

    fn body(&self) -> Vec<u8> {
        if self.body.is_null() {
            Vec::new()
        } else {
            self.body.to_string().into_bytes()
        }
    }

    async fn ask(&self, teacher: &Teacher<'_>, assignment: &str, made: &Made) -> Answer {
        let path = self.path(assignment, made);
        teacher.send(self.method, &path, self.body()).await
    }

    async fn refused(&self, teacher: &Teacher<'_>, assignment: &str, made: &Made, why: (u16, &str)) {
        let path = self.path(assignment, made);
        teacher.refused((self.method, &path), &self.body(), why).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_opens_to_its_owner_only() {
    let world = World::new().await;
    let owner = world.teacher();
    let made = make(&world, &owner).await;
    let stranger = world.stranger();
    let theirs = stranger.exam().await;
    let rows = rows(&made);

    let known: BTreeSet<(String, String)> = rows
        .iter()
        .map(|row| (row.method.to_owned(), row.path.to_owned()))
        .collect();
    assert_eq!(
        known,
        world.routes().into_iter().collect(),
        "each route has its row"
    );

    let now = world.clock.now_millis();
    let anonymous = Teacher::new(&world, Who::Nobody);
    let expired = Teacher::new(&world, Who::Token(world.keys.expired(world.account, now)));
    let forged = world.keys.forged(world.account, now);
    for row in &rows {
        let ours = &made.assignment;
        row.refused(&anonymous, ours, &made, (401, "session-missing"))
            .await;
        row.refused(&expired, ours, &made, (401, "session-expired")).await;
        for (how, token) in &forged {
            let forger = Teacher::new(&world, Who::Token(token.clone()));
            let answer = row.ask(&forger, ours, &made).await;
            assert_eq!(answer.status, 401, "{how}: {answer:?}");
            row.refused(&forger, ours, &made, (401, "session-invalid")).await;
        }
        if !row.path.contains("{assignment}") {
            continue;
        }
        let missing = (404, "not-found");
        row.refused(&stranger, ours, &made, missing).await;
        for unknown in [uuid_of(9), ours.to_uppercase(), "1".to_owned()] {
            row.refused(&owner, &unknown, &made, missing).await;
        }
        let names_more = ["{run}", "{copy}"].iter().any(|part| row.path.contains(part));
        if names_more || (row.method, row.path) == ("POST", "/api/assignments/{assignment}/runs") {
            // Their own assignment does not lend them someone else's run or copy.
            row.refused(&stranger, &theirs, &made, missing).await;
        }
    }
    assert_eq!(
        world.provider.ledger().len(),
        2,
        "nobody's request reached the model"
    );
    for row in &rows {
        let answer = row.ask(&owner, &made.assignment, &made).await;
        assert_eq!(answer.status, row.status, "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_and_usage_show_the_callers_own() {
    let world = World::new().await;
    let made = make(&world, &world.teacher()).await;
    world.clock.advance_seconds(1);
    let newest = world.teacher().assignment().await;
    let stranger = world.stranger();
    assert_eq!(stranger.get("/api/assignments").await.ok()["items"], json!([]));
    let usage = stranger.get("/api/usage").await.ok();
    assert_eq!(
        (&usage["tokens_used"], &usage["remaining"]),
        (&json!(0), &json!(100_000))
    );
    assert_eq!(usage["tier"], "free");
    // A cursor into someone else's list is only a place in one's own.
    let page = world.teacher().get("/api/assignments?limit=1").await.ok();
    assert_eq!(page["items"][0]["id"], newest.as_str());
    let next = format!("/api/assignments?cursor={}", text(&page, "cursor"));
    assert_eq!(stranger.get(&next).await.ok()["items"], json!([]));
    assert_eq!(
        world.teacher().get(&next).await.ok()["items"][0]["id"],
        made.assignment.as_str()
    );
}
