//! What we change at Stripe. Each call may be repeated: by its idempotency key, or because doing it twice is
//! doing it once.

use std::collections::HashMap;

use stripe_billing::subscription::{
    CancelSubscription, UpdateSubscription, UpdateSubscriptionItems, UpdateSubscriptionPaymentBehavior,
    UpdateSubscriptionProrationBehavior,
};
use stripe_billing::subscription_schedule::{
    CreateSubscriptionSchedule, ReleaseSubscriptionSchedule, UpdateSubscriptionSchedule,
    UpdateSubscriptionSchedulePhases, UpdateSubscriptionSchedulePhasesDuration,
    UpdateSubscriptionSchedulePhasesDurationInterval, UpdateSubscriptionSchedulePhasesEndDate,
    UpdateSubscriptionSchedulePhasesItems, UpdateSubscriptionSchedulePhasesProrationBehavior,
    UpdateSubscriptionSchedulePhasesStartDate,
};
use stripe_checkout::checkout_session::{
    CreateCheckoutSession, CreateCheckoutSessionLineItems, CreateCheckoutSessionSubscriptionData,
    ExpireCheckoutSession,
};
use stripe_client_core::StripeRequest;
use stripe_core::customer::CreateCustomer;
use stripe_shared::{CheckoutSessionLocale, CheckoutSessionMode, SubscriptionScheduleEndBehavior};

use super::client::Stripe;
use super::refusal::Refusal;
use super::wire;
use crate::domain::Language;
use crate::domain::catalogue::Interval;
use crate::domain::ids::AccountId;
use crate::domain::time::UnixMillis;

/// Under this name a customer, a session and a subscription carry their account's id.
pub(super) const ACCOUNT: &str = "account";

/// A checkout to begin.
#[derive(Debug, Clone)]
pub struct Order<'a> {
    /// Who buys.
    pub account: AccountId,
    /// Its customer.
    pub customer: &'a str,
    /// What is bought.
    pub price: &'a str,
    /// The page's language.
    pub language: Language,
    /// Where the browser goes once it is paid.
    pub success_url: &'a str,
    /// Where it goes otherwise.
    pub cancel_url: &'a str,
    /// Until when it can be paid: half an hour to a day from now.
    pub expires_at: UnixMillis,
    /// The same for the same order: a second click finds the first one's session.
    pub key: &'a str,
}

impl Stripe {
    /// Creates a customer of the account's, who is written to in `language`; Checkout asks for the address. The same
    /// `attempt` in a language within a day is the same customer, or the same failure; of several, whoever is linked to
    /// the account first is its customer (`Store::link_customer`).
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn create_customer(
        &self,
        account: AccountId,
        language: Language,
        attempt: &str,
    ) -> Result<String, Refusal> {
        let locale = match language {
            Language::Fr => "fr",
            Language::En => "en",
        };
        let create = CreateCustomer::new()
            .metadata(of(account))
            .preferred_locales([locale.to_owned()]);
        let key = format!("customer-{account}-{locale}-{attempt}");
        let customer: wire::Id = self.ask(create.build(), Some(&key)).await?;
        Ok(customer.id)
    }

