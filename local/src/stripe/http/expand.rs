//! `expand[]`: ids replaced by what they name.

use serde_json::Value;

use crate::stripe::json;
use crate::stripe::refusal::Refusal;
use crate::stripe::world::World;

/// Stripe's limit.
const DEPTH_MAX: usize = 4;

/// Replaces what `path` names, such as `data.latest_invoice`.
pub(super) fn expand(world: &World, value: &mut Value, path: &str) -> Result<(), Refusal> {
    let fields: Vec<&str> = path.split('.').collect();
    if fields.len() > DEPTH_MAX {
        let message = "You cannot expand more than 4 levels of a property.";
        return Err(Refusal::coded("property_expansion_max_depth", message));
    }
    walk(world, value, &fields)
        .map_err(|field| Refusal::invalid(format!("This property cannot be expanded ({field}).")))
}

fn walk<'a>(world: &World, value: &mut Value, path: &[&'a str]) -> Result<(), &'a str> {
    let Some((field, rest)) = path.split_first() else {
        return Ok(());
    };
    if let Some(elements) = value
        .get_mut("data")
        .filter(|_| *field == "data")
        .and_then(Value::as_array_mut)
    {
        return elements
            .iter_mut()
            .try_for_each(|element| walk(world, element, rest));
    }
    let invoice = value.get("object").is_some_and(|object| object == "invoice");
    if *field == "payments"
        && invoice
        && let Some(payments) = payments_of(world, value)
        && let Some(fields) = value.as_object_mut()
    {
        fields.entry("payments").or_insert(payments);
    }
    if *field == "products"
        && rest.is_empty()
        && value.get("default_allowed_updates").is_some()
        && let Some(fields) = value.as_object_mut()
    {
        fields.insert("products".to_owned(), json::portal_products(&world.account));
        return Ok(());
    }
    match value.get_mut(*field) {
        None => Err(*field),
        Some(Value::Null) => Ok(()),
        Some(inner) => {
            if let Some(object) = inner.as_str().map(|id| by_id(world, id)) {
                *inner = object.ok_or(*field)?;
            } else if !inner.is_object() {
                return Err(*field);
            }
            walk(world, inner, rest)
        }
    }
}

fn payments_of(world: &World, invoice: &Value) -> Option<Value> {
    let invoice = world.invoices().get(invoice.get("id")?.as_str()?)?;
    let intent = world.intent_of(invoice);
    Some(json::payments(&world.account, invoice, intent.as_deref()))
}

/// Any object, known by its id's prefix.
pub(super) fn by_id(world: &World, id: &str) -> Option<Value> {
    let account = &world.account;
    let (prefix, _) = id.rsplit_once('_')?;
    Some(match prefix {
        "cus" => json::customer(account, world.customers().get(id)?),
        "sub" => json::subscription(account, world.subscriptions().get(id)?),
        "sub_sched" => json::schedule(account, world.schedules().get(id)?),
        "in" => json::invoice(account, world.invoices().get(id)?),
        "pi" => json::intent(account, world.intents().get(id)?),
        "ch" => json::charge(account, world.charges().get(id)?),
        "pm" => json::method(account, world.methods().get(id)?),
        "re" => json::refund(world.refunds().get(id)?),
        "du" => json::dispute(account, world.disputes().get(id)?),
        _ if id.starts_with("prod_") => json::product(account, account.catalogue.product(id)?),
        _ if id.starts_with("price_") => json::price(account, account.catalogue.price(id)?),
        _ => return None,
    })
}
