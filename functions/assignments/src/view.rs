//! What the routes answer.

use serde::Serialize;
use shared::domain::copy::{Copy, CopyState};
use shared::domain::failure::{Failure, Internal};
use shared::domain::rubric::Rubric;
use shared::store::{Assignment, PresignedPost, RubricRecord, result_run};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// An assignment.
#[derive(Debug, Serialize, ToSchema)]
pub struct AssignmentView {
    id: String,
    title: String,
    subject: String,
    level: String,
    #[schema(value_type = String)]
    language: shared::domain::Language,
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<String>,
    roster: Vec<String>,
    name_zone_percent: u8,
    /// `first` or `every`.
    #[schema(value_type = String)]
    name_zone_pages: shared::domain::NamedPages,
    /// `none`, `quarter`, `half` or `one`.
    #[schema(value_type = String)]
    rounding: shared::domain::mark::Rounding,
    /// The latest barème version; 0 before the first.
    rubric_version: u32,
    /// RFC 3339.
    created_at: String,
}

impl From<Assignment> for AssignmentView {
    fn from(it: Assignment) -> Self {
        Self {
            id: it.assignment.to_string(),
            title: it.title,
            subject: it.subject,
            level: it.level,
            language: it.language,
            statement: it.statement,
            roster: it.roster,
            name_zone_percent: it.name_zone_percent,
            name_zone_pages: it.name_zone_pages,
            rounding: it.rounding,
            rubric_version: it.rubric_version,
            created_at: it.created_at.rfc3339(),
        }
    }
}

/// A barème version.
#[derive(Debug, Serialize, ToSchema)]
pub struct RubricView {
    version: u32,
    #[schema(value_type = Rubric)]
    rubric: serde_json::Value,
    created_at: String,
}

impl RubricView {
    /// Reads a stored version.
    pub fn read(record: RubricRecord) -> Result<Self, Failure> {
        let rubric = serde_json::from_str(&record.rubric)
            .map_err(|error| Failure::Internal(Internal::new(format!("stored barème: {error}"))))?;
        Ok(Self {
            version: record.version,
            rubric,
            created_at: record.created_at.rfc3339(),
        })
    }
}

/// Where to send one PDF.
#[derive(Debug, Serialize, ToSchema)]
pub struct Slot {
    copy: String,
    name: String,
    upload: Upload,
}

/// A form: POST every field, then the file in a field named `file`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Upload {
    url: String,
    fields: BTreeMap<String, String>,
    /// When it stops working, RFC 3339.
    expires_at: String,
}

impl Slot {
    /// The slot of a copy.
    pub fn new(copy: &Copy, post: PresignedPost) -> Self {
        Self {
            copy: copy.copy.to_string(),
            name: copy.file_name.clone(),
            upload: Upload {
                url: post.url,
                fields: post.fields,
                expires_at: post.expires_at,
            },
        }
    }
}

/// The slots, in the order of the files.
#[derive(Debug, Serialize, ToSchema)]
pub struct Slots {
    /// One a file.
    pub slots: Vec<Slot>,
}

/// A copy in a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct CopyView {
    id: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pupil: Option<String>,
    size_bytes: u64,
    state: CopyState,
    /// The run that has it, or had it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    /// The run that its published result came from: there as long as there is a result, whatever the state.
    #[serde(skip_serializing_if = "Option::is_none")]
    result_run: Option<String>,
    created_at: String,
}

impl From<Copy> for CopyView {
    fn from(copy: Copy) -> Self {
        Self {
            id: copy.copy.to_string(),
            name: copy.file_name,
            pupil: copy.pupil.filter(|pupil| !pupil.is_empty()),
            size_bytes: copy.size_bytes,
            state: copy.state,
            run: copy.run.map(|run| run.to_string()),
            result_run: copy
                .result
                .as_deref()
                .and_then(result_run)
                .map(|run| run.to_string()),
            created_at: copy.created_at.rfc3339(),
        }
    }
}
