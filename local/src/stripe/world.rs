//! Everything that Stripe knows, and its clock. No input, no output, no real time: a history is a seed and the
//! calls made, so that a test can play thousands of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::catalogue::Catalogue;
use super::checkout::Session;
use super::clock::TestClock;
use super::customer::Customer;
use super::event::{Delivery, Event, RequestMark, Snapshot};
use super::invoice::Invoice;
use super::method::Method;
use super::payment::{Charge, Intent};
use super::portal::{PortalChanges, PortalSession};
use super::refund::{Dispute, Refund};
use super::refusal::Refusal;
use super::schedule::Schedule;
use super::seed::Seed;
use super::subscription::Subscription;
use super::table::Table;

/// Keys and values that our side attaches to an object.
pub type Metadata = BTreeMap<String, String>;

/// A word of Stripe's, such as an event's type. By this name `serde` does not take it for text to be borrowed from what
/// it reads.
pub type Word = &'static str;

/// The version of every answer and event.
pub const API_VERSION: &str = "2026-09-30.endive";

/// What is the same for every request of one account.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// Whether money would be real, had it been Stripe.
    pub livemode: bool,
    /// Where pages are, without a slash at the end.
    pub base_url: String,
    /// What is sold.
    pub catalogue: Catalogue,
    /// What happens after a declined renewal.
    pub dunning: Dunning,
    /// Whether somebody has saved the portal's settings: until then Stripe opens none.
    pub portal_saved: bool,
    /// How the portal changes plans.
    pub portal_changes: PortalChanges,
}

/// How often a declined invoice is tried again, and what then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dunning {
    /// Seconds from each attempt to the next.
    pub waits: Vec<i64>,
    /// What happens after the last.
    pub then: AfterRetries,
}

impl Default for Dunning {
    fn default() -> Self {
        Self {
            waits: [3, 5, 7].map(|days| days * 86_400).to_vec(),
            then: AfterRetries::Cancel,
        }
    }
}

/// What becomes of a subscription whose invoice was never paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterRetries {
    /// `canceled`.
    Cancel,
    /// `unpaid`; further invoices stay drafts.
    Unpaid,
    /// Stays `past_due`.
    PastDue,
}

/// Stripe's state.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct World {
    /// The account's settings; a test may change them between two calls.
    #[serde(skip)]
    pub account: Account,
    /// What is kept is the same while nothing happens; so the time is kept beside it.
    #[serde(skip)]
    pub(super) now: i64,
    pub(super) seed: Seed,
    pub(super) clocks: Table<TestClock>,
    pub(super) customers: Table<Customer>,
    pub(super) methods: Table<Method>,
    pub(super) sessions: Table<Session>,
    pub(super) portals: Table<PortalSession>,
    pub(super) subscriptions: Table<Subscription>,
    pub(super) schedules: Table<Schedule>,
    pub(super) invoices: Table<Invoice>,
    pub(super) intents: Table<Intent>,
    pub(super) charges: Table<Charge>,
    pub(super) refunds: Table<Refund>,
    pub(super) disputes: Table<Dispute>,
    pub(super) events: Table<Event>,
    #[serde(skip)]
    request: Option<RequestMark>,
}

impl World {
    /// An empty account in test mode, at `now` in Unix seconds. The same seed gives the same ids.
    #[must_use]
    pub fn new(seed: u64, now: i64, catalogue: Catalogue) -> Self {
        Self {
            account: Account {
                livemode: false,
                base_url: "http://stripe.local".to_owned(),
                catalogue,
                dunning: Dunning::default(),
                portal_saved: true,
                portal_changes: PortalChanges::default(),
            },
            now,
            seed: Seed::new(seed),
            clocks: Table::default(),
            customers: Table::default(),
            methods: Table::default(),
            sessions: Table::default(),
            portals: Table::default(),
            subscriptions: Table::default(),
            schedules: Table::default(),
            invoices: Table::default(),
            intents: Table::default(),
            charges: Table::default(),
            refunds: Table::default(),
            disputes: Table::default(),
            events: Table::default(),
            request: None,
        }
    }

    /// What time it is here, in Unix seconds.
    #[must_use]
    pub const fn now(&self) -> i64 {
        self.now
    }

    /// Every customer, the deleted ones too.
    #[must_use]
    pub const fn customers(&self) -> &Table<Customer> {
        &self.customers
    }

    /// Every card that a customer has.
    #[must_use]
    pub const fn methods(&self) -> &Table<Method> {
        &self.methods
    }

