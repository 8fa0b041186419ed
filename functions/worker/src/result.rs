//! The result document: the proposal with its evidence, and all that is needed to explain it a year later.

use serde_json::{Value, json};
use shared::domain::money::Spent;
use shared::grading::cost::usd;
use shared::grading::verify::Verified;
use shared::grading::{PageKind, PageText};

use crate::ask::Asking;
use crate::prepare::Brief;
use crate::read::Origin;

/// Who answered, what it was asked, and about which file.
pub(crate) struct Provenance<'a> {
    pub(crate) provider: &'static str,
    pub(crate) model: &'a str,
    pub(crate) answered_by: &'a [String],
    pub(crate) request_ids: &'a [String],
    pub(crate) prompt_version: String,
    pub(crate) rubric_version: u32,
    pub(crate) pdf: &'a Origin,
}

pub(crate) fn document<M>(
    asking: &Asking<'_, M>,
    brief: &Brief,
    pages: &[PageText],
    verified: &Verified,
    pupil: Option<&str>,
    provenance: &Provenance<'_>,
) -> Value {
    let language = brief.assignment.language;
    let awards = brief.rubric.questions().iter().map(|question| {
        let criteria = question.criteria().iter().map(|criterion| {
            let award = verified.proposal.award(criterion.id());
            json!({
                "id": criterion.id(),
                "label": criterion.label(),
                "points_max": criterion.points().normalize().to_string(),
                "points": award.and_then(|it| it.points).map(|points| points.normalize().to_string()),
                "quote": award.map(|it| it.quote.as_str()),
                "page": award.and_then(|it| it.page),
                "feedback": award.map(|it| it.feedback.as_str()),
            })
        });
        json!({
            "id": question.id(),
            "title": question.title(),
            "points_max": question.points().normalize().to_string(),
            "points": verified.proposal.question_points(question.criteria()).map(|points| points.normalize().to_string()),
            "criteria": criteria.collect::<Vec<_>>(),
        })
    });
    let findings = verified.findings.iter().map(|finding| {
        json!({
            "flag": finding.flag.code(),
            "label": finding.flag.label(language),
            "criterion": finding.criterion,
            "page": finding.page,
        })
    });
    let pages = pages.iter().map(|page| {
        let kind = match page.kind {
            PageKind::Typed => "typed",
            PageKind::Scanned => "scanned",
            PageKind::Blank => "blank",
        };
        json!({ "number": page.number, "kind": kind, "text": page.text })
    });
    json!({
        "copy": asking.copy.copy,
        "run": asking.address.run,
        "pupil": pupil,
        "status": "proposal",
        "mark": verified.mark,
        "comment": verified.proposal.comment,
        "questions": awards.collect::<Vec<_>>(),
        "findings": findings.collect::<Vec<_>>(),
        "instructions_found": verified.instructions_found,
        "pages": pages.collect::<Vec<_>>(),
        "provider": provenance.provider,
        "model": provenance.model,
        "answered_by": provenance.answered_by,
        "request_ids": provenance.request_ids,
        "prompt_version": provenance.prompt_version,
        "rubric_version": provenance.rubric_version,
        "pdf": { "sha256": provenance.pdf.sha256, "version": provenance.pdf.version },
        "charged_tokens": asking.spent.iter().map(|line| line.usage.charged_tokens()).sum::<u64>()
            .min(asking.copy.reserved_tokens),
        "cost": asking.spent.iter().map(cost).collect::<Vec<_>>(),
    })
}

fn cost(line: &Spent) -> Value {
    json!({
        "phase": line.phase,
        "model": line.model,
        "usage": line.usage,
        "prompt_cost_usd": usd(line.cost.prompt_cost_micro_usd),
        "completion_cost_usd": usd(line.cost.completion_cost_micro_usd),
        "cached_cost_usd": usd(line.cost.cached_cost_micro_usd),
        "total_cost_usd": usd(line.cost.total_cost_micro_usd),
        "cached_savings_usd": usd(line.cost.cached_savings_micro_usd),
    })
}
