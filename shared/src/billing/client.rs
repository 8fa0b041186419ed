//! The connection to Stripe: one request, sent until there is an answer or a bound is reached.
//!
//! The requests are the library's (`async-stripe-*`), and so is the API version. Sending them and reading the
//! answers is ours: docs/adr/0016-stripe-client.md.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::de::DeserializeOwned;
use stripe_client_core::{RequestBuilder, StripeMethod, VERSION};

use tokio::time::Instant;

use super::refusal::Refusal;

/// Stripe's own address.
const STRIPE: &str = "https://api.stripe.com";
/// Far above a page of a hundred objects; a bound against a broken peer.
const REPLY_BYTES_MAX: usize = 8 * 1024 * 1024;
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const STRIPE_VERSION: HeaderName = HeaderName::from_static("stripe-version");

/// The version of Stripe's API that every call names.
#[must_use]
pub fn api_version() -> &'static str {
    VERSION.as_str()
}

/// How long a call is waited for, and how often it is made. A route that makes several sets a deadline for all of them
/// ([`Stripe::until`]).
#[derive(Debug, Clone)]
pub struct Patience {
    /// Requests of one call, the first included.
    pub attempts_max: u32,
    /// The longest wait for one answer.
    pub attempt: Duration,
    /// The longest first wait between two; it doubles each time.
    pub wait_first: Duration,
    /// The longest wait between two.
    pub wait_max: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempts_max: 3,
            attempt: Duration::from_secs(5),
            wait_first: Duration::from_millis(400),
            wait_max: Duration::from_secs(2),
        }
    }
}

/// Settings that cannot work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSettings {
    /// An address that a key must not be sent to.
    #[error("Stripe's address must be https, or http on this machine, without path")]
    Address,
    /// A key that Stripe never made, or a publishable one.
    #[error("the Stripe key must be a secret or restricted key (sk_… or rk_…)")]
    Key,
}

/// Where Stripe is, and the connections to it. Clones share them.
#[derive(Debug, Clone)]
pub struct Connection {
    http: Arc<OnceLock<reqwest::Client>>,
    base: String,
    patience: Patience,
}

/// Stripe, with a key. Cloning it is cheap.
#[derive(Debug, Clone)]
pub struct Stripe {
    connection: Connection,
    authorization: HeaderValue,
    deadline: Option<Instant>,
}

impl Connection {
    /// Stripe at `base` (its own address if `None`).
    ///
    /// # Errors
    /// [`BadSettings::Address`].
    pub fn new(base: Option<&str>, patience: Patience) -> Result<Self, BadSettings> {
        let base = base.unwrap_or(STRIPE).trim_end_matches('/');
        let url = reqwest::Url::parse(base).map_err(|_| BadSettings::Address)?;
        let here = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
        let safe = url.scheme() == "https" || (url.scheme() == "http" && here);
        if !safe || url.path() != "/" || url.query().is_some() {
            return Err(BadSettings::Address);
        }
        Ok(Self {
            http: Arc::default(),
            base: base.to_owned(),
            patience,
        })
    }

    /// Where Stripe is, without a slash at the end.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Stripe as the owner of `key` sees it.
    ///
    /// # Errors
    /// [`BadSettings::Key`].
    pub fn with_key(&self, key: &str) -> Result<Stripe, BadSettings> {
        let key = key.trim();
        if !(key.starts_with("sk_") || key.starts_with("rk_")) {
            return Err(BadSettings::Key);
        }
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| BadSettings::Key)?;
        authorization.set_sensitive(true);
        Ok(Stripe {
            connection: self.clone(),
            authorization,
            deadline: None,
        })
    }

    /// Made by the first call: reading the system's certificates takes milliseconds that a cold start lacks.
    fn http(&self) -> Result<&reqwest::Client, Refusal> {
        if let Some(http) = self.http.get() {
            return Ok(http);
        }
        let http = reqwest::Client::builder()
            .connect_timeout(self.patience.attempt)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|_| Refusal::Unavailable("no HTTP client can be built".to_owned()))?;
        Ok(self.http.get_or_init(|| http))
    }
}

/// One attempt's end.
type Attempt = Result<Vec<u8>, (Refusal, Option<bool>)>;

