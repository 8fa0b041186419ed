//! What we read of Stripe's answers: the fields that decide something, and no others. The whole objects and
//! their decoders weigh megabytes (docs/adr/0016-stripe-client.md). A value that we do not know stays text.

mod portal;

use std::collections::HashMap;

use serde::Deserialize;

pub use portal::{
    PortalCancel, PortalCondition, PortalConfiguration, PortalFeatures, PortalProduct, PortalSchedule,
    PortalSession, PortalUpdate,
};

/// One page of a list.
#[derive(Debug, Clone, Deserialize)]
pub struct List<T> {
    /// Its objects, newest first, but for an invoice's lines.
    pub data: Vec<T>,
    /// Whether another page follows.
    #[serde(default)]
    pub has_more: bool,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self {
            data: Vec::new(),
            has_more: false,
        }
    }
}

/// Something by its id, or the whole of it if it was asked for.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Expandable<T = Id> {
    /// Only the id.
    Id(String),
    /// All of it.
    Object(T),
}

/// An object of which only the id matters.
#[derive(Debug, Clone, Deserialize)]
pub struct Id {
    /// The id.
    pub id: String,
}

/// What has an id.
pub trait Identified {
    /// The id.
    fn id(&self) -> &str;
}

macro_rules! identified {
    ($($name:ident)*) => {$(
        impl Identified for $name {
            fn id(&self) -> &str {
                &self.id
            }
        }
    )*};
}

identified!(Id Customer Subscription Invoice Line Charge Schedule Event);

impl<T: Identified> Expandable<T> {
    /// The id.
    pub fn id(&self) -> &str {
        match self {
            Self::Id(id) => id,
            Self::Object(object) => object.id(),
        }
    }

    /// All of it, if it was asked for.
    pub const fn object(&self) -> Option<&T> {
        match self {
            Self::Id(_) => None,
            Self::Object(object) => Some(object),
        }
    }
}

/// A customer.
#[derive(Debug, Clone, Deserialize)]
pub struct Customer {
    /// Its id.
    pub id: String,
    /// It was deleted, and its subscriptions with it.
    #[serde(default)]
    pub deleted: bool,
    /// Ours: `account` is the account's id.
    #[serde(default)]
    pub metadata: HashMap<String, String>,
    /// Where invoices go.
    #[serde(default)]
    pub email: Option<String>,
    /// Languages, best first.
    #[serde(default)]
    pub preferred_locales: Option<Vec<String>>,
}

/// A subscription.
#[derive(Debug, Clone, Deserialize)]
pub struct Subscription {
    /// Its id.
    pub id: String,
    /// Its status.
    pub status: String,
    /// Whose it is.
    pub customer: Expandable<Customer>,
    /// When it was created. Unit: seconds.
    pub created: i64,
    /// What it sells: one item.
    pub items: List<Item>,
    /// When it is to end. Unit: seconds.
    #[serde(default)]
    pub cancel_at: Option<i64>,
    /// Whether it ends with its period.
    #[serde(default)]
    pub cancel_at_period_end: bool,
    /// What it will sell later.
    #[serde(default)]
    pub schedule: Option<Expandable<Schedule>>,
    /// There is a change that waits for its payment.
    #[serde(default)]
    pub pending_update: Option<Present>,
}

/// Something of which only the presence matters.
#[derive(Debug, Clone, Deserialize)]
pub struct Present {}

/// A subscription's item.
#[derive(Debug, Clone, Deserialize)]
pub struct Item {
    /// Its id.
    pub id: String,
    /// What is paid.
    pub price: Id,
    /// When the period began. Unit: seconds.
    pub current_period_start: i64,
    /// When it ends. Unit: seconds.
    pub current_period_end: i64,
}

/// A subscription's schedule.
#[derive(Debug, Clone, Deserialize)]
pub struct Schedule {
    /// Its id.
    pub id: String,
    /// `active`, or it has no effect (any more).
    pub status: String,
    /// The phase that is on.
    #[serde(default)]
    pub current_phase: Option<Span>,
    /// All of them, in order.
    #[serde(default)]
    pub phases: Vec<Phase>,
}

/// From when to when. Unit: seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Span {
    /// When it begins.
    pub start_date: i64,
    /// When it ends.
    pub end_date: i64,
}

/// A phase of a schedule.
#[derive(Debug, Clone, Deserialize)]
pub struct Phase {
    /// From when to when.
    #[serde(flatten)]
    pub span: Span,
    /// What is paid then.
    pub items: Vec<PhaseItem>,
}

/// What is paid in a phase.
#[derive(Debug, Clone, Deserialize)]
pub struct PhaseItem {
    /// The price.
    pub price: Expandable,
}

/// An invoice.
#[derive(Debug, Clone, Deserialize)]
pub struct Invoice {
    /// Its id.
    pub id: String,
    /// Its status; a draft may have none.
    #[serde(default)]
    pub status: Option<String>,
    /// When it was made. Unit: seconds.
    pub created: i64,
    /// What it is for.
    #[serde(default)]
    pub parent: Option<InvoiceParent>,
    /// Its lines, the first ten of them.
    #[serde(default)]
    pub lines: List<Line>,
    /// What it asks for. Unit: cents of `currency`.
    #[serde(default)]
    pub total: i64,
    /// In what it is paid.
    #[serde(default)]
    pub currency: String,
    /// Where it can be seen and paid.
    #[serde(default)]
    pub hosted_invoice_url: Option<String>,
    /// It as a PDF.
    #[serde(default)]
    pub invoice_pdf: Option<String>,
    /// What paid it, or should.
    #[serde(default)]
    pub payments: Option<List<InvoicePayment>>,
}

