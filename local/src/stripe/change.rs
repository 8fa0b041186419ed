//! Changes of a subscription: another price, its proration, its payment, and the end with the period.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::calendar::next_after;
use super::customer::{Answer, By};
use super::invoice::Reason;
use super::payment::Attempt;
use super::proration::Step;
use super::refusal::Refusal;
use super::subscription::{Ending, PATIENCE_SECONDS, PendingUpdate, Period, Status, Subscription};
use super::world::{Metadata, World, check_metadata, merge_metadata};

/// What `POST /v1/subscriptions/{id}` asks for; what is not given stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Update {
    /// The item to change; needed with `price`, or Stripe would add a second item.
    pub item: Option<String>,
    /// The new price.
    pub price: Option<String>,
    /// What happens to the time already paid.
    pub proration: Proration,
    /// From when the new price counts, in Unix seconds; now if not given.
    pub proration_date: Option<i64>,
    /// What happens if the change cannot be paid.
    pub payment: PaymentBehavior,
    /// Whether the subscription ends with the period.
    pub cancel_at_period_end: Option<bool>,
    /// Keys to set, or to unset with an empty value.
    pub metadata: Option<Metadata>,
}

/// What happens to the time already paid when the price changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Proration {
    /// Nothing.
    None,
    /// Credited and charged with the next invoice.
    #[default]
    Create,
    /// Credited and charged at once.
    AlwaysInvoice,
}

/// What happens if a change cannot be paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PaymentBehavior {
    /// It is made anyway; the subscription is `past_due`.
    #[default]
    AllowIncomplete,
    /// It waits for its payment; until then the subscription is as it was.
    PendingIfIncomplete,
    /// 402, and nothing changes.
    ErrorIfIncomplete,
}

impl Proration {
    /// As Stripe writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Create => "create_prorations",
            Self::AlwaysInvoice => "always_invoice",
        }
    }
}

impl World {
    /// Changes a subscription.
    ///
    /// # Errors
    /// As Stripe refuses: it has ended, a schedule manages what is asked, the price cannot be chosen,
    /// `pending_if_incomplete` comes with what cannot wait, or (402) the payment fails under
    /// `error_if_incomplete`.
    pub fn update_subscription(&mut self, id: &str, update: &Update) -> Result<Arc<Subscription>, Refusal> {
        let subscription = Arc::clone(self.subscription(id)?);
        self.check_update(&subscription, update)?;
        if let Some(price) = &update.price {
            self.change_price(&subscription, price, update)?;
        }
        let now = self.now;
        self.change_subscription(id, |subscription| {
            if let Some(changes) = &update.metadata {
                merge_metadata(&mut subscription.metadata, changes);
            }
            if let Some(end) = update.cancel_at_period_end
                && end != subscription.cancel_at_period_end
            {
                subscription.cancel_at_period_end = end;
                subscription.canceled_at = end.then_some(now);
                subscription.ending = end.then_some(Ending::Requested);
            }
        });
        self.subscription(id).cloned()
    }

    pub(super) fn check_update(&self, subscription: &Subscription, update: &Update) -> Result<(), Refusal> {
        if subscription.status.ended() {
            let message = "A canceled subscription can only update its cancellation_details and metadata.";
            return Err(Refusal::invalid(message));
        }
        if let Some(metadata) = &update.metadata {
            check_metadata(metadata)?;
        }
        if let Some(schedule) = &subscription.schedule
            && update.cancel_at_period_end.is_some()
        {
            let message = format!(
                "The subscription is managed by the subscription schedule `{schedule}`, and updating any cancelation behavior directly is not allowed. Please update the schedule instead."
            );
            return Err(Refusal::invalid(message));
        }
        if update.payment == PaymentBehavior::PendingIfIncomplete {
            let given = [
                ("metadata", update.metadata.is_some()),
                ("cancel_at_period_end", update.cancel_at_period_end.is_some()),
            ];
            if let Some((param, _)) = given.iter().find(|(_, given)| *given) {
                let message = format!(
                    "Received unsupported parameter `{param}`: it cannot be updated when `payment_behavior` is `pending_if_incomplete`."
                );
                return Err(Refusal {
                    param: Some((*param).to_owned()),
                    ..Refusal::invalid(message)
                });
            }
            // Not documented either way; refused, so that our side releases the schedule first.
            if subscription.schedule.is_some() {
                let message = "Pending updates are not supported on subscriptions managed by a schedule.";
                return Err(Refusal::invalid(message));
            }
        }
        let Some(price) = &update.price else { return Ok(()) };
        self.account.catalogue.choosable(price, "items[0][price]")?;
        if subscription.status == Status::Incomplete {
            let message =
                "This subscription is incomplete: its first invoice must be paid before it can change.";
            return Err(Refusal::invalid(message));
        }
        match update.item.as_deref() {
            Some(item) if item == subscription.item => Ok(()),
            Some(item) => Err(Refusal::missing_in("items[0][id]", "subscription_item", item)),
            None if *price == subscription.price => Err(Refusal::invalid(
                "An existing Subscription Item is already using this Price.",
            )),
            None => Err(Refusal::invalid(
                "This local Stripe knows subscriptions of one item: give `items[0][id]`.",
            )),
        }
    }

