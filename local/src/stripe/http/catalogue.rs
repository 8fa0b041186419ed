//! What is sold.

use serde_json::Value;

use super::api::Page;
use super::form::Params;
use crate::stripe::calendar::Interval;
use crate::stripe::catalogue::NewPrice;
use crate::stripe::json;
use crate::stripe::refusal::Refusal;
use crate::stripe::world::World;

pub(super) fn create_product(world: &mut World, mut params: Params) -> Result<Value, Refusal> {
    let (id, name) = (params.text("id")?, params.needed("name")?);
    params.done()?;
    let product = world.create_product(id, name)?;
    Ok(json::product(&world.account, &product))
}

pub(super) fn products(world: &World, mut params: Params) -> Result<Value, Refusal> {
    let page = Page::read(&mut params)?;
    let active = params.boolean("active")?;
    params.done()?;
    let rows = world.account.catalogue.products.iter();
    let rows = rows.filter(|_| active != Some(false)).collect();
    page.cut(
        "/v1/products",
        rows,
        |it| &it.id,
        |it| json::product(&world.account, it),
    )
}

pub(super) fn product(world: &World, id: &str, params: Params) -> Result<Value, Refusal> {
    params.done()?;
    let product = world.account.catalogue.product(id);
    let product = product.ok_or_else(|| Refusal::missing("product", id))?;
    Ok(json::product(&world.account, product))
}

pub(super) fn create_price(world: &mut World, mut params: Params) -> Result<Value, Refusal> {
    if params.needed("currency")? != "eur" {
        let message = "This local Stripe sells in euros only.";
        return Err(Refusal::param("parameter_invalid_string", "currency", message));
    }
    let mut recurring = params.inner("recurring");
    let intervals = [("month", Interval::Month), ("year", Interval::Year)];
    let interval = recurring.one_of("interval", &intervals)?;
    recurring.only("interval_count", "1")?;
    recurring.done()?;
    let cents: Option<i64> = params.integer("unit_amount")?;
    let new = NewPrice {
        product: params.needed("product")?,
        cents: cents.ok_or_else(|| Refusal::absent("unit_amount"))?,
        interval: interval.ok_or_else(|| Refusal::absent("recurring[interval]"))?,
        lookup_key: params.text("lookup_key")?,
        transfer_lookup_key: params.boolean("transfer_lookup_key")?.unwrap_or_default(),
    };
    params.done()?;
    let price = world.create_price(new)?;
    Ok(json::price(&world.account, &price))
}

pub(super) fn prices(world: &World, mut params: Params) -> Result<Value, Refusal> {
    let page = Page::read(&mut params)?;
    let active = params.boolean("active")?;
    let (product, keys) = (params.text("product")?, params.texts("lookup_keys"));
    params.only("type", "recurring")?;
    params.only("currency", "eur")?;
    params.done()?;
    let rows = world.account.catalogue.prices.iter().filter(|price| {
        active.is_none_or(|active| active == price.active)
            && product.as_ref().is_none_or(|product| *product == price.product)
            && (keys.is_empty() || price.lookup_key.as_ref().is_some_and(|key| keys.contains(key)))
    });
    page.cut(
        "/v1/prices",
        rows.collect(),
        |it| &it.id,
        |it| json::price(&world.account, it),
    )
}

pub(super) fn price(world: &World, id: &str, params: Params) -> Result<Value, Refusal> {
    params.done()?;
    let price = world.account.catalogue.price(id);
    let price = price.ok_or_else(|| Refusal::missing("price", id))?;
    Ok(json::price(&world.account, price))
}
