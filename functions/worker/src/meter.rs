//! What is metered: what a lease paid, and the most that calls of unknown cost can have cost.

use shared::grading::{Prompt, tokens_max};
use shared::llm::retry::Policy;
use shared::llm::{ModelFailure, Reason};

/// What one lease of a copy came to. Unit: tokens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bill {
    /// Of the answers that were used.
    pub(crate) used: u64,
    /// Of those that could not be, and of what earlier leases kept and this one did not find.
    pub(crate) waste: u64,
    /// Of those that could not be, alone.
    pub(crate) broken: u64,
    /// What this lease paid itself: the rest was paid by earlier ones, whose answers it found.
    pub(crate) paid: u64,
}

impl Bill {
    /// All that was paid for the copy, as far as anybody knows. Unit: tokens.
    pub(crate) const fn whole(&self) -> u64 {
        self.used.saturating_add(self.waste)
    }
}

/// The most that asking once can cost unseen: the first request is lost, and so is the one that is tried again.
/// Unit: tokens.
pub(crate) fn in_flight_tokens_max(prompt: &Prompt) -> u64 {
    unknown_tokens_max(prompt, Policy::default().unknown_retries_max.saturating_add(1))
}

/// Requests that may have been billed without our knowing: their reply was lost, or does not say what it cost.
pub(crate) fn unseen_calls(failure: &ModelFailure) -> u32 {
    let mute = matches!(failure.reason, Reason::Invalid { .. } | Reason::MissingUsage);
    failure.unknown_calls + u32::from(mute && failure.billed.is_none())
}

/// The most that requests of unknown cost can have cost. Unit: tokens.
pub(crate) fn unknown_tokens_max(prompt: &Prompt, unknown_calls: u32) -> u64 {
    tokens_max(prompt).saturating_mul(u64::from(unknown_calls))
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::domain::money::Usage;
    use shared::grading::Phase;

    #[test]
    fn what_may_have_been_billed_unseen_is_bounded() {
        let usage = Usage::default();
        let invalid = || Reason::Invalid { what: "x" };
        for (reason, billed, unknown_calls, unseen) in [
            (Reason::Overloaded, None, 0, 0),
            (Reason::Timeout, None, 2, 2),
            (Reason::MissingUsage, None, 0, 1),
            (invalid(), None, 1, 2),
            (invalid(), Some(usage), 1, 1),
        ] {
            let failure = ModelFailure {
                reason,
                billed,
                attempts: 3,
                unknown_calls,
                request_id: None,
            };
            assert_eq!(unseen_calls(&failure), unseen, "{failure:?}");
        }
        let prompt = Prompt {
            phase: Phase::Grading,
            prefix: "p".repeat(1_000),
            copy: Vec::new(),
            schema: serde_json::json!({}),
            output_tokens_max: 500,
        };
        assert_eq!(unknown_tokens_max(&prompt, 0), 0);
        assert_eq!(unknown_tokens_max(&prompt, 2), 2 * tokens_max(&prompt));
    }
}
