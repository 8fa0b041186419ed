//! Invoices: what they list, when they are final, how they end.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::checkout::{Session, SessionStatus};
use super::refusal::Refusal;
use super::subscription::{Period, Status, Subscription};
use super::world::{Metadata, World};

/// How long a renewal's invoice stays a draft.
pub const DRAFT_SECONDS: i64 = 3600;

/// An invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoice {
    /// `in_…`.
    pub id: String,
    /// Unix seconds.
    pub created: i64,
    /// What customers quote, once final.
    pub number: Option<String>,
    /// The customer's id.
    pub customer: String,
    /// The customer's address when the invoice was made.
    pub customer_email: Option<String>,
    /// The subscription's id.
    pub subscription: String,
    /// The subscription's item.
    pub item: String,
    /// The subscription's metadata when the invoice was made.
    pub subscription_metadata: Metadata,
    /// Why it was made.
    pub reason: Reason,
    /// Where it is in its life.
    pub status: InvoiceStatus,
    /// What it charges and credits.
    pub lines: Vec<Line>,
    /// The period in which its lines were collected.
    pub period: Period,
    /// The customer's balance before, in cents.
    pub starting_balance: i64,
    /// The customer's balance afterwards, in cents, once final.
    pub ending_balance: Option<i64>,
    /// What must be paid, in cents.
    pub amount_due: i64,
    /// What was paid, in cents.
    pub amount_paid: i64,
    /// How often a charge was tried.
    pub attempts: u32,
    /// How many of these were retries on schedule.
    pub retries: usize,
    /// When the next charge is tried, in Unix seconds.
    pub next_attempt: Option<i64>,
    /// When a draft becomes final, in Unix seconds.
    pub finalizes_at: Option<i64>,
    /// Whether Stripe goes on by itself.
    pub auto_advance: bool,
    /// The payment, once final.
    pub intent: Option<String>,
    /// When it became final, in Unix seconds.
    pub finalized_at: Option<i64>,
    /// When it was paid, in Unix seconds.
    pub paid_at: Option<i64>,
    /// When it was voided, in Unix seconds.
    pub voided_at: Option<i64>,
    /// When it was given up, in Unix seconds.
    pub uncollectible_at: Option<i64>,
    /// The test clock that its customer lives on.
    pub test_clock: Option<String>,
}

/// One line of an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// `il_…`.
    pub id: String,
    /// Cents; negative for a credit.
    pub cents: i64,
    /// The price that it is for.
    pub price: String,
    /// The time that it is for.
    pub period: Period,
    /// The invoice item that it came from, if it is a proration.
    pub proration: Option<String>,
    /// What customers read.
    pub description: String,
}

/// Why an invoice was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// `subscription_create`.
    Create,
    /// `subscription_cycle`.
    Cycle,
    /// `subscription_update`.
    Update,
}

/// Where an invoice is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "Stripe's own words")]
pub enum InvoiceStatus {
    Draft,
    Open,
    Paid,
    Void,
    Uncollectible,
}

impl Reason {
    /// As Stripe writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "subscription_create",
            Self::Cycle => "subscription_cycle",
            Self::Update => "subscription_update",
        }
    }
}

impl InvoiceStatus {
    /// As Stripe writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Open => "open",
            Self::Paid => "paid",
            Self::Void => "void",
            Self::Uncollectible => "uncollectible",
        }
    }
}

impl Invoice {
    /// The sum of its lines, in cents.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.lines.iter().map(|line| line.cents).sum()
    }
}

impl World {
    /// An invoice.
    ///
    /// # Errors
    /// 404 if there is none.
    pub fn invoice(&self, id: &str) -> Result<&Arc<Invoice>, Refusal> {
        self.invoices
            .get(id)
            .ok_or_else(|| Refusal::missing("invoice", id))
    }

