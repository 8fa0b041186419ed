//! The files of `events/` are events that the functions understand, and those of the HTTP doors are answered with
//! the status in `events/expected.json`. `scripts/sam-local` runs the same files in Lambda's own image.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use aws_config::SdkConfig;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use axum::body::Body;
use local::emulator::project_root;
use local::supervisor::SessionKey;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::domain::copy::{Copy, Lease, Resolution, ResultSummary};
use shared::domain::failure::CopyFailure;
use shared::domain::ids::{AccountId, CopyId};
use shared::domain::quota::TierLimits;
use shared::domain::run::{Address, Message};
use shared::domain::time::UnixMillis;
use shared::http::Sessions;
use shared::store::{Charge, Clients, Objects, Store, copy_key, result_key};
use tower::ServiceExt as _;

use crate::emulators::Emulator;

const NOW_MILLIS: i64 = 1_795_176_000_000;
const ACCOUNT: &str = "019a0000-0000-7000-8000-000000000001";
const LEASE_SECONDS: i64 = 330;
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Enough of a PDF for a door that only looks at sizes.
const PDF: &[u8] = b"%PDF-1.7\n";

#[test]
fn every_function_has_an_event() {
    let folders = |of: &str| -> BTreeSet<String> {
        std::fs::read_dir(project_root().join(of))
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_type().unwrap().is_dir())
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect()
    };
    assert_eq!(folders("events"), folders("functions"));
}

