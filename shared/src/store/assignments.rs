//! Assignments and the versions of their barèmes.

use serde::{Deserialize, Serialize};

use super::Store;
use super::expression::{Change, Writes, n, s, values};
use super::keys;
use super::pages::{Cursor, Page, Range, item, read};
use super::reserve::IDEMPOTENCY_SECONDS;
use super::transact::Committed;
use crate::domain::failure::{Failure, Internal};
use crate::domain::ids::{AccountId, AssignmentId};
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

/// What creating something under an idempotency key came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created<T> {
    /// Created now.
    New(T),
    /// Created before, under the same key and body.
    Repeated(T),
    /// The key was used with another body.
    KeyReused,
}

const VERSION_ATTEMPTS_MAX: u32 = 10;

impl Store {
    /// Stores a new assignment.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn create_assignment(
        &self,
        owner: AccountId,
        assignment: &Assignment,
        idempotency: Option<(&str, &str)>,
    ) -> Result<Created<Assignment>, Failure> {
        let mut writes = Writes::new(&self.table);
        let repeated = idempotency.map(|(key, body)| {
            writes.create(
                &keys::idempotency(owner, "assignment", key),
                values([
                    ("body", s(body)),
                    ("id", s(assignment.assignment.to_string())),
                    (
                        "ttl",
                        n(assignment.created_at.plus_seconds(IDEMPOTENCY_SECONDS).get() / 1000),
                    ),
                ]),
            )
        });
        writes.create(
            &keys::assignment(owner, assignment.assignment),
            item("assignment", assignment)?,
        );
        let refusal = match self.commit("create assignment", writes).await? {
            Committed::Yes => return Ok(Created::New(assignment.clone())),
            Committed::No(refusal) => refusal,
        };
        let known = repeated
            .filter(|&place| refusal.at(place))
            .and_then(|place| refusal.item_at(place));
        let text = |name: &str| known?.get(name)?.as_s().ok().map(String::as_str);
        if known.is_some() && text("body") != idempotency.map(|(_, body)| body) {
            return Ok(Created::KeyReused);
        }
        let id = text("id")
            .and_then(|id| id.parse().ok())
            .unwrap_or(assignment.assignment);
        match self.assignment(owner, id).await? {
            Some(found) => Ok(Created::Repeated(found)),
            None => Err(Failure::Internal(Internal::new(
                "an idempotency record without its assignment",
            ))),
        }
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
        self.get(&keys::assignment(owner, id), true)
            .await?
            .map(|found| read("assignment", found))
            .transpose()
    }

    /// The owner's assignments, newest first.
    ///
    /// # Errors
    /// `Unavailable` when the table is; `Invalid` for a made-up cursor.
    pub async fn assignments(
        &self,
        owner: AccountId,
        cursor: Option<&Cursor>,
        limit: u16,
    ) -> Result<Page<Assignment>, Failure> {
        let range = Range {
            partition: keys::account(owner),
            prefix: "ASSIGNMENT#",
            newest_first: true,
            consistent: false,
        };
        let page = self.page(&range, cursor, limit).await?;
        let items = page
            .items
            .into_iter()
            .map(|found| read("assignment", found))
            .collect::<Result<_, _>>()?;
        Ok(Page {
            items,
            cursor: page.cursor,
        })
    }

    /// Adds a barème version. The same barème as the latest is the latest: sending it twice adds one.
    ///
    /// # Errors
    /// `Unavailable` when the table is, or versions are added too fast; `NotFound` for no such assignment.
    pub async fn add_rubric(
        &self,
        owner: AccountId,
        assignment: AssignmentId,
        canonical: &str,
        now: UnixMillis,
    ) -> Result<Created<RubricRecord>, Failure> {
        for _ in 0..VERSION_ATTEMPTS_MAX {
            let found = self.assignment(owner, assignment).await?;
            let Some(found) = found else {
                return Err(Failure::NotFound(crate::domain::failure::Noun::Assignment));
            };
            if let Some(latest) = self.rubric(assignment, found.rubric_version).await?
                && latest.rubric == canonical
            {
                return Ok(Created::Repeated(latest));
            }
            let record = RubricRecord {
                version: found.rubric_version + 1,
                rubric: canonical.to_owned(),
                created_at: now,
            };
            let mut writes = Writes::new(&self.table);
            writes.create(
                &keys::rubric(assignment, record.version),
                item("rubric", &record)?,
            );
            writes.change(Change {
                key: keys::assignment(owner, assignment),
                change: "SET #rubric_version = :next",
                condition: "#rubric_version = :was",
                values: values([(":next", n(record.version)), (":was", n(found.rubric_version))]),
            });
            if let Committed::Yes = self.commit("add rubric", writes).await? {
                return Ok(Created::New(record));
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
        self.get(&keys::rubric(assignment, version), true)
            .await?
            .map(|found| read("rubric", found))
            .transpose()
    }

    /// The barème versions of an assignment, newest first.
    ///
    /// # Errors
    /// `Unavailable` when the table is; `Invalid` for a made-up cursor.
    pub async fn rubrics(
        &self,
        assignment: AssignmentId,
        cursor: Option<&Cursor>,
        limit: u16,
    ) -> Result<Page<RubricRecord>, Failure> {
        let range = Range {
            partition: keys::group(assignment),
            prefix: "RUBRIC#",
            newest_first: true,
            consistent: false,
        };
        let page = self.page(&range, cursor, limit).await?;
        let items = page
            .items
            .into_iter()
            .map(|found| read("rubric", found))
            .collect::<Result<_, _>>()?;
        Ok(Page {
            items,
            cursor: page.cursor,
        })
    }
}
