//! Settle and void: how a copy ends. Each is one transaction, fenced by the copy's epoch.
//!
//! What the copy held and did not use stays in its run's reservation, free for the copies that are still open.

use super::Store;
use super::entries::{Operation, write_line};
use super::expression::{Change, Writes, n, s, values};
use super::keys;
use super::pages::attribute;
use super::transact::Committed;
use crate::domain::copy::{Copy, CopyState, Resolution, ResultSummary};
use crate::domain::failure::{CopyFailure, Failure, Internal};
use crate::domain::quota::Entry;
use crate::domain::run::{Address, ReservationState};
use crate::domain::time::UnixMillis;
use aws_sdk_dynamodb::types::AttributeValue;

/// What a graded copy is charged, and where its result is.
#[derive(Debug, Clone)]
pub struct Charge {
    /// Key of the result, which is stored already.
    pub result: String,
    /// The result in short. Its `charged_tokens` is set here.
    pub summary: ResultSummary,
    /// The pupil found in the copy.
    pub pupil: Option<String>,
    /// Tokens that the model's answers used. Unit: tokens.
    pub used_tokens: u64,
    /// Tokens paid for answers that were not used: broken ones, second calls after a crash.
    pub waste_tokens: u64,
}

/// What was paid for a copy that ends, or goes back, without a charge. Unit: tokens.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Paid {
    /// Paid for nothing.
    pub(super) waste: u64,
    /// The most that a worker which died may have paid besides. It is a bound: it stands in the copy's line, and counts
    /// against nobody.
    pub(super) unseen: u64,
}

impl Paid {
    pub(super) const fn known(waste: u64) -> Self {
        Self { waste, unseen: 0 }
    }

    pub(super) const fn entry(self) -> Entry {
        Entry::Charge {
            tokens: 0,
            waste: self.waste.saturating_add(self.unseen),
        }
    }
}

impl Store {
    /// Publishes a copy's result, in the place of an earlier run's, and charges it, once. Never more than the copy
    /// reserved: the excess is ours.
    ///
    /// # Errors
    /// `Unavailable` when the table is; asking again with the same epoch is safe.
    pub async fn settle(
        &self,
        address: &Address,
        copy: &Copy,
        charge: &Charge,
        now: UnixMillis,
    ) -> Result<Resolution, Failure> {
        let tokens = charge.used_tokens.min(copy.reserved_tokens);
        let waste = charge
            .waste_tokens
            .saturating_add(charge.used_tokens.saturating_sub(tokens));
        let mut writes = Writes::new(&self.table);
        writes.change(publish(address, copy, charge, tokens)?);
        // A leased copy is open in its run, and what it reserved is left: its own condition says so.
        writes.change(Change {
            key: keys::reservation(address),
            change: "SET #used = #used + :tokens, #left = #left - :tokens, #free = #free + :unused, \
                     #open = #open - :one, #graded = #graded + :one, #waste = #waste + :waste, #let_go = :yes",
            condition: "#state = :pending",
            values: values([
                (":tokens", n(tokens)),
                (":yes", AttributeValue::Bool(true)),
                (":unused", n(copy.reserved_tokens - tokens)),
                (":waste", n(waste)),
                (":one", n(1)),
                (":pending", s(ReservationState::Pending.name())),
            ]),
        });
        let operation = Operation::Charge(address.run, copy.copy);
        write_line(
            &mut writes,
            address,
            &operation,
            Entry::Charge { tokens, waste },
            now,
        )?;
        match self.commit("settle", writes).await? {
            Committed::Yes => Ok(Resolution::Done),
            Committed::No(_) => {
                self.resolution(address, copy, |found| {
                    found.state == CopyState::Graded && found.result.as_deref() == Some(&charge.result)
                })
                .await
            }
        }
    }

    /// Ends a copy as [`Self::end_without`] does; what was paid is known.
    ///
    /// # Errors
    /// `Unavailable` when the table is; asking again with the same epoch is safe.
    pub async fn void(
        &self,
        address: &Address,
        copy: &Copy,
        failure: &CopyFailure,
        waste_tokens: u64,
        now: UnixMillis,
    ) -> Result<Resolution, Failure> {
        self.end_without(address, copy, failure, Paid::known(waste_tokens), now)
            .await
    }

