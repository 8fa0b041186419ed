//! Someone at the API's doors.

use axum::body::Body;
use axum::http::{Request, header};
use local::emulator::project_root;
use serde_json::{Value, json};
use shared::domain::ids::AccountId;
use tower::ServiceExt as _;

use super::world::World;

const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How a caller shows who it is.
#[derive(Clone)]
pub(super) enum Who {
    /// By a session that is renewed in time.
    Account(AccountId),
    /// By this token.
    Token(String),
    /// Not at all.
    Nobody,
}

/// A caller, signed in or not.
#[derive(Clone)]
pub(super) struct Teacher<'w> {
    pub(super) world: &'w World,
    who: Who,
    language: Option<&'static str>,
    key: Option<String>,
    correlation: Option<&'static str>,
}

/// Words of the libraries that read requests: what they say is English, and no sentence of ours.
const NOT_OURS: [&str; 12] = [
    "expected",
    "unknown",
    "missing",
    "invalid",
    "type",
    "field",
    "variant",
    "column",
    "trailing",
    "EOF",
    "parsing",
    "deserialize",
];

impl<'w> Teacher<'w> {
    pub(super) fn new(world: &'w World, who: Who) -> Self {
        Self {
            world,
            who,
            language: None,
            key: None,
            correlation: None,
        }
    }

    pub(super) fn english(&self) -> Self {
        Self {
            language: Some("en"),
            ..self.clone()
        }
    }

    /// The same caller, sending this idempotency key.
    pub(super) fn keyed(&self, key: &str) -> Self {
        Self {
            key: Some(key.to_owned()),
            ..self.clone()
        }
    }

    /// The same caller, giving its requests this id.
    pub(super) fn correlated(&self, correlation: &'static str) -> Self {
        Self {
            correlation: Some(correlation),
            ..self.clone()
        }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, Vec::new()).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, body.to_string().into_bytes()).await
    }

    pub(super) async fn send(&self, method: &str, path: &str, body: Vec<u8>) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json");
        let token = match &self.who {
            Who::Account(account) => Some(self.world.keys.token(*account, self.world.clock.now_millis())),
            Who::Token(token) => Some(token.clone()),
            Who::Nobody => None,
        };
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(language) = self.language {
            request = request.header(header::ACCEPT_LANGUAGE, language);
        }
        if let Some(key) = &self.key {
            request = request.header("idempotency-key", key);
        }
        if let Some(correlation) = self.correlation {
            request = request.header("x-correlation-id", correlation);
        }
        let request = request.body(Body::from(body)).unwrap();
        let response = self.world.door(method, path).oneshot(request).await.unwrap();
        let kind = response.headers().get(header::CONTENT_TYPE);
        Answer {
            asked: format!("{method} {path}"),
            status: response.status().as_u16(),
            kind: kind.map_or("", |kind| kind.to_str().unwrap()).to_owned(),
            bytes: axum::body::to_bytes(response.into_body(), ANSWER_BYTES_MAX)
                .await
                .unwrap()
                .to_vec(),
        }
    }

    /// Sends what must be refused, and reads why in both languages; the problem in French.
    pub(super) async fn refused(
        &self,
        (method, path): (&str, &str),
        body: &[u8],
        (status, code): (u16, &str),
    ) -> Value {
        let french = self.send(method, path, body.to_vec()).await;
        let english = self.english().send(method, path, body.to_vec()).await;
        let (french, english) = (french.problem(status, code), english.problem(status, code));
        assert_ne!(french["detail"], english["detail"], "{method} {path}");
        for detail in [&french["detail"], &english["detail"]] {
            assert!(
                detail.as_str().unwrap().ends_with('.'),
                "{method} {path}: {detail} is no sentence"
            );
        }
        let words = text(&french, "detail");
        for word in words.split(|c: char| !c.is_alphanumeric()) {
            assert!(!NOT_OURS.contains(&word), "{method} {path}: {word} in {words}");
        }
        french
    }

    /// The same for a POST.
    pub(super) async fn post_refused(&self, path: &str, body: &Value, why: (u16, &str)) -> Value {
        self.refused(("POST", path), body.to_string().as_bytes(), why)
            .await
    }

    /// A new assignment, without a barème.
    pub(super) async fn assignment(&self) -> String {
        self.assignment_with(&json!({})).await
    }

    async fn assignment_with(&self, settings: &Value) -> String {
        let sample = sample_json("histoire/assignment.json");
        let mut body = json!({
            "title": sample["title"], "subject": sample["subject"], "level": sample["level"],
            "language": "fr", "roster": sample["roster"],
        });
        for (name, value) in settings.as_object().unwrap() {
            body[name] = value.clone();
        }
        text(&self.post("/api/assignments", &body).await.ok(), "id")
    }

    /// A new assignment with the barème of the history samples.
    pub(super) async fn exam(&self) -> String {
        self.exam_with(&json!({})).await
    }

    /// The same with these settings.
    pub(super) async fn exam_with(&self, settings: &Value) -> String {
        let assignment = self.assignment_with(settings).await;
        let path = format!("/api/assignments/{assignment}/rubrics");
        self.post(&path, &sample_json("histoire/rubric.json")).await.ok();
        assignment
    }

    /// Asks for slots and sends each file; the copies' ids.
    pub(super) async fn hand_in(&self, assignment: &str, files: &[(&str, Vec<u8>)]) -> Vec<String> {
        let slots = self.slots(assignment, files).await;
        let mut copies = Vec::new();
        for (slot, (_, pdf)) in slots.iter().zip(files) {
            let (status, body) = self.world.upload(&slot["upload"], pdf.clone()).await;
            assert_eq!(status, 204, "{body}");
            copies.push(text(slot, "copy"));
        }
        copies
    }

    pub(super) async fn slots(&self, assignment: &str, files: &[(&str, Vec<u8>)]) -> Vec<Value> {
        let describe = |(name, pdf): &(&str, Vec<u8>)| json!({ "name": name, "size_bytes": pdf.len() });
        self.slots_for(assignment, files.iter().map(describe).collect())
            .await
    }

    /// Slots for files that are described as a browser does.
    pub(super) async fn slots_for(&self, assignment: &str, files: Vec<Value>) -> Vec<Value> {
        let path = format!("/api/assignments/{assignment}/copies");
        let slots = self.post(&path, &json!({ "files": files })).await.ok();
        slots["slots"].as_array().unwrap().clone()
    }

    /// Another form for a copy.
    pub(super) async fn renew(&self, assignment: &str, copy: &str) -> Value {
        let path = format!("/api/assignments/{assignment}/copies/{copy}/upload");
        self.send("POST", &path, Vec::new()).await.ok()
    }

    /// Starts a run of all that was handed in.
    pub(super) async fn start(&self, assignment: &str) -> String {
        let started = self
            .post(&format!("/api/assignments/{assignment}/runs"), &json!({}))
            .await;
        text(&started.ok(), "id")
    }

    /// An exam with one typed copy, started: the assignment, the run, the copy.
    pub(super) async fn one_copy_started(&self) -> (String, String, String) {
        let assignment = self.exam().await;
        let copies = self
            .hand_in(&assignment, &[("copie.pdf", sample("histoire/bernard-ines.pdf"))])
            .await;
        let run = self.start(&assignment).await;
        (assignment, run, copies[0].clone())
    }

    pub(super) async fn run(&self, assignment: &str, run: &str) -> Value {
        self.get(&format!("/api/assignments/{assignment}/runs/{run}"))
            .await
            .ok()
    }

    /// The run's copies, in its order.
    pub(super) async fn copies(&self, assignment: &str, run: &str) -> Vec<Value> {
        let list = self
            .get(&format!(
                "/api/assignments/{assignment}/runs/{run}/copies?limit=100"
            ))
            .await
            .ok();
        list["items"].as_array().unwrap().clone()
    }

    pub(super) async fn result(&self, assignment: &str, copy: &str) -> Value {
        self.get(&format!("/api/assignments/{assignment}/copies/{copy}/result"))
            .await
            .ok()
    }
}

