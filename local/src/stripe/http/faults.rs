//! What the API is told to do wrong.

use serde::{Deserialize, Serialize};

use crate::stripe::seed::Seed;

/// A fault for coming requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What goes wrong.
    pub kind: Kind,
    /// Only for paths that contain this, such as `/v1/subscriptions`.
    #[serde(default)]
    pub path: Option<String>,
    /// Only for this method, such as `POST`.
    #[serde(default)]
    pub method: Option<String>,
    /// How many requests that it applies to pass before.
    #[serde(default)]
    pub after: usize,
    /// For how many requests; 1 if not given.
    #[serde(default = "once")]
    pub times: usize,
    /// Of a hundred requests that it applies to, how many it strikes; all if not given.
    #[serde(default = "always")]
    pub per_cent: u8,
}

impl Fault {
    /// A fault for the next request.
    #[must_use]
    pub const fn next(kind: Kind) -> Self {
        Self {
            kind,
            path: None,
            method: None,
            after: 0,
            times: 1,
            per_cent: 100,
        }
    }

    /// The same, for paths that contain `path`.
    #[must_use]
    pub fn at(self, path: impl Into<String>) -> Self {
        Self {
            path: Some(path.into()),
            ..self
        }
    }

    /// The same, once `after` requests have passed.
    #[must_use]
    pub fn after(self, after: usize) -> Self {
        Self { after, ..self }
    }

    /// The same, for `times` requests.
    #[must_use]
    pub fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }

    /// The same, for `per_cent` of a hundred requests.
    #[must_use]
    pub fn in_per_cent(self, per_cent: u8) -> Self {
        Self { per_cent, ..self }
    }
}

const fn once() -> usize {
    1
}

const fn always() -> u8 {
    100
}

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// 429, nothing done.
    RateLimited,
    /// 500, nothing done.
    ServerError,
    /// 503, nothing done.
    Unavailable,
    /// No answer ever comes, nothing done.
    Hang,
    /// The connection breaks, nothing done.
    Cut,
    /// All is done, and no answer ever comes.
    HangAfter,
    /// All is done, and the connection breaks: the reply is lost.
    ReplyLost,
    /// All is done, and the answer is 500, now and to whoever asks again with the same key.
    ServerErrorAfter,
}

/// Faults waiting for requests, first come first served.
pub(super) struct Faults {
    waiting: Vec<Fault>,
    seed: Seed,
}

impl Faults {
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            waiting: Vec::new(),
            seed: Seed::new(seed),
        }
    }

    pub(super) fn add(&mut self, faults: impl IntoIterator<Item = Fault>) {
        self.waiting
            .extend(faults.into_iter().filter(|fault| fault.times > 0));
    }

    pub(super) fn waiting(&self) -> Vec<Fault> {
        self.waiting.clone()
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// The first fault that strikes this request, used up once.
    pub(super) fn take(&mut self, method: &str, path: &str) -> Option<Kind> {
        let seed = &mut self.seed;
        let index = self.waiting.iter_mut().position(|fault| {
            let applies = fault.method.as_deref().is_none_or(|wanted| wanted == method)
                && fault.path.as_deref().is_none_or(|wanted| path.contains(wanted));
            if applies && fault.after > 0 {
                fault.after -= 1;
                return false;
            }
            applies && seed.chance(fault.per_cent)
        })?;
        let fault = self.waiting.get_mut(index)?;
        let kind = fault.kind;
        fault.times -= 1;
        if fault.times == 0 {
            self.waiting.remove(index);
        }
        Some(kind)
    }
}
