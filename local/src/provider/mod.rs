//! A model provider on this machine: Anthropic Messages over real HTTP, with a real prompt cache, honest
//! bills and faults on demand. What answers behind it is a [`Grader`].
//!
//! It is written from the provider's documentation and shares no wire type with `shared::llm`, so that a
//! mistake there is not repeated here. What it does not do, it refuses: tools, documents, streaming, remote
//! images. It does not think, so its bills hold no thinking tokens.

use std::collections::HashSet;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use shared::clock::Clock;
use shared::llm::prices::Prices;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

mod cache;
mod faults;
mod image;
mod ledger;
mod reply;
mod request;
mod schema;
mod tokens;

#[cfg(test)]
mod tests;

pub use faults::{Fault, Kind};
pub use ledger::Billed;

use cache::Cache;
use faults::Faults;
use ledger::Ledger;
use reply::Refusal;
use request::Asked;

/// What answers behind the wire. Called off the server's threads; may compute.
pub trait Grader: Send + Sync + 'static {
    /// The answer's text, for a request that the provider found valid.
    fn answer(&self, question: &Question) -> String;
}

/// What a valid request asks.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The system prompt, its blocks joined.
    pub system: String,
    /// What the user's messages show, in order.
    pub shown: Vec<Shown>,
    /// The schema that the answer must follow, if the request has one.
    pub schema: Option<serde_json::Value>,
}

/// One block of a user's message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// Text.
    Text(String),
    /// The bytes of an image.
    Image(Vec<u8>),
}

/// How long answers take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    /// Until the answer begins.
    pub first_token: Duration,
    /// For each token of it.
    pub per_output_token: Duration,
}

impl Latency {
    /// No wait at all, for tests.
    pub const NONE: Self = Self {
        first_token: Duration::ZERO,
        per_output_token: Duration::ZERO,
    };
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            first_token: Duration::from_millis(400),
            per_output_token: Duration::from_millis(1),
        }
    }
}

/// How the provider behaves.
#[derive(Clone)]
pub struct Options {
    /// How long answers take.
    pub latency: Latency,
    /// Requests per key in any 60 seconds, above which it answers 429; `None` for no limit.
    pub requests_per_minute: Option<usize>,
    /// What time it is; a test replaces it to see entries expire.
    pub clock: Clock,
    /// The models that it knows, with their shortest cached prefix and longest answer.
    pub prices: Prices,
    /// What answers.
    pub grader: Arc<dyn Grader>,
}

impl Options {
    /// The usual behaviour, on the real clock.
    #[must_use]
    pub fn new(prices: Prices, grader: Arc<dyn Grader>) -> Self {
        Self {
            latency: Latency::default(),
            requests_per_minute: None,
            clock: Clock::system(),
            prices,
            grader,
        }
    }
}

/// A running provider; it stops when dropped.
pub struct Provider {
    address: SocketAddr,
    desk: Arc<Desk>,
    server: JoinHandle<()>,
}

