//! Runs: what was asked, the manifest of their copies, and the lease of their preparation.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::expression::{Change, Item, n, s, values};
use super::idempotency::{Idempotency, Kind};
use super::keys;
use super::objects::result_run;
use super::pages::{Range, attribute, read};
use super::transact::Changed;
use super::{Store, unreadable};
use crate::domain::copy::{Copy, EPOCHS_MAX};
use crate::domain::failure::{Failure, Internal};
use crate::domain::ids::{AccountId, AssignmentId, RunId};
use crate::domain::money::{Spent, add_spent};
use crate::domain::page::{Page, Paging};
use crate::domain::run::{Address, COPIES_MAX, Estimate, Grader, Reservation, Run};
use crate::domain::time::UnixMillis;

/// A run as stored: what was asked, how its preparation stands, and, at its end, what it cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// What was asked.
    #[serde(flatten)]
    pub run: Run,
    /// How many times its preparation was leased.
    #[serde(default)]
    pub prepare_epoch: u32,
    /// Until when a worker prepares it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepare_until: Option<UnixMillis>,
    /// The last preparation that its worker gave back: another that ended unfinished left its worker dead, or asleep.
    #[serde(default)]
    pub prepare_released: u32,
    /// What grades it; there once a worker prepares it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grader: Option<Grader>,
    /// Whether every copy of its manifest was claimed or given back.
    #[serde(default)]
    pub prepared: bool,
    /// When its reservation was resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<UnixMillis>,
    /// What it cost by phase and model; there once it is finished.
    #[serde(default)]
    pub spent: Vec<Spent>,
}

impl RunRecord {
    /// Whether that preparation was begun and never given back: what it asked may have been billed.
    #[must_use]
    pub const fn was_abandoned(&self, epoch: u32) -> bool {
        epoch > self.prepare_released
    }

    pub(super) const fn new(run: Run) -> Self {
        Self {
            run,
            prepare_epoch: 0,
            prepare_until: None,
            prepare_released: 0,
            grader: None,
            prepared: false,
            finished_at: None,
            spent: Vec::new(),
        }
    }
}

/// What asking for a run's preparation came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Preparation {
    /// It is ours; the record carries the new epoch.
    Taken(Box<RunRecord>),
    /// Another worker prepares it until then.
    Busy(UnixMillis),
    /// It was tried too often, and must end. The record as it is.
    Exhausted(Box<RunRecord>),
    /// It is prepared, or there is no such run.
    Gone,
}

/// 16 bytes of id and 4 of estimate for each copy: 500 copies are 10 kB, written once. Where some are graded again, a
/// byte for each tells which.
pub(super) fn manifest(copies: &[Estimate]) -> Item {
    let mut bytes = Vec::with_capacity(copies.len() * 20);
    for estimate in copies {
        bytes.extend_from_slice(&estimate.copy.bytes());
        bytes.extend_from_slice(&u32::try_from(estimate.tokens).unwrap_or(u32::MAX).to_be_bytes());
    }
    let mut item = values([("copies", AttributeValue::B(Blob::new(bytes)))]);
    if copies.iter().any(|estimate| estimate.again) {
        let again: Vec<u8> = copies.iter().map(|estimate| estimate.again.into()).collect();
        item.insert("again".to_owned(), AttributeValue::B(Blob::new(again)));
    }
    item
}

fn parse_manifest(item: &Item) -> Option<Vec<Estimate>> {
    let bytes = item.get("copies")?.as_b().ok()?.as_ref();
    if bytes.len() % 20 != 0 || bytes.len() / 20 > COPIES_MAX {
        return None;
    }
    let again = item.get("again").and_then(|again| again.as_b().ok());
    let again = again.map(Blob::as_ref).unwrap_or_default();
    bytes
        .chunks_exact(20)
        .enumerate()
        .map(|(place, record)| {
            let (id, tokens) = record.split_at(16);
            let tokens = u32::from_be_bytes(tokens.try_into().ok()?);
            Some(Estimate {
                copy: crate::domain::ids::CopyId::from_bytes(id.try_into().ok()?),
                tokens: u64::from(tokens),
                again: again.get(place) == Some(&1),
            })
        })
        .collect()
}

