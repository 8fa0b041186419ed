//! Plain calls, for what none of our functions asks of Stripe.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use serde_json::Value;
use shared::billing::{Connection, api_version};
use uuid::Uuid;

use super::{Pace, TestKey};

/// For one answer: Stripe may charge a card meanwhile.
const PATIENCE: Duration = Duration::from_secs(30);
const ATTEMPTS_MAX: u32 = 3;
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const STRIPE_VERSION: HeaderName = HeaderName::from_static("stripe-version");

/// Names and values, such as `items[0][price]`.
pub(super) type Form<'a> = &'a [(&'a str, &'a str)];

/// Plain calls with a sandbox's key.
pub(super) struct Api {
    http: reqwest::Client,
    base: Url,
    key: TestKey,
    wait: Duration,
}

impl Api {
    pub(super) fn new(connection: &Connection, key: &TestKey, pace: Pace) -> anyhow::Result<Self> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", key.0))?;
        authorization.set_sensitive(true);
        let headers = HeaderMap::from_iter([
            (AUTHORIZATION, authorization),
            (STRIPE_VERSION, HeaderValue::from_static(api_version())),
        ]);
        let http = reqwest::Client::builder()
            .default_headers(headers)
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            http,
            base: Url::parse(connection.base())?,
            key: key.clone(),
            wait: pace.wait,
        })
    }

    pub(super) async fn get(&self, path: &str, query: Form<'_>) -> anyhow::Result<Value> {
        let (status, answer) = self.ask(Method::GET, path, query).await?;
        self.done(Method::GET, path, status, answer)
    }

    /// `None` if Stripe has no such object.
    pub(super) async fn find(&self, path: &str) -> anyhow::Result<Option<Value>> {
        match self.ask(Method::GET, path, &[]).await? {
            (404, _) => Ok(None),
            (status, answer) => self.done(Method::GET, path, status, answer).map(Some),
        }
    }

    pub(super) async fn post(&self, path: &str, form: Form<'_>) -> anyhow::Result<Value> {
        let (status, answer) = self.ask(Method::POST, path, form).await?;
        self.done(Method::POST, path, status, answer)
    }

    /// What is gone already is as good as deleted.
    pub(super) async fn delete(&self, path: &str) -> anyhow::Result<()> {
        match self.ask(Method::DELETE, path, &[]).await? {
            (404, _) => Ok(()),
            (status, answer) => self.done(Method::DELETE, path, status, answer).map(drop),
        }
    }

    fn done(&self, method: Method, path: &str, status: u16, answer: Value) -> anyhow::Result<Value> {
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        let field = |name: &str| answer["error"][name].as_str().unwrap_or_default();
        // Of a key that it refuses Stripe quotes some letters.
        let message = match status {
            401 => "the key is not taken",
            _ => field("message"),
        };
        let said = ["type", "code", "decline_code", "param"].map(field).into_iter();
        let said: Vec<&str> = said.chain([message]).filter(|text| !text.is_empty()).collect();
        let said = said.join(" ").replace(&self.key.0, "(the key)");
        Err(anyhow!("Stripe refuses {method} {path}: {status} {said}"))
    }

    /// The answer to a call; a refusal is one. What may pass is asked again, with the same idempotency key.
    async fn ask(&self, method: Method, path: &str, form: Form<'_>) -> anyhow::Result<(u16, Value)> {
        let key = HeaderValue::from_str(&Uuid::new_v4().to_string())?;
        let mut attempt = 1;
        loop {
            let ended = self.exchange(&method, path, form, &key).await;
            let passes = match &ended {
                Ok((status, _)) => matches!(status, 409 | 429 | 500..),
                Err(_) => true,
            };
            if attempt == ATTEMPTS_MAX || !passes {
                return ended.with_context(|| format!("Stripe does not answer {method} {path}"));
            }
            tokio::time::sleep(self.wait).await;
            attempt += 1;
        }
    }

    async fn exchange(
        &self,
        method: &Method,
        path: &str,
        form: Form<'_>,
        key: &HeaderValue,
    ) -> anyhow::Result<(u16, Value)> {
        let mut url = self.base.join(path)?;
        if !form.is_empty() {
            url.query_pairs_mut().extend_pairs(form);
        }
        let request = if method == Method::POST {
            let body = url.query().unwrap_or_default().to_owned();
            url.set_query(None);
            self.http
                .post(url)
                .header(
                    CONTENT_TYPE,
                    HeaderValue::from_static("application/x-www-form-urlencoded"),
                )
                .header(IDEMPOTENCY_KEY, key)
                .body(body)
        } else {
            self.http.request(method.clone(), url)
        };
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        // A gateway's page says no more than its status.
        let body = answer.bytes().await?;
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }
}

/// A text of an answer.
pub(super) fn text(answer: &Value, field: &str) -> anyhow::Result<String> {
    let text = answer[field].as_str().map(str::to_owned);
    text.with_context(|| format!("an answer of Stripe without {field}"))
}

/// A moment of an answer. Unit: seconds.
pub(super) fn seconds(answer: &Value, field: &str) -> anyhow::Result<i64> {
    let seconds = answer[field].as_i64();
    seconds.with_context(|| format!("an answer of Stripe without {field}"))
}
