//! The parent's side: starts the child, feeds it, listens, and kills it in time.

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdout, Command};

use super::child::READ_PDF;
use super::document::Document;
use super::limits::{Images, Limits};
use super::rejected::{Refusal, Rejected, Stop};
use super::wire::{Deaf, Heard, Order, Receiver};

/// Reads copies, each in a child process of its own.
#[derive(Clone, Debug)]
pub struct Reader {
    program: PathBuf,
    limits: Limits,
    images: Images,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

impl Reader {
    /// A reader whose child is this very program, whose `main` calls [`super::child::run_if_asked`] first.
    pub fn new() -> Self {
        // Not `current_exe`: this link still leads to us after the file was replaced by a newer build.
        Self::with_program("/proc/self/exe")
    }

    /// A reader whose child is another program that does the same.
    pub fn with_program(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            limits: Limits::default(),
            images: Images::default(),
        }
    }

    /// With these bounds.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// With page images made this way.
    #[must_use]
    pub fn images(mut self, images: Images) -> Self {
        self.images = images;
        self
    }

    /// Reads one copy. Returns after at most `wall_seconds`, and leaves no child behind, even if dropped.
    ///
    /// # Errors
    /// [`Rejected`] when the file is refused or its reading was cut short.
    pub async fn read(&self, pdf: &[u8]) -> Result<Document, Rejected> {
        let bytes = pdf.len() as u64;
        if bytes > self.limits.bytes_max {
            return Err(Refusal::TooLarge {
                max: self.limits.bytes_max,
            }
            .into());
        }
        let order = Order {
            limits: self.limits.clone(),
            images: self.images.clone(),
            bytes,
        };
        let order = order.encode().map_err(|_| Stop::NotStarted)?;
        let mut child = self.spawn().map_err(|_| Stop::NotStarted)?;

        let wall = Duration::from_secs(u64::from(self.limits.wall_seconds));
        let outcome = tokio::time::timeout(wall, self.converse(&mut child, &order, pdf)).await;
        // Reaped here in every case, so that its memory is back before the caller goes on.
        let _ = child.kill().await;
        outcome.unwrap_or_else(|_| Err(Stop::Wall.into()))
    }

    /// The child sees no environment (so no secret), no directory of ours, and only its three pipes.
    fn spawn(&self) -> std::io::Result<Child> {
        Command::new(&self.program)
            .arg(READ_PDF)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
    }

    async fn converse(&self, child: &mut Child, order: &[u8], pdf: &[u8]) -> Result<Document, Rejected> {
        let (Some(mut to), Some(from), Some(complaints)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(Stop::NotStarted.into());
        };
        let feed = async move {
            // A child that died early shows in its answer and status; the broken pipe adds nothing.
            if to.write_all(order).await.is_ok() {
                let _ = to.write_all(pdf).await;
            }
        };
        let ((), answer, complaint) = tokio::join!(feed, self.listen(from), head(complaints));
        match answer {
            Ok(answer) => answer.map_err(Rejected::Refused),
            Err(Deaf::Nonsense) => Err(Stop::Output.into()),
            Err(Deaf::Gone) => {
                let status = child.wait().await.map_err(|_| Stop::Crash)?;
                Err(cause_of_death(status, &complaint).into())
            }
        }
    }

    /// The whole answer, page by page.
    async fn listen(&self, from: ChildStdout) -> Result<Result<Document, Refusal>, Deaf> {
        let mut receiver = Receiver::new(from, self.limits.answer_bytes_max);
        let mut document = Document::default();
        loop {
            match receiver.next().await? {
                Heard::Page(frame) => {
                    document.pages.push(frame.page);
                    document.hidden.extend(frame.hidden);
                    if document.pages.len() > self.limits.pages_max as usize {
                        return Err(Deaf::Nonsense);
                    }
                }
                Heard::End => return Ok(Ok(document)),
                Heard::Refused(why) => return Ok(Err(why)),
            }
        }
    }
}

/// The first bytes of what the child complains, the rest read and dropped so that it never blocks. It can
/// hold words of the copy, so it is only searched, never logged.
async fn head(mut from: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut head = Vec::new();
    let _ = (&mut from).take(4_096).read_to_end(&mut head).await;
    let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
    head
}

fn cause_of_death(status: ExitStatus, complaint: &[u8]) -> Stop {
    // The message of the standard library's allocation failure, which then aborts.
    const OUT_OF_MEMORY: &[u8] = b"memory allocation of ";
    let out_of_memory = complaint
        .windows(OUT_OF_MEMORY.len())
        .any(|window| window == OUT_OF_MEMORY);
    match status.signal().and_then(Signal::from_named_raw) {
        Some(Signal::XCPU) => Stop::Cpu,
        // Not from us: we would have said `Wall`. It is the kernel, short of memory.
        Some(Signal::KILL) => Stop::Memory,
        _ if out_of_memory => Stop::Memory,
        _ => Stop::Crash,
    }
}
