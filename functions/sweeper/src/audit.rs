//! The audit: does each counter equal the fold of its entries (I1, I2)?

use std::collections::HashSet;

use shared::domain::failure::Failure;
use shared::domain::quota::Counter;
use shared::domain::run::Address;
use shared::domain::time::UnixMillis;
use shared::store::Store;

/// A ledger is audited once an hour: at the minute that its account's id falls on.
const MINUTES: u64 = 60;
/// Entries of one ledger, at most: Max's 10,000 copies a period, several times.
const ENTRIES_MAX: usize = 50_000;
/// Reads until the counter stands still.
const READS_MAX: u32 = 3;

/// Tokens by which the ledgers due this minute differ from their entries.
pub(crate) async fn drift(store: &Store, runs: &[Address], now: UnixMillis) -> Result<u64, Failure> {
    let minute = now.unsigned() / 60_000 % MINUTES;
    let mut seen = HashSet::new();
    let mut sum = 0;
    for address in runs {
        let due = u64::from(address.account.bytes()[15]) % MINUTES == minute;
        if due && seen.insert((address.account, address.period.clone())) {
            sum += ledger_drift(store, address).await?;
        }
    }
    Ok(sum)
}

/// Tokens by which one counter differs from its entries; 0 while it moves too fast to be compared.
pub(crate) async fn ledger_drift(store: &Store, address: &Address) -> Result<u64, Failure> {
    for _ in 0..READS_MAX {
        let before = store.counter(address.account, &address.period).await?;
        let lines = store
            .entries(address.account, &address.period, ENTRIES_MAX)
            .await?;
        let after = store.counter(address.account, &address.period).await?;
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
            tracing::error!(account = %address.account, drift, "a counter does not equal the fold of its entries");
        }
        return Ok(drift);
    }
    Ok(0)
}
