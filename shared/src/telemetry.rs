//! Logs and metrics: JSON lines on stdout, read by CloudWatch without an agent.
//!
//! Never a pupil's words, a name, a token or a body: lines carry ids, codes, counts and durations.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use serde_json::{Map, Value, json};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;

const NAMESPACE: &str = "LaCorrigeuse";

/// The stage that this process belongs to: two stages of one account do not share an alarm.
static STAGE: LazyLock<String> =
    LazyLock::new(|| std::env::var("STAGE").unwrap_or_else(|_| "local".to_owned()));

/// Starts logging to stdout at the levels of `RUST_LOG` (`info`, or `info,shared=debug`); `info` when it says nothing
/// that can be read. A second call does nothing.
pub fn init() {
    init_to(std::io::stdout);
}

/// As [`init`], to another place: `place` is asked for each line, which is written whole.
pub fn init_to<W: std::io::Write + 'static>(place: impl Fn() -> W + Send + Sync + 'static) {
    // `Targets`, not `EnvFilter`: the latter brings a megabyte of regular expressions to every function.
    let levels = std::env::var("RUST_LOG")
        .ok()
        .and_then(|text| text.parse::<Targets>().ok());
    let levels = levels.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .with_writer(place)
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false);
    let subscriber = tracing_subscriber::registry().with(levels).with(lines);
    // An error here means that logging was started already.
    let _started_before = tracing::subscriber::set_global_default(subscriber);
}

/// A metric's unit, as CloudWatch spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// A duration.
    Milliseconds,
}

impl Unit {
    const fn name(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
        }
    }
}

/// One line of metrics in CloudWatch's embedded metric format:
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.
///
/// Each name with each combination of dimensions is a metric that is paid for (0.30 dollars a month), so dimensions
/// are few and bounded: function and stage, and for what a phase does also the phase. That makes some two dozen for
/// the worker, and one for each name of the sweeper. Ids and failure codes go beside them as plain properties.
#[derive(Debug, Clone)]
pub struct Metrics {
    dimensions: Map<String, Value>,
    properties: Map<String, Value>,
    values: Vec<(&'static str, Unit, u64)>,
}

impl Metrics {
    /// Metrics of one function.
    #[must_use]
    pub fn of(function: &'static str) -> Self {
        let mut dimensions = Map::new();
        dimensions.insert("function".to_owned(), function.into());
        dimensions.insert("stage".to_owned(), STAGE.as_str().into());
        Self {
            dimensions,
            properties: Map::new(),
            values: Vec::new(),
        }
    }

    /// Adds a dimension.
    #[must_use]
    pub fn by(mut self, name: &'static str, value: &str) -> Self {
        self.dimensions.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a property that can be searched, but is no dimension.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl std::fmt::Display) -> Self {
        self.properties.insert(name.to_owned(), value.to_string().into());
        self
    }

    /// Adds a value.
    #[must_use]
    pub fn value(mut self, name: &'static str, unit: Unit, value: u64) -> Self {
        self.values.push((name, unit, value));
        self
    }

    /// The line.
    #[must_use]
    pub fn line(&self, now_millis: i64) -> String {
        let names: Vec<&String> = self.dimensions.keys().collect();
        let metrics: Vec<Value> = self
            .values
            .iter()
            .map(|(name, unit, _)| json!({ "Name": name, "Unit": unit.name() }))
            .collect();
        let mut line = Map::new();
        line.insert(
            "_aws".to_owned(),
            json!({
                "Timestamp": now_millis,
                "CloudWatchMetrics": [{ "Namespace": NAMESPACE, "Dimensions": [names], "Metrics": metrics }],
            }),
        );
        line.extend(self.dimensions.clone());
        line.extend(self.properties.clone());
        line.extend(
            self.values
                .iter()
                .map(|(name, _, value)| ((*name).to_owned(), Value::from(*value))),
        );
        Value::Object(line).to_string()
    }

    /// Writes the line to stdout.
    pub fn emit(&self, now_millis: i64) {
        Lines::Stdout.write(self.line(now_millis));
    }
}

/// Where lines of metrics go.
#[derive(Debug, Clone)]
pub enum Lines {
    /// To stdout, from which CloudWatch reads them.
    Stdout,
    /// Into a list, for a test to look at.
    Kept(Arc<Mutex<Vec<String>>>),
}

impl Lines {
    /// Writes one line.
    #[expect(
        clippy::print_stdout,
        reason = "CloudWatch reads metrics from a function's stdout"
    )]
    pub fn write(&self, line: String) {
        match self {
            Self::Stdout => println!("{line}"),
            Self::Kept(lines) => lines.lock().unwrap_or_else(PoisonError::into_inner).push(line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Metrics, Unit};
    use serde_json::{Value, json};

    #[test]
    fn a_line_of_metrics_follows_the_embedded_metric_format() {
        let line = Metrics::of("worker")
            .by("phase", "grading")
            .with("run", "r1")
            .value("CopyTokens", Unit::Count, 2150)
            .line(1_763_596_800_000);
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            line,
            json!({
                "_aws": { "Timestamp": 1_763_596_800_000_i64, "CloudWatchMetrics": [{
                    "Namespace": "LaCorrigeuse", "Dimensions": [["function", "phase", "stage"]],
                    "Metrics": [{ "Name": "CopyTokens", "Unit": "Count" }] }] },
                "function": "worker", "stage": "local", "phase": "grading", "run": "r1", "CopyTokens": 2150,
            })
        );
    }
}
