//! Figures beside what they are compared with.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// What a figure should be.
#[derive(Debug, Clone, Copy)]
pub enum Goal {
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
}

/// Prints figures, and counts those that miss their goal.
pub struct Figures {
    out: Box<dyn Write>,
    strict: bool,
    missed: u32,
}

impl std::fmt::Debug for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Figures")
            .field("strict", &self.strict)
            .field("missed", &self.missed)
            .finish_non_exhaustive()
    }
}

impl Default for Figures {
    fn default() -> Self {
        Self::to(Box::new(std::io::stdout()))
    }
}

impl Figures {
    /// Figures on the standard output; everything else that this process prints there goes to `log`. The
    /// worker writes its metrics to the standard output, as Lambda wants it.
    ///
    /// # Errors
    /// The log cannot be written.
    pub fn apart_from_logs(log: &Path) -> std::io::Result<Self> {
        if let Some(folder) = log.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let terminal = File::from(rustix::io::dup(std::io::stdout())?);
        rustix::stdio::dup2_stdout(File::create(log)?)?;
        Ok(Self::to(Box::new(terminal)))
    }

    fn to(out: Box<dyn Write>) -> Self {
        Self {
            out,
            strict: std::env::args().any(|argument| argument == "--strict"),
            missed: 0,
        }
    }

    /// One figure: what it is, its value with unit, its goal, and what it is compared with.
    pub fn figure(&mut self, what: &str, value: f64, unit: &str, goal: Goal, baseline: &str) {
        let (met, sign, bound) = match goal {
            Goal::AtMost(bound) => (value <= bound, '≤', bound),
            Goal::AtLeast(bound) => (value >= bound, '≥', bound),
        };
        self.missed += u32::from(!met);
        let verdict = if met { "met" } else { "MISSED" };
        self.say(&format!(
            "{what}: {}{unit}, goal {sign} {}{unit}: {verdict}   [{baseline}]",
            short(value),
            short(bound)
        ));
    }

    /// A line that explains.
    pub fn say(&mut self, line: &str) {
        // Whoever closed our output does not want the figures.
        let _closed = writeln!(self.out, "{line}");
    }

    /// Failure when a goal was missed and `--strict` asks to care.
    #[must_use]
    pub fn end(self) -> ExitCode {
        if self.strict && self.missed > 0 {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }
}

/// Two decimals for what is small, none for what is large.
fn short(value: f64) -> String {
    if value.abs() < 100.0 {
        let text = format!("{value:.2}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        format!("{value:.0}")
    }
}
