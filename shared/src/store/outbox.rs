//! The outbox: what must be sent is written in the transaction that makes it true, and deleted once the queue
//! has it. Sending right after the commit is only the fast path; the sweeper is the guarantee. A message may
//! be sent twice, never not at all.

use serde::{Deserialize, Serialize};

use super::expression::{Item, s, values};
use super::keys::{self, Key};
use super::pages::{item, read};
use super::queue::Queue;
use super::{Store, failed};
use crate::domain::failure::Failure;
use crate::domain::ids::{AccountId, CopyId, OutboxId};
use crate::domain::quota::Period;
use crate::domain::run::{Address, Message, Reservation};
use crate::domain::time::UnixMillis;

/// Messages in one outbox item: SQS takes ten in a batch, and one item for ten copies costs a tenth of the
/// write units.
pub(super) const GROUP_MAX: usize = 10;

/// A group of messages not yet sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    id: OutboxId,
    at: UnixMillis,
    #[serde(flatten)]
    address: Address,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    copies: Vec<CopyId>,
}

impl Pending {
    /// The message that starts a run.
    pub(super) fn prepare(address: Address, now: UnixMillis) -> Self {
        Self {
            id: OutboxId::mint(now),
            at: now,
            address,
            copies: Vec::new(),
        }
    }

    /// The messages of up to ten copies.
    pub(super) fn grade(address: Address, copies: &[CopyId], now: UnixMillis) -> Self {
        Self {
            id: OutboxId::mint(now),
            at: now,
            address,
            copies: copies.iter().take(GROUP_MAX).copied().collect(),
        }
    }

    /// The messages, ready to be sent.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        if self.copies.is_empty() {
            return vec![Message::Prepare(self.address.clone())];
        }
        self.copies
            .iter()
            .map(|&copy| Message::Grade {
                address: self.address.clone(),
                copy,
            })
            .collect()
    }

    pub(super) fn key(&self) -> Key {
        keys::outbox(self.id, self.at)
    }

    pub(super) fn item(&self) -> Result<Item, Failure> {
        item("outbox", self)
    }
}

/// A run that is not resolved, as the index names it: its ledger, and where in it the reservation is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingRun {
    /// Who pays.
    pub account: AccountId,
    /// From which counter.
    pub period: Period,
    key: Key,
}

/// Some of a list. What cannot be read is left out, so that it hides nothing behind it.
#[derive(Debug)]
pub struct Batch<T> {
    /// What was read.
    pub found: Vec<T>,
    /// Where the list goes on, if it may.
    pub next: Option<Next>,
}

/// A place in a list.
#[derive(Debug, Clone)]
pub struct Next(Item);

impl PendingRun {
    fn read(index_item: &Item) -> Option<Self> {
        let text = |name: &str| index_item.get(name)?.as_s().ok().cloned();
        let key = Key {
            pk: text("pk")?,
            sk: text("sk")?,
        };
        let (account, period) = keys::parse_ledger(&key.pk)?;
        Some(Self { account, period, key })
    }
}

impl Store {
    /// Sends a group and forgets it. A crash between the two sends it again later.
    ///
    /// # Errors
    /// `Unavailable` when the queue or the table is; the group stays.
    pub async fn relay(&self, queue: &Queue, pending: &Pending) -> Result<(), Failure> {
        queue.send(&pending.messages()).await?;
        self.dynamo
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(pending.key().attributes()))
            .send()
            .await
            .map_err(|error| failed("DeleteItem", &error))?;
        Ok(())
    }

    /// The groups written before `before` and still unsent, oldest first, at most `limit`, from `next` of the batch
    /// before.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn unsent(
        &self,
        before: UnixMillis,
        next: Option<Next>,
        limit: i32,
    ) -> Result<Batch<Pending>, Failure> {
        let found = self
            .dynamo
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND sk < :before")
            .set_expression_attribute_values(Some(values([
                (":pk", s(keys::OUTBOX_PARTITION)),
                (":before", s(keys::moment(before))),
            ])))
            .consistent_read(true)
            .set_exclusive_start_key(next.map(|next| next.0))
            .limit(limit)
            .send()
            .await
            .map_err(|error| failed("Query outbox", &error))?;
        let mut groups = Vec::new();
        for item in found.items.unwrap_or_default() {
            // One that cannot be read must not keep the others from being sent.
            match read("outbox", item) {
                Ok(group) => groups.push(group),
                Err(_) => tracing::error!("an outbox item that is not ours"),
            }
        }
        Ok(Batch {
            found: groups,
            next: found.last_evaluated_key.map(Next),
        })
    }

    /// The runs whose reservation is pending, oldest first, at most `limit`, from `next` of the batch before.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn pending_runs(&self, next: Option<Next>, limit: i32) -> Result<Batch<PendingRun>, Failure> {
        let found = self
            .dynamo
            .query()
            .table_name(&self.table)
            .index_name(keys::PENDING_INDEX)
            .key_condition_expression("pending_pk = :pk")
            .set_expression_attribute_values(Some(values([(":pk", s(keys::PENDING_PARTITION))])))
            .set_exclusive_start_key(next.map(|next| next.0))
            .limit(limit)
            .send()
            .await
            .map_err(|error| failed("Query pending", &error))?;
        let mut runs = Vec::new();
        for index_item in found.items.unwrap_or_default() {
            match PendingRun::read(&index_item) {
                Some(run) => runs.push(run),
                None => tracing::error!("an item of the pending index that is not ours"),
            }
        }
        Ok(Batch {
            found: runs,
            next: found.last_evaluated_key.map(Next),
        })
    }

    /// A pending run's address, and its reservation as it is now; `None` when it is gone.
    ///
    /// # Errors
    /// `Unavailable` when the table is; `Internal` for a reservation that is not ours.
    pub async fn pending_run(&self, run: &PendingRun) -> Result<Option<(Address, Reservation)>, Failure> {
        let Some(found) = self.get(&run.key, true).await? else {
            return Ok(None);
        };
        let correlation = found.get("correlation").and_then(|it| it.as_s().ok());
        let correlation = correlation.cloned().unwrap_or_default();
        let reservation: Reservation = read("reservation", found)?;
        let address = Address {
            account: run.account,
            period: run.period.clone(),
            assignment: reservation.assignment,
            run: reservation.run,
            correlation,
        };
        Ok(Some((address, reservation)))
    }
}
