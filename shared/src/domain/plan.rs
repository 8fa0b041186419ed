//! What an account may use now, and until when.

use serde::{Deserialize, Serialize};
use time::{Date, Month, OffsetDateTime};

use super::catalogue::{Catalogue, Interval};
use super::quota::{Period, Tier};
use super::subscription::Subscription;
use super::time::UnixMillis;

/// A renewal that nobody has told us about yet goes on with the old period's tokens for this long: Stripe's
/// message takes seconds, and whoever meets such a plan asks for a sync. Unit: seconds.
pub const RENEWAL_GRACE_SECONDS: i64 = 3_600;

/// Before its invoice is paid, a period grants one token in this many: Stripe finalises a renewal's invoice
/// about an hour after the period began, and nobody who pays should stand still for that hour.
pub const UNPAID_SLICE: u64 = 20;

/// How much of the tier a period grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grant {
    /// All of it: Free's one grant, or a period whose invoice is paid.
    Full,
    /// One token in [`UNPAID_SLICE`], until the period's invoice is paid.
    Slice,
}

/// Why nothing may be started, whatever the counter holds. Review and export are never held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hold {
    /// A payment is disputed, or was given back.
    Frozen,
    /// The period is over, and Stripe has not said that another began.
    RenewalUnknown,
}

/// What an account may use at one moment. An account without subscription is Free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The tier.
    pub tier: Tier,
    /// The counter's period.
    pub period: Period,
    /// When the period began; `None` for Free.
    pub period_start: Option<UnixMillis>,
    /// When it ends; `None` for Free, which never renews.
    pub period_end: Option<UnixMillis>,
    /// How much of the tier it grants.
    pub grant: Grant,
    /// Whether something keeps runs from being started.
    pub hold: Option<Hold>,
    /// The period should have been renewed by now: whoever sees this asks for a sync.
    pub overdue: bool,
}

impl Plan {
    /// A new account's plan.
    #[must_use]
    pub fn free() -> Self {
        Self {
            tier: Tier::Free,
            period: Period::free(),
            period_start: None,
            period_end: None,
            grant: Grant::Full,
            hold: None,
            overdue: false,
        }
    }

    /// Tokens that the period grants.
    #[must_use]
    pub const fn granted_tokens(&self, catalogue: &Catalogue) -> u64 {
        let full = catalogue.granted_tokens(self.tier);
        match self.grant {
            Grant::Full => full,
            Grant::Slice => full / UNPAID_SLICE,
        }
    }
}

impl Subscription {
    /// What the account may use at `now`, by what Stripe last said. Time alone can end a plan (a cancellation
    /// that was announced, a grace that is over) and open an annual subscription's next month; only Stripe can
    /// renew one.
    #[must_use]
    pub fn plan(&self, now: UnixMillis) -> Plan {
        let over = now >= self.term_end;
        let ended = over && !self.renews;
        let out_of_grace = self.kept_until.is_some_and(|until| now >= until);
        let hold = self.frozen.then_some(Hold::Frozen);
        let period = (!ended && !out_of_grace).then(|| self.window(now)).flatten();
        let Some((start, end, period)) = period else {
            return Plan { hold, ..Plan::free() };
        };
        let unknown = now >= self.term_end.plus_seconds(RENEWAL_GRACE_SECONDS);
        Plan {
            tier: self.tier,
            period,
            period_start: Some(start),
            period_end: Some(end),
            grant: if self.paid { Grant::Full } else { Grant::Slice },
            hold: hold.or(unknown.then_some(Hold::RenewalUnknown)),
            overdue: over,
        }
    }

    /// The month of tokens that holds `now`, and the name of its counter. What is paid by the year is still
    /// granted by the month, counted from the first day. After the term, its last month.
    fn window(&self, now: UnixMillis) -> Option<(UnixMillis, UnixMillis, Period)> {
        let (start, end) = match self.interval {
            Interval::Month => (self.term_start, self.term_end),
            Interval::Year => {
                let last = UnixMillis::new(self.term_end.get() - 1);
                month_of(self.term_start, now.clamp(self.term_start, last), self.term_end)?
            }
        };
        let period = Period::parse(&format!("{}@{}", self.id, start.get() / 1000))?;
        Some((start, end, period))
    }
}

/// The month, counted from `anchor`, that holds `now`; the last one ends at `term_end`.
fn month_of(anchor: UnixMillis, now: UnixMillis, term_end: UnixMillis) -> Option<(UnixMillis, UnixMillis)> {
    const MONTHS_MAX: u32 = 12;
    let mut start = anchor;
    for month in 1..=MONTHS_MAX {
        let end = months_after(anchor, month)?.min(term_end);
        if now < end || end == term_end {
            return Some((start, end));
        }
        start = end;
    }
    Some((start, term_end))
}

