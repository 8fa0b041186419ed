//! The functions: which there are, how the emulator reaches them, and the `cargo lambda watch` that runs them.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::STACK_NAME;
use crate::emulator::{ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, installed, project_root};
use crate::process::{Log, Orphan, Program};

/// A first answer may include a compilation.
const WARM_PATIENCE: Duration = Duration::from_secs(600);
const READY_PATIENCE: Duration = Duration::from_secs(30);
const STOP_PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);

/// What wakes a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trigger {
    Http,
    Queue,
    Schedule,
}

const FUNCTIONS: [(&str, Trigger); 8] = [
    ("assignments", Trigger::Http),
    ("grade", Trigger::Http),
    ("status", Trigger::Http),
    ("checkout", Trigger::Http),
    ("worker", Trigger::Queue),
    ("sweeper", Trigger::Schedule),
    ("webhook", Trigger::Http),
    ("billing", Trigger::Queue),
];

/// Names of the functions, as their folders in `functions/`.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.into_iter().map(|(name, _)| name)
}

/// Variables that make the emulator forward the invocations of the stack's functions to `api`, whatever code
/// they were deployed with.
pub(super) fn forwarding(api: &str) -> Vec<(String, String)> {
    names()
        .map(|name| {
            (
                format!("MINISTACK_LAMBDA_PROXY_{STACK_NAME}-{name}"),
                invocation_url(api, name),
            )
        })
        .collect()
}

fn invocation_url(api: &str, name: &str) -> String {
    format!("{api}/2015-03-31/functions/{name}/invocations")
}

/// The environment that the template gives the functions, read from the deployed stack. They all run under one
/// `cargo lambda watch`, so they share one environment; a variable that differs between two is an error.
pub(super) async fn environment(endpoint: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/20260101/{REGION}/lambda/aws4_request, SignedHeaders=host, \
         Signature=0"
    );
    let http = reqwest::Client::new();
    let mut shared = BTreeMap::new();
    for name in names() {
        let url = format!("{endpoint}/2015-03-31/functions/{STACK_NAME}-{name}/configuration");
        let answer = http
            .get(&url)
            .header("authorization", &authorization)
            .send()
            .await?;
        ensure!(
            answer.status().is_success(),
            "template.yaml has no function {STACK_NAME}-{name}"
        );
        let configuration: Value = serde_json::from_slice(&answer.bytes().await?)?;
        let variables = configuration
            .pointer("/Environment/Variables")
            .and_then(Value::as_object);
        merge(&mut shared, name, variables.into_iter().flatten())?;
    }
    let ours = [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    shared.extend(ours.map(|(name, value)| (name.to_owned(), value.to_owned())));
    Ok(shared)
}

fn merge<'a>(
    shared: &mut BTreeMap<String, String>,
    function: &str,
    variables: impl Iterator<Item = (&'a String, &'a Value)>,
) -> anyhow::Result<()> {
    for (variable, value) in variables {
        let value = value.as_str().unwrap_or_default();
        if shared.get(variable).is_some_and(|other| other != value) {
            bail!(
                "template.yaml gives {function} another {variable} than the functions before it; locally they share one"
            );
        }
        shared.insert(variable.clone(), value.to_owned());
    }
    Ok(())
}

/// Compiles the functions exactly as `cargo lambda watch` will (`cargo run --bin <function>` in the root of the
/// workspace, so with the features of all its members), so that nothing is compiled at a first request.
pub(super) async fn build(log: &Log) -> anyhow::Result<()> {
    let mut command = Command::new("cargo");
    command.args(["build", "--locked"]).current_dir(project_root());
    for name in names() {
        command.args(["--bin", name]);
    }
    let mut cargo = Program::start("cargo", &command, Orphan::Killed, log)?;
    let started = Instant::now();
    loop {
        match cargo.ended() {
            Some(status) if status.success() => return Ok(()),
            Some(_) => {
                cargo.check_running()?;
            }
            None if started.elapsed() > WARM_PATIENCE => {
                bail!("the build took more than {} s", WARM_PATIENCE.as_secs())
            }
            None => tokio::time::sleep(POLL).await,
        }
    }
}

/// The running functions.
#[derive(Debug)]
pub(super) struct Functions {
    program: Program,
    api: String,
}

