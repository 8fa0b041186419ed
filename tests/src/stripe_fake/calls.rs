//! Every call that we make of `async-stripe` parses the answer.

use std::collections::HashMap;

use local::stripe::portal::CONFIGURATION;
use stripe::StripeError;
use stripe_billing::billing_portal_configuration::{
    ListBillingPortalConfiguration, RetrieveBillingPortalConfiguration,
};
use stripe_billing::billing_portal_session::CreateBillingPortalSession;
use stripe_billing::invoice::{ListInvoice, PayInvoice, RetrieveInvoice};
use stripe_billing::subscription::{
    CancelSubscription, ListSubscription, ListSubscriptionStatus, RetrieveSubscription, UpdateSubscription,
    UpdateSubscriptionItems, UpdateSubscriptionPaymentBehavior, UpdateSubscriptionProrationBehavior,
};
use stripe_billing::subscription_schedule::{
    CreateSubscriptionSchedule, ReleaseSubscriptionSchedule, RetrieveSubscriptionSchedule,
    UpdateSubscriptionSchedule, UpdateSubscriptionSchedulePhases, UpdateSubscriptionSchedulePhasesEndDate,
    UpdateSubscriptionSchedulePhasesItems, UpdateSubscriptionSchedulePhasesProrationBehavior,
    UpdateSubscriptionSchedulePhasesStartDate,
};
use stripe_checkout::checkout_session::{
    CreateCheckoutSession, CreateCheckoutSessionLineItems, CreateCheckoutSessionSubscriptionData,
    ExpireCheckoutSession, RetrieveCheckoutSession,
};
use stripe_core::charge::ListCharge;
use stripe_core::customer::{CreateCustomer, DeleteCustomer, RetrieveCustomer, RetrieveCustomerReturned};
use stripe_core::event::{ListEvent, RetrieveEvent};
use stripe_core::payment_intent::ListPaymentIntent;
use stripe_core::refund::CreateRefund;
use stripe_product::price::RetrievePrice;
use stripe_shared::{
    CheckoutSessionMode, CheckoutSessionStatus, InvoiceStatus, SubscriptionScheduleEndBehavior,
    SubscriptionScheduleStatus, SubscriptionStatus,
};

use super::*;

#[tokio::test]
async fn a_customer_is_made_found_and_deleted() {
    let fake = Fake::start().await;
    let metadata = HashMap::from([("account".to_owned(), "019a".to_owned())]);
    let made = CreateCustomer::new()
        .email("b@exemple.fr")
        .name("B. Martin")
        .metadata(metadata.clone())
        .send(&fake.client)
        .await
        .unwrap();
    assert_eq!(made.metadata, Some(metadata));
    let found = RetrieveCustomer::new(made.id.clone())
        .send(&fake.client)
        .await
        .unwrap();
    assert!(
        matches!(found, RetrieveCustomerReturned::Customer(it) if it.email.as_deref() == Some("b@exemple.fr"))
    );
    DeleteCustomer::new(made.id.clone())
        .send(&fake.client)
        .await
        .unwrap();
    let gone = RetrieveCustomer::new(made.id).send(&fake.client).await.unwrap();
    assert!(matches!(gone, RetrieveCustomerReturned::DeletedCustomer(_)));
    let absent = RetrieveCustomer::new("cus_none").send(&fake.client).await;
    assert!(matches!(absent, Err(StripeError::Stripe(error, 404)) if error.param.as_deref() == Some("id")));
}

#[tokio::test]
async fn a_checkout_session_is_made_found_expanded_and_expired() {
    let fake = Fake::start().await;
    let line = CreateCheckoutSessionLineItems {
        price: Some(PRO.to_owned()),
        quantity: Some(1),
        ..CreateCheckoutSessionLineItems::new()
    };
    let subscription = CreateCheckoutSessionSubscriptionData {
        metadata: Some(HashMap::from([("account".to_owned(), "019a".to_owned())])),
        ..CreateCheckoutSessionSubscriptionData::new()
    };
    let made = CreateCheckoutSession::new()
        .mode(CheckoutSessionMode::Subscription)
        .customer(fake.customer.as_str())
        .client_reference_id("019a")
        .line_items(vec![line])
        .subscription_data(subscription)
        .success_url("http://app.local/retour?session={CHECKOUT_SESSION_ID}")
        .cancel_url("http://app.local/formules")
        .send(&fake.client)
        .await
        .unwrap();
    assert!(made.url.is_some_and(|url| url.contains("/c/pay/")));
    fake.stripe
        .with(|world| world.pay(made.id.as_str(), Card::Ok).unwrap());
    let paid = RetrieveCheckoutSession::new(made.id)
        .expand(["subscription".to_owned()])
        .send(&fake.client)
        .await
        .unwrap();
    let subscription = paid.subscription.unwrap();
    let subscription = subscription.as_object().expect("expanded");
    assert_eq!(subscription.status, SubscriptionStatus::Active);
    assert_eq!(subscription.metadata["account"], "019a");
    let other = fake.session(ESSENTIEL);
    let expired = ExpireCheckoutSession::new(other)
        .send(&fake.client)
        .await
        .unwrap();
    assert_eq!(expired.status, Some(CheckoutSessionStatus::Expired));
}

