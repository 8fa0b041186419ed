//! The programs that stand in for AWS, each on a loopback port: [`Ministack`] for everything, [`Dynoxide`]
//! as a second, stricter opinion on DynamoDB.
//!
//! `scripts/setup` installs them; both answer any credentials, those of [`sdk_config`] are the ones whose
//! presigned requests they verify.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use tokio::time::Instant;

use crate::process::{Log, Orphan, Program};

/// The region of the local system.
pub const REGION: &str = "eu-west-3";
/// The access key id of the local system.
pub const ACCESS_KEY_ID: &str = "test";
/// The secret key of the local system; the emulators check presigned requests against it.
pub const SECRET_ACCESS_KEY: &str = "test";

/// An emulator answers within this, or starting it fails. It takes under a second on an idle machine.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// Ministack writes its state when asked to end; it gets this long for it.
const STOP_PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);
/// A free port may be taken by another program before ours binds it, so it is tried again.
const PORT_ATTEMPTS: usize = 3;

/// The root of the project, where `.venv` and `.local` are.
pub fn project_root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// The configuration of SDK clients that speak to an emulator. The programs under test load theirs from the
/// environment; this is for what a test does itself.
pub async fn sdk_config(endpoint: &str) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::from_static(REGION))
        .credentials_provider(Credentials::new(
            ACCESS_KEY_ID,
            SECRET_ACCESS_KEY,
            None,
            None,
            "local",
        ))
        .load()
        .await
}

/// Ministack: DynamoDB, S3, SQS, Secrets Manager, Lambda, CloudFormation and more in one process.
#[derive(Debug)]
pub struct Ministack {
    program: Program,
    endpoint: String,
}

impl Ministack {
    /// Starts one on a free port with nothing in it; what it holds is lost when it ends. For tests: it ends with
    /// the test process, whatever happens to that.
    pub async fn ephemeral() -> anyhow::Result<Self> {
        let folder = scratch_folder()?;
        on_free_port(async |port| {
            let log = Log::create(&folder.join(format!("ministack-{port}.log")))?;
            Self::start(
                port,
                &folder,
                &ministack_command(port, &folder)?,
                Orphan::Killed,
                &log,
            )
            .await
        })
        .await
    }

    /// Starts one on `port` that keeps its state in `folder`. [`Ministack::stop`] is what saves most of the state:
    /// killed, it loses what DynamoDB and SQS hold.
    ///
    /// `environment` is added to its own.
    pub async fn kept(
        port: u16,
        folder: &Path,
        environment: &[(String, String)],
        log: &Log,
    ) -> anyhow::Result<Self> {
        let mut command = ministack_command(port, folder)?;
        command
            .env("PERSIST_STATE", "1")
            .env("STATE_DIR", folder.join("state"))
            .env("S3_PERSIST", "1")
            .env("S3_DATA_DIR", folder.join("s3"))
            .envs(environment.iter().map(|(name, value)| (name, value)));
        Self::start(port, folder, &command, Orphan::Terminated, log).await
    }

    async fn start(
        port: u16,
        folder: &Path,
        command: &Command,
        orphan: Orphan,
        log: &Log,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let endpoint = format!("http://{}:{port}", Ipv4Addr::LOCALHOST);
        let mut program = Program::start("ministack", command, orphan, log)?;
        let client = reqwest::Client::new();
        let ready = format!("{endpoint}/_ministack/ready");
        until_ready(&mut program, async || {
            client
                .get(&ready)
                .send()
                .await
                .is_ok_and(|answer| answer.status().is_success())
        })
        .await?;
        Ok(Self { program, endpoint })
    }

    /// Its address, without a slash at the end: the endpoint URL of every SDK client.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The program, to see whether it still runs.
    pub fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    /// Forgets everything it holds.
    pub async fn reset(&self) -> anyhow::Result<()> {
        let answer = reqwest::Client::new()
            .post(format!("{}/_ministack/reset", self.endpoint))
            .send()
            .await?;
        ensure!(
            answer.status().is_success(),
            "ministack refused to reset: {}",
            answer.status()
        );
        Ok(())
    }

    /// Saves its state and ends.
    pub async fn stop(self) -> anyhow::Result<()> {
        ensure!(
            self.program.stop(STOP_PATIENCE).await,
            "ministack did not end within {} s and was killed: what changed since it started may be lost",
            STOP_PATIENCE.as_secs()
        );
        Ok(())
    }
}

