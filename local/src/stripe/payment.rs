//! Charges: what the card says, and what that does to the invoice and its subscription.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::customer::{Answer, By};
use super::invoice::{Invoice, InvoiceStatus};
use super::kept;
use super::refusal::Refusal;
use super::subscription::{Ending, Status};
use super::world::{AfterRetries, Word, World};

/// A payment of one invoice, over all its attempts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// `pi_…`.
    pub id: String,
    /// Unix seconds.
    pub created: i64,
    /// The customer's id.
    pub customer: String,
    /// The invoice that it pays.
    pub invoice: String,
    /// Cents.
    pub cents: i64,
    /// Where it is in its life.
    pub status: IntentStatus,
    /// The card's id.
    pub payment_method: Option<String>,
    /// The newest charge.
    pub latest_charge: Option<String>,
    /// Why the newest charge failed.
    #[serde(deserialize_with = "kept::maybe_word")]
    pub decline: Option<Word>,
    /// When it was given up, in Unix seconds.
    pub canceled_at: Option<i64>,
}

/// Where a payment is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "Stripe's own words")]
pub enum IntentStatus {
    RequiresPaymentMethod,
    RequiresAction,
    Succeeded,
    Canceled,
}

impl IntentStatus {
    /// As Stripe writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RequiresPaymentMethod => "requires_payment_method",
            Self::RequiresAction => "requires_action",
            Self::Succeeded => "succeeded",
            Self::Canceled => "canceled",
        }
    }
}

/// One attempt to take money from a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// `ch_…`.
    pub id: String,
    /// Unix seconds.
    pub created: i64,
    /// The customer's id.
    pub customer: String,
    /// The payment that it belongs to.
    pub intent: String,
    /// The card's id.
    pub payment_method: Option<String>,
    /// Cents.
    pub cents: i64,
    /// Cents given back.
    pub refunded_cents: i64,
    /// Why it failed; `None` if it did not.
    #[serde(deserialize_with = "kept::maybe_word")]
    pub decline: Option<Word>,
    /// The dispute about it, open or closed.
    pub dispute: Option<String>,
}

/// How an attempt to pay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// The money is there.
    Paid,
    /// The bank said no.
    Declined,
    /// The customer must confirm: [`World::confirm`].
    ActionRequired,
}

/// What the bank says of a card that it declines.
const DECLINED: &str = "generic_decline";
/// What it says of a card that needs its owner.
const UNPROVEN: &str = "authentication_required";

impl World {
    /// Pays an open invoice, as `POST /v1/invoices/{id}/pay` does for `By::Machine`, and the hosted page for
    /// `By::Customer`. A draft becomes final first.
    ///
    /// # Errors
    /// The invoice is paid, void, or not there. A declined charge is no error here.
    pub fn pay_invoice(&mut self, id: &str, by: By) -> Result<Attempt, Refusal> {
        self.finalize(id)?;
        match self.invoice(id)?.status {
            InvoiceStatus::Open | InvoiceStatus::Uncollectible => self.attempt(id, by),
            InvoiceStatus::Paid => Err(Refusal::invalid("Invoice is already paid")),
            status => Err(Refusal::invalid(format!(
                "This invoice can no longer be paid: it is {}.",
                status.name()
            ))),
        }
    }

    /// The customer answers 3-D Secure for an invoice, well or badly.
    ///
    /// # Errors
    /// Nothing waits for an answer.
    pub fn confirm(&mut self, invoice: &str, proven: bool) -> Result<Attempt, Refusal> {
        let found = Arc::clone(self.invoice(invoice)?);
        let waiting = self
            .intent_of(&found)
            .is_some_and(|intent| intent.status == IntentStatus::RequiresAction);
        if !waiting {
            return Err(Refusal::invalid("Nothing waits for a confirmation."));
        }
        if proven {
            self.settle(&found);
            return Ok(Attempt::Paid);
        }
        self.fail(&found, UNPROVEN);
        Ok(Attempt::Declined)
    }

