//! What the worker's memory comes to on the largest scan: its own program, as Lambda starts it, from the message to the
//! settled copy, with the child that reads the PDF.
//!
//! `cargo run --release -p benches --bin memory [-- --strict]`. The program is the `worker` beside this one; the PDF
//! comes from the emulator's bucket, the pages' pictures go to the local provider, both in other processes or in this
//! one, whose memory does not count.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use benches::figures::{Figures, Goal};
use benches::house::{House, Job};
use benches::runtime_api::{Invoked, invoke};
use benches::scans::{noise, scan};
use local::demo_grader::DemoGrader;
use local::provider::{Grader, Latency, Question};

const GOAL_MB: f64 = 512.0;
const PAGES: usize = 60;
const PDF_BYTES_MAX: usize = 50 * 1024 * 1024;
/// A4 at 300 dpi. Unit: pixels.
const PAGE: (u16, u16) = (2_480, 3_508);
/// Lambda ends a worker after this.
const PATIENCE: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(2);

fn main() -> ExitCode {
    match measure() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("memory bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> anyhow::Result<ExitCode> {
    let mut figures = Figures::default();
    let pdf = largest_scan()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (peaks, pages) = runtime.block_on(graded(&pdf))?;
    let mb = |peak: &AtomicU64| peak.load(Ordering::Relaxed) as f64 / 1024.0;
    let (worker, child) = (mb(&peaks.worker_kb), mb(&peaks.child_kb));
    anyhow::ensure!(child > 0.0 && pages == PAGES, "{pages} pages were transcribed");
    figures.figure(
        &format!(
            "memory of the worker and its child on a scan of {} MiB, {PAGES} pages",
            pdf.len() / (1024 * 1024)
        ),
        worker + child,
        " MB",
        Goal::AtMost(GOAL_MB),
        &format!(
            "the worker's peak {worker:.0}, its child's {child:.0}; when the PDF was read the worker had needed {:.0}",
            mb(&peaks.reading_kb)
        ),
    );
    Ok(figures.end())
}

/// The pages of the best quality that fit.
fn largest_scan() -> anyhow::Result<Vec<u8>> {
    let (width, height) = PAGE;
    let mut jpeg = Vec::new();
    for quality in (5..=95).step_by(3) {
        let better = noise(width, height, quality)?;
        if (better.len() + 500) * PAGES > PDF_BYTES_MAX {
            break;
        }
        jpeg = better;
    }
    Ok(scan(&jpeg, width, height, PAGES))
}

/// Has the scan graded; the peaks of all that the worker did for it, and the pages that the model transcribed.
async fn graded(pdf: &[u8]) -> anyhow::Result<(Arc<Peaks>, usize)> {
    let house = House::start().await?;
    let latency = Latency {
        first_token: Duration::from_millis(200),
        per_output_token: Duration::ZERO,
    };
    let grader = Arc::new(Reads(DemoGrader::new()?, AtomicU64::new(0)));
    let provider = house
        .provider(latency, Arc::clone(&grader) as Arc<dyn Grader>)
        .await?;
    let environment = house.environment(&provider.base_url());
    let program = std::env::current_exe()?.with_file_name("worker");
    let peaks = Arc::new(Peaks::default());
    let worker = |event: SqsEvent| {
        let (program, environment, peaks) = (program.clone(), environment.clone(), Arc::clone(&peaks));
        async move {
            let answered = tokio::task::spawn_blocking(move || {
                let environment = environment.iter().map(|(name, value)| (*name, value.as_str()));
                peaks.of(invoke(&program, environment, &serde_json::to_value(&event)?)?)
            });
            answered.await?
        }
    };
    let job = Job {
        class: "histoire",
        files: vec![("copie.pdf".to_owned(), pdf)],
        latency,
        workers: 1,
    };
    house.grade_with(&job, worker).await?;
    Ok((peaks, usize::try_from(grader.1.load(Ordering::Relaxed))?))
}

/// The demo grader, which finds a text on every page.
struct Reads(DemoGrader, AtomicU64);

impl Grader for Reads {
    fn answer(&self, question: &Question) -> String {
        let (blank, text) = (r#""text":"""#, r#""text":"L'assassinat de François-Ferdinand.""#);
        let answer = self.0.answer(question);
        self.1
            .fetch_add(answer.matches(blank).count() as u64, Ordering::Relaxed);
        answer.replace(blank, text)
    }
}

/// The largest peaks that were seen. Unit: KiB.
#[derive(Debug, Default)]
struct Peaks {
    worker_kb: AtomicU64,
    child_kb: AtomicU64,
    /// The worker's, as long as it had its child.
    reading_kb: AtomicU64,
}

impl Peaks {
    /// Watches a worker until it answers.
    fn of(&self, worker: Invoked) -> anyhow::Result<SqsBatchResponse> {
        let id = worker.id();
        let done = AtomicBool::new(false);
        let (_, answer) = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    self.look(id);
                    std::thread::sleep(POLL);
                }
            });
            let answer = worker.answer(PATIENCE);
            done.store(true, Ordering::Relaxed);
            answer
        })?;
        serde_json::from_value(answer).context("no answer to a batch")
    }

    fn look(&self, worker: u32) {
        // It is gone once it has answered.
        let Some(peak) = peak_kb(worker) else { return };
        self.worker_kb.fetch_max(peak, Ordering::Relaxed);
        let children = std::fs::read_to_string(format!("/proc/{worker}/task/{worker}/children"));
        for child in children.unwrap_or_default().split_whitespace() {
            let Some(child) = child.parse().ok().and_then(peak_kb) else {
                continue;
            };
            self.child_kb.fetch_max(child, Ordering::Relaxed);
            self.reading_kb.fetch_max(peak, Ordering::Relaxed);
        }
    }
}

/// The most resident memory that a process has had (proc(5): VmHWM).
fn peak_kb(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
