//! Which letters a change of subscription is worth, what each says, and how long it is tried. Sending them is
//! somebody else's.

mod contact;
mod wording;
mod written;

pub use contact::Contact;
pub use written::{Setting, Written};

use serde::{Deserialize, Serialize};

use super::quota::Tier;
use super::subscription::{Payment, Pending, Subscription};
use super::time::UnixMillis;

/// A teacher hears this long before that a paid period ends without another like it. Unit: seconds.
const NOTICE_SECONDS: i64 = 7 * 24 * 3600;
/// A letter that could not be sent is tried again after this, and twice as long each time. Longer than a sweep can
/// last, so that whoever has taken a letter is alone with it. Unit: seconds.
const RETRY_SECONDS_FIRST: i64 = 300;
const RETRY_SECONDS_MAX: i64 = 3_600;
/// Older than this, a letter is news to nobody and is given up. Unit: seconds.
const KEPT_SECONDS: i64 = 7 * 24 * 3600;
/// A letter that is not sent by then is late. Unit: seconds.
const LATE_SECONDS: i64 = 3_600;

/// A letter to an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "letter", rename_all = "kebab-case")]
pub enum Letter {
    /// A payment did not go through; nothing is blocked yet.
    PaymentFailed {
        /// The subscription.
        subscription: String,
        /// Its period.
        term_start: UnixMillis,
        /// What is paid for.
        tier: Tier,
        /// The bank wants a confirmation, no other card.
        action_required: bool,
        /// Until when the tier is kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kept_until: Option<UnixMillis>,
        /// Stripe's page to pay.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        page: Option<String>,
    },
    /// The account has another tier.
    PlanChanged {
        /// The subscription that began, changed or ended.
        subscription: String,
        /// Its period.
        term_start: UnixMillis,
        /// The tier before.
        from: Tier,
        /// The tier now.
        to: Tier,
    },
    /// The paid period ends soon, and another tier follows.
    PeriodEnding {
        /// The subscription.
        subscription: String,
        /// The tier until then.
        tier: Tier,
        /// The tier after.
        next: Tier,
        /// When.
        at: UnixMillis,
    },
}

impl Letter {
    /// The letter's name among the account's: it is written once.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::PaymentFailed {
                subscription,
                term_start,
                ..
            } => format!("payment-failed#{subscription}#{}", term_start.get()),
            Self::PlanChanged {
                subscription,
                term_start,
                from,
                to,
            } => {
                let (from, to) = (from.name(), to.name());
                format!("plan-changed#{subscription}#{}#{from}-{to}", term_start.get())
            }
            Self::PeriodEnding { subscription, at, .. } => {
                format!("period-ending#{subscription}#{}", at.get())
            }
        }
    }

    /// Whether the letter still says what is true of an account that has `stored` now. One that is sent late
    /// must not ask for a payment that was made, or tell of a tier that has changed again.
    #[must_use]
    pub fn holds(&self, stored: Option<&Subscription>, now: UnixMillis) -> bool {
        match self {
            Self::PaymentFailed {
                subscription,
                term_start,
                ..
            } => stored.is_some_and(|it| {
                let owed = matches!(it.payment, Payment::PastDue | Payment::ActionRequired);
                owed && it.id == *subscription && it.term_start == *term_start
            }),
            Self::PlanChanged { to, .. } => tier_of(stored) == *to,
            Self::PeriodEnding { .. } => stored.and_then(|it| period_ending(it, now)).as_ref() == Some(self),
        }
    }
}

/// When a letter that was taken `tries` times before is looked at again, if it is not sent now.
#[must_use]
pub fn next_try(now: UnixMillis, tries: u32) -> UnixMillis {
    let doubled = RETRY_SECONDS_FIRST.saturating_mul(1 << tries.min(10));
    now.plus_seconds(doubled.min(RETRY_SECONDS_MAX))
}

/// Whether a letter that is due since `at` is too old to be sent.
#[must_use]
pub fn is_too_old(at: UnixMillis, now: UnixMillis) -> bool {
    now > at.plus_seconds(KEPT_SECONDS)
}

/// Whether somebody should look at why a letter that is due since `at` is not sent.
#[must_use]
pub fn is_late(at: UnixMillis, now: UnixMillis) -> bool {
    now > at.plus_seconds(LATE_SECONDS)
}

fn tier_of(stored: Option<&Subscription>) -> Tier {
    stored.map_or(Tier::Free, |it| it.tier)
}

/// The letters due when what is stored goes from `before` to `after`. Some depend on `now` alone and come out
/// again and again: whoever writes them writes each [`Letter::key`] once.
#[must_use]
pub fn letters(before: Option<&Subscription>, after: Option<&Subscription>, now: UnixMillis) -> Vec<Letter> {
    let mut due = Vec::new();
    let (from, to) = (tier_of(before), tier_of(after));
    if let Some(subscription) = after.or(before)
        && from != to
    {
        due.push(Letter::PlanChanged {
            subscription: subscription.id.clone(),
            term_start: subscription.term_start,
            from,
            to,
        });
    }
    due.extend(after.and_then(payment_failed));
    due.extend(after.and_then(|it| period_ending(it, now)));
    due
}

fn payment_failed(after: &Subscription) -> Option<Letter> {
    let action_required = match after.payment {
        Payment::PastDue => false,
        Payment::ActionRequired => true,
        Payment::Paid | Payment::Awaiting => return None,
    };
    Some(Letter::PaymentFailed {
        subscription: after.id.clone(),
        term_start: after.term_start,
        tier: after.tier,
        action_required,
        kept_until: after.kept_until,
        page: after.pay_page.clone(),
    })
}

