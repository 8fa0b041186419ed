//! An HTTP client for the SDK that fails the way networks and services fail: at one chosen request, once or
//! until whoever asks gives up.
//!
//! It is also the work queue: SQS requests end here, so that a test sees every message, on any emulator.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_dynamodb::config::StalledStreamProtectionConfig;
use aws_sdk_dynamodb::config::retry::RetryPartition;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};
use shared::domain::run::Message;
use shared::store::{Clients, Queue, Store};
use tokio::sync::Notify;

/// Attempts of one SDK call; the store's own retries come on top.
const ATTEMPTS: u32 = 2;
const BACKOFF: Duration = Duration::from_millis(1);

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is carried out, and the answer is lost.
    ReplyLost,
    /// It is lost on its way.
    RequestLost,
    /// It is refused: too many of them.
    Throttled,
    /// It is refused: another transaction holds one of its items.
    Conflict,
    /// The service fails with this status, having done nothing.
    Status(u16),
    /// The service refuses it with this code.
    Refused(&'static str),
    /// Whoever sent it dies just before.
    DeathBefore,
    /// Whoever sent it dies just after it was carried out.
    DeathAfter,
    /// It waits on its way, until the test lets it go on.
    Held,
}

/// Whether a request changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Write,
    Read,
}

/// Which request fails, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) kind: Kind,
    /// Its place among the requests of its kind. An attempt to send the same request again has the same place.
    pub(crate) place: usize,
    pub(crate) fault: Fault,
    /// Whether every attempt fails, or the first one only.
    pub(crate) stubborn: bool,
}

/// The faulty client. Cloning shares it.
#[derive(Debug, Clone)]
pub(crate) struct Faulty {
    real: SharedHttpClient,
    desk: Arc<Desk>,
}

/// What all connectors of a client share.
#[derive(Debug)]
struct Desk {
    script: Option<Script>,
    state: Mutex<State>,
    death: Notify,
    held: Notify,
    go: Notify,
}

#[derive(Debug, Default)]
struct State {
    writes: Vec<String>,
    reads: Vec<String>,
    fired: usize,
    messages: VecDeque<Message>,
}

/// A client without faults whose connections many faulty ones share.
pub(crate) fn connections() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().build_http()
}

impl Faulty {
    pub(crate) fn new(real: &SharedHttpClient, script: Option<Script>) -> Self {
        Self {
            real: real.clone(),
            desk: Arc::new(Desk {
                script,
                state: Mutex::default(),
                death: Notify::new(),
                held: Notify::new(),
                go: Notify::new(),
            }),
        }
    }

    /// A configuration of clients that see the world through this one.
    pub(crate) fn config(&self, config: &SdkConfig) -> SdkConfig {
        let retries = RetryConfig::standard()
            .with_max_attempts(ATTEMPTS)
            .with_initial_backoff(BACKOFF)
            .with_max_backoff(BACKOFF);
        config
            .to_owned()
            .into_builder()
            .http_client(self.clone())
            .retry_config(retries)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build()
    }

    /// The table and the queue, seen through this client.
    pub(crate) fn doors(&self, config: &SdkConfig, table: &str) -> (Store, Queue) {
        let config = self.config(config);
        // Of its own, or the faults of other tests would use up the retries of this one.
        let budget = RetryPartition::new(table.to_owned());
        let dynamo = aws_sdk_dynamodb::config::Builder::from(&config)
            .retry_partition(budget)
            .build();
        let store = Store::new(aws_sdk_dynamodb::Client::from_conf(dynamo), table);
        (store, Clients::on(config).queue("http://queue.test/work"))
    }

    /// How many different requests of a kind were sent.
    pub(crate) fn count(&self, kind: Kind) -> usize {
        self.desk.state().seen(kind).len()
    }

    /// How many attempts failed.
    pub(crate) fn fired(&self) -> usize {
        self.desk.state().fired
    }

    /// Ends when a request was sent that its sender must not outlive.
    pub(crate) async fn death(&self) {
        self.desk.death.notified().await;
    }

    /// Ends when a request is held on its way.
    pub(crate) async fn held(&self) {
        self.desk.held.notified().await;
    }

    /// Lets the held request go on.
    pub(crate) fn go(&self) {
        self.desk.go.notify_one();
    }

    /// The queue's next message.
    pub(crate) fn receive(&self) -> Option<Message> {
        self.desk.state().messages.pop_front()
    }

    /// How many messages wait.
    pub(crate) fn waiting(&self) -> usize {
        self.desk.state().messages.len()
    }

    /// Puts a message back that was not handled.
    pub(crate) fn put_back(&self, message: Message) {
        self.desk.state().messages.push_back(message);
    }
}

impl State {
    fn seen(&mut self, kind: Kind) -> &mut Vec<String> {
        match kind {
            Kind::Write => &mut self.writes,
            Kind::Read => &mut self.reads,
        }
    }
}

