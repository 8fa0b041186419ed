//! How an account stands: what a teacher, or a program, is told of its tier, its tokens and its money.

use serde::Serialize;

use super::plan::{Hold, Plan};
use super::quota::{Counter, Tier};
use super::subscription::{Payment, Pending, Subscription};

/// How an account stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Standing {
    /// `free`, `essentiel`, `pro` or `max`.
    pub tier: &'static str,
    /// Charged in this period. Unit: tokens.
    pub tokens_used: u64,
    /// Held by runs that are not finished. Unit: tokens.
    pub tokens_reserved: u64,
    /// Granted for this period. Unit: tokens.
    pub limit: u64,
    /// Neither charged nor held. Unit: tokens.
    pub remaining: u64,
    /// Whether another month grants tokens again. Free's are granted once.
    pub has_monthly_reset: bool,
    /// When the tokens' period began. RFC 3339; none for Free.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period_start: Option<String>,
    /// When it ends. RFC 3339; none for Free.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period_end: Option<String>,
    /// When the subscription began. RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription_start: Option<String>,
    /// When what is paid for ends, or is renewed. RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription_end: Option<String>,
    /// What will change, and can be taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_change: Option<PendingChange>,
    /// `none`, `paid`, `awaiting`, `action-required` or `past-due`.
    pub payment_state: &'static str,
    /// Where to pay what is owed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pay_page: Option<String>,
    /// Until when the tier is kept although a payment failed. RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_until: Option<String>,
    /// Why nothing can be started, whatever remains: `frozen` or `renewal-unknown`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<&'static str>,
}

/// A change that is agreed and has not happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct PendingChange {
    /// The tier to come.
    pub tier: Option<&'static str>,
    /// When. RFC 3339; none for an upgrade that waits for its payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

impl Standing {
    /// A plan, the subscription that it follows from, and its counter.
    #[must_use]
    pub fn new(plan: &Plan, subscription: Option<&Subscription>, counter: Counter) -> Self {
        let pending = subscription.and_then(|it| it.pending.as_ref());
        Self {
            tier: plan.tier.name(),
            tokens_used: counter.used,
            tokens_reserved: counter.reserved,
            limit: counter.granted,
            remaining: counter.remaining,
            has_monthly_reset: plan.tier != Tier::Free,
            period_start: plan.period_start.map(|at| at.rfc3339()),
            period_end: plan.period_end.map(|at| at.rfc3339()),
            subscription_start: subscription.map(|it| it.started_at.rfc3339()),
            subscription_end: subscription.map(|it| it.term_end.rfc3339()),
            pending_change: pending.map(|pending| match pending {
                Pending::Cancel { at } => PendingChange {
                    tier: Some(Tier::Free.name()),
                    at: Some(at.rfc3339()),
                },
                Pending::Tier { tier, at } => PendingChange {
                    tier: Some(tier.name()),
                    at: Some(at.rfc3339()),
                },
                Pending::Upgrade => PendingChange { tier: None, at: None },
            }),
            payment_state: match subscription.map(|it| it.payment) {
                None => "none",
                Some(Payment::Paid) => "paid",
                Some(Payment::Awaiting) => "awaiting",
                Some(Payment::ActionRequired) => "action-required",
                Some(Payment::PastDue) => "past-due",
            },
            pay_page: subscription.and_then(|it| it.pay_page.clone()),
            kept_until: subscription.and_then(|it| it.kept_until).map(|at| at.rfc3339()),
            hold: plan.hold.map(|hold| match hold {
                Hold::Frozen => "frozen",
                Hold::RenewalUnknown => "renewal-unknown",
            }),
        }
    }
}
