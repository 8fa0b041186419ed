//! Failures as RFC 9457 problem JSON, in the caller's language, and the one place that logs requests.

use axum::Json;
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::collections::BTreeMap;
use tracing::Instrument;
use utoipa::openapi::{Content, Ref, RefOr, Response as Described, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

use crate::clock::Clock;
use crate::domain::Language;
use crate::domain::catalogue::Upgrade;
use crate::domain::failure::{Failure, QuotaExceeded};

const CORRELATION_HEADER: &str = "x-correlation-id";
const PROBLEM_JSON: &str = "application/problem+json";

/// A problem as callers read it: <https://www.rfc-editor.org/rfc/rfc9457>.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Stable: `/problems/<code>`.
    #[serde(rename = "type")]
    #[schema(example = "/problems/quota-exceeded")]
    kind: String,
    /// The code in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What, where, and what to do, in the caller's language.
    detail: String,
    /// The request's correlation id.
    instance: String,
    /// The field that is wrong, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// For `quota-exceeded`: what an upgrade dialog needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    quota: Option<Quota>,
}

/// What a run that does not fit is told. Unit: tokens.
#[derive(Debug, Serialize, ToSchema)]
struct Quota {
    /// `free`, `essentiel`, `pro` or `max`.
    tier: &'static str,
    /// What the period grants.
    limit_tokens: u64,
    /// What is left of it.
    remaining_tokens: u64,
    /// What the run would reserve.
    needed_tokens: u64,
    /// How many of its copies would fit, at most.
    copies_that_fit: usize,
    /// Which: the lightest. A run that names them is accepted, if nothing else starts meanwhile.
    fitting_copies: Vec<String>,
    /// The tiers above, cheapest first.
    upgrades: Vec<Offer>,
}

/// A tier that could be had.
#[derive(Debug, Serialize, ToSchema)]
struct Offer {
    /// `essentiel`, `pro` or `max`.
    tier: &'static str,
    /// What it grants each month. Unit: tokens.
    tokens: u64,
    /// What it costs each month, taxes included. Unit: euro cents.
    amount_cents: u64,
    /// How to get it: `GET` for a checkout, `POST` with the tier for a change.
    method: &'static str,
    /// Where.
    href: String,
}

fn offer(subscribed: bool, upgrade: &Upgrade) -> Offer {
    let tier = upgrade.tier.name();
    let (method, href) = if subscribed {
        ("POST", "/api/subscription/change".to_owned())
    } else {
        ("GET", format!("/api/subscription/checkout/{tier}"))
    };
    Offer {
        tier,
        tokens: upgrade.tokens,
        amount_cents: upgrade.price.amount_cents,
        method,
        href,
    }
}

impl From<&QuotaExceeded> for Quota {
    fn from(it: &QuotaExceeded) -> Self {
        Self {
            tier: it.tier.name(),
            limit_tokens: it.limit_tokens,
            remaining_tokens: it.remaining_tokens,
            needed_tokens: it.needed_tokens,
            copies_that_fit: it.fitting.len(),
            fitting_copies: it.fitting.iter().map(ToString::to_string).collect(),
            upgrades: it
                .upgrades
                .iter()
                .map(|upgrade| offer(it.subscribed, upgrade))
                .collect(),
        }
    }
}

impl IntoResponses for Problem {
    fn responses() -> BTreeMap<String, RefOr<Described>> {
        let problem = Content::new(Some(Ref::from_schema_name("Problem")));
        let described = ResponseBuilder::new()
            .description("What went wrong.")
            .content(PROBLEM_JSON, problem)
            .build();
        BTreeMap::from([("default".to_owned(), described.into())])
    }
}

/// The status of each failure, exhaustively.
const fn status(failure: &Failure) -> StatusCode {
    match failure {
        Failure::Malformed(_) => StatusCode::BAD_REQUEST,
        Failure::Invalid { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Failure::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        Failure::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
        Failure::NotFound(_) => StatusCode::NOT_FOUND,
        Failure::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Failure::Conflict(_) => StatusCode::CONFLICT,
        Failure::QuotaExceeded(_) => StatusCode::PAYMENT_REQUIRED,
        Failure::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        Failure::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A handler's failure leaves as it is; [`edge`] turns it into words, because only there the caller's language
/// is known.
#[derive(Clone)]
struct Raised(std::sync::Arc<Failure>);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = status(&self).into_response();
        response
            .extensions_mut()
            .insert(Raised(std::sync::Arc::new(self)));
        response
    }
}

/// The id that follows a request through queue, log and model call.
#[derive(Debug, Clone)]
pub struct Correlation(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Correlation {
    type Rejection = std::convert::Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts
            .extensions
            .get::<Self>()
            .cloned()
            .unwrap_or_else(|| Self(String::new())))
    }
}

