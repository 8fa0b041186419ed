//! The main job, from a teacher's chair: two classes' copies go in through the real doors, marked copies, a
//! table, a cost and a CSV come out.

mod client;
mod progress;
mod report;
mod upgrade;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::domain::ids::AccountId;
use shared::domain::time::UnixMillis;

use crate::emulator::project_root;
use crate::supervisor::Running;
use client::Client;
use progress::Progress;
pub use report::Outcome;

/// A class's copies are graded within this, or the demo says that they were not.
const PATIENCE: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(400);

/// One class: a folder of `samples/`.
#[derive(Debug, Deserialize)]
struct Class {
    title: String,
    subject: String,
    level: String,
    language: String,
    roster: Vec<String>,
}

/// A teacher at the door of a running system.
#[derive(Debug)]
pub struct Demo {
    client: Client,
    grader: String,
    sells: bool,
}

impl Demo {
    /// A new Free teacher each time: a Free account's tokens are granted once for ever.
    ///
    /// # Errors
    /// No token could be made.
    pub fn of(running: &Running) -> anyhow::Result<Self> {
        let teacher = AccountId::mint(UnixMillis::new(Clock::system().now_millis()));
        Ok(Self {
            client: Client::new(running.api(), running.session_token(teacher)?),
            grader: match running.local_provider() {
                Some(_) => "démo, pas une IA (le correcteur local ; prix et jetons simulés)".to_owned(),
                None => running.provider(),
            },
            sells: running.local_provider().is_some(),
        })
    }
}

/// Runs the demo. Prints as it goes; returns what came out.
///
/// # Errors
/// Anything that a teacher would not accept: a door that does not answer, a class that is not graded in time.
pub async fn run(
    Demo {
        client,
        grader,
        sells,
    }: Demo,
) -> anyhow::Result<Vec<Outcome>> {
    println!("Correcteur : {grader}");
    let mut outcomes = Vec::new();
    let classes = classes()?;
    for folder in &classes {
        outcomes.push(mark_class(&client, folder).await?);
    }
    for outcome in &outcomes {
        println!("{}", outcome.table());
    }
    println!("{}", report::costs(&outcomes)?);
    let usage = client.get("/usage").await?;
    println!("{}", report::usage(&usage));
    let path = project_root().join("target/demo/results.csv");
    std::fs::create_dir_all(path.parent().unwrap_or(&path))?;
    std::fs::write(&path, report::csv(&outcomes))
        .with_context(|| format!("cannot write {}", path.display()))?;
    println!("\nCSV : target/demo/results.csv");
    // A real provider is paid by the copy: there, two classes are enough.
    if let Some(folder) = classes.last().filter(|_| sells) {
        upgrade::run(&client, folder).await?;
    }
    Ok(outcomes)
}

/// The folders of `samples/` that hold a class, in order.
fn classes() -> anyhow::Result<Vec<PathBuf>> {
    let samples = project_root().join("samples");
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(&samples).with_context(|| format!("cannot read {}", samples.display()))? {
        let folder = entry?.path();
        if folder.join("assignment.json").is_file() {
            folders.push(folder);
        }
    }
    folders.sort();
    ensure!(!folders.is_empty(), "no class in {}", samples.display());
    Ok(folders)
}

async fn mark_class(client: &Client, folder: &Path) -> anyhow::Result<Outcome> {
    let class: Class = read(&folder.join("assignment.json"))?;
    let rubric: Value = read(&folder.join("rubric.json"))?;
    println!("\n{} — {} ({})", class.subject, class.title, class.level);
    let made = client
        .post(
            "/assignments",
            &json!({
                "title": class.title, "subject": class.subject, "level": class.level,
                "language": class.language, "roster": class.roster,
            }),
        )
        .await?;
    let assignment = text(&made, "id")?;
    client
        .post(&format!("/assignments/{assignment}/rubrics"), &rubric)
        .await?;
    upload(client, &assignment, folder).await?;
    let started = client
        .post(&format!("/assignments/{assignment}/runs"), &json!({}))
        .await?;
    let run = text(&started, "id")?;
    let copies = follow(client, &assignment, &run).await?;
    let record = client
        .get(&format!("/assignments/{assignment}/runs/{run}"))
        .await?;
    let mut results = Vec::with_capacity(copies.len());
    for copy in copies {
        let graded = copy["state"] == "graded";
        let id = text(&copy, "copy")?;
        let path = format!("/assignments/{assignment}/copies/{id}/result");
        let result = if graded {
            Some(client.get(&path).await?)
        } else {
            None
        };
        results.push((copy, result));
    }
    Ok(Outcome {
        title: class.title,
        rubric,
        run: record,
        copies: results,
    })
}

/// Sends every PDF of the folder straight to the bucket, through the forms that the API signs.
async fn upload(client: &Client, assignment: &str, folder: &Path) -> anyhow::Result<()> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "pdf") {
            let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            files.push((
                path.file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
                bytes,
            ));
        }
    }
    files.sort();
    let wanted: Vec<Value> = files
        .iter()
        .map(|(name, bytes)| json!({ "name": name, "size_bytes": bytes.len() }))
        .collect();
    let slots = client
        .post(
            &format!("/assignments/{assignment}/copies"),
            &json!({ "files": wanted }),
        )
        .await?;
    let slots = slots["slots"].as_array().context("no slots in the answer")?;
    ensure!(
        slots.len() == files.len(),
        "{} slots for {} files",
        slots.len(),
        files.len()
    );
    for (slot, (name, bytes)) in slots.iter().zip(files) {
        client
            .upload(&slot["upload"], bytes)
            .await
            .with_context(|| format!("cannot upload {name}"))?;
    }
    println!("{} copies déposées", slots.len());
    Ok(())
}

/// Shows the run's copies until the run is done; answers with them.
async fn follow(client: &Client, assignment: &str, run: &str) -> anyhow::Result<Vec<Value>> {
    let path = format!("/assignments/{assignment}/runs/{run}");
    let mut progress = Progress::new();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let record = client.get(&path).await?;
        let copies = client.all(&format!("{path}/copies")).await?;
        progress.show(&copies);
        if matches!(record["state"].as_str(), Some("done" | "stopped" | "expired")) {
            progress.end();
            return Ok(copies);
        }
        ensure!(
            tokio::time::Instant::now() < deadline,
            "the run is not done after {} s: see the log",
            PATIENCE.as_secs()
        );
        tokio::time::sleep(POLL).await;
    }
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not as expected", path.display()))
}

fn text(value: &Value, field: &str) -> anyhow::Result<String> {
    Ok(value[field]
        .as_str()
        .with_context(|| format!("no {field} in the answer"))?
        .to_owned())
}
