//! Claim: a run takes its copies, up to forty in a transaction, together with the messages that will have them
//! graded. Asking again after a crash takes only those that were not taken.

use super::Store;
use super::entries::Operation;
use super::expression::{Change, Item, Writes, n, s, values};
use super::keys;
use super::outbox::{GROUP_MAX, Pending};
use super::stop::Unresolved;
use super::transact::{Changed, Committed, Refusal};
use crate::domain::copy::CopyState;
use crate::domain::failure::{Failure, Internal};
use crate::domain::run::{Address, Estimate, ReservationState};
use crate::domain::time::UnixMillis;
use aws_sdk_dynamodb::types::AttributeValue;

/// Copies in one transaction: with their messages and, at worst, a check of each copy's ledger line, 85 of
/// DynamoDB's 100 items.
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
        let prepared = Change {
            key: keys::run(address.assignment, address.run),
            change: "SET #prepared = :yes REMOVE #prepare_until, #prepare_holder",
            condition: "attribute_exists(pk)",
            values: values([(":yes", AttributeValue::Bool(true))]),
        };
        match self.change_one("prepared", prepared).await? {
            Changed::Yes(_) => Ok(Some(pending)),
            Changed::No(_) => Err(Failure::Internal(Internal::new(
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
        // A copy that the run has resolved is so for good, even when another run took it and let it go meanwhile.
        // Only a run that resolved some looks for their lines: a check costs as much as a write.
        let mut let_go = false;
        // Each round but one drops at least one copy, so there are at most CHUNK + 2.
        while !wanted.is_empty() {
            let groups = groups(address, &wanted, now);
            let mut writes = Writes::new(&self.table);
            let open = writes.check(
                &keys::reservation(address),
                if let_go {
                    "#state = :pending AND #stop = :no"
                } else {
                    "#state = :pending AND #stop = :no AND attribute_not_exists(#let_go)"
                },
                values([
                    (":pending", s(ReservationState::Pending.name())),
                    (":no", AttributeValue::Bool(false)),
                ]),
            );
            let places: Vec<Places> = wanted
                .iter()
                .map(|estimate| Places {
                    copy: take(&mut writes, address, estimate),
                    line: let_go.then(|| unresolved(&mut writes, address, estimate)),
                })
                .collect();
            for group in &groups {
                writes.create(&group.key(), group.item()?);
            }
            match self.commit("claim copies", writes).await? {
                Committed::Yes => {
                    claimed.pending = groups;
                    break;
                }
                Committed::No(refusal) if refusal.at(open) && !let_go => let_go = true,
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
        let foreign: Vec<_> = foreign.into_iter().map(Unresolved::Unclaimed).collect();
        self.give_back(address, &foreign, now).await?;
        Ok(claimed)
    }
}

/// The messages of the copies, ten to a group.
fn groups(address: &Address, wanted: &[Estimate], now: UnixMillis) -> Vec<Pending> {
    let group = |copies: &[Estimate]| {
        let copies: Vec<_> = copies.iter().map(|estimate| estimate.copy).collect();
        Pending::grade(address.clone(), &copies, now)
    };
    wanted.chunks(GROUP_MAX).map(group).collect()
}

/// Places of a copy's conditions.
struct Places {
    copy: usize,
    line: Option<usize>,
}

/// Checks that the run has not resolved the copy.
fn unresolved(writes: &mut Writes<'_>, address: &Address, estimate: &Estimate) -> usize {
    let operation = Operation::Void(address.run, estimate.copy);
    writes.check(
        &keys::entry(address.account, &address.period, &operation.to_string()),
        "attribute_not_exists(pk)",
        Item::new(),
    )
}

/// On what condition a run takes a copy: no run holds it, this one never did, and a proposal is replaced only by a
/// run that was asked to. What was graded since the run was accepted is so left alone.
pub(super) const fn condition(estimate: &Estimate) -> &'static str {
    if estimate.again {
        "#state IN (:new, :failed, :graded) AND (attribute_not_exists(#run) OR #run <> :run)"
    } else {
        "#state IN (:new, :failed, :graded) AND (attribute_not_exists(#run) OR #run <> :run) \
         AND attribute_not_exists(#result)"
    }
}

fn take(writes: &mut Writes<'_>, address: &Address, estimate: &Estimate) -> usize {
    writes.change(Change {
        key: keys::copy(address.assignment, estimate.copy),
        change: "SET #state = :queued, #run = :run, #epoch = :zero, #reserved_tokens = :tokens, #phase = :phase \
                 REMOVE #failure, #lease_until, #holder, #kept_tokens, #released_epoch",
        condition: condition(estimate),
        values: values([
            (":queued", s(CopyState::Queued.name())),
            (":new", s(CopyState::New.name())),
            (":failed", s(CopyState::Failed.name())),
            (":graded", s(CopyState::Graded.name())),
            (":run", s(address.run.to_string())),
            (":zero", n(0)),
            (":tokens", n(estimate.tokens)),
            (":phase", s(estimate.first_phase())),
        ]),
    })
}

/// Keeps the copies whose conditions held; those that this run already has or has resolved are dropped, those
/// that it cannot have go to `foreign`.
fn split(
    wanted: Vec<Estimate>,
    places: &[Places],
    refusal: &Refusal,
    address: &Address,
    foreign: &mut Vec<Estimate>,
) -> Vec<Estimate> {
    let run = address.run.to_string();
    let ours = |item: &Item| item.get("run").and_then(|value| value.as_s().ok()) == Some(&run);
    let mut kept = Vec::new();
    for (estimate, place) in wanted.into_iter().zip(places) {
        if place.line.is_some_and(|line| refusal.at(line)) {
            continue;
        }
        if !refusal.at(place.copy) {
            kept.push(estimate);
        } else if !refusal.item_at(place.copy).is_some_and(ours) {
            foreign.push(estimate);
        }
    }
    kept
}
