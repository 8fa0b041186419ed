//! Repeated requests: what was made under a caller's idempotency key, kept for a week. The record is written in the
//! transaction that makes the thing, so neither is ever there without the other.

use std::fmt::Display;
use std::str::FromStr;

use super::expression::{Change, Item, Writes, n, s, values};
use super::transact::{Changed, Refusal};
use super::{Store, keys, unreadable};
use crate::domain::failure::{Conflict, Failure};
use crate::domain::ids::AccountId;
use crate::domain::time::UnixMillis;

/// How long a caller's idempotency key is remembered. Unit: seconds.
const IDEMPOTENCY_SECONDS: i64 = 7 * 24 * 3600;

/// A caller's key and what it asks under it, both as digests.
pub type Idempotency<'a> = (&'a str, &'a str);

/// What is made under a key. A key of one kind is not a key of another.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Assignment,
    Copies,
    Rubric,
    Run,
}

impl Kind {
    /// As stored.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Assignment => "assignment",
            Self::Copies => "copies",
            Self::Rubric => "rubric",
            Self::Run => "run",
        }
    }
}

/// Adds to the transaction what remembers that `made` was made under the caller's key. Its place, if there is a key.
pub(super) fn remember(
    writes: &mut Writes<'_>,
    (owner, kind): (AccountId, Kind),
    idempotency: Option<Idempotency<'_>>,
    made: impl Display,
    now: UnixMillis,
) -> Option<usize> {
    let (key, asked) = idempotency?;
    let record = values([
        ("body", s(asked)),
        ("id", s(made.to_string())),
        ("ttl", n(expiry(now))),
    ]);
    Some(writes.create(&keys::idempotency(owner, kind, key), record))
}

/// What an earlier request made, if the transaction was refused because its key was used.
///
/// # Errors
/// `Conflict` when the key was used for another request.
pub(super) fn repeated<T: FromStr>(
    refusal: &Refusal,
    place: Option<usize>,
    idempotency: Option<Idempotency<'_>>,
) -> Result<Option<T>, Failure> {
    let record = place.and_then(|place| refusal.item_at(place));
    record
        .zip(idempotency)
        .map(|(record, (_, asked))| recall(record, asked))
        .transpose()
}

impl Store {
    /// Remembers what is made under the caller's key where no transaction makes it: a write of one item alone costs
    /// half. What an earlier request made, if there was one.
    ///
    /// # Errors
    /// `Conflict` when the key was used for another request; `Unavailable` when the table is.
    pub(super) async fn remember_alone<T: FromStr>(
        &self,
        (owner, kind): (AccountId, Kind),
        (key, asked): Idempotency<'_>,
        made: impl Display,
        now: UnixMillis,
    ) -> Result<Option<T>, Failure> {
        let record = Change {
            key: keys::idempotency(owner, kind, key),
            change: "SET #body = :body, #id = :id, #ttl = :ttl",
            condition: "attribute_not_exists(pk)",
            values: values([
                (":body", s(asked)),
                (":id", s(made.to_string())),
                (":ttl", n(expiry(now))),
            ]),
        };
        match self.change_one("remember", record).await? {
            Changed::Yes(_) => Ok(None),
            Changed::No(known) => recall(&known.unwrap_or_default(), asked).map(Some),
        }
    }

    /// What an earlier request with the key made, if there was one.
    ///
    /// # Errors
    /// `Conflict` when the key was used for another request; `Unavailable` when the table is.
    pub(super) async fn made<T: FromStr>(
        &self,
        (owner, kind): (AccountId, Kind),
        idempotency: Option<Idempotency<'_>>,
    ) -> Result<Option<T>, Failure> {
        let Some((key, asked)) = idempotency else {
            return Ok(None);
        };
        let record = self.get(&keys::idempotency(owner, kind, key), true).await?;
        record.map(|record| recall(&record, asked)).transpose()
    }
}

/// When the table may forget a record. Unit: seconds since 1970.
const fn expiry(now: UnixMillis) -> i64 {
    now.plus_seconds(IDEMPOTENCY_SECONDS).get() / 1000
}

fn recall<T: FromStr>(record: &Item, asked: &str) -> Result<T, Failure> {
    let text = |name: &str| record.get(name)?.as_s().ok().map(String::as_str);
    if text("body") != Some(asked) {
        return Err(Failure::Conflict(Conflict::KeyReused));
    }
    let made = text("id").and_then(|made| made.parse().ok());
    made.ok_or_else(|| unreadable("idempotency record", "it does not say what was made"))
}
