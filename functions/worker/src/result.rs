//! What one lease of a copy came to, as the document that is stored.

use shared::grading::result::{CopyResult, Flagged, PhaseCost, Provenance, Status};
use shared::grading::verify::Verified;
use shared::llm::Model;

use crate::ask::Asking;
use crate::prepare::Brief;
use crate::read::Pages;

/// Hidden texts that a result shows: a file can hide thousands, and the first say what it is.
const HIDDEN_TEXTS_MAX: usize = 50;

pub(crate) fn document<M: Model>(
    asking: &Asking<'_, M>,
    brief: &Brief,
    pages: &Pages,
    verified: &Verified,
    pupil: Option<&str>,
    provenance: Provenance,
) -> CopyResult {
    let language = brief.assignment.language;
    CopyResult {
        copy: asking.copy.copy,
        run: asking.address.run,
        pupil: pupil.map(str::to_owned),
        status: Status::Proposal,
        mark: verified.mark,
        comment: verified.proposal.comment.clone(),
        questions: CopyResult::questions(&brief.rubric, verified),
        findings: verified
            .findings
            .iter()
            .map(|finding| Flagged::new(finding, language))
            .collect(),
        instructions_found: verified.instructions_found.clone(),
        hidden_text: pages.hidden.iter().take(HIDDEN_TEXTS_MAX).cloned().collect(),
        pages: pages.texts.clone(),
        provenance,
        charged_tokens: asking.used_tokens().min(asking.copy.reserved_tokens),
        cost: asking.spent.iter().map(PhaseCost::from).collect(),
    }
}
