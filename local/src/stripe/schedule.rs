//! Subscription schedules: which price counts in which phase.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::calendar::Interval;
use super::change::Proration;
use super::refusal::Refusal;
use super::subscription::{Cancel, Ending};
use super::world::{Metadata, World, check_metadata, merge_metadata};

/// A schedule made from a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// `sub_sched_…`.
    pub id: String,
    /// Unix seconds.
    pub created: i64,
    /// The customer's id.
    pub customer: String,
    /// The subscription that it manages, or managed.
    pub subscription: String,
    /// Where it is in its life.
    pub status: ScheduleStatus,
    /// Its phases, one after another.
    pub phases: Vec<Phase>,
    /// Which phase runs.
    pub current: usize,
    /// What happens after the last phase.
    pub end_behavior: EndBehavior,
    /// Keys and values of ours.
    pub metadata: Metadata,
    /// When it ended, in Unix seconds.
    pub closed_at: Option<i64>,
    /// The test clock that its customer lives on.
    pub test_clock: Option<String>,
}

/// A phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// The price in it.
    pub price: String,
    /// Unix seconds.
    pub start: i64,
    /// Unix seconds.
    pub end: i64,
    /// What happens to the time already paid when it begins.
    pub proration: Proration,
    /// Put on the subscription when it begins.
    pub metadata: Metadata,
}

/// A phase as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewPhase {
    /// The price in it.
    pub price: String,
    /// Unix seconds; the end of the phase before if not given.
    pub start: Option<i64>,
    /// Unix seconds.
    pub end: Option<i64>,
    /// Its length, instead of an end.
    pub duration: Option<(Interval, i64)>,
    /// What happens to the time already paid when it begins.
    pub proration: Proration,
    /// Put on the subscription when it begins.
    pub metadata: Metadata,
}

/// Where a schedule is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "Stripe's own words")]
pub enum ScheduleStatus {
    Active,
    Completed,
    Released,
    Canceled,
}

/// What happens after the last phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EndBehavior {
    /// The subscription goes on by itself.
    Release,
    /// The subscription ends.
    Cancel,
}

impl ScheduleStatus {
    /// As Stripe writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Completed => "completed",
            Self::Released => "released",
            Self::Canceled => "canceled",
        }
    }
}

impl EndBehavior {
    /// As Stripe writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Cancel => "cancel",
        }
    }
}

impl Schedule {
    /// Whether it manages its subscription.
    #[must_use]
    pub fn active(&self) -> bool {
        self.status == ScheduleStatus::Active
    }

    /// When the current phase ends, in Unix seconds.
    #[must_use]
    pub fn current_end(&self) -> Option<i64> {
        self.phases.get(self.current).map(|phase| phase.end)
    }
}

impl World {
    /// Makes a schedule that manages a subscription, with its current period as the only phase.
    ///
    /// # Errors
    /// There is no such subscription, it has ended, or another schedule manages it.
    pub fn create_schedule(&mut self, from_subscription: &str) -> Result<Arc<Schedule>, Refusal> {
        let subscription = self
            .subscription(from_subscription)
            .map_err(|_| Refusal::missing_in("from_subscription", "subscription", from_subscription))?;
        let subscription = Arc::clone(subscription);
        if let Some(schedule) = &subscription.schedule {
            return Err(Refusal::invalid(format!(
                "You cannot migrate a subscription that is already attached to a schedule: `{schedule}`."
            )));
        }
        if !subscription.status.renews() {
            let message = "You cannot migrate a subscription that is in the status `";
            return Err(Refusal::invalid(format!(
                "{message}{}`.",
                subscription.status.name()
            )));
        }
        let end_behavior = if subscription.cancel_at_period_end {
            EndBehavior::Cancel
        } else {
            EndBehavior::Release
        };
        let id = self.mint("sub_sched_");
        let schedule = self.schedules.insert(Schedule {
            id: id.clone(),
            created: self.now,
            customer: subscription.customer.clone(),
            subscription: subscription.id.clone(),
            status: ScheduleStatus::Active,
            phases: vec![Phase {
                price: subscription.price.clone(),
                start: subscription.period.start,
                end: subscription.period.end,
                proration: Proration::Create,
                metadata: Metadata::new(),
            }],
            current: 0,
            end_behavior,
            metadata: Metadata::new(),
            closed_at: None,
            test_clock: subscription.test_clock.clone(),
        });
        self.emit("subscription_schedule.created", Arc::clone(&schedule));
        self.change_subscription(from_subscription, |subscription| subscription.schedule = Some(id));
        Ok(schedule)
    }

