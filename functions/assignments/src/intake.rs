//! What a teacher may send, parsed once: texts bounded and free of control characters, files of a kind and a
//! size that can be graded, a barème that adds up.

use serde::Deserialize;
use shared::domain::failure::{Failure, Internal, Sentence};
use shared::domain::ids::AssignmentId;
use shared::domain::mark::Rounding;
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
    /// How a mark out of twenty is rounded, halves up: `none` (two decimals), when not said, `quarter`, `half` or
    /// `one`. The points themselves are never rounded.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    rounding: Rounding,
}

impl NewAssignment {
    /// The assignment, if every field keeps its rule.
    pub fn check(&self, now: UnixMillis) -> Result<Assignment, Failure> {
        if self.roster.len() > ROSTER_MAX {
            return Err(wrong_count(
                "roster",
                format!("Une liste d'élèves a au plus {ROSTER_MAX} noms : gardez ceux de cette classe."),
                format!("A class list has {ROSTER_MAX} names at most: keep those of this class."),
            ));
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
                    format!(
                        "La zone du nom va de 0 à {NAME_ZONE_PERCENT_MAX} % de la page : donnez une hauteur entre les deux."
                    ),
                    format!(
                        "The name zone goes from 0 to {NAME_ZONE_PERCENT_MAX} % of the page: give a height between the two."
                    ),
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
            rounding: self.rounding,
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
        if self.files.is_empty() {
            return Err(wrong_count(
                "files",
                "« files » est vide : nommez au moins un fichier à déposer.",
                "“files” is empty: name at least one file to upload.",
            ));
        }
        if self.files.len() > FILES_MAX {
            return Err(wrong_count(
                "files",
                format!("« files » a au plus {FILES_MAX} fichiers : envoyez-les en plusieurs fois."),
                format!("“files” has {FILES_MAX} files at most: send them in several requests."),
            ));
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
            size(&format!("files[{place}].size_bytes"), &name, file.size_bytes)?;
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
    wrong_count(
        "files",
        format!("Un devoir a au plus {COPIES_PER_ASSIGNMENT_MAX} copies : créez-en un autre pour celles-ci."),
        format!(
            "An assignment has {COPIES_PER_ASSIGNMENT_MAX} copies at most: create another one for these."
        ),
    )
}

fn wrong_count(path: &str, fr: impl Into<String>, en: impl Into<String>) -> Failure {
    Failure::Invalid {
        path: path.to_owned(),
        code: "wrong-count",
        sentence: Sentence::new(fr, en),
    }
}

/// A file that is neither empty nor too large.
fn size(path: &str, name: &str, bytes: u64) -> Result<(), Failure> {
    let sentence = match bytes {
        0 => Sentence::new(
            format!("« {name} » est vide : exportez la copie de nouveau, puis déposez-la."),
            format!("“{name}” is empty: export the copy again, then upload it."),
        ),
        1..=PDF_BYTES_MAX => return Ok(()),
        _ => Sentence::new(
            format!("« {name} » dépasse 50 Mo : réduisez la résolution ou découpez-le."),
            format!("“{name}” is over 50 MB: lower its resolution or split it."),
        ),
    };
    Err(Failure::Invalid {
        path: path.to_owned(),
        code: "file-size",
        sentence,
    })
}

/// One line that says something.
fn text(path: &str, value: &str, chars_max: usize) -> Result<String, Failure> {
    let trimmed = value.trim();
    if trimmed.is_empty() {
        return Err(wrong_text(
            path,
            format!("« {path} » est vide : écrivez-le."),
            format!("“{path}” is empty: write it."),
        ));
    }
    fits(path, trimmed, chars_max, char::is_control)?;
    Ok(trimmed.to_owned())
}

/// Lines, or none.
fn paragraphs(path: &str, value: &str, chars_max: usize) -> Result<String, Failure> {
    let unix = value.replace("\r\n", "\n");
    fits(path, &unix, chars_max, |c| {
        c.is_control() && !matches!(c, '\n' | '\t')
    })?;
    Ok(unix.trim().to_owned())
}

fn fits(path: &str, text: &str, chars_max: usize, odd: impl Fn(char) -> bool) -> Result<(), Failure> {
    let chars = text.chars().count();
    if chars > chars_max {
        return Err(wrong_text(
            path,
            format!("« {path} » compte {chars} caractères : raccourcissez-le à {chars_max}."),
            format!("“{path}” has {chars} characters: shorten it to {chars_max}."),
        ));
    }
    if text.chars().any(odd) {
        return Err(wrong_text(
            path,
            format!("« {path} » contient un caractère de contrôle : retirez-le."),
            format!("“{path}” holds a control character: remove it."),
        ));
    }
    Ok(())
}

fn wrong_text(path: &str, fr: String, en: String) -> Failure {
    Failure::Invalid {
        path: path.to_owned(),
        code: "invalid-text",
        sentence: Sentence::new(fr, en),
    }
}
