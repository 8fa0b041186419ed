//! When to ask a provider again: a pure decision, and the means to wait.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderMap;
use time::PrimitiveDateTime;
use time::macros::format_description;

use super::failure::Reason;

/// The bounds on trying again. Base and cap are those of the official SDKs (0.5 s, 8 s).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Requests of one call, the first included.
    pub attempts_max: u32,
    /// Of the retries, those after an attempt that may have been billed unseen: each may cost a whole answer.
    pub unknown_retries_max: u32,
    /// The bound on the first wait; it doubles with each attempt.
    pub wait_first_max: Duration,
    /// The bound on every wait that the provider did not ask for.
    pub wait_max: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            attempts_max: 4,
            unknown_retries_max: 1,
            wait_first_max: Duration::from_millis(500),
            wait_max: Duration::from_secs(8),
        }
    }
}

/// What a provider's headers say about trying again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hint {
    /// `x-should-retry`.
    pub should_retry: Option<bool>,
    /// `retry-after-ms`, else `retry-after` (seconds, or a date counted from the reply's own `date`, so that
    /// no clock of ours matters).
    pub after: Option<Duration>,
}

impl Hint {
    /// Reads the hint; what cannot be read is as if absent.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let text = |name: &str| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::trim)
        };
        let seconds = |text: &str| {
            let seconds = text.parse::<f64>().ok()?;
            Duration::try_from_secs_f64(seconds).ok()
        };
        let after_ms = text("retry-after-ms")
            .and_then(seconds)
            .map(|milliseconds| milliseconds / 1000);
        let after = || {
            let after = text("retry-after")?;
            seconds(after).or_else(|| {
                let wait = http_date(after)? - http_date(text("date")?)?;
                wait.try_into().ok()
            })
        };
        let should_retry = match text("x-should-retry") {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => None,
        };
        Self {
            should_retry,
            after: after_ms.or_else(after).filter(|wait| !wait.is_zero()),
        }
    }
}

fn http_date(text: &str) -> Option<PrimitiveDateTime> {
    let format = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    PrimitiveDateTime::parse(text, format).ok()
}

/// What was already tried in this call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests sent.
    pub attempts: u32,
    /// Those that may have been billed unseen.
    pub unknown_calls: u32,
}

/// What to do after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Report the failure.
    GiveUp,
    /// Wait this long, then ask again.
    Again(Duration),
}

impl Policy {
    /// Decides, with `jitter` in 0..1 (full jitter, so that workers that failed together do not come back
    /// together) and `remaining` until the deadline.
    #[must_use]
    pub fn decide(
        &self,
        reason: &Reason,
        hint: Hint,
        tally: Tally,
        remaining: Duration,
        jitter: f64,
    ) -> Decision {
        let spent = tally.attempts >= self.attempts_max || tally.unknown_calls > self.unknown_retries_max;
        let hopeless = matches!(reason, Reason::SpendLimit | Reason::Unauthorized);
        if spent || hopeless || !hint.should_retry.unwrap_or(reason.transient()) {
            return Decision::GiveUp;
        }
        let doubled = 2_u32.saturating_pow(tally.attempts.saturating_sub(1));
        let spread = match hint.after {
            Some(_) => self.wait_first_max,
            None => self.wait_first_max.saturating_mul(doubled).min(self.wait_max),
        };
        let wait = hint
            .after
            .unwrap_or_default()
            .saturating_add(spread.mul_f64(jitter.clamp(0.0, 1.0)));
        if wait < remaining {
            Decision::Again(wait)
        } else {
            Decision::GiveUp
        }
    }
}

/// A wait in progress.
pub type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How waits pass and how they are spread; a test replaces both.
#[derive(Clone)]
pub struct Pace {
    sleep: Arc<dyn Fn(Duration) -> Waiting + Send + Sync>,
    jitter: Arc<dyn Fn() -> f64 + Send + Sync>,
}

impl Pace {
    /// Real waits, evenly spread.
    #[must_use]
    pub fn real() -> Self {
        Self::new(|wait| Box::pin(tokio::time::sleep(wait)), rand::random::<f64>)
    }

    /// Waits by `sleep`, spread by `jitter` (0..1).
    pub fn new(
        sleep: impl Fn(Duration) -> Waiting + Send + Sync + 'static,
        jitter: impl Fn() -> f64 + Send + Sync + 'static,
    ) -> Self {
        Self {
            sleep: Arc::new(sleep),
            jitter: Arc::new(jitter),
        }
    }

    pub(super) fn jitter(&self) -> f64 {
        (self.jitter)()
    }

    pub(super) async fn sleep(&self, wait: Duration) {
        (self.sleep)(wait).await;
    }
}

