//! The barème: questions → criteria → points, parsed once from JSON, after which nobody re-checks it.
//!
//! ```json
//! { "total": "20", "step": "0.5", "guidance": "…",
//!   "questions": [ { "id": "q1", "title": "…", "statement": "…", "points": "4",
//!     "criteria": [ { "id": "q1a", "label": "…", "points": "1.5", "step": "0.25",
//!                     "expected": "…", "keywords": ["…"], "bonus": false } ] } ] }
//! ```
//!
//! Points are decimals, written as strings; numbers are accepted too. `statement`, `guidance`, and a
//! criterion's `step`, `expected`, `keywords` and `bonus` may be left out.

#[cfg(feature = "http")]
mod contract;
mod error;
mod read;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use error::{Expected, RubricError};
use read::{Node, Text};

/// A whole barème as JSON. Unit: bytes.
pub const RUBRIC_BYTES_MAX: usize = 64 * 1024;
/// Questions in a barème.
pub const QUESTIONS_MAX: usize = 40;
/// Criteria in a barème, over all its questions.
pub const CRITERIA_MAX: usize = 100;
/// Keywords of one criterion.
pub const KEYWORDS_MAX: usize = 30;
/// The highest total that a barème may have.
pub const TOTAL_MAX: Decimal = Decimal::ONE_HUNDRED;

const ID: Text = Text::line(40);
const TITLE: Text = Text::line(200);
const LABEL: Text = Text::line(300);
const KEYWORD: Text = Text::line(80);
const EXPECTED: Text = Text::paragraphs(2_000);
const STATEMENT: Text = Text::paragraphs(4_000);
const GUIDANCE: Text = Text::paragraphs(8_000);

/// Steps in which teachers award points: a tenth, a quarter, a half, one.
const STEPS: [Decimal; 4] = [
    Decimal::from_parts(1, 0, 0, false, 1),
    Decimal::from_parts(25, 0, 0, false, 2),
    Decimal::from_parts(5, 0, 0, false, 1),
    Decimal::ONE,
];

/// A barème whose sums add up: criteria to their question, questions to the total. Decimals are read from text (`"1.5"`)
/// or a number, and written as text in their shortest form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(try_from = "Value")]
pub struct Rubric {
    /// The points of a perfect copy, bonus left out: the sum of the questions.
    #[cfg_attr(feature = "http", schema(schema_with = contract::decimal))]
    total: Decimal,
    /// The step of every criterion that has none of its own: 1, 0.5, 0.25 or 0.1.
    #[cfg_attr(feature = "http", schema(schema_with = contract::decimal))]
    step: Decimal,
    /// The questions, in the order of the exam.
    #[cfg_attr(feature = "http", schema(min_items = 1))]
    questions: Vec<Question>,
    /// What graders should know and pupils never see: accepted variants, the rule for carried errors.
    #[serde(skip_serializing_if = "Option::is_none")]
    guidance: Option<String>,
}

/// One question of the exam.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Question {
    /// Unique in the barème: letters, digits, `_`, `-`, `.`.
    id: String,
    /// What the teacher calls it.
    title: String,
    /// The question as the pupil read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<String>,
    /// The sum of its criteria, bonus left out.
    #[cfg_attr(feature = "http", schema(schema_with = contract::decimal))]
    points: Decimal,
    /// What earns its points.
    #[cfg_attr(feature = "http", schema(min_items = 1))]
    criteria: Vec<Criterion>,
}

/// One thing that earns points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Criterion {
    /// Unique in the barème: letters, digits, `_`, `-`, `.`.
    id: String,
    /// What is looked for.
    label: String,
    /// The most that it can earn; a multiple of its step.
    #[cfg_attr(feature = "http", schema(schema_with = contract::decimal))]
    points: Decimal,
    /// The step in which it is awarded; the barème's when not said.
    #[cfg_attr(feature = "http", schema(schema_with = contract::decimal, required = false))]
    step: Decimal,
    /// The answer that earns all its points.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<String>,
    /// Words of a good answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    keywords: Vec<String>,
    /// Whether its points come on top of the question; they never lift a copy over the barème's total.
    #[serde(skip_serializing_if = "is_false")]
    bonus: bool,
}

