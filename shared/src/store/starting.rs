//! Runs that are accepted and have not taken their copies. Until they have, the copies still look free, and a teacher
//! who clicks twice would start two runs over them. One item an assignment names these runs, and a reservation is
//! made only while it names the same ones as when the copies were looked at: of two starts at once, the later is told to
//! look again, and then finds its copies busy.
//!
//! Only the next start takes a run off the item, after looking at the run itself: one that is prepared, stopped or over
//! holds nothing. So nothing that dies leaves a copy blocked for longer than its run is pending, and the sweeper
//! ends every run.

use aws_sdk_dynamodb::types::AttributeValue;
use std::collections::HashSet;

use super::expression::{Change, Item, values};
use super::pages::{attribute, read};
use super::{Store, keys};
use crate::domain::failure::{Failure, Internal};
use crate::domain::ids::{AssignmentId, CopyId, RunId};
use crate::domain::run::{ReservationState, Run};

/// Runs of one assignment that may be on their way at once: each costs a start three reads.
const STARTING_MAX: usize = 50;

/// The runs of an assignment that may still take copies, as they were when it was read.
#[derive(Debug, Clone)]
pub struct Starting {
    /// What the item said; nothing before the first run.
    seen: Option<AttributeValue>,
    runs: Vec<RunId>,
    copies: HashSet<CopyId>,
}

impl Starting {
    /// Whether a run is about to take the copy.
    #[must_use]
    pub fn holds(&self, copy: CopyId) -> bool {
        self.copies.contains(&copy)
    }

    /// Names one more run, if the item still says what was seen.
    pub(super) fn joined_by(&self, run: &Run) -> Result<Change<'static>, Failure> {
        let runs: Vec<RunId> = self.runs.iter().copied().chain([run.run]).collect();
        let mut values = values([(":runs", attribute("starting runs", &runs)?)]);
        let condition = match &self.seen {
            None => "attribute_not_exists(#runs)",
            Some(seen) => {
                values.insert(":seen".to_owned(), seen.clone());
                "#runs = :seen"
            }
        };
        Ok(Change {
            key: keys::starting(run.assignment),
            change: "SET #runs = :runs",
            condition,
            values,
        })
    }
}

impl Store {
    /// The runs of an assignment that may still take copies. To be read before the copies are: a run that takes
    /// its copies in between is then seen by the copies' states.
    ///
    /// # Errors
    /// `Unavailable` when the table is, or when too many runs are on their way.
    pub async fn starting(&self, assignment: AssignmentId) -> Result<Starting, Failure> {
        let item = self.get(&keys::starting(assignment), true).await?;
        let seen = item.and_then(|mut item| item.remove("runs"));
        let named: Vec<RunId> = match &seen {
            None => Vec::new(),
            Some(runs) => {
                read::<Named>("starting runs", Item::from([("runs".to_owned(), runs.clone())]))?.runs
            }
        };
        let mut starting = Starting {
            seen,
            runs: Vec::new(),
            copies: HashSet::new(),
        };
        for run in named {
            if let Some(copies) = self.wanted_by(assignment, run).await? {
                starting.runs.push(run);
                starting.copies.extend(copies);
            }
        }
        if starting.runs.len() >= STARTING_MAX {
            return Err(Failure::Unavailable(Internal::new(format!(
                "{STARTING_MAX} runs of {assignment} are on their way"
            ))));
        }
        Ok(starting)
    }

    /// The copies that a run may still take; `None` when it takes none any more.
    async fn wanted_by(&self, assignment: AssignmentId, run: RunId) -> Result<Option<Vec<CopyId>>, Failure> {
        let Some(record) = self.run(assignment, run).await?.filter(|record| !record.prepared) else {
            return Ok(None);
        };
        let address = record.run.address();
        let reservation = self.reservation(&address).await?;
        if !reservation.is_some_and(|it| it.state == ReservationState::Pending && !it.stop) {
            return Ok(None);
        }
        let manifest = self.manifest(&address).await?;
        Ok(Some(manifest.into_iter().map(|estimate| estimate.copy).collect()))
    }
}

#[derive(serde::Deserialize)]
struct Named {
    runs: Vec<RunId>,
}
