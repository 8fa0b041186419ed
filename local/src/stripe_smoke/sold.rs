//! What is sold: our default catalogue, made in the sandbox or found there again.

use anyhow::ensure;
use serde_json::Value;
use shared::billing::mismatches;
use shared::domain::catalogue::{Catalogue, Interval};
use shared::domain::quota::Tier;

use super::Sandbox;
use super::api::text;

/// An id of ours, so that the next run finds it.
const PRODUCT: &str = "corrigeuse_smoke";

/// A price that is to be there.
struct Wanted {
    tier: Tier,
    /// As Stripe and the catalogue's JSON spell it.
    interval: &'static str,
    cents: u64,
    /// With the amount: another one is another price.
    lookup_key: String,
}

/// Our catalogue with the sandbox's price ids, as the functions compare it with Stripe every night.
pub(super) async fn catalogue(sandbox: &Sandbox) -> anyhow::Result<(Catalogue, String)> {
    let mut json = serde_json::to_value(Catalogue::default())?;
    let wanted = wanted(&Catalogue::default());
    let known = known(sandbox, &wanted).await?;
    let mut made = 0;
    for price in &wanted {
        let found = known
            .iter()
            .find(|it| it["lookup_key"] == price.lookup_key.as_str());
        let id = match found {
            Some(found) => text(found, "id")?,
            None => {
                made += 1;
                make(sandbox, price).await?
            }
        };
        json[price.tier.name()][price.interval]["id"] = id.into();
    }
    let catalogue: Catalogue = serde_json::from_value(json)?;
    let differing = mismatches(&sandbox.stripe, &catalogue).await?;
    ensure!(
        differing.is_empty(),
        "expected the prices of our catalogue, found {differing:?}"
    );
    let found = format!("{} prices, {made} of them made now", wanted.len());
    Ok((catalogue, found))
}

fn wanted(catalogue: &Catalogue) -> Vec<Wanted> {
    let intervals = [(Interval::Month, "month"), (Interval::Year, "year")];
    let each = Tier::ALL
        .into_iter()
        .flat_map(|tier| intervals.map(|(interval, name)| (tier, interval, name)));
    each.filter_map(|(tier, interval, name)| {
        let cents = catalogue.price(tier, interval)?.amount_cents;
        Some(Wanted {
            tier,
            interval: name,
            cents,
            lookup_key: format!("{PRODUCT}_{}_{name}_{cents}", tier.name()),
        })
    })
    .collect()
}

async fn known(sandbox: &Sandbox, wanted: &[Wanted]) -> anyhow::Result<Vec<Value>> {
    let names: Vec<String> = (0..wanted.len())
        .map(|index| format!("lookup_keys[{index}]"))
        .collect();
    let keys = wanted.iter().map(|price| price.lookup_key.as_str());
    let mut query: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(keys).collect();
    query.push(("active", "true"));
    let listed = sandbox.api.get("/v1/prices", &query).await?;
    Ok(listed["data"].as_array().cloned().unwrap_or_default())
}

async fn make(sandbox: &Sandbox, price: &Wanted) -> anyhow::Result<String> {
    let api = &sandbox.api;
    if api.find(&format!("/v1/products/{PRODUCT}")).await?.is_none() {
        let form = [("id", PRODUCT), ("name", "La Corrigeuse, smoke")];
        api.post("/v1/products", &form).await?;
    }
    let cents = price.cents.to_string();
    let form = [
        ("product", PRODUCT),
        ("currency", "eur"),
        ("unit_amount", cents.as_str()),
        ("recurring[interval]", price.interval),
        ("lookup_key", price.lookup_key.as_str()),
        // From one that somebody has archived.
        ("transfer_lookup_key", "true"),
    ];
    text(&api.post("/v1/prices", &form).await?, "id")
}
