//! Customers, what is sold, Checkout and the portal.

use serde_json::{Value, json as object};

use super::api::Page;
use super::form::Params;
use crate::stripe::checkout::NewSession;
use crate::stripe::customer::Details;
use crate::stripe::json;
use crate::stripe::portal::CONFIGURATION;
use crate::stripe::refusal::Refusal;
use crate::stripe::world::World;

pub(super) fn create(world: &mut World, mut params: Params) -> Result<Value, Refusal> {
    let details = details(&mut params)?;
    params.done()?;
    let customer = world.create_customer(details)?;
    Ok(json::customer(&world.account, &customer))
}

pub(super) fn retrieve(world: &World, id: &str, params: Params) -> Result<Value, Refusal> {
    params.done()?;
    let customer = world.customers().get(id);
    let customer = customer.ok_or_else(|| Refusal::missing("customer", id))?;
    Ok(json::customer(&world.account, customer))
}

pub(super) fn update(world: &mut World, id: &str, mut params: Params) -> Result<Value, Refusal> {
    let details = details(&mut params)?;
    params.done()?;
    let customer = world.update_customer(id, &details)?;
    Ok(json::customer(&world.account, &customer))
}

pub(super) fn delete(world: &mut World, id: &str, params: Params) -> Result<Value, Refusal> {
    params.done()?;
    world.delete_customer(id)?;
    Ok(object!({ "id": id, "object": "customer", "deleted": true }))
}

fn details(params: &mut Params) -> Result<Details, Refusal> {
    Ok(Details {
        email: params.text("email")?,
        name: params.text("name")?,
        description: params.text("description")?,
        preferred_locales: params.texts("preferred_locales"),
        metadata: params.metadata("metadata").unwrap_or_default(),
    })
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

pub(super) fn create_session(world: &mut World, mut params: Params) -> Result<Value, Refusal> {
    if params.one_of(
        "mode",
        &[("subscription", true), ("payment", false), ("setup", false)],
    )? != Some(true)
    {
        let message = "This local Stripe opens pages in `subscription` mode only.";
        return Err(Refusal::param("parameter_missing", "mode", message));
    }
    let mut items = params.list("line_items");
    let [item] = items.as_mut_slice() else {
        return Err(Refusal::absent("line_items"));
    };
    let price = item.needed("price")?;
    item.only("quantity", "1")?;
    std::mem::take(item).done()?;
    let mut subscription = params.inner("subscription_data");
    let asked = NewSession {
        customer: params.text("customer")?,
        customer_email: params.text("customer_email")?,
        price,
        success_url: params.text("success_url")?,
        cancel_url: params.text("cancel_url")?,
        client_reference_id: params.text("client_reference_id")?,
        locale: params.text("locale")?,
        metadata: params.metadata("metadata").unwrap_or_default(),
        subscription_metadata: subscription.metadata("metadata").unwrap_or_default(),
        expires_at: params.integer("expires_at")?,
    };
    subscription.inner("billing_mode").only("type", "flexible")?;
    subscription.done()?;
    // Read, and without effect here: there is one card and no tax, voucher or address.
    for (name, word) in [
        ("ui_mode", "hosted_page"),
        ("payment_method_collection", "always"),
    ] {
        params.only(name, word)?;
    }
    for name in [
        "payment_method_types",
        "customer_update",
        "tax_id_collection",
        "automatic_tax",
    ] {
        params.inner(name);
    }
    params.boolean("allow_promotion_codes")?;
    params.one_of("billing_address_collection", &[("auto", ()), ("required", ())])?;
    params.done()?;
    let session = world.create_checkout(asked)?;
    Ok(json::session(&world.account, &session))
}

pub(super) fn session(world: &World, id: &str, params: Params) -> Result<Value, Refusal> {
    params.done()?;
    Ok(json::session(&world.account, world.session(id)?))
}

pub(super) fn expire(world: &mut World, id: &str, params: Params) -> Result<Value, Refusal> {
    params.done()?;
    let session = world.expire_checkout(id)?;
    Ok(json::session(&world.account, &session))
}

pub(super) fn create_portal(world: &mut World, mut params: Params) -> Result<Value, Refusal> {
    let (customer, return_url) = (params.needed("customer")?, params.text("return_url")?);
    if let Some(configuration) = params.text("configuration")?
        && configuration != CONFIGURATION
    {
        return Err(Refusal::missing_in(
            "configuration",
            "configuration",
            &configuration,
        ));
    }
    params.text("locale")?;
    params.done()?;
    let portal = world.create_portal(&customer, return_url)?;
    Ok(json::portal(&world.account, &portal))
}
