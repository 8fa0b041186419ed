//! What we ask of Stripe without changing it.

use serde::de::DeserializeOwned;
use stripe_billing::billing_portal_configuration::{
    ListBillingPortalConfiguration, RetrieveBillingPortalConfiguration,
};
use stripe_billing::billing_portal_session::CreateBillingPortalSession;
use stripe_billing::invoice::ListInvoice;
use stripe_billing::invoice_line_item::ListInvoiceInvoiceLineItem;
use stripe_billing::subscription::{ListSubscription, ListSubscriptionStatus};
use stripe_checkout::checkout_session::RetrieveCheckoutSession;
use stripe_client_core::{RequestBuilder, StripeRequest};
use stripe_core::charge::{ListCharge, RetrieveCharge};
use stripe_core::customer::RetrieveCustomer;
use stripe_core::dispute::ListDispute;
use stripe_core::event::ListEvent;
use stripe_core::payment_intent::RetrievePaymentIntent;
use stripe_product::price::RetrievePrice;
use stripe_types::{RangeBoundsTs, RangeQueryTs};

use super::client::Stripe;
use super::refusal::Refusal;
use super::wire;
use super::wire::Identified;
use crate::domain::time::UnixMillis;

/// Objects of one page: as many as Stripe gives.
const PAGE: i64 = 100;

/// A list, as far as it was read.
#[derive(Debug, Clone)]
pub struct Listed<T> {
    /// The objects, in Stripe's order: newest first, but for lines.
    pub objects: Vec<T>,
    /// Older ones were left out.
    pub cut: bool,
}

