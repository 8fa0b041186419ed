//! The world outside the two functions, at the SDK's HTTP connector: a FIFO queue as SQS keeps one, the signing
//! secret, and a table whose network fails.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use local::stripe::seed::Seed;
use serde_json::{Value, json};

/// What `template.yaml` allows before a message goes to the dead letters.
const RECEIVES_MAX: u32 = 10;
/// What Lambda hands over at once, at most.
const BATCH_MAX: usize = 10;

/// A message of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) id: String,
    pub(super) group: String,
    pub(super) body: String,
    pub(super) received: u32,
}

/// What is outside. Cloning shares it.
#[derive(Debug, Clone)]
pub(super) struct Outside {
    real: SharedHttpClient,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    secret: String,
    seed: Seed,
    faults_per_cent: u8,
    faults: usize,
    sent: usize,
    /// By group: in order, and one batch at a time.
    groups: BTreeMap<String, VecDeque<Waiting>>,
    in_hand: HashSet<String>,
    /// What was sent within the last five minutes.
    recent: HashSet<String>,
    dead: Vec<Waiting>,
}

impl Outside {
    pub(super) fn new(secret: &str, seed: u64, faults_per_cent: u8) -> Self {
        Self {
            real: aws_smithy_http_client::Builder::new().build_http(),
            state: Arc::new(Mutex::new(State {
                secret: secret.to_owned(),
                seed: Seed::new(seed),
                faults_per_cent,
                faults: 0,
                sent: 0,
                groups: BTreeMap::new(),
                in_hand: HashSet::new(),
                recent: HashSet::new(),
                dead: Vec::new(),
            })),
        }
    }

    /// The next batch: messages of groups that nobody has in hand, each group's in order.
    pub(super) fn receive(&self) -> Vec<Waiting> {
        let mut state = self.state();
        let state = &mut *state;
        let mut batch: Vec<Waiting> = Vec::new();
        for (group, waiting) in &mut state.groups {
            if batch.len() == BATCH_MAX || state.in_hand.contains(group) {
                continue;
            }
            let room = waiting.len().min(BATCH_MAX - batch.len());
            state.in_hand.insert(group.clone());
            batch.extend(waiting.drain(..room).map(|message| Waiting {
                received: message.received + 1,
                ..message
            }));
        }
        batch
    }

    /// Takes a batch back: what failed comes again, in its order, until it was received too often.
    pub(super) fn give_back(&self, batch: Vec<Waiting>, failed: &HashSet<String>) {
        let mut state = self.state();
        for message in batch.into_iter().rev() {
            state.in_hand.remove(&message.group);
            if !failed.contains(&message.id) {
                continue;
            }
            if message.received >= RECEIVES_MAX {
                state.dead.push(message);
            } else {
                state
                    .groups
                    .entry(message.group.clone())
                    .or_default()
                    .push_front(message);
            }
        }
        state.groups.retain(|_, waiting| !waiting.is_empty());
    }

    /// Whether nothing waits. What is in hand may come back.
    pub(super) fn is_empty(&self) -> bool {
        let state = self.state();
        state.groups.is_empty() && state.in_hand.is_empty()
    }

    /// Five minutes have passed: a repeated message is a message again.
    pub(super) fn forget_recent(&self) {
        self.state().recent.clear();
    }

    /// From now on nothing fails.
    pub(super) fn calm(&self) {
        self.state().faults_per_cent = 0;
    }

    /// How many requests failed.
    pub(super) fn faults(&self) -> usize {
        self.state().faults
    }

    /// How many messages were received too often.
    pub(super) fn dead(&self) -> usize {
        self.state().dead.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a request fails.
enum Fault {
    RequestLost,
    ReplyLost,
    Throttled,
    Broken,
}

impl State {
    fn fault(&mut self) -> Option<Fault> {
        if !self.seed.chance(self.faults_per_cent) {
            return None;
        }
        self.faults += 1;
        Some(match self.seed.below(4) {
            0 => Fault::RequestLost,
            1 => Fault::ReplyLost,
            2 => Fault::Throttled,
            _ => Fault::Broken,
        })
    }

    /// What SQS does with a batch.
    fn send(&mut self, body: &Value) -> Value {
        let entries = body["Entries"].as_array().cloned().unwrap_or_default();
        let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        let mut taken = Vec::new();
        for entry in &entries {
            let group = text(entry, "MessageGroupId");
            if self
                .recent
                .insert(format!("{group} {}", text(entry, "MessageDeduplicationId")))
            {
                self.sent += 1;
                let message = Waiting {
                    id: self.sent.to_string(),
                    body: text(entry, "MessageBody"),
                    received: 0,
                    group: group.clone(),
                };
                self.groups.entry(group).or_default().push_back(message);
            }
            taken.push(json!({ "Id": entry["Id"], "MessageId": entry["Id"], "MD5OfMessageBody": "" }));
        }
        json!({ "Successful": taken, "Failed": [] })
    }
}

impl HttpClient for Outside {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Connector {
            real: self.real.http_connector(settings, components),
            outside: self.clone(),
        })
    }
}

#[derive(Debug, Clone)]
struct Connector {
    real: SharedHttpConnector,
    outside: Outside,
}

impl Connector {
    async fn forward(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let body = || serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap_or_default();
        match target {
            "AmazonSQS.SendMessageBatch" => answer(200, &self.outside.state().send(&body())),
            // A message that failed comes back when it is given back.
            "AmazonSQS.ChangeMessageVisibility" => answer(200, &json!({})),
            "secretsmanager.GetSecretValue" => {
                let secret = self.outside.state().secret.clone();
                answer(200, &json!({ "Name": "signing", "SecretString": secret }))
            }
            _ => self.real.call(request).await,
        }
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let this = self.clone();
        HttpConnectorFuture::new(async move {
            let fault = this.outside.state().fault();
            match fault {
                None => this.forward(request).await,
                Some(Fault::RequestLost) => Err(ConnectorError::io("the request was lost".into())),
                Some(Fault::ReplyLost) => {
                    this.forward(request).await?;
                    Err(ConnectorError::timeout("the answer was lost".into()))
                }
                Some(Fault::Throttled) => {
                    let throttled = "com.amazon.coral.availability#ThrottlingException";
                    answer(400, &json!({ "__type": throttled, "message": "slow down" }))
                }
                Some(Fault::Broken) => answer(500, &json!({ "__type": "InternalServerError" })),
            }
        })
    }
}

fn answer(status: u16, body: &Value) -> Result<HttpResponse, ConnectorError> {
    let status = status
        .try_into()
        .map_err(|_| ConnectorError::user("no status".into()))?;
    Ok(HttpResponse::new(status, SdkBody::from(body.to_string())))
}