    /// What an invoice for `lines` would be.
    pub(super) fn draft(&mut self, subscription: &Subscription, reason: Reason, lines: Vec<Line>) -> Invoice {
        let id = self.mint("in_");
        let customer = self.customers.get(&subscription.customer);
        let balance = customer.map_or(0, |customer| customer.balance_cents);
        let mut invoice = Invoice {
            id,
            created: self.now,
            number: None,
            customer: subscription.customer.clone(),
            customer_email: customer.and_then(|customer| customer.details.email.clone()),
            subscription: subscription.id.clone(),
            item: subscription.item.clone(),
            subscription_metadata: subscription.metadata.clone(),
            reason,
            status: InvoiceStatus::Draft,
            lines,
            period: subscription.period,
            starting_balance: balance,
            ending_balance: None,
            amount_due: 0,
            amount_paid: 0,
            attempts: 0,
            retries: 0,
            next_attempt: None,
            finalizes_at: None,
            auto_advance: true,
            intent: None,
            finalized_at: None,
            paid_at: None,
            voided_at: None,
            uncollectible_at: None,
            test_clock: subscription.test_clock.clone(),
        };
        invoice.amount_due = (invoice.total() + balance).max(0);
        invoice
    }

    /// Makes a draft, and says so. Returns its id.
    pub(super) fn open_invoice(
        &mut self,
        subscription: &str,
        reason: Reason,
        lines: Vec<Line>,
    ) -> Result<String, Refusal> {
        let subscription = Arc::clone(self.subscription(subscription)?);
        let draft = self.draft(&subscription, reason, lines);
        let made = self.invoices.insert(draft);
        let id = made.id.clone();
        self.emit("invoice.created", made);
        Ok(id)
    }

    /// Makes a draft final: numbered, the balance applied, ready to be paid. Nothing to pay is paid at once.
    pub(super) fn finalize(&mut self, id: &str) -> Result<(), Refusal> {
        let draft = Arc::clone(self.invoice(id)?);
        if draft.status != InvoiceStatus::Draft {
            return Ok(());
        }
        let owed = draft.total();
        let (mut number, mut balance) = (0, 0);
        self.customers.change(&draft.customer, |customer| {
            number = customer.next_invoice;
            customer.next_invoice += 1;
            balance = customer.balance_cents;
            // A credit is kept for later invoices, and used up by them.
            customer.balance_cents = (owed + balance).min(0);
        });
        let due = (owed + balance).max(0);
        let intent = if due > 0 {
            Some(self.create_intent(&draft, due))
        } else {
            None
        };
        let now = self.now;
        let prefix: String = draft.customer.chars().rev().take(8).collect();
        let change = self.invoices.change(id, |invoice| {
            invoice.status = InvoiceStatus::Open;
            invoice.number = Some(format!("{}-{number:04}", prefix.to_uppercase()));
            invoice.starting_balance = balance;
            invoice.ending_balance = Some((owed + balance).min(0));
            invoice.amount_due = due;
            invoice.finalized_at = Some(now);
            invoice.finalizes_at = None;
            invoice.intent = intent;
        });
        if let Some((_, open)) = change {
            self.emit("invoice.finalized", open);
        }
        if due == 0 {
            self.mark_paid(id);
        }
        Ok(())
    }

    /// Makes a draft final before its time, and charges nobody: drafts of a subscription cannot be deleted, so this is how
    /// a person gets rid of one.
    ///
    /// # Errors
    /// It is no draft.
    pub fn finalize_invoice(&mut self, id: &str) -> Result<Arc<Invoice>, Refusal> {
        if self.invoice(id)?.status != InvoiceStatus::Draft {
            return Err(Refusal::invalid(
                "This invoice is already finalized, you can't re-finalize a non-draft invoice.",
            ));
        }
        self.finalize(id)?;
        self.invoice(id).cloned()
    }

    /// Voids an unpaid invoice: nothing is owed for it any more.
    ///
    /// # Errors
    /// It is a draft, paid, or void already, or its page is still open.
    pub fn void_invoice(&mut self, id: &str) -> Result<Arc<Invoice>, Refusal> {
        let invoice = Arc::clone(self.invoice(id)?);
        self.check_page_over(&invoice)?;
        if !matches!(invoice.status, InvoiceStatus::Open | InvoiceStatus::Uncollectible) {
            let message = format!(
                "You can only pass in open or uncollectible invoices. This invoice isn't: {}",
                invoice.status.name()
            );
            return Err(Refusal::invalid(message));
        }
        self.void(id);
        let waits = |pending: &super::subscription::PendingUpdate| pending.invoice == id;
        let subscription = self.subscription(&invoice.subscription)?;
        if subscription.pending_update.as_ref().is_some_and(waits) {
            self.change_subscription(&invoice.subscription, |subscription| {
                subscription.pending_update = None;
            });
        }
        self.stand_again(&invoice.subscription);
        self.invoice(id).cloned()
    }

