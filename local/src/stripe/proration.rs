//! What a change costs: the unused part of the old price credited, the rest of the period charged at the new one.

use std::sync::Arc;

use super::calendar::next_after;
use super::change::{Proration, Update};
use super::invoice::{Invoice, Line, Reason};
use super::refusal::Refusal;
use super::subscription::{Period, Subscription};
use super::world::World;

/// A price change, worked out.
pub(super) struct Step {
    pub(super) price: String,
    /// The new anchor, if the interval changes.
    pub(super) anchor: Option<i64>,
    pub(super) period: Period,
    pub(super) lines: Vec<Line>,
    pub(super) invoice_now: bool,
}

impl World {
    /// What a change to `price` at `at` means.
    pub(super) fn step(
        &mut self,
        before: &Subscription,
        price: &str,
        proration: Proration,
        at: i64,
    ) -> Result<Step, Refusal> {
        let catalogue = &self.account.catalogue;
        let interval = catalogue.interval(price);
        let moves = interval != catalogue.interval(&before.price);
        let period = if moves {
            Period {
                start: at,
                end: next_after(at, interval, at),
            }
        } else {
            before.period
        };
        let mut lines = Vec::new();
        if proration != Proration::None {
            lines.push(self.credit_line(before, at));
        }
        let after = Subscription {
            price: price.to_owned(),
            period,
            ..before.clone()
        };
        if moves {
            lines.push(self.line_for(&after, period)?);
        } else if proration != Proration::None {
            lines.push(self.charge_line(&after, at));
        }
        Ok(Step {
            price: price.to_owned(),
            anchor: moves.then_some(at),
            period,
            lines,
            invoice_now: moves || proration == Proration::AlwaysInvoice,
        })
    }

    /// What an invoice would be if the change were made now: nothing is kept.
    ///
    /// # Errors
    /// As for [`World::update_subscription`].
    pub fn preview(&self, id: &str, update: &Update) -> Result<Invoice, Refusal> {
        let mut trial = self.clone();
        let subscription = Arc::clone(trial.subscription(id)?);
        trial.check_update(&subscription, update)?;
        let at = update.proration_date.unwrap_or(trial.now);
        let (mut after, mut lines) = (
            Subscription::clone(&subscription),
            subscription.pending_lines.clone(),
        );
        let mut reason = Reason::Cycle;
        if let Some(price) = &update.price {
            let step = trial.step(&subscription, price, update.proration, at)?;
            lines.extend(step.lines);
            if step.invoice_now {
                reason = Reason::Update;
            }
            after.price = step.price;
        }
        if reason == Reason::Cycle && !subscription.cancel_at_period_end {
            let interval = trial.account.catalogue.interval(&after.price);
            let start = after.period.end;
            let next = Period {
                start,
                end: next_after(after.anchor, interval, start),
            };
            lines.push(trial.line_for(&after, next)?);
        }
        Ok(trial.draft(&subscription, reason, lines))
    }

    /// The price for a whole period.
    pub(super) fn period_line(&mut self, id: &str, period: Period) -> Result<Line, Refusal> {
        let subscription = Arc::clone(self.subscription(id)?);
        self.line_for(&subscription, period)
    }

    fn line_for(&mut self, subscription: &Subscription, period: Period) -> Result<Line, Refusal> {
        let cents = self.account.catalogue.cents(&subscription.price);
        let name = self.name_of(&subscription.price);
        Ok(Line {
            id: self.mint("il_"),
            cents,
            price: subscription.price.clone(),
            period,
            proration: None,
            description: format!("1 × {name}"),
        })
    }

    /// The unused part of the price, given back.
    pub(super) fn credit_line(&mut self, subscription: &Subscription, at: i64) -> Line {
        let mut line = self.charge_line(subscription, at);
        line.cents = -line.cents;
        line.description = format!("Unused time on {}", self.name_of(&subscription.price));
        line
    }

    /// The price for what is left of the period, to the second.
    fn charge_line(&mut self, subscription: &Subscription, at: i64) -> Line {
        let Period { start, end } = subscription.period;
        let (left, whole) = (end - at, (end - start).max(1));
        let cents = self.account.catalogue.cents(&subscription.price);
        Line {
            id: self.mint("il_"),
            // Rounded half up.
            cents: (2 * cents * left + whole).div_euclid(2 * whole),
            price: subscription.price.clone(),
            period: Period { start: at, end },
            proration: Some(self.mint("ii_")),
            description: format!("Remaining time on {}", self.name_of(&subscription.price)),
        }
    }

    fn name_of(&self, price: &str) -> String {
        let catalogue = &self.account.catalogue;
        let product = catalogue
            .price(price)
            .and_then(|price| catalogue.product(&price.product));
        product.map_or_else(|| price.to_owned(), |product| product.name.clone())
    }
}