/// Dynoxide: DynamoDB in memory, in Rust over SQLite.
#[derive(Debug)]
pub struct Dynoxide {
    endpoint: String,
    _program: Program,
}

impl Dynoxide {
    /// Starts one on a free port with nothing in it. It ends when dropped, and with the test process.
    pub async fn ephemeral() -> anyhow::Result<Self> {
        let folder = scratch_folder()?;
        let binary = installed("node", "dynoxide", "test")?;
        on_free_port(async |port| {
            let log = Log::create(&folder.join(format!("dynoxide-{port}.log")))?;
            let mut command = Command::new(&binary);
            command
                .args(["serve", "--host", "127.0.0.1", "--port"])
                .arg(port.to_string());
            let mut program = Program::start("dynoxide", &command, Orphan::Killed, &log)?;
            until_ready(&mut program, async || {
                tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port))
                    .await
                    .is_ok()
            })
            .await?;
            Ok(Self {
                endpoint: format!("http://{}:{port}", Ipv4Addr::LOCALHOST),
                _program: program,
            })
        })
        .await
    }

    /// Its address, without a slash at the end.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

/// A program of `.venv/<environment>`; says which `scripts/setup` installs it when it is not there.
pub fn installed(environment: &str, program: &str, setup: &str) -> anyhow::Result<PathBuf> {
    let path = project_root()
        .join(".venv")
        .join(environment)
        .join("bin")
        .join(program);
    ensure!(
        path.exists(),
        "{program} is not installed: run `scripts/setup {setup}`"
    );
    Ok(path)
}

fn ministack_command(port: u16, folder: &Path) -> anyhow::Result<Command> {
    let mut command = Command::new(installed("run", "ministack", "run")?);
    command
        // It listens on every interface unless told otherwise, and its IoT listener always does: off.
        .env("BIND_HOST", "127.0.0.1")
        .env("IOT_MTLS_ENABLED", "0")
        .env("SFTP_ENABLED", "0")
        .env("GATEWAY_PORT", port.to_string())
        // Presigned URLs, POST policies and CORS are checked only with this.
        .env("AUTH", "true")
        .env("MINISTACK_REGION", REGION)
        .env("TMPDIR", folder)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(command)
}

/// A folder of this process for what its emulators write. Those of processes that are gone are removed.
fn scratch_folder() -> anyhow::Result<PathBuf> {
    let all = project_root().join(".local").join("emulators");
    let ours = all.join(std::process::id().to_string());
    std::fs::create_dir_all(&ours).with_context(|| format!("cannot make {}", ours.display()))?;
    for entry in std::fs::read_dir(&all)?.flatten() {
        if !Path::new("/proc").join(entry.file_name()).exists() {
            // Another process may be removing it too.
            let _gone = std::fs::remove_dir_all(entry.path());
        }
    }
    Ok(ours)
}

async fn on_free_port<T>(start: impl AsyncFn(u16) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let mut failure = None;
    for _ in 0..PORT_ATTEMPTS {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        match start(port).await {
            Ok(started) => return Ok(started),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| anyhow::anyhow!("no free port")))
}

/// Waits until `ready` says so; fails when the program ends first, or after [`START_PATIENCE`].
async fn until_ready(program: &mut Program, ready: impl AsyncFn() -> bool) -> anyhow::Result<()> {
    let started = Instant::now();
    while !ready().await {
        program.check_running()?;
        if started.elapsed() > START_PATIENCE {
            bail!(
                "{} did not answer within {} s",
                program.name(),
                START_PATIENCE.as_secs()
            );
        }
        tokio::time::sleep(POLL).await;
    }
    // A taken port answers in its place.
    program.check_running()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_ministack_outlives_the_thread_that_started_it_and_forgets_when_reset() {
        let ministack = std::thread::spawn(|| {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(Ministack::ephemeral())
                .unwrap()
        })
        .join()
        .unwrap();
        ministack.reset().await.unwrap();
        ministack.stop().await.unwrap();
    }

    #[tokio::test]
    async fn a_dynoxide_answers_on_its_port() {
        let dynoxide = Dynoxide::ephemeral().await.unwrap();
        let answer = reqwest::get(dynoxide.endpoint()).await.unwrap();
        assert!(answer.status().as_u16() < 500);
    }
}
