//! What the routes answer.

use serde::Serialize;
use shared::domain::Language;
use shared::domain::copy::{Copy, CopyState};
use shared::domain::ids::RunId;
use shared::domain::plan::Plan;
use shared::domain::quota::Counter;
use shared::domain::run::{Grader, Reservation, ReservationState, RunState};
use shared::grading::Phase;
use shared::grading::result::{CopyResult, PhaseCost};
use shared::http::problem_type;
use shared::store::{RunRecord, result_run};
use utoipa::ToSchema;

/// A run's progress.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunView {
    id: String,
    state: RunState,
    rubric_version: u32,
    /// What grades it; there once it is prepared.
    #[serde(skip_serializing_if = "Option::is_none")]
    grader: Option<Grader>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_of: Option<String>,
    copies: Counts,
    tokens: Tokens,
    /// By phase and model; there once the run is finished, never before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cost: Vec<PhaseCost>,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<String>,
}

/// How the run's copies stand.
#[derive(Debug, Serialize, ToSchema)]
struct Counts {
    total: u32,
    graded: u32,
    failed: u32,
    /// Waiting or in a worker's hands.
    open: u32,
    /// Given back by a stop.
    given_back: u32,
}

/// The run's tokens.
#[derive(Debug, Serialize, ToSchema)]
struct Tokens {
    /// Charged.
    used: u64,
    /// Still held.
    reserved: u64,
}

impl RunView {
    /// A run and its money.
    pub fn new(record: &RunRecord, reservation: &Reservation) -> Self {
        let pending = reservation.state == ReservationState::Pending;
        Self {
            id: record.run.run.to_string(),
            state: reservation.run_state(),
            rubric_version: record.run.rubric_version,
            grader: record.grader.clone(),
            retry_of: record.run.retry_of.map(|run| run.to_string()),
            copies: Counts {
                total: reservation.total,
                graded: reservation.graded,
                failed: reservation.failed,
                open: reservation.open,
                given_back: reservation.skipped(),
            },
            tokens: Tokens {
                used: reservation.used,
                reserved: if pending { reservation.left } else { 0 },
            },
            cost: record.spent.iter().map(PhaseCost::from).collect(),
            created_at: record.run.created_at.rfc3339(),
            finished_at: record.finished_at.map(|at| at.rfc3339()),
        }
    }
}

/// The step that a worker is in. Verification, the third, is code: it is over in milliseconds, and never shown.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ShownPhase {
    /// Finding the pupil, the pages and the questions; transcribing a scan.
    Detection,
    /// Marking each criterion.
    Grading,
}

impl ShownPhase {
    fn parse(stored: &str) -> Option<Self> {
        [
            (Phase::Detection, Self::Detection),
            (Phase::Grading, Self::Grading),
        ]
        .into_iter()
        .find_map(|(phase, shown)| (phase.name() == stored).then_some(shown))
    }
}

/// A copy's result, and whether it is still for the file that is there.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResultNow {
    /// As it was published.
    #[serde(flatten)]
    pub result: CopyResult,
    /// Whether another PDF was uploaded since; absent in results older than `pdf`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pdf_changed: Option<bool>,
}

/// A copy in a run.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunCopy {
    copy: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pupil: Option<String>,
    /// How it stands in this run: `new` when it was given back, or another run has it now or has graded it again.
    state: CopyState,
    /// The later run that has it, or had it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    later_run: Option<String>,
    /// While a worker has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<ShownPhase>,
    /// What this run published, for as long as no later run has graded the copy again.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<ResultView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<FailureView>,
}

/// A result in short.
#[derive(Debug, Serialize, ToSchema)]
struct ResultView {
    /// In the barème's points, as decimal text.
    total: String,
    /// On 20, as decimal text.
    total_on_20: String,
    /// Codes of what a human must see.
    flags: Vec<String>,
    charged_tokens: u64,
}

/// Why a copy failed, with a problem's stable type: it is no request's answer, so it has no status.
#[derive(Debug, Serialize, ToSchema)]
struct FailureView {
    /// Stable: `/problems/<code>`.
    #[serde(rename = "type")]
    #[schema(example = "/problems/pdf-encrypted")]
    kind: String,
    /// Stable, kebab-case.
    code: String,
    /// What and what to do, in the caller's language.
    detail: String,
}

impl RunCopy {
    /// A copy as its run sees it.
    pub fn new(copy: &Copy, run: RunId, language: Language) -> Self {
        let ours = copy.run == Some(run);
        let published = copy.result.as_deref().and_then(result_run) == Some(run);
        let state = if published {
            CopyState::Graded
        } else if ours && copy.state != CopyState::Graded {
            copy.state
        } else {
            // Not this run's; or given back, and graded by an earlier one.
            CopyState::New
        };
        let summary = copy.summary.as_ref().filter(|_| published);
        Self {
            copy: copy.copy.to_string(),
            name: copy.file_name.clone(),
            pupil: copy.pupil.clone().filter(|pupil| !pupil.is_empty()),
            state,
            later_run: copy.run.filter(|last| *last > run).map(|last| last.to_string()),
            phase: copy
                .phase
                .as_deref()
                .filter(|_| ours && copy.state == CopyState::Leased)
                .and_then(ShownPhase::parse),
            result: summary.map(|it| ResultView {
                total: it.total.clone(),
                total_on_20: it.total_on_20.clone(),
                flags: it.flags.clone(),
                charged_tokens: it.charged_tokens,
            }),
            failure: copy.failure.as_ref().filter(|_| ours).map(|it| FailureView {
                kind: problem_type(it.code()),
                code: it.code().to_owned(),
                detail: it.sentence().text(language).to_owned(),
            }),
        }
    }
}

/// What the account used of its quota. Unit: tokens.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsageView {
    /// `free`, `essentiel`, `pro` or `max`.
    tier: &'static str,
    tokens_used: u64,
    /// Held by runs that are not finished.
    tokens_reserved: u64,
    limit: u64,
    remaining: u64,
    /// The counter's period.
    period: String,
    /// When the period ends, RFC 3339; absent for Free, which never renews.
    #[serde(skip_serializing_if = "Option::is_none")]
    period_end: Option<String>,
}

impl UsageView {
    /// A plan and its counter.
    pub fn new(plan: &Plan, counter: Counter) -> Self {
        Self {
            tier: plan.tier.name(),
            tokens_used: counter.used,
            tokens_reserved: counter.reserved,
            limit: counter.granted,
            remaining: counter.remaining,
            period: plan.period.as_str().to_owned(),
            period_end: plan.period_end.map(|at| at.rfc3339()),
        }
    }
}
