use serde_json::{Value, json};

use crate::stripe::catalogue::{Price, Product};
use crate::stripe::world::Account;

/// A price.
#[must_use]
pub fn price(account: &Account, price: &Price) -> Value {
    json!({
        "id": price.id,
        "object": "price",
        "active": price.active,
        "billing_scheme": "per_unit",
        "created": price.created,
        "currency": "eur",
        "custom_unit_amount": null,
        "livemode": account.livemode,
        "lookup_key": price.lookup_key,
        "metadata": {},
        "nickname": null,
        "product": price.product,
        "recurring": {
            "interval": price.interval.name(),
            "interval_count": 1,
            "meter": null,
            "trial_period_days": null,
            "usage_type": "licensed",
        },
        "tax_behavior": "inclusive",
        "tiers_mode": null,
        "transform_quantity": null,
        "type": "recurring",
        "unit_amount": price.cents,
        "unit_amount_decimal": price.cents.to_string(),
    })
}

/// The same price in the older form that subscription items still carry.
pub(super) fn plan(account: &Account, price: &Price) -> Value {
    json!({
        "id": price.id,
        "object": "plan",
        "active": price.active,
        "amount": price.cents,
        "amount_decimal": price.cents.to_string(),
        "billing_scheme": "per_unit",
        "created": price.created,
        "currency": "eur",
        "interval": price.interval.name(),
        "interval_count": 1,
        "livemode": account.livemode,
        "metadata": {},
        "meter": null,
        "nickname": null,
        "product": price.product,
        "tiers_mode": null,
        "transform_usage": null,
        "trial_period_days": null,
        "usage_type": "licensed",
    })
}

/// A product.
#[must_use]
pub fn product(account: &Account, product: &Product) -> Value {
    json!({
        "id": product.id,
        "object": "product",
        "active": true,
        "created": product.created,
        "default_price": null,
        "description": null,
        "images": [],
        "livemode": account.livemode,
        "marketing_features": [],
        "metadata": {},
        "name": product.name,
        "package_dimensions": null,
        "shippable": null,
        "statement_descriptor": null,
        "tax_code": null,
        "type": "service",
        "unit_label": null,
        "updated": product.created,
        "url": null,
    })
}