/// `anchor` moved by whole months, always from the anchor itself: 31 January, 28 February, 31 March.
#[must_use]
pub fn months_after(anchor: UnixMillis, months: u32) -> Option<UnixMillis> {
    let (seconds, millis) = (anchor.get().div_euclid(1000), anchor.get().rem_euclid(1000));
    let from = OffsetDateTime::from_unix_timestamp(seconds).ok()?;
    let zero_based = u32::from(u8::from(from.month())) - 1 + months;
    let year = from.year() + i32::try_from(zero_based / 12).ok()?;
    let month = Month::try_from(u8::try_from(zero_based % 12 + 1).ok()?).ok()?;
    let day = from.day().min(month.length(year));
    let date = Date::from_calendar_date(year, month, day).ok()?;
    let moved = from.replace_date(date).unix_timestamp();
    Some(UnixMillis::new(moved * 1000 + millis))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::subscription::Payment;

    fn at(text: &str) -> UnixMillis {
        let moment = OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).unwrap();
        UnixMillis::new(moment.unix_timestamp() * 1000)
    }

    fn subscription() -> Subscription {
        Subscription {
            id: "sub_1".to_owned(),
            tier: Tier::Essentiel,
            interval: Interval::Month,
            term_start: at("2026-01-31T09:30:00Z"),
            term_end: at("2026-02-28T09:30:00Z"),
            started_at: at("2026-01-31T09:30:00Z"),
            renews: true,
            paid: true,
            payment: Payment::Paid,
            kept_until: None,
            pay_page: None,
            frozen: false,
            pending: None,
        }
    }

    #[test]
    fn months_are_counted_from_the_anchor_and_clamped_to_their_last_day() {
        for (anchor, months, expected) in [
            ("2026-01-31T09:30:00Z", 1, "2026-02-28T09:30:00Z"),
            ("2026-01-31T09:30:00Z", 2, "2026-03-31T09:30:00Z"),
            ("2028-01-31T00:00:00Z", 1, "2028-02-29T00:00:00Z"),
            ("2026-11-30T23:59:59Z", 3, "2027-02-28T23:59:59Z"),
            ("2028-02-29T12:00:00Z", 12, "2029-02-28T12:00:00Z"),
        ] {
            assert_eq!(
                months_after(at(anchor), months),
                Some(at(expected)),
                "{anchor} + {months}"
            );
        }
    }

    #[test]
    fn a_plan_says_what_may_be_used_at_each_moment() {
        let paid = subscription();
        let cancelled = Subscription {
            renews: false,
            ..subscription()
        };
        let unpaid = Subscription {
            paid: false,
            payment: Payment::Awaiting,
            ..subscription()
        };
        let late = Subscription {
            paid: false,
            payment: Payment::PastDue,
            kept_until: Some(at("2026-02-14T00:00:00Z")),
            ..subscription()
        };
        let frozen = Subscription {
            frozen: true,
            ..subscription()
        };
        let (inside, after, long_after) = (
            "2026-02-10T00:00:00Z",
            "2026-02-28T09:30:00Z",
            "2026-02-28T10:30:00Z",
        );
        let cases = [
            (&paid, inside, Tier::Essentiel, 1_200_000, None, false),
            (&paid, after, Tier::Essentiel, 1_200_000, None, true),
            (
                &paid,
                long_after,
                Tier::Essentiel,
                1_200_000,
                Some(Hold::RenewalUnknown),
                true,
            ),
            (&cancelled, inside, Tier::Essentiel, 1_200_000, None, false),
            (&cancelled, after, Tier::Free, 100_000, None, false),
            (&unpaid, inside, Tier::Essentiel, 60_000, None, false),
            (&late, inside, Tier::Essentiel, 60_000, None, false),
            (&late, "2026-02-14T00:00:00Z", Tier::Free, 100_000, None, false),
            (
                &frozen,
                inside,
                Tier::Essentiel,
                1_200_000,
                Some(Hold::Frozen),
                false,
            ),
        ];
        for (subscription, now, tier, tokens, hold, overdue) in cases {
            let plan = subscription.plan(at(now));
            assert_eq!(plan.tier, tier, "{now}");
            assert_eq!(plan.granted_tokens(&Catalogue::default()), tokens, "{now}");
            assert_eq!((plan.hold, plan.overdue), (hold, overdue), "{now}");
        }
    }

    #[test]
    fn a_year_is_granted_by_the_month_from_its_first_day() {
        let annual = Subscription {
            interval: Interval::Year,
            term_end: at("2027-01-31T09:30:00Z"),
            ..subscription()
        };
        let window = |now: &str| {
            let plan = annual.plan(at(now));
            (
                plan.period_start,
                plan.period_end,
                plan.period.as_str().to_owned(),
            )
        };
        for (now, start, end) in [
            (
                "2026-01-31T09:30:00Z",
                "2026-01-31T09:30:00Z",
                "2026-02-28T09:30:00Z",
            ),
            (
                "2026-02-28T09:30:00Z",
                "2026-02-28T09:30:00Z",
                "2026-03-31T09:30:00Z",
            ),
            (
                "2027-01-31T09:29:59Z",
                "2026-12-31T09:30:00Z",
                "2027-01-31T09:30:00Z",
            ),
            (
                "2027-01-31T10:00:00Z",
                "2026-12-31T09:30:00Z",
                "2027-01-31T09:30:00Z",
            ),
        ] {
            let name = format!("sub_1@{}", at(start).get() / 1000);
            assert_eq!(window(now), (Some(at(start)), Some(at(end)), name), "{now}");
        }
    }
}