    /// Tries to charge what an invoice is owed.
    pub(super) fn attempt(&mut self, id: &str, by: By) -> Result<Attempt, Refusal> {
        let invoice = Arc::clone(self.invoice(id)?);
        if invoice.status == InvoiceStatus::Paid {
            return Ok(Attempt::Paid);
        }
        self.invoices.change(id, |invoice| invoice.attempts += 1);
        let customer = self.customers.get(&invoice.customer);
        let card = customer
            .filter(|customer| customer.payment_method.is_some())
            .map(|customer| customer.card);
        let answer = card.map_or(Answer::No, |card| card.answer(by));
        match answer {
            Answer::Yes => {
                self.settle(&invoice);
                Ok(Attempt::Paid)
            }
            Answer::No => {
                self.fail(&invoice, DECLINED);
                Ok(Attempt::Declined)
            }
            Answer::Ask => {
                self.ask(&invoice, by);
                Ok(Attempt::ActionRequired)
            }
        }
    }

    pub(super) fn create_intent(&mut self, invoice: &Invoice, cents: i64) -> String {
        let id = self.mint("pi_");
        let method = self.method_of(&invoice.customer);
        let intent = self.intents.insert(Intent {
            id: id.clone(),
            created: self.now,
            customer: invoice.customer.clone(),
            invoice: invoice.id.clone(),
            cents,
            status: IntentStatus::RequiresPaymentMethod,
            payment_method: method,
            latest_charge: None,
            decline: None,
            canceled_at: None,
        });
        self.emit("payment_intent.created", intent);
        id
    }

    pub(super) fn cancel_intent(&mut self, id: &str) {
        let now = self.now;
        let change = self.intents.change(id, |intent| {
            intent.status = IntentStatus::Canceled;
            intent.canceled_at = Some(now);
        });
        if let Some((_, canceled)) = change {
            self.emit("payment_intent.canceled", canceled);
        }
    }

    /// Marks an invoice as paid, and does what its payment was waited for.
    pub(super) fn mark_paid(&mut self, id: &str) {
        let now = self.now;
        let change = self.invoices.change(id, |invoice| {
            invoice.status = InvoiceStatus::Paid;
            invoice.amount_paid = invoice.amount_due;
            invoice.paid_at = Some(now);
            invoice.next_attempt = None;
            invoice.finalizes_at = None;
            invoice.auto_advance = false;
        });
        let Some((_, paid)) = change else { return };
        self.customers
            .change(&paid.customer, |customer| customer.delinquent = false);
        self.after_payment(&paid);
        self.emit("invoice.paid", Arc::clone(&paid));
        self.emit("invoice.payment_succeeded", paid);
    }

    fn after_payment(&mut self, invoice: &Invoice) {
        let Some(subscription) = self.subscriptions.get(&invoice.subscription).cloned() else {
            return;
        };
        let waits = subscription.pending_update.as_ref();
        if waits.is_some_and(|pending| pending.invoice == invoice.id) {
            self.apply_pending_update(&subscription.id);
        }
        let latest = subscription.latest_invoice.as_deref() == Some(invoice.id.as_str());
        let waiting = matches!(
            subscription.status,
            Status::Incomplete | Status::PastDue | Status::Unpaid
        );
        if latest && waiting {
            self.change_subscription(&subscription.id, |subscription| {
                subscription.status = Status::Active;
            });
        }
    }

    fn settle(&mut self, invoice: &Invoice) {
        let Some(intent) = self.intent_of(invoice) else {
            return;
        };
        let charge = self.charge(&intent, None);
        let change = self.intents.change(&intent.id, |intent| {
            intent.status = IntentStatus::Succeeded;
            intent.latest_charge = Some(charge.id.clone());
            intent.payment_method.clone_from(&charge.payment_method);
            intent.decline = None;
        });
        self.emit("charge.succeeded", charge);
        if let Some((_, succeeded)) = change {
            self.emit("payment_intent.succeeded", succeeded);
        }
        self.mark_paid(&invoice.id);
    }

