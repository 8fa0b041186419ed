//! What a run pays beside its copies' charges: the call that warms the cache, and what nobody used.

use super::Store;
use super::entries::{Operation, write_line};
use super::expression::{Change, Writes, n, s, values};
use super::keys;
use super::pages::attribute;
use super::transact::Committed;
use crate::domain::copy::Resolution;
use crate::domain::failure::Failure;
use crate::domain::ids::CopyId;
use crate::domain::money::Spent;
use crate::domain::quota::Entry;
use crate::domain::run::{Address, PREFIX_RESERVE_TOKENS, ReservationState};
use crate::domain::time::UnixMillis;

impl Store {
    /// Charges the call that warmed the cache to its run, once; what the run's own part holds beyond it is free for
    /// its copies. `Already` when an earlier preparation was charged, or the run is resolved: this call is ours then.
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
        let paid = spent.usage.charged_tokens();
        let tokens = paid.min(PREFIX_RESERVE_TOKENS);
        let waste = paid - tokens;
        let mut writes = Writes::new(&self.table);
        let operation = Operation::Warm(address.run);
        write_line(
            &mut writes,
            address,
            &operation,
            Entry::Charge { tokens, waste },
            now,
        )?;
        writes.change(Change {
            key: keys::reservation(address),
            change: "SET #used = #used + :tokens, #left = #left - :tokens, #free = #free + :unused, \
                     #waste = #waste + :waste, #warm = :warm",
            condition: "#state = :pending",
            values: values([
                (":tokens", n(tokens)),
                (":warm", attribute("warm-up", &[spent])?),
                (":unused", n(PREFIX_RESERVE_TOKENS - tokens)),
                (":waste", n(waste)),
                (":pending", s(ReservationState::Pending.name())),
            ]),
        });
        match self.commit("charge warm-up", writes).await? {
            Committed::Yes => Ok(Resolution::Done),
            Committed::No(_) => Ok(Resolution::Already),
        }
    }

    /// Writes down, once a lease, what it paid and nobody used: a lease of a copy that another took over, or (no
    /// copy) a preparation's. The counter does not move; the reservation says it too, until the run is resolved.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn record_waste(
        &self,
        address: &Address,
        copy: Option<CopyId>,
        epoch: u32,
        tokens: u64,
        now: UnixMillis,
    ) -> Result<(), Failure> {
        if tokens == 0 {
            return Ok(());
        }
        let operation = Operation::Waste(address.run, copy, epoch);
        let entry = Entry::Charge {
            tokens: 0,
            waste: tokens,
        };
        let mut writes = Writes::new(&self.table);
        let line = write_line(&mut writes, address, &operation, entry, now)?;
        writes.change(Change {
            key: keys::reservation(address),
            change: "SET #waste = #waste + :tokens",
            condition: "#state = :pending",
            values: values([
                (":tokens", n(tokens)),
                (":pending", s(ReservationState::Pending.name())),
            ]),
        });
        match self.commit("waste", writes).await? {
            Committed::No(refusal) if !refusal.at(line) => {
                let mut writes = Writes::new(&self.table);
                write_line(&mut writes, address, &operation, entry, now)?;
                self.commit("late waste", writes).await.map(drop)
            }
            Committed::Yes | Committed::No(_) => Ok(()),
        }
    }
}
