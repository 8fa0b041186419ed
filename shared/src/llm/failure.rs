//! Why a model did not answer, and what that cost.

use std::time::Duration;

use crate::domain::money::Usage;

/// A call that brought no usable answer. Carries no word of the prompt or of the answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason} (attempts: {attempts}, request: {})", request_id.as_deref().unwrap_or("none"))]
pub struct ModelFailure {
    /// Why the last attempt failed.
    pub reason: Reason,
    /// What the last attempt is billed, when the provider said so.
    pub billed: Option<Usage>,
    /// Requests sent.
    pub attempts: u32,
    /// Those that timed out or lost their reply, and so may have been billed unseen.
    pub unknown_calls: u32,
    /// The provider's name for the last attempt.
    pub request_id: Option<String>,
}

impl ModelFailure {
    /// Whether the same prompt may succeed minutes later, without anyone changing anything.
    #[must_use]
    pub fn retryable(&self) -> bool {
        self.reason.retryable()
    }
}

/// Why one attempt brought no usable answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// Too many requests or tokens a minute.
    #[error("the provider limits our rate")]
    RateLimited {
        /// How long the provider asked to wait, if it did.
        retry_after: Option<Duration>,
    },
    /// The provider has no capacity for anyone (529).
    #[error("the provider is overloaded")]
    Overloaded,
    /// Another transient answer: 408, 409, 5xx.
    #[error("the provider failed with status {status}")]
    Unavailable {
        /// The HTTP status.
        status: u16,
    },
    /// No connection could be made; nothing was sent.
    #[error("the provider could not be reached")]
    Unreachable,
    /// Nothing came back in time. Unknown: the call may have been billed.
    #[error("no answer in time; it may have been billed")]
    Timeout,
    /// The connection broke after the request was sent. Unknown: the call may have been billed.
    #[error("the answer was lost on the way; it may have been billed")]
    ReplyLost,
    /// The model declined to answer.
    #[error("the model refused to answer")]
    Refused,
    /// The answer reached its bound on tokens, or the model's context, before its end.
    #[error("the answer was cut short")]
    Truncated,
    /// The reply is not what the wire format promises.
    #[error("the reply cannot be read: {what}")]
    Invalid {
        /// Which promise it breaks.
        what: &'static str,
    },
    /// The reply is fine but does not say what it costs, so it cannot be accounted for.
    #[error("the reply does not say what was used")]
    MissingUsage,
    /// The provider does not accept our request: a bug or a wrong setting.
    #[error("the provider rejects the request: {status} {kind}")]
    Rejected {
        /// The HTTP status.
        status: u16,
        /// The provider's error type. Its message is dropped: it may quote the request.
        kind: &'static str,
    },
    /// The key is wrong, or may not use this model.
    #[error("the provider does not accept the key")]
    Unauthorized,
    /// Our own settings or key cannot be used, so nothing was sent. Only a human changes that.
    #[error("no call to the provider can be made with these settings")]
    NotConfigured,
    /// The account's spending limit is reached, or its credit is used up. Only a human changes that.
    #[error("the provider's spending limit is reached")]
    SpendLimit,
}

impl Reason {
    /// Whether the same prompt may succeed minutes later, without anyone changing anything.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::Invalid { .. } | Self::MissingUsage => true,
            Self::RateLimited { .. }
            | Self::Overloaded
            | Self::Unavailable { .. }
            | Self::Unreachable
            | Self::Timeout
            | Self::ReplyLost
            | Self::Refused
            | Self::Truncated
            | Self::Rejected { .. }
            | Self::Unauthorized
            | Self::NotConfigured
            | Self::SpendLimit => self.transient(),
        }
    }

    /// Whether it is worth asking again within the same call. A reply that was read was paid for, and is
    /// left to the caller, who bounds what a copy may cost.
    pub(super) fn transient(&self) -> bool {
        match self {
            Self::RateLimited { .. }
            | Self::Overloaded
            | Self::Unavailable { .. }
            | Self::Unreachable
            | Self::Timeout
            | Self::ReplyLost => true,
            Self::Refused
            | Self::Truncated
            | Self::Invalid { .. }
            | Self::MissingUsage
            | Self::Rejected { .. }
            | Self::Unauthorized
            | Self::NotConfigured
            | Self::SpendLimit => false,
        }
    }

    /// Whether the attempt may have been billed without our knowing.
    pub(super) fn unknown(&self) -> bool {
        matches!(self, Self::Timeout | Self::ReplyLost)
    }
}
