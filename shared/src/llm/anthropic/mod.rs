//! The client of Anthropic Messages (API version 2026-10-21).

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use tokio::time::Instant;

use super::failure::{ModelFailure, Reason};
use super::retry::{Decision, Hint, Pace, Policy, Tally};
use super::settings::{CacheTtl, Effort, Settings, SettingsError};
use super::{Answer, Model, Receipt};
use crate::domain::money::Usage;
use crate::grading::{Phase, Prompt};

mod wire;

/// The version of the wire format below.
const API_VERSION: &str = "2026-10-21";
/// The provider's own bound on a request (413 above it).
const REQUEST_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Far above any answer that `output_tokens_max` allows; a bound against a hostile or broken peer.
const REPLY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A client of one model. Clone it freely: clones share connections.
#[derive(Debug, Clone)]
pub struct Anthropic {
    http: Arc<OnceLock<reqwest::Client>>,
    connect_timeout: Duration,
    endpoint: reqwest::Url,
    headers: HeaderMap,
    model: String,
    cache_ttl: CacheTtl,
    effort: Effort,
    attempt_timeout: Duration,
    retry: Policy,
    pace: Pace,
}

/// One attempt's end without an answer.
struct Failed {
    reason: Reason,
    hint: Hint,
    billed: Option<Usage>,
    request_id: Option<String>,
}

impl Failed {
    fn without_reply(reason: Reason) -> Self {
        Self {
            reason,
            hint: Hint::default(),
            billed: None,
            request_id: None,
        }
    }
}

/// A reply that was read whole, with what it is billed.
struct Reply {
    message: wire::Message,
    usage: Usage,
    request_id: Option<String>,
}

impl Anthropic {
    pub(super) fn new(settings: Settings) -> Result<Self, SettingsError> {
        let endpoint = settings.endpoint()?;
        let key = settings.key_for(&endpoint)?;
        let mut key = HeaderValue::from_str(key.reveal()).map_err(|_| SettingsError::BadKey)?;
        key.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", key);
        headers.insert("anthropic-version", HeaderValue::from_static(API_VERSION));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(Self {
            http: Arc::default(),
            connect_timeout: settings.connect_timeout,
            endpoint,
            headers,
            model: settings.model,
            cache_ttl: settings.cache_ttl,
            effort: settings.effort,
            attempt_timeout: settings.attempt_timeout,
            retry: settings.retry,
            pace: settings.pace,
        })
    }

    /// The HTTP client, made by the first call: reading the system's certificates takes milliseconds, which a
    /// function's cold start does not have.
    fn http(&self) -> Result<&reqwest::Client, Failed> {
        if let Some(http) = self.http.get() {
            return Ok(http);
        }
        let builder = reqwest::Client::builder()
            .connect_timeout(self.connect_timeout)
            .redirect(reqwest::redirect::Policy::none());
        let http = builder.build().map_err(|error| {
            tracing::error!(%error, "the HTTP client cannot be built");
            Failed::without_reply(Reason::Unreachable)
        })?;
        Ok(self.http.get_or_init(|| http))
    }

    /// Asks until there is a reply, a failure that does not pass, or a bound is reached.
    async fn ask(
        &self,
        phase: Phase,
        body: Vec<u8>,
        deadline: Instant,
    ) -> Result<(Reply, Tally), ModelFailure> {
        let mut tally = Tally::default();
        let failure = |failed: Failed, tally: Tally| ModelFailure {
            reason: failed.reason,
            billed: failed.billed,
            attempts: tally.attempts,
            unknown_calls: tally.unknown_calls,
            request_id: failed.request_id,
        };
        if body.len() > REQUEST_BYTES_MAX {
            let reason = Reason::Rejected {
                status: 413,
                kind: "request_too_large",
            };
            return Err(failure(Failed::without_reply(reason), tally));
        }
        let body = bytes::Bytes::from(body);
        loop {
            let started = Instant::now();
            tally.attempts += 1;
            let failed = match self.attempt(body.clone(), deadline).await {
                Ok(reply) => {
                    let (usage, request_id) = (&reply.usage, reply.request_id.as_deref());
                    tracing::info!(
                        ?phase, model = %self.model, request_id, attempt = tally.attempts,
                        duration_ms = milliseconds(started), input_tokens = usage.input_tokens,
                        cache_read_tokens = usage.cache_read_tokens, output_tokens = usage.output_tokens,
                        "model replied"
                    );
                    return Ok((reply, tally));
                }
                Err(failed) => failed,
            };
            tally.unknown_calls += u32::from(failed.reason.unknown());
            let remaining = deadline.saturating_duration_since(Instant::now());
            let decision =
                self.retry
                    .decide(&failed.reason, failed.hint, tally, remaining, self.pace.jitter());
            tracing::warn!(
                ?phase, model = %self.model, request_id = failed.request_id.as_deref(),
                attempt = tally.attempts, duration_ms = milliseconds(started), reason = %failed.reason,
                again = ?decision, "model failed"
            );
            match decision {
                Decision::GiveUp => return Err(failure(failed, tally)),
                Decision::Again(wait) => self.pace.sleep(wait).await,
            }
        }
    }