impl Rubric {
    /// Reads a barème as sent by a client.
    ///
    /// # Errors
    /// [`RubricError`] names the first place that is wrong, and why.
    pub fn parse(json: &[u8]) -> Result<Self, RubricError> {
        if json.len() > RUBRIC_BYTES_MAX {
            return Err(RubricError::TooLarge {
                bytes: json.len(),
                bytes_max: RUBRIC_BYTES_MAX,
            });
        }
        let value = serde_json::from_slice(json).map_err(|error| RubricError::NotJson {
            line: error.line(),
            column: error.column(),
        })?;
        Self::from_value(&value)
    }

    /// The same for JSON that is already a value.
    ///
    /// # Errors
    /// As [`Rubric::parse`].
    pub fn from_value(value: &Value) -> Result<Self, RubricError> {
        let root = Node::root(value);
        root.only_fields(&["total", "step", "questions", "guidance"])?;
        let total = points(&root.field("total")?)?;
        let step = step(&root.field("step")?)?;
        let nodes = root.field("questions")?.list(QUESTIONS_MAX)?;
        let questions = nodes
            .iter()
            .map(|node| Question::read(node, step))
            .collect::<Result<Vec<_>, _>>()?;

        let criteria_count = questions.iter().map(|question| question.criteria.len()).sum();
        if criteria_count > CRITERIA_MAX {
            return Err(RubricError::TooMany {
                path: "questions".to_owned(),
                count: criteria_count,
                count_max: CRITERIA_MAX,
            });
        }
        let rubric = Self {
            total,
            step,
            questions,
            guidance: root.optional_text("guidance", GUIDANCE)?,
        };
        rubric.check_unique_ids()?;
        rubric.check_sums()?;
        Ok(rubric)
    }

    /// The points of a perfect copy, bonus left out.
    #[must_use]
    pub fn total(&self) -> Decimal {
        self.total
    }

    /// The step of every criterion that has none of its own.
    #[must_use]
    pub fn step(&self) -> Decimal {
        self.step
    }

    /// The questions, in the order of the exam.
    #[must_use]
    pub fn questions(&self) -> &[Question] {
        &self.questions
    }

    /// Every criterion, in the order of the exam.
    pub fn criteria(&self) -> impl Iterator<Item = &Criterion> {
        self.questions.iter().flat_map(|question| &question.criteria)
    }

    /// The criterion with this id.
    #[must_use]
    pub fn criterion(&self, id: &str) -> Option<&Criterion> {
        self.criteria().find(|criterion| criterion.id == id)
    }

    /// What graders should know and pupils never see: accepted variants, the rule for carried errors.
    #[must_use]
    pub fn guidance(&self) -> Option<&str> {
        self.guidance.as_deref()
    }

