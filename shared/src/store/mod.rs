//! DynamoDB, S3, SQS and SES: concrete clients, one file per kind of thing, every write conditional.
//!
//! Rules that hold for each function here:
//! - A timeout is *unknown*, not failed: the operation is asked again with the same conditions, and what was
//!   already done is recognised by its own traces (an entry, an epoch, a pointer), never by a guess.
//! - No bare `ADD`: a number changes only under a condition that cannot hold twice.
//! - Lists are pages with a cursor; loops over pages are bounded.

mod assignments;
mod claim;
mod clients;
mod copies;
mod customers;
mod entries;
mod expression;
mod extend;
mod idempotency;
mod keys;
mod lease;
mod ledger;
mod letters;
#[cfg(feature = "mail")]
mod mail;
mod objects;
mod outbox;
mod overhead;
mod owned;
mod pages;
mod queue;
mod reserve;
mod runs;
mod secrets;
mod settle;
mod starting;
mod stop;
mod subscriptions;
mod transact;
mod upload;

pub use assignments::{Assignment, RubricRecord};
pub use clients::Clients;
pub use copies::COPIES_PER_ASSIGNMENT_MAX;
pub use entries::{EntryLine, Operation};
pub use extend::Extended;
pub use idempotency::Idempotency;
pub use letters::Due;
#[cfg(feature = "mail")]
pub use mail::{Mail, Unsent};
pub use objects::{Found, Objects, copy_key, reply_key, result_key, result_run};
pub use outbox::{Batch, Next, Pending, PendingRun};
pub use queue::{BillingQueue, Message, Queue};
pub use reserve::Reserve;
pub use runs::{Preparation, RunRecord};
pub use secrets::Secrets;
pub use settle::Charge;
pub use starting::Starting;
pub use subscriptions::{Answer, Billing, Checkout, Recorded};
pub use upload::{PDF_BYTES_MAX, PresignedPost, UploadSigner};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use crate::domain::failure::{Failure, Internal};

/// The table: users, assignments, copies, runs and the ledger.
#[derive(Debug, Clone)]
pub struct Store {
    dynamo: Client,
    table: String,
}

impl Store {
    /// A store on `table`.
    #[must_use]
    pub fn new(dynamo: Client, table: impl Into<String>) -> Self {
        Self {
            dynamo,
            table: table.into(),
        }
    }
}

/// What a dependency's error means to the caller: it may pass later, or it is ours.
fn failed<E>(operation: &str, error: &SdkError<E>) -> Failure
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let text = format!("{operation}: {}", said(error));
    // The last three are Secrets Manager's: a secret that is being deleted, or that its key does not open.
    let ours = matches!(
        error.code(),
        Some(
            "ValidationException"
                | "AccessDeniedException"
                | "ResourceNotFoundException"
                | "NoSuchBucket"
                | "InvalidRequestException"
                | "InvalidParameterException"
                | "DecryptionFailure"
        )
    );
    if ours {
        Failure::Internal(Internal::new(text))
    } else {
        Failure::Unavailable(Internal::new(text))
    }
}

/// What an error may say in a log: a refusal its code, its sentence and its request's id. What came with it is left
/// out: an item that a condition met has pupils' names in it.
fn said<E>(error: &SdkError<E>) -> String
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    match error {
        SdkError::ServiceError(refusal) => {
            let meta = refusal.err().meta();
            let part = |text: Option<&str>| text.unwrap_or("-").to_owned();
            format!(
                "{} {} (request {})",
                part(meta.code()),
                part(meta.message()),
                part(meta.extra("aws_request_id"))
            )
        }
        SdkError::ResponseError(_) => "an answer that cannot be read".to_owned(),
        // Nothing came: these tell of the connection.
        other => DisplayErrorContext(other).to_string(),
    }
}

/// An item that does not have the shape that we wrote.
fn unreadable(what: &str, error: impl std::fmt::Display) -> Failure {
    Failure::Internal(Internal::new(format!("unreadable {what}: {error}")))
}
