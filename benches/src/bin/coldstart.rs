//! How long each function takes from the start of its process to its first answer, beside a `lambda_http` hello
//! world without SDK. The programs take turns, so that a busy moment hits all of them.
//!
//! `cargo run --release -p benches --bin coldstart [-- --from <folder>] [-- --strict]`. The programs are those
//! beside this one (`cargo build --release`), or those that `make package` made: `--from target/lambda/x86_64`.
//!
//! An HTTP function gets a request without token, and refuses it. The worker and `billing` get a batch of no messages.
//! The sweeper gets its schedule's event, and asks a DynamoDB on this machine that finds nothing: its time holds
//! three empty queries, two at once. The webhook gets an event that is signed: its time holds the reading of the
//! secret, the verification and the queue.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use benches::figures::{Figures, Goal};
use benches::runtime_api::{SIGNING_SECRET, invoke};
use local::stripe::courier::sign;
use serde_json::{Value, json};
use shared::clock::Clock;

const ROUNDS: usize = 25;
const TIMES_THE_BASELINE: f64 = 3.0;
/// A program answers within this, or the measurement fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// As `template.yaml` sets it. The provider on this machine needs no key, so the worker asks for no secret.
const ENVIRONMENT: [(&str, &str); 15] = [
    ("TABLE_NAME", "corrigeuse"),
    ("BUCKET_NAME", "corrigeuse"),
    ("QUEUE_URL", "http://127.0.0.1/000000000000/work"),
    ("STAGE", "dev"),
    ("SESSION_KEY_SECRET", "corrigeuse/session-key"),
    ("MODEL_PROVIDER", "anthropic"),
    ("MODEL", "claude-sonnet-5-5"),
    ("MODEL_BASE_URL", "http://127.0.0.1:9"),
    ("BILLING_QUEUE_URL", "http://127.0.0.1/000000000000/billing.fifo"),
    ("STRIPE_KEY_SECRET", "corrigeuse/stripe-key"),
    ("STRIPE_SIGNING_SECRET", "corrigeuse/stripe-signing"),
    ("STRIPE_LIVEMODE", "false"),
    ("WEB_ORIGIN", "https://app.example"),
    ("MAIL_FROM", "bonjour@corrigeuse.example"),
    // One file, as on Amazon Linux: Debian has a file a certificate beside it, which would all be read, for 3 ms.
    ("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"),
];

/// A program, its first event, and whether an answer is the one that belongs to it.
struct Start {
    name: &'static str,
    program: PathBuf,
    event: Value,
    right: fn(&Value) -> bool,
    times: Vec<Duration>,
}