impl Store {
    /// A run of an assignment.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn run(&self, assignment: AssignmentId, run: RunId) -> Result<Option<RunRecord>, Failure> {
        self.find("run", &keys::run(assignment, run)).await
    }

    /// The runs of an assignment, newest first.
    ///
    /// # Errors
    /// `Unavailable` when the table is; `Invalid` for a made-up cursor.
    pub async fn runs(&self, assignment: AssignmentId, paging: &Paging) -> Result<Page<RunRecord>, Failure> {
        let range = Range {
            partition: keys::group(assignment),
            prefix: "RUN#",
            newest_first: true,
            consistent: false,
        };
        self.list("run", &range, paging).await
    }

    /// The money of a run that is there.
    ///
    /// # Errors
    /// `Unavailable` when the table is; `Internal` for a run without reservation.
    pub async fn reservation_of(&self, run: &Run) -> Result<Reservation, Failure> {
        let found = self.reservation(&run.address()).await?;
        found.ok_or_else(|| Failure::Internal(Internal::new("a run without reservation")))
    }

    /// The run that was accepted under an idempotency key, if the key was used.
    ///
    /// # Errors
    /// `Conflict` when the key was used for another request; `Unavailable` when the table is.
    pub async fn run_of_key(
        &self,
        account: AccountId,
        idempotency: Option<Idempotency<'_>>,
    ) -> Result<Option<RunId>, Failure> {
        self.made((account, Kind::Run), idempotency).await
    }

    /// The copies that a run was asked to grade, in order.
    ///
    /// # Errors
    /// `Unavailable` when the table is; `Internal` for a run without manifest.
    pub async fn manifest(&self, address: &Address) -> Result<Vec<Estimate>, Failure> {
        let found = self
            .get(&keys::manifest(address.assignment, address.run), true)
            .await?;
        found
            .as_ref()
            .and_then(parse_manifest)
            .ok_or_else(|| unreadable("manifest", address.run))
    }

    /// The copies of a run, as they are now.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn run_copies(&self, address: &Address) -> Result<Vec<Copy>, Failure> {
        let mut copies = Vec::new();
        for estimate in self.manifest(address).await? {
            copies.push(estimate.copy);
        }
        let mut found = self.copies_by_id(address.assignment, &copies).await?;
        found.retain(|copy| copy.run == Some(address.run));
        Ok(found)
    }

    /// Takes the lease of a run's preparation. `holder` names this attempt, so that a lease whose reply was lost is
    /// recognised as ours and not waited for.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn lease_preparation(
        &self,
        address: &Address,
        holder: &str,
        grader: &Grader,
        now: UnixMillis,
        until: UnixMillis,
    ) -> Result<Preparation, Failure> {
        let lease = Change {
            key: keys::run(address.assignment, address.run),
            change: "SET #prepare_epoch = #prepare_epoch + :one, #prepare_until = :until, #prepare_holder = :holder, \
                     #grader = :grader",
            condition: "attribute_exists(pk) AND #prepared = :no AND #prepare_epoch < :max \
                        AND (attribute_not_exists(#prepare_until) OR #prepare_until < :now)",
            values: values([
                (":one", n(1)),
                (":until", n(until.get())),
                (":holder", s(holder)),
                (":grader", attribute("grader", grader)?),
                (":now", n(now.get())),
                (":no", AttributeValue::Bool(false)),
                (":max", n(EPOCHS_MAX)),
            ]),
        };
        let item = match self.change_one("lease preparation", lease).await? {
            Changed::Yes(item) => return Ok(Preparation::Taken(Box::new(read("run", item)?))),
            Changed::No(None) => return Ok(Preparation::Gone),
            Changed::No(Some(item)) => item,
        };
        let held_by = item.get("prepare_holder").and_then(|value| value.as_s().ok());
        let held_by_us = held_by.map(String::as_str) == Some(holder);
        let found: RunRecord = read("run", item)?;
        Ok(match found.prepare_until {
            _ if found.prepared => Preparation::Gone,
            _ if held_by_us => Preparation::Taken(Box::new(found)),
            Some(until) if until >= now => Preparation::Busy(until),
            _ => Preparation::Exhausted(Box::new(found)),
        })
    }

    /// Gives the lease of a run's preparation back after a failure; nobody takes it before `until`. `false` when
    /// another worker has it.
    ///
    /// # Errors
    /// `Unavailable` when the table is; the lease then ends by itself.
    pub async fn release_preparation(&self, record: &RunRecord, until: UnixMillis) -> Result<bool, Failure> {
        let run = &record.run;
        let release = Change {
            key: keys::run(run.assignment, run.run),
            change: "SET #prepare_until = :until, #prepare_released = :epoch REMOVE #prepare_holder",
            condition: "#prepare_epoch = :epoch",
            values: values([(":until", n(until.get())), (":epoch", n(record.prepare_epoch))]),
        };
        let released = self.change_one("release preparation", release).await?;
        Ok(matches!(released, Changed::Yes(_)))
    }

    /// What a run spent: its warm-up and its copies' sums.
    pub(super) async fn spent(&self, address: &Address, warm: &[Spent]) -> Result<AttributeValue, Failure> {
        let mut sums = warm.to_vec();
        for copy in self.run_copies(address).await? {
            // A copy that failed here may still show what an earlier run published.
            let ours = copy.result.as_deref().and_then(result_run) == Some(address.run);
            if let Some(summary) = copy.summary.as_ref().filter(|_| ours) {
                add_spent(&mut sums, &summary.spent);
            }
        }
        attribute("spent", &sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::CopyId;

    #[test]
    fn a_manifest_is_read_as_it_was_written() {
        let copies = |again: fn(u64) -> bool| -> Vec<Estimate> {
            let estimate = |i| Estimate {
                copy: CopyId::mint(UnixMillis::new(1_700_000_000_000)),
                tokens: 5_000 + i,
                again: again(i),
            };
            (0..COPIES_MAX as u64).map(estimate).collect()
        };
        for copies in [copies(|_| false), copies(|i| i % 3 == 1)] {
            assert_eq!(parse_manifest(&manifest(&copies)), Some(copies));
        }
        let all_new = manifest(&copies(|_| false));
        assert_eq!(
            all_new.len(),
            1,
            "as manifests were written before copies could be graded again"
        );
        assert_eq!(
            parse_manifest(&values([("copies", AttributeValue::B(Blob::new(vec![0; 19])))])),
            None
        );
    }
}
