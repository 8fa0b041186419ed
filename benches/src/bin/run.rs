//! What grading a class costs: tokens against the promise, cache hits, DynamoDB write units, and how near the
//! fan-out comes to its ideal. In one process, on the emulators and the local provider with the demo grader.
//!
//! `cargo run --release -p benches --bin run [-- --strict]`

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use benches::figures::{Figures, Goal};
use benches::house::{Done, House, Job};
use benches::samples::{Sample, gradable};
use benches::write_units::Line;
use local::provider::Latency;
use shared::domain::money::{Spent, Usage};

const CLASSES: [&str; 2] = ["histoire", "svt"];
/// A class.
const COPIES: usize = 30;
const FAN_OUT_COPIES: usize = 100;
const FAN_OUT_WORKERS: usize = 20;
const MODEL_CALL: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    shared::pdf::child::run_if_asked();
    match measure() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("run bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> anyhow::Result<ExitCode> {
    let log = local::emulator::project_root().join("target/bench/run.log");
    let mut figures = Figures::apart_from_logs(&log)?;
    shared::telemetry::init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let house = House::start().await?;
        let mut runs = Vec::new();
        for class in CLASSES {
            let samples = gradable(class).await?;
            runs.push((class, class_of_thirty(&house, class, &samples).await?, samples));
        }
        tokens(&mut figures, &runs)?;
        for (class, done, _) in &runs {
            cache(&mut figures, class, done)?;
        }
        for (class, done, _) in &runs {
            writes(&mut figures, class, done);
        }
        fan_out(&mut figures, &house).await?;
        anyhow::Ok(figures.end())
    })
}

/// The class's samples, again and again until they are a class of thirty.
async fn class_of_thirty(house: &House, class: &str, samples: &[Sample]) -> anyhow::Result<Done> {
    let files = samples.iter().cycle().take(COPIES).enumerate();
    let files = files.map(|(place, sample)| (format!("{place:02}-{}", sample.name), sample.pdf.as_slice()));
    house
        .grade(&Job {
            class,
            files: files.collect(),
            latency: Latency {
                first_token: Duration::from_millis(200),
                per_output_token: Duration::ZERO,
            },
            workers: 10,
        })
        .await
}

/// Charged tokens of typed two-page copies and of scanned pages, with their part of the run's warm-up.
fn tokens(figures: &mut Figures, runs: &[(&str, Done, Vec<Sample>)]) -> anyhow::Result<()> {
    let (mut typed, mut scanned) = (Sum::default(), Sum::default());
    for (_, done, samples) in runs {
        let warm_up = warm_up(done).charged_tokens() as f64 / done.copies.len() as f64;
        for copy in &done.copies {
            let (_, name) = copy.file_name.split_once('-').context("a copy without number")?;
            let sample = samples
                .iter()
                .find(|sample| sample.name == name)
                .context("an unknown copy")?;
            let used = total(&copy.summary.as_ref().context("a copy without result")?.spent);
            if sample.is_typed() && sample.pages.len() == 2 {
                typed.add(used, warm_up, 1);
            } else if sample.is_scanned() {
                scanned.add(used, warm_up, sample.pages.len());
            }
        }
    }
    figures.figure(
        "tokens of a typed two-page copy",
        typed.charged(),
        " tokens",
        Goal::AtMost(2_400.0),
        &typed.detail(),
    );
    figures.figure(
        "tokens of a scanned page",
        scanned.charged(),
        " tokens",
        Goal::AtMost(3_300.0),
        &scanned.detail(),
    );
    Ok(())
}

#[derive(Default)]
struct Sum {
    usage: Usage,
    warm_up: f64,
    units: usize,
}

impl Sum {
    fn add(&mut self, usage: Usage, warm_up: f64, units: usize) {
        self.usage = self.usage + usage;
        self.warm_up += warm_up;
        self.units += units;
    }

    fn charged(&self) -> f64 {
        (self.usage.charged_tokens() as f64 + self.warm_up) / self.units as f64
    }

