//! Which letters a change of subscription is worth. Sending them is somebody else's: here is only what is due.

use serde::{Deserialize, Serialize};

use super::quota::Tier;
use super::subscription::{Payment, Pending, Subscription};
use super::time::UnixMillis;

/// A teacher hears this long before that a paid period ends without another like it. Unit: seconds.
const NOTICE_SECONDS: i64 = 7 * 24 * 3600;

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
}

/// The letters due when what is stored goes from `before` to `after`. Some depend on `now` alone and come out
/// again and again: whoever writes them writes each [`Letter::key`] once.
#[must_use]
pub fn letters(before: Option<&Subscription>, after: Option<&Subscription>, now: UnixMillis) -> Vec<Letter> {
    let mut due = Vec::new();
    let tier = |it: Option<&Subscription>| it.map_or(Tier::Free, |it| it.tier);
    let (from, to) = (tier(before), tier(after));
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
