use serde_json::{Value, json};

use super::catalogue::{plan, price};
use super::list;
use crate::stripe::invoice::{Invoice, InvoiceStatus, Line};
use crate::stripe::payment::{Intent, IntentStatus};
use crate::stripe::subscription::{Ending, PendingUpdate, Subscription};
use crate::stripe::world::Account;

/// A subscription.
#[must_use]
pub fn subscription(account: &Account, subscription: &Subscription) -> Value {
    let items = vec![item(account, subscription, &subscription.price)];
    let url = format!("/v1/subscription_items?subscription={}", subscription.id);
    json!({
        "id": subscription.id,
        "object": "subscription",
        "application": null,
        "application_fee_percent": null,
        "automatic_tax": { "disabled_reason": null, "enabled": false, "liability": null },
        "billing_cycle_anchor": subscription.anchor,
        "billing_cycle_anchor_config": null,
        "billing_mode": { "type": "flexible", "flexible": null },
        "billing_schedules": [],
        "billing_thresholds": null,
        "cancel_at": subscription.cancel_at_period_end.then_some(subscription.period.end),
        "cancel_at_period_end": subscription.cancel_at_period_end,
        "canceled_at": subscription.canceled_at,
        "cancellation_details": {
            "comment": null,
            "feedback": null,
            "reason": subscription.ending.map(|ending| match ending {
                Ending::Requested => "cancellation_requested",
                Ending::PaymentFailed => "payment_failed",
            }),
        },
        "collection_method": "charge_automatically",
        "created": subscription.created,
        "currency": "eur",
        "customer": subscription.customer,
        "customer_account": null,
        "days_until_due": null,
        "default_payment_method": null,
        "default_source": null,
        "default_tax_rates": [],
        "description": null,
        "discounts": [],
        "ended_at": subscription.ended_at,
        "invoice_settings": { "account_tax_ids": null, "issuer": { "type": "self" } },
        "items": list(&url, items, false),
        "latest_invoice": subscription.latest_invoice,
        "livemode": account.livemode,
        "metadata": subscription.metadata,
        "next_pending_invoice_item_invoice": null,
        "on_behalf_of": null,
        "pause_collection": null,
        "payment_settings": {
            "payment_method_options": null,
            "payment_method_types": null,
            "save_default_payment_method": "off",
        },
        "pending_invoice_item_interval": null,
        "pending_setup_intent": null,
        "pending_update": subscription
            .pending_update
            .as_ref()
            .map(|pending| pending_update(account, subscription, pending)),
        "schedule": subscription.schedule,
        "start_date": subscription.created,
        "status": subscription.status.name(),
        "test_clock": subscription.test_clock,
        "transfer_data": null,
        "trial_end": null,
        "trial_settings": { "end_behavior": { "missing_payment_method": "create_invoice" } },
        "trial_start": null,
    })
}

fn pending_update(account: &Account, subscription: &Subscription, pending: &PendingUpdate) -> Value {
    json!({
        "billing_cycle_anchor": pending.anchor,
        "discounts": null,
        "expires_at": pending.expires_at,
        "metadata": null,
        "subscription_items": [item(account, subscription, &pending.price)],
        "trial_end": null,
        "trial_from_plan": null,
    })
}

fn item(account: &Account, subscription: &Subscription, charged: &str) -> Value {
    let found = account.catalogue.price(charged);
    json!({
        "id": subscription.item,
        "object": "subscription_item",
        "billing_thresholds": null,
        "created": subscription.created,
        "current_period_end": subscription.period.end,
        "current_period_start": subscription.period.start,
        "discounts": [],
        "metadata": {},
        "plan": found.map(|found| plan(account, found)),
        "price": found.map(|found| price(account, found)),
        "quantity": 1,
        "subscription": subscription.id,
        "tax_rates": [],
    })
}

/// An invoice shows so many of its lines; the others are a list of their own.
const LINES_SHOWN: usize = 10;

