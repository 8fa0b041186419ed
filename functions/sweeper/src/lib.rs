//! Every minute: send what the outbox still holds, bring every pending run nearer its end, compare counters
//! with their entries, send the letters that are due. The fast paths elsewhere only make things quick; this makes
//! them certain.

mod audit;
mod letters;

use std::iter::Sum;

use futures::future::join;
use futures::stream::{self, StreamExt as _};
use serde::Serialize;
use shared::clock::Clock;
use shared::domain::copy::{Copy, CopyState};
use shared::domain::failure::Failure;
use shared::domain::run::{Address, Message, ReservationState};
use shared::domain::time::UnixMillis;
use shared::store::{Pending, PendingRun, Queue, Store};
use shared::telemetry::{Metrics, Unit};

pub use letters::Post;

/// A message younger than this is left to whoever wrote it. Unit: seconds.
const OUTBOX_GRACE_SECONDS: i64 = 10;
/// Outbox groups of one page, and runs of one, oldest first; and pages looked at in one sweep.
const GROUPS_MAX: i32 = 200;
const RUNS_MAX: i32 = 500;
const PAGES_MAX: usize = 20;
/// Groups sent at once, and runs looked at at once.
const AT_ONCE: usize = 8;
/// A run starts within this, or its first message is sent again. Unit: seconds.
const START_SECONDS_MAX: i64 = 120;
/// How often the messages of waiting copies are sent again. Unit: minutes.
const RESEND_MINUTES: u64 = 15;

/// What a sweep needs.
#[derive(Debug, Clone)]
pub struct Doors {
    /// The table.
    pub store: Store,
    /// The work queue.
    pub queue: Queue,
    /// Sends letters; `None` where no mail is sent.
    pub post: Option<Post>,
    /// Tells the time.
    pub clock: Clock,
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Outbox groups sent.
    pub sent: u64,
    /// Messages sent again, because their worker is gone or the queue may have lost them.
    pub revived: u64,
    /// Runs that reached their end.
    pub finished: u64,
    /// Runs still pending.
    pub pending: u64,
    /// Tokens by which counters and entries differ. Anything but 0 is an alarm.
    pub drift_tokens: u64,
    /// Letters that SES took.
    pub letters_sent: u64,
    /// Letters that will not be sent. Anything but 0 is an alarm.
    pub letters_lost: u64,
    /// Letters that wait for an address.
    pub letters_unaddressed: u64,
    /// Letters that should have been sent an hour ago, and were tried in vain. Anything but 0 is an alarm.
    pub letters_late: u64,
    /// Steps that failed; the next sweep takes them again.
    pub failures: u64,
}

impl Swept {
    /// Writes the metrics.
    pub fn report(&self, clock: &Clock) {
        Metrics::of("sweeper")
            .value("OutboxSwept", Unit::Count, self.sent)
            .value("CopiesRevived", Unit::Count, self.revived)
            .value("RunsSwept", Unit::Count, self.finished)
            .value("RunsPending", Unit::Count, self.pending)
            .value("LedgerDrift", Unit::Count, self.drift_tokens)
            .value("LettersSent", Unit::Count, self.letters_sent)
            .value("LettersLost", Unit::Count, self.letters_lost)
            .value("LettersUnaddressed", Unit::Count, self.letters_unaddressed)
            .value("LettersLate", Unit::Count, self.letters_late)
            .value("SweepFailures", Unit::Count, self.failures)
            .emit(clock.now_millis());
    }

    fn drifted(tokens: u64) -> Self {
        Self {
            drift_tokens: tokens,
            ..Self::default()
        }
    }
}

impl Sum for Swept {
    fn sum<I: Iterator<Item = Self>>(steps: I) -> Self {
        steps.fold(Self::default(), |sum, step| Self {
            sent: sum.sent + step.sent,
            revived: sum.revived + step.revived,
            finished: sum.finished + step.finished,
            pending: sum.pending + step.pending,
            drift_tokens: sum.drift_tokens + step.drift_tokens,
            letters_sent: sum.letters_sent + step.letters_sent,
            letters_lost: sum.letters_lost + step.letters_lost,
            letters_unaddressed: sum.letters_unaddressed + step.letters_unaddressed,
            letters_late: sum.letters_late + step.letters_late,
            failures: sum.failures + step.failures,
        })
    }
}

/// What a step did; a failure is counted and left to the next sweep.
fn counted(step: &str, done: Result<Swept, Failure>) -> Swept {
    done.unwrap_or_else(|failure| {
        tracing::error!(step, cause = failure.cause(), "a step of the sweep failed");
        Swept {
            failures: 1,
            ..Swept::default()
        }
    })
}

/// One sweep. Its steps run beside each other: one that fails, or waits, never keeps the others from running.
pub async fn sweep(doors: &Doors) -> Swept {
    let now = UnixMillis::new(doors.clock.now_millis());
    let before = now.plus_seconds(-OUTBOX_GRACE_SECONDS);
    // One after the other: letters wait for nobody, and a question beside the others would be a connection more.
    let sent = async {
        (
            send_unsent(doors, before).await,
            letters::send_due(doors, now).await,
        )
    };
    let ((sent, letters), advanced) = join(sent, advance_all(doors, now)).await;
    [sent, letters, advanced].into_iter().sum()
}

