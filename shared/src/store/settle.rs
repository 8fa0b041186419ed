//! Settle, void, extend: where a copy's money moves. Each is one transaction, fenced by the copy's epoch.

use super::Store;
use super::entries::{Operation, line};
use super::expression::{Change, Writes, n, s, values};
use super::keys;
use super::pages::attribute;
use super::transact::Committed;
use crate::domain::copy::{Copy, CopyState, Resolution, ResultSummary};
use crate::domain::failure::{CopyFailure, Failure, Internal};
use crate::domain::money::Spent;
use crate::domain::quota::Entry;
use crate::domain::run::{Address, PREFIX_RESERVE_TOKENS, ReservationState};
use crate::domain::time::UnixMillis;

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

/// What asking for more tokens came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extended {
    /// The copy now reserves this much. Unit: tokens.
    To(u64),
    /// The counter does not hold it.
    QuotaExceeded,
    /// The worker no longer holds the copy.
    Fenced,
}

const HELD: &str = "#run = :run AND #state = :leased AND #epoch = :epoch";

impl Store {
    /// Publishes a copy's result and charges it, once. Never more than the copy reserved: the excess is ours.
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
        let summary = ResultSummary {
            charged_tokens: tokens,
            ..charge.summary.clone()
        };
        let summary = attribute("summary", &summary)?;
        let operation = Operation::Charge(address.run, copy.copy);
        let mut writes = Writes::new(&self.table);
        writes.change(Change {
            key: keys::copy(address.assignment, copy.copy),
            change: "SET #state = :graded, #result = :result, #summary = :summary, #pupil = :pupil \
                     REMOVE #lease_until, #holder, #phase",
            condition: HELD,
            values: values([
                (":graded", s(CopyState::Graded.name())),
                (":result", s(&charge.result)),
                (":summary", summary),
                (
                    ":pupil",
                    s(charge
                        .pupil
                        .as_deref()
                        .or(copy.pupil.as_deref())
                        .unwrap_or_default()),
                ),
                (":run", s(address.run.to_string())),
                (":leased", s(CopyState::Leased.name())),
                (":epoch", n(copy.epoch)),
            ]),
        });
        writes.change(Change {
            key: keys::reservation(address.account, &address.period, address.run),
            change: "SET #used = #used + :tokens, #left = #left - :tokens, #open = #open - :one, \
                     #graded = #graded + :one, #waste = #waste + :waste",
            condition: "#state = :pending AND #left >= :tokens AND #open >= :one",
            values: values([
                (":tokens", n(tokens)),
                (":waste", n(waste)),
                (":one", n(1)),
                (":pending", s(ReservationState::Pending.name())),
            ]),
        });
        writes.create(
            &keys::entry(address.account, &address.period, &operation.to_string()),
            line(Entry::Charge { tokens, waste }, now, &operation)?,
        );
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

    /// Ends a copy without a proposal. Nothing is charged for it; what was paid is waste.
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
        let stored = attribute("failure", failure)?;
        let operation = Operation::Void(address.run, copy.copy);
        let mut writes = Writes::new(&self.table);
        writes.change(Change {
            key: keys::copy(address.assignment, copy.copy),
            change: "SET #state = :failed, #failure = :failure REMOVE #lease_until, #holder, #phase",
            condition: "#run = :run AND #epoch = :epoch AND (#state = :queued OR #state = :leased)",
            values: values([
                (":failed", s(CopyState::Failed.name())),
                (":failure", stored),
                (":run", s(address.run.to_string())),
                (":leased", s(CopyState::Leased.name())),
                (":queued", s(CopyState::Queued.name())),
                (":epoch", n(copy.epoch)),
            ]),
        });
        writes.change(Change {
            key: keys::reservation(address.account, &address.period, address.run),
            change: "SET #open = #open - :one, #failed = #failed + :one, #waste = #waste + :waste",
            condition: "#state = :pending AND #open >= :one",
            values: values([
                (":one", n(1)),
                (":waste", n(waste_tokens)),
                (":pending", s(ReservationState::Pending.name())),
            ]),
        });
        writes.create(
            &keys::entry(address.account, &address.period, &operation.to_string()),
            line(
                Entry::Charge {
                    tokens: 0,
                    waste: waste_tokens,
                },
                now,
                &operation,
            )?,
        );
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

