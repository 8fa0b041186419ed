//! What an account may use now.

use serde::{Deserialize, Serialize};

use super::quota::{Period, Tier, TierLimits};
use super::time::UnixMillis;

/// An account's subscription as the ledger needs it. An account without one is Free.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The tier.
    pub tier: Tier,
    /// The counter's period.
    pub period: Period,
    /// When the period ends; `None` for Free, which never renews.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period_end: Option<UnixMillis>,
}

impl Plan {
    /// A new account's plan.
    #[must_use]
    pub fn free() -> Self {
        Self {
            tier: Tier::Free,
            period: Period::free(),
            period_end: None,
        }
    }

    /// Tokens that the period grants.
    #[must_use]
    pub const fn granted_tokens(&self, limits: &TierLimits) -> u64 {
        limits.granted_tokens(self.tier)
    }
}
