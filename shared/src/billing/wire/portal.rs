//! Stripe's portal: its page, and how it is set up.

use serde::Deserialize;

/// A page that is shown once: Stripe's portal.
#[derive(Debug, Clone, Deserialize)]
pub struct PortalSession {
    /// Where it is.
    pub url: String,
}

/// How the portal is set up.
#[derive(Debug, Clone, Deserialize)]
pub struct PortalConfiguration {
    /// Its id.
    pub id: String,
    /// A portal opens with it.
    pub active: bool,
    /// What can be done there.
    pub features: PortalFeatures,
}

/// What can be done in the portal.
#[derive(Debug, Clone, Deserialize)]
pub struct PortalFeatures {
    /// How a subscription is ended there.
    pub subscription_cancel: PortalCancel,
    /// How it is changed there.
    pub subscription_update: PortalUpdate,
}

/// How a subscription is ended in the portal.
#[derive(Debug, Clone, Deserialize)]
pub struct PortalCancel {
    /// It can be.
    pub enabled: bool,
    /// `at_period_end` or `immediately`.
    pub mode: String,
}

/// How a subscription is changed in the portal.
#[derive(Debug, Clone, Deserialize)]
pub struct PortalUpdate {
    /// It can be.
    pub enabled: bool,
    /// What of it: `price`, `quantity`, `promotion_code`.
    #[serde(default)]
    pub default_allowed_updates: Vec<String>,
    /// `always_invoice`, `create_prorations` or `none`.
    pub proration_behavior: String,
    /// `now` begins a new period with each change; `unchanged`, which is also meant by none, does not.
    #[serde(default)]
    pub billing_cycle_anchor: Option<String>,
    /// Which changes wait for the period's end.
    #[serde(default)]
    pub schedule_at_period_end: PortalSchedule,
    /// What can be chosen. Stripe leaves it out unless it is expanded.
    #[serde(default)]
    pub products: Option<Vec<PortalProduct>>,
}

/// Which changes wait for the period's end: those that one of the conditions describes.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct PortalSchedule {
    /// The conditions.
    #[serde(default)]
    pub conditions: Vec<PortalCondition>,
}

/// A kind of change.
#[derive(Debug, Clone, Deserialize)]
pub struct PortalCondition {
    /// `decreasing_item_amount` or `shortening_interval`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// A product that can be chosen in the portal.
#[derive(Debug, Clone, Deserialize)]
pub struct PortalProduct {
    /// The ids of those of its prices that can be.
    pub prices: Vec<String>,
}
