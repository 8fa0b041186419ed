//! What models cost: list prices as data (`prices.json`), with dates and sources.
//!
//! A call is priced with the row of its model and day; its tokens and its cost are kept, so that a price that
//! changes later changes no past cost. A model without a row is an error at start, never a default.

use serde::{Deserialize, Serialize};
use time::macros::format_description;
use time::{Date, OffsetDateTime};

use crate::domain::money::Rates;
use crate::domain::time::UnixMillis;

const BUILT_IN: &str = include_str!("prices.json");

/// One model's list price over some days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceRow {
    /// Who bills.
    pub provider: String,
    /// The model, as named in requests.
    pub model: String,
    /// The first day (UTC) of this price, or the first that the source vouches for.
    #[serde(with = "iso_day")]
    pub effective_from: Date,
    /// The first day on which it no longer holds; `None` while it holds.
    #[serde(with = "iso_day_or_null")]
    pub effective_to: Option<Date>,
    /// The price of a prompt below every tier.
    pub rates: Rates,
    /// Prices of longer prompts, in ascending order.
    pub tiers: Vec<Tier>,
    /// The shortest prefix that is cached; a shorter one is silently not. Unit: tokens.
    pub cache_prefix_tokens_min: u32,
    /// The largest bound on an answer that the model takes. Unit: tokens.
    pub output_tokens_max: u32,
    /// Where the figures were read, and when.
    pub source: String,
}

/// A price for the whole request (output included) once its prompt is long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// The tier applies to prompts of more tokens than this, cached or not.
    pub prompt_over_tokens: u64,
    /// Its price.
    pub rates: Rates,
}

impl PriceRow {
    /// The price of a call whose whole prompt (`Usage::prompt_tokens`) has this length.
    #[must_use]
    pub fn rates(&self, prompt_tokens: u64) -> Rates {
        let tier = self
            .tiers
            .iter()
            .rev()
            .find(|tier| prompt_tokens > tier.prompt_over_tokens);
        tier.map_or(self.rates, |tier| tier.rates)
    }

    fn is_of(&self, provider: &str, model: &str) -> bool {
        self.provider == provider && self.model == model
    }

    fn holds_on(&self, day: Date) -> bool {
        self.effective_from <= day && self.effective_to.is_none_or(|end| day < end)
    }
}

/// The price table, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prices(Vec<PriceRow>);

impl Prices {
    /// The table that ships with the program, with a model's rows replaced by those that `overrides` (a JSON
    /// list of rows) has for it.
    ///
    /// # Errors
    /// [`PriceError`] if either is not a sound table.
    pub fn load(overrides: Option<&str>) -> Result<Self, PriceError> {
        let mut rows = parse("prices.json", BUILT_IN)?;
        if let Some(overrides) = overrides {
            let new = parse("PRICES_OVERRIDE", overrides)?;
            rows.retain(|row| !new.iter().any(|other| other.is_of(&row.provider, &row.model)));
            rows.extend(new);
        }
        rows.sort_by(|a, b| {
            (&a.provider, &a.model, a.effective_from).cmp(&(&b.provider, &b.model, b.effective_from))
        });
        rows.iter().try_for_each(check_row)?;
        rows.windows(2)
            .try_for_each(|pair| check_neighbours(&pair[0], &pair[1]))?;
        Ok(Self(rows))
    }

    /// The row that prices a call of `model` made `at` that moment.
    ///
    /// # Errors
    /// [`PriceError::UnknownModel`] names the models that are known; [`PriceError::NotPriced`] if the model's
    /// rows do not cover the day.
    pub fn row(&self, provider: &str, model: &str, at: UnixMillis) -> Result<&PriceRow, PriceError> {
        let mut of_model = self.0.iter().filter(|row| row.is_of(provider, model)).peekable();
        if of_model.peek().is_none() {
            return Err(PriceError::UnknownModel {
                provider: provider.to_owned(),
                model: model.to_owned(),
                known: self.models().join(", "),
            });
        }
        let day = day_of(at);
        of_model
            .find(|row| row.holds_on(day))
            .ok_or_else(|| PriceError::NotPriced {
                model: model.to_owned(),
                day,
            })
    }

