//! The billing queue: in order for one customer, and a repeated message is dropped for five minutes.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;

use crate::domain::billing::Message;
use crate::domain::failure::{Failure, Internal};

const BATCH_MAX: usize = 10;

/// A FIFO SQS queue.
#[derive(Debug, Clone)]
pub struct BillingQueue {
    sqs: Client,
    url: String,
}

impl BillingQueue {
    /// The queue at `url`.
    #[must_use]
    pub fn new(sqs: Client, url: impl Into<String>) -> Self {
        Self { sqs, url: url.into() }
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
    pub async fn send(&self, messages: &[Message]) -> Result<(), Failure> {
        for batch in messages.chunks(BATCH_MAX) {
            let mut request = self.sqs.send_message_batch().queue_url(&self.url);
            for (place, message) in batch.iter().enumerate() {
                let body = serde_json::to_string(message).map_err(|error| lost(&error))?;
                let entry = SendMessageBatchRequestEntry::builder()
                    .id(place.to_string())
                    .message_group_id(message.group())
                    .message_deduplication_id(message.deduplication())
                    .message_body(body)
                    .build()
                    .map_err(|error| lost(&error))?;
                request = request.entries(entry);
            }
            let sent = request.send().await.map_err(|error| {
                Failure::Unavailable(Internal::new(format!(
                    "SendMessageBatch: {}",
                    DisplayErrorContext(&error)
                )))
            })?;
            if let Some(refused) = sent.failed().first() {
                return Err(Failure::Unavailable(Internal::new(format!(
                    "SendMessageBatch: {}",
                    refused.code()
                ))));
            }
        }
        Ok(())
    }

    /// Asks that a message in hand come back after `seconds`; until then, its group waits.
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
            .map_err(|error| {
                Failure::Unavailable(Internal::new(format!(
                    "ChangeMessageVisibility: {}",
                    DisplayErrorContext(&error)
                )))
            })?;
        Ok(())
    }
}

fn lost(error: &dyn std::fmt::Display) -> Failure {
    Failure::Internal(Internal::new(format!("message: {error}")))
}
