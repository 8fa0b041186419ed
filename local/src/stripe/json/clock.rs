use serde_json::{Value, json};

use crate::stripe::clock::{ClockStatus, LIFE_SECONDS, TestClock};
use crate::stripe::world::Account;

/// A test clock, as it is or as it was.
#[must_use]
pub fn test_clock(account: &Account, clock: &TestClock) -> Value {
    let (status, details) = match clock.status {
        ClockStatus::Ready | ClockStatus::Deleted => ("ready", json!({})),
        ClockStatus::Advancing(to) => ("advancing", json!({ "advancing": { "target_frozen_time": to } })),
    };
    json!({
        "id": clock.id,
        "object": "test_helpers.test_clock",
        "created": clock.created,
        "deletes_after": clock.created + LIFE_SECONDS,
        "frozen_time": clock.frozen_time,
        "livemode": account.livemode,
        "name": clock.name,
        "status": status,
        "status_details": details,
    })
}
