//! Does Stripe still behave as we take it to? A subscriber's months, lived in a Stripe sandbox on a test clock, and
//! read after each step as our functions read them.
//!
//! ```sh
//! CORRIGEUSE_LIVE=1 STRIPE_API_KEY=sk_test_… scripts/local stripe-smoke
//! ```
//! A sandbox's key is enough: what is sold is made by the first run and found by the next. `STRIPE_BASE_URL` chooses
//! another address, such as the local Stripe's, whose time then moves with the clock.
//!
//! What our functions ask of Stripe goes through their client (`shared::billing`). What nobody asks of it in
//! production (the clock, the cards, the first subscription, which a browser would pay for) are plain calls. A
//! Checkout page is opened and closed again: only a browser can pay there, so `checkout.session.completed` is the one
//! event of the product that is not seen.
//!
//! Keep other webhook endpoints out of the sandbox, or let them answer: Stripe holds a renewal's invoice back
//! while one does not.

mod api;
mod clock;
mod customer;
mod events;
mod sold;
mod story;

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use shared::billing::{Connection, Patience, Stripe};
use shared::clock::Clock;
use shared::domain::time::UnixMillis;
use tokio::time::Instant;

use api::Api;
use clock::TestClock;

/// Where the run takes place, and how patiently.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A sandbox's key.
    pub key: TestKey,
    /// Stripe's address, if not its own.
    pub base_url: Option<String>,
    /// Tells the time.
    pub clock: Clock,
    /// How long Stripe is waited for.
    pub pace: Pace,
}

/// How long Stripe is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Between two looks.
    pub wait: Duration,
    /// Looks at a clock that moves, or for events that are still to come.
    pub looks_max: u32,
    /// For everything, but for putting away what was made.
    pub whole: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(2),
            looks_max: 90,
            whole: Duration::from_secs(15 * 60),
        }
    }
}

/// A key with which no money moves. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct TestKey(String);

impl TestKey {
    /// Reads a key.
    ///
    /// # Errors
    /// It is a live key, or no secret key at all.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let key = text.trim();
        let is = |prefixes: [&str; 2]| prefixes.iter().any(|prefix| key.starts_with(prefix));
        ensure!(
            !is(["sk_live_", "rk_live_"]),
            "STRIPE_API_KEY is a live key: give a sandbox's (sk_test_… or rk_test_…)"
        );
        ensure!(
            is(["sk_test_", "rk_test_"]) && key.bytes().all(|byte| byte.is_ascii_graphic()),
            "STRIPE_API_KEY is no secret key of a sandbox (sk_test_… or rk_test_…)"
        );
        Ok(Self(key.to_owned()))
    }
}

impl fmt::Debug for TestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestKey(hidden)")
    }
}

impl Settings {
    /// Reads the environment's variables, of which an empty one is none.
    ///
    /// # Errors
    /// `CORRIGEUSE_LIVE` or the key is missing, or the key is not a sandbox's.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        ensure!(
            variable("CORRIGEUSE_LIVE").is_some(),
            "this makes objects in a Stripe sandbox: set CORRIGEUSE_LIVE=1 to confirm"
        );
        let key = variable("STRIPE_API_KEY").context("set STRIPE_API_KEY to a sandbox's key (sk_test_…)")?;
        Ok(Self {
            key: TestKey::parse(&key)?,
            base_url: variable("STRIPE_BASE_URL"),
            clock: Clock::system(),
            pace: Pace::default(),
        })
    }
}

/// What the steps share.
struct Sandbox {
    /// Plain calls.
    api: Api,
    /// The functions' client.
    stripe: Stripe,
    clock: Clock,
    pace: Pace,
}

impl Sandbox {
    fn now(&self) -> UnixMillis {
        UnixMillis::new(self.clock.now_millis())
    }
}

/// Lives the story, and tells each step as it is done. Ends early when `stop` does. What was made, but for what is
/// sold, is deleted in any case.
///
/// # Errors
/// The step that failed, with what was expected and what was found.
pub async fn run(
    settings: Settings,
    tell: &mut dyn FnMut(&str),
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let connection = Connection::new(settings.base_url.as_deref(), Patience::default())?;
    let sandbox = Sandbox {
        api: Api::new(&connection, &settings.key, settings.pace)?,
        stripe: connection.with_key(&settings.key.0)?,
        clock: settings.clock,
        pace: settings.pace,
    };
    let mut log = Log {
        tell,
        steps: 0,
        untried: Vec::new(),
        doing: "",
    };
    let began = Instant::now();
    let clock = log.step("a test clock", TestClock::create(&sandbox)).await?;
    let whole = sandbox.pace.whole;
    let ended = tokio::select! {
        lived = tokio::time::timeout(whole, story::live(&sandbox, &clock, &mut log)) => {
            lived.map_err(|_| format!("not done after {} s in all", whole.as_secs()))
        }
        () = stop => Err("stopped".to_owned()),
    };
    let lived = ended.unwrap_or_else(|why| Err(anyhow!("{}: {why}", log.doing)));
    let deleted = log
        .step("the test clock is deleted", clock.delete(&sandbox))
        .await;
    match (lived, deleted) {
        (Ok(()), Ok(())) => {}
        (Ok(()), Err(left)) => return Err(left),
        (Err(failed), Ok(())) => return Err(failed),
        (Err(failed), Err(left)) => {
            bail!("{failed:#}; and the test clock {} is left: {left:#}", clock.id)
        }
    }
    let untried = match &*log.untried {
        [] => String::new(),
        names => format!("not tried: {}; ", names.join(", ")),
    };
    (log.tell)(&format!(
        "{} steps in {:.0} s; {untried}checkout.session.completed was not seen: only a browser pays a Checkout page",
        log.steps,
        began.elapsed().as_secs_f64()
    ));
    Ok(())
}

/// Tells of steps as they are done.
struct Log<'a> {
    tell: &'a mut dyn FnMut(&str),
    steps: u32,
    untried: Vec<&'static str>,
    doing: &'static str,
}

impl Log<'_> {
    /// Does a step, and tells what it found.
    async fn step<T>(
        &mut self,
        name: &'static str,
        work: impl Future<Output = anyhow::Result<(T, String)>>,
    ) -> anyhow::Result<T> {
        self.doing = name;
        let began = Instant::now();
        let (done, found) = work.await.context(name)?;
        self.steps += 1;
        (self.tell)(&format!(
            "ok  {name}: {found}  {:.1} s",
            began.elapsed().as_secs_f64()
        ));
        Ok(done)
    }

    /// Tells what could not be tried, and why.
    fn skip(&mut self, name: &'static str, why: &str) {
        self.untried.push(name);
        (self.tell)(&format!("--  {name}: not tried, {why}"));
    }
}

#[cfg(test)]
mod tests;