/// Sends what the outbox still holds, oldest first, page by page until one is not full or not all of it was sent.
async fn send_unsent(doors: &Doors, before: UnixMillis) -> Swept {
    let mut swept = Swept::default();
    for _ in 0..PAGES_MAX {
        let groups = match doors.store.unsent(before, GROUPS_MAX).await {
            Ok(groups) => groups,
            Err(failure) => return [swept, counted("outbox", Err(failure))].into_iter().sum(),
        };
        let steps: Vec<_> = groups.iter().map(|group| send_group(doors, group)).collect();
        let page: Vec<Swept> = stream::iter(steps).buffer_unordered(AT_ONCE).collect().await;
        let page: Swept = page.into_iter().sum();
        let full = i32::try_from(groups.len()).is_ok_and(|count| count >= GROUPS_MAX);
        let over = !full || page.failures > 0;
        swept = [swept, page].into_iter().sum();
        if over {
            break;
        }
    }
    swept
}

async fn send_group(doors: &Doors, group: &Pending) -> Swept {
    let sent = doors.store.relay(&doors.queue, group).await;
    counted(
        "outbox",
        sent.map(|()| Swept {
            sent: 1,
            ..Swept::default()
        }),
    )
}

/// Brings the pending runs nearer their end, page by page: long runs in front must not hide a dead worker behind
/// them.
async fn advance_all(doors: &Doors, now: UnixMillis) -> Swept {
    let mut swept = Vec::new();
    let mut last = None;
    for _ in 0..PAGES_MAX {
        let runs = match doors.store.pending_runs(last.as_ref(), RUNS_MAX).await {
            Ok(runs) => runs,
            Err(failure) => {
                swept.push(counted("runs", Err(failure)));
                break;
            }
        };
        swept.push(advance_page(doors, &runs, now).await);
        let full = i32::try_from(runs.len()).is_ok_and(|count| count >= RUNS_MAX);
        last = runs.into_iter().next_back();
        if !full {
            break;
        }
    }
    swept.into_iter().sum()
}

/// Brings some pending runs nearer their end, then audits the ledgers that are due and those of runs that ended.
async fn advance_page(doors: &Doors, runs: &[PendingRun], now: UnixMillis) -> Swept {
    let steps = runs
        .iter()
        .map(async |run| (run, counted("run", advance(doors, run, now).await)));
    let steps: Vec<_> = steps.collect();
    let advanced: Vec<(&PendingRun, Swept)> = stream::iter(steps).buffer_unordered(AT_ONCE).collect().await;
    let audited = advanced
        .iter()
        .filter(|(run, swept)| swept.finished > 0 || audit::is_due(run.account, now))
        .map(|(run, _)| (run.account, run.period.clone()))
        .collect();
    let audited = audit::audit(&doors.store, audited).await;
    advanced
        .into_iter()
        .map(|(_, swept)| swept)
        .chain([audited])
        .sum()
}

/// Brings one pending run nearer its end.
async fn advance(doors: &Doors, run: &PendingRun, now: UnixMillis) -> Result<Swept, Failure> {
    let mut swept = Swept::default();
    let Some((address, reservation)) = doors.store.pending_run(run).await? else {
        return Ok(swept);
    };
    let after = if reservation.open == 0 {
        doors.store.finish(&address, now).await?
    } else if reservation.expires_at < now {
        doors.store.expire(&address, now).await?
    } else if reservation.stop {
        doors.store.stop(&address, now).await?
    } else {
        swept.revived = revive(doors, &address, now).await?;
        Some(reservation)
    };
    match after.map(|it| it.state) {
        Some(ReservationState::Posted | ReservationState::Void) => swept.finished = 1,
        Some(ReservationState::Pending) => swept.pending = 1,
        None => {}
    }
    Ok(swept)
}

/// Sends again what a run is waiting for: the start of one whose preparation died, copies whose worker died, and,
/// every quarter of an hour, every copy that still waits, whatever the queue did with its message. A message too
/// many is harmless, because the lease decides.
async fn revive(doors: &Doors, address: &Address, now: UnixMillis) -> Result<u64, Failure> {
    let Some(record) = doors.store.run(address.assignment, address.run).await? else {
        return Ok(0);
    };
    if !record.prepared {
        let stalled = record
            .prepare_until
            .unwrap_or(record.run.created_at.plus_seconds(START_SECONDS_MAX));
        let messages = if stalled < now {
            vec![Message::Prepare(address.clone())]
        } else {
            Vec::new()
        };
        doors.queue.send(&messages).await?;
        return Ok(messages.len() as u64);
    }
    let age_minutes = now.unsigned().saturating_sub(record.run.created_at.unsigned()) / 60_000;
    let all = age_minutes > 0 && age_minutes % RESEND_MINUTES == 0;
    let is_over = |copy: &Copy| copy.lease_until.is_none_or(|until| until < now);
    let waits = |copy: &Copy| match copy.state {
        CopyState::Leased => is_over(copy),
        CopyState::Queued => all && is_over(copy),
        CopyState::New | CopyState::Graded | CopyState::Failed => false,
    };
    let copies = doors.store.run_copies(address).await?;
    let messages: Vec<Message> = copies
        .iter()
        .filter(|copy| waits(copy))
        .map(|copy| Message::Grade {
            address: address.clone(),
            copy: copy.copy,
        })
        .collect();
    doors.queue.send(&messages).await?;
    Ok(messages.len() as u64)
}
