//! One copy through its phases: detection, grading, verification.

use sha2::{Digest, Sha256};
use shared::domain::copy::{Copy, EPOCHS_MAX, Lease, Resolution, ResultSummary};
use shared::domain::failure::{CopyFailure, Failure};
use shared::domain::ids::CopyId;
use shared::domain::mark::Rounding;
use shared::domain::run::{Address, ReservationState};
use shared::grading::detect::{Pupil, Roster, detect};
use shared::grading::prompt;
use shared::grading::reply;
use shared::grading::verify::{Verified, verify};
use shared::grading::{CopyCode, MaskedCopy, Phase, Prompt, Redaction, tokens_max};
use shared::llm::Model;
use shared::store::{Charge, result_key};
use shared::telemetry::{Metrics, Unit};
use tokio::time::{Duration, Instant};

use crate::ask::{Asking, Trouble};
use crate::prepare::Brief;
use crate::read::{Pages, read};
use crate::result::{self, Provenance};
use crate::{Doors, Next, RETRY_SECONDS};

/// Lambda ends a worker after this, whatever its lease says. Unit: seconds.
const WORKER_SECONDS_MAX: i64 = 300;
/// What is left of it for storing and settling. Unit: seconds.
const SETTLE_SECONDS: i64 = 45;

pub(crate) async fn grade<M: Model>(
    doors: &Doors,
    model: &M,
    address: &Address,
    id: CopyId,
) -> Result<Next, Failure> {
    let started = doors.now();
    let until = started.plus_seconds(doors.lease_seconds);
    let holder = uuid::Uuid::new_v4().to_string();
    let mut copy = match doors.store.lease(address, id, &holder, started, until).await? {
        Lease::Taken(copy) => *copy,
        Lease::Busy(until) => return Ok(Next::Later((until.get() - started.get()) / 1000 + 1)),
        Lease::Gone => return Ok(Next::Done),
        Lease::Exhausted(copy) => {
            doors
                .store
                .void(address, &copy, &CopyFailure::attempts_exhausted(), 0, started)
                .await?;
            doors.store.finish(address, started).await?;
            let failed = Outcome::Failed(CopyFailure::attempts_exhausted().code().to_owned());
            doors.emit(&measure(address, id, &failed));
            return Ok(Next::Done);
        }
    };
    let reservation = doors.store.reservation(address).await?;
    if !reservation.is_some_and(|it| it.state == ReservationState::Pending && !it.stop) {
        doors.store.hand_back(address, &copy, started).await?;
        doors.store.finish(address, started).await?;
        return Ok(Next::Done);
    }
    let held = doors.lease_seconds.min(WORKER_SECONDS_MAX);
    let seconds = u64::try_from((held - SETTLE_SECONDS).max(1)).unwrap_or(1);
    let mut asking = Asking {
        doors,
        model,
        address,
        copy: &mut copy,
        deadline: Instant::now() + Duration::from_secs(seconds),
        spent: Vec::new(),
        waste_tokens: 0,
        models: Vec::new(),
        request_ids: Vec::new(),
    };
    let worked = work(&mut asking).await;
    let (used, waste) = (asking.used_tokens(), asking.waste_tokens);
    let ended = end(doors, address, &copy, worked, used, waste).await?;
    let elapsed = doors.now().unsigned().saturating_sub(started.unsigned());
    doors.emit(
        &measure(address, id, &ended.outcome)
            .value("CopyMilliseconds", Unit::Milliseconds, elapsed)
            .value("CopyTokens", Unit::Count, used)
            .value("WasteTokens", Unit::Count, ended.waste_tokens),
    );
    Ok(ended.next)
}

/// What one lease came to.
struct Ended {
    next: Next,
    /// Paid in vain. Unit: tokens.
    waste_tokens: u64,
    outcome: Outcome,
}

/// What a lease made of its copy.
enum Outcome {
    Graded,
    /// The failure's code.
    Failed(String),
    /// It comes back, or is another worker's.
    Open,
}

