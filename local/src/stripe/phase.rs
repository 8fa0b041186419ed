//! Phases of a schedule: where they lie, and what begins with each.

use std::sync::Arc;

use super::calendar::boundary;
use super::change::Update;
use super::refusal::Refusal;
use super::schedule::{NewPhase, Phase, Schedule};
use super::subscription::Subscription;
use super::world::{World, check_metadata, merge_metadata};

impl World {
    /// Gives each phase its start and its end.
    pub(super) fn place(&self, schedule: &Schedule, asked: &[NewPhase]) -> Result<Vec<Phase>, Refusal> {
        let current = schedule
            .phases
            .get(schedule.current)
            .map_or(0, |phase| phase.start);
        let mut phases: Vec<Phase> = Vec::with_capacity(asked.len());
        for (index, asked_phase) in asked.iter().enumerate() {
            let field = |name: &str| format!("phases[{index}][{name}]");
            let price = self
                .account
                .catalogue
                .choosable(&asked_phase.price, &field("items][0][price"))?;
            check_metadata(&asked_phase.metadata)?;
            let start = match phases.last() {
                None if asked_phase.start.is_none() => {
                    return Err(Refusal::invalid(
                        "The subscription schedule update is missing at least one phase with a `start_date` to anchor end dates to.",
                    ));
                }
                None if asked_phase.start != Some(current) => {
                    return Err(Refusal::invalid(
                        "You can not modify the start date of the current phase.",
                    ));
                }
                None => current,
                Some(before) if asked_phase.start.is_some_and(|start| start != before.end) => {
                    let message = "The start date of a phase must be the end date of the phase before it.";
                    return Err(Refusal::param(
                        "parameter_invalid_integer",
                        field("start_date"),
                        message,
                    ));
                }
                Some(before) => before.end,
            };
            // Only the last phase may leave its end open: it then lasts one interval.
            let open = (index + 1 == asked.len()).then_some((price.interval, 1));
            let length = asked_phase.duration.or(open);
            let end = asked_phase
                .end
                .or_else(|| length.map(|(interval, count)| boundary(start, interval, count)))
                .ok_or_else(|| Refusal::absent(&field("end_date")))?;
            if end <= start || end <= self.now {
                let message = "The end date of a phase must lie after its start and in the future.";
                return Err(Refusal::param(
                    "parameter_invalid_integer",
                    field("end_date"),
                    message,
                ));
            }
            phases.push(Phase {
                price: asked_phase.price.clone(),
                start,
                end,
                proration: asked_phase.proration,
                metadata: asked_phase.metadata.clone(),
            });
        }
        if phases.is_empty() {
            return Err(Refusal::absent("phases"));
        }
        Ok(phases)
    }

    /// Gives the subscription what the current phase says.
    pub(super) fn enter_phase(&mut self, id: &str) -> Result<(), Refusal> {
        let schedule = Arc::clone(self.schedule(id)?);
        let Some(phase) = schedule.phases.get(schedule.current) else {
            return Ok(());
        };
        let subscription = Arc::clone(self.subscription(&schedule.subscription)?);
        self.change_subscription(&subscription.id, |subscription| {
            merge_metadata(&mut subscription.metadata, &phase.metadata);
        });
        if subscription.price == phase.price {
            return Ok(());
        }
        self.discard_pending_update(&subscription.id);
        if phase.start == subscription.period.end && self.now >= phase.start {
            self.turn(&subscription, phase);
            return Ok(());
        }
        let update = Update {
            item: Some(subscription.item.clone()),
            price: Some(phase.price.clone()),
            proration: phase.proration,
            ..Update::default()
        };
        self.update_subscription(&subscription.id, &update).map(drop)
    }

    /// The phase begins with a period: the renewal that follows charges its price, and nothing is prorated.
    fn turn(&mut self, subscription: &Subscription, phase: &Phase) {
        let catalogue = &self.account.catalogue;
        let moves = catalogue.interval(&subscription.price) != catalogue.interval(&phase.price);
        self.change_subscription(&subscription.id, |subscription| {
            subscription.price.clone_from(&phase.price);
            if moves {
                subscription.anchor = phase.start;
            }
        });
    }
}
