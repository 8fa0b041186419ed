//! Every minute: send what the outbox still holds, bring every pending run nearer its end, compare counters
//! with their entries. The fast paths elsewhere only make things quick; this makes them certain.

mod audit;

use serde::Serialize;
use shared::clock::Clock;
use shared::domain::copy::{Copy, CopyState};
use shared::domain::failure::Failure;
use shared::domain::run::{Address, Message, ReservationState};
use shared::domain::time::UnixMillis;
use shared::store::{Queue, Store};
use shared::telemetry::{Metrics, Unit};

/// A message younger than this is left to whoever wrote it. Unit: seconds.
const OUTBOX_GRACE_SECONDS: i64 = 10;
/// Runs looked at in one sweep, oldest first.
const RUNS_MAX: i32 = 500;
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
    /// Tells the time.
    pub clock: Clock,
}

/// What a sweep did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
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
            .value("SweepFailures", Unit::Count, self.failures)
            .emit(clock.now_millis());
    }

    fn failed(&mut self, step: &str, failure: &Failure) {
        self.failures += 1;
        let cause = match failure {
            Failure::Internal(internal) | Failure::Unavailable(internal) => internal.for_log(),
            _ => failure.code(),
        };
        tracing::error!(step, cause, "a step of the sweep failed");
    }
}

/// One sweep. A step that fails is counted and left to the next; it never keeps the others from running.
pub async fn sweep(doors: &Doors) -> Swept {
    let mut swept = Swept::default();
    let now = UnixMillis::new(doors.clock.now_millis());
    match doors.store.unsent(now.plus_seconds(-OUTBOX_GRACE_SECONDS)).await {
        Ok(groups) => {
            for group in groups {
                match doors.store.relay(&doors.queue, &group).await {
                    Ok(()) => swept.sent += 1,
                    Err(failure) => swept.failed("outbox", &failure),
                }
            }
        }
        Err(failure) => swept.failed("outbox", &failure),
    }
    match doors.store.pending_runs(RUNS_MAX).await {
        Ok(runs) => {
            for address in &runs {
                if let Err(failure) = advance(doors, address, now, &mut swept).await {
                    swept.failed("run", &failure);
                }
            }
            match audit::drift(&doors.store, &runs, now).await {
                Ok(tokens) => swept.drift_tokens = tokens,
                Err(failure) => swept.failed("audit", &failure),
            }
        }
        Err(failure) => swept.failed("runs", &failure),
    }
    swept
}

/// Brings one pending run nearer its end.
async fn advance(
    doors: &Doors,
    address: &Address,
    now: UnixMillis,
    swept: &mut Swept,
) -> Result<(), Failure> {
    let Some(reservation) = doors.store.reservation(address).await? else {
        return Ok(());
    };
    let after = if reservation.open == 0 {
        doors.store.finish(address, now).await?
    } else if reservation.expires_at < now {
        doors.store.expire(address, now).await?
    } else if reservation.stop {
        doors.store.stop(address, now).await?
    } else {
        swept.revived += revive(doors, address, now).await?;
        Some(reservation)
    };
    match after.map(|it| it.state) {
        Some(ReservationState::Posted | ReservationState::Void) => swept.finished += 1,
        Some(ReservationState::Pending) => swept.pending += 1,
        None => {}
    }
    Ok(())
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
    let waits = |copy: &Copy| match copy.state {
        CopyState::Leased => copy.lease_until.is_some_and(|until| until < now),
        CopyState::Queued => all,
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