/// What an invoice is for.
#[derive(Debug, Clone, Deserialize)]
pub struct InvoiceParent {
    /// A subscription.
    #[serde(default)]
    pub subscription_details: Option<OfSubscription>,
}

/// The subscription that an invoice is for.
#[derive(Debug, Clone, Deserialize)]
pub struct OfSubscription {
    /// Which.
    pub subscription: Expandable,
}

/// A line of an invoice.
#[derive(Debug, Clone, Deserialize)]
pub struct Line {
    /// Its id.
    pub id: String,
    /// The time that it pays for. Unit: seconds.
    pub period: LinePeriod,
    /// Where it comes from.
    #[serde(default)]
    pub parent: Option<LineParent>,
    /// What it asks for; negative where it gives back. Unit: cents of the invoice's currency.
    #[serde(default)]
    pub amount: i64,
    /// How it is priced.
    #[serde(default)]
    pub pricing: Option<Pricing>,
}

/// How a line is priced.
#[derive(Debug, Clone, Deserialize)]
pub struct Pricing {
    /// By a price.
    #[serde(default)]
    pub price_details: Option<OfPrice>,
}

/// The price of a line.
#[derive(Debug, Clone, Deserialize)]
pub struct OfPrice {
    /// Which.
    pub price: Expandable,
}

/// The time that a line pays for. Unit: seconds.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct LinePeriod {
    /// When it begins.
    pub start: i64,
}

/// Where a line comes from.
#[derive(Debug, Clone, Deserialize)]
pub struct LineParent {
    /// The regular price of a period.
    #[serde(default)]
    pub subscription_item_details: Option<Proration>,
}

/// Whether a line only makes up for a change.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Proration {
    /// It does.
    #[serde(default)]
    pub proration: bool,
}

/// What paid an invoice, or should.
#[derive(Debug, Clone, Deserialize)]
pub struct InvoicePayment {
    /// By what.
    pub payment: PaidBy,
}

/// By what an invoice is paid.
#[derive(Debug, Clone, Deserialize)]
pub struct PaidBy {
    /// A payment intent.
    #[serde(default)]
    pub payment_intent: Option<Expandable>,
}

/// A payment intent.
#[derive(Debug, Clone, Deserialize)]
pub struct PaymentIntent {
    /// How it stands.
    pub status: String,
}

/// A charge.
#[derive(Debug, Clone, Deserialize)]
pub struct Charge {
    /// Its id.
    pub id: String,
    /// Who was charged.
    #[serde(default)]
    pub customer: Option<Expandable>,
    /// What made it.
    #[serde(default)]
    pub payment_intent: Option<Expandable>,
    /// All of it was given back.
    #[serde(default)]
    pub refunded: bool,
    /// It is or was disputed.
    #[serde(default)]
    pub disputed: bool,
}

/// A dispute.
#[derive(Debug, Clone, Deserialize)]
pub struct Dispute {
    /// Its status.
    pub status: String,
}

/// A checkout session.
#[derive(Debug, Clone, Deserialize)]
pub struct CheckoutSession {
    /// Its id.
    pub id: String,
    /// `open`, `complete` or `expired`.
    #[serde(default)]
    pub status: Option<String>,
    /// `paid`, `unpaid` or `no_payment_required`. A complete session may still be unpaid.
    #[serde(default)]
    pub payment_status: Option<String>,
    /// Stripe's page, while it is open.
    #[serde(default)]
    pub url: Option<String>,
    /// Who pays.
    #[serde(default)]
    pub customer: Option<Expandable>,
    /// What came of it.
    #[serde(default)]
    pub subscription: Option<Expandable>,
    /// Ours: the account's id.
    #[serde(default)]
    pub client_reference_id: Option<String>,
    /// When it can no longer be paid. Unit: seconds.
    #[serde(default)]
    pub expires_at: Option<i64>,
}

/// A price.
#[derive(Debug, Clone, Deserialize)]
pub struct Price {
    /// It can be sold.
    pub active: bool,
    /// In what it is paid.
    pub currency: String,
    /// What is paid. Unit: cents.
    #[serde(default)]
    pub unit_amount: Option<u64>,
    /// How often.
    #[serde(default)]
    pub recurring: Option<Recurring>,
}

/// How often a price is paid.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Recurring {
    /// `month` or `year`.
    pub interval: String,
    /// Every so many of them.
    pub interval_count: u64,
}

/// An event, of which the content does not matter: only what it names.
#[derive(Debug, Clone, Deserialize)]
pub struct Event {
    /// Its id.
    pub id: String,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: String,
    /// When. Unit: seconds.
    pub created: i64,
    /// It happened with real money.
    pub livemode: bool,
    /// The connected account that it happened to; none of ours.
    #[serde(default)]
    pub account: Option<String>,
    /// What it happened to.
    pub data: EventData,
}

/// What an event happened to.
#[derive(Debug, Clone, Deserialize)]
pub struct EventData {
    /// The object, as it was then.
    pub object: EventObject,
}

/// What of an event's object names its customer.
#[derive(Debug, Clone, Deserialize)]
pub struct EventObject {
    /// Its own id.
    #[serde(default)]
    pub id: Option<String>,
    /// Its customer.
    #[serde(default)]
    pub customer: Option<Expandable>,
    /// Its charge (a dispute has no customer).
    #[serde(default)]
    pub charge: Option<Expandable>,
}
