//! DynamoDB, S3, SQS and SES: concrete clients, one file per kind of thing, every write conditional.
//!
//! Rules that hold for each function here:
//! - A timeout is *unknown*, not failed: the operation is asked again with the same conditions, and what was
//!   already done is recognised by its own traces (an entry, an epoch, a pointer), never by a guess.
//! - No bare `ADD`: a number changes only under a condition that cannot hold twice.
//! - Lists are pages with a cursor; loops over pages are bounded.

mod assignments;
mod billing_queue;
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
pub use billing_queue::BillingQueue;
pub use clients::Clients;
pub use copies::COPIES_PER_ASSIGNMENT_MAX;
pub use entries::{EntryLine, Operation};
pub use extend::Extended;
pub use idempotency::Idempotency;
pub use keys::OUTBOX_SHARDS;
pub use letters::Due;
#[cfg(feature = "mail")]
pub use mail::{Mail, Unsent};
pub use objects::{Found, Objects, copy_key, reply_key, result_key};
pub use outbox::{Pending, PendingRun};
pub use queue::Queue;
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
    let text = format!("{operation}: {}", DisplayErrorContext(error));
    let ours = matches!(
        error.code(),
        Some("ValidationException" | "AccessDeniedException" | "ResourceNotFoundException" | "NoSuchBucket")
    );
    if ours {
        Failure::Internal(Internal::new(text))
    } else {
        Failure::Unavailable(Internal::new(text))
    }
}

/// An item that does not have the shape that we wrote.
fn unreadable(what: &str, error: impl std::fmt::Display) -> Failure {
    Failure::Internal(Internal::new(format!("unreadable {what}: {error}")))
}
