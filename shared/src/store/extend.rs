//! Extend: a copy whose pages turned out to need more tokens takes hold of them before they are spent.

use super::Store;
use super::entries::{Operation, write_line};
use super::expression::{Change, Item, Writes, n, s, values};
use super::keys;
use super::pages::read;
use super::transact::Committed;
use crate::domain::copy::{Copy, CopyState};
use crate::domain::failure::{Failure, Internal};
use crate::domain::quota::Entry;
use crate::domain::run::{Address, ReservationState};
use crate::domain::time::UnixMillis;

/// Rounds until what the run has free stands still.
const ROUNDS_MAX: u32 = 20;

/// What asking for more tokens came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extended {
    /// The copy now reserves this much. Unit: tokens.
    To(u64),
    /// Neither the run nor the counter holds it now; the run's other open copies may leave some.
    Later,
    /// Neither holds it, and no other copy of the run is open.
    QuotaExceeded,
    /// The worker no longer holds the copy.
    Fenced,
}

/// Where the tokens that a copy lacks come from.
struct Lack {
    /// What other copies of the run left. Unit: tokens.
    from_run: u64,
    /// The rest. Unit: tokens.
    from_counter: u64,
}

impl Store {
    /// Takes hold of what a copy lacks of `tokens`: first of what its run has free, then of the counter, all or
    /// nothing.
    ///
    /// # Errors
    /// `Unavailable` when the table is; asking again takes hold once.
    pub async fn extend(
        &self,
        address: &Address,
        copy: &Copy,
        tokens: u64,
        now: UnixMillis,
    ) -> Result<Extended, Failure> {
        let mut copy = copy.clone();
        for _ in 0..ROUNDS_MAX {
            let Some(more) = tokens.checked_sub(copy.reserved_tokens).filter(|more| *more > 0) else {
                return Ok(Extended::To(copy.reserved_tokens));
            };
            let reservation = self.reservation(address).await?;
            let Some(reservation) = reservation.filter(|it| it.state == ReservationState::Pending) else {
                return Ok(Extended::Fenced);
            };
            let from_run = reservation.free.min(more);
            let lack = Lack {
                from_run,
                from_counter: more - from_run,
            };
            let mut writes = Writes::new(&self.table);
            let held = writes.change(raise(address, &copy, tokens));
            let counter = take(&mut writes, address, &copy, &lack, now)?;
            match self.commit("extend", writes).await? {
                Committed::Yes => return Ok(Extended::To(tokens)),
                // An earlier call took hold of some, and its reply was lost.
                Committed::No(refusal) if refusal.at(held) => {
                    match same_lease(refusal.item_at(held), address, &copy)? {
                        Some(found) => copy = found,
                        None => return Ok(Extended::Fenced),
                    }
                }
                Committed::No(refusal) if counter.is_some_and(|counter| refusal.at(counter)) => {
                    return Ok(if reservation.open > 1 {
                        Extended::Later
                    } else {
                        Extended::QuotaExceeded
                    });
                }
                // Another copy took what was free.
                Committed::No(_) => {}
            }
        }
        Err(Failure::Unavailable(Internal::new(
            "extend: the reservation changes too fast",
        )))
    }
}

/// The copy with its part raised to `tokens`. That it still holds what it held makes a repetition visible.
fn raise(address: &Address, copy: &Copy, tokens: u64) -> Change<'static> {
    Change {
        key: keys::copy(address.assignment, copy.copy),
        change: "SET #reserved_tokens = :tokens",
        condition: "#run = :run AND #state = :leased AND #epoch = :epoch AND #reserved_tokens = :was",
        values: values([
            (":tokens", n(tokens)),
            (":was", n(copy.reserved_tokens)),
            (":run", s(address.run.to_string())),
            (":leased", s(CopyState::Leased.name())),
            (":epoch", n(copy.epoch)),
        ]),
    }
}

/// Takes what is lacking. Where the counter moves, its place; and its line, so that it stays the fold of its lines.
fn take(
    writes: &mut Writes<'_>,
    address: &Address,
    copy: &Copy,
    lack: &Lack,
    now: UnixMillis,
) -> Result<Option<usize>, Failure> {
    if lack.from_counter == 0 {
        writes.change(Change {
            key: keys::reservation(address),
            change: "SET #free = #free - :from_run",
            condition: "#free >= :from_run",
            values: values([(":from_run", n(lack.from_run))]),
        });
        return Ok(None);
    }
    writes.change(Change {
        key: keys::reservation(address),
        change: "SET #free = #free - :from_run, #amount = #amount + :from_counter, #left = #left + :from_counter",
        condition: "#free >= :from_run",
        values: values([
            (":from_run", n(lack.from_run)),
            (":from_counter", n(lack.from_counter)),
        ]),
    });
    let operation = Operation::Extend(address.run, copy.copy, copy.epoch, copy.reserved_tokens);
    let entry = Entry::Reserve {
        tokens: lack.from_counter,
    };
    write_line(writes, address, &operation, entry, now)?;
    Ok(Some(writes.change(Change {
        key: keys::counter(address.account, &address.period),
        change: "SET #remaining = #remaining - :more, #reserved = #reserved + :more",
        condition: "#remaining >= :more",
        values: values([(":more", n(lack.from_counter))]),
    })))
}

/// The copy as it is, if the lease is still the same.
fn same_lease(item: Option<&Item>, address: &Address, copy: &Copy) -> Result<Option<Copy>, Failure> {
    let Some(item) = item else { return Ok(None) };
    let found: Copy = read("copy", item.clone())?;
    let same =
        found.run == Some(address.run) && found.state == CopyState::Leased && found.epoch == copy.epoch;
    Ok(same.then_some(found))
}
