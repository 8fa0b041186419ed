//! A folder and ports of its own, from which `local dev` is started, and a person who uses it.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use local::emulator::project_root;
use reqwest::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// Every port that the local system listens on.
pub(super) const PORTS: [&str; 5] = [
    "LOCAL_AWS_PORT",
    "LOCAL_API_PORT",
    "LOCAL_PROVIDER_PORT",
    "LOCAL_STRIPE_PORT",
    "LOCAL_WEB_PORT",
];
/// What a person may have set for themselves, in the environment or in `.env`: empty is as if it were not there.
const CHOICES: [&str; 6] = [
    "MODEL_KEY",
    "MODEL_BASE_URL",
    "MODEL",
    "PRICES_OVERRIDE",
    "CATALOGUE",
    "RUST_LOG",
];
/// The last line of what a started system says.
const READY: &str = "Ctrl-C stops everything";
/// Ten seconds, if the functions are compiled already.
const START_PATIENCE: Duration = Duration::from_secs(20 * 60);
/// What the supervisor gives its programs to end, and more.
const STOP_PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// The program, compiled as `scripts/local` does.
static LOCAL: LazyLock<PathBuf> = LazyLock::new(|| {
    let built = Command::new("cargo")
        .args(["build", "--locked", "--bin", "local"])
        .current_dir(project_root())
        .env("CARGO_TARGET_DIR", target_folder())
        .output()
        .unwrap();
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    target_folder().join("debug/local")
});

/// Where cargo put this test: `<target>/<profile>/deps`.
fn target_folder() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(3).unwrap().to_owned()
}

/// Where one system is started, again and again. Dropped, it leaves nothing there.
pub(super) struct Place {
    folder: PathBuf,
    ports: Vec<u16>,
}

impl Place {
    pub(super) fn new(name: &str) -> Self {
        let folder = project_root()
            .join(".local/tests")
            .join(format!("supervisor-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self {
            folder,
            ports: PORTS.map(|_| free_port()).to_vec(),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("log/dev.log")
    }

    pub(super) fn port(&self, variable: &str) -> u16 {
        let place = PORTS.iter().position(|it| *it == variable).unwrap();
        self.ports[place]
    }

    fn dev(&self) -> Command {
        let mut command = Command::new(&*LOCAL);
        command
            .arg("dev")
            .env("CARGO_TARGET_DIR", target_folder())
            .env("LOCAL_FOLDER", &self.folder)
            .envs(PORTS.iter().zip(self.ports.iter().map(u16::to_string)))
            .envs(CHOICES.map(|name| (name, "")))
            .stdin(Stdio::null());
        command
    }

    /// Starts the system and waits until it says that it is ready.
    pub(super) fn start(&self) -> Dev {
        let mut child = self.dev().stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            output
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| tell.send(line))
        });
        let started = Instant::now();
        let mut dev = Dev {
            child,
            lines,
            said: Vec::new(),
            api: format!("http://127.0.0.1:{}", self.port("LOCAL_API_PORT")),
        };
        while !dev.said.last().is_some_and(|line| line.starts_with(READY)) {
            let left = START_PATIENCE.saturating_sub(started.elapsed());
            match dev.lines.recv_timeout(left) {
                Ok(line) => dev.said.push(line),
                Err(_) => panic!("it is not ready: {:?}\n{}", dev.said, self.log_text()),
            }
        }
        dev
    }

    /// Starts what must not start; what it says about it.
    pub(super) fn refused(&self) -> String {
        self.refused_with(|_| {})
    }

    /// As [`Place::refused`], with something changed.
    pub(super) fn refused_with(&self, change: impl FnOnce(&mut Command)) -> String {
        let mut command = self.dev();
        change(&mut command);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    }

    /// Whatever runs for this place, whoever started it: a program's environment names the folder.
    pub(super) fn programs(&self) -> Vec<Running> {
        let mark = format!("LOCAL_FOLDER={}", self.folder.display());
        let marked = |pid: i32| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
            let ours = environment
                .split(|byte| *byte == 0)
                .any(|it| it == mark.as_bytes());
            let command = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            ours.then(|| Running {
                pid,
                command: String::from_utf8_lossy(&command).replace('\0', " "),
            })
        };
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        entries
            .filter_map(|entry| marked(entry.file_name().to_str()?.parse().ok()?))
            .collect()
    }

    /// No program is left, nor one of its ports taken. What was killed needs a moment to be gone.
    pub(super) fn assert_deserted(&self) {
        let since = Instant::now();
        while !self.programs().is_empty() && since.elapsed() < STOP_PATIENCE {
            std::thread::sleep(POLL);
        }
        assert!(self.programs().is_empty(), "{:?}", self.programs());
        for port in &self.ports {
            assert!(
                TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok(),
                "port {port}"
            );
        }
    }

    /// Each line of the log tells whose it is, and all of `programs` wrote to it.
    pub(super) fn assert_one_log_of(&self, programs: &[&str]) {
        let text = self.log_text();
        let whose = |line: &str| line.split_once(" | ").map(|(name, _)| name.trim_end().to_owned());
        let strange: Vec<&str> = text
            .lines()
            .filter(|line| whose(&format!("{line} ")).is_none_or(|name| !programs.contains(&name.as_str())))
            .collect();
        assert!(strange.is_empty(), "{strange:?}");
        for program in programs {
            let wrote = |line| whose(line).as_deref() == Some(*program);
            assert!(text.lines().any(wrote), "{program} wrote nothing");
        }
    }

    fn log_text(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for running in self.programs() {
            let _gone = Pid::from_raw(running.pid).map(|pid| kill_process(pid, Signal::KILL));
        }
        let _gone = std::fs::remove_dir_all(&self.folder);
    }
}

