//! The ledger's lines: append-only, keyed by the operation that wrote them, so that an operation happens once.

use serde::{Deserialize, Serialize};
use std::fmt;

use super::expression::{Item, Writes};
use super::keys;
use super::pages::{Range, item, read};
use super::{Store, unreadable};
use crate::domain::failure::Failure;
use crate::domain::ids::{AccountId, CopyId, RunId};
use crate::domain::quota::{Entry, Period};
use crate::domain::run::Address;
use crate::domain::time::UnixMillis;

/// The name of an operation: the same name is never written twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// The period's counter was opened.
    Open,
    /// The grant was changed, under an id that its caller keeps (a subscription's revision).
    Regrant(String),
    /// A run reserved.
    Reserve(RunId),
    /// A run was resolved.
    Post(RunId),
    /// A run's prefix was written to the provider's cache.
    Warm(RunId),
    /// A copy asked for more, in the given epoch, when it held the given tokens: a worker may ask several times.
    Extend(RunId, CopyId, u32, u64),
    /// A copy was charged.
    Charge(RunId, CopyId),
    /// A copy failed or was given back: nothing is charged.
    Void(RunId, CopyId),
    /// A lease of a copy, or of the run's preparation, paid for what nobody used.
    Waste(RunId, Option<CopyId>, u32),
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => write!(f, "open"),
            Self::Regrant(id) => write!(f, "regrant#{id}"),
            Self::Reserve(run) => write!(f, "run#{run}#reserve"),
            Self::Post(run) => write!(f, "run#{run}#post"),
            Self::Warm(run) => write!(f, "run#{run}#warm"),
            Self::Extend(run, copy, epoch, held) => write!(f, "run#{run}#extend#{copy}#{epoch}#{held}"),
            // One name for both ends of a copy, so that only one of them can ever be written.
            Self::Charge(run, copy) | Self::Void(run, copy) => write!(f, "run#{run}#copy#{copy}"),
            Self::Waste(run, Some(copy), epoch) => write!(f, "run#{run}#waste#{copy}#{epoch}"),
            Self::Waste(run, None, epoch) => write!(f, "run#{run}#waste#prepare#{epoch}"),
        }
    }
}

/// A line as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryLine {
    /// What it did.
    #[serde(flatten)]
    pub entry: Entry,
    /// When.
    pub at: UnixMillis,
    /// The operation's name.
    #[serde(default)]
    pub operation: String,
}

pub(super) fn line(entry: Entry, at: UnixMillis, operation: &Operation) -> Result<Item, Failure> {
    item(
        "entry",
        &EntryLine {
            entry,
            at,
            operation: operation.to_string(),
        },
    )
}

/// Adds an operation's line to the transaction that does it. Returns its place.
pub(super) fn write_line(
    writes: &mut Writes<'_>,
    address: &Address,
    operation: &Operation,
    entry: Entry,
    now: UnixMillis,
) -> Result<usize, Failure> {
    let key = keys::entry(address.account, &address.period, &operation.to_string());
    Ok(writes.create(&key, line(entry, now, operation)?))
}

impl Store {
    /// Every line of one ledger, at most `max`: for the audit that a counter equals the fold of its entries.
    ///
    /// # Errors
    /// `Unavailable` when the table is; `Internal` for a line that is not ours.
    pub async fn entries(
        &self,
        account: AccountId,
        period: &Period,
        max: usize,
    ) -> Result<Vec<EntryLine>, Failure> {
        let range = Range {
            partition: keys::ledger(account, period),
            prefix: "ENTRY#",
            newest_first: false,
            consistent: true,
        };
        let items = self.all(&range, max).await?;
        if items.len() == max {
            return Err(unreadable("ledger", format!("it has {max} lines or more")));
        }
        items.into_iter().map(|item| read("entry", item)).collect()
    }
}
