//! The shape of every HTTP function: its routes and their contract, and around them what all have.

use axum::extract::FromRef;
use axum::middleware::from_fn_with_state;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi as _};
use utoipa_axum::router::OpenApiRouter;

use super::problem::{Problem, edge};
use crate::clock::Clock;
use crate::domain::failure::{Failure, Noun};

/// What the contracts of all functions share: every route asks for a session, and answers what goes wrong with a
/// [`Problem`], which responses alone name, and those are not collected.
#[derive(utoipa::OpenApi)]
#[openapi(
    components(schemas(Problem)),
    modifiers(&SessionToken),
    security(("session" = []))
)]
struct Shared;

/// How a session is shown, as [`Sessions`](super::Sessions) checks it.
struct SessionToken;

impl Modify for SessionToken {
    fn modify(&self, contract: &mut OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some("An access token, good for fifteen minutes."))
            .build();
        contract
            .components
            .get_or_insert_default()
            .add_security_scheme("session", SecurityScheme::Http(bearer));
    }
}

/// A function's routes, with its doors behind them, and their contract. Each request gets a correlation id and one
/// line in the log; each failure leaves as a problem, and so does a path or a method that no route takes.
pub fn router<D>(doors: D, routes: OpenApiRouter<D>) -> (axum::Router, OpenApi)
where
    D: Clone + Send + Sync + 'static,
    Clock: FromRef<D>,
{
    let clock = Clock::from_ref(&doors);
    let (router, mut contract) = routes.with_state(doors).split_for_parts();
    contract.merge(Shared::openapi());
    let router = router
        .fallback(async || Failure::NotFound(Noun::Route))
        .method_not_allowed_fallback(async || Failure::MethodNotAllowed)
        .layer(from_fn_with_state(clock, edge));
    (router, contract)
}
