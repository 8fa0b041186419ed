//! Prepare a run: write its prefix to the provider's cache, await it, then hand out the copies. Fanning out
//! first would make every early copy miss the cache and pay for writing it.

use futures::future::join_all;
use shared::domain::Language;
use shared::domain::copy::Resolution;
use shared::domain::failure::{Failure, Internal, Noun};
use shared::domain::money::{Spent, add_spent};
use shared::domain::quota::seems_scanned;
use shared::domain::rubric::Rubric;
use shared::domain::run::{Address, Grader, PREFIX_RESERVE_TOKENS, ReservationState};
use shared::domain::time::UnixMillis;
use shared::grading::cost::cost;
use shared::grading::prompt::{self, Exam};
use shared::grading::{CopyCode, MaskedCopy, Prompt, Redaction};
use shared::llm::Model;
use shared::store::{Assignment, Preparation};
use shared::telemetry::{Metrics, Unit};
use tokio::time::{Duration, Instant};

use crate::meter::{in_flight_tokens_max, unknown_tokens_max, unseen_calls};
use crate::{Doors, Next, wait_seconds};

/// The warm-up is worth waiting for, not more.
const WARM_UP_MAX: Duration = Duration::from_secs(60);
/// From two scans on, one write and reads cost less than a write by each worker (docs/adr/0007-prompts-and-cache.md).
const SCANS_WORTH_WARMING: usize = 2;

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

    /// All that the teacher wrote.
    pub(crate) fn words(&self) -> Vec<String> {
        let Assignment {
            title,
            subject,
            level,
            statement,
            ..
        } = &self.assignment;
        let rubric = serde_json::to_string(&self.rubric).unwrap_or_default();
        let mut words = vec![title.clone(), subject.clone(), level.clone(), rubric];
        words.extend(statement.clone());
        words
    }

    pub(crate) fn exam(&self) -> Exam<'_> {
        Exam {
            title: &self.assignment.title,
            subject: &self.assignment.subject,
            level: &self.assignment.level,
            language: self.assignment.language,
            statement: self.assignment.statement.as_deref(),
            rubric: &self.rubric,
            pupils: &self.assignment.roster,
        }
    }
}

pub(crate) async fn prepare<M: Model>(doors: &Doors, model: &M, address: &Address) -> Result<Next, Failure> {
    let now = doors.now();
    let until = now.plus_seconds(doors.lease_seconds);
    let holder = uuid::Uuid::new_v4().to_string();
    let record = match doors
        .store
        .lease_preparation(address, &holder, &grader(doors), now, until)
        .await?
    {
        Preparation::Taken(record) => record,
        Preparation::Busy(until) => return Ok(Next::Later((until.get() - now.get()) / 1000 + 1)),
        Preparation::Exhausted(record) => {
            let reservation = doors.store.reservation(address).await?;
            // Another message of it finds the run at its end.
            if record.was_abandoned(record.prepare_epoch)
                && reservation.is_some_and(|it| it.state == ReservationState::Pending)
                && let Err(failure) = meter_abandoned(doors, address).await
            {
                tracing::warn!(code = failure.code(), "a warm-up of unknown cost is not metered");
            }
            doors.store.expire(address, now).await?;
            return Ok(Next::Done);
        }
        Preparation::Gone => return Ok(Next::Done),
    };
    // Where this fails, the lease ends by itself, and the next one tries again.
    if record.was_abandoned(record.prepare_epoch - 1) {
        meter_abandoned(doors, address).await?;
    }
    let failure = match hand_out(doors, model, address, record.prepare_epoch).await {
        Ok(Handed::Out) => return Ok(Next::Done),
        Ok(Handed::Nothing) => {
            // Whoever asks again is told the same at once.
            let at_once = UnixMillis::new(0);
            doors.store.release_preparation(&record, at_once).await?;
            return Ok(Next::Done);
        }
        Err(failure) => failure,
    };
    tracing::error!(
        cause = failure.cause(),
        "a run could not be prepared; it comes back"
    );
    // As long as a copy waits, so that trouble of some minutes does not end the whole run.
    let seconds = wait_seconds(record.prepare_epoch);
    let until = doors.now().plus_seconds(seconds);
    doors.store.release_preparation(&record, until).await?;
    Ok(Next::Later(seconds))
}

/// What grades from here on.
fn grader(doors: &Doors) -> Grader {
    Grader {
        provider: doors.provider.as_str().to_owned(),
        model: doors.model.clone(),
        prompt_version: prompt::prompt_version(),
    }
}

/// What became of a run's copies.
enum Handed {
    /// Its own are on their way: it is prepared.
    Out,
    /// It is over, or stopped: nothing more is asked for it.
    Nothing,
}

async fn hand_out<M: Model>(
    doors: &Doors,
    model: &M,
    address: &Address,
    epoch: u32,
) -> Result<Handed, Failure> {
    let Some(reservation) = doors.store.reservation(address).await? else {
        return Ok(Handed::Nothing);
    };
    if reservation.state != ReservationState::Pending {
        return Ok(Handed::Nothing);
    }
    if reservation.stop {
        doors.store.stop(address, doors.now()).await?;
        return Ok(Handed::Nothing);
    }
    let brief = Brief::load(doors, address).await?;
    warm_up(doors, model, address, epoch, &brief).await?;
    let Some(pending) = doors.store.claim_copies(address, doors.now()).await? else {
        doors.store.stop(address, doors.now()).await?;
        return Ok(Handed::Nothing);
    };
    for group in &pending {
        if doors.store.relay(&doors.queue, group).await.is_err() {
            tracing::warn!("messages wait in the outbox");
        }
    }
    // A run whose copies another run had is over at once.
    doors.store.finish(address, doors.now()).await?;
    Ok(Handed::Out)
}

