//! What the provider bills, and how many requests it takes a minute.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared::domain::money::Usage;

use super::faults::Kind;
use super::reply::Refusal;

const WINDOW: Duration = Duration::from_secs(60);

/// One billed call, whether or not its reply arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Billed {
    /// As in the reply's `request-id`.
    pub request_id: String,
    /// The model asked for.
    pub model: String,
    /// The hash of everything up to the last mark, in hexadecimal; `None` if nothing was long enough to cache.
    pub prefix_sha256: Option<String>,
    /// The request's `max_tokens`.
    pub output_tokens_max: u64,
    /// What is billed.
    pub usage: Usage,
    /// The reply's `stop_reason`.
    pub stop_reason: String,
    /// What was done wrong on purpose.
    pub fault: Option<Kind>,
    /// When the request came, in milliseconds of the provider's clock.
    pub started_ms: u64,
}

#[derive(Default)]
pub(super) struct Ledger {
    billed: Vec<Billed>,
    arrivals: HashMap<String, VecDeque<Duration>>,
}

impl Ledger {
    pub(super) fn bill(&mut self, billed: Billed) {
        self.billed.push(billed);
    }

    pub(super) fn entries(&self) -> Vec<Billed> {
        self.billed.clone()
    }

    /// Lets a key's request in, unless the window before it is full.
    pub(super) fn admit(&mut self, key: &str, now: Duration, limit: Option<usize>) -> Result<(), Refusal> {
        let Some(limit) = limit else { return Ok(()) };
        let arrivals = self.arrivals.entry(key.to_owned()).or_default();
        while arrivals.front().is_some_and(|arrival| *arrival + WINDOW <= now) {
            arrivals.pop_front();
        }
        if arrivals.len() >= limit {
            let oldest = arrivals.front().copied().unwrap_or(now);
            return Err(Refusal::rate_limited((oldest + WINDOW).saturating_sub(now)));
        }
        arrivals.push_back(now);
        Ok(())
    }
}