    /// Sends once and reads the reply, within the attempt's bound and the deadline.
    async fn attempt(&self, body: bytes::Bytes, deadline: Instant) -> Result<Reply, Failed> {
        let until = deadline.min(Instant::now() + self.attempt_timeout);
        match tokio::time::timeout_at(until, self.exchange(body)).await {
            Ok(end) => end,
            Err(_) => Err(Failed::without_reply(Reason::Timeout)),
        }
    }

    async fn exchange(&self, body: bytes::Bytes) -> Result<Reply, Failed> {
        let request = self
            .http()?
            .post(self.endpoint.clone())
            .headers(self.headers.clone())
            .body(body);
        let mut response = request.send().await.map_err(|error| {
            let unsent = error.is_connect() || error.is_builder();
            Failed::without_reply(if unsent {
                Reason::Unreachable
            } else {
                Reason::ReplyLost
            })
        })?;
        let status = response.status();
        let hint = Hint::from_headers(response.headers());
        let request_id = response
            .headers()
            .get("request-id")
            .and_then(|id| id.to_str().ok())
            .map(str::to_owned);
        let mut bytes = Vec::new();
        let reason = loop {
            match response.chunk().await {
                Ok(Some(chunk)) if bytes.len() + chunk.len() > REPLY_BYTES_MAX => {
                    break Some(Reason::Invalid { what: "too long" });
                }
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) => break None,
                // An error's status already says that nothing was billed.
                Err(_) if !status.is_success() => break None,
                Err(_) => break Some(Reason::ReplyLost),
            }
        };
        if let Some(reason) = reason {
            return Err(Failed {
                reason,
                hint: Hint::default(),
                billed: None,
                request_id,
            });
        }
        if status != StatusCode::OK {
            let reason = wire::reason_of(status.as_u16(), &bytes, hint.after);
            return Err(Failed {
                reason,
                hint,
                billed: None,
                request_id,
            });
        }
        let failed = |reason, billed| Failed {
            reason,
            hint: Hint::default(),
            billed,
            request_id: request_id.clone(),
        };
        let message: wire::Message = serde_json::from_slice(&bytes).map_err(|_| {
            failed(
                Reason::Invalid {
                    what: "not a message",
                },
                None,
            )
        })?;
        let usage = message
            .usage(self.cache_ttl)
            .ok_or_else(|| failed(Reason::MissingUsage, None))?;
        Ok(Reply {
            message,
            usage,
            request_id,
        })
    }

    fn receipt(model: String, usage: Usage, request_id: Option<String>, tally: Tally) -> Receipt {
        Receipt {
            model,
            request_id,
            usage,
            attempts: tally.attempts,
            unknown_calls: tally.unknown_calls,
        }
    }
}

impl Model for Anthropic {
    async fn answer(&self, prompt: &Prompt, deadline: Instant) -> Result<Answer, ModelFailure> {
        let body = wire::answer_request(&self.model, self.effort, self.cache_ttl, prompt);
        let (
            Reply {
                message,
                usage,
                request_id,
            },
            tally,
        ) = self.ask(prompt.phase, body, deadline).await?;
        match message.text() {
            Ok(text) => {
                let receipt = Self::receipt(message.model, usage, request_id, tally);
                Ok(Answer { text, receipt })
            }
            Err(reason) => Err(ModelFailure {
                reason,
                billed: Some(usage),
                attempts: tally.attempts,
                unknown_calls: tally.unknown_calls,
                request_id,
            }),
        }
    }

    async fn warm(&self, prompt: &Prompt, deadline: Instant) -> Result<Receipt, ModelFailure> {
        let body = wire::warm_request(&self.model, self.effort, self.cache_ttl, prompt);
        let (
            Reply {
                message,
                usage,
                request_id,
            },
            tally,
        ) = self.ask(prompt.phase, body, deadline).await?;
        Ok(Self::receipt(message.model, usage, request_id, tally))
    }
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
