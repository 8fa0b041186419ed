//! Test clocks: time that a test moves.
//!
//! At Stripe each clock has its own time and its own customers, and the rest of the sandbox goes on by the real one.
//! This world has one time: while there is a clock, the whole of it stands on that clock's time, and an advance
//! moves all of it. That time never goes back: a clock that is asked to stand in the past stands at the present. An
//! advance takes Stripe a while; here it is done when the call is answered, which says `advancing` all the same.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::calendar::{Interval, boundary};
use super::refusal::Refusal;
use super::world::World;

/// How long a clock can be used. Unit: seconds.
pub const LIFE_SECONDS: i64 = 7 * 24 * 3600;
/// How far an advance may go.
const INTERVALS_MAX: i64 = 2;

/// A test clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestClock {
    /// `clock_…`.
    pub id: String,
    /// Unix seconds.
    pub created: i64,
    /// What it is called.
    pub name: Option<String>,
    /// What time it is there, in Unix seconds.
    pub frozen_time: i64,
    /// Where it is in its life.
    pub status: ClockStatus,
}

/// Where a clock is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClockStatus {
    /// Can be advanced.
    Ready,
    /// Is on its way to a time, in Unix seconds.
    Advancing(i64),
    /// Gone, and its customers with it.
    Deleted,
}

impl World {
    /// Makes a clock: from now on time stands still here, until the last clock is deleted.
    ///
    /// # Errors
    /// Money is real.
    pub fn create_test_clock(
        &mut self,
        frozen_time: i64,
        name: Option<String>,
    ) -> Result<Arc<TestClock>, Refusal> {
        if self.account.livemode {
            let message = "Test clocks can only be used in test mode.";
            return Err(Refusal::invalid(message));
        }
        if frozen_time > boundary(self.now, Interval::Year, INTERVALS_MAX) {
            return Err(of_time("`frozen_time` cannot be more than two years ahead."));
        }
        self.advance_to(frozen_time);
        let id = self.mint("clock_");
        let clock = self.clocks.insert(TestClock {
            id,
            created: self.now,
            name,
            frozen_time: self.now,
            status: ClockStatus::Ready,
        });
        self.emit("test_helpers.test_clock.created", Arc::clone(&clock));
        Ok(clock)
    }

    /// A clock that is still there.
    ///
    /// # Errors
    /// 404 if there is none, or it was deleted.
    pub fn test_clock(&self, id: &str) -> Result<&Arc<TestClock>, Refusal> {
        self.clocks
            .get(id)
            .filter(|clock| clock.status != ClockStatus::Deleted)
            .ok_or_else(|| Refusal::missing("test_clock", id))
    }

    /// Moves a clock to `to` in Unix seconds, and does everything that is due until then. Returns it as it was when
    /// it began to move.
    ///
    /// # Errors
    /// There is no such clock; `to` is not ahead of it, or too far: two intervals of the shortest live subscription
    /// on it, or two years.
    pub fn advance_test_clock(&mut self, id: &str, to: i64) -> Result<Arc<TestClock>, Refusal> {
        self.test_clock(id)?;
        if to <= self.now {
            return Err(of_time(
                "`frozen_time` must be after the clock's current frozen time.",
            ));
        }
        if to > boundary(self.now, self.shortest_interval(id), INTERVALS_MAX) {
            return Err(of_time(
                "A clock cannot be advanced by more than two intervals of its shortest subscription.",
            ));
        }
        let advancing = self.turn_clock(id, "test_helpers.test_clock.advancing", |clock| {
            clock.status = ClockStatus::Advancing(to);
        })?;
        self.advance_to(to);
        self.turn_clock(id, "test_helpers.test_clock.ready", |clock| {
            clock.status = ClockStatus::Ready;
            clock.frozen_time = to;
        })?;
        Ok(advancing)
    }

    /// Deletes a clock and its customers.
    ///
    /// # Errors
    /// There is no such clock.
    pub fn delete_test_clock(&mut self, id: &str) -> Result<(), Refusal> {
        self.test_clock(id)?;
        let on_it: Vec<String> = self
            .customers
            .iter()
            .filter(|customer| customer.test_clock.as_deref() == Some(id) && !customer.deleted)
            .map(|customer| customer.id.clone())
            .collect();
        for customer in on_it {
            self.delete_customer(&customer)?;
        }
        if let Some((gone, _)) = self
            .clocks
            .change(id, |clock| clock.status = ClockStatus::Deleted)
        {
            self.emit("test_helpers.test_clock.deleted", gone);
        }
        Ok(())
    }

    /// Deletes every clock and its customers: whoever moved it is gone.
    pub(super) fn delete_test_clocks(&mut self) {
        let ids: Vec<String> = self.clocks.iter().map(|clock| clock.id.clone()).collect();
        for id in ids {
            // One that is deleted already stays so.
            let _absent = self.delete_test_clock(&id);
        }
    }

    /// Whether time stands on a clock.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.clocks
            .iter()
            .any(|clock| clock.status != ClockStatus::Deleted)
    }

    /// Changes a clock, and says so as `kind`.
    fn turn_clock(
        &mut self,
        id: &str,
        kind: &'static str,
        change: impl FnOnce(&mut TestClock),
    ) -> Result<Arc<TestClock>, Refusal> {
        let change = self.clocks.change(id, change);
        let (_, turned) = change.ok_or_else(|| Refusal::missing("test_clock", id))?;
        self.emit(kind, Arc::clone(&turned));
        Ok(turned)
    }

    fn shortest_interval(&self, clock: &str) -> Interval {
        let monthly = self.subscriptions.iter().any(|subscription| {
            !subscription.status.ended()
                && subscription.test_clock.as_deref() == Some(clock)
                && self.account.catalogue.interval(&subscription.price) == Interval::Month
        });
        if monthly { Interval::Month } else { Interval::Year }
    }
}

fn of_time(message: &str) -> Refusal {
    Refusal {
        param: Some("frozen_time".to_owned()),
        ..Refusal::invalid(message)
    }
}