    fn fail(&mut self, invoice: &Invoice, why: &'static str) {
        let Some(intent) = self.intent_of(invoice) else {
            return;
        };
        let charge = self.charge(&intent, Some(why));
        let change = self.intents.change(&intent.id, |intent| {
            intent.status = IntentStatus::RequiresPaymentMethod;
            intent.latest_charge = Some(charge.id.clone());
            intent.decline = Some(why);
        });
        self.emit("charge.failed", charge);
        if let Some((_, failed)) = change {
            self.emit("payment_intent.payment_failed", failed);
        }
        self.after_failure(invoice);
    }

    fn ask(&mut self, invoice: &Invoice, by: By) {
        let Some(intent) = self.intent_of(invoice) else {
            return;
        };
        let method = self.method_of(&invoice.customer);
        let change = self.intents.change(&intent.id, |intent| {
            intent.status = IntentStatus::RequiresAction;
            intent.payment_method = method;
        });
        if let Some((_, asked)) = change {
            self.emit("payment_intent.requires_action", asked);
        }
        if let Some(now) = self.invoices.get(&invoice.id).cloned() {
            self.emit("invoice.payment_action_required", now);
        }
        // Nobody looks on: the attempt has failed until the customer comes back.
        if by == By::Machine {
            self.after_failure(invoice);
        }
    }

    /// Plans the next attempt, or ends the waiting.
    fn after_failure(&mut self, invoice: &Invoice) {
        let wait = self.account.dunning.waits.get(invoice.retries).copied();
        let next = wait.filter(|_| self.retried(invoice)).map(|wait| self.now + wait);
        let last = self.retried(invoice) && next.is_none();
        let change = self
            .invoices
            .change(&invoice.id, |invoice| invoice.next_attempt = next);
        if let Some((_, failed)) = change {
            self.customers
                .change(&failed.customer, |customer| customer.delinquent = true);
            self.emit("invoice.payment_failed", failed);
        }
        let Some(subscription) = self.subscriptions.get(&invoice.subscription).cloned() else {
            return;
        };
        let latest = subscription.latest_invoice.as_deref() == Some(invoice.id.as_str());
        let waits = subscription.pending_update.as_ref();
        let changes_only = waits.is_some_and(|pending| pending.invoice == invoice.id);
        if subscription.status == Status::Active && latest && !changes_only {
            self.change_subscription(&subscription.id, |subscription| {
                subscription.status = Status::PastDue;
            });
        }
        if last {
            self.give_up(&subscription.id);
        }
    }

    fn give_up(&mut self, subscription: &str) {
        match self.account.dunning.then {
            AfterRetries::Cancel => self.end_subscription(subscription, Ending::PaymentFailed),
            AfterRetries::Unpaid => {
                self.stop_collecting(subscription);
                self.change_subscription(subscription, |subscription| {
                    subscription.status = Status::Unpaid;
                });
            }
            AfterRetries::PastDue => self.stop_collecting(subscription),
        }
    }

    fn charge(&mut self, intent: &Intent, decline: Option<&'static str>) -> Arc<Charge> {
        let id = self.mint("ch_");
        let payment_method = self.method_of(&intent.customer);
        self.charges.insert(Charge {
            id,
            created: self.now,
            customer: intent.customer.clone(),
            intent: intent.id.clone(),
            payment_method,
            cents: intent.cents,
            refunded_cents: 0,
            decline,
            dispute: None,
        })
    }

    fn method_of(&self, customer: &str) -> Option<String> {
        self.customers.get(customer)?.payment_method.clone()
    }

    pub(super) fn intent_of(&self, invoice: &Invoice) -> Option<Arc<Intent>> {
        self.intents.get(invoice.intent.as_deref()?).cloned()
    }
}