#[tokio::test]
async fn the_portal_opens_for_a_customer() {
    let fake = Fake::start().await;
    let opened = CreateBillingPortalSession::new()
        .customer(fake.customer.as_str())
        .return_url("http://app.local/compte")
        .send(&fake.client)
        .await
        .unwrap();
    assert!(opened.url.contains("/p/session/"));
}

#[tokio::test]
async fn the_portals_configuration_shows_what_can_be_chosen_to_who_asks_for_it() {
    let fake = Fake::start().await;
    let shown = RetrieveBillingPortalConfiguration::new(CONFIGURATION);
    let asked = ["features.subscription_update.products".to_owned()];
    let plain = shown.clone().send(&fake.client).await.unwrap();
    assert_eq!(plain.features.subscription_update.products, None);
    let whole = shown.expand(asked).send(&fake.client).await.unwrap();
    let products = whole.features.subscription_update.products.unwrap();
    let prices: Vec<&str> = products
        .iter()
        .flat_map(|product| product.prices.iter().map(String::as_str))
        .collect();
    assert_eq!(prices, [ESSENTIEL, PRO, "price_max_monthly"]);
    let listed = ListBillingPortalConfiguration::new().is_default(true);
    let asked = ["data.features.subscription_update.products".to_owned()];
    let listed = listed.expand(asked).send(&fake.client).await.unwrap();
    let listed = &listed.data[0];
    assert_eq!(listed.id.as_str(), CONFIGURATION);
    assert_eq!(listed.features.subscription_update.products, Some(products));
}

#[tokio::test]
async fn subscriptions_are_listed_with_what_they_lead_to() {
    let fake = Fake::start().await;
    let ended = fake.subscribe(ESSENTIEL, Card::Ok);
    CancelSubscription::new(ended).send(&fake.client).await.unwrap();
    let live = fake.subscribe(PRO, Card::Ok);
    CreateSubscriptionSchedule::new()
        .from_subscription(&live)
        .send(&fake.client)
        .await
        .unwrap();
    let listed = ListSubscription::new()
        .customer(&fake.customer)
        .status(ListSubscriptionStatus::All)
        .expand(["data.latest_invoice".to_owned(), "data.schedule".to_owned()])
        .send(&fake.client)
        .await
        .unwrap();
    let statuses: Vec<_> = listed.data.iter().map(|it| it.status.clone()).collect();
    assert_eq!(
        statuses,
        [SubscriptionStatus::Active, SubscriptionStatus::Canceled]
    );
    let first = &listed.data[0];
    let invoice = first
        .latest_invoice
        .as_ref()
        .unwrap()
        .as_object()
        .expect("expanded");
    assert_eq!(invoice.status, Some(InvoiceStatus::Paid));
    let schedule = first.schedule.as_ref().unwrap().as_object().expect("expanded");
    assert_eq!(schedule.status, SubscriptionScheduleStatus::Active);
    let item = &first.items.data[0];
    assert_eq!((item.price.id.as_str(), item.current_period_start), (PRO, START));
}

#[tokio::test]
async fn a_subscription_changes_its_price_and_its_end() {
    let fake = Fake::start().await;
    let id = fake.subscribe(ESSENTIEL, Card::DeclinedLater);
    let upgrade = || {
        let item = UpdateSubscriptionItems {
            id: Some(fake.item(&id)),
            price: Some(PRO.to_owned()),
            ..UpdateSubscriptionItems::new()
        };
        UpdateSubscription::new(id.as_str())
            .items(vec![item])
            .proration_behavior(UpdateSubscriptionProrationBehavior::AlwaysInvoice)
            .payment_behavior(UpdateSubscriptionPaymentBehavior::PendingIfIncomplete)
    };
    let waiting = upgrade().send(&fake.client).await.unwrap();
    assert!(waiting.pending_update.is_some());
    assert_eq!(waiting.items.data[0].price.id.as_str(), ESSENTIEL);
    fake.stripe
        .with(|world| world.set_card(&fake.customer, Card::Ok).unwrap());
    let changed = upgrade().send(&fake.client).await.unwrap();
    assert_eq!(changed.items.data[0].price.id.as_str(), PRO);
    let ending = UpdateSubscription::new(id.as_str())
        .cancel_at_period_end(true)
        .send(&fake.client)
        .await
        .unwrap();
    assert!(ending.cancel_at_period_end);
    let found = RetrieveSubscription::new(id.as_str())
        .send(&fake.client)
        .await
        .unwrap();
    assert_eq!(found.cancel_at, Some(found.items.data[0].current_period_end));
}

