//! What happened, with the object as it was then.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::checkout::Session;
use super::clock::TestClock;
use super::customer::Customer;
use super::invoice::Invoice;
use super::kept;
use super::method::Method;
use super::payment::{Charge, Intent};
use super::refund::{Dispute, Refund};
use super::schedule::Schedule;
use super::subscription::Subscription;
use super::table::Named;
use super::world::Word;

/// An object at one moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each holds the object that it is named for")]
pub enum Snapshot {
    Customer(Arc<Customer>),
    Session(Arc<Session>),
    Subscription(Arc<Subscription>),
    Schedule(Arc<Schedule>),
    Invoice(Arc<Invoice>),
    Intent(Arc<Intent>),
    Charge(Arc<Charge>),
    Refund(Arc<Refund>),
    Dispute(Arc<Dispute>),
    Method(Arc<Method>),
    TestClock(Arc<TestClock>),
}

/// The request that caused an event.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RequestMark {
    /// `req_…`.
    pub id: String,
    /// The request's `Idempotency-Key`.
    pub idempotency_key: Option<String>,
}

/// How far the delivery of an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Delivery {
    /// Not answered with 2xx yet.
    Pending,
    /// Answered with 2xx at least once.
    Succeeded,
    /// Given up.
    Failed,
}

/// An event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    /// `evt_…`.
    pub id: String,
    /// Stripe's `type`, such as `invoice.paid`.
    #[serde(deserialize_with = "kept::word")]
    pub kind: Word,
    /// When, in Unix seconds.
    pub created: i64,
    /// The object as it was then.
    pub object: Snapshot,
    /// The object as it was before, for `*.updated`.
    pub before: Option<Snapshot>,
    /// The request that caused it; `None` for what time did.
    pub request: Option<RequestMark>,
    /// How far its delivery is.
    pub delivery: Delivery,
}

impl Named for Event {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Snapshot {
    /// The id of the customer that the object belongs to.
    #[must_use]
    pub fn customer(&self) -> Option<&str> {
        match self {
            Self::Customer(customer) => Some(&customer.id),
            Self::Session(session) => session.customer.as_deref(),
            Self::Subscription(subscription) => Some(&subscription.customer),
            Self::Schedule(schedule) => Some(&schedule.customer),
            Self::Invoice(invoice) => Some(&invoice.customer),
            Self::Intent(intent) => Some(&intent.customer),
            Self::Charge(charge) => Some(&charge.customer),
            Self::Method(method) => Some(&method.customer),
            Self::Refund(_) | Self::Dispute(_) | Self::TestClock(_) => None,
        }
    }
}

/// Makes a snapshot of any object.
macro_rules! snapshots {
    ($($kind:ident),*) => {$(
        impl From<Arc<$kind>> for Snapshot {
            fn from(object: Arc<$kind>) -> Self {
                Self::$kind(object)
            }
        }

        impl Named for $kind {
            fn id(&self) -> &str {
                &self.id
            }
        }
    )*};
}

snapshots!(
    Customer,
    Session,
    Subscription,
    Schedule,
    Invoice,
    Intent,
    Charge,
    Refund,
    Dispute,
    Method,
    TestClock
);
