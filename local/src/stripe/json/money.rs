use serde_json::{Value, json};

use crate::stripe::payment::{Charge, Intent, IntentStatus};
use crate::stripe::refund::{Dispute, DisputeStatus, Refund};
use crate::stripe::world::Account;

/// A payment intent.
#[must_use]
pub fn intent(account: &Account, intent: &Intent) -> Value {
    let received = if intent.status == IntentStatus::Succeeded {
        intent.cents
    } else {
        0
    };
    let next_action = (intent.status == IntentStatus::RequiresAction).then(|| {
        let url = format!("{}/i/{}", account.base_url, intent.invoice);
        json!({ "redirect_to_url": { "return_url": null, "url": url }, "type": "redirect_to_url" })
    });
    json!({
        "id": intent.id,
        "object": "payment_intent",
        "amount": intent.cents,
        "amount_capturable": 0,
        "amount_details": { "tip": {} },
        "amount_received": received,
        "application": null,
        "application_fee_amount": null,
        "automatic_payment_methods": null,
        "canceled_at": intent.canceled_at,
        "cancellation_reason": intent.canceled_at.map(|_| "void_invoice"),
        "capture_method": "automatic",
        "client_secret": format!("{}_secret_local", intent.id),
        "confirmation_method": "automatic",
        "created": intent.created,
        "currency": "eur",
        "customer": intent.customer,
        "description": "Subscription",
        "last_payment_error": intent.decline.map(|decline| json!({
            "code": "card_declined",
            "decline_code": decline,
            "message": "Your card was declined.",
            "type": "card_error",
        })),
        "latest_charge": intent.latest_charge,
        "livemode": account.livemode,
        "metadata": {},
        "next_action": next_action,
        "on_behalf_of": null,
        "payment_method": intent.payment_method,
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "processing": null,
        "receipt_email": null,
        "review": null,
        "setup_future_usage": "off_session",
        "shipping": null,
        "source": null,
        "statement_descriptor": null,
        "statement_descriptor_suffix": null,
        "status": intent.status.name(),
        "transfer_data": null,
        "transfer_group": null,
    })
}

/// A charge. `dispute` is there to be expanded, as Stripe still allows.
#[must_use]
pub fn charge(account: &Account, charge: &Charge) -> Value {
    let paid = charge.decline.is_none();
    json!({
        "id": charge.id,
        "object": "charge",
        "amount": charge.cents,
        "amount_captured": if paid { charge.cents } else { 0 },
        "amount_refunded": charge.refunded_cents,
        "application": null,
        "application_fee": null,
        "application_fee_amount": null,
        "balance_transaction": null,
        "billing_details": { "address": null, "email": null, "name": null, "phone": null, "tax_id": null },
        "calculated_statement_descriptor": null,
        "captured": paid,
        "created": charge.created,
        "currency": "eur",
        "customer": charge.customer,
        "description": "Subscription",
        "dispute": charge.dispute,
        "disputed": charge.dispute.is_some(),
        "failure_balance_transaction": null,
        "failure_code": charge.decline.map(|_| "card_declined"),
        "failure_message": charge.decline.map(|_| "Your card was declined."),
        "fraud_details": {},
        "livemode": account.livemode,
        "metadata": {},
        "on_behalf_of": null,
        "outcome": {
            "advice_code": null,
            "network_advice_code": null,
            "network_decline_code": null,
            "network_status": if paid { "approved_by_network" } else { "declined_by_network" },
            "reason": charge.decline,
            "seller_message": null,
            "type": if paid { "authorized" } else { "issuer_declined" },
        },
        "paid": paid,
        "payment_intent": charge.intent,
        "payment_method": charge.payment_method,
        "payment_method_details": {
            "card": {
                "brand": "visa", "country": "FR", "exp_month": 12, "exp_year": 2040, "funding": "credit",
                "last4": "4242",
            },
            "type": "card",
        },
        "receipt_email": null,
        "receipt_number": null,
        "receipt_url": null,
        "refunded": paid && charge.refunded_cents == charge.cents,
        "review": null,
        "shipping": null,
        "source": null,
        "source_transfer": null,
        "statement_descriptor": null,
        "statement_descriptor_suffix": null,
        "status": if paid { "succeeded" } else { "failed" },
        "transfer_data": null,
        "transfer_group": null,
    })
}

/// A refund.
#[must_use]
pub fn refund(refund: &Refund) -> Value {
    json!({
        "id": refund.id,
        "object": "refund",
        "amount": refund.cents,
        "balance_transaction": null,
        "charge": refund.charge,
        "created": refund.created,
        "currency": "eur",
        "destination_details": { "card": { "type": "refund" }, "type": "card" },
        "metadata": refund.metadata,
        "payment_intent": refund.intent,
        "reason": refund.reason,
        "receipt_number": null,
        "source_transfer_reversal": null,
        "status": "succeeded",
        "transfer_reversal": null,
    })
}

/// A dispute.
#[must_use]
pub fn dispute(account: &Account, dispute: &Dispute) -> Value {
    let open = matches!(
        dispute.status,
        DisputeStatus::NeedsResponse | DisputeStatus::WarningNeedsResponse
    );
    let inquiry = dispute.status.is_inquiry();
    json!({
        "id": dispute.id,
        "object": "dispute",
        "amount": dispute.cents,
        "balance_transactions": [],
        "charge": dispute.charge,
        "created": dispute.created,
        "currency": "eur",
        "enhanced_eligibility_types": [],
        "evidence": { "enhanced_evidence": {} },
        "evidence_details": {
            "due_by": open.then_some(dispute.created + 7 * 86_400),
            "enhanced_eligibility": {},
            "has_evidence": false,
            "past_due": false,
            "submission_count": 0,
        },
        "is_charge_refundable": inquiry,
        "livemode": account.livemode,
        "metadata": {},
        "payment_intent": dispute.intent,
        "payment_method_details": {
            "card": {
                "brand": "visa", "case_type": if inquiry { "inquiry" } else { "chargeback" }, "network": "visa",
                "network_reason_code": "10.4",
            },
            "type": "card",
        },
        "reason": "fraudulent",
        "status": dispute.status.name(),
    })
}
