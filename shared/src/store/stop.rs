//! Stop and expire: what a run did not grade goes back. Both only ever take copies that no worker holds, and
//! both may be asked again and again: the sweeper does, until the run is resolved.

use aws_sdk_dynamodb::types::AttributeValue;
use std::collections::HashMap;

use super::Store;
use super::claim;
use super::entries::{Operation, write_line};
use super::expression::{Change, Writes, n, s, values};
use super::keys;
use super::pages::attribute;
use super::settle::Paid;
use super::transact::{Changed, Committed};
use crate::domain::copy::{Copy, CopyState};
use crate::domain::failure::{CopyFailure, Failure};
use crate::domain::ids::CopyId;
use crate::domain::quota::Entry;
use crate::domain::run::{Address, Estimate, Reservation, ReservationState};
use crate::domain::time::UnixMillis;

/// Copies in one transaction: an entry and a copy each, and the reservation.
const CHUNK: usize = 40;
/// What a copy's line says that cost nothing.
const NOTHING: Entry = Entry::Charge { tokens: 0, waste: 0 };

/// A copy that its run has not resolved.
#[derive(Debug)]
pub(super) enum Unresolved {
    /// The run has it: it waits, or a worker holds it. What was paid for it is ours.
    Claimed(Box<Copy>, Paid),
    /// The run does not have it, and keeps its part of the reservation.
    Unclaimed(Estimate),
}

impl Unresolved {
    fn id(&self) -> CopyId {
        match self {
            Self::Claimed(copy, _) => copy.copy,
            Self::Unclaimed(estimate) => estimate.copy,
        }
    }

    /// Its part of the reservation. Unit: tokens.
    fn held_tokens(&self) -> u64 {
        match self {
            Self::Claimed(copy, _) => copy.reserved_tokens,
            Self::Unclaimed(estimate) => estimate.tokens,
        }
    }

    fn paid(&self) -> Paid {
        match self {
            Self::Claimed(_, paid) => *paid,
            Self::Unclaimed(_) => Paid::default(),
        }
    }
}

impl Store {
    /// Stops a run: nothing more is claimed, what waits is given back, what a worker holds may finish. Returns
    /// the reservation as it then is, posted if nothing was left open; `None` for an unknown run.
    ///
    /// # Errors
    /// `Unavailable` when the table is; asking again goes on.
    pub async fn stop(&self, address: &Address, now: UnixMillis) -> Result<Option<Reservation>, Failure> {
        if self.close(address, false).await? {
            let waiting = self.unheld(address, now).await?;
            self.give_back(address, &waiting, now).await?;
        }
        self.finish(address, now).await
    }

    /// Ends a run whose time is over: its waiting copies fail visibly, nothing is charged for them.
    ///
    /// # Errors
    /// `Unavailable` when the table is; asking again goes on.
    pub async fn expire(&self, address: &Address, now: UnixMillis) -> Result<Option<Reservation>, Failure> {
        if self.close(address, true).await? {
            for copy in self.unheld(address, now).await? {
                match copy {
                    Unresolved::Claimed(copy, paid) => {
                        self.end_without(address, &copy, &CopyFailure::expired(), paid, now)
                            .await?;
                    }
                    Unresolved::Unclaimed(estimate) => self.fail_unclaimed(address, estimate, now).await?,
                }
            }
        }
        self.finish(address, now).await
    }

    /// Ends a copy that the run was to grade and never claimed; one that another run has is only given back.
    async fn fail_unclaimed(
        &self,
        address: &Address,
        estimate: Estimate,
        now: UnixMillis,
    ) -> Result<(), Failure> {
        let failure = attribute("failure", &CopyFailure::expired())?;
        let mut writes = Writes::new(&self.table);
        let operation = Operation::Void(address.run, estimate.copy);
        write_line(&mut writes, address, &operation, NOTHING, now)?;
        writes.change(Change {
            key: keys::copy(address.assignment, estimate.copy),
            change: "SET #state = :failed, #failure = :failure, #run = :run, #epoch = :zero",
            condition: claim::condition(&estimate),
            values: values([
                (":new", s(CopyState::New.name())),
                (":failed", s(CopyState::Failed.name())),
                (":graded", s(CopyState::Graded.name())),
                (":failure", failure),
                (":run", s(address.run.to_string())),
                (":zero", n(0)),
            ]),
        });
        writes.change(Change {
            key: keys::reservation(address),
            change: "SET #open = #open - :one, #failed = #failed + :one, #free = #free + :held",
            condition: "#state = :pending",
            values: values([
                (":one", n(1)),
                (":held", n(estimate.tokens)),
                (":pending", s(ReservationState::Pending.name())),
            ]),
        });
        match self.commit("fail unclaimed", writes).await? {
            Committed::Yes => Ok(()),
            Committed::No(_) => {
                self.give_back(address, &[Unresolved::Unclaimed(estimate)], now)
                    .await
            }
        }
    }

