//! Reserve: one transaction takes hold of the tokens, records what the run is to do, and leaves a message that
//! will start it. A crash right after it loses nothing: the sweeper sends the message.
//!
//! The copies themselves are claimed by the run's preparation (`claim.rs`), because a transaction holds 100
//! items and a run 500 copies; the reservation is for all of them from the first moment.

use super::entries::{Operation, write_line};
use super::expression::{Change, Item, Writes, n, s, values};
use super::idempotency::{Idempotency, Kind, remember, repeated};
use super::keys;
use super::outbox::Pending;
use super::pages::{item, read};
use super::runs::{RunRecord, manifest};
use super::transact::{Committed, Refusal};
use super::{Starting, Store, unreadable};
use crate::domain::failure::{Failure, Internal};
use crate::domain::quota::{Counter, Entry};
use crate::domain::run::{Estimate, PREFIX_RESERVE_TOKENS, Reservation, ReservationState, Reserved, Run};
use crate::domain::time::UnixMillis;

/// A request for a reservation.
#[derive(Debug, Clone)]
pub struct Reserve<'a> {
    /// What the run is to do.
    pub run: &'a Run,
    /// Its copies, each once.
    pub copies: &'a [Estimate],
    /// What the counter is opened with, if this is its first use. Unit: tokens.
    pub granted_tokens: u64,
    /// The caller's idempotency key, if it sent one.
    pub idempotency: Option<Idempotency<'a>>,
    /// The runs on their way when the copies were looked at; `None` when no other run can want them.
    pub starting: Option<&'a Starting>,
    /// When what is left of the reservation is voided.
    pub expires_at: UnixMillis,
}

impl Reserve<'_> {
    /// What the run takes hold of: its copies' estimates and its own part. Unit: tokens.
    #[must_use]
    pub fn amount(&self) -> u64 {
        self.copies
            .iter()
            .fold(PREFIX_RESERVE_TOKENS, |sum, copy| sum.saturating_add(copy.tokens))
    }
}

/// Places of the conditions that tell why a transaction was refused.
struct Places {
    idempotency: Option<usize>,
    starting: Option<usize>,
    reservation: usize,
    counter: usize,
}

impl Store {
    /// Reserves for a run, and leaves its first message in the outbox. Nothing is sent here.
    ///
    /// # Errors
    /// `Conflict` when the key was used for another request; `Unavailable` when the table is: the same call may then
    /// be made again.
    pub async fn reserve(&self, request: &Reserve<'_>) -> Result<(Reserved, Option<Pending>), Failure> {
        let run = request.run;
        self.open_counter(run.account, &run.period, request.granted_tokens, run.created_at)
            .await?;
        let start = Pending::prepare(run.address(), run.created_at);
        let mut writes = Writes::new(&self.table);
        let places = self.plan_reservation(&mut writes, request, &start)?;
        let refusal = match self.commit("reserve", writes).await? {
            Committed::Yes => return Ok((Reserved::Accepted(run.run), Some(start))),
            Committed::No(refusal) => refusal,
        };
        let outcome = why_refused(&refusal, &places, request)?;
        Ok((outcome, None))
    }

    fn plan_reservation(
        &self,
        writes: &mut Writes<'_>,
        request: &Reserve<'_>,
        start: &Pending,
    ) -> Result<Places, Failure> {
        let run = request.run;
        let amount = request.amount();
        let asked = (run.account, Kind::Run);
        let idempotency = remember(writes, asked, request.idempotency, run.run, run.created_at);
        let operation = Operation::Reserve(run.run);
        let reservation = writes.create(&keys::reservation(&run.address()), reservation(request, amount)?);
        let entry = Entry::Reserve { tokens: amount };
        write_line(writes, &run.address(), &operation, entry, run.created_at)?;
        let counter = writes.change(Change {
            key: keys::counter(run.account, &run.period),
            change: "SET #remaining = #remaining - :amount, #reserved = #reserved + :amount",
            condition: "#remaining >= :amount AND (attribute_not_exists(#waste) OR #waste < #granted)",
            values: values([(":amount", n(amount))]),
        });
        writes.create(
            &keys::run(run.assignment, run.run),
            item("run", &RunRecord::new(run.clone()))?,
        );
        writes.create(&keys::manifest(run.assignment, run.run), manifest(request.copies));
        writes.create(&start.key(), start.item()?);
        let starting = match request.starting {
            Some(starting) => Some(writes.change(starting.joined_by(run)?)),
            None => None,
        };
        Ok(Places {
            idempotency,
            starting,
            reservation,
            counter,
        })
    }
}

fn reservation(request: &Reserve<'_>, amount: u64) -> Result<Item, Failure> {
    let run = request.run;
    let total = u32::try_from(request.copies.len()).map_err(|error| unreadable("run", error))?;
    let mut attributes = item(
        "reservation",
        &Reservation {
            run: run.run,
            assignment: run.assignment,
            state: ReservationState::Pending,
            amount,
            used: 0,
            left: amount,
            free: 0,
            waste: 0,
            warm: Vec::new(),
            total,
            open: total,
            graded: 0,
            failed: 0,
            stop: false,
            expired: false,
            created_at: run.created_at,
            expires_at: request.expires_at,
        },
    )?;
    attributes.insert("pending_pk".to_owned(), s(keys::PENDING_PARTITION));
    attributes.insert(
        "pending_sk".to_owned(),
        s(format!("{}#{}", keys::moment(run.created_at), run.run)),
    );
    attributes.insert("correlation".to_owned(), s(&run.correlation));
    Ok(attributes)
}

/// A repeated request is recognised before the quota is looked at: it may have taken the last tokens itself.
fn why_refused(refusal: &Refusal, places: &Places, request: &Reserve<'_>) -> Result<Reserved, Failure> {
    if let Some(run) = repeated(refusal, places.idempotency, request.idempotency)? {
        return Ok(Reserved::Repeated(run));
    }
    if refusal.at(places.reservation) {
        return Ok(Reserved::Accepted(request.run.run));
    }
    if places.starting.is_some_and(|place| refusal.at(place)) {
        return Ok(Reserved::Overtaken);
    }
    if refusal.at(places.counter) {
        let found = refusal.item_at(places.counter).cloned().unwrap_or_default();
        let waste = found
            .get("waste")
            .and_then(|value| value.as_n().ok()?.parse::<u64>().ok());
        let counter: Counter = read("counter", found)?;
        // Judged first: fewer copies would not be started either.
        return Ok(match waste {
            Some(waste) if waste >= counter.granted => Reserved::Wasteful,
            Some(_) | None => Reserved::Refused(counter),
        });
    }
    Err(Failure::Internal(Internal::new(
        "a reservation refused for no known reason",
    )))
}
