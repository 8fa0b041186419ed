//! Every minute: send what the outbox still holds, bring every pending run nearer its end, compare counters
//! with their entries, send the letters that are due. The fast paths elsewhere only make things quick; this makes
//! them certain.

mod audit;
mod letters;
mod outbox;
mod runs;

use std::iter::Sum;

use futures::future::join;
use serde::Serialize;
use shared::clock::Clock;
use shared::domain::failure::Failure;
use shared::domain::time::UnixMillis;
use shared::store::{Queue, Store};
use shared::telemetry::{Metrics, Unit};

pub use letters::Post;

/// Pages of one list that a sweep looks at, at most.
const PAGES_MAX: usize = 20;
/// Outbox groups sent at once, and runs looked at at once.
const AT_ONCE: usize = 8;

/// What a sweep needs.
#[derive(Debug, Clone)]
pub struct Doors {
    /// The table.
    pub store: Store,
    /// The work queue.
    pub queue: Queue,
    /// Sends letters; `None` where no mail is sent.
    pub post: Option<Post>,
    /// Tells the time.
    pub clock: Clock,
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Outbox groups sent.
    pub sent: u64,
    /// Messages sent again, because their worker is gone or the queue may have lost them.
    pub revived: u64,
    /// Runs that reached their end.
    pub finished: u64,
    /// Runs still pending.
    pub pending: u64,
    /// Tokens by which counters and entries differ. Anything but 0 is an alarm.
    pub drift_tokens: u64,
    /// Letters that SES took.
    pub letters_sent: u64,
    /// Letters that will not be sent. Anything but 0 is an alarm.
    pub letters_lost: u64,
    /// Letters that wait for an address.
    pub letters_unaddressed: u64,
    /// Letters that should have been sent an hour ago, and were tried in vain. Anything but 0 is an alarm.
    pub letters_late: u64,
    /// Steps that failed; the next sweep takes them again.
    pub failures: u64,
}

impl Swept {
    /// The line of metrics.
    #[must_use]
    pub fn line(&self, now: UnixMillis) -> String {
        Metrics::of("sweeper")
            .value("OutboxSwept", Unit::Count, self.sent)
            .value("CopiesRevived", Unit::Count, self.revived)
            .value("RunsSwept", Unit::Count, self.finished)
            .value("RunsPending", Unit::Count, self.pending)
            .value("LedgerDrift", Unit::Count, self.drift_tokens)
            .value("LettersSent", Unit::Count, self.letters_sent)
            .value("LettersLost", Unit::Count, self.letters_lost)
            .value("LettersUnaddressed", Unit::Count, self.letters_unaddressed)
            .value("LettersLate", Unit::Count, self.letters_late)
            .value("SweepFailures", Unit::Count, self.failures)
            .line(now.get())
    }

    fn drifted(tokens: u64) -> Self {
        Self {
            drift_tokens: tokens,
            ..Self::default()
        }
    }
}

impl Sum for Swept {
    fn sum<I: Iterator<Item = Self>>(steps: I) -> Self {
        steps.fold(Self::default(), |sum, step| Self {
            sent: sum.sent + step.sent,
            revived: sum.revived + step.revived,
            finished: sum.finished + step.finished,
            pending: sum.pending + step.pending,
            drift_tokens: sum.drift_tokens + step.drift_tokens,
            letters_sent: sum.letters_sent + step.letters_sent,
            letters_lost: sum.letters_lost + step.letters_lost,
            letters_unaddressed: sum.letters_unaddressed + step.letters_unaddressed,
            letters_late: sum.letters_late + step.letters_late,
            failures: sum.failures + step.failures,
        })
    }
}

/// What a step did; a failure is counted and left to the next sweep.
fn counted(step: &str, done: Result<Swept, Failure>) -> Swept {
    done.unwrap_or_else(|failure| {
        tracing::error!(step, cause = failure.cause(), "a step of the sweep failed");
        Swept {
            failures: 1,
            ..Swept::default()
        }
    })
}

/// One sweep. Its steps run beside each other: one that fails never keeps the others from running.
pub async fn sweep(doors: &Doors) -> Swept {
    let now = UnixMillis::new(doors.clock.now_millis());
    // Nobody waits for a letter. A question beside the others would be one connection more, which a cold start opens.
    let sent = async {
        let unsent = outbox::send_unsent(doors, now).await;
        [unsent, letters::send_due(doors, now).await]
    };
    let (sent, advanced) = join(sent, runs::advance_all(doors, now)).await;
    sent.into_iter().chain([advanced]).sum()
}