impl std::fmt::Debug for Pace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pace")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITED: Reason = Reason::RateLimited { retry_after: None };
    const SAYS_NO: Hint = Hint {
        should_retry: Some(false),
        after: None,
    };
    const SAYS_YES: Hint = Hint {
        should_retry: Some(true),
        after: None,
    };
    const REJECTED: Reason = Reason::Rejected {
        status: 400,
        kind: "invalid_request_error",
    };

    fn asks(seconds: u64) -> Hint {
        Hint {
            should_retry: None,
            after: Some(Duration::from_secs(seconds)),
        }
    }

    /// With a jitter of one half and a minute left. Waits in milliseconds; `None` is giving up.
    fn decide(reason: &Reason, hint: Hint, attempts: u32, unknown_calls: u32) -> Option<u128> {
        let tally = Tally {
            attempts,
            unknown_calls,
        };
        match Policy::default().decide(reason, hint, tally, Duration::from_secs(60), 0.5) {
            Decision::GiveUp => None,
            Decision::Again(wait) => Some(wait.as_millis()),
        }
    }

    #[test]
    fn what_is_transient_is_tried_again_within_bounds() {
        let none = Hint::default();
        let cases = [
            (
                "the first wait is half of half a second",
                decide(&LIMITED, none, 1, 0),
                Some(250),
            ),
            (
                "the wait doubles",
                decide(&Reason::Overloaded, none, 3, 0),
                Some(1000),
            ),
            (
                "attempts are bounded",
                decide(&Reason::Overloaded, none, 4, 0),
                None,
            ),
            (
                "a retry-after is waited in full, and spread",
                decide(&LIMITED, asks(7), 1, 0),
                Some(7250),
            ),
            (
                "a retry-after past the deadline is not waited",
                decide(&LIMITED, asks(61), 1, 0),
                None,
            ),
            (
                "one lost reply is tried again",
                decide(&Reason::ReplyLost, none, 1, 1),
                Some(250),
            ),
            (
                "a second lost reply is not",
                decide(&Reason::Timeout, none, 2, 2),
                None,
            ),
            (
                "the provider may forbid",
                decide(&Reason::Unavailable { status: 500 }, SAYS_NO, 1, 0),
                None,
            ),
            (
                "the provider may invite",
                decide(&REJECTED, SAYS_YES, 1, 0),
                Some(250),
            ),
            (
                "a rejected request is not repeated",
                decide(&REJECTED, none, 1, 0),
                None,
            ),
            (
                "a spending limit is never repeated",
                decide(&Reason::SpendLimit, SAYS_YES, 1, 0),
                None,
            ),
            (
                "a bad key is never repeated",
                decide(&Reason::Unauthorized, SAYS_YES, 1, 0),
                None,
            ),
            (
                "a refusal was paid for",
                decide(&Reason::Refused, none, 1, 0),
                None,
            ),
            (
                "a truncated answer was paid for",
                decide(&Reason::Truncated, none, 1, 0),
                None,
            ),
            (
                "an unreadable answer was paid for",
                decide(&Reason::Invalid { what: "x" }, none, 1, 0),
                None,
            ),
        ];
        for (name, got, expected) in cases {
            assert_eq!(got, expected, "{name}");
        }
    }

    #[test]
    fn waits_never_pass_the_cap() {
        let policy = Policy {
            attempts_max: u32::MAX,
            ..Policy::default()
        };
        let tally = Tally {
            attempts: 1_000_000,
            unknown_calls: 0,
        };
        let decision = policy.decide(
            &Reason::Overloaded,
            Hint::default(),
            tally,
            Duration::from_secs(60),
            1.0,
        );
        assert_eq!(decision, Decision::Again(Duration::from_secs(8)));
    }

    #[test]
    fn headers_are_read_in_every_form_that_providers_use() {
        let date = ("date", "Fri, 20 Nov 2026 22:00:00 GMT");
        let later = ("retry-after", "Fri, 20 Nov 2026 22:00:30 GMT");
        let past = ("retry-after", "Fri, 20 Nov 2026 21:00:00 GMT");
        let wait = |milliseconds| Some(Duration::from_millis(milliseconds));
        type Case<'a> = (&'a [(&'a str, &'a str)], Option<Duration>, Option<bool>);
        let cases: [Case<'_>; 11] = [
            (&[], None, None),
            (&[("retry-after", "3")], wait(3000), None),
            (&[("retry-after", " 1.5 ")], wait(1500), None),
            (
                &[("retry-after-ms", "250"), ("retry-after", "9")],
                wait(250),
                None,
            ),
            (&[date, later], wait(30_000), None),
            (&[date, past], None, None),
            (&[later], None, None),
            (&[("retry-after", "-3")], None, None),
            (&[("retry-after", "NaN")], None, None),
            (
                &[("retry-after", "soon"), ("x-should-retry", "false")],
                None,
                Some(false),
            ),
            (&[("x-should-retry", "true")], None, Some(true)),
        ];
        for (headers, after, should_retry) in cases {
            let map = headers
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect::<HeaderMap>();
            assert_eq!(
                Hint::from_headers(&map),
                Hint { should_retry, after },
                "{headers:?}"
            );
        }
    }
}