    fn change_price(&mut self, before: &Subscription, price: &str, update: &Update) -> Result<(), Refusal> {
        self.discard_pending_update(&before.id);
        if before.price == price {
            return Ok(());
        }
        let at = update.proration_date.unwrap_or(self.now);
        if !(before.period.start..=before.period.end).contains(&at) {
            let message = "Cannot specify `proration_date` outside of the current period.";
            return Err(Refusal::param(
                "parameter_invalid_integer",
                "proration_date",
                message,
            ));
        }
        let step = self.step(before, price, update.proration, at)?;
        if !step.invoice_now {
            self.apply(&before.id, &step);
            let lines = step.lines;
            self.subscriptions.change(&before.id, |subscription| {
                subscription.pending_lines.extend(lines);
            });
            return Ok(());
        }
        match update.payment {
            PaymentBehavior::AllowIncomplete => self.apply_then_pay(&before.id, step),
            PaymentBehavior::ErrorIfIncomplete => {
                let customer = Arc::clone(self.named_customer(&before.customer)?);
                let owed: i64 = step.lines.iter().map(|line| line.cents).sum();
                match customer.card.answer(By::Machine) {
                    Answer::Yes => self.apply_then_pay(&before.id, step),
                    _ if owed + customer.balance_cents <= 0 => self.apply_then_pay(&before.id, step),
                    Answer::No => Err(Refusal::declined("generic_decline", None)),
                    Answer::Ask => Err(Refusal::declined("authentication_required", None)),
                }
            }
            PaymentBehavior::PendingIfIncomplete => self.pay_then_apply(before, step),
        }
    }

    fn apply_then_pay(&mut self, id: &str, mut step: Step) -> Result<(), Refusal> {
        self.apply(id, &step);
        let mut lines = self.take_pending_lines(id);
        lines.append(&mut step.lines);
        let invoice = self.open_invoice(id, Reason::Update, lines)?;
        self.change_subscription(id, |subscription| {
            subscription.latest_invoice = Some(invoice.clone());
        });
        self.finalize(&invoice)?;
        self.attempt(&invoice, By::Machine).map(drop)
    }

    fn pay_then_apply(&mut self, before: &Subscription, step: Step) -> Result<(), Refusal> {
        let invoice = self.open_invoice(&before.id, Reason::Update, step.lines.clone())?;
        // It is paid at once or by the customer; Stripe does not try it again by itself.
        self.invoices
            .change(&invoice, |invoice| invoice.auto_advance = false);
        self.finalize(&invoice)?;
        if self.attempt(&invoice, By::Machine)? == Attempt::Paid {
            self.apply(&before.id, &step);
            self.change_subscription(&before.id, |subscription| {
                subscription.latest_invoice = Some(invoice);
            });
            return Ok(());
        }
        let expires_at = (self.now + PATIENCE_SECONDS).min(before.period.end);
        self.change_subscription(&before.id, |subscription| {
            subscription.latest_invoice = Some(invoice.clone());
            subscription.pending_update = Some(PendingUpdate {
                price: step.price,
                anchor: step.anchor,
                expires_at,
                invoice,
            });
        });
        Ok(())
    }

    fn apply(&mut self, id: &str, step: &Step) {
        self.change_subscription(id, |subscription| {
            subscription.price.clone_from(&step.price);
            subscription.period = step.period;
            subscription.anchor = step.anchor.unwrap_or(subscription.anchor);
        });
        self.note_in_schedule(id);
    }

    /// The payment that a change waited for has come.
    pub(super) fn apply_pending_update(&mut self, id: &str) {
        let Some(subscription) = self.subscriptions.get(id).cloned() else {
            return;
        };
        let Some(pending) = subscription.pending_update.clone() else {
            return;
        };
        let interval = self.account.catalogue.interval(&pending.price);
        self.change_subscription(id, |subscription| {
            subscription.pending_update = None;
            subscription.price = pending.price;
            if let Some(anchor) = pending.anchor {
                subscription.anchor = anchor;
                subscription.period = Period {
                    start: anchor,
                    end: next_after(anchor, interval, anchor),
                };
            }
        });
        if let Some(applied) = self.subscriptions.get(id).cloned() {
            self.emit("customer.subscription.pending_update_applied", applied);
        }
    }

    /// The payment that a change waited for has not come in time.
    pub(super) fn expire_pending_update(&mut self, id: &str) {
        self.discard_pending_update(id);
        if let Some(expired) = self.subscriptions.get(id).cloned() {
            self.emit("customer.subscription.pending_update_expired", expired);
        }
    }

    /// Forgets a change that waits, and what it would have cost.
    pub(super) fn discard_pending_update(&mut self, id: &str) {
        let pending = self
            .subscriptions
            .get(id)
            .and_then(|it| it.pending_update.clone());
        let Some(pending) = pending else { return };
        self.void(&pending.invoice);
        self.change_subscription(id, |subscription| subscription.pending_update = None);
    }
}