/// A port outside the range from which the kernel takes those of outgoing connections, which may be taken and
/// free again while a system is stopped and started.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + u16::try_from(std::process::id() % 600).unwrap() * 20;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::SeqCst);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// A process.
#[derive(Debug)]
pub(super) struct Running {
    pid: i32,
    command: String,
}

impl Running {
    /// Whether the file that it runs has this name.
    pub(super) fn runs(&self, name: &str) -> bool {
        let mut words = self.command.split(' ').take(2);
        words.any(|word| Path::new(word).file_name().is_some_and(|file| file == name))
    }
}

/// A system that is ready, and the demo teacher at its door.
pub(super) struct Dev {
    child: Child,
    lines: Receiver<String>,
    /// What it printed.
    pub(super) said: Vec<String>,
    api: String,
}

impl Dev {
    /// The demo teacher's session token, as it was printed.
    pub(super) fn token(&self) -> &str {
        let mut lines = self.said.iter();
        lines
            .find_map(|line| line.trim_start().strip_prefix("token="))
            .unwrap()
    }

    /// The ids of the teacher's assignments, or the status of the refusal.
    pub(super) async fn assignments(&self, token: &str) -> Result<Vec<String>, StatusCode> {
        let url = format!("{}/api/assignments", self.api);
        let answer = reqwest::Client::new()
            .get(url)
            .bearer_auth(token)
            .send()
            .await
            .unwrap();
        if !answer.status().is_success() {
            return Err(answer.status());
        }
        let page: Value = answer.json().await.unwrap();
        let ids = page["items"].as_array().unwrap().iter();
        Ok(ids.map(|it| it["id"].as_str().unwrap().to_owned()).collect())
    }

    /// Makes an assignment; its id.
    pub(super) async fn make_assignment(&self, title: &str) -> String {
        let answer = reqwest::Client::new()
            .post(format!("{}/api/assignments", self.api))
            .bearer_auth(self.token())
            .header("idempotency-key", title.len().to_string())
            .json(&json!({ "title": title, "subject": "Histoire", "level": "3e", "language": "fr" }))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
        let made: Value = answer.json().await.unwrap();
        made["id"].as_str().unwrap().to_owned()
    }

    /// Ctrl-C; how it ended.
    pub(super) fn interrupt(mut self) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        let since = Instant::now();
        while since.elapsed() < STOP_PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(POLL);
        }
        panic!("it does not end")
    }

    /// `kill -9`.
    pub(super) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