fn period_ending(after: &Subscription, now: UnixMillis) -> Option<Letter> {
    let (at, next) = match after.pending.as_ref()? {
        Pending::Cancel { at } => (*at, Tier::Free),
        Pending::Tier { tier, at } => (*at, *tier),
        Pending::Upgrade => return None,
    };
    let soon = now < at && now >= at.plus_seconds(-NOTICE_SECONDS);
    soon.then(|| Letter::PeriodEnding {
        subscription: after.id.clone(),
        tier: after.tier,
        next,
        at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::catalogue::Interval;

    const START: UnixMillis = UnixMillis::new(1_790_000_000_000);
    const END: UnixMillis = UnixMillis::new(1_792_592_000_000);

    fn subscription(tier: Tier) -> Subscription {
        Subscription {
            id: "sub_1".to_owned(),
            tier,
            interval: Interval::Month,
            term_start: START,
            term_end: END,
            started_at: START,
            renews: true,
            paid: true,
            payment: Payment::Paid,
            kept_until: None,
            pay_page: None,
            frozen: false,
            pending: None,
        }
    }

    fn keys(before: Option<&Subscription>, after: Option<&Subscription>, now: UnixMillis) -> Vec<String> {
        let due = letters(before, after, now);
        due.iter()
            .map(|letter| letter.key().replace("#sub_1#", " "))
            .collect()
    }

    #[test]
    fn a_letter_is_due_for_each_change_that_a_teacher_should_hear_of() {
        let (essentiel, pro) = (subscription(Tier::Essentiel), subscription(Tier::Pro));
        let late = Subscription {
            payment: Payment::PastDue,
            paid: false,
            ..pro.clone()
        };
        let cancelled = Subscription {
            pending: Some(Pending::Cancel { at: END }),
            ..pro.clone()
        };
        let none: [&str; 0] = [];
        assert_eq!(keys(Some(&pro), Some(&pro), START), none);
        assert_eq!(keys(None, None, START), none);
        assert_eq!(
            keys(None, Some(&pro), START),
            ["plan-changed 1790000000000#free-pro"]
        );
        assert_eq!(
            keys(Some(&essentiel), Some(&pro), START),
            ["plan-changed 1790000000000#essentiel-pro"]
        );
        assert_eq!(
            keys(Some(&pro), None, START),
            ["plan-changed 1790000000000#pro-free"]
        );
        assert_eq!(
            keys(Some(&pro), Some(&late), START),
            ["payment-failed 1790000000000"]
        );
        assert_eq!(keys(Some(&pro), Some(&cancelled), START), none);
        let soon = END.plus_seconds(-NOTICE_SECONDS);
        assert_eq!(
            keys(Some(&cancelled), Some(&cancelled), soon),
            ["period-ending 1792592000000"]
        );
        assert_eq!(keys(Some(&cancelled), Some(&cancelled), END), none);
    }

    #[test]
    fn a_letter_holds_until_what_it_says_is_over() {
        let pro = subscription(Tier::Pro);
        let late = Subscription {
            payment: Payment::PastDue,
            ..pro.clone()
        };
        let next_term = Subscription {
            term_start: END,
            ..late.clone()
        };
        let leaving = Subscription {
            pending: Some(Pending::Cancel { at: END }),
            ..pro.clone()
        };
        let of = |stored: &Subscription, now| letters(Some(&pro), Some(stored), now).remove(0);
        let failed = of(&late, START);
        assert!(failed.holds(Some(&late), START));
        for paid in [None, Some(&pro), Some(&next_term)] {
            assert!(!failed.holds(paid, START), "{paid:?}");
        }
        let soon = END.plus_seconds(-60);
        let ending = of(&leaving, soon);
        assert!(ending.holds(Some(&leaving), soon));
        assert!(!ending.holds(Some(&leaving), END), "it is over");
        assert!(!ending.holds(Some(&pro), soon), "taken back");
        let changed = letters(None, Some(&pro), START).remove(0);
        assert!(changed.holds(Some(&late), START));
        assert!(!changed.holds(None, START));
    }

    #[test]
    fn a_letter_is_tried_within_the_hour_again_and_for_a_week() {
        let waits: Vec<i64> = (0..6)
            .map(|tries| (next_try(START, tries).get() - START.get()) / 60_000)
            .collect();
        assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
        assert_eq!(next_try(START, u32::MAX), next_try(START, 4));
        let week = START.plus_seconds(KEPT_SECONDS);
        assert!(!is_too_old(START, week) && is_too_old(START, week.plus_seconds(1)));
        assert!(!is_late(START, START.plus_seconds(LATE_SECONDS)) && is_late(START, week));
    }

    #[test]
    fn a_letter_is_stored_and_read_again() {
        let late = Subscription {
            payment: Payment::ActionRequired,
            pending: Some(Pending::Tier {
                tier: Tier::Essentiel,
                at: END,
            }),
            ..subscription(Tier::Pro)
        };
        let due = letters(None, Some(&late), END.plus_seconds(-1));
        assert_eq!(due.len(), 3);
        for letter in due {
            let text = serde_json::to_string(&letter).unwrap();
            assert_eq!(serde_json::from_str::<Letter>(&text).unwrap(), letter);
        }
    }
}
