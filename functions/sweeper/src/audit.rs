//! The audit: does each counter equal the fold of its entries (I1, I2)?
//!
//! Audited are ledgers in which something happens: one with a new run, at the first sweep that sees it; one with a
//! pending run, once an hour; one whose run this sweep finished, at once. Not audited is a ledger whose runs were all
//! over between two sweeps: finding it would take a list of all ledgers, which the table does not have. It is audited
//! with the first of its runs that takes longer; a line that was wrong then is wrong still.

use std::collections::HashSet;

use futures::stream::{self, StreamExt as _};
use shared::domain::failure::Failure;
use shared::domain::ids::AccountId;
use shared::domain::quota::{Counter, Period};
use shared::domain::time::UnixMillis;
use shared::store::Store;

use crate::{Swept, counted};

/// A ledger with a pending run is audited once an hour: at the minute that its account's id falls on.
const MINUTES: u64 = 60;
/// Entries of one ledger, at most: Max's 10,000 copies a period, several times.
const ENTRIES_MAX: usize = 50_000;
/// Ledgers read at once. The largest takes some 50 MB.
const AT_ONCE: usize = 4;
/// Reads until the counter stands still.
const READS_MAX: u32 = 3;

/// Whether a ledger of this account is audited this minute.
pub(crate) fn is_due(account: AccountId, now: UnixMillis) -> bool {
    u64::from(account.bytes()[15]) % MINUTES == now.unsigned() / 60_000 % MINUTES
}

/// Compares the counters of these ledgers with their entries.
pub(crate) async fn audit(store: &Store, ledgers: HashSet<(AccountId, Period)>) -> Swept {
    let audits = ledgers.into_iter().map(async |(account, period)| {
        let drift = drift(store, account, &period).await;
        counted("audit", drift.map(Swept::drifted))
    });
    let audits: Vec<_> = audits.collect();
    let audited: Vec<Swept> = stream::iter(audits).buffer_unordered(AT_ONCE).collect().await;
    audited.into_iter().sum()
}

/// Tokens by which one counter differs from its entries; 0 while it moves too fast to be compared.
async fn drift(store: &Store, account: AccountId, period: &Period) -> Result<u64, Failure> {
    for _ in 0..READS_MAX {
        let before = store.counter(account, period).await?;
        let lines = store.entries(account, period, ENTRIES_MAX).await?;
        let after = store.counter(account, period).await?;
        if before != after {
            continue;
        }
        let Some(counter) = after else { return Ok(0) };
        let folded = Counter::fold(lines.into_iter().map(|line| line.entry)).unwrap_or_default();
        let gap = |a: u64, b: u64| a.abs_diff(b);
        let drift = gap(counter.granted, folded.granted)
            + gap(counter.reserved, folded.reserved)
            + gap(counter.used, folded.used)
            + gap(counter.remaining, folded.remaining);
        if drift > 0 {
            tracing::error!(%account, drift, "a counter does not equal the fold of its entries");
        }
        return Ok(drift);
    }
    Ok(0)
}
