//! Progress as bars, one a copy: redrawn in place on a terminal, a line a change elsewhere.

use std::collections::HashMap;
use std::io::{IsTerminal as _, Write as _};

use serde_json::Value;

const WIDTH: usize = 20;

/// The bars of one run.
#[derive(Debug)]
pub(super) struct Progress {
    in_place: bool,
    lines: usize,
    seen: HashMap<String, &'static str>,
}

/// How far a copy is, of [`WIDTH`], and the word for it.
fn step(copy: &Value) -> (usize, &'static str) {
    match (copy["state"].as_str(), copy["phase"].as_str()) {
        (Some("graded"), _) => (WIDTH, "corrigée"),
        (Some("failed"), _) => (WIDTH, "échec"),
        (Some("leased"), Some("grading")) => (WIDTH * 7 / 10, "correction"),
        // Whoever has just taken a copy reads it; a typed one is read before any phase is shown.
        (Some("leased"), _) => (WIDTH * 3 / 10, "lecture"),
        (Some("queued"), _) => (WIDTH / 20, "en file"),
        _ => (0, "en attente"),
    }
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            in_place: std::io::stdout().is_terminal(),
            lines: 0,
            seen: HashMap::new(),
        }
    }

    /// Shows the copies as they are now.
    pub(super) fn show(&mut self, copies: &[Value]) {
        let mut out = std::io::stdout().lock();
        if self.in_place && self.lines > 0 {
            let _unshown = write!(out, "\x1b[{}A", self.lines);
        }
        for copy in copies {
            let name = copy["name"].as_str().unwrap_or_default();
            let (done, word) = step(copy);
            let changed = self.seen.insert(name.to_owned(), word) != Some(word);
            if self.in_place || changed {
                let bar = format!("{}{}", "█".repeat(done), "░".repeat(WIDTH - done));
                let end = if self.in_place { "\x1b[K" } else { "" };
                let _unshown = writeln!(out, "  {name:<26} {bar} {word}{end}");
            }
        }
        self.lines = copies.len();
        let _unshown = out.flush();
    }

    /// Leaves the bars as they are.
    pub(super) fn end(&mut self) {
        self.lines = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_copys_bar_never_goes_back() {
        let bars = [
            json!({ "state": "new" }),
            json!({ "state": "queued" }),
            json!({ "state": "leased" }),
            json!({ "state": "leased", "phase": "detection" }),
            json!({ "state": "leased", "phase": "grading" }),
            json!({ "state": "graded" }),
        ]
        .map(|copy| step(&copy).0);
        assert!(bars.is_sorted(), "{bars:?}");
    }
}
