//! What each path does: parameters in, an object out.

use serde_json::Value;

use super::expand::expand;
use super::form::Params;
use super::{billing, catalogue, clocks, customers, money};
use crate::stripe::json;
use crate::stripe::refusal::Refusal;
use crate::stripe::table::{Named, Table};
use crate::stripe::world::World;

/// One request.
pub(super) struct Call {
    pub(super) method: String,
    /// From the slash on, without the query.
    pub(super) path: String,
    pub(super) params: Params,
}

/// Does what is asked.
pub(super) fn answer(world: &mut World, call: &Call) -> Result<Value, Refusal> {
    let mut params = call.params.clone();
    let paths = params.texts("expand");
    let mut value = route(world, call, params)?;
    for path in paths {
        expand(world, &mut value, &path)?;
    }
    Ok(value)
}

fn route(world: &mut World, call: &Call, params: Params) -> Result<Value, Refusal> {
    let path = call.path.strip_prefix("/v1/").unwrap_or_default();
    let segments: Vec<&str> = path.split('/').collect();
    match (call.method.as_str(), segments.as_slice()) {
        ("POST", ["customers"]) => customers::create(world, params),
        ("GET", ["customers", id]) => customers::retrieve(world, id, params),
        ("POST", ["customers", id]) => customers::update(world, id, params),
        ("DELETE", ["customers", id]) => customers::delete(world, id, params),
        ("POST", ["payment_methods", id, "attach"]) => customers::attach(world, id, params),
        ("GET", ["payment_methods", id]) => money::by_id(world, "payment_method", id, params),
        ("POST", ["products"]) => catalogue::create_product(world, params),
        ("GET", ["products"]) => catalogue::products(world, params),
        ("GET", ["products", id]) => catalogue::product(world, id, params),
        ("POST", ["prices"]) => catalogue::create_price(world, params),
        ("GET", ["prices"]) => catalogue::prices(world, params),
        ("GET", ["prices", id]) => catalogue::price(world, id, params),
        ("POST", ["checkout", "sessions"]) => customers::create_session(world, params),
        ("GET", ["checkout", "sessions", id]) => customers::session(world, id, params),
        ("POST", ["checkout", "sessions", id, "expire"]) => customers::expire(world, id, params),
        ("POST", ["billing_portal", "sessions"]) => customers::create_portal(world, params),
        ("GET", ["billing_portal", "configurations"]) => customers::portal_configurations(world, params),
        ("GET", ["billing_portal", "configurations", id]) => {
            customers::portal_configuration(world, id, params)
        }
        ("POST", ["test_helpers", "test_clocks"]) => clocks::create(world, params),
        ("GET", ["test_helpers", "test_clocks", id]) => clocks::retrieve(world, id, params),
        ("DELETE", ["test_helpers", "test_clocks", id]) => clocks::delete(world, id, params),
        ("POST", ["test_helpers", "test_clocks", id, "advance"]) => clocks::advance(world, id, params),

        ("POST", ["subscriptions"]) => billing::create(world, params),
        ("GET", ["subscriptions"]) => billing::subscriptions(world, params),
        ("GET", ["subscriptions", id]) => billing::subscription(world, id, params),
        ("POST", ["subscriptions", id]) => billing::update(world, id, params),
        ("DELETE", ["subscriptions", id]) => billing::cancel(world, id, params),
        ("POST", ["subscription_schedules"]) => billing::create_schedule(world, params),
        ("GET", ["subscription_schedules", id]) => billing::schedule(world, id, params),
        ("POST", ["subscription_schedules", id]) => billing::update_schedule(world, id, params),
        ("POST", ["subscription_schedules", id, "release"]) => billing::release(world, id, params),
        ("POST", ["subscription_schedules", id, "cancel"]) => billing::cancel_schedule(world, id, params),
        ("GET", ["invoices"]) => billing::invoices(world, params),
        ("POST", ["invoices", "create_preview"]) => billing::preview(world, params),
        ("GET", ["invoices", id]) => billing::invoice(world, id, params),
        ("GET", ["invoices", id, "lines"]) => billing::lines(world, id, params),
        ("POST", ["invoices", id, "pay"]) => billing::pay(world, id, params),
        ("POST", ["invoices", id, "void"]) => billing::void(world, id, params),

        ("GET", ["invoice_payments"]) => money::invoice_payments(world, params),
        ("GET", ["payment_intents"]) => money::intents(world, params),
        ("GET", ["payment_intents", id]) => money::by_id(world, "payment_intent", id, params),
        ("GET", ["charges"]) => money::charges(world, params),
        ("GET", ["charges", id]) => money::by_id(world, "charge", id, params),
        ("POST", ["refunds"]) => money::refund(world, params),
        ("GET", ["refunds"]) => money::refunds(world, params),
        ("GET", ["refunds", id]) => money::by_id(world, "refund", id, params),
        ("GET", ["disputes"]) => money::disputes(world, params),
        ("GET", ["disputes", id]) => money::by_id(world, "dispute", id, params),
        ("GET", ["events"]) => money::events(world, params),
        ("GET", ["events", id]) => money::event(world, id, params),
        (method, _) => Err(Refusal {
            status: 404,
            ..Refusal::invalid(format!(
                "Unrecognized request URL ({method}: {}), or one that this local Stripe does not have.",
                call.path
            ))
        }),
    }
}

/// Where a page of a list begins, and how long it is.
pub(super) struct Page {
    limit: usize,
    after: Option<String>,
    before: Option<String>,
}

impl Page {
    pub(super) fn read(params: &mut Params) -> Result<Self, Refusal> {
        let limit: usize = params.integer("limit")?.unwrap_or(10);
        if !(1..=100).contains(&limit) {
            let message = "This value must be between 1 and 100.";
            return Err(Refusal::param("parameter_invalid_integer", "limit", message));
        }
        Ok(Self {
            limit,
            after: params.text("starting_after")?,
            before: params.text("ending_before")?,
        })
    }

    /// The page of what `wanted` lets through, newest first.
    pub(super) fn of<T: Named + Clone>(
        &self,
        url: &str,
        table: &Table<T>,
        wanted: impl Fn(&T) -> bool,
        render: impl Fn(&T) -> Value,
    ) -> Result<Value, Refusal> {
        let rows = table.iter().rev().filter(|row| wanted(row)).map(AsRef::as_ref);
        self.cut(url, rows.collect(), Named::id, render)
    }

    /// The page of `rows`.
    pub(super) fn cut<T>(
        &self,
        url: &str,
        rows: Vec<&T>,
        id: impl Fn(&T) -> &str,
        render: impl Fn(&T) -> Value,
    ) -> Result<Value, Refusal> {
        let place = |cursor: &str, param: &str| {
            rows.iter()
                .position(|row| id(row) == cursor)
                .ok_or_else(|| Refusal::missing_in(param, "object", cursor))
        };
        let (from, to) = match (&self.after, &self.before) {
            (Some(cursor), _) => (place(cursor, "starting_after")? + 1, rows.len()),
            (None, Some(cursor)) => {
                let end = place(cursor, "ending_before")?;
                (end.saturating_sub(self.limit), end)
            }
            (None, None) => (0, rows.len()),
        };
        let page = rows.iter().take(to).skip(from).take(self.limit);
        let data: Vec<Value> = page.map(|row| render(row)).collect();
        let has_more = match self.before {
            Some(_) if self.after.is_none() => from > 0,
            _ => from + data.len() < to,
        };
        Ok(json::list(url, data, has_more))
    }
}
