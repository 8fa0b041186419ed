//! Subscriptions: one price each.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::calendar::next_after;
use super::customer::{Answer, By};
use super::invoice::{Line, Reason};
use super::refusal::Refusal;
use super::world::{Metadata, World, check_metadata};

/// How long a first payment can be missing, and a change wait for its payment.
pub const PATIENCE_SECONDS: i64 = 23 * 3600;

/// A subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// `sub_…`.
    pub id: String,
    /// `si_…`, its only item.
    pub item: String,
    /// Unix seconds.
    pub created: i64,
    /// The customer's id.
    pub customer: String,
    /// Where it is in its life.
    pub status: Status,
    /// The price that is charged.
    pub price: String,
    /// From where periods are counted, in Unix seconds.
    pub anchor: i64,
    /// The current period.
    pub period: Period,
    /// Whether it ends with the period.
    pub cancel_at_period_end: bool,
    /// When the end was decided, in Unix seconds.
    pub canceled_at: Option<i64>,
    /// Why it ends or ended.
    pub ending: Option<Ending>,
    /// When it ended, in Unix seconds.
    pub ended_at: Option<i64>,
    /// The newest invoice.
    pub latest_invoice: Option<String>,
    /// The schedule that manages it.
    pub schedule: Option<String>,
    /// Keys and values of ours.
    pub metadata: Metadata,
    /// A change that waits for its payment.
    pub pending_update: Option<PendingUpdate>,
    /// Credits and debits for the next invoice.
    pub pending_lines: Vec<Line>,
    /// The test clock that its customer lives on.
    pub test_clock: Option<String>,
}

/// From a second on, up to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// The first second, in Unix seconds.
    pub start: i64,
    /// The first second after it, in Unix seconds.
    pub end: i64,
}

/// A change that waits for its payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingUpdate {
    /// The new price.
    pub price: String,
    /// The new anchor, if the interval changes.
    pub anchor: Option<i64>,
    /// When it is forgotten, in Unix seconds.
    pub expires_at: i64,
    /// What must be paid.
    pub invoice: String,
}

/// Where a subscription is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "Stripe's own words")]
pub enum Status {
    Incomplete,
    IncompleteExpired,
    Active,
    PastDue,
    Unpaid,
    Paused,
    Canceled,
}

/// Why a subscription ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// Somebody asked.
    Requested,
    /// Its invoice was never paid.
    PaymentFailed,
}

/// What a subscription is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSubscription {
    /// The customer's id.
    pub customer: String,
    /// The price's id.
    pub price: String,
    /// Keys and values of ours.
    pub metadata: Metadata,
}

/// What happens if the first payment of a subscription that a call of ours makes cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum FirstPayment {
    /// It is made anyway, and waits: `incomplete`.
    #[default]
    AllowIncomplete,
    /// Nothing is tried yet: `incomplete`.
    DefaultIncomplete,
    /// 402, and nothing is made.
    ErrorIfIncomplete,
}

/// How a subscription is ended at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cancel {
    /// Credit the unused time.
    pub prorate: bool,
    /// Make a last invoice of what is pending.
    pub invoice_now: bool,
}

impl Status {
    /// As Stripe writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::IncompleteExpired => "incomplete_expired",
            Self::Active => "active",
            Self::PastDue => "past_due",
            Self::Unpaid => "unpaid",
            Self::Paused => "paused",
            Self::Canceled => "canceled",
        }
    }

    /// Whether nothing can happen any more.
    #[must_use]
    pub const fn ended(self) -> bool {
        matches!(self, Self::Canceled | Self::IncompleteExpired)
    }

    /// Whether periods follow each other.
    #[must_use]
    pub const fn renews(self) -> bool {
        matches!(self, Self::Active | Self::PastDue | Self::Unpaid)
    }
}

impl World {
    /// A subscription, ended or not.
    ///
    /// # Errors
    /// 404 if there is none.
    pub fn subscription(&self, id: &str) -> Result<&Arc<Subscription>, Refusal> {
        self.subscriptions
            .get(id)
            .ok_or_else(|| Refusal::missing("subscription", id))
    }

    /// Makes a subscription, `incomplete` until its first invoice is paid. Returns its id.
    pub(super) fn begin_subscription(&mut self, new: NewSubscription) -> Result<String, Refusal> {
        let test_clock = self.named_customer(&new.customer)?.test_clock.clone();
        check_metadata(&new.metadata)?;
        let price = self.account.catalogue.choosable(&new.price, "items[0][price]")?;
        let period = Period {
            start: self.now,
            end: next_after(self.now, price.interval, self.now),
        };
        let (id, item) = (self.mint("sub_"), self.mint("si_"));
        self.subscriptions.insert(Subscription {
            id: id.clone(),
            item,
            created: self.now,
            customer: new.customer,
            status: Status::Incomplete,
            price: new.price,
            anchor: self.now,
            period,
            cancel_at_period_end: false,
            canceled_at: None,
            ending: None,
            ended_at: None,
            latest_invoice: None,
            schedule: None,
            metadata: new.metadata,
            pending_update: None,
            pending_lines: Vec::new(),
            test_clock,
        });
        let lines = vec![self.period_line(&id, period)?];
        let invoice = self.open_invoice(&id, Reason::Create, lines)?;
        self.subscriptions.change(&id, |subscription| {
            subscription.latest_invoice = Some(invoice.clone());
        });
        let made = Arc::clone(self.subscription(&id)?);
        self.emit("customer.subscription.created", made);
        self.finalize(&invoice)?;
        Ok(id)
    }