#[test]
fn every_route_has_an_event() {
    let contract = std::fs::read_to_string(project_root().join("openapi.json")).unwrap();
    let contract: Value = serde_json::from_str(&contract).unwrap();
    let routes: BTreeSet<String> = contract["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    let events: BTreeSet<String> = http_events()
        .iter()
        .map(|name| {
            let event: Value = serde_json::from_str(&text_of(name)).unwrap();
            event["routeKey"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(events, routes);
}

#[test]
fn the_workers_events_carry_each_kind_of_message() {
    let ids = ["account", "assignment", "run", "copy"].map(|id| (id, ACCOUNT.to_owned()));
    let kinds: BTreeSet<&str> = names("worker")
        .iter()
        .flat_map(|name| {
            let text = filled(&text_of(name), &BTreeMap::from(ids.clone()));
            serde_json::from_str::<aws_lambda_events::sqs::SqsEvent>(&text)
                .unwrap()
                .records
        })
        .map(
            |record| match serde_json::from_str(record.body.as_deref().unwrap()).unwrap() {
                Message::Prepare(_) => "prepare",
                Message::Grade { .. } => "grade",
            },
        )
        .collect();
    assert_eq!(kinds, BTreeSet::from(["prepare", "grade"]));
}

#[test]
fn the_sweepers_event_is_a_tick_of_a_schedule() {
    for name in names("sweeper") {
        let event: Value = serde_json::from_str(&text_of(&name)).unwrap();
        assert_eq!(event["source"], "aws.events", "{name}");
        assert_eq!(event["detail-type"], "Scheduled Event", "{name}");
    }
}

/// One assignment's life, told by the events: made, filled, graded (by hand here: the worker has its own tests),
/// read, stopped, retried.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_http_event_is_answered_with_its_status() {
    let mut story = Story::new().await;
    let made = story.tell("assignments/create-assignment").await;
    story.know("assignment", &made["id"]);
    story.tell("assignments/list-assignments").await;
    story.tell("assignments/read-assignment").await;
    story.tell("assignments/add-rubric").await;
    story.tell("assignments/list-rubrics").await;
    story.tell("assignments/read-rubric").await;
    let slots = story.tell("assignments/request-slots").await;
    let copies: Vec<CopyId> = slots["slots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|slot| slot["copy"].as_str().unwrap().parse().unwrap())
        .collect();
    let [graded, failed, _waiting] = copies[..] else {
        panic!("the event asks for three slots")
    };
    story.know("copy", &slots["slots"][0]["copy"]);
    story.tell("assignments/list-copies").await;
    story.upload(&copies).await;

    let run = story.tell("grade/start-run").await;
    story.know("run", &run["run"]);
    let address = story.claim().await;
    story.grade(&address, graded).await;
    story.fail(&address, failed).await;
    for name in [
        "list-runs",
        "read-run",
        "list-run-copies",
        "read-result",
        "read-usage",
    ] {
        story.tell(&format!("status/{name}")).await;
    }

    story.tell("grade/stop-run").await;
    story.tell("grade/retry-run").await;
    assert_eq!(story.told, http_events());
}

struct Story {
    routers: BTreeMap<&'static str, axum::Router>,
    store: Store,
    objects: Objects,
    expected: BTreeMap<String, u16>,
    /// What the placeholders of the events stand for.
    known: BTreeMap<&'static str, String>,
    told: BTreeSet<String>,
}

impl Story {
    async fn new() -> Self {
        let emulator = Emulator::Ministack;
        let config = emulator.config().await;
        let table = emulator.table().await;
        let queue = aws_sdk_sqs::Client::new(&config)
            .create_queue()
            .queue_name(&table)
            .send()
            .await
            .unwrap();
        create_bucket(&config, &table).await;

        let clients = Clients::on(config);
        let (store, objects) = (clients.store(&table), clients.objects(&table));
        let signer = clients.upload_signer(&table);
        let queue = clients.queue(queue.queue_url().unwrap());
        let clock = Clock::fixed(NOW_MILLIS);
        let limits = TierLimits::default();
        let (sessions, token) = session(&clock);
        let routers = BTreeMap::from([
            ("assignments", {
                let (store, sessions, clock) = (store.clone(), sessions.clone(), clock.clone());
                assignments::router(assignments::Doors {
                    store,
                    signer,
                    sessions,
                    clock,
                })
                .0
            }),
            ("grade", {
                let (store, objects) = (store.clone(), objects.clone());
                let (sessions, clock) = (sessions.clone(), clock.clone());
                grade::router(grade::Doors {
                    store,
                    objects,
                    queue,
                    limits,
                    sessions,
                    clock,
                })
                .0
            }),
            ("status", {
                let (store, objects) = (store.clone(), objects.clone());
                status::router(status::Doors {
                    store,
                    objects,
                    limits,
                    sessions,
                    clock,
                })
                .0
            }),
        ]);
        let expected = std::fs::read_to_string(folder().join("expected.json")).unwrap();
        Self {
            routers,
            store,
            objects,
            expected: serde_json::from_str(&expected).unwrap(),
            known: BTreeMap::from([("session", token), ("account", ACCOUNT.to_owned())]),
            told: BTreeSet::new(),
        }
    }

    fn know(&mut self, placeholder: &'static str, id: &Value) {
        self.known.insert(placeholder, id.as_str().unwrap().to_owned());
    }

    /// Has the event's function answer it; the answer's body.
    async fn tell(&mut self, name: &str) -> Value {
        let function = name.split('/').next().unwrap();
        let request = lambda_http::request::from_str(&filled(&text_of(name), &self.known)).unwrap();
        let answer = self.routers[function]
            .clone()
            .oneshot(request.map(Body::new))
            .await
            .unwrap();
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), ANSWER_BYTES_MAX)
            .await
            .unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(Some(&status), self.expected.get(name), "{name}: {body}");
        self.told.insert(name.to_owned());
        body
    }

    async fn upload(&self, copies: &[CopyId]) {
        let assignment = self.known["assignment"].parse().unwrap();
        for &copy in copies {
            self.objects
                .put(&copy_key(assignment, copy), "application/pdf", PDF.to_vec())
                .await
                .unwrap();
        }
    }

    /// The run's copies are handed out, as the worker does when the run is prepared.
    async fn claim(&self) -> Address {
        let (assignment, run) = (
            self.known["assignment"].parse().unwrap(),
            self.known["run"].parse().unwrap(),
        );
        let address = self
            .store
            .run(assignment, run)
            .await
            .unwrap()
            .unwrap()
            .run
            .address();
        self.store.claim_copies(&address, now()).await.unwrap().unwrap();
        address
    }

    async fn lease(&self, address: &Address, copy: CopyId) -> Copy {
        let until = now().plus_seconds(LEASE_SECONDS);
        match self
            .store
            .lease(address, copy, "the story", now(), until)
            .await
            .unwrap()
        {
            Lease::Taken(copy) => *copy,
            other => panic!("expected a lease, got {other:?}"),
        }
    }

    async fn grade(&self, address: &Address, copy: CopyId) {
        let copy = self.lease(address, copy).await;
        let result = result_key(address, copy.copy, copy.epoch);
        let document = json!({ "copy": copy.copy, "run": address.run, "status": "proposal", "mark": { "state": "not_graded" },
            "comment": "", "questions": [], "findings": [], "instructions_found": [], "pages": [], "provider": "",
            "model": "", "answered_by": [], "request_ids": [], "prompt_version": "", "rubric_version": 1,
            "charged_tokens": 0, "cost": [] });
        self.objects
            .put(&result, "application/json", document.to_string().into_bytes())
            .await
            .unwrap();
        let summary = ResultSummary {
            total: "2.5".to_owned(),
            total_on_20: "12.5".to_owned(),
            flags: Vec::new(),
            charged_tokens: 0,
            spent: Vec::new(),
        };
        let charge = Charge {
            result,
            summary,
            pupil: None,
            used_tokens: 1_000,
            waste_tokens: 0,
        };
        let settled = self.store.settle(address, &copy, &charge, now()).await.unwrap();
        assert_eq!(settled, Resolution::Done);
    }

    async fn fail(&self, address: &Address, copy: CopyId) {
        let copy = self.lease(address, copy).await;
        let voided = self
            .store
            .void(address, &copy, &CopyFailure::file_missing(), 0, now())
            .await
            .unwrap();
        assert_eq!(voided, Resolution::Done);
    }
}

/// What checks tokens, and a token that passes.
fn session(clock: &Clock) -> (Sessions, String) {
    let folder = project_root()
        .join(".local/tests")
        .join(format!("events-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let key = SessionKey::kept_in(&folder).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let token = key.mint(ACCOUNT.parse::<AccountId>().unwrap(), clock).unwrap();
    let sessions = Sessions::new(clock.clone(), move || {
        let pem = key.public_pem().into();
        async move { Ok(pem) }
    });
    (sessions, token)
}

async fn create_bucket(config: &SdkConfig, name: &str) {
    let here = BucketLocationConstraint::from(local::emulator::REGION);
    let s3 = aws_sdk_s3::config::Builder::from(config)
        .force_path_style(true)
        .build();
    aws_sdk_s3::Client::from_conf(s3)
        .create_bucket()
        .bucket(name)
        .create_bucket_configuration(
            CreateBucketConfiguration::builder()
                .location_constraint(here)
                .build(),
        )
        .send()
        .await
        .unwrap();
}

fn now() -> UnixMillis {
    UnixMillis::new(NOW_MILLIS)
}

fn folder() -> PathBuf {
    project_root().join("events")
}

/// `<function>/<case>` of every event of a function.
fn names(function: &str) -> BTreeSet<String> {
    std::fs::read_dir(folder().join(function))
        .unwrap()
        .map(|entry| {
            let file = entry.unwrap().file_name().into_string().unwrap();
            format!("{function}/{}", file.strip_suffix(".json").unwrap())
        })
        .collect()
}

fn http_events() -> BTreeSet<String> {
    ["assignments", "grade", "status"]
        .into_iter()
        .flat_map(names)
        .collect()
}

fn text_of(name: &str) -> String {
    std::fs::read_to_string(folder().join(format!("{name}.json"))).unwrap()
}

fn filled(text: &str, known: &BTreeMap<&'static str, String>) -> String {
    let fill = |text: String, (placeholder, value): (&&str, &String)| {
        text.replace(&format!("{{{{{placeholder}}}}}"), value)
    };
    let filled = known.iter().fold(text.to_owned(), fill);
    assert!(
        !filled.contains("{{"),
        "a placeholder that nobody fills: {filled}"
    );
    filled
}
