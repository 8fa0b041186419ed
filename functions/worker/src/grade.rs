//! One copy through its phases: detection, grading, verification.

use sha2::{Digest, Sha256};
use shared::domain::copy::{Copy, CopyState, Lease, Resolution, ResultSummary};
use shared::domain::failure::{CopyFailure, Failure, Internal};
use shared::domain::ids::CopyId;
use shared::domain::mark::{Finding, Flag};
use shared::domain::run::{Address, ReservationState};
use shared::grading::detect::{Detected, Pupil, Roster, detect};
use shared::grading::prompt;
use shared::grading::reply;
use shared::grading::result::Provenance;
use shared::grading::verify::{Verified, verify};
use shared::grading::{CopyCode, MaskedCopy, Phase, Prompt, Redaction, tokens_max};
use shared::llm::Model;
use shared::store::{Charge, result_key};
use shared::telemetry::{Metrics, Unit};
use tokio::time::{Duration, Instant};

use crate::ask::{Asking, Trouble};
use crate::end::{Ending, Outcome};
use crate::prepare::Brief;
use crate::read::{Pages, read};
use crate::result;
use crate::{Doors, Next};

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
            let (failure, waste) = (CopyFailure::attempts_exhausted(), copy.kept_tokens);
            let voided = doors.store.void(address, &copy, &failure, waste, started).await?;
            doors.store.finish(address, started).await?;
            // Once, however many messages of it there are.
            if voided == Resolution::Done {
                if copy.state == CopyState::Leased {
                    doors.emit(&unseen(address, &copy));
                }
                let failed = Outcome::Failed(failure.code().to_owned()).measure(address, id);
                doors.emit(&failed.value("WasteTokens", Unit::Count, waste));
            }
            return Ok(Next::Done);
        }
    };
    if copy.follows_a_death() {
        doors.emit(&unseen(address, &copy));
    }
    let reservation = doors.store.reservation(address).await?;
    if !reservation.is_some_and(|it| it.state == ReservationState::Pending && !it.stop) {
        doors.store.hand_back(address, &copy, started).await?;
        let given_back = Outcome::Open.measure(address, id);
        doors.emit(&given_back.value("WasteTokens", Unit::Count, copy.kept_tokens));
        doors.store.finish(address, started).await?;
        return Ok(Next::Done);
    }
    let held = doors.lease_seconds.min(WORKER_SECONDS_MAX);
    let seconds = u64::try_from((held - SETTLE_SECONDS).max(1)).unwrap_or(1);
    let mut asking = Asking {
        doors,
        model,
        address,
        kept_before: copy.kept_tokens,
        copy: &mut copy,
        deadline: Instant::now() + Duration::from_secs(seconds),
        spent: Vec::new(),
        waste_tokens: 0,
        paid_tokens: 0,
        models: Vec::new(),
        request_ids: Vec::new(),
    };
    let worked = work(&mut asking).await;
    let bill = asking.bill();
    let ending = Ending {
        doors,
        address,
        copy: &copy,
        bill,
    };
    let ended = ending.of(worked).await?;
    let elapsed = doors.now().unsigned().saturating_sub(started.unsigned());
    doors.emit(
        &ended
            .outcome
            .measure(address, id)
            .value("CopyMilliseconds", Unit::Milliseconds, elapsed)
            .value("CopyTokens", Unit::Count, ended.used_tokens())
            .value("WasteTokens", Unit::Count, ended.waste_tokens),
    );
    Ok(ended.next)
}

/// What a worker of the copy that died, or sleeps, may have paid.
fn unseen(address: &Address, copy: &Copy) -> Metrics {
    Metrics::of("worker")
        .with("run", address.run)
        .with("copy", copy.copy)
        .value("UnknownTokensMax", Unit::Count, copy.at_risk_tokens())
}

async fn work<M: Model>(asking: &mut Asking<'_, M>) -> Result<Box<Charge>, Trouble> {
    let doors = asking.doors;
    let brief = Brief::load(doors, asking.address).await?;
    let started = doors.clock.now_millis();
    let pages = read(asking, &brief).await?;
    let roster = Roster::new(brief.assignment.roster.iter().map(String::as_str));
    let found = detect(&pages.texts, &asking.copy.file_name, &roster, &brief.rubric);
    let whose = found.pupil.finding();
    let redaction = redaction(asking, &brief, &found);
    let pupil = match found.pupil {
        Pupil::Listed(place) => brief.assignment.roster.get(place).cloned(),
        Pupil::Unlisted(name) => Some(name),
        Pupil::Ambiguous(_) | Pupil::Unknown => None,
    };
    let pupil = asking.copy.pupil.clone().or(pupil);

    let masked = MaskedCopy::new(&pages.texts, redaction);
    asking.took(Phase::Detection, started);
    if masked.is_blank() {
        let blank = Verified::blank(&brief.rubric, pages.doubts());
        return publish(asking, &brief, &pages, blank, pupil).await;
    }
    asking.show(Phase::Grading).await?;
    let started = doors.clock.now_millis();
    let prompt = prompt::grading(&brief.exam(), &masked);
    asking.hold(beyond_prefix(&prompt)).await?;
    let graded = asking
        .ask(&prompt, |text| reply::grading(text, &brief.rubric))
        .await?;
    asking.took(Phase::Grading, started);
    let started = doors.clock.now_millis();
    let mut verified = verify(
        &brief.rubric,
        brief.assignment.rounding,
        graded,
        &masked,
        pages.doubts(),
    );
    // Whose it is matters only where the teacher did not say.
    verified
        .findings
        .extend(whose.filter(|_| asking.copy.pupil.is_none()));
    // Of a name that the class list does not hold, what all copies share was not cleared.
    let shared = asking
        .copy
        .pupil
        .as_deref()
        .filter(|name| prompt::shares_name(&prompt, name));
    verified
        .findings
        .extend(shared.map(|_| Finding::on_copy(Flag::NameVisible)));
    asking.took(Phase::Verification, started);
    publish(asking, &brief, &pages, verified, pupil).await
}

/// What hides the names of a copy in which this was found: those of the class, what the teacher and the copy say of
/// whose it is, and what looks like one.
pub(crate) fn redaction<M>(asking: &Asking<'_, M>, brief: &Brief, found: &Detected) -> Redaction {
    let listed = brief.assignment.roster.iter().map(String::as_str);
    let written = found.other_name.as_deref();
    let people = listed.chain(asking.copy.pupil.as_deref()).chain(written);
    let code = code(asking.address, asking.copy.copy);
    let words = brief.words();
    Redaction::new(code, people, &asking.copy.file_name).guessing(words.iter().map(String::as_str))
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
    let provenance = Provenance {
        provider: doors.provider.as_str().to_owned(),
        model: doors.model.clone(),
        answered_by: asking.models.clone(),
        request_ids: asking.request_ids.clone(),
        prompt_version: prompt::prompt_version(),
        rubric_version: brief.rubric_version,
        pdf: Some(pages.origin.clone()),
    };
    let document = result::document(asking, brief, pages, &verified, pupil.as_deref(), provenance);
    let bytes = document
        .stored()
        .map_err(|error| Failure::Internal(Internal::new(format!("result: {error}"))))?;
    let key = result_key(asking.address, asking.copy.copy, asking.copy.epoch);
    doors.objects.put(&key, "application/json", bytes).await?;
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
        waste_tokens: asking.bill().waste,
    }))
}
