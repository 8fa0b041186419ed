//! Every pending run: nearer its end, or sent again to those who bring it there.

use futures::stream::{self, StreamExt as _};
use shared::domain::copy::{Copy, CopyState};
use shared::domain::failure::Failure;
use shared::domain::run::{Address, Message, ReservationState};
use shared::domain::time::UnixMillis;
use shared::store::PendingRun;

use crate::{AT_ONCE, Doors, PAGES_MAX, Swept, audit, counted};

/// Runs of one page, oldest first.
const RUNS_MAX: i32 = 500;
/// A run starts within this, or its first message is sent again. Unit: seconds.
const START_SECONDS_MAX: i64 = 120;
/// From one sweep to the next, as `template.yaml` says. Unit: seconds.
const SWEEP_SECONDS: i64 = 60;
/// How often the messages of waiting copies are sent again. Unit: minutes.
const RESEND_MINUTES: u64 = 15;

/// Brings the pending runs nearer their end, page by page: long runs in front must not hide a dead worker behind
/// them.
pub(crate) async fn advance_all(doors: &Doors, now: UnixMillis) -> Swept {
    let mut swept = Vec::new();
    let mut next = None;
    for _ in 0..PAGES_MAX {
        let runs = match doors.store.pending_runs(next, RUNS_MAX).await {
            Ok(runs) => runs,
            Err(failure) => {
                swept.push(counted("runs", Err(failure)));
                break;
            }
        };
        swept.push(advance_page(doors, &runs.found, now).await);
        next = runs.next;
        if next.is_none() {
            break;
        }
    }
    swept.into_iter().sum()
}

/// Brings some pending runs nearer their end, then audits the ledgers that are due and those of runs that ended.
async fn advance_page(doors: &Doors, runs: &[PendingRun], now: UnixMillis) -> Swept {
    let steps = runs.iter().map(async |run| {
        let advanced = advance(doors, run, now).await;
        let is_new = advanced.as_ref().is_ok_and(|(_, is_new)| *is_new);
        (run, is_new, counted("run", advanced.map(|(swept, _)| swept)))
    });
    let steps: Vec<_> = steps.collect();
    let advanced: Vec<(&PendingRun, bool, Swept)> =
        stream::iter(steps).buffer_unordered(AT_ONCE).collect().await;
    let audited = advanced
        .iter()
        .filter(|(run, is_new, swept)| *is_new || swept.finished > 0 || audit::is_due(run.account, now))
        .map(|(run, ..)| (run.account, run.period.clone()))
        .collect();
    let audited = audit::audit(&doors.store, audited).await;
    advanced
        .into_iter()
        .map(|(.., swept)| swept)
        .chain([audited])
        .sum()
}

/// Brings one pending run nearer its end, and tells whether this may be the first sweep that sees it.
async fn advance(doors: &Doors, run: &PendingRun, now: UnixMillis) -> Result<(Swept, bool), Failure> {
    let mut swept = Swept::default();
    let Some((address, reservation)) = doors.store.pending_run(run).await? else {
        return Ok((swept, false));
    };
    // Twice the time: a sweep may be late, and an audit too many does no harm.
    let is_new = now < reservation.created_at.plus_seconds(2 * SWEEP_SECONDS);
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
    Ok((swept, is_new))
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
