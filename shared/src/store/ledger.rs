//! Counters: opened once a period, changed only with an entry beside them, resolved once a run.

use super::entries::{Operation, line, write_line};
use super::expression::{Change, Item, Writes, n, s, values};
use super::keys;
use super::pages::{item, read};
use super::transact::Committed;
use super::{Store, failed};
use crate::domain::failure::{Failure, Internal};
use crate::domain::ids::AccountId;
use crate::domain::quota::{Counter, Entry, Period};
use crate::domain::run::{Address, Reservation, ReservationState};
use crate::domain::time::UnixMillis;

impl Store {
    pub(super) async fn get(&self, key: &keys::Key, consistent: bool) -> Result<Option<Item>, Failure> {
        let found = self
            .dynamo
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key.attributes()))
            .consistent_read(consistent)
            .send()
            .await
            .map_err(|error| failed("GetItem", &error))?;
        Ok(found.item)
    }

    /// The period's counter; `None` before its first use.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn counter(&self, account: AccountId, period: &Period) -> Result<Option<Counter>, Failure> {
        self.get(&keys::counter(account, period), true)
            .await?
            .map(|found| read("counter", found))
            .transpose()
    }

    /// The period's counter, opened with `granted` tokens if this is its first use. Granting twice is
    /// impossible: the counter and its first entry are created together or not at all.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn open_counter(
        &self,
        account: AccountId,
        period: &Period,
        granted: u64,
        now: UnixMillis,
    ) -> Result<Counter, Failure> {
        if let Some(counter) = self.counter(account, period).await? {
            return Ok(counter);
        }
        let entry = Entry::Grant { tokens: granted };
        let opened = Counter::opened(granted);
        let mut writes = Writes::new(&self.table);
        writes.create(&keys::counter(account, period), item("counter", &opened)?);
        writes.create(
            &keys::entry(account, period, &Operation::Open.to_string()),
            line(entry, now, &Operation::Open)?,
        );
        match self.commit("open counter", writes).await? {
            Committed::Yes => Ok(opened),
            Committed::No(_) => self.counter(account, period).await?.ok_or_else(|| {
                Failure::Internal(Internal::new("a ledger has its first entry but no counter"))
            }),
        }
    }

    /// A run's reservation.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn reservation(&self, address: &Address) -> Result<Option<Reservation>, Failure> {
        self.get(&keys::reservation(address), true)
            .await?
            .map(|found| read("reservation", found))
            .transpose()
    }

    /// Posts a run whose copies are all resolved: what was charged stays used, the rest goes back to the
    /// counter, once. Returns the reservation as it then is; a run that is not ready is left as it is.
    ///
    /// # Errors
    /// `Unavailable` when the table is; the sweeper asks again.
    pub async fn finish(&self, address: &Address, now: UnixMillis) -> Result<Option<Reservation>, Failure> {
        let Some(reservation) = self.reservation(address).await? else {
            return Ok(None);
        };
        if reservation.state != ReservationState::Pending || reservation.open > 0 {
            return Ok(Some(reservation));
        }
        let resolved = if reservation.used > 0 {
            ReservationState::Posted
        } else {
            ReservationState::Void
        };
        let operation = Operation::Post(address.run);
        let entry = Entry::Post {
            reserved: reservation.amount,
            used: reservation.used,
        };
        let spent = self.spent(address, &reservation.warm).await?;
        let mut writes = Writes::new(&self.table);
        write_line(&mut writes, address, &operation, entry, now)?;
        // The line is written once, and with no copy open only the warm-up's charge still moves the reservation.
        writes.change(Change {
            key: keys::reservation(address),
            change: "SET #state = :resolved REMOVE #pending_pk, #pending_sk",
            condition: "#used = :used AND #waste = :waste",
            values: values([
                (":resolved", s(resolved.name())),
                (":used", n(reservation.used)),
                (":waste", n(reservation.waste)),
            ]),
        });
        writes.change(Change {
            key: keys::counter(address.account, &address.period),
            change: "SET #reserved = #reserved - :amount, #used = #used + :used, #remaining = #remaining + :left, \
                     #waste = if_not_exists(#waste, :zero) + :waste",
            condition: "#reserved >= :amount",
            values: values([
                (":zero", n(0)),
                (":waste", n(reservation.waste)),
                (":amount", n(reservation.amount)),
                (":used", n(reservation.used)),
                (":left", n(reservation.left)),
            ]),
        });
        writes.change(Change {
            key: keys::run(address.assignment, address.run),
            change: "SET #finished_at = :now, #spent = :spent",
            condition: "attribute_exists(pk)",
            values: values([(":now", n(now.get())), (":spent", spent)]),
        });
        match self.commit("finish run", writes).await? {
            Committed::Yes => Ok(Some(Reservation {
                state: resolved,
                ..reservation
            })),
            Committed::No(_) => self.reservation(address).await,
        }
    }
}
