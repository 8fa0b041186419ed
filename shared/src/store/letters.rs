//! Letters that are due: each is written in the transaction that makes it true, under its own name, so that it is
//! written once and no crash loses it. It stays in the sparse index until it is sent or given up.
//!
//! The index sorts letters by when they are looked at next. To take one is to move that moment, on the condition
//! that nobody has: whoever moved it is alone with the letter until then, and if nothing more is heard of it, it
//! comes again by itself.

use serde::{Deserialize, Serialize};

use super::expression::{Change, Item, Writes, n, s, values};
use super::keys;
use super::pages::{item, read};
use super::transact::Changed;
use super::{Store, failed};
use crate::domain::failure::Failure;
use crate::domain::ids::AccountId;
use crate::domain::mail::{Letter, next_try};
use crate::domain::time::UnixMillis;

/// A letter that was sent or given up is remembered longer than any period that it may be about. Unit: seconds.
const DONE_SECONDS: i64 = 400 * 24 * 3600;

/// A letter that is not sent yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// To whom.
    pub account: AccountId,
    /// Since when.
    pub at: UnixMillis,
    /// What to say.
    pub letter: Letter,
    /// How often it was taken.
    #[serde(default)]
    pub tries: u32,
    /// When it is looked at next, as the index sorts it.
    #[serde(rename = "pending_sk")]
    turn: String,
}

impl Store {
    /// Writes those of `due` that were never written.
    pub(super) async fn write_letters(
        &self,
        writes: &mut Writes<'_>,
        account: AccountId,
        due: Vec<Letter>,
        at: UnixMillis,
    ) -> Result<(), Failure> {
        for letter in due {
            let key = keys::letter(account, &letter.key());
            if self.get(&key, true).await?.is_some() {
                continue;
            }
            let due = Due {
                account,
                at,
                letter,
                tries: 0,
                turn: keys::moment(at),
            };
            let mut written = item("letter", &due)?;
            written.insert("pending_pk".to_owned(), s(keys::LETTERS_PARTITION));
            writes.create(&key, written);
        }
        Ok(())
    }

    /// Letters whose turn it is, the longest waiting first, at most `limit`. Take one with [`Store::take_letter`]
    /// before it is sent.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn due_letters(&self, now: UnixMillis, limit: i32) -> Result<Vec<Due>, Failure> {
        let found = self
            .dynamo
            .query()
            .table_name(&self.table)
            .index_name(keys::PENDING_INDEX)
            .key_condition_expression("pending_pk = :pk AND pending_sk <= :now")
            .set_expression_attribute_values(Some(values([
                (":pk", s(keys::LETTERS_PARTITION)),
                (":now", s(keys::moment(now))),
            ])))
            .limit(limit)
            .send()
            .await
            .map_err(|error| failed("Query letters", &error))?;
        let mut due = Vec::new();
        for listed in found.items.unwrap_or_default() {
            let text = |name: &str| listed.get(name).and_then(|it| it.as_s().ok()).cloned();
            let (Some(pk), Some(sk)) = (text("pk"), text("sk")) else {
                continue;
            };
            // The index is read after the fact: a letter may have been sent, or taken, since.
            let waits = |it: &Item| {
                let turn = it.get("pending_sk").and_then(|turn| turn.as_s().ok());
                turn.is_some_and(|turn| *turn <= keys::moment(now))
            };
            let found = self.get(&keys::Key { pk, sk }, true).await?;
            let Some(found) = found.filter(waits) else {
                continue;
            };
            // One that cannot be read must not keep the others from being sent.
            match read("letter", found) {
                Ok(letter) => due.push(letter),
                Err(_) => tracing::error!("a letter that is not ours"),
            }
        }
        Ok(due)
    }

    /// Takes a letter until its next try. `false` when somebody else has.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn take_letter(&self, due: &Due, now: UnixMillis) -> Result<bool, Failure> {
        let take = Change {
            key: due.key(),
            change: "SET #pending_sk = :next, #tries = :tries",
            condition: "#pending_sk = :turn",
            values: values([
                (":next", s(keys::moment(next_try(now, due.tries)))),
                (":tries", n(due.tries.saturating_add(1))),
                (":turn", s(&due.turn)),
            ]),
        };
        Ok(matches!(
            self.change_one("take letter", take).await?,
            Changed::Yes(_)
        ))
    }

    /// Remembers that a letter was sent. A crash between the two sends it twice, never not at all.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn letter_sent(&self, due: &Due, now: UnixMillis) -> Result<(), Failure> {
        let change = "SET #sent_at = :now, #ttl = :ttl REMOVE #pending_pk, #pending_sk";
        self.end_letter("letter sent", due, change, now, None).await
    }

    /// Remembers that a letter will not be sent, and why (which must name no address): for a person to read.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn letter_lost(&self, due: &Due, why: &str, now: UnixMillis) -> Result<(), Failure> {
        let change = "SET #lost_at = :now, #why = :why, #ttl = :ttl REMOVE #pending_pk, #pending_sk";
        self.end_letter("letter lost", due, change, now, Some(why)).await
    }

    /// Forgets a letter that says what is no longer true. Should it be true again, it is written again.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn forget_letter(&self, due: &Due) -> Result<(), Failure> {
        self.dynamo
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(due.key().attributes()))
            .send()
            .await
            .map_err(|error| failed("forget letter", &error))?;
        Ok(())
    }

    async fn end_letter(
        &self,
        operation: &str,
        due: &Due,
        change: &str,
        now: UnixMillis,
        why: Option<&str>,
    ) -> Result<(), Failure> {
        let mut with = values([
            (":now", n(now.get())),
            (":ttl", n(now.plus_seconds(DONE_SECONDS).get() / 1000)),
        ]);
        with.extend(why.map(|why| (":why".to_owned(), s(why))));
        let end = Change {
            key: due.key(),
            change,
            // One that was ended already, by a write whose reply was lost or by somebody quicker, stays as it is.
            condition: "attribute_exists(#pending_pk)",
            values: with,
        };
        self.change_one(operation, end).await.map(drop)
    }
}

impl Due {
    fn key(&self) -> keys::Key {
        keys::letter(self.account, &self.letter.key())
    }
}
