//! Child programs that cannot outlive us: each in its own process group, with its output in one log.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process_group};

/// How often a child that was asked to stop is looked at.
const STOP_POLL: Duration = Duration::from_millis(20);

/// What a dropped program gets to save what it holds.
const DROP_PATIENCE: Duration = Duration::from_secs(5);

/// Lines of a program that its log keeps in memory, to show them when it fails.
const TAIL_LINES: usize = 20;

/// One readable log for several programs: each line starts with the name of its program.
#[derive(Clone, Debug)]
pub struct Log {
    path: PathBuf,
    file: Arc<Mutex<File>>,
}

impl Log {
    /// Starts an empty log at `path`; the log of the time before is kept beside it as `<name>.old`.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        if path.exists() {
            let mut old = path.as_os_str().to_owned();
            old.push(".old");
            std::fs::rename(path, &old).with_context(|| format!("cannot move {} away", path.display()))?;
        }
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            file: Arc::new(Mutex::new(file)),
        })
    }

    /// Where the log is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds one line of `program`. A log that cannot be written (a full disk) loses lines; it stops nothing.
    pub fn line(&self, program: &str, line: &str) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let _lost = writeln!(file, "{program:<9} | {line}");
    }

    /// Copies `output` into the log, line by line, until it ends; bytes that are not UTF-8 are replaced.
    fn follow(&self, program: &'static str, output: impl Read + Send + 'static, tail: Arc<Mutex<Tail>>) {
        let log = self.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n') {
                let Ok(line) = line else { return };
                let line = String::from_utf8_lossy(&line);
                log.line(program, line.trim_end());
                tail.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(line.trim_end());
            }
        });
    }
}

#[derive(Debug, Default)]
struct Tail(std::collections::VecDeque<String>);

impl Tail {
    fn push(&mut self, line: &str) {
        if self.0.len() == TAIL_LINES {
            self.0.pop_front();
        }
        self.0.push_back(line.to_owned());
    }
}

/// What happens to a child when we end without stopping it (a crash, a `kill -9`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orphan {
    /// It is asked to end, and saves what it holds.
    Terminated,
    /// It is killed: nothing of it matters without us.
    Killed,
}

/// A running child program.
///
/// [`Program::stop`] is how to end it. Dropped, it meets the end of an [`Orphan`], and its group is killed.
#[derive(Debug)]
pub struct Program {
    name: &'static str,
    child: Child,
    group: Pid,
    tail: Arc<Mutex<Tail>>,
    orphan: Orphan,
}

impl Program {
    /// Starts `command` in its own process group (a Ctrl-C in the terminal reaches only us, and we stop our
    /// children in order), without input, its output going to `log`.
    ///
    /// The kernel ends the child when we die, by `setpriv --pdeathsig` of util-linux: the system call itself
    /// would need `unsafe` between fork and exec.
    pub fn start(name: &'static str, command: &Command, orphan: Orphan, log: &Log) -> anyhow::Result<Self> {
        let signal = match orphan {
            Orphan::Terminated => "TERM",
            Orphan::Killed => "KILL",
        };
        let mut launched = Command::new("setpriv");
        launched
            .args(["--pdeathsig", signal, "--"])
            .arg(command.get_program())
            .args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => launched.env(key, value),
                None => launched.env_remove(key),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            launched.current_dir(folder);
        }
        launched
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());

        let mut child =
            spawn_from_lasting_thread(launched).with_context(|| format!("cannot start {name}"))?;
        let group = Pid::from_child(&child);
        let tail = Arc::new(Mutex::new(Tail::default()));
        if let Some(output) = child.stdout.take() {
            log.follow(name, output, Arc::clone(&tail));
        }
        if let Some(output) = child.stderr.take() {
            log.follow(name, output, Arc::clone(&tail));
        }
        Ok(Self {
            name,
            child,
            group,
            tail,
            orphan,
        })
    }

    /// The name it has in the log.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The process id, which is also the id of its group.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// An error that carries the last lines of the program if it has ended, `Ok` while it runs.
    pub fn check_running(&mut self) -> anyhow::Result<()> {
        let Some(status) = self.ended() else { return Ok(()) };
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = tail.0.iter().map(String::as_str).collect::<Vec<_>>().join("\n  ");
        bail!("{} ended ({status}); its last lines:\n  {lines}", self.name)
    }

    /// Asks the program to end, waits at most `patience`, then kills its group. Says whether it ended by itself.
    pub async fn stop(mut self, patience: Duration) -> bool {
        let _gone = kill_process_group(self.group, Signal::TERM);
        let asked = Instant::now();
        while asked.elapsed() < patience {
            if self.ended().is_some() {
                return true;
            }
            tokio::time::sleep(STOP_POLL).await;
        }
        false
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.orphan == Orphan::Terminated && self.ended().is_none() {
            let _gone = kill_process_group(self.group, Signal::TERM);
            let asked = Instant::now();
            while asked.elapsed() < DROP_PATIENCE && self.ended().is_none() {
                std::thread::sleep(STOP_POLL);
            }
        }
        // The group may hold more than the child; a group that is gone is what we want.
        let _gone = kill_process_group(self.group, Signal::KILL);
        let _status = self.child.wait();
    }
}

/// Spawns from a thread that lives as long as this process. The kernel sends a parent-death signal when the
/// *thread* that made the child ends, so a child spawned by a test's thread would die with that test.
fn spawn_from_lasting_thread(command: Command) -> anyhow::Result<Child> {
    type Order = (Command, Sender<std::io::Result<Child>>);
    static SPAWNER: LazyLock<Sender<Order>> = LazyLock::new(|| {
        let (orders, inbox) = channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, reply) in inbox {
                let _asker_gone = reply.send(command.spawn());
            }
        });
        orders
    });
    let program = command.get_program().to_owned();
    let (reply, answer) = channel();
    SPAWNER
        .send((command, reply))
        .context("the spawning thread has ended")?;
    answer
        .recv()
        .context("the spawning thread has ended")?
        .with_context(|| format!("cannot run {}", program.display()))
}