/// Resolves the copy, or lets it come back.
async fn end(
    doors: &Doors,
    address: &Address,
    copy: &Copy,
    worked: Result<Box<Charge>, Trouble>,
    used_tokens: u64,
    waste_tokens: u64,
) -> Result<Ended, Failure> {
    let now = doors.now();
    // What was paid for a copy that fails is ours.
    let waste = used_tokens.saturating_add(waste_tokens);
    let (resolution, outcome, lost) = match verdict(worked, copy.epoch >= EPOCHS_MAX) {
        Verdict::Settle(charge) => {
            let excess = used_tokens.saturating_sub(copy.reserved_tokens);
            let settled = doors.store.settle(address, copy, &charge, now).await?;
            (settled, Outcome::Graded, waste_tokens.saturating_add(excess))
        }
        Verdict::Void(failure) => {
            let voided = doors.store.void(address, copy, &failure, waste, now).await?;
            (voided, Outcome::Failed(failure.code().to_owned()), waste)
        }
        Verdict::ComeBack(seconds) => {
            doors.store.release(address, copy).await?;
            // The answers that were used are kept for the next lease; only the others were in vain.
            return Ok(Ended {
                next: Next::Later(seconds),
                waste_tokens,
                outcome: Outcome::Open,
            });
        }
        Verdict::Leave => (Resolution::Fenced, Outcome::Open, waste),
    };
    if resolution == Resolution::Fenced {
        tracing::warn!(waste_tokens = waste, "another worker took the copy over");
        return Ok(Ended {
            next: Next::Done,
            waste_tokens: waste,
            outcome: Outcome::Open,
        });
    }
    doors.store.finish(address, now).await?;
    Ok(Ended {
        next: Next::Done,
        waste_tokens: lost,
        outcome,
    })
}

/// What is to be done about a copy.
enum Verdict {
    Settle(Box<Charge>),
    Void(CopyFailure),
    /// After so many seconds.
    ComeBack(i64),
    /// It is another worker's.
    Leave,
}

fn verdict(worked: Result<Box<Charge>, Trouble>, last_lease: bool) -> Verdict {
    match worked {
        Ok(charge) => Verdict::Settle(charge),
        Err(Trouble::Copy(failure)) => Verdict::Void(failure),
        Err(Trouble::Later { failure, .. }) if last_lease => Verdict::Void(failure),
        Err(Trouble::Later { seconds, .. }) => Verdict::ComeBack(seconds),
        Err(Trouble::Ours(_)) if last_lease => Verdict::Void(CopyFailure::attempts_exhausted()),
        Err(Trouble::Ours(failure)) => {
            let cause = match &failure {
                Failure::Internal(internal) | Failure::Unavailable(internal) => internal.for_log(),
                other => other.code(),
            };
            tracing::error!(cause, "a copy's step failed; it comes back");
            Verdict::ComeBack(RETRY_SECONDS)
        }
        Err(Trouble::Fenced) => Verdict::Leave,
    }
}

/// One line a lease. Graded and failed copies are counted, each by the lease that resolved it; why one failed is a
/// property: as a dimension every code would be two more metrics to pay for.
fn measure(address: &Address, copy: CopyId, outcome: &Outcome) -> Metrics {
    let (graded, failed) = match outcome {
        Outcome::Graded => (1, 0),
        Outcome::Failed(_) => (0, 1),
        Outcome::Open => (0, 0),
    };
    let metrics = Metrics::of("worker")
        .with("run", address.run)
        .with("copy", copy)
        .value("CopiesGraded", Unit::Count, graded)
        .value("CopiesFailed", Unit::Count, failed);
    match outcome {
        Outcome::Failed(code) => metrics.with("failure", code),
        Outcome::Graded | Outcome::Open => metrics,
    }
}