    /// Every model that has a price, as `provider/model`.
    #[must_use]
    pub fn models(&self) -> Vec<String> {
        let mut models: Vec<_> = self
            .0
            .iter()
            .map(|row| format!("{}/{}", row.provider, row.model))
            .collect();
        models.dedup();
        models
    }

    /// The rows, by provider, model and day.
    #[must_use]
    pub fn rows(&self) -> &[PriceRow] {
        &self.0
    }
}

/// Moments outside the calendar, which no clock of ours gives, count as the first day.
fn day_of(at: UnixMillis) -> Date {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.get()) * 1_000_000)
        .map_or(OffsetDateTime::UNIX_EPOCH.date(), OffsetDateTime::date)
}

fn parse(origin: &'static str, text: &str) -> Result<Vec<PriceRow>, PriceError> {
    serde_json::from_str(text).map_err(|error| PriceError::Unreadable {
        origin,
        error: error.to_string(),
    })
}

fn check_row(row: &PriceRow) -> Result<(), PriceError> {
    let rising = row
        .tiers
        .windows(2)
        .all(|pair| pair[0].prompt_over_tokens < pair[1].prompt_over_tokens);
    let what = if row.effective_to.is_some_and(|end| end <= row.effective_from) {
        "ends before it starts"
    } else if !rising {
        "has tiers that do not rise"
    } else if row.source.trim().is_empty() {
        "has no source"
    } else if row.provider.is_empty() || row.model.is_empty() {
        "has no provider or no model"
    } else {
        return Ok(());
    };
    Err(PriceError::unsound(row, what))
}

/// `row` and `next` are neighbours in the sorted table.
fn check_neighbours(row: &PriceRow, next: &PriceRow) -> Result<(), PriceError> {
    if !row.is_of(&next.provider, &next.model) {
        return Ok(());
    }
    match row.effective_to {
        Some(end) if end == next.effective_from => Ok(()),
        Some(end) if end < next.effective_from => {
            Err(PriceError::unsound(row, "leaves days without a price"))
        }
        _ => Err(PriceError::unsound(row, "overlaps the model's next row")),
    }
}

/// A table that cannot be used, or a model that it does not price.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// Not JSON, a missing or an unknown field, a date that is none.
    #[error("{origin} is not a list of price rows: {error}")]
    Unreadable {
        /// Which table.
        origin: &'static str,
        /// Where and why.
        error: String,
    },
    /// A row that contradicts itself or its neighbour.
    #[error("the price row of {model} from {from} {what}")]
    Unsound {
        /// The row's model.
        model: String,
        /// The row's first day.
        from: Date,
        /// What is wrong with it.
        what: &'static str,
    },
    /// No row has this model.
    #[error(
        "model `{model}` of provider `{provider}` has no price; known: {known}; add it with PRICES_OVERRIDE"
    )]
    UnknownModel {
        /// The provider asked for.
        provider: String,
        /// The model asked for.
        model: String,
        /// Every model that is known.
        known: String,
    },
    /// The model has rows, but none for the day.
    #[error("model `{model}` has no price on {day}; add it with PRICES_OVERRIDE")]
    NotPriced {
        /// The model.
        model: String,
        /// The day (UTC).
        day: Date,
    },
}

impl PriceError {
    fn unsound(row: &PriceRow, what: &'static str) -> Self {
        Self::Unsound {
            model: row.model.clone(),
            from: row.effective_from,
            what,
        }
    }
}

mod iso_day {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::{Date, format_description};

    pub(super) fn parse(text: &str) -> Result<Date, time::error::Parse> {
        Date::parse(text, format_description!("[year]-[month]-[day]"))
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(day: &Date, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(day)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        parse(&text).map_err(D::Error::custom)
    }
}

mod iso_day_or_null {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::{Date, iso_day};

    #[expect(clippy::ref_option, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(day: &Option<Date>, serializer: S) -> Result<S::Ok, S::Error> {
        match day {
            Some(day) => serializer.collect_str(day),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| iso_day::parse(&text))
            .transpose()
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
#[path = "prices_tests.rs"]
mod tests;
