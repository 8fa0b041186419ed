//! The result of one copy: the proposal with its evidence, and all that is needed to explain it a year later. The
//! worker writes it, and a teacher is answered with it.
//!
//! A stored result is never rewritten, so a field that is added later is optional or has a default. Points and dollars
//! are decimal text.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize, Serializer};

use super::cost::CostUsd;
use super::verify::Verified;
use super::{HiddenText, PageText};
use crate::domain::Language;
use crate::domain::ids::{CopyId, RunId};
use crate::domain::mark::{Finding, Flag, Mark};
use crate::domain::money::{Spent, Usage};
use crate::domain::rubric::{Criterion, Question, Rubric};

/// The most that a stored result takes, and that whoever reads one reads. Unit: bytes.
pub const RESULT_BYTES_MAX: usize = 2 * 1024 * 1024;

/// One copy's proposal, as it is stored and answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct CopyResult {
    /// The copy.
    #[cfg_attr(feature = "http", schema(value_type = String))]
    pub copy: CopyId,
    /// The run that graded it.
    #[cfg_attr(feature = "http", schema(value_type = String))]
    pub run: RunId,
    /// The pupil, as the teacher said or as found in the copy.
    pub pupil: Option<String>,
    /// What these marks are.
    pub status: Status,
    /// What they add up to.
    pub mark: Mark,
    /// A sentence on the whole copy, for the pupil; may be empty.
    pub comment: String,
    /// In the barème's order.
    pub questions: Vec<MarkedQuestion>,
    /// What a human must look at.
    pub findings: Vec<Flagged>,
    /// Sentences by which the copy speaks to the grader, as the model reported them.
    pub instructions_found: Vec<String>,
    /// What the PDF says and its reader cannot see: the first words of the first of them, by page. The model never saw them.
    #[serde(default)]
    pub hidden_text: Vec<HiddenText>,
    /// What was read, page by page.
    pub pages: Vec<PageText>,
    /// Who answered, and what it was asked.
    #[serde(flatten)]
    pub provenance: Provenance,
    /// What the teacher's quota was charged. Unit: tokens.
    pub charged_tokens: u64,
    /// What it cost, by phase and model.
    pub cost: Vec<PhaseCost>,
}

/// What the marks of a result are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The model's: never final.
    Proposal,
}

/// A question and what its criteria earned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct MarkedQuestion {
    /// Its id in the barème.
    pub id: String,
    /// What the teacher calls it.
    pub title: String,
    /// What it is worth.
    #[cfg_attr(feature = "http", schema(value_type = String))]
    pub points_max: Decimal,
    /// What it earned; none as soon as one criterion is not graded.
    #[cfg_attr(feature = "http", schema(value_type = Option<String>))]
    pub points: Option<Decimal>,
    /// In the barème's order.
    pub criteria: Vec<MarkedCriterion>,
}

/// A criterion, what it earned, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct MarkedCriterion {
    /// Its id in the barème.
    pub id: String,
    /// What is looked for.
    pub label: String,
    /// What it is worth.
    #[cfg_attr(feature = "http", schema(value_type = String))]
    pub points_max: Decimal,
    /// What it earned; none when it could not be graded, which is not zero.
    #[cfg_attr(feature = "http", schema(value_type = Option<String>))]
    pub points: Option<Decimal>,
    /// The pupil's own words that earned the points; empty when there are none.
    pub quote: Option<String>,
    /// Whether the quote was found in the copy; none without a quote, and in results older than this field.
    pub quote_found: Option<bool>,
    /// The page that holds the quote, counted from 1.
    pub page: Option<u32>,
    /// A sentence for the pupil.
    pub feedback: Option<String>,
}

/// Something that a human must look at, and where; neither place when it is the whole copy's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Flagged {
    /// Why.
    pub flag: Flag,
    /// Why, as the teacher reads it, in the assignment's language.
    pub label: String,
    /// The criterion's id.
    pub criterion: Option<String>,
    /// The page, counted from 1.
    pub page: Option<u32>,
}

