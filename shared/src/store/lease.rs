//! Lease: a worker holds a copy until a moment; the epoch fences whoever held it before.

use super::Store;
use super::expression::{Change, n, s, values};
use super::keys;
use super::pages::read;
use super::transact::Changed;
use crate::domain::copy::{Copy, CopyState, EPOCHS_MAX, Lease};
use crate::domain::failure::Failure;
use crate::domain::ids::CopyId;
use crate::domain::run::Address;
use crate::domain::time::UnixMillis;

impl Store {
    /// Takes a copy's lease until `until`. `holder` names this attempt, so that a lease whose reply was lost is
    /// recognised as ours and not waited for.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn lease(
        &self,
        address: &Address,
        copy: CopyId,
        holder: &str,
        now: UnixMillis,
        until: UnixMillis,
    ) -> Result<Lease, Failure> {
        let changed = self
            .change_one(
                "lease",
                Change {
                    key: keys::copy(address.assignment, copy),
                    change: "SET #state = :leased, #epoch = #epoch + :one, #lease_until = :until, #holder = :holder",
                    condition: "#run = :run AND #epoch < :max AND #state IN (:queued, :leased) \
                                AND (attribute_not_exists(#lease_until) OR #lease_until < :now)",
                    values: values([
                        (":leased", s(CopyState::Leased.name())),
                        (":queued", s(CopyState::Queued.name())),
                        (":run", s(address.run.to_string())),
                        (":one", n(1)),
                        (":max", n(EPOCHS_MAX)),
                        (":until", n(until.get())),
                        (":now", n(now.get())),
                        (":holder", s(holder)),
                    ]),
                },
            )
            .await?;
        let item = match changed {
            Changed::Yes(item) => return Ok(Lease::Taken(Box::new(read("copy", item)?))),
            Changed::No(None) => return Ok(Lease::Gone),
            Changed::No(Some(item)) => item,
        };
        let held_by_us = item
            .get("holder")
            .and_then(|value| value.as_s().ok())
            .map(String::as_str)
            == Some(holder);
        let found: Copy = read("copy", item)?;
        if found.run != Some(address.run) || !found.state.is_busy() {
            return Ok(Lease::Gone);
        }
        match found.lease_until {
            _ if held_by_us && found.state == CopyState::Leased => Ok(Lease::Taken(Box::new(found))),
            Some(until) if until >= now => Ok(Lease::Busy(until)),
            _ => Ok(Lease::Exhausted(Box::new(found))),
        }
    }

    /// Shows which step the worker is in. `false` when the worker no longer holds the copy.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn set_phase(&self, address: &Address, copy: &Copy, phase: &str) -> Result<bool, Failure> {
        let changed = self
            .change_one(
                "phase",
                Change {
                    key: keys::copy(address.assignment, copy.copy),
                    change: "SET #phase = :phase",
                    condition: "#run = :run AND #state = :leased AND #epoch = :epoch",
                    values: values([
                        (":phase", s(phase)),
                        (":run", s(address.run.to_string())),
                        (":leased", s(CopyState::Leased.name())),
                        (":epoch", n(copy.epoch)),
                    ]),
                },
            )
            .await?;
        Ok(matches!(changed, Changed::Yes(_)))
    }

    /// Gives a lease back after a failure that time heals, with what the copy says is paid; its message comes again.
    /// Nobody takes the copy before `until`, however many messages of it there are. `false` when the worker no longer
    /// holds the copy.
    ///
    /// # Errors
    /// `Unavailable` when the table is; the lease then ends by itself.
    pub async fn release(&self, address: &Address, copy: &Copy, until: UnixMillis) -> Result<bool, Failure> {
        let release = Change {
            key: keys::copy(address.assignment, copy.copy),
            change: "SET #state = :queued, #lease_until = :until, #kept_tokens = :kept, #released_epoch = :epoch REMOVE #holder",
            condition: "#run = :run AND #state = :leased AND #epoch = :epoch",
            values: values([
                (":queued", s(CopyState::Queued.name())),
                (":until", n(until.get())),
                (":kept", n(copy.kept_tokens)),
                (":run", s(address.run.to_string())),
                (":leased", s(CopyState::Leased.name())),
                (":epoch", n(copy.epoch)),
            ]),
        };
        let found: Copy = match self.change_one("release", release).await? {
            Changed::Yes(_) => return Ok(true),
            Changed::No(None) => return Ok(false),
            Changed::No(Some(item)) => read("copy", item)?,
        };
        // Given back by an earlier attempt, whose reply was lost.
        let same = found.run == Some(address.run) && found.epoch == copy.epoch;
        Ok(same && found.state == CopyState::Queued)
    }
}