impl Desk {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request, and says whether this attempt fails.
    fn fault(&self, request: &HttpRequest) -> Option<Fault> {
        let (kind, name) = (kind(request), name(request));
        let mut state = self.state();
        let seen = state.seen(kind);
        let known = seen.iter().position(|it| *it == name);
        let place = known.unwrap_or(seen.len());
        if known.is_none() {
            seen.push(name);
        }
        let script = self
            .script
            .filter(|it| it.kind == kind && it.place == place && (it.stubborn || known.is_none()))?;
        state.fired += 1;
        Some(script.fault)
    }

    /// Takes what SQS was to have.
    fn enqueue(&self, request: &HttpRequest) -> HttpResponse {
        let body: Value = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap();
        let entries = body["Entries"].as_array().unwrap();
        let mut successful = Vec::new();
        for entry in entries {
            let message = serde_json::from_str(entry["MessageBody"].as_str().unwrap()).unwrap();
            self.state().messages.push_back(message);
            successful.push(json!({"Id": entry["Id"], "MessageId": entry["Id"], "MD5OfMessageBody": ""}));
        }
        answer(200, &json!({"Successful": successful, "Failed": []}))
    }
}

impl HttpClient for Faulty {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Connector {
            real: self.real.http_connector(settings, components),
            desk: Arc::clone(&self.desk),
        })
    }
}

#[derive(Debug, Clone)]
struct Connector {
    real: SharedHttpConnector,
    desk: Arc<Desk>,
}

impl Connector {
    async fn forward(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        if target(&request).starts_with("AmazonSQS.") {
            return Ok(self.desk.enqueue(&request));
        }
        self.real.call(request).await
    }

    /// The sender hears nothing more, and is dropped by whoever waits for [`Faulty::death`].
    async fn die(&self) -> Result<HttpResponse, ConnectorError> {
        self.desk.death.notify_one();
        std::future::pending().await
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let this = self.clone();
        HttpConnectorFuture::new(async move {
            match this.desk.fault(&request) {
                None => this.forward(request).await,
                Some(Fault::ReplyLost) => {
                    this.forward(request).await?;
                    Err(ConnectorError::timeout("the answer was lost".into()))
                }
                Some(Fault::RequestLost) => Err(ConnectorError::io("the request was lost".into())),
                Some(Fault::DeathBefore) => this.die().await,
                Some(Fault::DeathAfter) => {
                    this.forward(request).await?;
                    this.die().await
                }
                Some(Fault::Held) => {
                    this.desk.held.notify_one();
                    this.desk.go.notified().await;
                    this.forward(request).await
                }
                Some(Fault::Throttled) => Ok(throttled(&request)),
                Some(Fault::Conflict) => Ok(conflict(&request)),
                Some(Fault::Refused(code)) => Ok(answer(400, &json!({"__type": code, "message": "no"}))),
                Some(Fault::Status(status)) => Ok(answer(status, &json!({"__type": "InternalServerError"}))),
            }
        })
    }
}

fn target(request: &HttpRequest) -> &str {
    request.headers().get("x-amz-target").unwrap_or_default()
}

fn kind(request: &HttpRequest) -> Kind {
    let target = target(request);
    let operation = target.split_once('.').map_or(target, |(_, operation)| operation);
    match operation {
        "GetItem" | "BatchGetItem" | "Query" => Kind::Read,
        _ => Kind::Write,
    }
}

/// A name that all attempts to send one request share: a transaction's token, which the store keeps while it
/// retries, or the SDK's id of the call.
fn name(request: &HttpRequest) -> String {
    let body: Value = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap_or_default();
    match body["ClientRequestToken"].as_str() {
        Some(token) => token.to_owned(),
        None => request
            .headers()
            .get("amz-sdk-invocation-id")
            .expect("the SDK names its calls")
            .to_owned(),
    }
}

fn throttled(request: &HttpRequest) -> HttpResponse {
    let code = if target(request).ends_with(".TransactWriteItems") {
        "com.amazon.coral.availability#ThrottlingException"
    } else {
        "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"
    };
    answer(400, &json!({"__type": code, "message": "slow down"}))
}

fn conflict(request: &HttpRequest) -> HttpResponse {
    if !target(request).ends_with(".TransactWriteItems") {
        return answer(
            400,
            &json!({"__type": "com.amazonaws.dynamodb.v20120810#TransactionConflictException"}),
        );
    }
    let body: Value = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap_or_default();
    let items = body["TransactItems"].as_array().map_or(0, Vec::len);
    let mut reasons = vec![json!({"Code": "None"}); items.saturating_sub(1)];
    reasons.push(json!({"Code": "TransactionConflict", "Message": "another transaction has the item"}));
    answer(
        400,
        &json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": "cancelled",
            "CancellationReasons": reasons,
        }),
    )
}

fn answer(status: u16, body: &Value) -> HttpResponse {
    HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body.to_string()))
}