impl Provider {
    /// Listens on `address`, which must be on this machine: the control routes ask for no key. Port 0 takes
    /// any free one.
    ///
    /// # Errors
    /// The port is taken, or the address is not a loopback one.
    pub async fn start(address: SocketAddr, options: Options) -> io::Result<Self> {
        if !address.ip().is_loopback() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the provider listens on this machine only",
            ));
        }
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let desk = Arc::new(Desk::new(options));
        let app = Router::new()
            .route("/v1/messages", post(messages))
            .route(
                "/_control/faults",
                get(list_faults).post(add_faults).delete(clear_faults),
            )
            .route("/_control/ledger", get(read_ledger).delete(clear_ledger))
            .layer(DefaultBodyLimit::max(request::BYTES_MAX))
            .with_state(Arc::clone(&desk));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!(%error, "the local provider stopped");
            }
        });
        Ok(Self {
            address,
            desk,
            server,
        })
    }

    /// The address to give to a client.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes coming requests fail, after the faults already waiting.
    pub fn inject(&self, faults: impl IntoIterator<Item = Fault>) {
        locked(&self.desk.faults).add(faults);
    }

    /// From now on a request with this key is refused: 401, not billed.
    pub fn revoke(&self, key: &str) {
        locked(&self.desk.revoked).insert(key.to_owned());
    }

    /// Everything billed so far, in the order in which answers began.
    #[must_use]
    pub fn ledger(&self) -> Vec<Billed> {
        locked(&self.desk.ledger).entries()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The provider's whole state.
struct Desk {
    options: Options,
    faults: Mutex<Faults>,
    cache: Mutex<Cache>,
    ledger: Mutex<Ledger>,
    revoked: Mutex<HashSet<String>>,
    requests: AtomicU64,
}

/// Every change under these locks is complete before anything can panic.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    fn new(options: Options) -> Self {
        Self {
            options,
            faults: Mutex::default(),
            cache: Mutex::default(),
            ledger: Mutex::default(),
            revoked: Mutex::default(),
            requests: AtomicU64::new(1),
        }
    }

    /// Only differences matter here.
    fn now(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.options.clock.now_millis()).unwrap_or(0))
    }

    /// One request, from its arrival to the reply's first byte.
    async fn serve(&self, headers: &HeaderMap, body: &[u8], id: &str) -> Result<Response, Refusal> {
        let started = self.now();
        let key = request::check_headers(headers)?;
        if locked(&self.revoked).contains(&key) {
            return Err(Refusal::unauthorized("invalid x-api-key"));
        }
        let asked = request::parse(body, &self.options.prices)?;
        locked(&self.ledger).admit(&key, started, self.options.requests_per_minute)?;
        let fault = locked(&self.faults).take(&asked);
        if let Some(refusal) = fault.as_ref().and_then(|fault| fault.kind.refusal()) {
            return Err(refusal);
        }
        let plan = locked(&self.cache).plan(&key, &asked, started);
        if let Some(meeting) = fault.as_ref().and_then(|fault| fault.meeting.clone()) {
            meeting.wait().await;
        }
        tokio::time::sleep(self.options.latency.first_token).await;

        // From here on the answer has begun: the cache entry can be used, and the call is billed.
        locked(&self.cache).store(&plan, started);
        let text = self.answer(&asked).await?;
        let kind = fault.map(|fault| fault.kind);
        let answer = reply::finish(text, asked.output_tokens_max, kind.as_ref());
        let usage = plan.usage(answer.output_tokens);
        locked(&self.ledger).bill(Billed {
            request_id: id.to_owned(),
            model: asked.model.clone(),
            prefix_sha256: plan.prefix().map(hex::encode),
            output_tokens_max: asked.output_tokens_max,
            usage,
            stop_reason: answer.stop_reason.to_owned(),
            fault: kind.clone(),
            started_ms: u64::try_from(started.as_millis()).unwrap_or(u64::MAX),
        });
        let tokens = u32::try_from(answer.output_tokens).unwrap_or(u32::MAX);
        tokio::time::sleep(self.options.latency.per_output_token.saturating_mul(tokens)).await;
        if kind == Some(Kind::Hang) {
            return pending().await;
        }
        Ok(reply::render(id, &asked, &answer, usage, kind.as_ref()))
    }

    /// Asks the grader, and holds it to the schema as constrained decoding would.
    async fn answer(&self, asked: &Asked) -> Result<String, Refusal> {
        if asked.output_tokens_max == 0 {
            return Ok(String::new());
        }
        let (grader, question) = (Arc::clone(&self.options.grader), asked.question.clone());
        let text = tokio::task::spawn_blocking(move || {
            let text = grader.answer(&question);
            let problem = question
                .schema
                .as_ref()
                .and_then(|schema| schema::problem_with(schema, &text));
            problem.map_or(Ok(text), Err)
        });
        match text.await {
            Ok(Ok(text)) => Ok(text),
            Ok(Err(problem)) => Err(Refusal::internal(format!("the grader's answer: {problem}"))),
            Err(error) => Err(Refusal::internal(format!("the grader failed: {error}"))),
        }
    }
}

async fn messages(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let id = format!("req_local_{:06}", desk.requests.fetch_add(1, Ordering::Relaxed));
    let end = match body {
        Ok(body) => desk.serve(&headers, &body, &id).await,
        Err(_) => Err(Refusal::too_large()),
    };
    let mut response = end.unwrap_or_else(|refusal| refusal.render(&id));
    if let Ok(id) = id.parse() {
        response.headers_mut().insert("request-id", id);
    }
    response
}

async fn list_faults(State(desk): State<Arc<Desk>>) -> Json<Vec<Fault>> {
    Json(locked(&desk.faults).waiting())
}

async fn add_faults(State(desk): State<Arc<Desk>>, Json(faults): Json<Vec<Fault>>) -> impl IntoResponse {
    locked(&desk.faults).add(faults);
    axum::http::StatusCode::NO_CONTENT
}

async fn clear_faults(State(desk): State<Arc<Desk>>) -> impl IntoResponse {
    *locked(&desk.faults) = Faults::default();
    axum::http::StatusCode::NO_CONTENT
}

async fn read_ledger(State(desk): State<Arc<Desk>>) -> Json<Vec<Billed>> {
    Json(locked(&desk.ledger).entries())
}

async fn clear_ledger(State(desk): State<Arc<Desk>>) -> impl IntoResponse {
    *locked(&desk.ledger) = Ledger::default();
    axum::http::StatusCode::NO_CONTENT
}
