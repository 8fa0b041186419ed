//! The wire format, held to the types of the provider's own SDK: what our client sends, and what the local provider
//! answers in the real one's place.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use local::demo_grader::DemoGrader;
use local::emulator::{installed, project_root};
use local::provider::{Fault, Kind, Latency, Options, Provider};
use serde_json::{Value, json};
use shared::domain::Language;
use shared::domain::rubric::Rubric;
use shared::grading::prompt::{self, Exam};
use shared::grading::{CopyCode, MaskedCopy, PageImage, Prompt, Redaction};
use shared::llm::prices::Prices;
use shared::llm::{CacheTtl, Model as _, Provider as Name, Settings};
use tokio::time::{Duration, Instant};

/// Between the client and the local provider: passes everything on, and remembers it.
#[derive(Clone)]
struct Recorder {
    to: String,
    exchanges: Arc<Mutex<Vec<(Value, Value)>>>,
}

impl Recorder {
    /// Its own address, and itself.
    async fn start(to: String) -> (String, Self) {
        let recorder = Self {
            to,
            exchanges: Arc::default(),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new()
            .route("/v1/messages", post(pass_on))
            .with_state(recorder.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (address, recorder)
    }

    fn exchanges(&self) -> Vec<(Value, Value)> {
        self.exchanges
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

async fn pass_on(State(recorder): State<Recorder>, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    let url = format!("{}/v1/messages", recorder.to);
    let mut request = reqwest::Client::new().post(url).body(body.clone());
    for name in ["x-api-key", "anthropic-version", "content-type"] {
        request = request.header(name, &headers[name]);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let reply = answer.text().await.unwrap();
    recorder
        .exchanges
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push((
            serde_json::from_slice(&body).unwrap(),
            serde_json::from_str(&reply).unwrap(),
        ));
    (status, reply)
}

/// All that the worker asks: marks and a transcription, each warmed first.
fn prompts(rubric: &Rubric) -> [Prompt; 2] {
    let exam = Exam {
        title: "La Première Guerre mondiale",
        subject: "Histoire",
        level: "3e",
        language: Language::Fr,
        statement: None,
        rubric,
        pupils: &[],
    };
    let nobody = MaskedCopy::new(&[], Redaction::new(CopyCode::from_random(0), [], ""));
    let page = PageImage {
        number: 1,
        jpeg: a_scanned_page(),
    };
    [
        prompt::grading(&exam, &nobody),
        prompt::transcription(&[page]).remove(0),
    ]
}

/// The first picture of a sample scan, which is stored as a JPEG file.
fn a_scanned_page() -> Vec<u8> {
    let pdf = std::fs::read(project_root().join("samples/histoire/roux-theo.pdf")).unwrap();
    let find = |mark: &[u8], from: usize| {
        let found = pdf[from..].windows(mark.len()).position(|bytes| bytes == mark);
        from + found.unwrap()
    };
    let start = find(b"\xff\xd8\xff", 0);
    pdf[start..find(b"endstream", start)].to_vec()
}

/// What the SDK's types say against these exchanges, a line a problem.
fn problems(requests: &[Value], replies: &[Value]) -> Vec<String> {
    let types = project_root().join(".venv/wire");
    assert!(
        types.exists(),
        "the SDK is not installed: run `scripts/setup test`"
    );
    let mut child = Command::new(installed("run", "python", "run").unwrap())
        .arg(project_root().join("tests/wire_types.py"))
        .env("PYTHONPATH", types)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let exchanges = json!({ "requests": requests, "replies": replies }).to_string();
    let mut to = child.stdin.take().unwrap();
    to.write_all(exchanges.as_bytes()).unwrap();
    drop(to);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "wire_types.py failed");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_requests_and_the_local_providers_replies_are_of_the_official_sdks_types() {
    let mut options = Options::new(Prices::load(None).unwrap(), Arc::new(DemoGrader::new().unwrap()));
    options.latency = Latency::NONE;
    let provider = Provider::start("127.0.0.1:0".parse().unwrap(), options)
        .await
        .unwrap();
    let (address, recorder) = Recorder::start(provider.base_url()).await;
    let rubric = std::fs::read(project_root().join("samples/histoire/rubric.json")).unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    for cache_ttl in [CacheTtl::FiveMinutes, CacheTtl::OneHour] {
        let mut settings = Settings::new(Name::Local, "demo-pas-une-ia");
        settings.base_url = Some(address.clone());
        settings.cache_ttl = cache_ttl;
        let client = settings.build().unwrap();
        for prompt in prompts(&Rubric::parse(&rubric).unwrap()) {
            client.warm(&prompt, until).await.unwrap();
            client.answer(&prompt, until).await.unwrap();
            for kind in [Kind::Refusal, Kind::Truncated] {
                provider.inject([Fault::next(kind)]);
                client.answer(&prompt, until).await.unwrap_err();
            }
        }
    }
    let (mut requests, mut replies): (Vec<Value>, Vec<Value>) = recorder.exchanges().into_iter().unzip();
    let sound = requests.len();
    assert_eq!(sound, 16);

    // What is wrong must be found, wherever it stands; else that nothing is found would say nothing.
    let wrong = [
        ("/max_tokens", json!("many")),
        ("/output_config/effort", json!("tiny")),
        ("/output_config/format/odd", json!(1)),
        ("/system/0/cache_control/ttl", json!("7m")),
        ("/messages/0/content/0", json!({ "type": "text" })),
    ];
    for (place, value) in &wrong {
        let mut request = requests[0].clone();
        let (parent, field) = place.rsplit_once('/').unwrap();
        match request.pointer_mut(parent).unwrap() {
            Value::Array(items) => items[field.parse::<usize>().unwrap()] = value.clone(),
            object => object[field] = value.clone(),
        }
        requests.push(request);
    }
    let mut reply = replies[0].clone();
    reply["usage"]["output_tokens"] = Value::Null;
    replies.push(reply);

    let problems = problems(&requests, &replies);
    let found: BTreeSet<&str> = problems
        .iter()
        .map(|line| line.split(':').next().unwrap())
        .collect();
    let mut expected: BTreeSet<String> = (sound..requests.len())
        .map(|number| format!("request {number}"))
        .collect();
    expected.insert(format!("reply {sound}"));
    let expected: BTreeSet<&str> = expected.iter().map(String::as_str).collect();
    assert_eq!(found, expected, "{problems:#?}");
}
