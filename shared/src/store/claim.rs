//! Claim: a run takes its copies, up to forty in a transaction, together with the messages that will have them
//! graded. Asking again after a crash takes only those that were not taken.

use super::Store;
use super::expression::{Change, Item, Writes, n, s, values};
use super::keys;
use super::outbox::{GROUP_MAX, Pending};
use super::transact::{Committed, Refusal};
use crate::domain::copy::CopyState;
use crate::domain::failure::{Failure, Internal};
use crate::domain::run::{Address, Estimate, ReservationState};
use crate::domain::time::UnixMillis;
use aws_sdk_dynamodb::types::AttributeValue;

/// Copies in one transaction: with their messages and the reservation's check, well under DynamoDB's 100 items.
const CHUNK: usize = 40;

/// What claiming came to.
#[derive(Debug, Default)]
pub(super) struct Claimed {
    /// Messages to send now.
    pub(super) pending: Vec<Pending>,
    /// The run was stopped or resolved meanwhile.
    pub(super) closed: bool,
}

impl Store {
    /// Claims every copy of a run that can be claimed, gives back those that another run has, and records that
    /// the run is prepared. Returns the messages to send; they are in the outbox already. `None` when the run
    /// was stopped meanwhile: then nothing more was claimed.
    ///
    /// # Errors
    /// `Unavailable` when the table is; asking again goes on where this stopped.
    pub async fn claim_copies(
        &self,
        address: &Address,
        now: UnixMillis,
    ) -> Result<Option<Vec<Pending>>, Failure> {
        let mut pending = Vec::new();
        for chunk in self.manifest(address).await?.chunks(CHUNK) {
            let claimed = self.claim_chunk(address, chunk, now).await?;
            pending.extend(claimed.pending);
            if claimed.closed {
                return Ok(None);
            }
        }
        let mut writes = Writes::new(&self.table);
        writes.change(Change {
            key: keys::run(address.assignment, address.run),
            change: "SET #prepared = :yes REMOVE #prepare_until",
            condition: "attribute_exists(pk)",
            values: values([(":yes", AttributeValue::Bool(true))]),
        });
        match self.commit("prepared", writes).await? {
            Committed::Yes => Ok(Some(pending)),
            Committed::No(_) => Err(Failure::Internal(Internal::new(
                "a run that is not there was prepared",
            ))),
        }
    }

    async fn claim_chunk(
        &self,
        address: &Address,
        chunk: &[Estimate],
        now: UnixMillis,
    ) -> Result<Claimed, Failure> {
        let mut wanted = chunk.to_vec();
        let mut foreign = Vec::new();
        let mut claimed = Claimed::default();
        // Each round drops at least one copy, so there are at most CHUNK + 1.
        while !wanted.is_empty() {
            let groups: Vec<Pending> = wanted
                .chunks(GROUP_MAX)
                .map(|group| {
                    Pending::grade(
                        address.clone(),
                        &group.iter().map(|e| e.copy).collect::<Vec<_>>(),
                        now,
                    )
                })
                .collect();
            let mut writes = Writes::new(&self.table);
            let open = writes.check(
                &keys::reservation(address.account, &address.period, address.run),
                "#state = :pending AND #stop = :no",
                values([
                    (":pending", s(ReservationState::Pending.name())),
                    (":no", AttributeValue::Bool(false)),
                ]),
            );
            let places: Vec<usize> = wanted
                .iter()
                .map(|estimate| take(&mut writes, address, estimate))
                .collect();
            for group in &groups {
                writes.create(&group.key(), group.item()?);
            }
            match self.commit("claim copies", writes).await? {
                Committed::Yes => {
                    claimed.pending = groups;
                    break;
                }
                Committed::No(refusal) if refusal.at(open) => {
                    claimed.closed = true;
                    return Ok(claimed);
                }
                Committed::No(refusal) => {
                    let before = wanted.len();
                    wanted = split(wanted, &places, &refusal, address, &mut foreign);
                    if wanted.len() == before {
                        return Err(Failure::Internal(Internal::new(
                            "a claim refused for no known reason",
                        )));
                    }
                }
            }
        }
        let foreign: Vec<_> = foreign
            .into_iter()
            .map(|estimate| (estimate.copy, None))
            .collect();
        self.give_back(address, &foreign, now).await?;
        Ok(claimed)
    }
}

fn take(writes: &mut Writes<'_>, address: &Address, estimate: &Estimate) -> usize {
    writes.change(Change {
        key: keys::copy(address.assignment, estimate.copy),
        change: "SET #state = :queued, #run = :run, #epoch = :zero, #reserved_tokens = :tokens \
                 REMOVE #failure, #phase, #lease_until, #holder",
        condition: "#state IN (:new, :failed) AND (attribute_not_exists(#run) OR #run <> :run)",
        values: values([
            (":queued", s(CopyState::Queued.name())),
            (":new", s(CopyState::New.name())),
            (":failed", s(CopyState::Failed.name())),
            (":run", s(address.run.to_string())),
            (":zero", n(0)),
            (":tokens", n(estimate.tokens)),
        ]),
    })
}

/// Keeps the copies whose condition held; those that this run already has are dropped, those that it cannot
/// have go to `foreign`.
fn split(
    wanted: Vec<Estimate>,
    places: &[usize],
    refusal: &Refusal,
    address: &Address,
    foreign: &mut Vec<Estimate>,
) -> Vec<Estimate> {
    let run = address.run.to_string();
    let ours = |item: &Item| item.get("run").and_then(|value| value.as_s().ok()) == Some(&run);
    let mut kept = Vec::new();
    for (estimate, &place) in wanted.into_iter().zip(places) {
        if !refusal.at(place) {
            kept.push(estimate);
        } else if !refusal.item_at(place).is_some_and(ours) {
            foreign.push(estimate);
        }
    }
    kept
}
