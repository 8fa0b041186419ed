use serde_json::{Value, json};

use crate::stripe::schedule::{Phase, Schedule, ScheduleStatus};
use crate::stripe::world::Account;

/// A subscription schedule.
#[must_use]
pub fn schedule(account: &Account, schedule: &Schedule) -> Value {
    let active = schedule.active();
    let current = schedule.phases.get(schedule.current).filter(|_| active);
    let closed = |status| schedule.closed_at.filter(|_| schedule.status == status);
    let released = matches!(
        schedule.status,
        ScheduleStatus::Released | ScheduleStatus::Completed
    );
    json!({
        "id": schedule.id,
        "object": "subscription_schedule",
        "application": null,
        "billing_mode": { "type": "flexible", "flexible": null },
        "canceled_at": closed(ScheduleStatus::Canceled),
        "completed_at": closed(ScheduleStatus::Completed),
        "created": schedule.created,
        "current_phase": current.map(|phase| json!({ "end_date": phase.end, "start_date": phase.start })),
        "customer": schedule.customer,
        "customer_account": null,
        "default_settings": {
            "application_fee_percent": null,
            "automatic_tax": { "disabled_reason": null, "enabled": false, "liability": null },
            "billing_cycle_anchor": "automatic",
            "billing_thresholds": null,
            "collection_method": "charge_automatically",
            "default_payment_method": null,
            "description": null,
            "invoice_settings": {
                "account_tax_ids": null, "days_until_due": null, "issuer": { "type": "self" },
            },
            "on_behalf_of": null,
            "transfer_data": null,
        },
        "end_behavior": schedule.end_behavior.name(),
        "livemode": account.livemode,
        "metadata": schedule.metadata,
        "phases": schedule.phases.iter().map(phase).collect::<Vec<_>>(),
        "released_at": closed(ScheduleStatus::Released),
        "released_subscription": released.then_some(&schedule.subscription),
        "status": schedule.status.name(),
        "subscription": (!released).then_some(&schedule.subscription),
        "test_clock": schedule.test_clock,
    })
}

fn phase(phase: &Phase) -> Value {
    json!({
        "add_invoice_items": [],
        "application_fee_percent": null,
        "billing_cycle_anchor": null,
        "billing_thresholds": null,
        "collection_method": null,
        "currency": "eur",
        "default_payment_method": null,
        "default_tax_rates": [],
        "description": null,
        "discounts": [],
        "end_date": phase.end,
        "invoice_settings": null,
        "items": [{
            "billing_thresholds": null,
            "discounts": [],
            "metadata": {},
            "plan": phase.price,
            "price": phase.price,
            "quantity": 1,
            "tax_rates": [],
        }],
        "metadata": phase.metadata,
        "on_behalf_of": null,
        "proration_behavior": phase.proration.name(),
        "start_date": phase.start,
        "transfer_data": null,
        "trial_end": null,
    })
}
