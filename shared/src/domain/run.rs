//! A run: one request to grade some copies with one barème version, and the reservation that pays for it.

use serde::{Deserialize, Serialize};

use super::ids::{AccountId, AssignmentId, CopyId, RunId};
use super::money::Spent;
use super::quota::{Period, seems_scanned};
use super::time::UnixMillis;

/// Copies in one run, at most.
pub const COPIES_MAX: usize = 500;

/// Tokens that a run reserves beside its copies', for the one call that warms the cache: instructions and a long
/// barème. A longer one's excess is ours. Unit: tokens.
pub const PREFIX_RESERVE_TOKENS: u64 = 5_000;

/// What a run was asked to do; it never changes. Kept, so that a mark can be explained a year later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub run: RunId,
    /// Who pays.
    pub account: AccountId,
    /// From which counter.
    pub period: Period,
    /// Its assignment.
    pub assignment: AssignmentId,
    /// The barème version.
    pub rubric_version: u32,
    /// The run that this one retries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<RunId>,
    /// Follows every message, log line and model call of the run.
    pub correlation: String,
    /// When it was accepted.
    pub created_at: UnixMillis,
}

/// What grades a run's copies, as whoever prepared it found it configured. Each result says so for itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Grader {
    /// The model's provider.
    pub provider: String,
    /// The model.
    pub model: String,
    /// The digest of the prompts' wording.
    pub prompt_version: String,
}

/// A copy and what it reserves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// The copy.
    pub copy: CopyId,
    /// Its part of the reservation. Unit: tokens.
    pub tokens: u64,
    /// Whether the run was asked to put another proposal in the place of the one that is published.
    #[serde(default)]
    pub again: bool,
}

impl Estimate {
    /// The phase that a worker most likely begins with: a scan is first transcribed, a typed copy is graded within
    /// milliseconds.
    #[must_use]
    pub const fn first_phase(&self) -> &'static str {
        if seems_scanned(self.tokens) {
            "detection"
        } else {
            "grading"
        }
    }
}

/// State of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ReservationState {
    /// The run is not finished.
    Pending,
    /// Resolved, and something was charged.
    Posted,
    /// Resolved, and nothing was charged.
    Void,
}

impl ReservationState {
    /// As stored.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Posted => "POSTED",
            Self::Void => "VOID",
        }
    }
}

/// The money of one run. `amount = used + left`, of what is left some is `free` and the rest held by copies that are
/// not resolved (and, until it is paid for, by the warm-up); `open` counts those copies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// The run that it pays for.
    pub run: RunId,
    /// Its assignment.
    pub assignment: AssignmentId,
    /// Where it stands.
    pub state: ReservationState,
    /// Held from the counter. Unit: tokens.
    pub amount: u64,
    /// Charged so far. Unit: tokens.
    pub used: u64,
    /// Neither charged nor given back. Unit: tokens.
    pub left: u64,
    /// The part of `left` that the resolved copies and the warm-up held and did not use: other copies may take it.
    /// Unit: tokens.
    #[serde(default)]
    pub free: u64,
    /// Paid to the provider but not charged to the teacher: second calls after a crash, failed copies. What is
    /// found after the run is resolved is in the ledger's lines alone. Unit: tokens.
    #[serde(default)]
    pub waste: u64,
    /// What warming the cache cost, as one line; `used` holds its tokens.
    #[serde(default)]
    pub warm: Vec<Spent>,
    /// Copies in the run.
    pub total: u32,
    /// Copies not resolved.
    pub open: u32,
    /// Copies with a proposal.
    #[serde(default)]
    pub graded: u32,
    /// Copies that failed for good.
    #[serde(default)]
    pub failed: u32,
    /// No more copies are taken: the teacher asked to stop, or its time was over.
    #[serde(default)]
    pub stop: bool,
    /// Its time was over before it was finished, or stopped.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub expired: bool,
    /// When the run was accepted.
    pub created_at: UnixMillis,
    /// When what is left of it is voided.
    pub expires_at: UnixMillis,
}

/// What a teacher sees of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Copies are being graded.
    Running,
    /// No more copies are taken; those in hand are finishing.
    Stopping,
    /// Stopped by the teacher; what was not used is back.
    Stopped,
    /// Its time was over: copies that nobody had graded failed, and what was not used is back.
    Expired,
    /// Every copy is graded or failed.
    Done,
}

impl Reservation {
    /// The run's state, derived from its money.
    #[must_use]
    pub const fn run_state(&self) -> RunState {
        match self.state {
            ReservationState::Pending if self.stop => RunState::Stopping,
            ReservationState::Pending => RunState::Running,
            ReservationState::Posted | ReservationState::Void if self.expired => RunState::Expired,
            ReservationState::Posted | ReservationState::Void if self.stop => RunState::Stopped,
            ReservationState::Posted | ReservationState::Void => RunState::Done,
        }
    }

    /// Copies that were given back unresolved by a stop, or that another run had.
    #[must_use]
    pub const fn skipped(&self) -> u32 {
        self.total
            .saturating_sub(self.open)
            .saturating_sub(self.graded)
            .saturating_sub(self.failed)
    }

    /// `amount = used + left`, and `free` is a part of `left`.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.used.checked_add(self.left) == Some(self.amount) && self.free <= self.left
    }
}

/// What asking for a reservation came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reserved {
    /// Accepted now.
    Accepted(RunId),
    /// Accepted before, under the same idempotency key and body.
    Repeated(RunId),
    /// Another run was accepted since the copies were looked at: nothing is changed, and they are to be looked at
    /// again.
    Overtaken,
    /// It does not fit: what the counter holds, unchanged.
    Refused(super::quota::Counter),
    /// The period's runs cost us, in answers that nobody could use, as much as its tier grants: nothing more is
    /// started, or a copy that fails each time would be paid for again and again.
    Wasteful,
}

/// A message of the work queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Message {
    /// Warm the provider's cache, then hand out the run's copies.
    Prepare(Address),
    /// Grade one copy.
    Grade {
        /// The run.
        #[serde(flatten)]
        address: Address,
        /// The copy.
        copy: CopyId,
    },
}

/// Where a run's items are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Who pays.
    pub account: AccountId,
    /// From which counter.
    pub period: Period,
    /// The assignment.
    pub assignment: AssignmentId,
    /// The run.
    pub run: RunId,
    /// Follows the run through queue, log and model call.
    pub correlation: String,
}

impl Run {
    /// Where the run's items are.
    #[must_use]
    pub fn address(&self) -> Address {
        Address {
            account: self.account,
            period: self.period.clone(),
            assignment: self.assignment,
            run: self.run,
            correlation: self.correlation.clone(),
        }
    }
}

impl Message {
    /// The run that the message belongs to.
    #[must_use]
    pub const fn address(&self) -> &Address {
        match self {
            Self::Prepare(address) | Self::Grade { address, .. } => address,
        }
    }
}