    /// Ends a copy without a proposal; an earlier run's stays published. Nothing is charged for it; what was paid is
    /// waste.
    ///
    /// # Errors
    /// `Unavailable` when the table is; asking again with the same epoch is safe.
    pub(super) async fn end_without(
        &self,
        address: &Address,
        copy: &Copy,
        failure: &CopyFailure,
        paid: Paid,
        now: UnixMillis,
    ) -> Result<Resolution, Failure> {
        let mut writes = Writes::new(&self.table);
        writes.change(Change {
            key: keys::copy(address.assignment, copy.copy),
            change: "SET #state = :failed, #failure = :failure REMOVE #lease_until, #holder, #phase, #kept_tokens, #released_epoch",
            condition: "#run = :run AND #epoch = :epoch AND (#state = :queued OR #state = :leased)",
            values: values([
                (":failed", s(CopyState::Failed.name())),
                (":failure", attribute("failure", failure)?),
                (":run", s(address.run.to_string())),
                (":leased", s(CopyState::Leased.name())),
                (":queued", s(CopyState::Queued.name())),
                (":epoch", n(copy.epoch)),
            ]),
        });
        writes.change(Change {
            key: keys::reservation(address),
            change: "SET #open = #open - :one, #failed = #failed + :one, #waste = #waste + :waste, \
                     #free = #free + :held, #let_go = :yes",
            condition: "#state = :pending",
            values: values([
                (":one", n(1)),
                (":waste", n(paid.waste)),
                (":held", n(copy.reserved_tokens)),
                (":yes", AttributeValue::Bool(true)),
                (":pending", s(ReservationState::Pending.name())),
            ]),
        });
        let operation = Operation::Void(address.run, copy.copy);
        write_line(&mut writes, address, &operation, paid.entry(), now)?;
        match self.commit("void", writes).await? {
            Committed::Yes => Ok(Resolution::Done),
            Committed::No(_) => {
                self.resolution(address, copy, |found| {
                    found.state == CopyState::Failed && found.failure.as_ref() == Some(failure)
                })
                .await
            }
        }
    }

    /// After a refused resolution: was it ours, with the reply lost, or did the copy go on without us?
    async fn resolution(
        &self,
        address: &Address,
        copy: &Copy,
        ours: impl Fn(&Copy) -> bool,
    ) -> Result<Resolution, Failure> {
        let found = self
            .copy(address.assignment, copy.copy)
            .await?
            .ok_or_else(|| Failure::Internal(Internal::new("a copy in a run is not there")))?;
        let same_lease = found.run == Some(address.run) && found.epoch == copy.epoch;
        Ok(if same_lease && ours(&found) {
            Resolution::Already
        } else {
            Resolution::Fenced
        })
    }
}

/// The copy with its result, charged `tokens`.
fn publish(address: &Address, copy: &Copy, charge: &Charge, tokens: u64) -> Result<Change<'static>, Failure> {
    let summary = ResultSummary {
        charged_tokens: tokens,
        ..charge.summary.clone()
    };
    let pupil = charge.pupil.as_deref().or(copy.pupil.as_deref());
    Ok(Change {
        key: keys::copy(address.assignment, copy.copy),
        change: "SET #state = :graded, #result = :result, #summary = :summary, #pupil = :pupil \
                 REMOVE #lease_until, #holder, #phase, #kept_tokens, #released_epoch",
        condition: "#run = :run AND #state = :leased AND #epoch = :epoch",
        values: values([
            (":graded", s(CopyState::Graded.name())),
            (":result", s(&charge.result)),
            (":summary", attribute("summary", &summary)?),
            (":pupil", s(pupil.unwrap_or_default())),
            (":run", s(address.run.to_string())),
            (":leased", s(CopyState::Leased.name())),
            (":epoch", n(copy.epoch)),
        ]),
    })
}
