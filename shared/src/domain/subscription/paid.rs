//! What was paid for a subscription, for which tier, and what of it was given back.

use super::{Charge, Dispute, Invoice, InvoiceState, Live, Payment, Seen, Status, Truth};
use crate::domain::catalogue::Catalogue;
use crate::domain::quota::Tier;

impl Truth {
    fn invoices_of(&self, seen: &Seen) -> impl Iterator<Item = &Invoice> {
        self.invoices
            .iter()
            .filter(|invoice| invoice.subscription.as_deref() == Some(&seen.id))
    }

    /// The invoices of changes within the subscription's current period: they pay for differences alone.
    fn changes_of(&self, seen: &Seen) -> impl Iterator<Item = &Invoice> {
        self.invoices_of(seen)
            .filter(|invoice| invoice.covers.is_empty() && invoice.created >= seen.period_start)
    }

    /// The invoices that pay for the subscription's current period in full.
    fn wholes_of(&self, seen: &Seen) -> impl Iterator<Item = &Invoice> {
        self.invoices_of(seen)
            .filter(|invoice| invoice.covers.contains(&seen.period_start))
    }

    /// Whether the subscription's current period is paid; for which tier, [`Self::tier_of`] says.
    pub(super) fn is_paid(&self, seen: &Seen) -> bool {
        let mut wholes = self.wholes_of(seen);
        seen.status == Status::Trialing || wholes.any(|invoice| invoice.state == InvoiceState::Paid)
    }

    /// The tier that counts where Stripe shows `shown`: no higher than that, and in a period that is paid no higher than what
    /// was paid for. A trial has no invoice, and what Stripe does not say must block nobody who paid.
    pub(super) fn tier_of(&self, seen: &Seen, shown: Tier, catalogue: &Catalogue) -> Tier {
        let paid_for = self.tier_paid_for(seen, catalogue).filter(|_| self.is_paid(seen));
        paid_for.map_or(shown, |tier| tier.min(shown))
    }

    /// The highest tier that a paid invoice asked for, for time of the current period: a difference that came with this
    /// period's own invoice paid for days of the one before. `None` where none names a price of ours.
    fn tier_paid_for(&self, seen: &Seen, catalogue: &Catalogue) -> Option<Tier> {
        self.wholes_of(seen)
            .chain(self.changes_of(seen))
            .filter(|invoice| invoice.state == InvoiceState::Paid)
            .flat_map(|invoice| &invoice.prices)
            .filter(|(_, from)| *from >= seen.period_start)
            .filter_map(|(price, _)| Some(catalogue.sold(price)?.0))
            .max()
    }

    /// The invoice of the current period that was given up: nobody tries to collect it any more.
    pub(super) fn given_up_of(&self, seen: &Seen) -> Option<&Invoice> {
        self.wholes_of(seen)
            .find(|invoice| invoice.state == InvoiceState::Closed)
    }

    /// Whether a charge paid an invoice of another subscription than those that live.
    pub(super) fn paid_for_what_ended(&self, charge: &Charge, live: &[Live<'_>]) -> bool {
        let mut invoices = self.invoices.iter().filter(|invoice| invoice.is_paid_by(charge));
        invoices.any(|invoice| {
            let of = |live: &Live<'_>| invoice.subscription.as_ref() == Some(&live.seen.id);
            invoice.subscription.is_some() && !live.iter().any(of)
        })
    }

    /// The invoice of a change that was paid in the last tenth of the subscription's period.
    pub(super) fn late_upgrade_of(&self, seen: &Seen) -> Option<&Invoice> {
        let tenth = (seen.period_end.get() - seen.period_start.get()) / 10;
        let late = seen.period_end.get() - tenth;
        self.changes_of(seen)
            .find(|invoice| invoice.state == InvoiceState::Paid && invoice.created.get() >= late)
    }

    /// The oldest invoice that waits for the subscription's money.
    pub(super) fn owed_by(&self, seen: &Seen) -> Option<&Invoice> {
        self.invoices_of(seen)
            .filter(|invoice| invoice.state == InvoiceState::Open)
            .min_by_key(|invoice| invoice.created)
    }

    pub(super) fn payment_of(&self, seen: &Seen) -> Payment {
        match self.owed_by(seen) {
            Some(invoice) if invoice.action_required => Payment::ActionRequired,
            _ if seen.status == Status::PastDue => Payment::PastDue,
            None if self.is_paid(seen) => Payment::Paid,
            Some(_) | None => Payment::Awaiting,
        }
    }

    /// The charge that paid for the subscription and was lost, in whichever period: disputes outlive a month; or that
    /// paid for its current period and was given back in full. And whether that ends the subscription. The difference of
    /// a change that we gave back does not: the period itself is paid, and whoever gave it back says at Stripe which tier
    /// is left.
    pub(super) fn returned_payment_of(&self, seen: &Seen) -> Option<(&Charge, bool)> {
        let lost = |charge: &Charge| charge.dispute == Some(Dispute::Lost);
        let refunded = |charge: &Charge| charge.refunded;
        let lost = self
            .invoices_of(seen)
            .find_map(|invoice| self.charge_of(invoice, lost));
        let whole = || {
            self.wholes_of(seen)
                .find_map(|invoice| self.charge_of(invoice, refunded))
        };
        let change = || {
            self.changes_of(seen)
                .find_map(|invoice| self.charge_of(invoice, refunded))
        };
        let ends = lost.or_else(whole).map(|charge| (charge, true));
        ends.or_else(|| change().map(|charge| (charge, false)))
    }

    /// The charge that paid an invoice and is as asked.
    fn charge_of(&self, invoice: &Invoice, is: impl Fn(&Charge) -> bool) -> Option<&Charge> {
        self.charges
            .iter()
            .find(|&charge| invoice.is_paid_by(charge) && is(charge))
    }
}

impl Invoice {
    fn is_paid_by(&self, charge: &Charge) -> bool {
        let payment = charge.payment.as_ref();
        payment.is_some_and(|it| self.payments.contains(it))
    }
}