    /// Takes hold of `more` tokens for a copy whose pages turned out to need them.
    ///
    /// # Errors
    /// `Unavailable` when the table is; asking again with the same copy takes hold once.
    pub async fn extend(
        &self,
        address: &Address,
        copy: &Copy,
        more: u64,
        now: UnixMillis,
    ) -> Result<Extended, Failure> {
        let operation = Operation::Extend(address.run, copy.copy, copy.epoch, copy.reserved_tokens);
        let mut writes = Writes::new(&self.table);
        let entry = writes.create(
            &keys::entry(address.account, &address.period, &operation.to_string()),
            line(Entry::Reserve { tokens: more }, now, &operation)?,
        );
        let held = writes.change(Change {
            key: keys::copy(address.assignment, copy.copy),
            change: "SET #reserved_tokens = #reserved_tokens + :more",
            condition: HELD,
            values: values([
                (":more", n(more)),
                (":run", s(address.run.to_string())),
                (":leased", s(CopyState::Leased.name())),
                (":epoch", n(copy.epoch)),
            ]),
        });
        writes.change(Change {
            key: keys::reservation(address.account, &address.period, address.run),
            change: "SET #amount = #amount + :more, #left = #left + :more",
            condition: "#state = :pending",
            values: values([
                (":more", n(more)),
                (":pending", s(ReservationState::Pending.name())),
            ]),
        });
        let counter = writes.change(Change {
            key: keys::counter(address.account, &address.period),
            change: "SET #remaining = #remaining - :more, #reserved = #reserved + :more",
            condition: "#remaining >= :more",
            values: values([(":more", n(more))]),
        });
        match self.commit("extend", writes).await? {
            Committed::Yes => Ok(Extended::To(copy.reserved_tokens.saturating_add(more))),
            Committed::No(refusal) if refusal.at(entry) => {
                Ok(Extended::To(copy.reserved_tokens.saturating_add(more)))
            }
            Committed::No(refusal) if refusal.at(held) => Ok(Extended::Fenced),
            Committed::No(refusal) if refusal.at(counter) => Ok(Extended::QuotaExceeded),
            Committed::No(_) => Ok(Extended::Fenced),
        }
    }

    /// Charges the call that warmed the cache to its run, once. A second attempt's is ours, and in no ledger line.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn charge_warm_up(
        &self,
        address: &Address,
        spent: &Spent,
        now: UnixMillis,
    ) -> Result<Resolution, Failure> {
        // A barème longer than the run's own part is ours to pay: the copies' parts stay theirs.
        let tokens = spent.usage.charged_tokens().min(PREFIX_RESERVE_TOKENS);
        let waste = spent.usage.charged_tokens().saturating_sub(tokens);
        let operation = Operation::Warm(address.run);
        let warm = attribute("warm-up", &[spent])?;
        let mut writes = Writes::new(&self.table);
        writes.create(
            &keys::entry(address.account, &address.period, &operation.to_string()),
            line(Entry::Charge { tokens, waste }, now, &operation)?,
        );
        writes.change(Change {
            key: keys::reservation(address.account, &address.period, address.run),
            change: "SET #used = #used + :tokens, #left = #left - :tokens, #waste = #waste + :waste",
            condition: "#state = :pending AND #left >= :tokens",
            values: values([
                (":tokens", n(tokens)),
                (":waste", n(waste)),
                (":pending", s(ReservationState::Pending.name())),
            ]),
        });
        writes.change(Change {
            key: keys::run(address.assignment, address.run),
            change: "SET #warm = :warm",
            condition: "attribute_exists(pk)",
            values: values([(":warm", warm)]),
        });
        match self.commit("charge warm-up", writes).await? {
            Committed::Yes => Ok(Resolution::Done),
            Committed::No(_) => Ok(Resolution::Already),
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
