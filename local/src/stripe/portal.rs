//! The billing portal: where a customer changes, cancels and pays without us.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::change::{PaymentBehavior, Proration, Update};
use super::customer::By;
use super::payment::Attempt;
use super::refusal::Refusal;
use super::schedule::NewPhase;
use super::subscription::Subscription;
use super::table::Named;
use super::world::{Metadata, World};

/// The portal's only configuration.
pub const CONFIGURATION: &str = "bpc_local";

/// How the portal's configuration lets customers change their plan. The default is what README asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortalChanges {
    /// What happens to the time already paid.
    pub proration: Proration,
    /// Whether a lower price waits for the next period (`schedule_at_period_end`), or counts at once.
    pub lower_at_period_end: bool,
}

impl Default for PortalChanges {
    fn default() -> Self {
        Self {
            proration: Proration::AlwaysInvoice,
            lower_at_period_end: true,
        }
    }
}

/// A visit to the portal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortalSession {
    /// `bps_…`.
    pub id: String,
    /// Unix seconds.
    pub created: i64,
    /// The customer's id.
    pub customer: String,
    /// Where the link back leads.
    pub return_url: Option<String>,
}

impl Named for PortalSession {
    fn id(&self) -> &str {
        &self.id
    }
}

impl World {
    /// Opens the portal for a customer.
    ///
    /// # Errors
    /// There is no such customer, or nobody has saved the portal's settings.
    pub fn create_portal(
        &mut self,
        customer: &str,
        return_url: Option<String>,
    ) -> Result<Arc<PortalSession>, Refusal> {
        self.named_customer(customer)?;
        if !self.account.portal_saved {
            let message = "No configuration provided and your test mode default configuration has not been created. Provide a configuration or create your default by saving your customer portal settings in test mode.";
            return Err(Refusal::invalid(message));
        }
        let id = self.mint("bps_");
        Ok(self.portals.insert(PortalSession {
            id,
            created: self.now,
            customer: customer.to_owned(),
            return_url,
        }))
    }

    /// The customer chooses another price. As the configuration says, by default: more is charged at once and waits for
    /// its payment, less begins with the next period, by a schedule.
    ///
    /// # Errors
    /// As for [`World::update_subscription`] and [`World::update_schedule`].
    pub fn portal_change(&mut self, subscription: &str, price: &str) -> Result<(), Refusal> {
        let before = Arc::clone(self.subscription(subscription)?);
        let catalogue = &self.account.catalogue;
        let dearer = catalogue.cents(price) > catalogue.cents(&before.price);
        let settings = self.account.portal_changes;
        if !dearer && settings.lower_at_period_end {
            return self.portal_downgrade(&before, price);
        }
        if let Some(schedule) = &before.schedule {
            self.release_schedule(schedule)?;
        }
        let update = Update {
            item: Some(before.item.clone()),
            price: Some(price.to_owned()),
            proration: settings.proration,
            payment: PaymentBehavior::PendingIfIncomplete,
            ..Update::default()
        };
        self.update_subscription(subscription, &update).map(drop)
    }

    /// The customer ends a subscription with its period, or changes their mind.
    ///
    /// # Errors
    /// As for [`World::update_subscription`].
    pub fn portal_cancel(&mut self, subscription: &str, cancel: bool) -> Result<(), Refusal> {
        let before = Arc::clone(self.subscription(subscription)?);
        if let Some(schedule) = &before.schedule {
            self.release_schedule(schedule)?;
        }
        let update = Update {
            cancel_at_period_end: Some(cancel),
            ..Update::default()
        };
        self.update_subscription(subscription, &update).map(drop)
    }

    /// The customer pays the newest invoice of a subscription.
    ///
    /// # Errors
    /// There is none, or it is paid or void.
    pub fn portal_pay(&mut self, subscription: &str) -> Result<Attempt, Refusal> {
        let found = self.subscription(subscription)?;
        let invoice = found.latest_invoice.clone().unwrap_or_default();
        self.pay_invoice(&invoice, By::Customer)
    }

    fn portal_downgrade(&mut self, before: &Subscription, price: &str) -> Result<(), Refusal> {
        self.account.catalogue.choosable(price, "price")?;
        let schedule = match &before.schedule {
            Some(schedule) => Arc::clone(self.schedule(schedule)?),
            None => self.create_schedule(&before.id)?,
        };
        let start = schedule.phases.get(schedule.current).map(|phase| phase.start);
        let phases = [
            NewPhase {
                price: before.price.clone(),
                start,
                end: Some(before.period.end),
                ..NewPhase::default()
            },
            NewPhase {
                price: price.to_owned(),
                proration: Proration::None,
                ..NewPhase::default()
            },
        ];
        self.update_schedule(&schedule.id, Some(&phases), None, &Metadata::new())
            .map(drop)
    }
}
