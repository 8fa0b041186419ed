use serde_json::{Value, json};

use crate::stripe::calendar::Interval;
use crate::stripe::catalogue::{Price, Product};
use crate::stripe::checkout::{Session, SessionStatus};
use crate::stripe::customer::Customer;
use crate::stripe::portal::{CONFIGURATION, PortalSession};
use crate::stripe::world::Account;

/// A customer; a deleted one is only its id.
#[must_use]
pub fn customer(account: &Account, customer: &Customer) -> Value {
    if customer.deleted {
        return json!({ "id": customer.id, "object": "customer", "deleted": true });
    }
    let details = &customer.details;
    json!({
        "id": customer.id,
        "object": "customer",
        "address": null,
        "balance": customer.balance_cents,
        "created": customer.created,
        "currency": "eur",
        "default_source": null,
        "delinquent": customer.delinquent,
        "description": details.description,
        "email": details.email,
        "invoice_prefix": null,
        "invoice_settings": {
            "custom_fields": null,
            "default_payment_method": customer.payment_method,
            "footer": null,
            "rendering_options": null,
        },
        "livemode": account.livemode,
        "metadata": details.metadata,
        "name": details.name,
        "next_invoice_sequence": customer.next_invoice,
        "phone": null,
        "preferred_locales": details.preferred_locales,
        "shipping": null,
        "tax_exempt": "none",
        "test_clock": customer.test_clock,
    })
}

/// A Checkout session.
#[must_use]
pub fn session(account: &Account, session: &Session) -> Value {
    let asked = &session.asked;
    let cents = account.catalogue.cents(&asked.price);
    let open = session.status == SessionStatus::Open;
    let page = open.then(|| format!("{}/c/pay/{}", account.base_url, session.id));
    let paid = session.status == SessionStatus::Complete;
    // Stripe names the customer that it makes only once the page is paid.
    let customer = session
        .customer
        .as_ref()
        .filter(|_| paid || asked.customer.is_some());
    json!({
        "id": session.id,
        "object": "checkout.session",
        "adaptive_pricing": null,
        "after_expiration": null,
        "allow_promotion_codes": null,
        "amount_subtotal": cents,
        "amount_total": cents,
        "automatic_tax": { "enabled": false, "liability": null, "provider": null, "status": null },
        "billing_address_collection": null,
        "cancel_url": asked.cancel_url,
        "client_reference_id": asked.client_reference_id,
        "client_secret": null,
        "consent": null,
        "consent_collection": null,
        "created": session.created,
        "currency": "eur",
        "currency_conversion": null,
        "custom_fields": [],
        "custom_text": { "after_submit": null, "shipping_address": null, "submit": null },
        "customer": customer,
        "customer_creation": if asked.customer.is_some() { Value::Null } else { "always".into() },
        "customer_details": asked.customer_email.as_ref().map(|email| json!({
            "address": null, "email": email, "name": null, "phone": null, "tax_exempt": "none", "tax_ids": null,
        })),
        "customer_email": asked.customer_email,
        "discounts": [],
        "expires_at": session.expires_at,
        "invoice": session.invoice,
        "invoice_creation": null,
        "livemode": account.livemode,
        "locale": asked.locale,
        "metadata": asked.metadata,
        "mode": "subscription",
        "payment_intent": null,
        "payment_link": null,
        "payment_method_collection": "always",
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "payment_status": if paid { "paid" } else { "unpaid" },
        "phone_number_collection": { "enabled": false },
        "recovered_from": null,
        "setup_intent": null,
        "shipping_cost": null,
        "shipping_options": [],
        "status": session.status.name(),
        "submit_type": null,
        "subscription": session.subscription,
        "success_url": asked.success_url,
        "total_details": { "amount_discount": 0, "amount_shipping": 0, "amount_tax": 0 },
        "ui_mode": "hosted_page",
        "url": page,
    })
}

/// The portal's only configuration, once its settings are saved. What can be chosen comes only when it is expanded.
#[must_use]
pub fn portal_configuration(account: &Account) -> Value {
    let (portal, changes) = (&account.portal, account.portal_changes);
    let waits = if changes.lower_at_period_end {
        json!([{ "type": "decreasing_item_amount" }, { "type": "shortening_interval" }])
    } else {
        json!([])
    };
    json!({
        "id": CONFIGURATION,
        "object": "billing_portal.configuration",
        "active": portal.active,
        "application": null,
        "business_profile": { "headline": null, "privacy_policy_url": null, "terms_of_service_url": null },
        "created": 0,
        "default_return_url": null,
        "features": {
            "customer_update": { "allowed_updates": [], "enabled": false },
            "invoice_history": { "enabled": true },
            "payment_method_update": { "enabled": true, "payment_method_configuration": null },
            "subscription_cancel": {
                "cancellation_reason": { "enabled": false, "options": ["too_expensive", "unused", "other"] },
                "enabled": true,
                "mode": portal.cancel,
                "proration_behavior": "none",
            },
            "subscription_update": {
                "billing_cycle_anchor": portal.anchor,
                "default_allowed_updates": portal.changes,
                "enabled": !portal.changes.is_empty(),
                "proration_behavior": changes.proration.name(),
                "schedule_at_period_end": { "conditions": waits },
                "trial_update_behavior": "end_trial",
            },
        },
        "is_default": true,
        "livemode": account.livemode,
        "login_page": { "enabled": false, "url": null },
        "metadata": {},
        "name": null,
        "updated": 0,
    })
}

/// What can be chosen in the portal: prices by their products.
#[must_use]
pub fn portal_products(account: &Account) -> Value {
    let catalogue = &account.catalogue;
    let chosen = |price: &&Price| match &account.portal.prices {
        Some(prices) => prices.contains(&price.id),
        None => price.active && price.interval == Interval::Month,
    };
    let of = |product: &Product| -> Vec<&str> {
        let prices = catalogue.prices.iter().filter(chosen);
        let its = prices.filter(|price| price.product == product.id);
        its.map(|price| price.id.as_str()).collect()
    };
    let products = catalogue.products.iter().map(|product| (product, of(product)));
    let sold = products.filter(|(_, prices)| !prices.is_empty());
    sold.map(|(product, prices)| {
        json!({
            "adjustable_quantity": { "enabled": false, "maximum": null, "minimum": 1 },
            "prices": prices,
            "product": product.id,
        })
    })
    .collect()
}

/// A portal session.
#[must_use]
pub fn portal(account: &Account, portal: &PortalSession) -> Value {
    json!({
        "id": portal.id,
        "object": "billing_portal.session",
        "configuration": CONFIGURATION,
        "created": portal.created,
        "customer": portal.customer,
        "flow": null,
        "livemode": account.livemode,
        "locale": null,
        "on_behalf_of": null,
        "return_url": portal.return_url,
        "url": format!("{}/p/session/{}", account.base_url, portal.id),
    })
}