    fn check_unique_ids(&self) -> Result<(), RubricError> {
        let mut questions = HashSet::new();
        let mut criteria = HashSet::new();
        for (q, question) in self.questions.iter().enumerate() {
            if !questions.insert(&question.id) {
                let path = format!("questions[{q}].id");
                return Err(RubricError::DuplicateId {
                    path,
                    id: question.id.clone(),
                });
            }
            for (c, criterion) in question.criteria.iter().enumerate() {
                // A model's reply names a criterion by its id alone: unique over the whole barème.
                if !criteria.insert(&criterion.id) {
                    let path = format!("questions[{q}].criteria[{c}].id");
                    return Err(RubricError::DuplicateId {
                        path,
                        id: criterion.id.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    fn check_sums(&self) -> Result<(), RubricError> {
        for (q, question) in self.questions.iter().enumerate() {
            let counted = question.criteria.iter().filter(|criterion| !criterion.bonus);
            let sum: Decimal = counted.map(|criterion| criterion.points).sum();
            if sum != question.points {
                return Err(RubricError::CriteriaSum {
                    path: format!("questions[{q}].points"),
                    question: question.title.clone(),
                    sum: sum.normalize(),
                    expected: question.points,
                });
            }
        }
        let sum: Decimal = self.questions.iter().map(|question| question.points).sum();
        if sum != self.total {
            return Err(RubricError::QuestionsSum {
                path: "total".to_owned(),
                sum: sum.normalize(),
                expected: self.total,
            });
        }
        Ok(())
    }
}

impl TryFrom<Value> for Rubric {
    type Error = RubricError;
    fn try_from(value: Value) -> Result<Self, RubricError> {
        Self::from_value(&value)
    }
}

impl Question {
    fn read(node: &Node<'_>, rubric_step: Decimal) -> Result<Self, RubricError> {
        node.only_fields(&["id", "title", "statement", "points", "criteria"])?;
        Ok(Self {
            id: id(&node.field("id")?)?,
            title: node.field("title")?.text(TITLE)?,
            statement: node.optional_text("statement", STATEMENT)?,
            points: points(&node.field("points")?)?,
            criteria: node
                .field("criteria")?
                .list(CRITERIA_MAX)?
                .iter()
                .map(|criterion| Criterion::read(criterion, rubric_step))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Unique in the barème: letters, digits, `_`, `-`, `.`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What the teacher calls it.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The question as the pupil read it.
    #[must_use]
    pub fn statement(&self) -> Option<&str> {
        self.statement.as_deref()
    }

    /// The sum of its criteria, bonus left out.
    #[must_use]
    pub fn points(&self) -> Decimal {
        self.points
    }

    /// What earns its points.
    #[must_use]
    pub fn criteria(&self) -> &[Criterion] {
        &self.criteria
    }
}

impl Criterion {
    fn read(node: &Node<'_>, rubric_step: Decimal) -> Result<Self, RubricError> {
        node.only_fields(&["id", "label", "points", "step", "expected", "keywords", "bonus"])?;
        let own_step = node
            .optional("step")
            .map(|node| step(&node))
            .transpose()?
            .unwrap_or(rubric_step);
        let worth = node.field("points")?;
        let points = points(&worth)?;
        if !(points % own_step).is_zero() {
            return Err(RubricError::NotAStep {
                path: worth.path(),
                points,
                step: own_step,
            });
        }
        let keywords = match node.optional("keywords") {
            None => Vec::new(),
            Some(list) => {
                let words = list.list_or_empty(KEYWORDS_MAX)?;
                words
                    .iter()
                    .map(|word| word.text(KEYWORD))
                    .collect::<Result<_, _>>()?
            }
        };
        Ok(Self {
            id: id(&node.field("id")?)?,
            label: node.field("label")?.text(LABEL)?,
            points,
            step: own_step,
            expected: node.optional_text("expected", EXPECTED)?,
            keywords,
            bonus: node
                .optional("bonus")
                .map(|node| node.boolean())
                .transpose()?
                .unwrap_or(false),
        })
    }

    /// Unique in the barème: letters, digits, `_`, `-`, `.`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What is looked for.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The most that it can earn; a multiple of [`Criterion::step`].
    #[must_use]
    pub fn points(&self) -> Decimal {
        self.points
    }

    /// The step in which it is awarded.
    #[must_use]
    pub fn step(&self) -> Decimal {
        self.step
    }

    /// The answer that earns all its points.
    #[must_use]
    pub fn expected(&self) -> Option<&str> {
        self.expected.as_deref()
    }

    /// Words of a good answer.
    #[must_use]
    pub fn keywords(&self) -> &[String] {
        &self.keywords
    }

    /// Bonus points come on top of the question, but never lift a copy over the barème's total.
    #[must_use]
    pub fn bonus(&self) -> bool {
        self.bonus
    }
}

fn id(node: &Node<'_>) -> Result<String, RubricError> {
    let id = node.text(ID)?;
    if id
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
    {
        Ok(id)
    } else {
        Err(RubricError::BadId { path: node.path() })
    }
}

fn points(node: &Node<'_>) -> Result<Decimal, RubricError> {
    let points = node.decimal()?;
    if points <= Decimal::ZERO {
        Err(RubricError::NotPositive {
            path: node.path(),
            points,
        })
    } else if points > TOTAL_MAX {
        Err(RubricError::TooManyPoints {
            path: node.path(),
            points,
            points_max: TOTAL_MAX,
        })
    } else {
        Ok(points)
    }
}

fn step(node: &Node<'_>) -> Result<Decimal, RubricError> {
    let step = node.decimal()?;
    if STEPS.contains(&step) {
        Ok(step)
    } else {
        Err(RubricError::UnknownStep {
            path: node.path(),
            step,
        })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}