    /// Makes a subscription and charges the customer's card, as `POST /v1/subscriptions` does.
    ///
    /// # Errors
    /// There is no such customer or price, the customer has no card to pay with, or (402) the payment fails under
    /// `error_if_incomplete`.
    pub fn create_subscription(
        &mut self,
        new: NewSubscription,
        payment: FirstPayment,
        by: By,
    ) -> Result<Arc<Subscription>, Refusal> {
        let customer = self.named_customer(&new.customer)?;
        if customer.payment_method.is_none() && payment != FirstPayment::DefaultIncomplete {
            let message = "This customer has no attached payment source or default payment method. Please consider adding a default payment method.";
            return Err(Refusal::coded("resource_missing", message));
        }
        if payment == FirstPayment::ErrorIfIncomplete {
            match customer.card.answer(by) {
                Answer::Yes => {}
                Answer::No => return Err(Refusal::declined("generic_decline", None)),
                Answer::Ask => return Err(Refusal::declined("authentication_required", None)),
            }
        }
        let id = self.begin_subscription(new)?;
        if payment != FirstPayment::DefaultIncomplete {
            let invoice = self.subscription(&id)?.latest_invoice.clone();
            self.attempt(&invoice.unwrap_or_default(), by)?;
        }
        self.subscription(&id).cloned()
    }

    /// Ends a subscription at once.
    ///
    /// # Errors
    /// 404 if there is none, or it has ended: Stripe no longer knows it then.
    pub fn cancel_subscription(&mut self, id: &str, cancel: Cancel) -> Result<Arc<Subscription>, Refusal> {
        let subscription = Arc::clone(self.subscription(id)?);
        if subscription.status.ended() {
            return Err(Refusal::missing("subscription", id));
        }
        let mut lines = Vec::new();
        if cancel.prorate && subscription.status != Status::Incomplete {
            lines.push(self.credit_line(&subscription, self.now));
        }
        if cancel.invoice_now {
            lines.splice(0..0, subscription.pending_lines.iter().cloned());
            if !lines.is_empty() {
                self.take_pending_lines(id);
                let invoice = self.open_invoice(id, Reason::Update, lines)?;
                self.subscriptions.change(id, |subscription| {
                    subscription.latest_invoice = Some(invoice.clone());
                });
                self.finalize(&invoice)?;
            }
        } else if !lines.is_empty() {
            self.subscriptions
                .change(id, |subscription| subscription.pending_lines.extend(lines));
        }
        self.end_subscription(id, Ending::Requested);
        self.subscription(id).cloned()
    }

    /// Ends a subscription, its schedule, its pending change, and the collection of its invoices.
    pub(super) fn end_subscription(&mut self, id: &str, ending: Ending) {
        self.discard_pending_update(id);
        self.stop_collecting(id);
        let now = self.now;
        let schedule = self.subscriptions.get(id).and_then(|it| it.schedule.clone());
        if let Some(schedule) = schedule {
            self.close_schedule(&schedule);
        }
        let change = self.subscriptions.change(id, |subscription| {
            subscription.status = Status::Canceled;
            subscription.canceled_at = subscription.canceled_at.or(Some(now));
            subscription.ending = Some(ending);
            subscription.ended_at = Some(now);
            subscription.schedule = None;
        });
        if let Some((_, ended)) = change {
            self.emit("customer.subscription.deleted", ended);
        }
    }

    /// A first payment that never came.
    pub(super) fn expire_incomplete(&mut self, id: &str) {
        let now = self.now;
        let invoice = self
            .subscriptions
            .get(id)
            .and_then(|it| it.latest_invoice.clone());
        if let Some(invoice) = invoice {
            self.void(&invoice);
        }
        self.change_subscription(id, |subscription| {
            subscription.status = Status::IncompleteExpired;
            subscription.ended_at = Some(now);
        });
    }

    /// Stops a subscription, as Stripe does after a trial without a card.
    ///
    /// # Errors
    /// It is not active.
    pub fn pause(&mut self, id: &str) -> Result<(), Refusal> {
        self.switch(id, Status::Active, Status::Paused, "customer.subscription.paused")
    }

    /// Takes up a paused subscription.
    ///
    /// # Errors
    /// It is not paused.
    pub fn resume(&mut self, id: &str) -> Result<(), Refusal> {
        self.switch(
            id,
            Status::Paused,
            Status::Active,
            "customer.subscription.resumed",
        )
    }

    fn switch(&mut self, id: &str, from: Status, to: Status, kind: &'static str) -> Result<(), Refusal> {
        if self.subscription(id)?.status != from {
            return Err(Refusal::invalid(format!(
                "The subscription is not {}.",
                from.name()
            )));
        }
        self.change_subscription(id, |subscription| subscription.status = to);
        let switched = Arc::clone(self.subscription(id)?);
        self.emit(kind, switched);
        Ok(())
    }

    /// Changes a subscription and says so, if anything changed.
    pub(super) fn change_subscription(&mut self, id: &str, change: impl FnOnce(&mut Subscription)) {
        let change = self.subscriptions.change(id, change);
        self.emit_change("customer.subscription.updated", change);
    }

    pub(super) fn take_pending_lines(&mut self, id: &str) -> Vec<Line> {
        let mut lines = Vec::new();
        self.subscriptions.change(id, |subscription| {
            lines = std::mem::take(&mut subscription.pending_lines);
        });
        lines
    }
}