impl Stripe {
    /// A customer; a deleted one says so.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn customer(&self, id: &str) -> Result<wire::Customer, Refusal> {
        self.ask(RetrieveCustomer::new(id).build(), None).await
    }

    /// Every subscription that a customer has or had, with its schedule and the customer.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn subscriptions_of(
        &self,
        customer: &str,
        pages_max: u32,
    ) -> Result<Listed<wire::Subscription>, Refusal> {
        self.pages(pages_max, |after| {
            let list = ListSubscription::new()
                .customer(customer)
                .status(ListSubscriptionStatus::All)
                .expand(["data.customer".to_owned(), "data.schedule".to_owned()])
                .limit(PAGE);
            after_or_first(list, after, ListSubscription::starting_after)
        })
        .await
    }

    /// A customer's invoices, with what paid them.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn invoices_of(
        &self,
        customer: &str,
        pages_max: u32,
    ) -> Result<Listed<wire::Invoice>, Refusal> {
        self.pages(pages_max, |after| {
            let list = ListInvoice::new()
                .customer(customer)
                .expand(["data.payments".to_owned()])
                .limit(PAGE);
            after_or_first(list, after, ListInvoice::starting_after)
        })
        .await
    }

    /// The lines of an invoice, of which it shows only the first itself.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn lines_of(&self, invoice: &str, pages_max: u32) -> Result<Listed<wire::Line>, Refusal> {
        self.pages(pages_max, |after| {
            let list = ListInvoiceInvoiceLineItem::new(invoice).limit(PAGE);
            after_or_first(list, after, ListInvoiceInvoiceLineItem::starting_after)
        })
        .await
    }

    /// A customer's charges.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn charges_of(&self, customer: &str, pages_max: u32) -> Result<Listed<wire::Charge>, Refusal> {
        self.pages(pages_max, |after| {
            let list = ListCharge::new().customer(customer).limit(PAGE);
            after_or_first(list, after, ListCharge::starting_after)
        })
        .await
    }

    /// A charge.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn charge(&self, id: &str) -> Result<wire::Charge, Refusal> {
        self.ask(RetrieveCharge::new(id).build(), None).await
    }

    /// The disputes of a charge, newest first. A charge says only that it has some.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn disputes_of(&self, charge: &str) -> Result<Vec<wire::Dispute>, Refusal> {
        let list: wire::List<wire::Dispute> =
            self.ask(ListDispute::new().charge(charge).build(), None).await?;
        Ok(list.data)
    }

    /// A payment intent.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn payment_intent(&self, id: &str) -> Result<wire::PaymentIntent, Refusal> {
        self.ask(RetrievePaymentIntent::new(id).build(), None).await
    }

    /// A checkout session. Its id may come from a browser: compare its account with the caller's.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn checkout(&self, id: &str) -> Result<wire::CheckoutSession, Refusal> {
        // `cs_1/line_items` is another path, and no path at all lists all sessions.
        if !id.starts_with("cs_") || id.contains('/') {
            return Err(Refusal::Missing);
        }
        self.ask(RetrieveCheckoutSession::new(id).build(), None).await
    }

    /// Opens Stripe's portal for a customer and says where it is. It is good for one visit, soon. It is set up as the
    /// named configuration says, or as Stripe's default one.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn portal(
        &self,
        customer: &str,
        return_url: &str,
        configuration: Option<&str>,
    ) -> Result<String, Refusal> {
        let mut create = CreateBillingPortalSession::new()
            .customer(customer)
            .return_url(return_url);
        if let Some(configuration) = configuration {
            create = create.configuration(configuration);
        }
        let session: wire::PortalSession = self.ask(create.build(), None).await?;
        Ok(session.url)
    }

    /// How the portal is set up: by the named configuration, or by Stripe's default one. `None` if Stripe has none of that
    /// id, or if nobody has saved the default one yet.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn portal_configuration(
        &self,
        named: Option<&str>,
    ) -> Result<Option<wire::PortalConfiguration>, Refusal> {
        // What can be chosen there is shown only to who asks for it.
        const PRODUCTS: &str = "features.subscription_update.products";
        let Some(id) = named else {
            let default = ListBillingPortalConfiguration::new()
                .active(true)
                .is_default(true)
                .expand([format!("data.{PRODUCTS}")]);
            let listed: wire::List<_> = self.ask(default.build(), None).await?;
            return Ok(listed.data.into_iter().next());
        };
        let named = RetrieveBillingPortalConfiguration::new(id).expand([PRODUCTS.to_owned()]);
        match self.ask(named.build(), None).await {
            Ok(configuration) => Ok(Some(configuration)),
            Err(Refusal::Missing) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// A price; `None` if Stripe has none by that id.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn price(&self, id: &str) -> Result<Option<wire::Price>, Refusal> {
        match self.ask(RetrievePrice::new(id).build(), None).await {
            Ok(price) => Ok(Some(price)),
            Err(Refusal::Missing) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// One page of all subscriptions that are not ended, from the one after `after`.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn live_subscriptions(
        &self,
        after: Option<&str>,
    ) -> Result<wire::List<wire::Subscription>, Refusal> {
        let list = ListSubscription::new().limit(PAGE);
        let request = after_or_first(list, after, ListSubscription::starting_after);
        self.ask(request, None).await
    }

    /// One page of the events since `since` that no endpoint of ours took, from the one after `after`.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn undelivered(
        &self,
        since: UnixMillis,
        after: Option<&str>,
    ) -> Result<wire::List<wire::Event>, Refusal> {
        let created = RangeBoundsTs {
            gte: Some(since.get() / 1000),
            gt: None,
            lt: None,
            lte: None,
        };
        let list = ListEvent::new()
            .delivery_success(false)
            .created(RangeQueryTs::Bounds(created))
            .limit(PAGE);
        let request = after_or_first(list, after, ListEvent::starting_after);
        self.ask(request, None).await
    }

    /// Page after page, newest first, until the last or the bound.
    async fn pages<T: DeserializeOwned + Identified>(
        &self,
        pages_max: u32,
        request: impl Fn(Option<&str>) -> RequestBuilder,
    ) -> Result<Listed<T>, Refusal> {
        let mut objects: Vec<T> = Vec::new();
        for _ in 0..pages_max {
            let after = objects.last().map(Identified::id);
            let page: wire::List<T> = self.ask(request(after), None).await?;
            let over = !page.has_more || page.data.is_empty();
            objects.extend(page.data);
            if over {
                return Ok(Listed { objects, cut: false });
            }
        }
        Ok(Listed { objects, cut: true })
    }
}

/// The request for the page after `after`, or for the first.
fn after_or_first<L: StripeRequest>(
    list: L,
    after: Option<&str>,
    starting_after: impl FnOnce(L, String) -> L,
) -> RequestBuilder {
    match after {
        Some(after) => starting_after(list, after.to_owned()).build(),
        None => list.build(),
    }
}
