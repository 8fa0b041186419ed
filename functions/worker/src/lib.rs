//! The worker: one message, one step. It prepares a run, or takes one copy through its phases.
//!
//! A message may come twice, late, or while another worker still holds its copy; the lease decides. A failure
//! of one message is that message's: the others of its batch are done.

mod ask;
mod choice;
mod covers;
mod end;
mod grade;
mod meter;
mod models;
mod prepare;
mod read;
mod result;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use shared::clock::Clock;
use shared::domain::failure::{Failure, Internal};
use shared::domain::money::Rates;
use shared::domain::run::Message;
use shared::domain::time::UnixMillis;
use shared::llm::prices::Prices;
use shared::llm::{Model, Provider};
use shared::pdf::Reader;
use shared::store::{Objects, Queue, Store};
use shared::telemetry::{Lines, Metrics};
use tracing::Instrument;

pub use choice::Choice;
pub use models::Models;

/// The longest that a message is sent back for. Unit: seconds.
const LATER_SECONDS_MAX: i64 = 900;
/// How soon a message comes back after a failure of ours. Unit: seconds.
const RETRY_SECONDS: i64 = 15;
/// What failed comes back within this. Unit: seconds.
const WAIT_SECONDS_MAX: i64 = 900;

/// What the worker needs.
#[derive(Debug, Clone)]
pub struct Doors {
    /// The table.
    pub store: Store,
    /// The bucket.
    pub objects: Objects,
    /// The work queue.
    pub queue: Queue,
    /// What calls cost.
    pub prices: Prices,
    /// Who answers.
    pub provider: Provider,
    /// Which model, for all phases.
    pub model: String,
    /// Reads PDFs, each in a child process.
    pub reader: Reader,
    /// How long a copy is held. Unit: seconds.
    pub lease_seconds: i64,
    /// Tells the time.
    pub clock: Clock,
    /// Where metrics go.
    pub metrics: Lines,
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Nothing more to do for it.
    Done,
    /// It comes back after so many seconds.
    Later(i64),
}

impl Doors {
    fn now(&self) -> UnixMillis {
        UnixMillis::new(self.clock.now_millis())
    }

    fn emit(&self, metrics: &Metrics) {
        self.metrics.write(metrics.line(self.clock.now_millis()));
    }

    fn rates(&self, prompt_tokens: u64) -> Result<Rates, Failure> {
        let row = self
            .prices
            .row(self.provider.as_str(), &self.model, self.now())
            .map_err(|error| Failure::Internal(Internal::new(error.to_string())))?;
        Ok(row.rates(prompt_tokens))
    }
}

/// Handles a batch; answers with the messages that must come back.
pub async fn handle<M: Model>(doors: &Doors, model: &M, event: SqsEvent) -> SqsBatchResponse {
    let mut failures = Vec::new();
    for message in event.records {
        let id = message.message_id.clone().unwrap_or_default();
        if let Next::Later(seconds) = one(doors, model, &message).await {
            if let Some(receipt) = &message.receipt_handle {
                let seconds = i32::try_from(seconds.clamp(1, LATER_SECONDS_MAX)).unwrap_or(i32::MAX);
                if doors.queue.retry_after(receipt, seconds).await.is_err() {
                    tracing::warn!("the message comes back when the queue's own timeout is over");
                }
            }
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = id;
            failures.push(failure);
        }
    }
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = failures;
    response
}

async fn one<M: Model>(doors: &Doors, model: &M, message: &SqsMessage) -> Next {
    let body = message.body.as_deref().unwrap_or_default();
    let Ok(message) = serde_json::from_str::<Message>(body) else {
        // It will never be readable: the queue takes it to the dead letters, where a human looks.
        tracing::error!(bytes = body.len(), "a message that is not ours");
        return Next::Later(1);
    };
    let address = message.address();
    let span = tracing::info_span!("message", correlation = %address.correlation, run = %address.run);
    let done = match &message {
        Message::Prepare(address) => {
            prepare::prepare(doors, model, address)
                .instrument(span.clone())
                .await
        }
        Message::Grade { address, copy } => {
            let span = tracing::info_span!(parent: &span, "copy", copy = %copy, correlation = %address.correlation, run = %address.run);
            grade::grade(doors, model, address, *copy).instrument(span).await
        }
    };
    done.unwrap_or_else(|failure| {
        span.in_scope(|| {
            tracing::error!(cause = failure.cause(), "a step failed; its message comes back");
        });
        Next::Later(RETRY_SECONDS)
    })
}

/// How long what failed in its `epoch`th lease waits: 20 s, 1 min, 3 min, 9 min, 15 min. An outage of half an hour
/// fails nothing.
fn wait_seconds(epoch: u32) -> i64 {
    const FIRST_SECONDS: i64 = 20;
    let grown = FIRST_SECONDS.saturating_mul(3_i64.saturating_pow(epoch.saturating_sub(1)));
    grown.min(WAIT_SECONDS_MAX)
}
