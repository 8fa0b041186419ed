//! Customers and their cards, Checkout and the portal.

use serde_json::{Value, json as object};

use super::api::Page;
use super::form::Params;
use crate::stripe::checkout::NewSession;
use crate::stripe::customer::{Birth, Details};
use crate::stripe::json;
use crate::stripe::portal::CONFIGURATION;
use crate::stripe::refusal::Refusal;
use crate::stripe::world::World;

pub(super) fn create(world: &mut World, mut params: Params) -> Result<Value, Refusal> {
    let details = details(&mut params)?;
    let birth = Birth {
        payment_method: params.text("payment_method")?,
        default_payment_method: default_method(&mut params)?,
        test_clock: params.text("test_clock")?,
    };
    params.done()?;
    let customer = world.bear_customer(details, birth)?;
    Ok(json::customer(&world.account, &customer))
}

pub(super) fn retrieve(world: &World, id: &str, params: Params) -> Result<Value, Refusal> {
    params.done()?;
    let customer = world.customers().get(id);
    let customer = customer.ok_or_else(|| Refusal::missing("customer", id))?;
    Ok(json::customer(&world.account, customer))
}

pub(super) fn update(world: &mut World, id: &str, mut params: Params) -> Result<Value, Refusal> {
    let (details, method) = (details(&mut params)?, default_method(&mut params)?);
    params.done()?;
    if let Some(method) = &method {
        world.method_of_customer(id, method)?;
    }
    let mut customer = world.update_customer(id, &details)?;
    if let Some(method) = &method {
        customer = world.choose_method(id, method)?;
    }
    Ok(json::customer(&world.account, &customer))
}

pub(super) fn delete(world: &mut World, id: &str, params: Params) -> Result<Value, Refusal> {
    params.done()?;
    world.delete_customer(id)?;
    Ok(object!({ "id": id, "object": "customer", "deleted": true }))
}

/// The card to pay with.
fn default_method(params: &mut Params) -> Result<Option<String>, Refusal> {
    let mut settings = params.inner("invoice_settings");
    let method = settings.text("default_payment_method")?;
    settings.done()?;
    Ok(method)
}

pub(super) fn attach(world: &mut World, id: &str, mut params: Params) -> Result<Value, Refusal> {
    let customer = params.needed("customer")?;
    params.done()?;
    let method = world.attach_method(id, &customer)?;
    Ok(json::method(&world.account, &method))
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

pub(super) fn portal_configurations(world: &World, mut params: Params) -> Result<Value, Refusal> {
    let page = Page::read(&mut params)?;
    let (active, default) = (params.boolean("active")?, params.boolean("is_default")?);
    params.done()?;
    // The only one is the default.
    let account = &world.account;
    let asked = account.portal_saved
        && active.is_none_or(|active| active == account.portal.active)
        && default != Some(false);
    let rows = if asked { vec![&CONFIGURATION] } else { Vec::new() };
    page.cut(
        "/v1/billing_portal/configurations",
        rows,
        |id| id,
        |_| json::portal_configuration(account),
    )
}

pub(super) fn portal_configuration(world: &World, id: &str, params: Params) -> Result<Value, Refusal> {
    params.done()?;
    if id != CONFIGURATION || !world.account.portal_saved {
        return Err(Refusal::missing("configuration", id));
    }
    Ok(json::portal_configuration(&world.account))
}