impl Stripe {
    /// Calls that are not answered by `deadline` are given up: a route makes several, and its own answer must come.
    #[must_use]
    pub const fn until(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// How long the next attempt may take; `None` when there is no time left.
    fn time_left(&self) -> Option<Duration> {
        let attempt = self.connection.patience.attempt;
        let Some(deadline) = self.deadline else {
            return Some(attempt);
        };
        let left = deadline.checked_duration_since(Instant::now())?;
        (!left.is_zero()).then(|| left.min(attempt))
    }

    /// Sends a request until it is answered. A `POST` carries one idempotency key however often it is sent: the
    /// caller's, or one made for this call.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        key: Option<&str>,
    ) -> Result<T, Refusal> {
        // Ids come from outside; one that is no id must not become another path.
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_');
        if !request.path.chars().all(plain) {
            return Err(Refusal::Missing);
        }
        let headers = self.headers(&request, key)?;
        let patience = &self.connection.patience;
        let mut attempts = 1;
        loop {
            let Some(time) = self.time_left() else {
                return Err(Refusal::Unavailable("no time is left for an answer".to_owned()));
            };
            let exchange = self.exchange(&request, headers.clone());
            let ended = match tokio::time::timeout(time, exchange).await {
                Ok(ended) => ended,
                Err(_) => Err((Refusal::Unavailable("no answer in time".to_owned()), None)),
            };
            match ended {
                Ok(body) => {
                    return serde_json::from_slice(&body).map_err(|error| {
                        tracing::error!(
                            path = request.path,
                            line = error.line(),
                            column = error.column(),
                            "an answer of Stripe cannot be read"
                        );
                        Refusal::Unavailable("an answer that cannot be read".to_owned())
                    });
                }
                Err((refusal, told)) => {
                    if attempts >= patience.attempts_max || !refusal.passes(told) {
                        return Err(refusal);
                    }
                }
            }
            let longest = patience.wait_first.saturating_mul(1 << (attempts - 1).min(8));
            tokio::time::sleep(longest.min(patience.wait_max).mul_f64(rand::random::<f64>())).await;
            attempts += 1;
        }
    }

    fn headers(&self, request: &RequestBuilder, key: Option<&str>) -> Result<HeaderMap, Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, self.authorization.clone());
        headers.insert(STRIPE_VERSION, HeaderValue::from_static(api_version()));
        if matches!(request.method, StripeMethod::Post) {
            headers.insert(
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            );
            let key = key.map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned);
            let key = HeaderValue::from_str(&key).map_err(|_| Refusal::KeyReused)?;
            headers.insert(IDEMPOTENCY_KEY, key);
        }
        Ok(headers)
    }

    async fn exchange(&self, request: &RequestBuilder, headers: HeaderMap) -> Attempt {
        let lost = |what: &str| (Refusal::Unavailable(what.to_owned()), None);
        let method = match request.method {
            StripeMethod::Get => reqwest::Method::GET,
            StripeMethod::Post => reqwest::Method::POST,
            StripeMethod::Delete => reqwest::Method::DELETE,
        };
        let mut url = format!("{}/v1{}", self.connection.base, request.path);
        if let Some(query) = request.query.as_deref().filter(|query| !query.is_empty()) {
            url.push('?');
            url.push_str(query);
        }
        let http = self.connection.http().map_err(|refusal| (refusal, Some(false)))?;
        let mut sending = http.request(method, url).headers(headers);
        if let Some(body) = &request.body {
            sending = sending.body(body.clone());
        }
        let mut reply = sending.send().await.map_err(|_| lost("no connection"))?;
        let status = reply.status();
        let header = |name: &str| reply.headers().get(name).and_then(|value| value.to_str().ok());
        let told = header("stripe-should-retry").and_then(|text| text.parse().ok());
        let id = header("request-id").map(str::to_owned);
        let mut body = Vec::new();
        while let Some(chunk) = reply.chunk().await.map_err(|_| lost("the answer broke off"))? {
            if body.len() + chunk.len() > REPLY_BYTES_MAX {
                return Err((Refusal::Unavailable("too long an answer".to_owned()), Some(false)));
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return Ok(body);
        }
        let refusal = Refusal::of(status.as_u16(), &body);
        // The id finds the call, with its content, in Stripe's own log.
        tracing::warn!(path = request.path, id, %refusal, "Stripe refused a call");
        Err((refusal, told))
    }
}

#[cfg(test)]
mod tests;