/// Who answered, what it was asked, and about which file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Provenance {
    /// The model's provider.
    pub provider: String,
    /// The model that was asked.
    pub model: String,
    /// The models that answered, as the provider names them.
    pub answered_by: Vec<String>,
    /// The provider's names of the calls.
    pub request_ids: Vec<String>,
    /// The digest of the prompts' wording.
    pub prompt_version: String,
    /// The barème version.
    pub rubric_version: u32,
    /// The file that was read; absent in results older than this field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pdf: Option<Origin>,
}

/// Which bytes were graded. A later upload to the same slot is another version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Origin {
    /// SHA-256 of the PDF, in hexadecimal digits.
    pub sha256: String,
    /// The bucket's id of the version; none in a bucket without versions.
    pub version: Option<String>,
}

/// What one phase spent on one model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct PhaseCost {
    /// `detection`, `grading`, or a run's `warm-up`; verification is code, and costs nothing.
    pub phase: String,
    /// The model that was paid.
    pub model: String,
    /// Its tokens.
    #[serde(serialize_with = "with_zeros")]
    pub usage: Usage,
    /// Their cost.
    #[serde(flatten)]
    pub cost: CostUsd,
}

impl CopyResult {
    /// The document to store, at most [`RESULT_BYTES_MAX`] long: of a longer one, the end of the pages' text is
    /// left out. It is far beyond what the model was shown, and the copy is flagged as truncated already.
    ///
    /// # Errors
    /// When what is not text of a page is too long by itself.
    pub fn stored(mut self) -> serde_json::Result<Vec<u8>> {
        let mut excess = serde_json::to_vec(&self)?.len().saturating_sub(RESULT_BYTES_MAX);
        for page in self.pages.iter_mut().rev() {
            while excess > 0
                && let Some(cut) = page.text.pop()
            {
                excess = excess.saturating_sub(json_bytes(cut));
            }
        }
        if excess > 0 {
            return Err(serde::ser::Error::custom(
                "the result is too long without its pages",
            ));
        }
        serde_json::to_vec(&self)
    }

    /// The questions of a barème with what a checked proposal gives them.
    #[must_use]
    pub fn questions(rubric: &Rubric, verified: &Verified) -> Vec<MarkedQuestion> {
        let question = |question: &Question| MarkedQuestion {
            id: question.id().to_owned(),
            title: question.title().to_owned(),
            points_max: question.points().normalize(),
            points: verified
                .proposal
                .question_points(question.criteria())
                .map(|points| points.normalize()),
            criteria: question
                .criteria()
                .iter()
                .map(|criterion| MarkedCriterion::new(criterion, verified))
                .collect(),
        };
        rubric.questions().iter().map(question).collect()
    }
}

impl MarkedCriterion {
    fn new(criterion: &Criterion, verified: &Verified) -> Self {
        let award = verified.proposal.award(criterion.id());
        Self {
            id: criterion.id().to_owned(),
            label: criterion.label().to_owned(),
            points_max: criterion.points().normalize(),
            points: award.and_then(|it| it.points).map(|points| points.normalize()),
            quote: award.map(|it| it.quote.clone()),
            quote_found: award
                .filter(|it| !it.quote.is_empty())
                .map(|it| it.page.is_some()),
            page: award.and_then(|it| it.page),
            feedback: award.map(|it| it.feedback.clone()),
        }
    }
}

impl Flagged {
    /// A finding, with its label for the teacher.
    #[must_use]
    pub fn new(finding: &Finding, language: Language) -> Self {
        Self {
            flag: finding.flag,
            label: finding.flag.label(language).to_owned(),
            criterion: finding.criterion.clone(),
            page: finding.page,
        }
    }
}

/// In the table zeros are left out to save room; who reads a result is promised every count.
fn with_zeros<S: Serializer>(usage: &Usage, serializer: S) -> Result<S::Ok, S::Error> {
    let counts = [
        ("input_tokens", usage.input_tokens),
        ("cache_write_5m_tokens", usage.cache_write_5m_tokens),
        ("cache_write_1h_tokens", usage.cache_write_1h_tokens),
        ("cache_read_tokens", usage.cache_read_tokens),
        ("output_tokens", usage.output_tokens),
    ];
    serializer.collect_map(counts)
}

