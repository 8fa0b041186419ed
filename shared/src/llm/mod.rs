//! Language models behind one trait: what a call is, what it may cost, and how it fails.
//!
//! A provider is a wire format ([`anthropic`]), the rules for trying again ([`retry`]) and list prices
//! ([`prices`]). Nothing here prints a prompt, an answer or a key.

use std::future::Future;

use tokio::time::Instant;

use crate::domain::money::Usage;
use crate::grading::Prompt;

pub mod anthropic;
mod failure;
pub mod prices;
pub mod retry;
mod settings;

pub use anthropic::Anthropic;
pub use failure::{ModelFailure, Reason};
pub use settings::{ApiKey, CacheTtl, Effort, Provider, Settings, SettingsError};

/// A language model that answers prompts.
pub trait Model: Send + Sync {
    /// Asks once. Transient failures are tried again, within bounds, and never past `deadline`.
    ///
    /// # Errors
    /// [`ModelFailure`]: what went wrong, and what was billed nevertheless.
    fn answer(
        &self,
        prompt: &Prompt,
        deadline: Instant,
    ) -> impl Future<Output = Result<Answer, ModelFailure>> + Send;

    /// Fills the provider's cache with what every copy of a run shares: the prompt's `prefix` and `schema`.
    /// Its `copy` and `output_tokens_max` are not used. Await it before fanning out: parallel first
    /// requests all miss the cache, and each pays for writing it.
    ///
    /// # Errors
    /// As [`Model::answer`].
    fn warm(
        &self,
        prompt: &Prompt,
        deadline: Instant,
    ) -> impl Future<Output = Result<Receipt, ModelFailure>> + Send;
}

/// A whole answer. One cut short or refused is a [`ModelFailure`].
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The model's words: JSON that the provider says follows the prompt's schema; not yet checked.
    pub text: String,
    /// What it cost.
    pub receipt: Receipt,
}

/// What one successful call used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The model that answered, as the provider names it (it may be a dated snapshot of the one asked for).
    pub model: String,
    /// The provider's name for the call, for its support and its bill.
    pub request_id: Option<String>,
    /// What is billed for it.
    pub usage: Usage,
    /// Requests sent, this one included.
    pub attempts: u32,
    /// Of the earlier ones, those that timed out or lost their reply, and so may have been billed unseen.
    pub unknown_calls: u32,
}

/// The answer's words stay out of logs.
impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer")
            .field("text_bytes", &self.text.len())
            .field("receipt", &self.receipt)
            .finish()
    }
}
