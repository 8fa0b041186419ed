//! What time does: renewals, retries, ends and expiries, each at its second and in order.

use super::calendar::next_after;
use super::checkout::SessionStatus;
use super::customer::By;
use super::invoice::{DRAFT_SECONDS, InvoiceStatus, Reason};
use super::refusal::Refusal;
use super::subscription::{Ending, PATIENCE_SECONDS, Period, Status};
use super::world::World;

/// What is due. At the same second, in this order: what waits is forgotten before the period ends, and a phase
/// begins before its first invoice is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    SessionExpires,
    FirstPaymentExpires,
    PendingUpdateExpires,
    PhaseEnds,
    PeriodEnds,
    DraftFinalizes,
    ChargeRetries,
}

impl World {
    /// Moves the clock to `to` in Unix seconds, and does everything that is due until then. The clock never
    /// goes back.
    pub fn advance_to(&mut self, to: i64) {
        self.as_time(|world| {
            while let Some((at, due, id)) = world.next_due().filter(|(at, ..)| *at <= to) {
                world.now = world.now.max(at);
                // What cannot be done any more has nothing due: the object has changed, and the loop ends.
                let done = world.run(due, &id);
                debug_assert!(done.is_ok(), "{due:?} of {id}: {done:?}");
            }
            world.now = world.now.max(to);
        });
    }

    /// Moves the clock by `seconds`.
    pub fn advance(&mut self, seconds: i64) {
        self.advance_to(self.now + seconds);
    }

    /// When something happens next by itself, in Unix seconds.
    #[must_use]
    pub fn next_due_at(&self) -> Option<i64> {
        self.next_due().map(|(at, ..)| at)
    }

    fn next_due(&self) -> Option<(i64, Due, String)> {
        let mut first: Option<(i64, Due, &str)> = None;
        let mut offer = |at: Option<i64>, due: Due, id| {
            if let Some(at) = at
                && first.is_none_or(|(first_at, first_due, _)| (at, due) < (first_at, first_due))
            {
                first = Some((at, due, id));
            }
        };
        for session in self.sessions.iter() {
            let open = session.status == SessionStatus::Open;
            offer(
                open.then_some(session.expires_at),
                Due::SessionExpires,
                &session.id,
            );
        }
        for subscription in self.subscriptions.iter().filter(|it| !it.status.ended()) {
            let id = subscription.id.as_str();
            let incomplete = subscription.status == Status::Incomplete;
            let patience = subscription.created + PATIENCE_SECONDS;
            offer(incomplete.then_some(patience), Due::FirstPaymentExpires, id);
            let pending = subscription.pending_update.as_ref();
            offer(
                pending.map(|pending| pending.expires_at),
                Due::PendingUpdateExpires,
                id,
            );
            let renews = subscription.status.renews();
            offer(renews.then_some(subscription.period.end), Due::PeriodEnds, id);
        }
        for schedule in self.schedules.iter().filter(|schedule| schedule.active()) {
            offer(schedule.current_end(), Due::PhaseEnds, &schedule.id);
        }
        for invoice in self.invoices.iter() {
            match invoice.status {
                InvoiceStatus::Draft => offer(invoice.finalizes_at, Due::DraftFinalizes, &invoice.id),
                InvoiceStatus::Open => offer(invoice.next_attempt, Due::ChargeRetries, &invoice.id),
                _ => {}
            }
        }
        first.map(|(at, due, id)| (at, due, id.to_owned()))
    }

    fn run(&mut self, due: Due, id: &str) -> Result<(), Refusal> {
        match due {
            Due::SessionExpires => self.expire_checkout(id).map(drop),
            Due::FirstPaymentExpires => {
                self.expire_incomplete(id);
                Ok(())
            }
            Due::PendingUpdateExpires => {
                self.expire_pending_update(id);
                Ok(())
            }
            Due::PhaseEnds => self.end_phase(id),
            Due::PeriodEnds => self.end_period(id),
            Due::DraftFinalizes => {
                self.finalize(id)?;
                self.attempt(id, By::Machine).map(drop)
            }
            Due::ChargeRetries => {
                self.invoices.change(id, |invoice| {
                    invoice.retries += 1;
                    invoice.next_attempt = None;
                });
                self.attempt(id, By::Machine).map(drop)
            }
        }
    }

    /// The next period begins, and its invoice is drafted; or the subscription ends.
    fn end_period(&mut self, id: &str) -> Result<(), Refusal> {
        let subscription = self.subscription(id)?.clone();
        if subscription.cancel_at_period_end {
            self.end_subscription(id, Ending::Requested);
            return Ok(());
        }
        let interval = self.account.catalogue.interval(&subscription.price);
        let start = subscription.period.end;
        let period = Period {
            start,
            end: next_after(subscription.anchor, interval, start),
        };
        let mut lines = self.take_pending_lines(id);
        lines.push(self.period_line(id, period)?);
        let invoice = self.open_invoice(id, Reason::Cycle, lines)?;
        // Stripe drafts the invoices of an unpaid subscription, and leaves them.
        let collected = subscription.status != Status::Unpaid;
        let finalizes_at = collected.then_some(start + DRAFT_SECONDS);
        self.invoices.change(&invoice, |invoice| {
            invoice.auto_advance = collected;
            invoice.finalizes_at = finalizes_at;
            invoice.next_attempt = finalizes_at;
        });
        self.change_subscription(id, |subscription| {
            subscription.period = period;
            subscription.latest_invoice = Some(invoice);
        });
        Ok(())
    }
}