impl From<&Spent> for PhaseCost {
    fn from(it: &Spent) -> Self {
        Self {
            phase: it.phase.clone(),
            model: it.model.clone(),
            usage: it.usage,
            cost: it.cost.into(),
        }
    }
}

/// What a character takes in JSON.
fn json_bytes(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        c => c.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::grading::PageKind;

    /// As results were first written: no `quote_found`, no `pdf`, no `hidden_text`.
    const OLD: &str = r#"{
        "copy": "019aa000-0000-7000-8000-000000000001", "run": "019aa000-0000-7000-8000-000000000002",
        "pupil": "Léa", "status": "proposal",
        "mark": { "state": "graded", "points": "1.5", "out_of": "2", "on_20": "15" },
        "comment": "", "instructions_found": [],
        "questions": [{ "id": "Q1", "title": "Dates", "points_max": "2", "points": "1.5", "criteria": [{
            "id": "Q1.a", "label": "L'année", "points_max": "2", "points": "1.5", "quote": "En 1914", "page": 1,
            "feedback": "Bien." }] }],
        "findings": [{ "flag": "mid_range", "label": "Réponse partielle à relire", "criterion": "Q1.a", "page": null }],
        "pages": [{ "number": 1, "kind": "typed", "text": "En 1914" }],
        "provider": "local", "model": "m", "answered_by": ["m-1"], "request_ids": ["r"], "prompt_version": "p",
        "rubric_version": 1, "charged_tokens": 12,
        "cost": [{ "phase": "grading", "model": "m",
            "usage": { "input_tokens": 10, "cache_write_5m_tokens": 0, "cache_write_1h_tokens": 0,
                       "cache_read_tokens": 5, "output_tokens": 2 },
            "prompt_cost_usd": "0.000020", "completion_cost_usd": "0.000020", "cached_cost_usd": "0.000001",
            "total_cost_usd": "0.000041", "cached_savings_usd": "0.000009" }]
    }"#;

    #[test]
    fn a_result_of_an_older_shape_is_read_and_keeps_what_it_says() {
        let old: serde_json::Value = serde_json::from_str(OLD).unwrap();
        let read: CopyResult = serde_json::from_str(OLD).unwrap();
        assert_eq!(read.provenance.pdf, None);
        let mut written = serde_json::to_value(&read).unwrap();
        let criterion = written.pointer_mut("/questions/0/criteria/0").unwrap();
        assert_eq!(
            criterion.as_object_mut().unwrap().remove("quote_found"),
            Some(json!(null))
        );
        assert_eq!(
            written.as_object_mut().unwrap().remove("hidden_text"),
            Some(json!([]))
        );
        assert_eq!(written, old);
    }

    #[test]
    fn a_result_of_any_length_is_stored_so_that_it_can_be_read() {
        let read: CopyResult = serde_json::from_str(OLD).unwrap();
        assert_eq!(read.clone().stored().unwrap(), serde_json::to_vec(&read).unwrap());
        let page = |number| PageText {
            number,
            kind: PageKind::Typed,
            text: "« é » \"\\\n\u{1}\u{7f}".repeat(RESULT_BYTES_MAX / 30),
        };
        let long = CopyResult {
            pages: (1..=3).map(page).collect(),
            ..read.clone()
        };
        let stored = long.clone().stored().unwrap();
        assert!(stored.len() <= RESULT_BYTES_MAX && stored.len() > RESULT_BYTES_MAX - 10);
        let kept: CopyResult = serde_json::from_slice(&stored).unwrap();
        assert_eq!(kept.pages[0], long.pages[0], "it is cut from the end");
        assert_eq!((kept.pages.len(), kept.pages[2].text.as_str()), (3, ""));
        let endless = CopyResult {
            comment: "a".repeat(RESULT_BYTES_MAX),
            ..read
        };
        assert!(endless.stored().is_err());
    }
}