impl Functions {
    /// Starts `cargo lambda watch` on `port`: at most `workers` processes of each function, with `environment`.
    pub(super) async fn start(
        folder: &Path,
        port: u16,
        workers: usize,
        reload: bool,
        environment: &BTreeMap<String, String>,
        log: &Log,
    ) -> anyhow::Result<Self> {
        let root = project_root();
        let mut command = Command::new(installed("run", "cargo-lambda", "run")?);
        command
            .args([
                "lambda",
                "watch",
                "--invoke-address",
                "127.0.0.1",
                "--invoke-port",
            ])
            .arg(port.to_string())
            .arg("--concurrency")
            .arg(workers.to_string())
            // The web app and the API share an origin, here through the app's development server.
            .arg("--disable-cors")
            .arg("--manifest-path")
            .arg(root.join("Cargo.toml"))
            .current_dir(watched_sources(folder, &root)?)
            .envs(environment);
        // It reads the same variable as the functions, and its watcher tells every step at the level `info`.
        if let Some(level) = environment.get("RUST_LOG") {
            command.env("RUST_LOG", format!("{level},watchexec=warn"));
        }
        if !reload {
            command.arg("--ignore-changes");
        }
        let mut program = Program::start("functions", &command, Orphan::Terminated, log)?;
        let started = Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            program.check_running()?;
            ensure!(
                started.elapsed() < READY_PATIENCE,
                "cargo lambda watch does not listen on port {port} after {} s",
                READY_PATIENCE.as_secs()
            );
            tokio::time::sleep(POLL).await;
        }
        Ok(Self {
            program,
            api: format!("http://127.0.0.1:{port}"),
        })
    }

    /// Invokes every function once with an event that changes nothing, all at a time, so that the first request
    /// of a person meets a running process.
    pub(super) async fn warm(&self) -> anyhow::Result<()> {
        let http = reqwest::Client::builder().timeout(WARM_PATIENCE).build()?;
        let mut calls = tokio::task::JoinSet::new();
        for (name, trigger) in FUNCTIONS {
            let call = http
                .post(invocation_url(&self.api, name))
                .header("content-type", "application/json")
                .body(harmless_event(trigger).to_string());
            calls.spawn(async move {
                let answer = call
                    .send()
                    .await
                    .with_context(|| format!("{name} does not answer"))?;
                let status = answer.status();
                let text = answer.text().await.unwrap_or_default();
                ensure!(status.is_success(), "{name} does not start ({status}): {text}");
                Ok(())
            });
        }
        while let Some(called) = calls.join_next().await {
            called??;
        }
        Ok(())
    }

    /// The program, to see whether it still runs.
    pub(super) fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    pub(super) async fn stop(self) {
        let _by_itself = self.program.stop(STOP_PATIENCE).await;
    }
}

/// A folder with nothing but links to the sources of the functions. Each process of a function watches all that
/// is below its folder, changed or not; from the root of the project that is also `target` and `.venv`, thousands
/// of folders, seconds of processor and a share of the kernel's watches each.
fn watched_sources(folder: &Path, root: &Path) -> anyhow::Result<PathBuf> {
    let sources = folder.join("sources");
    std::fs::create_dir_all(&sources).with_context(|| format!("cannot make {}", sources.display()))?;
    for name in ["functions", "shared"] {
        let link = sources.join(name);
        if let Err(error) = symlink(root.join(name), &link)
            && error.kind() != ErrorKind::AlreadyExists
        {
            return Err(error).with_context(|| format!("cannot make the link {}", link.display()));
        }
    }
    Ok(sources)
}

/// An event that a function answers without touching anything: a path that no route has, no message, an ordinary
/// tick of the schedule (a sweep that finds nothing due does nothing).
fn harmless_event(trigger: Trigger) -> Value {
    match trigger {
        Trigger::Queue => json!({ "Records": [] }),
        Trigger::Schedule => json!({
            "version": "0", "id": "warm-up", "detail-type": "Scheduled Event", "source": "aws.events",
            "account": "000000000000", "time": "2026-01-01T00:00:00Z", "region": REGION, "resources": [], "detail": {},
        }),
        Trigger::Http => json!({
            "version": "2.0", "routeKey": "$default", "rawPath": "/", "rawQueryString": "", "headers": {},
            "requestContext": {
                "accountId": "000000000000", "apiId": "local", "domainName": "localhost", "domainPrefix": "local",
                "http": { "method": "GET", "path": "/", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1",
                          "userAgent": "supervisor" },
                "requestId": "warm-up", "routeKey": "$default", "stage": "$default",
                "time": "01/Jan/2026:00:00:00 +0000", "timeEpoch": 1_767_225_600_000_u64,
            },
            "isBase64Encoded": false,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_are_those_of_the_folder() {
        let folder = project_root().join("functions");
        let mut there: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        there.sort();
        let mut ours: Vec<&str> = names().collect();
        ours.sort_unstable();
        assert_eq!(ours, there);
    }

    #[test]
    fn two_functions_share_a_variable_only_with_one_value() {
        let mut shared = BTreeMap::new();
        let first = json!({ "TABLE_NAME": "t" });
        let other = json!({ "TABLE_NAME": "u" });
        merge(&mut shared, "grade", first.as_object().into_iter().flatten()).unwrap();
        merge(&mut shared, "status", first.as_object().into_iter().flatten()).unwrap();
        let refusal = merge(&mut shared, "worker", other.as_object().into_iter().flatten())
            .unwrap_err()
            .to_string();
        assert!(refusal.contains("worker another TABLE_NAME"), "{refusal}");
    }
}
