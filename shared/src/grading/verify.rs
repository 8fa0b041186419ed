//! Verification: totals recomputed in code, every quote looked for in the copy, and flags for the teacher.

mod instructions;
mod quotes;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::copy::MaskedCopy;
use super::page::HiddenText;
use super::reply::Graded;
use crate::domain::mark::{Finding, Flag, Mark, Proposal, Rounding, Total};
use crate::domain::rubric::{Criterion, Rubric};
use quotes::{Quote, SearchedCopy};

pub use instructions::speak_to_the_grader;

/// The mark out of twenty around which a copy is read again.
const PASS_MARK: Decimal = Decimal::TEN;
/// How near to it. Unit: points out of twenty.
const NEAR: Decimal = Decimal::from_parts(5, 0, 0, false, 1);
/// From this many points on, a partial award is worth a second look.
const LARGE_CRITERION: Decimal = Decimal::TWO;

/// What reading the copy left to doubt.
#[derive(Debug, Clone, Copy, Default)]
pub struct Doubts<'a> {
    /// Text that the PDF hides.
    pub hidden: &'a [HiddenText],
    /// Pages whose transcription is little trusted, counted from 1.
    pub hard_to_read: &'a [u32],
    /// Pages on which the model could read a pupil's name, counted from 1.
    pub name_visible: &'a [u32],
}

impl Doubts<'_> {
    /// What they are to the teacher.
    fn findings(&self) -> impl Iterator<Item = Finding> {
        let on = |flag| move |page: u32| Finding::on_page(flag, page);
        let hidden = self.hidden.iter().map(|hidden| hidden.page);
        hidden
            .map(on(Flag::HiddenText))
            .chain(
                self.hard_to_read
                    .iter()
                    .copied()
                    .map(on(Flag::LowConfidenceTranscription)),
            )
            .chain(self.name_visible.iter().copied().map(on(Flag::NameVisible)))
    }
}

/// A copy's checked proposal, with its names back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// The model's marks, quotes with their pages.
    pub proposal: Proposal,
    /// What they add up to.
    pub mark: Mark,
    /// What a human must look at, each once, in a stable order.
    pub findings: Vec<Finding>,
    /// Sentences by which the copy speaks to the grader, as the model reported them.
    pub instructions_found: Vec<String>,
}

impl Verified {
    /// A copy with nothing on it: not graded, which is not zero, and no model was asked.
    #[must_use]
    pub fn blank(rubric: &Rubric, doubts: Doubts<'_>) -> Self {
        let mut findings = BTreeSet::from([Finding::on_copy(Flag::BlankCopy)]);
        findings.extend(doubts.findings());
        Self {
            proposal: Proposal::not_graded(rubric),
            mark: Mark::NotGraded,
            findings: findings.into_iter().collect(),
            instructions_found: Vec::new(),
        }
    }

    /// The exact points and the mark out of twenty; none when a criterion is not graded.
    #[must_use]
    pub fn total(&self) -> Option<Total> {
        self.mark.total()
    }

    /// The flags, each once.
    #[must_use]
    pub fn flags(&self) -> BTreeSet<Flag> {
        self.findings.iter().map(|finding| finding.flag).collect()
    }
}

/// Checks a graded copy against its text and its barème.
#[must_use]
pub fn verify(
    rubric: &Rubric,
    rounding: Rounding,
    graded: Graded,
    copy: &MaskedCopy,
    doubts: Doubts<'_>,
) -> Verified {
    let text = SearchedCopy::new(copy.pages());
    let Graded {
        mut proposal,
        findings,
        instructions_found,
    } = graded;
    let mut findings: BTreeSet<Finding> = findings.into_iter().collect();

    for (award, criterion) in proposal.awards.iter_mut().zip(rubric.criteria()) {
        let found = text.find(&award.quote);
        award.page = match found {
            Quote::On(page) => Some(page),
            Quote::Empty | Quote::Absent => None,
        };
        findings.extend(
            evidence_flag(found, award.points).map(|flag| Finding::on_criterion(flag, criterion.id())),
        );
        if award.points.is_some_and(|points| is_mid_range(points, criterion)) {
            findings.insert(Finding::on_criterion(Flag::MidRange, criterion.id()));
        }
        award.quote = copy.unmask(&award.quote);
        award.feedback = copy.unmask(&award.feedback);
    }
    proposal.comment = copy.unmask(&proposal.comment);

    for sentence in &instructions_found {
        findings.insert(match text.find(sentence) {
            Quote::On(page) => Finding::on_page(Flag::InstructionsInCopy, page),
            Quote::Empty | Quote::Absent => Finding::on_copy(Flag::InstructionsInCopy),
        });
    }
    findings.extend(doubtful_pages(copy, doubts));
    if copy.truncated() {
        findings.insert(Finding::on_copy(Flag::Truncated));
    }
    let mark = proposal.mark(rubric, rounding);
    if mark
        .total()
        .is_some_and(|total| (total.on_20() - PASS_MARK).abs() <= NEAR)
    {
        findings.insert(Finding::on_copy(Flag::NearPassMark));
    }
    Verified {
        proposal,
        mark,
        findings: findings.into_iter().collect(),
        instructions_found: instructions_found
            .iter()
            .map(|sentence| copy.unmask(sentence))
            .collect(),
    }
}

/// Points need the pupil's words. Words without points need only be the pupil's.
fn evidence_flag(found: Quote, points: Option<Decimal>) -> Option<Flag> {
    let earned = points.is_some_and(|points| points > Decimal::ZERO);
    match found {
        Quote::On(_) => None,
        Quote::Absent => Some(Flag::QuoteNotFound),
        Quote::Empty => earned.then_some(Flag::MissingEvidence),
    }
}

/// From a third to two thirds of a large criterion: where graders, human or not, agree least.
fn is_mid_range(points: Decimal, criterion: &Criterion) -> bool {
    let (thrice, worth) = (points * Decimal::from(3), criterion.points());
    worth >= LARGE_CRITERION && thrice >= worth && thrice <= worth * Decimal::TWO
}

fn doubtful_pages(copy: &MaskedCopy, doubts: Doubts<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = doubts.findings().collect();
    let invisible = copy.invisible_characters_on().iter();
    findings.extend(invisible.map(|page| Finding::on_page(Flag::HiddenText, *page)));
    let instructing = copy
        .pages()
        .filter(|(_, text)| speak_to_the_grader(text))
        .map(|(page, _)| page);
    let hidden_instructing = doubts
        .hidden
        .iter()
        .filter(|hidden| speak_to_the_grader(&hidden.text));
    findings.extend(
        instructing
            .chain(hidden_instructing.map(|hidden| hidden.page))
            .map(|page| Finding::on_page(Flag::InstructionsInCopy, page)),
    );
    findings
}