    /// The newest final invoice that is not void says how its subscription stands, and there one that is uncollectible
    /// counts as paid.
    fn stand_again(&mut self, subscription: &str) {
        let newest = self.invoices.iter().rev().find(|invoice| {
            invoice.subscription == subscription
                && !matches!(invoice.status, InvoiceStatus::Draft | InvoiceStatus::Void)
        });
        let settled = newest.is_some_and(|invoice| invoice.status != InvoiceStatus::Open);
        let status = self.subscriptions.get(subscription).map(|it| it.status);
        if settled && matches!(status, Some(Status::PastDue | Status::Unpaid)) {
            self.change_subscription(subscription, |subscription| {
                subscription.status = Status::Active;
            });
        }
    }

    /// Nobody but its customer touches an invoice that a Checkout page still asks for.
    fn check_page_over(&self, invoice: &Invoice) -> Result<(), Refusal> {
        let asks = |session: &&Arc<Session>| {
            session.status == SessionStatus::Open
                && session.attempt.as_deref() == Some(invoice.subscription.as_str())
        };
        match self.sessions.iter().find(asks) {
            Some(session) => Err(Refusal::invalid(format!(
                "This invoice belongs to the Checkout Session {}: expire it instead.",
                session.id
            ))),
            None => Ok(()),
        }
    }

    pub(super) fn void(&mut self, id: &str) {
        let now = self.now;
        let Some(invoice) = self.invoices.get(id).cloned() else {
            return;
        };
        if matches!(invoice.status, InvoiceStatus::Paid | InvoiceStatus::Void) {
            return;
        }
        if let Some(intent) = &invoice.intent {
            self.cancel_intent(intent);
        }
        // What the balance gave, it gets back.
        if let (Some(ending), true) = (invoice.ending_balance, invoice.amount_due > 0) {
            self.customers.change(&invoice.customer, |customer| {
                customer.balance_cents += invoice.starting_balance - ending;
            });
        }
        let change = self.invoices.change(id, |invoice| {
            invoice.status = InvoiceStatus::Void;
            invoice.voided_at = Some(now);
            invoice.next_attempt = None;
            invoice.finalizes_at = None;
            invoice.auto_advance = false;
        });
        if let Some((_, void)) = change {
            self.emit("invoice.voided", void);
        }
    }

    /// Gives up an open invoice.
    ///
    /// # Errors
    /// It is not open, or its page is.
    pub fn mark_uncollectible(&mut self, id: &str) -> Result<Arc<Invoice>, Refusal> {
        let invoice = Arc::clone(self.invoice(id)?);
        self.check_page_over(&invoice)?;
        if invoice.status != InvoiceStatus::Open {
            return Err(Refusal::invalid(
                "You can only mark open invoices as uncollectible.",
            ));
        }
        let now = self.now;
        let change = self.invoices.change(id, |invoice| {
            invoice.status = InvoiceStatus::Uncollectible;
            invoice.uncollectible_at = Some(now);
            invoice.next_attempt = None;
            invoice.auto_advance = false;
        });
        if let Some((_, given_up)) = change {
            self.emit("invoice.marked_uncollectible", given_up);
        }
        self.stand_again(&invoice.subscription);
        self.invoice(id).cloned()
    }

    /// Nobody tries to collect what an ended subscription still owes.
    pub(super) fn stop_collecting(&mut self, subscription: &str) {
        let owed: Vec<String> = self
            .invoices
            .iter()
            .filter(|invoice| invoice.subscription == subscription && invoice.auto_advance)
            .filter(|invoice| matches!(invoice.status, InvoiceStatus::Draft | InvoiceStatus::Open))
            .map(|invoice| invoice.id.clone())
            .collect();
        for id in owed {
            self.invoices.change(&id, |invoice| {
                invoice.auto_advance = false;
                invoice.next_attempt = None;
                invoice.finalizes_at = None;
            });
        }
    }

    /// Whether an invoice is tried again after a failure.
    pub(super) fn retried(&self, invoice: &Invoice) -> bool {
        let subscription = self.subscriptions.get(&invoice.subscription);
        invoice.auto_advance
            && subscription.is_some_and(|subscription| {
                !matches!(subscription.status, Status::Incomplete | Status::Unpaid)
            })
    }
}
