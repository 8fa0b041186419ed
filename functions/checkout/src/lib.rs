//! Buying, changing and ending a subscription: every answer is what Stripe says now, stored before it is shown.

mod customer;
mod sell;
mod view;

use std::time::Duration;

use axum::Json;
use axum::extract::{FromRef, State};
use shared::billing::{Connection, Stripe};
use shared::clock::Clock;
use shared::domain::Language;
use shared::domain::catalogue::{Catalogue, Interval};
use shared::domain::failure::{Failure, Internal};
use shared::domain::standing::Standing;
use shared::domain::time::UnixMillis;
use shared::http::{Body, Caller, Path, Problem, Query, Sessions};
use shared::store::{Secrets, Store};
use tokio::time::Instant;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use view::{Change, CheckoutQuery, CheckoutView, InvoiceList, PageView, ReturnQuery};

/// For all that one answer asks of Stripe. API Gateway waits for 29 seconds, and its own 504 is no problem that a client
/// can read.
pub const ANSWER_MAX: Duration = Duration::from_secs(20);

/// What the routes need.
#[derive(Clone, FromRef)]
pub struct Doors {
    /// The table.
    pub store: Store,
    /// Where Stripe is.
    pub connection: Connection,
    /// Reads secrets.
    pub secrets: Secrets,
    /// Name of the secret with Stripe's key.
    #[from_ref(skip)]
    pub key_secret: String,
    /// What is sold.
    pub catalogue: Catalogue,
    /// Where the web app is: Stripe's pages send the browser back there.
    #[from_ref(skip)]
    pub web_origin: String,
    /// Id of the configuration that Stripe's portal is opened with, if it is not Stripe's default one.
    #[from_ref(skip)]
    pub portal: Option<String>,
    /// For all that one answer asks of Stripe: [`ANSWER_MAX`].
    #[from_ref(skip)]
    pub answer_max: Duration,
    /// Checks session tokens.
    pub sessions: Sessions,
    /// Tells the time.
    pub clock: Clock,
}

impl Doors {
    fn now(&self) -> UnixMillis {
        UnixMillis::new(self.clock.now_millis())
    }

    async fn stripe(&self) -> Result<Stripe, Failure> {
        let key = self.secrets.get(&self.key_secret).await?;
        self.connection
            .with_key(&key)
            .map(|stripe| stripe.until(Instant::now() + self.answer_max))
            .map_err(|error| Failure::Internal(Internal::new(error.to_string())))
    }
}

/// What parameters alone name: those are not collected.
#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(Interval, Language)))]
struct Named;

/// The function's routes and their contract.
pub fn router(doors: Doors) -> (axum::Router, OpenApi) {
    let routes = OpenApiRouter::with_openapi(Named::openapi())
        .routes(routes!(get_checkout))
        .routes(routes!(get_return))
        .routes(routes!(post_change))
        .routes(routes!(post_keep))
        .routes(routes!(post_portal))
        .routes(routes!(list_invoices));
    shared::http::router(doors, routes)
}

/// Begin a checkout for a paid tier, or go on with the one that was begun: where to pay, and how the account stands.
/// An account that is subscribed already changes its tier with `POST /api/subscription/change`.
#[utoipa::path(get, path = "/api/subscription/checkout/{tier}", tag = "checkout",
    params(("tier" = String, Path, description = "essentiel, pro or max"), CheckoutQuery),
    responses(
        (status = 200, description = "Where to pay, and how the account stands meanwhile.",
            body = CheckoutView),
        Problem))]
async fn get_checkout(
    State(doors): State<Doors>,
    caller: Caller,
    Path(tier): Path<String>,
    Query(query): Query<CheckoutQuery>,
) -> Result<Json<CheckoutView>, Failure> {
    let tier = sell::tier(&tier)?;
    let wish = sell::Wish {
        tier,
        interval: query.interval,
        language: query.language,
    };
    Ok(Json(sell::checkout(&doors, caller.account(), wish).await?))
}

/// Where the browser comes back to from Stripe: the account is brought to what Stripe says before this answers, so
/// that whoever has paid is never still blocked.
#[utoipa::path(get, path = "/api/subscription/return", tag = "checkout", params(ReturnQuery),
    responses(
        (status = 200, description = "How the account stands, as Stripe has just said.", body = Standing),
        Problem))]
async fn get_return(
    State(doors): State<Doors>,
    caller: Caller,
    Query(query): Query<ReturnQuery>,
) -> Result<Json<Standing>, Failure> {
    let standing = sell::came_back(&doors, caller.account(), query.session_id.as_deref()).await?;
    Ok(Json(standing))
}

/// Change the tier: up at once, with the difference invoiced now; down, or to `free`, when the period ends.
#[utoipa::path(post, path = "/api/subscription/change", tag = "checkout", request_body = Change,
    responses(
        (status = 200, description = "How the account stands once the change is made or planned.",
            body = Standing),
        Problem))]
async fn post_change(
    State(doors): State<Doors>,
    caller: Caller,
    Body { value: change, .. }: Body<Change>,
) -> Result<Json<Standing>, Failure> {
    let tier = sell::tier_or_free(&change.tier)?;
    Ok(Json(sell::change(&doors, caller.account(), tier).await?))
}

/// Take back a change that has not happened: the subscription goes on as it is.
#[utoipa::path(post, path = "/api/subscription/keep", tag = "checkout",
    responses(
        (status = 200, description = "How the account stands without the change.", body = Standing),
        Problem))]
async fn post_keep(State(doors): State<Doors>, caller: Caller) -> Result<Json<Standing>, Failure> {
    Ok(Json(sell::keep(&doors, caller.account()).await?))
}

/// Open Stripe's portal: cards, addresses, receipts.
#[utoipa::path(post, path = "/api/subscription/portal", tag = "checkout",
    responses((status = 200, description = "The address of Stripe's portal.", body = PageView), Problem))]
async fn post_portal(State(doors): State<Doors>, caller: Caller) -> Result<Json<PageView>, Failure> {
    let url = sell::portal(&doors, caller.account()).await?;
    Ok(Json(PageView { url }))
}

/// List the account's invoices, newest first.
#[utoipa::path(get, path = "/api/subscription/invoices", tag = "checkout",
    responses((status = 200, description = "The account's invoices.", body = InvoiceList), Problem))]
async fn list_invoices(State(doors): State<Doors>, caller: Caller) -> Result<Json<InvoiceList>, Failure> {
    Ok(Json(sell::invoices(&doors, caller.account()).await?))
}
