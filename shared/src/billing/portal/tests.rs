use serde_json::{Value, json};

use super::*;

/// What is done to a configuration that is as it must be, and what of it drifts then.
type Case = (fn(&mut Value), &'static [(&'static str, &'static str)]);

const CASES: [Case; 19] = [
    (|_| (), &[]),
    (|it| it["active"] = false.into(), &[("inactive", "`active`")]),
    (
        |it| update(it)["proration_behavior"] = "create_prorations".into(),
        &[("proration", "create_prorations")],
    ),
    (
        |it| update(it)["proration_behavior"] = "none".into(),
        &[("proration", "always_invoice")],
    ),
    (
        |it| update(it)["billing_cycle_anchor"] = "now".into(),
        &[("anchor", "unchanged")],
    ),
    (|it| update(it)["billing_cycle_anchor"] = Value::Null, &[]),
    (
        |it| update(it)["schedule_at_period_end"]["conditions"] = json!([]),
        &[
            ("at-once", "decreasing_item_amount"),
            ("at-once", "shortening_interval"),
        ],
    ),
    (
        |it| {
            update(it)["schedule_at_period_end"]["conditions"] =
                json!([{ "type": "decreasing_item_amount" }]);
        },
        &[("at-once", "shortening_interval")],
    ),
    (
        |it| update(it)["default_allowed_updates"] = json!(["price", "quantity"]),
        &[("quantity", "default_allowed_updates")],
    ),
    (
        |it| update(it)["default_allowed_updates"] = json!(["price", "promotion_code"]),
        &[],
    ),
    (
        |it| drop(update(it).as_object_mut().unwrap().remove("products")),
        &[("hidden", "products")],
    ),
    (
        |it| prices(it, &["price_of_another"]),
        &[("unsold", "price_of_another")],
    ),
    (
        |it| prices(it, &["price_local_pro_month", "price_before"]),
        &[("former", "price_before")],
    ),
    (
        |it| prices(it, &["price_local_pro_year", "price_local_max_year"]),
        &[
            ("yearly", "price_local_pro_year"),
            ("yearly", "price_local_max_year"),
        ],
    ),
    // What is not offered, or not to be changed at all, sells nothing.
    (|it| prices(it, &["price_local_max_month"]), &[]),
    (|it| prices(it, &[]), &[]),
    (
        |it| {
            *update(it) = json!({ "enabled": false, "proration_behavior": "none" });
        },
        &[],
    ),
    (
        |it| cancel(it)["mode"] = "immediately".into(),
        &[("cancellation", "at_period_end")],
    ),
    (
        |it| *cancel(it) = json!({ "enabled": false, "mode": "immediately" }),
        &[],
    ),
];

fn update(configuration: &mut Value) -> &mut Value {
    &mut configuration["features"]["subscription_update"]
}

fn cancel(configuration: &mut Value) -> &mut Value {
    &mut configuration["features"]["subscription_cancel"]
}

fn prices(configuration: &mut Value, ids: &[&str]) {
    update(configuration)["products"] = json!([{ "product": "prod_1", "prices": ids }]);
}

/// Pro was dearer once, or cheaper.
fn catalogue() -> Catalogue {
    let mut catalogue = serde_json::to_value(Catalogue::default()).unwrap();
    catalogue["pro"]["month"]["former"] = json!(["price_before"]);
    serde_json::from_value(catalogue).unwrap()
}

#[test]
fn each_way_in_which_the_portal_sells_otherwise_is_said_with_what_to_set() {
    for (number, (change, expected)) in CASES.into_iter().enumerate() {
        let mut configuration = json!({
            "id": "bpc_1", "active": true,
            "features": {
                "subscription_cancel": { "enabled": true, "mode": "at_period_end" },
                "subscription_update": {
                    "enabled": true,
                    "default_allowed_updates": ["price"],
                    "proration_behavior": "always_invoice",
                    "billing_cycle_anchor": "unchanged",
                    "schedule_at_period_end": {
                        "conditions": [{ "type": "decreasing_item_amount" }, { "type": "shortening_interval" }],
                    },
                    "products": [
                        { "product": "prod_1", "prices": ["price_local_essentiel_month"] },
                        { "product": "prod_2", "prices": ["price_local_pro_month", "price_local_max_month"] },
                    ],
                },
            },
        });
        change(&mut configuration);
        let drifts = portal_drifts(&serde_json::from_value(configuration).unwrap(), &catalogue());
        let codes: Vec<&str> = drifts.iter().map(PortalDrift::code).collect();
        let wanted: Vec<&str> = expected.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes, wanted, "case {number}");
        for (drift, (_, named)) in drifts.iter().zip(expected) {
            assert!(drift.to_string().contains(named), "{drift}");
        }
    }
}
