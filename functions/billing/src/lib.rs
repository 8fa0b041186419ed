//! Brings accounts to what Stripe says: one message, one look.
//!
//! A message may come twice, late, or after a newer one; the revision of what is stored decides. A failure is its
//! message's and, because the queue is in order, its group's: other customers go on.

mod look;
mod reconcile;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use lambda_runtime::Error;
use serde_json::Value;
use shared::billing::{Connection, Stripe};
use shared::clock::Clock;
use shared::domain::billing::Message;
use shared::domain::catalogue::Catalogue;
use shared::domain::failure::{Failure, Internal};
use shared::domain::time::UnixMillis;
use shared::store::{BillingQueue, Secrets, Store};
use shared::telemetry::{Lines, Metrics, Unit};

use look::look;

/// A failed group waits this long, twice as long each time. Unit: seconds.
const RETRY_SECONDS_FIRST: i32 = 20;
const RETRY_SECONDS_MAX: i32 = 900;

/// What the function needs.
#[derive(Debug, Clone)]
pub struct Doors {
    /// The table.
    pub store: Store,
    /// The billing queue.
    pub queue: BillingQueue,
    /// Where Stripe is.
    pub connection: Connection,
    /// Reads secrets.
    pub secrets: Secrets,
    /// Name of the secret with Stripe's key.
    pub key_secret: String,
    /// What is sold.
    pub catalogue: Catalogue,
    /// Id of the configuration that Stripe's portal is opened with, if it is not Stripe's default one.
    pub portal: Option<String>,
    /// Where metrics go.
    pub metrics: Lines,
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
            .map_err(|error| Failure::Internal(Internal::new(error.to_string())))
    }

    fn count(&self, metric: &'static str, kind: &str) {
        let line = Metrics::of("billing")
            .with("kind", kind)
            .value(metric, Unit::Count, 1)
            .line(self.clock.now_millis());
        self.metrics.write(line);
    }
}

/// A message as it came.
struct Received {
    id: String,
    receipt: Option<String>,
    group: String,
    times: i32,
    message: Option<Message>,
}

/// Answers an invocation: a batch of the queue, or the daily start.
///
/// # Errors
/// When there is no key, or the queue does not take the daily comparison: the invocation comes again.
pub async fn answer(doors: &Doors, payload: Value) -> Result<Value, Error> {
    if payload.get("Records").is_none() {
        reconcile::begin(doors)
            .await
            .map_err(|failure| failure.cause().to_owned())?;
        return Ok(Value::Null);
    }
    let batch: SqsEvent = serde_json::from_value(payload)?;
    let stripe = doors
        .stripe()
        .await
        .map_err(|failure| failure.cause().to_owned())?;
    Ok(serde_json::to_value(handle(doors, &stripe, batch).await)?)
}

/// Handles a batch; answers with the messages that must come back.
pub async fn handle(doors: &Doors, stripe: &Stripe, batch: SqsEvent) -> SqsBatchResponse {
    let received: Vec<Received> = batch.records.into_iter().map(received).collect();
    let mut groups: Vec<&str> = received.iter().map(|it| it.group.as_str()).collect();
    groups.sort_unstable();
    groups.dedup();
    let mut response = SqsBatchResponse::default();
    for group in groups {
        let messages: Vec<&Received> = received.iter().filter(|it| it.group == group).collect();
        for failed in in_order(doors, stripe, &messages).await {
            come_back(doors, failed).await;
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = failed.id.clone();
            response.batch_item_failures.push(failure);
        }
    }
    response
}

/// One group's messages, in order. After one that fails, none is handled. Events about one customer that stand
/// together are one look.
async fn in_order<'a>(doors: &Doors, stripe: &Stripe, messages: &[&'a Received]) -> Vec<&'a Received> {
    let mut done = 0;
    for chunk in messages.chunk_by(|a, b| about_the_same(a, b)) {
        let asked: Option<Vec<&Message>> = chunk.iter().map(|it| it.message.as_ref()).collect();
        let looked = match asked {
            Some(asked) => look(doors, stripe, &asked).await,
            // It will never be readable: the queue takes it to the dead letters, where a human looks.
            None => Err(Failure::Internal(Internal::new("a message that is not ours"))),
        };
        if let Err(failure) = looked {
            tracing::error!(cause = failure.cause(), "a look failed; its messages come back");
            break;
        }
        done += chunk.len();
    }
    messages.iter().skip(done).copied().collect()
}

fn about_the_same(a: &Received, b: &Received) -> bool {
    match (&a.message, &b.message) {
        (Some(Message::Event { about: a, .. }), Some(Message::Event { about: b, .. })) => a == b,
        _ => false,
    }
}

async fn come_back(doors: &Doors, failed: &Received) {
    let doubled = RETRY_SECONDS_FIRST.saturating_mul(1 << failed.times.clamp(1, 10).saturating_sub(1));
    let seconds = doubled.min(RETRY_SECONDS_MAX);
    let Some(receipt) = &failed.receipt else { return };
    if doors.queue.retry_after(receipt, seconds).await.is_err() {
        tracing::warn!("a message comes back when the queue's own timeout is over");
    }
}

fn received(message: SqsMessage) -> Received {
    let attribute = |name: &str| message.attributes.get(name).cloned();
    Received {
        id: message.message_id.clone().unwrap_or_default(),
        receipt: message.receipt_handle.clone(),
        group: attribute("MessageGroupId").unwrap_or_default(),
        times: attribute("ApproximateReceiveCount")
            .and_then(|count| count.parse().ok())
            .unwrap_or(1),
        message: serde_json::from_str(message.body.as_deref().unwrap_or_default()).ok(),
    }
}
