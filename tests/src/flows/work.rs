//! The worker behind its queue, and the sweeper: what AWS runs when no one asks.

use aws_lambda_events::sqs::SqsEvent;
use aws_sdk_sqs::types::Message;
use serde_json::json;
use shared::clock::Clock;
use shared::llm::prices::Prices;
use shared::llm::retry::Pace;
use shared::llm::{Anthropic, Model, Provider, Settings};
use shared::pdf::Reader;
use shared::store::Clients;
use sweeper::Swept;

use super::world::World;

pub(super) const MODEL: &str = "demo-pas-une-ia";
pub(super) const LEASE_SECONDS: i64 = 330;
/// Batches that one test's work may take: a message that comes back for ever ends the test.
const BATCHES_MAX: usize = 60;
/// What the world waits when a message came back. A run is not over before sixty of these. Unit: seconds.
const WAIT_SECONDS: i64 = 300;

/// One worker's process.
pub(super) struct Worker<M = Anthropic> {
    pub(super) doors: worker::Doors,
    pub(super) model: M,
}

impl World {
    pub(super) fn worker(&self) -> Worker {
        self.worker_with(Clients::on(self.config.clone()), self.settings())
    }

    pub(super) fn worker_with(&self, clients: Clients, settings: Settings) -> Worker {
        Worker {
            doors: worker::Doors {
                store: clients.store(&self.table),
                objects: clients.objects(&self.bucket),
                queue: clients.queue(&self.queue_url),
                prices: Prices::load(None).unwrap(),
                provider: Provider::Local,
                model: MODEL.to_owned(),
                reader: Reader::with_program(env!("CARGO_BIN_EXE_pdf-child")),
                lease_seconds: LEASE_SECONDS,
                clock: self.clock.clone(),
                metrics: self.metrics.clone(),
            },
            model: settings.build().unwrap(),
        }
    }

    /// The provider's client, whose waits take no time.
    pub(super) fn settings(&self) -> Settings {
        let mut settings = Settings::new(Provider::Local, MODEL);
        settings.base_url = Some(self.provider.base_url());
        settings.pace = Pace::new(|_| Box::pin(std::future::ready(())), || 0.0);
        settings
    }

    /// Messages that wait, at most ten; they are in hand from then on.
    pub(super) async fn receive(&self) -> Vec<Message> {
        let received = self
            .sqs
            .receive_message()
            .queue_url(&self.queue_url)
            .max_number_of_messages(10)
            .wait_time_seconds(0)
            .send()
            .await
            .unwrap();
        received.messages.unwrap_or_default()
    }

    /// Hands out messages as Lambda's mapping does, until none waits. What a worker sends back comes back at
    /// once: the time that it asked for has passed.
    pub(super) async fn work(&self) {
        self.work_by(&self.worker()).await;
    }

    pub(super) async fn work_by<M: Model>(&self, worker: &Worker<M>) {
        for _ in 0..BATCHES_MAX {
            let batch = self.receive().await;
            if batch.is_empty() {
                return;
            }
            let waiting = self.deliver(worker, &batch).await;
            if !waiting.is_empty() {
                // Its message is here at once; what it waits for comes with time.
                self.clock.advance_seconds(WAIT_SECONDS);
            }
        }
        panic!("messages still wait after {BATCHES_MAX} batches");
    }

    /// One invocation; what is done leaves the queue. The ids of what is not.
    pub(super) async fn deliver<M: Model>(&self, worker: &Worker<M>, batch: &[Message]) -> Vec<String> {
        let answer = worker::handle(&worker.doors, &worker.model, event(batch)).await;
        let failed: Vec<String> = answer
            .batch_item_failures
            .into_iter()
            .map(|failure| failure.item_identifier)
            .collect();
        for message in batch {
            let receipt = message.receipt_handle().unwrap();
            if failed.iter().any(|id| Some(id.as_str()) == message.message_id()) {
                self.come_back(receipt).await;
            } else {
                let gone = self
                    .sqs
                    .delete_message()
                    .queue_url(&self.queue_url)
                    .receipt_handle(receipt);
                gone.send().await.unwrap();
            }
        }
        failed
    }

    /// A message in hand is in no one's hand any more.
    pub(super) async fn come_back(&self, receipt: &str) {
        let back = self.sqs.change_message_visibility().queue_url(&self.queue_url);
        back.receipt_handle(receipt)
            .visibility_timeout(0)
            .send()
            .await
            .unwrap();
    }

    pub(super) async fn sweep(&self) -> Swept {
        let clients = Clients::on(self.config.clone());
        let swept = sweeper::sweep(&sweeper::Doors {
            store: clients.store(&self.table),
            queue: clients.queue(&self.queue_url),
            post: None,
            clock: self.clock.clone(),
        })
        .await;
        assert_eq!((swept.failures, swept.drift_tokens), (0, 0), "{swept:?}");
        swept
    }
}

/// A batch as Lambda gives it to the function.
pub(super) fn event(batch: &[Message]) -> SqsEvent {
    let record = |message: &Message| {
        json!({
            "messageId": message.message_id(), "receiptHandle": message.receipt_handle(),
            "body": message.body(), "attributes": {}, "messageAttributes": {},
            "eventSource": "aws:sqs", "awsRegion": local::emulator::REGION,
        })
    };
    serde_json::from_value(json!({ "Records": batch.iter().map(record).collect::<Vec<_>>() })).unwrap()
}

/// Past the end of every lease that is held now.
pub(super) fn outlive_leases(clock: &Clock) {
    clock.advance_seconds(LEASE_SECONDS + 1);
}