async fn work<M: Model>(asking: &mut Asking<'_, M>) -> Result<Box<Charge>, Trouble> {
    let doors = asking.doors;
    let brief = Brief::load(doors, asking.address).await?;
    let started = doors.clock.now_millis();
    let pages = read(asking, &brief).await?;
    let roster = Roster::new(brief.assignment.roster.iter().map(String::as_str));
    let found = detect(&pages.texts, &asking.copy.file_name, &roster, &brief.rubric);
    let whose = found.pupil.finding();
    let pupil = match found.pupil {
        Pupil::Listed(place) => brief.assignment.roster.get(place).cloned(),
        Pupil::Unlisted(name) => Some(name),
        Pupil::Ambiguous(_) | Pupil::Unknown => None,
    };
    let pupil = asking.copy.pupil.clone().or(pupil);

    let people = brief
        .assignment
        .roster
        .iter()
        .map(String::as_str)
        .chain(pupil.as_deref());
    let redaction = Redaction::new(
        code(asking.address, asking.copy.copy),
        people,
        &asking.copy.file_name,
    );
    let masked = MaskedCopy::new(&pages.texts, redaction);
    asking.took(Phase::Detection, started);
    if masked.is_blank() {
        let blank = Verified::blank(&brief.rubric, pages.doubts());
        return publish(asking, &brief, &pages, blank, pupil).await;
    }
    if !doors
        .store
        .set_phase(asking.address, asking.copy, "grading")
        .await?
    {
        return Err(Trouble::Fenced);
    }
    let started = doors.clock.now_millis();
    let prompt = prompt::grading(&brief.exam(), &masked);
    asking.hold(beyond_prefix(&prompt)).await?;
    let graded = asking
        .ask(&prompt, |text| reply::grading(text, &brief.rubric))
        .await?;
    asking.took(Phase::Grading, started);
    let started = doors.clock.now_millis();
    let mut verified = verify(&brief.rubric, Rounding::Quarter, graded, &masked, pages.doubts());
    // Whose it is matters only where the teacher did not say.
    verified
        .findings
        .extend(whose.filter(|_| asking.copy.pupil.is_none()));
    asking.took(Phase::Verification, started);
    publish(asking, &brief, &pages, verified, pupil).await
}

/// What a grading call may use beyond the prefix, which the run's warm-up has written to the cache.
fn beyond_prefix(prompt: &Prompt) -> u64 {
    let shared = prompt.prefix.len() + prompt.schema.to_string().len();
    tokens_max(prompt).saturating_sub(shared as u64)
}

/// The copy's code: random to anyone else, the same for as long as its run lasts.
fn code(address: &Address, copy: CopyId) -> CopyCode {
    let digest = Sha256::new()
        .chain_update(address.run.bytes())
        .chain_update(copy.bytes())
        .finalize();
    CopyCode::from_random(u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]))
}

/// Stores the result; the settlement then publishes its key.
async fn publish<M: Model>(
    asking: &Asking<'_, M>,
    brief: &Brief,
    pages: &Pages,
    verified: Verified,
    pupil: Option<String>,
) -> Result<Box<Charge>, Trouble> {
    let doors = asking.doors;
    let pupil = pupil.or_else(|| asking.copy.pupil.clone());
    let provenance = Provenance {
        provider: doors.provider.as_str(),
        model: &doors.model,
        answered_by: &asking.models,
        request_ids: &asking.request_ids,
        prompt_version: prompt::prompt_version(),
        rubric_version: brief.rubric_version,
        pdf: &pages.origin,
    };
    let document = result::document(
        asking,
        brief,
        &pages.texts,
        &verified,
        pupil.as_deref(),
        &provenance,
    );
    let key = result_key(asking.address, asking.copy.copy, asking.copy.epoch);
    doors
        .objects
        .put(&key, "application/json", document.to_string().into_bytes())
        .await?;
    let total = verified.total();
    Ok(Box::new(Charge {
        result: key,
        summary: ResultSummary {
            total: total.map(|it| it.points().to_string()).unwrap_or_default(),
            total_on_20: total.map(|it| it.on_20().to_string()).unwrap_or_default(),
            flags: verified
                .flags()
                .into_iter()
                .map(|flag| flag.code().to_owned())
                .collect(),
            charged_tokens: 0,
            spent: asking.spent.clone(),
        },
        pupil,
        used_tokens: asking.used_tokens(),
        waste_tokens: asking.waste_tokens,
    }))
}