fn main() -> ExitCode {
    match measure() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("coldstart bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> anyhow::Result<ExitCode> {
    let mut figures = Figures::default();
    let mut starts = starts()?;
    // The first round reads the programs from the disk, and is not counted.
    for round in 0..=ROUNDS {
        for start in &mut starts {
            let (time, answer) = invoke(&start.program, ENVIRONMENT, &start.event)?.answer(PATIENCE)?;
            ensure!((start.right)(&answer), "{} answered {answer}", start.name);
            if round > 0 {
                start.times.push(time);
            }
        }
    }
    let (hello, functions) = starts.split_first_mut().context("no program")?;
    let (hello_least, hello_median) = least_and_median(&mut hello.times);
    figures.say(&format!(
        "cold start of hello, the baseline: median {hello_median:.1} ms, least {hello_least:.1} ms, of {ROUNDS}"
    ));
    for start in functions {
        let (least, median) = least_and_median(&mut start.times);
        figures.figure(
            &format!("cold start of {}, over the baseline's", start.name),
            median / hello_median,
            "",
            Goal::AtMost(TIMES_THE_BASELINE),
            &format!(
                "median {median:.1} ms, least {least:.1} ms, {:.2} of hello's",
                least / hello_least
            ),
        );
    }
    Ok(figures.end())
}

fn starts() -> anyhow::Result<Vec<Start>> {
    let here = std::env::current_exe()?;
    let here = here.parent().context("this program is nowhere")?;
    let packages = std::env::args()
        .skip_while(|argument| argument != "--from")
        .nth(1)
        .map(PathBuf::from);
    let program = |name: &str| match &packages {
        Some(folder) => unpacked(&folder.join(name)),
        None => Ok(here.join(name)),
    };
    let refused: fn(&Value) -> bool = |answer| answer["statusCode"] == 401;
    let starting = |name, event, right| {
        program(name).map(|program| Start {
            name,
            program,
            event,
            right,
            times: Vec::new(),
        })
    };
    let http = |name, event| starting(name, event, refused);
    let none_failed: fn(&Value) -> bool = |answer| answer["batchItemFailures"] == json!([]);
    let no_messages = json!({ "Records": [] });
    let assignment = "/api/assignments/0190a5a0-0000-7000-8000-000000000000";
    let starts = vec![
        Start {
            name: "hello",
            program: here.join("hello"),
            event: request("GET", "/"),
            right: |answer| answer["statusCode"] == 200,
            times: Vec::new(),
        },
        http("assignments", request("GET", "/api/assignments"))?,
        http("grade", request("POST", &format!("{assignment}/runs")))?,
        http("status", request("GET", "/api/usage"))?,
        http("checkout", request("POST", "/api/subscription/portal"))?,
        starting("webhook", delivery(), |answer| answer["statusCode"] == 200)?,
        starting("worker", no_messages.clone(), none_failed)?,
        starting("billing", no_messages, none_failed)?,
        starting("sweeper", schedule(), |answer| answer["failures"] == 0)?,
    ];
    for start in &starts {
        built(&start.program)?;
    }
    Ok(starts)
}

fn built(program: &Path) -> anyhow::Result<()> {
    ensure!(
        program.is_file(),
        "{} is not built: run scripts/bench, which builds it",
        program.display()
    );
    Ok(())
}

/// The program in a function's zip, beside it.
fn unpacked(folder: &Path) -> anyhow::Result<PathBuf> {
    let zip = folder.join("bootstrap.zip");
    let done = Command::new("python3")
        .args(["-m", "zipfile", "-e"])
        .args([&zip, folder])
        .status()
        .context("python3 unpacks the packages")?;
    ensure!(
        done.success(),
        "{} cannot be unpacked: make package",
        zip.display()
    );
    let program = folder.join("bootstrap");
    std::fs::set_permissions(&program, Permissions::from_mode(0o755))?;
    Ok(program)
}

/// An event of Stripe's as it comes through a function URL.
fn delivery() -> Value {
    let body = json!({
        "id": "evt_bench", "object": "event", "api_version": "2026-09-30.endive", "created": 1_795_176_000,
        "livemode": false, "type": "invoice.paid",
        "data": { "object": { "id": "in_bench", "object": "invoice", "customer": "cus_bench" } },
    })
    .to_string();
    let now = Clock::system().now_millis() / 1000;
    let mut event = request("POST", "/");
    event["headers"]["stripe-signature"] = sign(&body, now, &[SIGNING_SECRET.to_owned()]).into();
    event["body"] = body.into();
    event
}

/// A request of API Gateway, payload version 2.0, without a token.
fn request(method: &str, path: &str) -> Value {
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": { "accept": "*/*", "content-type": "application/json", "host": "example.org" },
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "bench",
            "domainName": "example.org",
            "domainPrefix": "bench",
            "http": {
                "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "bench",
            },
            "requestId": "bench",
            "routeKey": "$default",
            "stage": "$default",
            "time": "20/Nov/2026:12:00:00 +0000",
            "timeEpoch": 1_795_176_000_000_i64,
        },
        "body": "{}",
        "isBase64Encoded": false,
    })
}

fn schedule() -> Value {
    json!({
        "version": "0",
        "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": "000000000000",
        "time": "2026-11-20T12:00:00Z",
        "region": "eu-west-3",
        "resources": [],
        "detail": {},
    })
}

/// In milliseconds.
fn least_and_median(times: &mut [Duration]) -> (f64, f64) {
    times.sort();
    let at = |place: usize| times.get(place).map_or(0.0, |time| time.as_secs_f64() * 1e3);
    (at(0), at(times.len() / 2))
}