    /// A schedule.
    ///
    /// # Errors
    /// 404 if there is none.
    pub fn schedule(&self, id: &str) -> Result<&Arc<Schedule>, Refusal> {
        self.schedules
            .get(id)
            .ok_or_else(|| Refusal::missing("subscription_schedule", id))
    }

    /// Replaces the phases, the current one first.
    ///
    /// # Errors
    /// The schedule has ended, the current phase's start differs, phases leave gaps, or a price cannot be chosen.
    pub fn update_schedule(
        &mut self,
        id: &str,
        phases: Option<&[NewPhase]>,
        end_behavior: Option<EndBehavior>,
        metadata: &Metadata,
    ) -> Result<Arc<Schedule>, Refusal> {
        let schedule = self.active_schedule(id, "update")?;
        check_metadata(metadata)?;
        let phases = match phases {
            Some(phases) => Some(self.place(&schedule, phases)?),
            None => None,
        };
        let change = self.schedules.change(id, |schedule| {
            if let Some(phases) = phases {
                schedule.phases.truncate(schedule.current);
                schedule.phases.extend(phases);
            }
            schedule.end_behavior = end_behavior.unwrap_or(schedule.end_behavior);
            merge_metadata(&mut schedule.metadata, metadata);
        });
        self.emit_change("subscription_schedule.updated", change);
        self.enter_phase(id)?;
        self.schedule(id).cloned()
    }

    /// Lets the subscription go on by itself.
    ///
    /// # Errors
    /// The schedule has ended.
    pub fn release_schedule(&mut self, id: &str) -> Result<Arc<Schedule>, Refusal> {
        self.active_schedule(id, "release")?;
        self.detach(id, ScheduleStatus::Released, "subscription_schedule.released");
        self.schedule(id).cloned()
    }

    /// Ends the schedule and its subscription at once.
    ///
    /// # Errors
    /// The schedule has ended.
    pub fn cancel_schedule(&mut self, id: &str) -> Result<Arc<Schedule>, Refusal> {
        let schedule = self.active_schedule(id, "cancel")?;
        self.cancel_subscription(&schedule.subscription, Cancel::default())?;
        self.schedule(id).cloned()
    }

    /// The current phase is over.
    pub(super) fn end_phase(&mut self, id: &str) -> Result<(), Refusal> {
        let schedule = Arc::clone(self.schedule(id)?);
        if schedule.current + 1 < schedule.phases.len() {
            let change = self.schedules.change(id, |schedule| schedule.current += 1);
            self.enter_phase(id)?;
            self.emit_change("subscription_schedule.updated", change);
            return Ok(());
        }
        match schedule.end_behavior {
            EndBehavior::Release => {
                self.detach(id, ScheduleStatus::Completed, "subscription_schedule.completed");
            }
            EndBehavior::Cancel => self.end_subscription(&schedule.subscription, Ending::Requested),
        }
        Ok(())
    }

    /// The subscription has ended, and its schedule with it.
    pub(super) fn close_schedule(&mut self, id: &str) {
        self.close(id, ScheduleStatus::Canceled, "subscription_schedule.canceled");
    }

    /// The subscription was changed directly: its current phase says so too, the coming ones stay.
    pub(super) fn note_in_schedule(&mut self, subscription: &str) {
        let Some(subscription) = self.subscriptions.get(subscription).cloned() else {
            return;
        };
        let Some(id) = &subscription.schedule else { return };
        let change = self.schedules.change(id, |schedule| {
            let current = schedule.current;
            if let Some(phase) = schedule.phases.get_mut(current) {
                phase.price.clone_from(&subscription.price);
            }
        });
        self.emit_change("subscription_schedule.updated", change);
    }

    fn active_schedule(&self, id: &str, verb: &str) -> Result<Arc<Schedule>, Refusal> {
        let schedule = self.schedule(id)?;
        if schedule.active() {
            return Ok(Arc::clone(schedule));
        }
        Err(Refusal::invalid(format!(
            "You cannot {verb} a subscription schedule that is currently in the `{}` status. Only schedules in `not_started` or `active` status are eligible.",
            schedule.status.name()
        )))
    }

    fn detach(&mut self, id: &str, status: ScheduleStatus, kind: &'static str) {
        let subscription = self
            .schedules
            .get(id)
            .map(|schedule| schedule.subscription.clone());
        self.close(id, status, kind);
        if let Some(subscription) = subscription {
            self.change_subscription(&subscription, |subscription| subscription.schedule = None);
        }
    }

    fn close(&mut self, id: &str, status: ScheduleStatus, kind: &'static str) {
        let now = self.now;
        let change = self.schedules.change(id, |schedule| {
            schedule.status = status;
            schedule.closed_at = Some(now);
        });
        if let Some((_, closed)) = change {
            self.emit(kind, closed);
        }
    }
}
