//! Writes under conditions: of one item, or of several in a transaction, retried while it is worth it.

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{CancellationReason, ReturnValue, ReturnValuesOnConditionCheckFailure};
use std::time::Duration;

use super::expression::{Change, Item, Writes, names};
use super::{Store, failed};
use crate::domain::failure::{Failure, Internal};

const ATTEMPTS_MAX: u32 = 10;
const BACKOFF_FIRST: Duration = Duration::from_millis(15);
const BACKOFF_MAX: Duration = Duration::from_millis(500);

/// How a transaction ended.
#[derive(Debug)]
pub(super) enum Committed {
    /// All of it is written.
    Yes,
    /// None of it is: some conditions did not hold.
    No(Refusal),
}

/// How one conditional change of one item ended.
pub(super) enum Changed {
    /// The item as it is now.
    Yes(Item),
    /// The item that the condition met, if any.
    No(Option<Item>),
}

/// Which conditions did not hold, by place, with the items that they met.
#[derive(Debug)]
pub(super) struct Refusal(Vec<Option<Option<Item>>>);

impl Refusal {
    /// Whether the condition at `place` did not hold.
    pub(super) fn at(&self, place: usize) -> bool {
        self.0.get(place).is_some_and(Option::is_some)
    }

    /// The item that the condition at `place` met, if there was one.
    pub(super) fn item_at(&self, place: usize) -> Option<&Item> {
        self.0.get(place)?.as_ref()?.as_ref()
    }
}

impl Store {
    /// One conditional change of one item: half the price of a transaction.
    pub(super) async fn change_one(&self, operation: &str, change: Change<'_>) -> Result<Changed, Failure> {
        let sent = self
            .dynamo
            .update_item()
            .table_name(&self.table)
            .set_key(Some(change.key.attributes()))
            .update_expression(change.change)
            .condition_expression(change.condition)
            .set_expression_attribute_names(names(&[change.change, change.condition]))
            .set_expression_attribute_values(Some(change.values))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match sent {
            Ok(output) => Ok(Changed::Yes(output.attributes.unwrap_or_default())),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                    Ok(Changed::No(refused.item.clone()))
                }
                _ => Err(failed(operation, &error)),
            },
        }
    }

    /// Commits all or nothing. Throttles and conflicts with other transactions are waited out, with jitter and
    /// a bound. A lost reply is asked again under the same request token, which DynamoDB honours for ten
    /// minutes; beyond that, the caller's conditions decide.
    pub(super) async fn commit(&self, operation: &str, writes: Writes<'_>) -> Result<Committed, Failure> {
        let items = writes.into_items();
        let token = uuid::Uuid::new_v4().to_string();
        let mut last = None;
        for attempt in 0..ATTEMPTS_MAX {
            if attempt > 0 {
                tokio::time::sleep(backoff(attempt)).await;
            }
            let sent = self
                .dynamo
                .transact_write_items()
                .client_request_token(&token)
                .set_transact_items(Some(items.clone()))
                .send()
                .await;
            let error = match sent {
                Ok(_) => return Ok(Committed::Yes),
                Err(error) => error,
            };
            if let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) =
                error.as_service_error()
            {
                match refusal(cancelled.cancellation_reasons()) {
                    Some(refusal) => return Ok(Committed::No(refusal)),
                    None if reasons_pass(cancelled.cancellation_reasons()) => {}
                    None => return Err(failed(operation, &error)),
                }
            } else if matches!(failed(operation, &error), Failure::Internal(_))
                || error.code() == Some("IdempotentParameterMismatchException")
            {
                return Err(failed(operation, &error));
            }
            last = Some(failed(operation, &error));
        }
        Err(last.unwrap_or_else(|| Failure::Unavailable(Internal::new(operation))))
    }
}

/// `Some` when a condition did not hold: the transaction will not pass by itself.
fn refusal(reasons: &[CancellationReason]) -> Option<Refusal> {
    let refused = |reason: &CancellationReason| reason.code() == Some("ConditionalCheckFailed");
    reasons.iter().any(refused).then(|| {
        Refusal(
            reasons
                .iter()
                .map(|reason| refused(reason).then(|| reason.item().cloned()))
                .collect(),
        )
    })
}

/// Whether every reason is one that time heals.
fn reasons_pass(reasons: &[CancellationReason]) -> bool {
    reasons.iter().all(|reason| {
        matches!(
            reason.code(),
            None | Some("None" | "TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded")
        )
    })
}

/// Full jitter: https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
pub(super) fn backoff(attempt: u32) -> Duration {
    let ceiling = BACKOFF_FIRST
        .saturating_mul(1 << attempt.min(10))
        .min(BACKOFF_MAX);
    ceiling.mul_f64(rand::random::<f64>())
}