    /// Begins a checkout for a subscription.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn create_checkout(&self, order: &Order<'_>) -> Result<wire::CheckoutSession, Refusal> {
        let item = CreateCheckoutSessionLineItems {
            price: Some(order.price.to_owned()),
            quantity: Some(1),
            ..CreateCheckoutSessionLineItems::new()
        };
        let subscription = CreateCheckoutSessionSubscriptionData {
            metadata: Some(of(order.account)),
            ..CreateCheckoutSessionSubscriptionData::new()
        };
        let create = CreateCheckoutSession::new()
            .mode(CheckoutSessionMode::Subscription)
            .customer(order.customer)
            .client_reference_id(order.account.to_string())
            .metadata(of(order.account))
            .line_items([item])
            .subscription_data(subscription)
            .locale(match order.language {
                Language::Fr => CheckoutSessionLocale::Fr,
                Language::En => CheckoutSessionLocale::En,
            })
            .success_url(order.success_url)
            .cancel_url(order.cancel_url)
            .expires_at(order.expires_at.get() / 1000);
        self.ask(create.build(), Some(order.key)).await
    }

    /// Closes a checkout that was not paid.
    ///
    /// # Errors
    /// [`Refusal`]; `Refused` when it is no longer open.
    pub async fn expire_checkout(&self, session: &str) -> Result<wire::CheckoutSession, Refusal> {
        self.ask(ExpireCheckoutSession::new(session).build(), None).await
    }

    /// Moves a subscription to another price at once: the difference is invoiced now, and until it is paid the
    /// old price stays (`pending_update`). A schedule must be released before.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn change_price(
        &self,
        subscription: &str,
        item: &str,
        price: &str,
    ) -> Result<wire::Subscription, Refusal> {
        let item = UpdateSubscriptionItems {
            id: Some(item.to_owned()),
            price: Some(price.to_owned()),
            ..UpdateSubscriptionItems::new()
        };
        let update = UpdateSubscription::new(subscription)
            .items([item])
            .proration_behavior(UpdateSubscriptionProrationBehavior::AlwaysInvoice)
            .payment_behavior(UpdateSubscriptionPaymentBehavior::PendingIfIncomplete);
        // Asked twice, the second finds the price as it wants it. A key of the change's own would give a declined
        // card's answer again for a day, whatever card there is by then.
        self.ask(update.build(), None).await
    }

    /// Lets a subscription end with its period, or go on after all.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn cancel_at_period_end(
        &self,
        subscription: &str,
        cancel: bool,
    ) -> Result<wire::Subscription, Refusal> {
        let update = UpdateSubscription::new(subscription).cancel_at_period_end(cancel);
        self.ask(update.build(), None).await
    }

    /// From its next period on, the subscription has another price; nothing is prorated. Asked again, with the
    /// same price or a third, the last word holds.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn change_price_at_period_end(
        &self,
        subscription: &wire::Subscription,
        price: &str,
        interval: Interval,
    ) -> Result<wire::Schedule, Refusal> {
        let active = |schedule: &&wire::Schedule| schedule.status == "active";
        let existing = subscription.schedule.as_ref().and_then(|it| it.object());
        let schedule = match existing.filter(active) {
            Some(schedule) => schedule.clone(),
            None => {
                let create = CreateSubscriptionSchedule::new().from_subscription(&subscription.id);
                self.ask(create.build(), None).await?
            }
        };
        let refused = |code: &str| Refusal::Refused {
            status: 400,
            code: code.to_owned(),
        };
        let current = schedule
            .current_phase
            .ok_or_else(|| refused("schedule_without_phase"))?;
        let item = subscription
            .items
            .data
            .first()
            .ok_or_else(|| refused("subscription_without_item"))?;
        let paid = |price: &str| UpdateSubscriptionSchedulePhasesItems {
            price: Some(price.to_owned()),
            quantity: Some(1),
            ..UpdateSubscriptionSchedulePhasesItems::new()
        };
        let now = UpdateSubscriptionSchedulePhases {
            start_date: Some(UpdateSubscriptionSchedulePhasesStartDate::Timestamp(
                current.start_date,
            )),
            end_date: Some(UpdateSubscriptionSchedulePhasesEndDate::Timestamp(
                current.end_date,
            )),
            ..UpdateSubscriptionSchedulePhases::new([paid(&item.price.id)])
        };
        let every = UpdateSubscriptionSchedulePhasesDuration::new(match interval {
            Interval::Month => UpdateSubscriptionSchedulePhasesDurationInterval::Month,
            Interval::Year => UpdateSubscriptionSchedulePhasesDurationInterval::Year,
        });
        let next = UpdateSubscriptionSchedulePhases {
            duration: Some(every),
            proration_behavior: Some(UpdateSubscriptionSchedulePhasesProrationBehavior::None),
            ..UpdateSubscriptionSchedulePhases::new([paid(price)])
        };
        let update = UpdateSubscriptionSchedule::new(schedule.id.as_str())
            .phases([now, next])
            .end_behavior(SubscriptionScheduleEndBehavior::Release);
        self.ask(update.build(), None).await
    }

    /// Takes back what a schedule would have changed; the subscription goes on as it is.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn release_schedule(&self, schedule: &str) -> Result<(), Refusal> {
        let release = ReleaseSubscriptionSchedule::new(schedule);
        let _released: wire::Id = self.ask(release.build(), None).await?;
        Ok(())
    }

    /// Ends a subscription now. One that has ended already is as good.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn cancel_now(&self, subscription: &str) -> Result<(), Refusal> {
        let cancel = CancelSubscription::new(subscription);
        match self.ask::<wire::Id>(cancel.build(), None).await {
            Ok(_) | Err(Refusal::Missing) => Ok(()),
            Err(other) => Err(other),
        }
    }
}

fn of(account: AccountId) -> HashMap<String, String> {
    HashMap::from([(ACCOUNT.to_owned(), account.to_string())])
}