/// What a door said.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    asked: String,
    pub(super) status: u16,
    kind: String,
    bytes: Vec<u8>,
}

impl Answer {
    /// The body of a success.
    pub(super) fn ok(&self) -> Value {
        assert!(
            (200..300).contains(&self.status),
            "{} answered {}: {}",
            self.asked,
            self.status,
            self.words()
        );
        serde_json::from_slice(&self.bytes).unwrap()
    }

    /// The problem that it must be: RFC 9457, whole, of this type.
    pub(super) fn problem(&self, status: u16, code: &str) -> Value {
        let about = format!("{}: {} {}", self.asked, self.status, self.words());
        assert_eq!(self.status, status, "{about}");
        assert_eq!(self.kind, "application/problem+json", "{about}");
        let problem: Value = serde_json::from_slice(&self.bytes).unwrap();
        assert_eq!(problem["type"], format!("/problems/{code}"), "{about}");
        assert_eq!(problem["status"], status, "{about}");
        for field in ["title", "detail", "instance"] {
            assert!(
                problem[field].as_str().is_some_and(|text| !text.is_empty()),
                "no {field}: {about}"
            );
        }
        problem
    }

    fn words(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

pub(super) fn text(value: &Value, field: &str) -> String {
    value[field]
        .as_str()
        .unwrap_or_else(|| panic!("no {field} in {value}"))
        .to_owned()
}

/// A file of the samples.
pub(super) fn sample(path: &str) -> Vec<u8> {
    std::fs::read(project_root().join("samples").join(path)).unwrap()
}

pub(super) fn sample_json(path: &str) -> Value {
    serde_json::from_slice(&sample(path)).unwrap()
}