/// An invoice, without its payments: they come only when they are expanded.
#[must_use]
pub fn invoice(account: &Account, invoice: &Invoice) -> Value {
    let total = invoice.total();
    let shown = invoice.lines.iter().take(LINES_SHOWN);
    let lines = shown.map(|it| line(account, invoice, it)).collect();
    let more = invoice.lines.len() > LINES_SHOWN;
    let page = invoice
        .finalized_at
        .map(|_| format!("{}/i/{}", account.base_url, invoice.id));
    json!({
        "id": invoice.id,
        "object": "invoice",
        "account_country": "FR",
        "account_name": "La Corrigeuse (Stripe local)",
        "account_tax_ids": null,
        "amount_due": invoice.amount_due,
        "amount_overpaid": 0,
        "amount_paid": invoice.amount_paid,
        "amount_remaining": invoice.amount_due - invoice.amount_paid,
        "amount_shipping": 0,
        "application": null,
        "attempt_count": invoice.attempts,
        "attempted": invoice.attempts > 0,
        "auto_advance": invoice.auto_advance,
        "automatic_tax": {
            "disabled_reason": null, "enabled": false, "liability": null, "provider": null, "status": null,
        },
        "automatically_finalizes_at": invoice.finalizes_at,
        "billing_reason": invoice.reason.name(),
        "collection_method": "charge_automatically",
        "created": invoice.created,
        "currency": "eur",
        "custom_fields": null,
        "customer": invoice.customer,
        "customer_address": null,
        "customer_email": invoice.customer_email,
        "customer_name": null,
        "customer_phone": null,
        "customer_shipping": null,
        "customer_tax_exempt": "none",
        "customer_tax_ids": [],
        "default_payment_method": null,
        "default_source": null,
        "default_tax_rates": [],
        "description": null,
        "discounts": [],
        "due_date": null,
        "effective_at": invoice.finalized_at,
        "ending_balance": invoice.ending_balance,
        "footer": null,
        "from_invoice": null,
        "hosted_invoice_url": page,
        "invoice_pdf": null,
        "issuer": { "type": "self" },
        "last_finalization_error": null,
        "latest_revision": null,
        "lines": list(&format!("/v1/invoices/{}/lines", invoice.id), lines, more),
        "livemode": account.livemode,
        "metadata": {},
        "next_payment_attempt": invoice.next_attempt,
        "number": invoice.number,
        "on_behalf_of": null,
        "parent": {
            "quote_details": null,
            "subscription_details": {
                "metadata": invoice.subscription_metadata,
                "subscription": invoice.subscription,
            },
            "type": "subscription_details",
        },
        "payment_settings": {
            "default_mandate": null, "payment_method_options": null, "payment_method_types": null,
        },
        "period_end": invoice.period.end,
        "period_start": invoice.period.start,
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "receipt_number": null,
        "rendering": null,
        "shipping_cost": null,
        "shipping_details": null,
        "starting_balance": invoice.starting_balance,
        "statement_descriptor": null,
        "status": invoice.status.name(),
        "status_transitions": {
            "finalized_at": invoice.finalized_at,
            "marked_uncollectible_at": invoice.uncollectible_at,
            "paid_at": invoice.paid_at,
            "voided_at": invoice.voided_at,
        },
        "subtotal": total,
        "subtotal_excluding_tax": total,
        "test_clock": invoice.test_clock,
        "total": total,
        "total_discount_amounts": [],
        "total_excluding_tax": total,
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
        "webhooks_delivered_at": invoice.finalized_at,
    })
}

/// A line of an invoice.
#[must_use]
pub fn line(account: &Account, invoice: &Invoice, line: &Line) -> Value {
    let product = account.catalogue.price(&line.price).map(|price| &price.product);
    let parent = match &line.proration {
        Some(invoice_item) => json!({
            "invoice_item_details": {
                "invoice_item": invoice_item,
                "proration": true,
                "proration_details": { "credited_items": null },
                "subscription": invoice.subscription,
            },
            "subscription_item_details": null,
            "type": "invoice_item_details",
        }),
        None => json!({
            "invoice_item_details": null,
            "subscription_item_details": {
                "invoice_item": null,
                "proration": false,
                "proration_details": { "credited_items": null },
                "subscription": invoice.subscription,
                "subscription_item": invoice.item,
            },
            "type": "subscription_item_details",
        }),
    };
    json!({
        "id": line.id,
        "object": "line_item",
        "amount": line.cents,
        "currency": "eur",
        "description": line.description,
        "discount_amounts": [],
        "discountable": line.proration.is_none(),
        "discounts": [],
        "invoice": invoice.id,
        "livemode": account.livemode,
        "metadata": invoice.subscription_metadata,
        "parent": parent,
        "period": { "end": line.period.end, "start": line.period.start },
        "pretax_credit_amounts": [],
        "pricing": {
            "price_details": { "price": line.price, "product": product },
            "type": "price_details",
            "unit_amount_decimal": line.cents.to_string(),
        },
        "quantity": 1,
        "subscription": invoice.subscription,
        "subtotal": line.cents,
        "taxes": [],
    })
}

/// An invoice's payments, as a list of at most one.
#[must_use]
pub fn payments(account: &Account, invoice: &Invoice, intent: Option<&Intent>) -> Value {
    let data = intent.map(|intent| invoice_payment(account, invoice, intent));
    list("/v1/invoice_payments", data.into_iter().collect(), false)
}

/// What ties an invoice to its payment.
#[must_use]
pub fn invoice_payment(account: &Account, invoice: &Invoice, intent: &Intent) -> Value {
    let paid = intent.status == IntentStatus::Succeeded;
    let status = match intent.status {
        IntentStatus::Succeeded => "paid",
        IntentStatus::Canceled => "canceled",
        IntentStatus::RequiresAction | IntentStatus::RequiresPaymentMethod => "open",
    };
    json!({
        "id": format!("inpay_{}", intent.id.trim_start_matches("pi_")),
        "object": "invoice_payment",
        "amount_paid": (paid && invoice.status == InvoiceStatus::Paid).then_some(intent.cents),
        "amount_requested": intent.cents,
        "created": intent.created,
        "currency": "eur",
        "invoice": invoice.id,
        "is_default": true,
        "livemode": account.livemode,
        "payment": { "payment_intent": intent.id, "type": "payment_intent" },
        "status": status,
        "status_transitions": { "canceled_at": intent.canceled_at, "paid_at": invoice.paid_at.filter(|_| paid) },
    })
}
