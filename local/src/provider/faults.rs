//! What the provider is told to do wrong.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Barrier;

use super::Shown;
use super::reply::Refusal;
use super::request::Asked;

/// A fault for coming requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What goes wrong.
    pub kind: Kind,
    /// For how many requests; 1 if not given.
    #[serde(default = "once")]
    pub times: usize,
    /// Only for requests whose copy contains this text.
    #[serde(default)]
    pub only_if_copy_contains: Option<String>,
}

impl Fault {
    /// A fault for the next request.
    #[must_use]
    pub fn next(kind: Kind) -> Self {
        Self::times(kind, 1)
    }

    /// A fault for the next `times` requests.
    #[must_use]
    pub fn times(kind: Kind, times: usize) -> Self {
        Self {
            kind,
            times,
            only_if_copy_contains: None,
        }
    }
}

fn once() -> usize {
    1
}

/// What can go wrong. The first group bills nothing; the second bills the whole call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// 429, with `retry-after`.
    RateLimited {
        /// The header's value, in seconds.
        retry_after_seconds: u32,
    },
    /// 429 `enforced_spend_limit_reached`.
    SpendLimit,
    /// 529.
    Overloaded,
    /// 500.
    ServerError,

    /// No byte of the reply ever comes.
    Hang,
    /// The connection breaks in the middle of the reply.
    ReplyLost,
    /// The reply's JSON stops half-way.
    BrokenReply,
    /// The reply is sound, but the answer in it stops half-way without saying so.
    BrokenAnswer,
    /// The answer stops half-way, as if it had reached `max_tokens`.
    Truncated,
    /// The model refuses.
    Refusal,
    /// The reply has no `usage`.
    UsageMissing,

    /// Not a fault: as many requests as the fault has `times` wait for each other after looking into the
    /// cache, so that none of them can use what another writes.
    Together,
}

impl Kind {
    /// The error reply of the kinds that never reach the model.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::RateLimited { retry_after_seconds } => Some(Refusal::rate_limited(Duration::from_secs(
                u64::from(*retry_after_seconds),
            ))),
            Self::SpendLimit => Some(Refusal::spend_limit()),
            Self::Overloaded => Some(Refusal::overloaded()),
            Self::ServerError => Some(Refusal::internal("told to fail".to_owned())),
            Self::Hang
            | Self::ReplyLost
            | Self::BrokenReply
            | Self::BrokenAnswer
            | Self::Truncated
            | Self::Refusal
            | Self::UsageMissing
            | Self::Together => None,
        }
    }
}

/// A fault that has met its request.
pub(super) struct Struck {
    pub(super) kind: Kind,
    pub(super) meeting: Option<Arc<Barrier>>,
}

/// Faults waiting for requests, first come first served.
#[derive(Default)]
pub(super) struct Faults(VecDeque<(Fault, Option<Arc<Barrier>>)>);

impl Faults {
    pub(super) fn add(&mut self, faults: impl IntoIterator<Item = Fault>) {
        let waiting = faults.into_iter().filter(|fault| fault.times > 0).map(|fault| {
            let meeting = (fault.kind == Kind::Together).then(|| Arc::new(Barrier::new(fault.times)));
            (fault, meeting)
        });
        self.0.extend(waiting);
    }

    pub(super) fn waiting(&self) -> Vec<Fault> {
        self.0.iter().map(|(fault, _)| fault.clone()).collect()
    }

    /// The first fault that applies to `asked`, used up once.
    pub(super) fn take(&mut self, asked: &Asked) -> Option<Struck> {
        let applies = |fault: &Fault| {
            fault.only_if_copy_contains.as_deref().is_none_or(|wanted| {
                asked
                    .question
                    .shown
                    .iter()
                    .any(|shown| matches!(shown, Shown::Text(text) if text.contains(wanted)))
            })
        };
        let index = self.0.iter().position(|(fault, _)| applies(fault))?;
        let (fault, meeting) = self.0.get_mut(index)?;
        fault.times -= 1;
        let struck = Struck {
            kind: fault.kind.clone(),
            meeting: meeting.clone(),
        };
        if fault.times == 0 {
            self.0.remove(index);
        }
        Some(struck)
    }
}
