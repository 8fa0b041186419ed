//! The work queue and the billing queue.

use std::marker::PhantomData;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use serde::Serialize;

use super::said;
use crate::domain::failure::{Failure, Internal};
use crate::domain::{billing, run};

const BATCH_MAX: usize = 10;

/// What an SQS queue carries.
pub trait Message: Serialize {
    /// The message group. A standard queue serves groups in turn, so that one account's 500 copies do not make
    /// another wait (fair queues); a FIFO queue keeps the order within each.
    fn group(&self) -> String;

    /// For a FIFO queue: messages of one name within five minutes are one.
    fn deduplication(&self) -> Option<String>;
}

impl Message for run::Message {
    fn group(&self) -> String {
        self.address().account.to_string()
    }

    fn deduplication(&self) -> Option<String> {
        None
    }
}

impl Message for billing::Message {
    fn group(&self) -> String {
        self.group()
    }

    fn deduplication(&self) -> Option<String> {
        Some(self.deduplication())
    }
}

/// The billing queue: FIFO.
pub type BillingQueue = Queue<billing::Message>;

/// An SQS queue that carries one kind of message. The work queue is a standard one: at least once, in no order.
#[derive(Debug, Clone)]
pub struct Queue<M = run::Message> {
    sqs: Client,
    url: String,
    carries: PhantomData<fn(M)>,
}

impl<M: Message> Queue<M> {
    /// The queue at `url`.
    #[must_use]
    pub fn new(sqs: Client, url: impl Into<String>) -> Self {
        Self {
            sqs,
            url: url.into(),
            carries: PhantomData,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sends every message, or says that some may not have been sent.
    ///
    /// # Errors
    /// `Unavailable` when the queue refuses or does not answer for any of them.
    pub async fn send(&self, messages: &[M]) -> Result<(), Failure> {
        for batch in messages.chunks(BATCH_MAX) {
            let mut request = self.sqs.send_message_batch().queue_url(&self.url);
            for (place, message) in batch.iter().enumerate() {
                let body = serde_json::to_string(message).map_err(|error| unwritable(&error))?;
                let entry = SendMessageBatchRequestEntry::builder()
                    .id(place.to_string())
                    .message_group_id(message.group())
                    .set_message_deduplication_id(message.deduplication())
                    .message_body(body)
                    .build()
                    .map_err(|error| unwritable(&error))?;
                request = request.entries(entry);
            }
            let sent = request
                .send()
                .await
                .map_err(|error| unavailable("SendMessageBatch", said(&error)))?;
            if let Some(refused) = sent.failed().first() {
                return Err(unavailable("SendMessageBatch", refused.code()));
            }
        }
        Ok(())
    }

    /// Asks that a message in hand come back after `seconds`, instead of the queue's visibility timeout. In a FIFO
    /// queue its group waits until then.
    ///
    /// # Errors
    /// `Unavailable`; the message then comes back when the queue's own timeout is over.
    pub async fn retry_after(&self, receipt_handle: &str, seconds: i32) -> Result<(), Failure> {
        self.sqs
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt_handle)
            .visibility_timeout(seconds)
            .send()
            .await
            .map_err(|error| unavailable("ChangeMessageVisibility", said(&error)))?;
        Ok(())
    }
}

fn unavailable(operation: &str, why: impl std::fmt::Display) -> Failure {
    Failure::Unavailable(Internal::new(format!("{operation}: {why}")))
}

fn unwritable(error: &dyn std::fmt::Display) -> Failure {
    Failure::Internal(Internal::new(format!("message: {error}")))
}
