//! Every minute: send what the outbox still holds, bring every pending run nearer its end, compare counters
//! with their entries. The fast paths elsewhere only make things quick; this makes them certain.

mod audit;

use serde::Serialize;
use shared::clock::Clock;
use shared::domain::copy::CopyState;
use shared::domain::failure::Failure;
use shared::domain::run::{Address, Message, ReservationState};
use shared::domain::time::UnixMillis;
use shared::store::{Queue, Store};
use shared::telemetry::{Metrics, Unit};

/// A message younger than this is left to whoever wrote it. Unit: seconds.
const OUTBOX_GRACE_SECONDS: i64 = 10;
/// Runs looked at in one sweep, oldest first.
const RUNS_MAX: i32 = 500;

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
    /// Copies whose worker is gone, and whose message was sent again.
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

/// Sends the messages of copies whose lease is over again: their worker died, and the queue itself would wait
/// out its visibility timeout. A message too many is harmless, because the lease decides.
async fn revive(doors: &Doors, address: &Address, now: UnixMillis) -> Result<u64, Failure> {
    let dead = |lease_until: Option<UnixMillis>| lease_until.is_some_and(|until| until < now);
    let messages: Vec<Message> = doors
        .store
        .run_copies(address)
        .await?
        .into_iter()
        .filter(|copy| copy.state == CopyState::Leased && dead(copy.lease_until))
        .map(|copy| Message::Grade {
            address: address.clone(),
            copy: copy.copy,
        })
        .collect();
    doors.queue.send(&messages).await?;
    Ok(messages.len() as u64)
}
