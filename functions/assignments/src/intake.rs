//! What a teacher may send, parsed once: texts bounded and free of control characters, files of a kind and a
//! size that can be graded, a barème that adds up.

use serde::Deserialize;
use shared::domain::failure::{Failure, Internal, Sentence};
use shared::domain::ids::AssignmentId;
use shared::domain::rubric::Rubric;
use shared::domain::time::UnixMillis;
use shared::domain::{Language, NamedPages};
use shared::store::{Assignment, COPIES_PER_ASSIGNMENT_MAX, PDF_BYTES_MAX};
use utoipa::ToSchema;

const ROSTER_MAX: usize = 200;
const FILES_MAX: usize = 100;
const NAME_ZONE_PERCENT: u8 = 12;
const NAME_ZONE_PERCENT_MAX: u8 = 40;

/// A new assignment.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAssignment {
    /// What the teacher calls it.
    title: String,
    /// History, biology, …
    subject: String,
    /// The class's level, as `3e`.
    level: String,
    /// `fr` or `en`; French when not said.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    language: Language,
    /// The text that the pupils worked on.
    statement: Option<String>,
    /// The class list. Names are masked before any model call.
    #[serde(default)]
    roster: Vec<String>,
    /// Height of the band at the top of a scan's page that holds the name. Percent; 12 when not said.
    name_zone_percent: Option<u8>,
    /// The scanned pages on which that band is painted over before a model sees them: `first`, when not said,
    /// or `every`, for sheets that each begin with the name. What else stands in the band is lost.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    name_zone_pages: NamedPages,
}

impl NewAssignment {
    /// The assignment, if every field keeps its rule.
    pub fn check(&self, now: UnixMillis) -> Result<Assignment, Failure> {
        if self.roster.len() > ROSTER_MAX {
            return Err(too_many("roster", ROSTER_MAX));
        }
        let roster = self
            .roster
            .iter()
            .enumerate()
            .map(|(place, name)| text(&format!("roster[{place}]"), name, 100));
        let name_zone_percent = self.name_zone_percent.unwrap_or(NAME_ZONE_PERCENT);
        if name_zone_percent > NAME_ZONE_PERCENT_MAX {
            return Err(Failure::Invalid {
                path: "name_zone_percent".to_owned(),
                code: "out-of-range",
                sentence: Sentence::new(
                    format!("La zone du nom va de 0 à {NAME_ZONE_PERCENT_MAX} % de la page."),
                    format!("The name zone goes from 0 to {NAME_ZONE_PERCENT_MAX} % of the page."),
                ),
            });
        }
        Ok(Assignment {
            assignment: AssignmentId::mint(now),
            title: text("title", &self.title, 200)?,
            subject: text("subject", &self.subject, 100)?,
            level: text("level", &self.level, 50)?,
            language: self.language,
            statement: self
                .statement
                .as_deref()
                .map(|it| paragraphs("statement", it, 20_000))
                .transpose()?,
            roster: roster.collect::<Result<_, _>>()?,
            name_zone_percent,
            name_zone_pages: self.name_zone_pages,
            rubric_version: 0,
            created_at: now,
        })
    }
}

/// Files to upload.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCopies {
    /// One entry a PDF, at most 100 a request.
    files: Vec<NewCopy>,
}

/// One PDF to upload.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCopy {
    /// The file's name; it must end in `.pdf`.
    pub name: String,
    /// Its size, at most 50 MB.
    pub size_bytes: u64,
    /// The pupil, if the teacher says so.
    pub pupil: Option<String>,
}

impl NewCopies {
    /// The files, if each can be graded.
    pub fn check(self) -> Result<Vec<NewCopy>, Failure> {
        if self.files.is_empty() || self.files.len() > FILES_MAX {
            return Err(too_many("files", FILES_MAX));
        }
        let check = |(place, file): (usize, NewCopy)| {
            let name = text(&format!("files[{place}].name"), &file.name, 255)?;
            let pupil = file
                .pupil
                .as_deref()
                .map(|pupil| text(&format!("files[{place}].pupil"), pupil, 100))
                .transpose()?;
            if !name.to_lowercase().ends_with(".pdf") {
                return Err(Failure::Invalid {
                    path: format!("files[{place}].name"),
                    code: "not-a-pdf",
                    sentence: Sentence::new(
                        format!("« {name} » n'est pas un PDF : exportez la copie en PDF, puis déposez-la."),
                        format!("“{name}” is not a PDF: export the copy as a PDF, then upload it."),
                    ),
                });
            }
            if file.size_bytes == 0 || file.size_bytes > PDF_BYTES_MAX {
                return Err(Failure::Invalid {
                    path: format!("files[{place}].size_bytes"),
                    code: "file-size",
                    sentence: Sentence::new(
                        format!(
                            "« {name} » doit peser de 1 octet à 50 Mo : réduisez la résolution ou découpez-la."
                        ),
                        format!("“{name}” must be of 1 byte to 50 MB: lower its resolution or split it."),
                    ),
                });
            }
            Ok(NewCopy {
                name,
                pupil,
                size_bytes: file.size_bytes,
            })
        };
        self.files.into_iter().enumerate().map(check).collect()
    }
}

/// The barème's canonical JSON, if it is one and adds up.
pub fn rubric(value: &serde_json::Value) -> Result<String, Failure> {
    let parsed = Rubric::from_value(value).map_err(|error| Failure::Invalid {
        path: error.path().to_owned(),
        code: "invalid-rubric",
        sentence: Sentence::new(error.sentence(Language::Fr), error.sentence(Language::En)),
    })?;
    serde_json::to_string(&parsed).map_err(|error| Failure::Internal(Internal::new(error.to_string())))
}

/// The assignment is full.
pub fn too_many_copies() -> Failure {
    too_many("files", COPIES_PER_ASSIGNMENT_MAX)
}

fn too_many(path: &str, max: usize) -> Failure {
    Failure::Invalid {
        path: path.to_owned(),
        code: "wrong-count",
        sentence: Sentence::new(
            format!("« {path} » doit avoir de 1 à {max} éléments : envoyez-les en plusieurs fois."),
            format!("“{path}” must have 1 to {max} items: send them in several requests."),
        ),
    }
}

fn text(path: &str, value: &str, chars_max: usize) -> Result<String, Failure> {
    let trimmed = value.trim();
    if trimmed.is_empty() || trimmed.chars().count() > chars_max || trimmed.chars().any(char::is_control) {
        return Err(wrong_text(path, chars_max));
    }
    Ok(trimmed.to_owned())
}

fn paragraphs(path: &str, value: &str, chars_max: usize) -> Result<String, Failure> {
    let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    let unix = value.replace("\r\n", "\n");
    if unix.chars().count() > chars_max || unix.chars().any(odd) {
        return Err(wrong_text(path, chars_max));
    }
    Ok(unix.trim().to_owned())
}

fn wrong_text(path: &str, chars_max: usize) -> Failure {
    Failure::Invalid {
        path: path.to_owned(),
        code: "invalid-text",
        sentence: Sentence::new(
            format!("« {path} » doit avoir de 1 à {chars_max} caractères, sans caractère de contrôle."),
            format!("“{path}” must have 1 to {chars_max} characters, and no control character."),
        ),
    }
}
