//! Prepare a run: write its prefix to the provider's cache, await it, then hand out the copies. Fanning out
//! first would make every early copy miss the cache and pay for writing it.

use shared::domain::Language;
use shared::domain::copy::Resolution;
use shared::domain::failure::{Failure, Internal, Noun};
use shared::domain::money::{Spent, Usage};
use shared::domain::rubric::Rubric;
use shared::domain::run::{Address, PREFIX_RESERVE_TOKENS, ReservationState};
use shared::grading::cost::cost;
use shared::grading::prompt::{self, Exam};
use shared::grading::{CopyCode, MaskedCopy, Redaction};
use shared::llm::Model;
use shared::store::{Assignment, Preparation};
use shared::telemetry::{Metrics, Unit};
use tokio::time::{Duration, Instant};

use crate::meter::{unknown_tokens_max, unseen_calls};
use crate::{Doors, Next};

/// The warm-up is worth waiting for, not more.
const WARM_UP_MAX: Duration = Duration::from_secs(60);

/// What every copy of a run is graded with.
pub(crate) struct Brief {
    pub(crate) assignment: Assignment,
    pub(crate) rubric: Rubric,
    pub(crate) rubric_version: u32,
}

impl Brief {
    /// Reads the run's assignment and barème.
    pub(crate) async fn load(doors: &Doors, address: &Address) -> Result<Self, Failure> {
        let record = doors
            .store
            .run(address.assignment, address.run)
            .await?
            .ok_or(Failure::NotFound(Noun::Run))?;
        let assignment = doors
            .store
            .assignment(address.account, address.assignment)
            .await?;
        let assignment = assignment.ok_or(Failure::NotFound(Noun::Assignment))?;
        let version = record.run.rubric_version;
        let stored = doors
            .store
            .rubric(address.assignment, version)
            .await?
            .ok_or(Failure::NotFound(Noun::Rubric))?;
        let rubric = Rubric::parse(stored.rubric.as_bytes()).map_err(|error| {
            Failure::Internal(Internal::new(format!(
                "stored barème: {}",
                error.sentence(Language::En)
            )))
        })?;
        Ok(Self {
            assignment,
            rubric,
            rubric_version: version,
        })
    }

    pub(crate) fn exam(&self) -> Exam<'_> {
        Exam {
            title: &self.assignment.title,
            subject: &self.assignment.subject,
            level: &self.assignment.level,
            language: self.assignment.language,
            statement: self.assignment.statement.as_deref(),
            rubric: &self.rubric,
        }
    }
}

pub(crate) async fn prepare<M: Model>(doors: &Doors, model: &M, address: &Address) -> Result<Next, Failure> {
    let now = doors.now();
    let until = now.plus_seconds(doors.lease_seconds);
    let record = match doors.store.lease_preparation(address, now, until).await? {
        Preparation::Taken(record) => record,
        Preparation::Busy(until) => return Ok(Next::Later((until.get() - now.get()) / 1000 + 1)),
        Preparation::Exhausted => {
            doors.store.expire(address, now).await?;
            return Ok(Next::Done);
        }
        Preparation::Gone => return Ok(Next::Done),
    };
    let done = hand_out(doors, model, address, record.prepare_epoch).await;
    if done.is_err() {
        doors.store.release_preparation(&record).await?;
    }
    done.map(|()| Next::Done)
}

async fn hand_out<M: Model>(doors: &Doors, model: &M, address: &Address, epoch: u32) -> Result<(), Failure> {
    let Some(reservation) = doors.store.reservation(address).await? else {
        return Ok(());
    };
    if reservation.state != ReservationState::Pending {
        return Ok(());
    }
    if reservation.stop {
        doors.store.stop(address, doors.now()).await?;
        return Ok(());
    }
    let brief = Brief::load(doors, address).await?;
    warm_up(doors, model, address, epoch, &brief).await?;
    let Some(pending) = doors.store.claim_copies(address, doors.now()).await? else {
        doors.store.stop(address, doors.now()).await?;
        return Ok(());
    };
    for group in &pending {
        if doors.store.relay(&doors.queue, group).await.is_err() {
            tracing::warn!("messages wait in the outbox");
        }
    }
    // A run whose copies another run had is over at once.
    doors.store.finish(address, doors.now()).await?;
    Ok(())
}

/// A warm-up that fails costs money, not correctness: the copies then pay for the prefix themselves, and what
/// passes their reservations is ours.
async fn warm_up<M: Model>(
    doors: &Doors,
    model: &M,
    address: &Address,
    epoch: u32,
    brief: &Brief,
) -> Result<(), Failure> {
    let code = CopyCode::from_random(0);
    let nobody = MaskedCopy::new(&[], Redaction::new(code, [], ""));
    let prompt = prompt::grading(&brief.exam(), &nobody);
    let started = doors.clock.now_millis();
    let answered = model.warm(&prompt, Instant::now() + WARM_UP_MAX).await;
    let (usage, attempts, unknown_calls) = match &answered {
        Ok(receipt) => (receipt.usage, receipt.attempts, receipt.unknown_calls),
        Err(failure) => {
            tracing::warn!(cause = %failure, "the cache was not warmed");
            let billed = failure.billed.unwrap_or_default();
            (billed, failure.attempts, unseen_calls(failure))
        }
    };
    let waste = if answered.is_ok() {
        charge(doors, address, epoch, usage).await?
    } else {
        let (tokens, now) = (usage.charged_tokens(), doors.now());
        doors
            .store
            .record_waste(address, None, epoch, tokens, now)
            .await?;
        tokens
    };
    let now = doors.clock.now_millis();
    if waste > 0 {
        let metrics = Metrics::of("worker").with("run", address.run);
        metrics.value("WasteTokens", Unit::Count, waste).emit(now);
    }
    Metrics::of("worker")
        .by("phase", "warm-up")
        .with("run", address.run)
        .value("Calls", Unit::Count, u64::from(attempts))
        .value("UnknownCalls", Unit::Count, u64::from(unknown_calls))
        .value(
            "UnknownTokensMax",
            Unit::Count,
            unknown_tokens_max(&prompt, unknown_calls),
        )
        .value(
            "CacheWriteTokens",
            Unit::Count,
            usage.cache_write_5m_tokens + usage.cache_write_1h_tokens,
        )
        .value("CacheReadTokens", Unit::Count, usage.cache_read_tokens)
        .value(
            "PhaseMilliseconds",
            Unit::Milliseconds,
            u64::try_from(now - started).unwrap_or(0),
        )
        .emit(now);
    Ok(())
}

/// Charges the warm-up to the run. Tells what of it is ours.
async fn charge(doors: &Doors, address: &Address, epoch: u32, usage: Usage) -> Result<u64, Failure> {
    let rates = doors.rates(usage.prompt_tokens())?;
    let spent = Spent {
        phase: "warm-up".to_owned(),
        model: doors.model.clone(),
        usage,
        cost: cost(&usage, &rates),
    };
    let paid = usage.charged_tokens();
    let charged = doors
        .store
        .charge_warm_up(address, epoch, &spent, doors.now())
        .await?;
    Ok(match charged {
        Resolution::Done => paid.saturating_sub(PREFIX_RESERVE_TOKENS),
        Resolution::Already | Resolution::Fenced => paid,
    })
}