    fn detail(&self) -> String {
        let each = |tokens: u64| tokens as f64 / self.units as f64;
        format!(
            "without a cache {:.0}; of {} measured: input {:.0}, output {:.0}, warm-up {:.0}",
            each(self.usage.charged_tokens() + self.usage.cache_read_tokens),
            self.units,
            each(
                self.usage.input_tokens + self.usage.cache_write_5m_tokens + self.usage.cache_write_1h_tokens
            ),
            each(self.usage.output_tokens),
            self.warm_up / self.units as f64,
        )
    }
}

fn warm_up(done: &Done) -> Usage {
    let lines = done.run.spent.iter().filter(|line| line.phase == "warm-up");
    lines.map(|line| line.usage).sum()
}

fn total(lines: &[Spent]) -> Usage {
    lines.iter().map(|line| line.usage).sum()
}

/// How much of their prefixes the copies' calls found in the cache: what they did not find, they wrote.
fn cache(figures: &mut Figures, class: &str, done: &Done) -> anyhow::Result<()> {
    let copies = done.copies.iter().filter_map(|copy| copy.summary.as_ref());
    let calls: Vec<Usage> = copies.flat_map(|it| &it.spent).map(|line| line.usage).collect();
    let all: Usage = calls.iter().copied().sum();
    let written = all.cache_write_5m_tokens + all.cache_write_1h_tokens;
    let prefixes = all.cache_read_tokens + written;
    anyhow::ensure!(prefixes > 0, "no call has a prefix in the cache: see the log");
    let warm = warm_up(done);
    figures.figure(
        &format!(
            "prefixes read from the cache, {class}, {} copies",
            done.copies.len()
        ),
        100.0 * all.cache_read_tokens as f64 / prefixes as f64,
        " %",
        Goal::AtLeast(95.0),
        &format!(
            "{} steps of copies; the warm-up wrote {} tokens for them",
            calls.len(),
            warm.cache_write_5m_tokens + warm.cache_write_1h_tokens
        ),
    );
    Ok(())
}

/// Write units per graded copy, from the request for upload slots to the end of the run.
fn writes(figures: &mut Figures, class: &str, done: &Done) {
    let copies = done.copies.len() as f64;
    let sum =
        |pick: fn(&Line) -> f64, lines: &BTreeMap<&str, Line>| -> f64 { lines.values().map(pick).sum() };
    let floor = sum(|line| line.floor, &done.writes) / copies;
    figures.figure(
        &format!(
            "write units per graded copy, {class}, {} copies",
            done.copies.len()
        ),
        sum(|line| line.units, &done.writes) / copies,
        "",
        Goal::AtMost(12.0),
        &format!("{floor:.2} were every item at most 1 KB and in no index"),
    );
    for (name, line) in &done.writes {
        figures.say(&format!(
            "    {name:<32} {:>4} requests {:>3} refused {:>7.1} units {:>6.2} a copy",
            line.requests,
            line.refused,
            line.units,
            line.units / copies
        ));
    }
}

/// A hundred small copies at a provider that takes two seconds a call.
async fn fan_out(figures: &mut Figures, house: &House) -> anyhow::Result<()> {
    let samples = gradable("histoire").await?;
    let small = samples
        .iter()
        .find(|sample| sample.is_typed() && sample.pages.len() == 1)
        .context("no typed copy of one page")?;
    let files = (0..FAN_OUT_COPIES).map(|place| (format!("{place}-{}", small.name), small.pdf.as_slice()));
    let done = house
        .grade(&Job {
            class: "histoire",
            files: files.collect(),
            latency: Latency {
                first_token: MODEL_CALL,
                per_output_token: Duration::ZERO,
            },
            workers: FAN_OUT_WORKERS,
        })
        .await?;
    let calls = 1 + FAN_OUT_COPIES.div_ceil(FAN_OUT_WORKERS);
    let ideal = MODEL_CALL.as_secs_f64() * calls as f64;
    figures.figure(
        &format!("fan-out of {FAN_OUT_COPIES} copies over {FAN_OUT_WORKERS} workers, wall over ideal"),
        done.wall.as_secs_f64() / ideal,
        "",
        Goal::AtMost(1.3),
        &format!(
            "{:.1} s; the model alone, warm-up included: {ideal:.1} s",
            done.wall.as_secs_f64()
        ),
    );
    Ok(())
}
