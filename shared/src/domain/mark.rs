//! Marks: what the model proposes, what a copy is worth, and what a human must look at.
//!
//! A [`Proposal`] is the model's and is never final; the teacher's marks live in a column of their own. Points
//! are decimals, added in code and rounded once, on the mark out of twenty. "Not graded", absent, exempt and
//! zero are four different things: see [`Mark`].

mod flag;
#[cfg(test)]
mod tests;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

use super::rubric::{Criterion, Rubric};

pub use flag::{Finding, Flag};

/// Every mark is also told out of twenty.
pub const TWENTY: Decimal = Decimal::from_parts(20, 0, 0, false, 0);

/// Decimals kept by a mark that is not rounded: a third of twenty has no last digit.
const UNROUNDED_DECIMALS: u32 = 2;

/// How the mark out of twenty is rounded, halves up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// Two decimals.
    #[default]
    None,
    /// To a quarter of a point.
    Quarter,
    /// To half a point.
    Half,
    /// To a whole point.
    One,
}

impl Rounding {
    /// `points` of `out_of`, out of twenty. The one place where a mark is rounded.
    ///
    /// `out_of` comes from a barème, so it is not zero; a zero gives zero.
    #[must_use]
    pub fn on_20(self, points: Decimal, out_of: Decimal) -> Decimal {
        let step = match self {
            Self::None => Decimal::new(1, UNROUNDED_DECIMALS),
            Self::Quarter => Decimal::new(25, 2),
            Self::Half => Decimal::new(5, 1),
            Self::One => Decimal::ONE,
        };
        // One division, so that a half is still exactly a half when it is rounded.
        let steps = (points * TWENTY).checked_div(out_of * step).unwrap_or_default();
        (steps.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero) * step).normalize()
    }
}

/// The model's marks for one copy. Never final, never overwritten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// One award a criterion, in the order of the barème.
    pub awards: Vec<Award>,
    /// A sentence on the whole copy, for the pupil; may be empty.
    pub comment: String,
}

/// What the model proposes for one criterion, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Award {
    /// The criterion's id.
    pub criterion: String,
    /// Points within the criterion's range and step; none when it could not be graded, which is not zero.
    pub points: Option<Decimal>,
    /// The pupil's own words that earned the points; empty when there are none.
    pub quote: String,
    /// The page that holds the quote, counted from 1; none when it was not found.
    pub page: Option<u32>,
    /// A sentence for the pupil.
    pub feedback: String,
}

impl Proposal {
    /// A proposal that grades nothing, as for a blank copy.
    #[must_use]
    pub fn not_graded(rubric: &Rubric) -> Self {
        let awards = rubric.criteria().map(|criterion| Award {
            criterion: criterion.id().to_owned(),
            points: None,
            quote: String::new(),
            page: None,
            feedback: String::new(),
        });
        Self {
            awards: awards.collect(),
            comment: String::new(),
        }
    }

    /// The award of a criterion.
    #[must_use]
    pub fn award(&self, criterion: &str) -> Option<&Award> {
        self.awards.iter().find(|award| award.criterion == criterion)
    }

    /// The points of one question's criteria, bonus included; none as soon as one of them is not graded.
    #[must_use]
    pub fn question_points(&self, criteria: &[Criterion]) -> Option<Decimal> {
        criteria
            .iter()
            .map(|criterion| self.award(criterion.id())?.points)
            .sum()
    }

    /// What the copy is worth: not graded as soon as one criterion is not, so that an unread answer never
    /// counts as zero. Bonus points never lift it over the barème's total.
    #[must_use]
    pub fn mark(&self, rubric: &Rubric, rounding: Rounding) -> Mark {
        let questions = rubric.questions().iter();
        let sum: Option<Decimal> = questions
            .map(|question| self.question_points(question.criteria()))
            .sum();
        sum.map_or(Mark::NotGraded, |points| {
            Mark::Graded(Total::new(points, rubric, rounding))
        })
    }
}

/// What the gradebook says of one pupil. Four things that are not the same; zero is `Graded` with no points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Mark {
    /// Nobody has marked all of it yet: counts neither as a mark nor as zero.
    NotGraded,
    /// The pupil was not there.
    Absent,
    /// The pupil did not have to do it.
    Exempt,
    /// Marked, possibly zero.
    Graded(Total),
}

impl Mark {
    /// The total of a graded copy.
    #[must_use]
    pub fn total(self) -> Option<Total> {
        match self {
            Self::Graded(total) => Some(total),
            Self::NotGraded | Self::Absent | Self::Exempt => None,
        }
    }
}

/// The exact points of a copy, and the rounded mark out of twenty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Total {
    /// The exact sum, never rounded; decimal text.
    #[cfg_attr(feature = "http", schema(value_type = String))]
    points: Decimal,
    /// The barème's total; decimal text.
    #[cfg_attr(feature = "http", schema(value_type = String))]
    out_of: Decimal,
    /// The mark out of twenty, rounded once; decimal text.
    #[cfg_attr(feature = "http", schema(value_type = String))]
    on_20: Decimal,
}

impl Total {
    /// Caps `points` at the barème's total and scales them.
    #[must_use]
    pub fn new(points: Decimal, rubric: &Rubric, rounding: Rounding) -> Self {
        let out_of = rubric.total();
        let points = points.min(out_of).normalize();
        Self {
            points,
            out_of,
            on_20: rounding.on_20(points, out_of),
        }
    }

    /// The exact sum, never rounded.
    #[must_use]
    pub fn points(self) -> Decimal {
        self.points
    }

    /// The barème's total.
    #[must_use]
    pub fn out_of(self) -> Decimal {
        self.out_of
    }

    /// The mark out of twenty, rounded once.
    #[must_use]
    pub fn on_20(self) -> Decimal {
        self.on_20
    }
}

/// Points brought within a criterion's range and step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// They were right.
    Exact(Decimal),
    /// They were out of range or between two steps; the nearest allowed points.
    Clamped(Decimal),
}

impl Fit {
    /// The allowed points nearest to `points` (halves up).
    #[must_use]
    pub fn new(points: Decimal, criterion: &Criterion) -> Self {
        let in_range = points.clamp(Decimal::ZERO, criterion.points());
        let steps = in_range / criterion.step();
        let fitted =
            steps.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero) * criterion.step();
        if fitted == points {
            Self::Exact(fitted.normalize())
        } else {
            Self::Clamped(fitted.normalize())
        }
    }

    /// The allowed points.
    #[must_use]
    pub fn points(self) -> Decimal {
        match self {
            Self::Exact(points) | Self::Clamped(points) => points,
        }
    }
}
