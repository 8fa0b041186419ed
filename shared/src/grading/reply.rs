//! What a model answers, read strictly: the shapes of [`super::prompt`]'s schemas, then what no schema can say.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use serde::{Deserialize, Serialize, Serializer};

use crate::domain::mark::{Award, Finding, Fit, Flag, Proposal};
use crate::domain::rubric::Rubric;

/// The longest text kept from a model's answer: evidence, feedback, a comment. Unit: characters.
const TEXT_CHARS_MAX: usize = 600;
/// Instructions found in a copy, of which a few are enough to warn the teacher.
const INSTRUCTIONS_MAX: usize = 5;

/// The answer to a grading prompt, as it is on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GradingReply {
    /// One a criterion.
    pub awards: Vec<AwardReply>,
    /// A sentence for the pupil.
    pub comment: String,
    /// Sentences of the copy that speak to the grader.
    pub instructions_found: Vec<String>,
}

/// One criterion in a [`GradingReply`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwardReply {
    /// The criterion's id.
    pub criterion: String,
    /// The copy's own words; empty when there are none.
    pub evidence: String,
    /// A sentence for the pupil.
    pub feedback: String,
    /// A JSON number; null when it cannot be judged.
    #[serde(serialize_with = "as_number")]
    pub points: Option<Decimal>,
}

/// The answer to a transcription prompt, as it is on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TranscriptionReply {
    /// One an image.
    pub pages: Vec<PageReply>,
}

/// One page in a [`TranscriptionReply`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageReply {
    /// A pupil's name can be read on it.
    pub name_visible: bool,
    /// The number that was announced with the image.
    pub page: u32,
    /// Lines separated by `\n`.
    pub text: String,
    /// How sure the reading is.
    pub trust: Trust,
}

/// How sure a transcription is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// Nearly all of it.
    High,
    /// Some words are doubtful.
    Medium,
    /// The sense of an answer may be lost.
    Low,
}

/// Why an answer cannot be used. It never repeats the model's words: they may be a pupil's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// Not the JSON that was asked for.
    #[error("the answer does not have the shape that was asked for (line {line}, column {column})")]
    Shape {
        /// Counted from 1; 0 when the whole answer is meant.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// An award for a criterion that the barème does not have.
    #[error("award {position} names a criterion that the barème does not have")]
    UnknownCriterion {
        /// Position in the list, counted from 1.
        position: usize,
    },
    /// Two awards for one criterion.
    #[error("criterion {criterion} was graded twice")]
    DuplicateCriterion {
        /// The barème's id.
        criterion: String,
    },
    /// No award for a criterion.
    #[error("criterion {criterion} was not graded")]
    MissingCriterion {
        /// The barème's id.
        criterion: String,
    },
    /// The transcribed pages are not the ones that were sent, each once.
    #[error("the pages of the transcription are not the pages that were sent")]
    WrongPages,
}

/// A grading answer that fits the barème; its texts are still masked and its quotes not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graded {
    pub(super) proposal: Proposal,
    pub(super) findings: Vec<Finding>,
    pub(super) instructions_found: Vec<String>,
}

/// Reads a grading answer: every criterion exactly once, points brought within range and step.
///
/// # Errors
/// [`ReplyError`] when a criterion is unknown, missing or graded twice, or when the shape is another.
pub fn grading(json: &str, rubric: &Rubric) -> Result<Graded, ReplyError> {
    let reply: GradingReply = read(json)?;
    let mut by_id = HashMap::with_capacity(reply.awards.len());
    for (index, award) in reply.awards.into_iter().enumerate() {
        if rubric.criterion(&award.criterion).is_none() {
            return Err(ReplyError::UnknownCriterion { position: index + 1 });
        }
        if let Some(twice) = by_id.insert(award.criterion.clone(), award) {
            return Err(ReplyError::DuplicateCriterion {
                criterion: twice.criterion,
            });
        }
    }

    let mut findings = Vec::new();
    let mut awards = Vec::with_capacity(by_id.len());
    for criterion in rubric.criteria() {
        let id = criterion.id();
        let reply = by_id.remove(id).ok_or_else(|| ReplyError::MissingCriterion {
            criterion: id.to_owned(),
        })?;
        let fit = reply.points.map(|points| Fit::new(points, criterion));
        match fit {
            None => findings.push(Finding::on_criterion(Flag::NotGraded, id)),
            Some(Fit::Clamped(_)) => findings.push(Finding::on_criterion(Flag::ClampedPoints, id)),
            Some(Fit::Exact(_)) => {}
        }
        awards.push(Award {
            criterion: reply.criterion,
            points: fit.map(Fit::points),
            quote: tidy(&reply.evidence),
            page: None,
            feedback: tidy(&reply.feedback),
        });
    }
    let instructions = reply
        .instructions_found
        .iter()
        .map(|text| tidy(text))
        .filter(|text| !text.is_empty());
    Ok(Graded {
        proposal: Proposal {
            awards,
            comment: tidy(&reply.comment),
        },
        findings,
        instructions_found: instructions.take(INSTRUCTIONS_MAX).collect(),
    })
}

/// Reads a transcription: the pages that were asked for, each once; in that order.
///
/// # Errors
/// [`ReplyError`] when the pages are others, or when the shape is another.
pub fn transcription(json: &str, pages: &[u32]) -> Result<Vec<PageReply>, ReplyError> {
    let reply: TranscriptionReply = read(json)?;
    let count = reply.pages.len();
    let mut by_number: HashMap<u32, PageReply> =
        reply.pages.into_iter().map(|page| (page.page, page)).collect();
    if count != pages.len() || by_number.len() != count {
        return Err(ReplyError::WrongPages);
    }
    pages
        .iter()
        .map(|number| by_number.remove(number).ok_or(ReplyError::WrongPages))
        .collect()
}

fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, ReplyError> {
    serde_json::from_str(json).map_err(|error| ReplyError::Shape {
        line: error.line(),
        column: error.column(),
    })
}

/// One line without control characters, of bounded length.
fn tidy(text: &str) -> String {
    let spaced = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty());
    let line = spaced.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[expect(clippy::ref_option, reason = "serde passes a reference")]
fn as_number<S: Serializer>(points: &Option<Decimal>, serializer: S) -> Result<S::Ok, S::Error> {
    match points {
        Some(points) if points.is_integer() => points.to_i64().serialize(serializer),
        points => points.and_then(|points| points.to_f64()).serialize(serializer),
    }
}