    /// Every Checkout session.
    #[must_use]
    pub const fn sessions(&self) -> &Table<Session> {
        &self.sessions
    }

    /// Every subscription, the ended ones too.
    #[must_use]
    pub const fn subscriptions(&self) -> &Table<Subscription> {
        &self.subscriptions
    }

    /// Every schedule.
    #[must_use]
    pub const fn schedules(&self) -> &Table<Schedule> {
        &self.schedules
    }

    /// Every invoice.
    #[must_use]
    pub const fn invoices(&self) -> &Table<Invoice> {
        &self.invoices
    }

    /// Every payment intent.
    #[must_use]
    pub const fn intents(&self) -> &Table<Intent> {
        &self.intents
    }

    /// Every charge, the declined ones too.
    #[must_use]
    pub const fn charges(&self) -> &Table<Charge> {
        &self.charges
    }

    /// Every refund.
    #[must_use]
    pub const fn refunds(&self) -> &Table<Refund> {
        &self.refunds
    }

    /// Every dispute.
    #[must_use]
    pub const fn disputes(&self) -> &Table<Dispute> {
        &self.disputes
    }

    /// Every portal session.
    #[must_use]
    pub const fn portals(&self) -> &Table<PortalSession> {
        &self.portals
    }

    /// Everything that happened.
    #[must_use]
    pub const fn events(&self) -> &Table<Event> {
        &self.events
    }

    /// What happened after the first `seen` events, oldest first.
    #[must_use]
    pub fn events_since(&self, seen: usize) -> Vec<Arc<Event>> {
        self.events.iter().skip(seen).cloned().collect()
    }

    /// Says how the delivery of an event went.
    pub fn record_delivery(&mut self, event: &str, delivery: Delivery) {
        self.events.change(event, |event| {
            // A late failure does not undo a success.
            if event.delivery != Delivery::Succeeded {
                event.delivery = delivery;
            }
        });
    }

    /// Runs `work` as a request: the events that it causes name it.
    pub fn as_request<T>(&mut self, mark: RequestMark, work: impl FnOnce(&mut Self) -> T) -> T {
        self.request = Some(mark);
        let done = work(self);
        self.request = None;
        done
    }

    /// Runs `work` as something that time does.
    pub(super) fn as_time(&mut self, work: impl FnOnce(&mut Self)) {
        let request = self.request.take();
        work(self);
        self.request = request;
    }

    /// A new id, such as `cus_` and fourteen letters.
    pub(super) fn mint(&mut self, prefix: &str) -> String {
        let mut id = String::with_capacity(prefix.len() + 24);
        id.push_str(prefix);
        id.push_str(&self.seed.letters(if prefix == "cus_" { 14 } else { 24 }));
        id
    }

    pub(super) fn emit(&mut self, kind: &'static str, object: impl Into<Snapshot>) {
        self.record(kind, object.into(), None);
    }

    /// Emits `kind` with what changed, unless nothing did.
    pub(super) fn emit_change<T: PartialEq>(&mut self, kind: &'static str, change: Option<(Arc<T>, Arc<T>)>)
    where
        Snapshot: From<Arc<T>>,
    {
        if let Some((before, after)) = change
            && before != after
        {
            self.record(kind, after.into(), Some(before.into()));
        }
    }

    fn record(&mut self, kind: &'static str, object: Snapshot, before: Option<Snapshot>) {
        let id = self.mint("evt_");
        self.events.insert(Event {
            id,
            kind,
            created: self.now,
            object,
            before,
            request: self.request.clone(),
            delivery: Delivery::Pending,
        });
    }
}

/// Stripe's limits on metadata.
pub(super) fn check_metadata(metadata: &Metadata) -> Result<(), Refusal> {
    let broken = |limit: &str| {
        let message = format!("Metadata {limit}.");
        Err(Refusal::param("parameter_invalid_string", "metadata", message))
    };
    if metadata.len() > 50 {
        return broken("can have at most 50 keys");
    }
    if metadata.keys().any(|key| key.chars().count() > 40) {
        return broken("keys must be under 40 characters");
    }
    if metadata.values().any(|value| value.chars().count() > 500) {
        return broken("values must be under 500 characters");
    }
    Ok(())
}

/// Sets what `changes` names; an empty value unsets, as on the wire.
pub(super) fn merge_metadata(metadata: &mut Metadata, changes: &Metadata) {
    for (key, value) in changes {
        if value.is_empty() {
            metadata.remove(key);
        } else {
            metadata.insert(key.clone(), value.clone());
        }
    }
}