/// The outermost layer of every HTTP function: gives the request its correlation id, logs it once, and turns a
/// failure into a problem in the caller's language.
pub(super) async fn edge(State(clock): State<Clock>, mut request: Request, next: Next) -> Response {
    let started = clock.now_millis();
    let correlation = correlation(request.headers());
    let language = language(request.headers());
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("?", MatchedPath::as_str)
        .to_owned();
    request.extensions_mut().insert(Correlation(correlation.clone()));
    let span = tracing::info_span!("request", %correlation, %method, route);
    let mut response = next.run(request).instrument(span.clone()).await;
    let raised = response.extensions_mut().remove::<Raised>();
    let milliseconds = clock.now_millis().saturating_sub(started);
    span.in_scope(|| {
        log(
            raised.as_ref().map(|raised| &*raised.0),
            response.status(),
            milliseconds,
        );
    });
    if let Some(Raised(failure)) = raised {
        response = problem(&failure, language, &correlation);
    }
    if let Ok(value) = HeaderValue::from_str(&correlation) {
        response.headers_mut().insert(CORRELATION_HEADER, value);
    }
    response
}

fn log(failure: Option<&Failure>, status: StatusCode, milliseconds: i64) {
    let status = status.as_u16();
    match failure {
        Some(Failure::Internal(internal)) => {
            tracing::error!(
                status,
                milliseconds,
                code = "internal",
                cause = internal.for_log(),
                "failed"
            );
        }
        Some(Failure::Unavailable(internal)) => {
            tracing::warn!(
                status,
                milliseconds,
                code = "unavailable",
                cause = internal.for_log(),
                "failed"
            );
        }
        Some(failure) => tracing::info!(status, milliseconds, code = failure.code(), "refused"),
        None => tracing::info!(status, milliseconds, "answered"),
    }
}

/// The stable type of what has this code, be it a request's problem or a copy's failure.
#[must_use]
pub fn problem_type(code: &str) -> String {
    format!("/problems/{code}")
}

fn problem(failure: &Failure, language: Language, correlation: &str) -> Response {
    let status = status(failure);
    let body = Problem {
        kind: problem_type(failure.code()),
        title: failure.code().replace('-', " "),
        status: status.as_u16(),
        detail: failure.sentence().text(language).to_owned(),
        instance: correlation.to_owned(),
        path: failure.path(),
        quota: match failure {
            Failure::QuotaExceeded(quota) => Some(quota.into()),
            _ => None,
        },
    };
    let mut response = (status, Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    if failure.retryable() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// The caller's own id when it is a plain one (so that a retry can be followed), else a new one.
fn correlation(headers: &HeaderMap) -> String {
    let plain = |text: &&str| {
        (8..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let sent = headers
        .get(CORRELATION_HEADER)
        .and_then(|value| value.to_str().ok())
        .filter(plain);
    sent.map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned)
}

/// The heavier of French and English in `Accept-Language` (RFC 9110, 12.4.2 and 12.5.4), the first of equals; French
/// when neither is asked for.
fn language(headers: &HeaderMap) -> Language {
    let asked = headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let mut heaviest = (0.0, Language::Fr);
    for (language, weight) in asked.split(',').filter_map(weighted) {
        if weight > heaviest.0 {
            heaviest = (weight, language);
        }
    }
    heaviest.1
}

/// A language that we speak, with its weight: `en-GB;q=0.8`.
fn weighted(range: &str) -> Option<(Language, f32)> {
    let (tag, parameter) = range.split_once(';').unwrap_or((range, "q=1"));
    let primary = tag.split('-').next().unwrap_or_default().trim();
    let language = match primary.to_ascii_lowercase().as_str() {
        "fr" => Language::Fr,
        "en" => Language::En,
        _ => return None,
    };
    let (name, weight) = parameter.split_once('=')?;
    let weight: f32 = weight.trim().parse().ok()?;
    (name.trim().eq_ignore_ascii_case("q") && (0.0..=1.0).contains(&weight)).then_some((language, weight))
}

impl<S: Send + Sync> FromRequestParts<S> for Language {
    type Rejection = std::convert::Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(language(&parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_asked_for_most_is_spoken_and_french_by_default() {
        for (asked, expected) in [
            ("", Language::Fr),
            ("de", Language::Fr),
            ("en", Language::En),
            ("en-GB,en;q=0.9", Language::En),
            ("fr-FR,fr;q=0.9,en;q=0.8", Language::Fr),
            ("en,fr", Language::En),
            ("en;q=0.1,fr", Language::Fr),
            ("fr;q=0.5, en ; Q=0.51", Language::En),
            ("fr;q=0.8,en;q=0.8", Language::Fr),
            ("fr;q=0,en;q=0.001", Language::En),
            ("en;q=0", Language::Fr),
            ("en;q=2,en;q=x,en;level=1,en;q=NaN,en;", Language::Fr),
            ("enm,*,eng", Language::Fr),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_str(asked).unwrap());
            assert_eq!(language(&headers), expected, "{asked}");
        }
    }

    #[test]
    fn a_made_up_correlation_id_cannot_forge_a_log_line() {
        for (sent, kept) in [
            ("abcdef-0123456", true),
            ("x", false),
            ("a\tb\tc\td\te", false),
            ("{\"a\":1}xxx", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CORRELATION_HEADER, HeaderValue::from_str(sent).unwrap());
            assert_eq!(correlation(&headers) == sent, kept, "{sent}");
        }
    }
}
