//! Letters that are due: each is written in the transaction that makes it true, under its own name, so that it is
//! written once and no crash loses it. It stays in the sparse index until it is sent.

use serde::{Deserialize, Serialize};

use super::expression::{Change, Writes, n, names, s, values};
use super::keys;
use super::pages::{item, read};
use super::{Store, failed};
use crate::domain::failure::Failure;
use crate::domain::ids::AccountId;
use crate::domain::mail::Letter;
use crate::domain::time::UnixMillis;

/// A letter that was sent is remembered longer than any period that it may be about. Unit: seconds.
const SENT_SECONDS: i64 = 400 * 24 * 3600;

/// A letter that is not sent yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// To whom.
    pub account: AccountId,
    /// Since when.
    pub at: UnixMillis,
    /// What to say.
    pub letter: Letter,
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
            let mut written = item("letter", &Due { account, at, letter })?;
            written.insert("pending_pk".to_owned(), s(keys::LETTERS_PARTITION));
            written.insert("pending_sk".to_owned(), s(keys::moment(at)));
            writes.create(&key, written);
        }
        Ok(())
    }

    /// Letters that are not sent, oldest first, at most `limit`. Whoever sends one says so with
    /// [`Store::letter_sent`]; a crash between the two sends it twice, never not at all.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn due_letters(&self, limit: i32) -> Result<Vec<Due>, Failure> {
        let found = self
            .dynamo
            .query()
            .table_name(&self.table)
            .index_name(keys::PENDING_INDEX)
            .key_condition_expression("pending_pk = :pk")
            .set_expression_attribute_values(Some(values([(":pk", s(keys::LETTERS_PARTITION))])))
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
            // The index is read after the fact: a letter may have been sent since.
            match self.get(&keys::Key { pk, sk }, true).await? {
                Some(found) if found.contains_key("pending_pk") => due.push(read("letter", found)?),
                Some(_) | None => {}
            }
        }
        Ok(due)
    }

    /// Remembers that a letter was sent.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn letter_sent(&self, due: &Due, now: UnixMillis) -> Result<(), Failure> {
        let change = Change {
            key: keys::letter(due.account, &due.letter.key()),
            change: "SET #sent_at = :now, #ttl = :ttl REMOVE #pending_pk, #pending_sk",
            condition: "attribute_exists(pk)",
            values: values([
                (":now", n(now.get())),
                (":ttl", n(now.plus_seconds(SENT_SECONDS).get() / 1000)),
            ]),
        };
        self.dynamo
            .update_item()
            .table_name(&self.table)
            .set_key(Some(change.key.attributes()))
            .update_expression(change.change)
            .condition_expression(change.condition)
            .set_expression_attribute_names(names(&[change.change, change.condition]))
            .set_expression_attribute_values(Some(change.values))
            .send()
            .await
            .map_err(|error| failed("letter sent", &error))?;
        Ok(())
    }
}
