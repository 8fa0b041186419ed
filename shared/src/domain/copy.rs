//! A copy and its way through a run.
//!
//! ```text
//! New ──claim──▶ Queued ──lease──▶ Leased ──settle──▶ Graded ──claim──▶ Queued (another run, asked to)
//!  ▲               │  ▲              │ │
//!  └────stop───────┘  └───release────┘ └──void──▶ Failed ──claim──▶ Queued (another run)
//! ```
//! Every arrow is one conditional write. A copy that is `Queued` or `Leased` names the run that holds it, and
//! that run's reservation is pending: so nothing is ever charged to a reservation that is closed.
//!
//! A published proposal stays until `settle` puts another in its place, whatever the state: the state tells how the
//! last run went, the result what can be read. So a copy that is graded again and fails is `Failed`, with its failure
//! and its former proposal, and a retry of that run takes it; one that a stop gives back is `Graded` as before.
//! A run takes a copy with a proposal only if it was asked to grade that copy again.

use serde::{Deserialize, Serialize};

use super::failure::CopyFailure;
use super::ids::{AssignmentId, CopyId, RunId};
use super::time::UnixMillis;

/// Where a copy stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum CopyState {
    /// Uploaded (or about to be); in no run.
    New,
    /// Accepted by a run: its message is in the outbox or the queue.
    Queued,
    /// A worker has it until its lease ends.
    Leased,
    /// Its proposal is published.
    Graded,
    /// Its last run ended without a proposal; the reason is kept.
    Failed,
}

impl CopyState {
    /// As stored and answered.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Queued => "queued",
            Self::Leased => "leased",
            Self::Graded => "graded",
            Self::Failed => "failed",
        }
    }

    /// In a run that is not finished.
    #[must_use]
    pub const fn is_busy(self) -> bool {
        matches!(self, Self::Queued | Self::Leased)
    }
}

/// What a teacher sees of a result without opening it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultSummary {
    /// Total in the barème's points, as decimal text.
    pub total: String,
    /// Total on 20, as decimal text.
    pub total_on_20: String,
    /// Codes of the flags that a human must see.
    pub flags: Vec<String>,
    /// What the copy cost the teacher.
    pub charged_tokens: u64,
    /// What it cost us, by phase and model.
    pub spent: Vec<super::money::Spent>,
}

/// One pupil's work, as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Copy {
    /// Its id.
    pub copy: CopyId,
    /// Its assignment.
    pub assignment: AssignmentId,
    /// The name of the uploaded file, for the teacher's eyes only.
    pub file_name: String,
    /// The pupil's name, from the slot or found in the copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pupil: Option<String>,
    /// Size announced for the upload. Unit: bytes.
    pub size_bytes: u64,
    /// When its slot was given.
    pub created_at: UnixMillis,
    /// Where it stands.
    pub state: CopyState,
    /// The run that holds it or held it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The step that its worker is in, or will begin with: `detection` or `grading`. Verification is code, over in
    /// milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// How many times it was leased in its run: bounds the model calls, and fences a late worker.
    #[serde(default)]
    pub epoch: u32,
    /// Until when its worker holds it; of one that waits after a failure, until when nobody takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<UnixMillis>,
    /// Its part of the run's reservation. Unit: tokens.
    #[serde(default)]
    pub reserved_tokens: u64,
    /// Paid in this run for answers that are kept and charged to nobody yet, as the last worker that gave it back said.
    /// Unit: tokens.
    #[serde(default, skip_serializing_if = "super::money::is_zero")]
    pub kept_tokens: u64,
    /// The epoch of the last lease that its worker gave back.
    #[serde(default)]
    pub released_epoch: u32,
    /// Key of its published result, which may be an earlier run's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// The result in short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<ResultSummary>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<CopyFailure>,
}

impl Copy {
    /// Whether a proposal is published: a run then takes the copy only if it was asked to grade it again.
    #[must_use]
    pub const fn has_proposal(&self) -> bool {
        self.result.is_some()
    }

    /// Whether the lease before this one was never given back: its worker died or sleeps, and what it asked may have
    /// been billed.
    #[must_use]
    pub const fn follows_a_death(&self) -> bool {
        self.epoch > self.released_epoch + 1
    }

    /// The most that a worker which died can have paid unseen: nothing is asked beyond what the copy reserves and the
    /// run's shared prefix, and a request without an answer is tried once more. Unit: tokens.
    #[must_use]
    pub const fn at_risk_tokens(&self) -> u64 {
        self.reserved_tokens
            .saturating_add(PREFIX_TOKENS_MAX)
            .saturating_mul(2)
    }

    /// Where it stands when its run gives it back.
    #[must_use]
    pub const fn state_given_back(&self) -> CopyState {
        if self.has_proposal() {
            CopyState::Graded
        } else {
            CopyState::New
        }
    }
}

/// What the copies of a run share in their prompts, with the longest barème and statement that are taken. Unit: tokens.
const PREFIX_TOKENS_MAX: u64 = 30_000;

/// Leases of one copy in one run; with the calls of one lease bounded, so are its model calls (I6).
pub const EPOCHS_MAX: u32 = 6;

/// What asking for a copy's lease came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Lease {
    /// It is ours until `lease_until`; the copy carries the new epoch.
    Taken(Box<Copy>),
    /// Another worker has it until then, or it waits until then.
    Busy(UnixMillis),
    /// It is resolved, or in another run: the message is stale.
    Gone,
    /// It was leased too often and must fail. The copy as it is.
    Exhausted(Box<Copy>),
}

/// What publishing a result (or a failure) came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// This call did it.
    Done,
    /// An earlier call with the same epoch did it, and its reply was lost.
    Already,
    /// Another worker took the copy over, or its run is closed: what was spent here is waste.
    Fenced,
}
