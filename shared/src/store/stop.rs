//! Stop and expire: what a run did not grade goes back. Both only ever take copies that no worker holds, and
//! both may be asked again and again: the sweeper does, until the run is resolved.

use aws_sdk_dynamodb::types::AttributeValue;
use std::collections::HashMap;

use super::Store;
use super::entries::{Operation, line};
use super::expression::{Change, Writes, n, s, values};
use super::keys;
use super::pages::attribute;
use super::transact::Committed;
use crate::domain::copy::{Copy, CopyState};
use crate::domain::failure::{CopyFailure, Failure};
use crate::domain::ids::CopyId;
use crate::domain::quota::Entry;
use crate::domain::run::{Address, Reservation, ReservationState};
use crate::domain::time::UnixMillis;

/// Copies in one transaction: an entry and a copy each, and the reservation.
const CHUNK: usize = 40;

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
            for (id, copy) in self.unheld(address, now).await? {
                match copy {
                    Some(copy) => {
                        self.void(address, &copy, &CopyFailure::expired(), 0, now).await?;
                    }
                    None => self.fail_unclaimed(address, id, now).await?,
                }
            }
        }
        self.finish(address, now).await
    }

    /// Ends a copy that the run was to grade and never claimed; one that another run has is only given back.
    async fn fail_unclaimed(&self, address: &Address, id: CopyId, now: UnixMillis) -> Result<(), Failure> {
        let failure = attribute("failure", &CopyFailure::expired())?;
        let operation = Operation::Void(address.run, id);
        let mut writes = Writes::new(&self.table);
        writes.create(
            &keys::entry(address.account, &address.period, &operation.to_string()),
            line(Entry::Charge { tokens: 0, waste: 0 }, now, &operation)?,
        );
        writes.change(Change {
            key: keys::copy(address.assignment, id),
            change: "SET #state = :failed, #failure = :failure, #run = :run, #epoch = :zero",
            condition: "(#state = :new OR #state = :failed) AND (attribute_not_exists(#run) OR #run <> :run)",
            values: values([
                (":new", s(CopyState::New.name())),
                (":failed", s(CopyState::Failed.name())),
                (":failure", failure),
                (":run", s(address.run.to_string())),
                (":zero", n(0)),
            ]),
        });
        writes.change(Change {
            key: keys::reservation(address.account, &address.period, address.run),
            change: "SET #open = #open - :one, #failed = #failed + :one",
            condition: "#state = :pending AND #open >= :one",
            values: values([(":one", n(1)), (":pending", s(ReservationState::Pending.name()))]),
        });
        match self.commit("fail unclaimed", writes).await? {
            Committed::Yes => Ok(()),
            Committed::No(_) => self.give_back(address, &[(id, None)], now).await,
        }
    }

    /// From here on, no copy is claimed for the run; the first to close it says whether its time was over. `false`
    /// when it is resolved already.
    async fn close(&self, address: &Address, expired: bool) -> Result<bool, Failure> {
        let mut writes = Writes::new(&self.table);
        writes.change(Change {
            key: keys::reservation(address.account, &address.period, address.run),
            change: "SET #stop = :yes, #expired = if_not_exists(#expired, :expired)",
            condition: "#state = :pending",
            values: values([
                (":yes", AttributeValue::Bool(true)),
                (":expired", AttributeValue::Bool(expired)),
                (":pending", s(ReservationState::Pending.name())),
            ]),
        });
        Ok(matches!(self.commit("stop", writes).await?, Committed::Yes))
    }

    /// The run's copies that no worker holds and that are not resolved: those that wait (with the copy), and
    /// those that the run never claimed (without).
    async fn unheld(
        &self,
        address: &Address,
        now: UnixMillis,
    ) -> Result<Vec<(CopyId, Option<Copy>)>, Failure> {
        let ids: Vec<CopyId> = self
            .manifest(address)
            .await?
            .into_iter()
            .map(|estimate| estimate.copy)
            .collect();
        let mut found: HashMap<CopyId, Copy> = self
            .copies_by_id(address.assignment, &ids)
            .await?
            .into_iter()
            .map(|copy| (copy.copy, copy))
            .collect();
        let mut unheld = Vec::new();
        for id in ids {
            match found.remove(&id).filter(|copy| copy.run == Some(address.run)) {
                None => unheld.push((id, None)),
                Some(copy) => match copy.state {
                    CopyState::Queued => unheld.push((id, Some(copy))),
                    CopyState::Leased if copy.lease_until.is_some_and(|until| until < now) => {
                        unheld.push((id, Some(copy)));
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
        copies: &[(CopyId, Option<Copy>)],
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
        self.give_back_chunk(address, &[(copy.copy, Some(copy.clone()))], now)
            .await?;
        Ok(())
    }

    async fn give_back_chunk(
        &self,
        address: &Address,
        chunk: &[(CopyId, Option<Copy>)],
        now: UnixMillis,
    ) -> Result<bool, Failure> {
        let mut writes = Writes::new(&self.table);
        for (id, copy) in chunk {
            let operation = Operation::Void(address.run, *id);
            writes.create(
                &keys::entry(address.account, &address.period, &operation.to_string()),
                line(Entry::Charge { tokens: 0, waste: 0 }, now, &operation)?,
            );
            if let Some(copy) = copy {
                writes.change(Change {
                    key: keys::copy(address.assignment, *id),
                    change: "SET #state = :new REMOVE #lease_until, #holder, #phase",
                    condition: "#run = :run AND #epoch = :epoch AND #state = :was",
                    values: values([
                        (":new", s(CopyState::New.name())),
                        (":was", s(copy.state.name())),
                        (":run", s(address.run.to_string())),
                        (":epoch", n(copy.epoch)),
                    ]),
                });
            }
        }
        let count = i128::try_from(chunk.len()).unwrap_or_default();
        writes.change(Change {
            key: keys::reservation(address.account, &address.period, address.run),
            change: "SET #open = #open - :count, #gave_back = :yes",
            condition: "#state = :pending AND #open >= :count",
            values: values([
                (":count", n(count)),
                (":yes", AttributeValue::Bool(true)),
                (":pending", s(ReservationState::Pending.name())),
            ]),
        });
        Ok(matches!(self.commit("give back", writes).await?, Committed::Yes))
    }
}
