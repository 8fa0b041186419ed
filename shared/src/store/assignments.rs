//! Assignments and the versions of their barèmes.

use serde::{Deserialize, Serialize};

use super::expression::{Change, Writes, n, values};
use super::idempotency::{Idempotency, Kind, remember, repeated};
use super::pages::{Range, item};
use super::transact::Committed;
use super::{Store, keys};
use crate::domain::failure::{Failure, Internal, Noun};
use crate::domain::ids::{AccountId, AssignmentId};
use crate::domain::mark::Rounding;
use crate::domain::page::{Page, Paging};
use crate::domain::time::UnixMillis;
use crate::domain::{Language, NamedPages};

/// An assignment as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// Its id.
    pub assignment: AssignmentId,
    /// What the teacher calls it.
    pub title: String,
    /// History, biology, …
    pub subject: String,
    /// The class's level.
    pub level: String,
    /// Language of the copies and of the feedback.
    pub language: Language,
    /// The text that the pupils worked on, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
    /// The class list: used to recognise pupils, and to mask their names before any model call.
    pub roster: Vec<String>,
    /// Height of the band at the top of a scan's page that holds the pupil's name, and is painted over before any
    /// model call. Unit: percent of the page.
    pub name_zone_percent: u8,
    /// Which pages of a scan have such a band.
    #[serde(default)]
    pub name_zone_pages: NamedPages,
    /// How a mark out of twenty is rounded.
    #[serde(default)]
    pub rounding: Rounding,
    /// The latest barème version; 0 before the first.
    pub rubric_version: u32,
    /// When it was created.
    pub created_at: UnixMillis,
}

/// A barème version as stored: its canonical JSON, which never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RubricRecord {
    /// 1, 2, 3, …
    pub version: u32,
    /// Canonical JSON.
    pub rubric: String,
    /// When it was added.
    pub created_at: UnixMillis,
}

const VERSION_ATTEMPTS_MAX: u32 = 10;

impl Store {
    /// Stores a new assignment. A repeated request is given the one that the first made.
    ///
    /// # Errors
    /// `Conflict` when the key was used for another request; `Unavailable` when the table is.
    pub async fn create_assignment(
        &self,
        owner: AccountId,
        assignment: &Assignment,
        idempotency: Option<Idempotency<'_>>,
    ) -> Result<Assignment, Failure> {
        let mut writes = Writes::new(&self.table);
        let (asked, id, now) = (
            (owner, Kind::Assignment),
            assignment.assignment,
            assignment.created_at,
        );
        let place = remember(&mut writes, asked, idempotency, id, now);
        writes.create(
            &keys::assignment(owner, assignment.assignment),
            item("assignment", assignment)?,
        );
        let made = match self.commit("create assignment", writes).await? {
            Committed::Yes => return Ok(assignment.clone()),
            Committed::No(refusal) => repeated(&refusal, place, idempotency)?,
        };
        // Under no key, it is this very assignment, and the answer to an earlier attempt was lost.
        self.owned_assignment(owner, made.unwrap_or(id)).await
    }

    /// One of the owner's assignments. Someone else's is `None`.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn assignment(
        &self,
        owner: AccountId,
        id: AssignmentId,
    ) -> Result<Option<Assignment>, Failure> {
        self.find("assignment", &keys::assignment(owner, id)).await
    }

    /// The owner's assignments, newest first.
    ///
    /// # Errors
    /// `Unavailable` when the table is; `Invalid` for a made-up cursor.
    pub async fn assignments(&self, owner: AccountId, paging: &Paging) -> Result<Page<Assignment>, Failure> {
        let range = Range {
            partition: keys::account(owner),
            prefix: "ASSIGNMENT#",
            newest_first: true,
            consistent: false,
        };
        self.list("assignment", &range, paging).await
    }

    /// Adds a barème version. The same barème as the latest is the latest: sending it twice adds one.
    ///
    /// # Errors
    /// `Conflict` when the key was used for another request; `NotFound` for no such assignment; `Unavailable` when
    /// the table is, or versions are added too fast.
    pub async fn add_rubric(
        &self,
        owner: AccountId,
        assignment: AssignmentId,
        canonical: &str,
        idempotency: Option<Idempotency<'_>>,
        now: UnixMillis,
    ) -> Result<RubricRecord, Failure> {
        let asked = (owner, Kind::Rubric);
        for _ in 0..VERSION_ATTEMPTS_MAX {
            if let Some(version) = self.made(asked, idempotency).await? {
                let known = self.rubric(assignment, version).await?;
                return known.ok_or(Failure::NotFound(Noun::Rubric));
            }
            let was = self.owned_assignment(owner, assignment).await?.rubric_version;
            let latest = self.rubric(assignment, was).await?;
            let mut writes = Writes::new(&self.table);
            let record = match latest.filter(|latest| latest.rubric == canonical) {
                Some(latest) if idempotency.is_none() => return Ok(latest),
                Some(latest) => latest,
                None => plan_version(&mut writes, (owner, assignment), was, canonical, now)?,
            };
            remember(&mut writes, asked, idempotency, record.version, now);
            if let Committed::Yes = self.commit("add rubric", writes).await? {
                return Ok(record);
            }
        }
        Err(Failure::Unavailable(Internal::new(
            "barème versions are added too fast",
        )))
    }

    /// A barème version of an assignment.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn rubric(
        &self,
        assignment: AssignmentId,
        version: u32,
    ) -> Result<Option<RubricRecord>, Failure> {
        self.find("rubric", &keys::rubric(assignment, version)).await
    }

    /// The barème versions of an assignment, newest first.
    ///
    /// # Errors
    /// `Unavailable` when the table is; `Invalid` for a made-up cursor.
    pub async fn rubrics(
        &self,
        assignment: AssignmentId,
        paging: &Paging,
    ) -> Result<Page<RubricRecord>, Failure> {
        let range = Range {
            partition: keys::group(assignment),
            prefix: "RUBRIC#",
            newest_first: true,
            consistent: false,
        };
        self.list("rubric", &range, paging).await
    }
}

/// Adds the version after `was` to a transaction.
fn plan_version(
    writes: &mut Writes<'_>,
    (owner, assignment): (AccountId, AssignmentId),
    was: u32,
    canonical: &str,
    now: UnixMillis,
) -> Result<RubricRecord, Failure> {
    let record = RubricRecord {
        version: was + 1,
        rubric: canonical.to_owned(),
        created_at: now,
    };
    writes.create(
        &keys::rubric(assignment, record.version),
        item("rubric", &record)?,
    );
    writes.change(Change {
        key: keys::assignment(owner, assignment),
        change: "SET #rubric_version = :next",
        condition: "#rubric_version = :was",
        values: values([(":next", n(record.version)), (":was", n(was))]),
    });
    Ok(record)
}