/// What warming the cache came to.
#[derive(Default)]
struct Warmed {
    /// The calls that wrote it, in one line.
    spent: Vec<Spent>,
    /// Billed for calls that failed. Unit: tokens.
    lost_tokens: u64,
    calls: u32,
    /// The most that calls of unknown cost can have cost. Unit: tokens.
    unknown_tokens_max: u64,
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
    let prompts = prefixes(doors, address, brief).await?;
    let started = doors.clock.now_millis();
    let warmed = warm(doors, model, &prompts).await?;
    let waste = match charge(doors, address, epoch, &warmed).await {
        Ok(waste) => waste,
        // It is paid, and the next attempt pays again.
        Err(failure) => {
            doors.emit(&wasted(address, warmed.paid_tokens(), warmed.unknown_tokens_max));
            return Err(failure);
        }
    };
    let usage = warmed.spent.first().map(|line| line.usage).unwrap_or_default();
    let elapsed = doors.clock.now_millis() - started;
    if waste + warmed.unknown_tokens_max > 0 {
        doors.emit(&wasted(address, waste, warmed.unknown_tokens_max));
    }
    doors.emit(
        &Metrics::of("worker")
            .by("phase", "warm-up")
            .with("run", address.run)
            .value("Calls", Unit::Count, u64::from(warmed.calls))
            .value(
                "CacheWriteTokens",
                Unit::Count,
                usage.cache_write_5m_tokens + usage.cache_write_1h_tokens,
            )
            .value("CacheReadTokens", Unit::Count, usage.cache_read_tokens)
            .value(
                "PhaseMilliseconds",
                Unit::Milliseconds,
                u64::try_from(elapsed).unwrap_or(0),
            ),
    );
    Ok(())
}

impl Warmed {
    fn paid_tokens(&self) -> u64 {
        let written = self.spent.iter().map(|line| line.usage.charged_tokens());
        written.sum::<u64>() + self.lost_tokens
    }
}

/// Counts the warm-up of a preparation that ended unseen: it may have been billed.
async fn meter_abandoned(doors: &Doors, address: &Address) -> Result<(), Failure> {
    let brief = Brief::load(doors, address).await?;
    let prompts = prefixes(doors, address, &brief).await?;
    let lost = prompts.iter().map(in_flight_tokens_max).sum();
    doors.emit(&wasted(address, 0, lost));
    Ok(())
}

fn wasted(address: &Address, tokens: u64, unknown_tokens_max: u64) -> Metrics {
    Metrics::of("worker")
        .with("run", address.run)
        .value("WasteTokens", Unit::Count, tokens)
        .value("UnknownTokensMax", Unit::Count, unknown_tokens_max)
}

/// Asks once with each prefix, all at once.
async fn warm<M: Model>(doors: &Doors, model: &M, prompts: &[Prompt]) -> Result<Warmed, Failure> {
    let until = Instant::now() + WARM_UP_MAX;
    let answers = join_all(prompts.iter().map(|prompt| model.warm(prompt, until))).await;
    let mut warmed = Warmed::default();
    for (prompt, answer) in prompts.iter().zip(answers) {
        let (calls, unknown_calls) = match answer {
            Ok(receipt) => {
                let line = Spent {
                    phase: "warm-up".to_owned(),
                    model: doors.model.clone(),
                    usage: receipt.usage,
                    cost: cost(&receipt.usage, &doors.rates(receipt.usage.prompt_tokens())?),
                };
                add_spent(&mut warmed.spent, &[line]);
                (receipt.attempts, receipt.unknown_calls)
            }
            Err(failure) => {
                tracing::warn!(cause = %failure, "the cache was not warmed");
                warmed.lost_tokens += failure.billed.map_or(0, |usage| usage.charged_tokens());
                (failure.attempts, unseen_calls(&failure))
            }
        };
        warmed.calls += calls;
        warmed.unknown_tokens_max += unknown_tokens_max(prompt, unknown_calls);
    }
    Ok(warmed)
}

/// Charges the warm-up to the run. What failed is ours, and all of it when an earlier preparation was charged or the
/// run is over: that is written down. Tells what is ours.
async fn charge(doors: &Doors, address: &Address, epoch: u32, warmed: &Warmed) -> Result<u64, Failure> {
    let (store, now) = (&doors.store, doors.now());
    let mut lost = warmed.lost_tokens;
    let mut excess = 0;
    if let Some(spent) = warmed.spent.first() {
        let paid = spent.usage.charged_tokens();
        match store.charge_warm_up(address, spent, now).await? {
            Resolution::Done => excess = paid.saturating_sub(PREFIX_RESERVE_TOKENS),
            Resolution::Already | Resolution::Fenced => lost += paid,
        }
    }
    store.record_waste(address, None, epoch, lost, now).await?;
    Ok(lost + excess)
}

/// What the run's calls share: the grading prefix, and that of transcriptions where it pays.
async fn prefixes(doors: &Doors, address: &Address, brief: &Brief) -> Result<Vec<Prompt>, Failure> {
    let nobody = MaskedCopy::new(&[], Redaction::new(CopyCode::from_random(0), [], ""));
    let mut prompts = vec![prompt::grading(&brief.exam(), &nobody)];
    let copies = doors.store.manifest(address).await?;
    let scans = copies.iter().filter(|copy| seems_scanned(copy.tokens)).count();
    if scans >= SCANS_WORTH_WARMING {
        prompts.push(prompt::transcription_warm_up());
    }
    Ok(prompts)
}