#[tokio::test]
async fn a_schedule_is_made_changed_and_released() {
    let fake = Fake::start().await;
    let id = fake.subscribe(PRO, Card::Ok);
    let made = CreateSubscriptionSchedule::new()
        .from_subscription(&id)
        .send(&fake.client)
        .await
        .unwrap();
    let current = made.current_phase.unwrap();
    let phase = |price: &str| {
        let item = UpdateSubscriptionSchedulePhasesItems {
            price: Some(price.to_owned()),
            quantity: Some(1),
            ..UpdateSubscriptionSchedulePhasesItems::new()
        };
        UpdateSubscriptionSchedulePhases::new(vec![item])
    };
    let phases = vec![
        UpdateSubscriptionSchedulePhases {
            start_date: Some(UpdateSubscriptionSchedulePhasesStartDate::Timestamp(
                current.start_date,
            )),
            end_date: Some(UpdateSubscriptionSchedulePhasesEndDate::Timestamp(
                current.end_date,
            )),
            ..phase(PRO)
        },
        UpdateSubscriptionSchedulePhases {
            proration_behavior: Some(UpdateSubscriptionSchedulePhasesProrationBehavior::None),
            ..phase(ESSENTIEL)
        },
    ];
    let changed = UpdateSubscriptionSchedule::new(made.id.clone())
        .phases(phases)
        .end_behavior(SubscriptionScheduleEndBehavior::Release)
        .send(&fake.client)
        .await
        .unwrap();
    assert_eq!(changed.phases.len(), 2);
    RetrieveSubscriptionSchedule::new(made.id.clone())
        .send(&fake.client)
        .await
        .unwrap();
    let released = ReleaseSubscriptionSchedule::new(made.id)
        .send(&fake.client)
        .await
        .unwrap();
    assert_eq!(released.status, SubscriptionScheduleStatus::Released);
    assert_eq!(released.released_subscription.as_deref(), Some(id.as_str()));
}

#[tokio::test]
async fn invoices_name_their_payment_and_their_subscription() {
    let fake = Fake::start().await;
    let id = fake.subscribe(ESSENTIEL, Card::DeclinedLater);
    fake.stripe.advance(29 * DAY);
    let listed = ListInvoice::new()
        .customer(&fake.customer)
        .expand(["data.payments".to_owned()])
        .send(&fake.client)
        .await
        .unwrap();
    let statuses: Vec<_> = listed.data.iter().map(|it| it.status.clone()).collect();
    assert_eq!(statuses, [Some(InvoiceStatus::Open), Some(InvoiceStatus::Paid)]);
    for invoice in &listed.data {
        let payments = invoice.payments.as_ref().unwrap();
        assert!(payments.data[0].payment.payment_intent.is_some());
        let parent = invoice
            .parent
            .as_ref()
            .unwrap()
            .subscription_details
            .as_ref()
            .unwrap();
        assert_eq!(parent.subscription.id().as_str(), id);
        assert_eq!(invoice.lines.data[0].amount, 900);
    }
    let open = listed.data[0].id.clone().unwrap();
    let declined = PayInvoice::new(open.clone()).send(&fake.client).await;
    assert!(matches!(declined, Err(StripeError::Stripe(error, 402)) if error.payment_intent.is_some()));
    fake.stripe
        .with(|world| world.set_card(&fake.customer, Card::Ok).unwrap());
    let paid = PayInvoice::new(open.clone()).send(&fake.client).await.unwrap();
    assert_eq!(paid.status, Some(InvoiceStatus::Paid));
    RetrieveInvoice::new(open).send(&fake.client).await.unwrap();
}

#[tokio::test]
async fn charges_payments_and_refunds_are_listed_and_made() {
    let fake = Fake::start().await;
    fake.subscribe(ESSENTIEL, Card::Ok);
    let charges = ListCharge::new()
        .customer(&fake.customer)
        .expand(["data.dispute".to_owned()])
        .send(&fake.client)
        .await
        .unwrap();
    let charge = &charges.data[0];
    assert!(charge.paid && !charge.refunded && !charge.disputed);
    let refund = CreateRefund::new()
        .charge(charge.id.as_str())
        .amount(400)
        .send(&fake.client)
        .await
        .unwrap();
    assert_eq!(refund.amount, 400);
    fake.stripe
        .with(|world| world.open_dispute(charge.id.as_str()).unwrap());
    let after = ListCharge::new()
        .customer(&fake.customer)
        .expand(["data.dispute".to_owned()])
        .send(&fake.client)
        .await
        .unwrap();
    assert_eq!(
        (after.data[0].amount_refunded, after.data[0].disputed),
        (400, true)
    );
    let intents = ListPaymentIntent::new()
        .customer(&fake.customer)
        .send(&fake.client)
        .await
        .unwrap();
    assert_eq!(intents.data[0].amount_received, 900);
}

#[tokio::test]
async fn events_are_listed_by_their_delivery() {
    let fake = Fake::start().await;
    fake.subscribe(ESSENTIEL, Card::Ok);
    let lost = ListEvent::new()
        .delivery_success(false)
        .type_("invoice.paid")
        .send(&fake.client)
        .await
        .unwrap();
    assert_eq!(lost.data.len(), 1);
    let event = RetrieveEvent::new(lost.data[0].id.clone())
        .send(&fake.client)
        .await
        .unwrap();
    assert_eq!(event.pending_webhooks, 1);
    let price = RetrievePrice::new(PRO).send(&fake.client).await.unwrap();
    assert_eq!(price.unit_amount, Some(2900));
}
