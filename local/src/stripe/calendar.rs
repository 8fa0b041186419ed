//! When billing periods begin and end, as Stripe counts them: always from the original anchor, the day clamped to
//! the month's last one (31 January → 28 February → 31 March). UTC, in Unix seconds.

use serde::{Deserialize, Serialize};

const SECONDS_A_DAY: i64 = 86_400;

/// How often a price is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interval {
    /// Every month.
    Month,
    /// Every year.
    Year,
}

impl Interval {
    /// As Stripe writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    const fn months(self) -> i64 {
        match self {
            Self::Month => 1,
            Self::Year => 12,
        }
    }
}

/// The boundary that lies `count` intervals after `anchor`.
#[must_use]
pub fn boundary(anchor: i64, interval: Interval, count: i64) -> i64 {
    let (year, month, day) = civil(anchor.div_euclid(SECONDS_A_DAY));
    let months = year * 12 + (month - 1) + count * interval.months();
    let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
    let day = day.min(days_in(year, month));
    days_from_civil(year, month, day) * SECONDS_A_DAY + anchor.rem_euclid(SECONDS_A_DAY)
}

/// The first boundary after `after`.
#[must_use]
pub fn next_after(anchor: i64, interval: Interval, after: i64) -> i64 {
    let (anchor_year, anchor_month, _) = civil(anchor.div_euclid(SECONDS_A_DAY));
    let (year, month, _) = civil(after.div_euclid(SECONDS_A_DAY));
    let months = (year - anchor_year) * 12 + month - anchor_month;
    let mut count = months.div_euclid(interval.months());
    while boundary(anchor, interval, count) <= after {
        count += 1;
    }
    boundary(anchor, interval, count)
}

/// `12 mars 2026`, for pages.
#[must_use]
pub fn french_date(at: i64) -> String {
    const MONTHS: [&str; 12] = [
        "janvier",
        "février",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "août",
        "septembre",
        "octobre",
        "novembre",
        "décembre",
    ];
    let (year, month, day) = civil(at.div_euclid(SECONDS_A_DAY));
    let name = usize::try_from(month - 1)
        .ok()
        .and_then(|index| MONTHS.get(index));
    format!("{day} {} {year}", name.copied().unwrap_or_default())
}

const fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 (Howard Hinnant, "chrono-compatible low-level date algorithms").
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The year, month and day of a day counted from 1970-01-01.
const fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400;
    (if month <= 2 { year + 1 } else { year }, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon(year: i64, month: i64, day: i64) -> i64 {
        days_from_civil(year, month, day) * SECONDS_A_DAY + SECONDS_A_DAY / 2
    }

    #[test]
    fn a_period_ends_on_the_anchor_s_day_or_the_month_s_last() {
        let check = |anchor, interval, ends: &[i64]| {
            let mut at = anchor;
            for &end in ends {
                assert_eq!(next_after(anchor, interval, at), end, "after {}", french_date(at));
                // One second before it, the boundary is still to come.
                assert_eq!(next_after(anchor, interval, end - 1), end);
                at = end;
            }
        };
        let january = noon(2026, 1, 31);
        let ends = [
            noon(2026, 2, 28),
            noon(2026, 3, 31),
            noon(2026, 4, 30),
            noon(2026, 5, 31),
        ];
        check(january, Interval::Month, &ends);
        check(
            noon(2028, 1, 30),
            Interval::Month,
            &[noon(2028, 2, 29), noon(2028, 3, 30)],
        );
        let leap = noon(2028, 2, 29);
        check(
            leap,
            Interval::Year,
            &[
                noon(2029, 2, 28),
                noon(2030, 2, 28),
                noon(2031, 2, 28),
                noon(2032, 2, 29),
            ],
        );
    }

    #[test]
    fn days_and_dates_agree() {
        for day in (-800_000..800_000).step_by(37) {
            let (year, month, of_month) = civil(day);
            assert_eq!(days_from_civil(year, month, of_month), day);
        }
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(french_date(1_700_000_000), "14 novembre 2023");
    }
}