    /// From here on, no copy is claimed for the run; the first to close it says whether its time was over. `false`
    /// when it is resolved already.
    async fn close(&self, address: &Address, expired: bool) -> Result<bool, Failure> {
        let close = Change {
            key: keys::reservation(address),
            change: "SET #stop = :yes, #expired = if_not_exists(#expired, :expired)",
            condition: "#state = :pending",
            values: values([
                (":yes", AttributeValue::Bool(true)),
                (":expired", AttributeValue::Bool(expired)),
                (":pending", s(ReservationState::Pending.name())),
            ]),
        };
        Ok(matches!(self.change_one("stop", close).await?, Changed::Yes(_)))
    }

    /// The run's copies that no worker holds and that are not resolved.
    async fn unheld(&self, address: &Address, now: UnixMillis) -> Result<Vec<Unresolved>, Failure> {
        let manifest = self.manifest(address).await?;
        let ids: Vec<CopyId> = manifest.iter().map(|estimate| estimate.copy).collect();
        let mut found: HashMap<CopyId, Copy> = self
            .copies_by_id(address.assignment, &ids)
            .await?
            .into_iter()
            .map(|copy| (copy.copy, copy))
            .collect();
        let mut unheld = Vec::new();
        for estimate in manifest {
            let copy = found.remove(&estimate.copy);
            match copy.filter(|copy| copy.run == Some(address.run)) {
                None => unheld.push(Unresolved::Unclaimed(estimate)),
                Some(copy) => match copy.state {
                    CopyState::Queued => {
                        let paid = Paid::known(copy.kept_tokens);
                        unheld.push(Unresolved::Claimed(Box::new(copy), paid));
                    }
                    // Nobody meters what its worker may have paid before it died.
                    CopyState::Leased if copy.lease_until.is_some_and(|until| until < now) => {
                        let paid = Paid {
                            waste: copy.kept_tokens,
                            unseen: copy.at_risk_tokens(),
                        };
                        unheld.push(Unresolved::Claimed(Box::new(copy), paid));
                    }
                    CopyState::New | CopyState::Leased | CopyState::Graded | CopyState::Failed => {}
                },
            }
        }
        Ok(unheld)
    }

    /// Counts copies as resolved without a charge and sets those that the run holds free. Each once, whoever
    /// asks: its ledger line is written with it. What moved on meanwhile is left alone.
    pub(super) async fn give_back(
        &self,
        address: &Address,
        copies: &[Unresolved],
        now: UnixMillis,
    ) -> Result<(), Failure> {
        for chunk in copies.chunks(CHUNK) {
            if self.give_back_chunk(address, chunk, now).await? {
                continue;
            }
            for one in chunk {
                self.give_back_chunk(address, std::slice::from_ref(one), now)
                    .await?;
            }
        }
        Ok(())
    }

    /// Gives one held copy back: what its own worker does when it sees the stop.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn hand_back(&self, address: &Address, copy: &Copy, now: UnixMillis) -> Result<(), Failure> {
        let paid = Paid::known(copy.kept_tokens);
        let copy = Unresolved::Claimed(Box::new(copy.clone()), paid);
        self.give_back_chunk(address, &[copy], now).await?;
        Ok(())
    }

    async fn give_back_chunk(
        &self,
        address: &Address,
        chunk: &[Unresolved],
        now: UnixMillis,
    ) -> Result<bool, Failure> {
        let mut writes = Writes::new(&self.table);
        for copy in chunk {
            let operation = Operation::Void(address.run, copy.id());
            write_line(&mut writes, address, &operation, copy.paid().entry(), now)?;
            match copy {
                // What was not the run's may be by now: a copy that it claimed meanwhile is not let go.
                Unresolved::Unclaimed(estimate) => writes.check(
                    &keys::copy(address.assignment, estimate.copy),
                    "attribute_not_exists(#run) OR #run <> :run",
                    values([(":run", s(address.run.to_string()))]),
                ),
                // Its line is written once, so it is not resolved: with the same epoch, nobody else has it.
                Unresolved::Claimed(copy, _) => writes.change(Change {
                    key: keys::copy(address.assignment, copy.copy),
                    change: "SET #state = :before REMOVE #lease_until, #holder, #phase, #kept_tokens, #released_epoch",
                    condition: "#run = :run AND #epoch = :epoch",
                    values: values([
                        (":before", s(copy.state_given_back().name())),
                        (":run", s(address.run.to_string())),
                        (":epoch", n(copy.epoch)),
                    ]),
                }),
            };
        }
        let count = i128::try_from(chunk.len()).unwrap_or_default();
        let held: u64 = chunk.iter().map(Unresolved::held_tokens).sum();
        let waste: u64 = chunk.iter().map(|copy| copy.paid().waste).sum();
        writes.change(Change {
            key: keys::reservation(address),
            change: "SET #open = #open - :count, #free = #free + :held, #waste = #waste + :waste, #let_go = :yes",
            condition: "#state = :pending",
            values: values([
                (":count", n(count)),
                (":held", n(held)),
                (":waste", n(waste)),
                (":yes", AttributeValue::Bool(true)),
                (":pending", s(ReservationState::Pending.name())),
            ]),
        });
        Ok(matches!(self.commit("give back", writes).await?, Committed::Yes))
    }
}
