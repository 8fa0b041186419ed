//! The sandbox's test clock.

use anyhow::{bail, ensure};
use shared::domain::time::UnixMillis;

use super::Sandbox;
use super::api::{seconds, text};
use crate::stripe::calendar::{Interval, boundary};

const CLOCKS: &str = "/v1/test_helpers/test_clocks";
/// One that is still moving cannot be deleted yet.
const DELETIONS_MAX: u32 = 10;

/// A test clock.
pub(super) struct TestClock {
    pub(super) id: String,
    /// Where it stood at first.
    pub(super) began: UnixMillis,
}

impl TestClock {
    /// Makes one that stands at the present time, so that what goes by the real time agrees.
    pub(super) async fn create(sandbox: &Sandbox) -> anyhow::Result<(Self, String)> {
        let now = (sandbox.now().get() / 1000).to_string();
        let form = [("frozen_time", now.as_str()), ("name", "La Corrigeuse, smoke")];
        let made = sandbox.api.post(CLOCKS, &form).await?;
        let clock = Self {
            id: text(&made, "id")?,
            began: UnixMillis::new(seconds(&made, "frozen_time")? * 1000),
        };
        let found = format!("{} at {}", clock.id, clock.began.rfc3339());
        Ok((clock, found))
    }

    /// The subscriber's month, counted from 0, as our own Stripe counts them: from the first one's second.
    pub(super) fn month(&self, number: i64) -> (UnixMillis, UnixMillis) {
        let bound = |number| boundary(self.began.get() / 1000, Interval::Month, number);
        let bounds = (bound(number), bound(number + 1));
        (UnixMillis::new(bounds.0 * 1000), UnixMillis::new(bounds.1 * 1000))
    }

    /// Moves it, and waits until all that is due has happened.
    pub(super) async fn advance(&self, sandbox: &Sandbox, to: UnixMillis) -> anyhow::Result<()> {
        let path = format!("{CLOCKS}/{}", self.id);
        let to = to.get() / 1000;
        let form = [("frozen_time", &*to.to_string())];
        let mut clock = sandbox.api.post(&format!("{path}/advance"), &form).await?;
        for _ in 0..sandbox.pace.looks_max {
            match text(&clock, "status")?.as_str() {
                "ready" => {
                    let at = seconds(&clock, "frozen_time")?;
                    ensure!(at == to, "the test clock is ready at {at}, expected {to}");
                    return Ok(());
                }
                "advancing" => {}
                other => bail!("the test clock is {other}"),
            }
            tokio::time::sleep(sandbox.pace.wait).await;
            clock = sandbox.api.get(&path, &[]).await?;
        }
        bail!(
            "the test clock is still advancing after {} looks",
            sandbox.pace.looks_max
        )
    }

    /// Deletes it, and its customers with all that they have.
    pub(super) async fn delete(&self, sandbox: &Sandbox) -> anyhow::Result<((), String)> {
        let path = format!("{CLOCKS}/{}", self.id);
        let mut deletions = 1;
        loop {
            match sandbox.api.delete(&path).await {
                Ok(()) => return Ok(((), format!("{} and its customer", self.id))),
                Err(refused) if deletions == DELETIONS_MAX => return Err(refused),
                Err(_) => {}
            }
            tokio::time::sleep(sandbox.pace.wait).await;
            deletions += 1;
        }
    }
}
