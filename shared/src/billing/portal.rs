//! Does Stripe's portal sell what our rules foresee, and nothing else?
//!
//! It sells without us: what is chosen there is no request of ours, and is known once it holds. Why each of these would be
//! an error: docs/adr/0022-the-tier-that-was-paid-for.md.

use super::wire;
use crate::domain::catalogue::{Catalogue, Interval};
use crate::domain::quota::Tier;

/// The changes that wait for the period's end: to a lower price, and to a shorter interval.
const AT_PERIOD_END: [&str; 2] = ["decreasing_item_amount", "shortening_interval"];

/// Where the portal is set up otherwise than our rules foresee: what is wrong, and what to set. The fields are those of
/// <https://docs.stripe.com/api/customer_portal/configurations/object>.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortalDrift {
    /// Stripe has no configuration of the id that we name.
    #[error("no portal opens, Stripe has no configuration {0}: name one that it has, or none")]
    Unknown(String),
    /// It was put away.
    #[error("no portal opens, its configuration is not active: set `active` to true")]
    Inactive,
    /// What a change costs is not asked for when it is made.
    #[error(
        "a higher tier is not invoiced at once but {0:?}: set `subscription_update.proration_behavior` to always_invoice"
    )]
    Proration(String),
    /// A change begins a new period, which has all its tokens.
    #[error(
        "a change begins a new period ({0:?}): set `subscription_update.billing_cycle_anchor` to unchanged"
    )]
    Anchor(String),
    /// A change that should wait for the period's end does not.
    #[error(
        "a change with {0} is made at once: add it to `subscription_update.schedule_at_period_end.conditions`"
    )]
    AtOnce(&'static str),
    /// Several of a tier can be paid for, and give what one gives.
    #[error(
        "several of a tier can be bought: remove quantity from `subscription_update.default_allowed_updates`"
    )]
    Quantity,
    /// Stripe does not say what can be chosen.
    #[error(
        "which prices can be chosen is not shown: set `subscription_update.products` to our monthly prices"
    )]
    Hidden,
    /// A price that stands for none of our tiers.
    #[error(
        "the price {0} is not ours: remove it from `subscription_update.products`, or add it to the catalogue"
    )]
    Unsold(String),
    /// A price that was raised since.
    #[error("the price {0} is sold no more: put its tier's present one into `subscription_update.products`")]
    Former(String),
    /// A price by the year: the change of interval begins a new period.
    #[error(
        "the price {0} is by the year: remove it from `subscription_update.products`, which has monthly ones alone"
    )]
    Yearly(String),
    /// Who cancels loses what is paid.
    #[error("a subscription is ended {0:?}: set `subscription_cancel.mode` to at_period_end")]
    Cancellation(String),
}

impl PortalDrift {
    /// Stable, kebab-case.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "unknown",
            Self::Inactive => "inactive",
            Self::Proration(_) => "proration",
            Self::Anchor(_) => "anchor",
            Self::AtOnce(_) => "at-once",
            Self::Quantity => "quantity",
            Self::Hidden => "hidden",
            Self::Unsold(_) => "unsold",
            Self::Former(_) => "former",
            Self::Yearly(_) => "yearly",
            Self::Cancellation(_) => "cancellation",
        }
    }
}

/// Where `portal` would sell what our rules do not foresee. What it does not offer is no error: our own door does.
#[must_use]
pub fn portal_drifts(portal: &wire::PortalConfiguration, catalogue: &Catalogue) -> Vec<PortalDrift> {
    let mut drifts = Vec::new();
    if !portal.active {
        drifts.push(PortalDrift::Inactive);
    }
    let cancel = &portal.features.subscription_cancel;
    if cancel.enabled && cancel.mode != "at_period_end" {
        drifts.push(PortalDrift::Cancellation(cancel.mode.clone()));
    }
    let update = &portal.features.subscription_update;
    let allows = |what: &str| update.enabled && update.default_allowed_updates.iter().any(|it| it == what);
    if allows("quantity") {
        drifts.push(PortalDrift::Quantity);
    }
    if allows("price") {
        drifts.extend(changed_otherwise(update));
        drifts.extend(sold_otherwise(update, catalogue));
    }
    drifts
}

/// How a change of tier is made otherwise than at our own door.
fn changed_otherwise(update: &wire::PortalUpdate) -> Vec<PortalDrift> {
    let proration = Some(&update.proration_behavior).filter(|it| *it != "always_invoice");
    let anchor = update
        .billing_cycle_anchor
        .as_ref()
        .filter(|it| *it != "unchanged");
    let conditions = &update.schedule_at_period_end.conditions;
    let waits = |kind: &&str| conditions.iter().any(|condition| condition.kind == *kind);
    let at_once = AT_PERIOD_END.into_iter().filter(|kind| !waits(kind));
    proration
        .cloned()
        .map(PortalDrift::Proration)
        .into_iter()
        .chain(anchor.cloned().map(PortalDrift::Anchor))
        .chain(at_once.map(PortalDrift::AtOnce))
        .collect()
}

/// What can be chosen and is not one of the catalogue's monthly prices.
fn sold_otherwise(update: &wire::PortalUpdate, catalogue: &Catalogue) -> Vec<PortalDrift> {
    let Some(products) = &update.products else {
        return vec![PortalDrift::Hidden];
    };
    let prices = products.iter().flat_map(|product| &product.prices);
    prices.filter_map(|price| otherwise(price, catalogue)).collect()
}

fn otherwise(price: &str, catalogue: &Catalogue) -> Option<PortalDrift> {
    let named = price.to_owned();
    match catalogue.sold(price) {
        None => Some(PortalDrift::Unsold(named)),
        Some((_, Interval::Year)) => Some(PortalDrift::Yearly(named)),
        Some((tier, Interval::Month)) => {
            (!is_present(price, tier, catalogue)).then_some(PortalDrift::Former(named))
        }
    }
}

fn is_present(price: &str, tier: Tier, catalogue: &Catalogue) -> bool {
    let present = catalogue.price(tier, Interval::Month);
    present.is_some_and(|present| present.id == price)
}

#[cfg(test)]
mod tests;
