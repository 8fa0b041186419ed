//! Dates, numbers and names as a letter's language writes them.

use time::{Date, Month, OffsetDateTime, UtcOffset};

use crate::domain::Language;
use crate::domain::quota::Tier;
use crate::domain::time::UnixMillis;

const FRENCH_MONTHS: [&str; 12] = [
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

/// The day that `at` falls on in Paris: `1er mars 2027`, `1 March 2027`.
pub(super) fn day(at: UnixMillis, language: Language) -> String {
    let date = in_paris(at);
    let (day, year) = (date.day(), date.year());
    match language {
        Language::Fr => {
            let first = if day == 1 { "er" } else { "" };
            let month = FRENCH_MONTHS[usize::from(u8::from(date.month())) - 1];
            format!("{day}{first} {month} {year}")
        }
        Language::En => format!("{day} {} {year}", date.month()),
    }
}

/// A count with its thousands apart: `1 200 000` (narrow, unbreakable spaces), `1,200,000`.
pub(super) fn count(number: u64, language: Language) -> String {
    let digits = number.to_string();
    let between = match language {
        Language::Fr => '\u{202f}',
        Language::En => ',',
    };
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(between);
        }
        text.push(digit);
    }
    text
}

/// A tier's name.
pub(super) const fn tier(tier: Tier, language: Language) -> &'static str {
    match (tier, language) {
        (Tier::Free, Language::Fr) => "Démo",
        (Tier::Free, Language::En) => "Demo",
        (Tier::Essentiel, _) => "Essentiel",
        (Tier::Pro, _) => "Pro",
        (Tier::Max, _) => "Max",
    }
}

/// The date in Paris. Summer time lasts from the last Sunday of March to that of October, both at 01:00 UTC
/// (Directive 2000/84/EC).
fn in_paris(at: UnixMillis) -> Date {
    let utc = OffsetDateTime::from_unix_timestamp(at.get() / 1000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let turn =
        |month| last_sunday(utc.year(), month).map(|day| day.with_hms(1, 0, 0).map(|it| it.assume_utc()));
    let summer = match (turn(Month::March), turn(Month::October)) {
        (Some(Ok(from)), Some(Ok(until))) => from <= utc && utc < until,
        _ => false,
    };
    let offset = UtcOffset::from_hms(if summer { 2 } else { 1 }, 0, 0).unwrap_or(UtcOffset::UTC);
    utc.to_offset(offset).date()
}

/// The last Sunday of a month of 31 days.
fn last_sunday(year: i32, month: Month) -> Option<Date> {
    let last = Date::from_calendar_date(year, month, 31).ok()?;
    let back = time::Duration::days(i64::from(last.weekday().number_days_from_sunday()));
    last.checked_sub(back)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_that_of_paris_in_winter_and_in_summer() {
        let at = |text: &str| {
            let parsed = OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).unwrap();
            UnixMillis::new(parsed.unix_timestamp() * 1000)
        };
        for (moment, french, english) in [
            ("2027-02-28T22:59:59Z", "28 février 2027", "28 February 2027"),
            ("2027-02-28T23:00:00Z", "1er mars 2027", "1 March 2027"),
            ("2027-03-28T00:59:59Z", "28 mars 2027", "28 March 2027"),
            ("2027-06-30T22:00:00Z", "1er juillet 2027", "1 July 2027"),
            ("2027-10-30T22:30:00Z", "31 octobre 2027", "31 October 2027"),
            ("2027-10-31T22:30:00Z", "31 octobre 2027", "31 October 2027"),
        ] {
            assert_eq!(day(at(moment), Language::Fr), french, "{moment}");
            assert_eq!(day(at(moment), Language::En), english, "{moment}");
        }
    }

    #[test]
    fn thousands_stand_apart() {
        for (number, french, english) in [
            (0, "0", "0"),
            (999, "999", "999"),
            (60_000, "60\u{202f}000", "60,000"),
            (1_200_000, "1\u{202f}200\u{202f}000", "1,200,000"),
        ] {
            assert_eq!(count(number, Language::Fr), french);
            assert_eq!(count(number, Language::En), english);
        }
    }
}
