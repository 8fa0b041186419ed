//! What model calls cost, in whole micro-dollars, by phase and model.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Phase;
use crate::domain::money::{Cost, Rates, Usage};

/// Rates are per million tokens.
const TOKENS_PER_RATE: u128 = 1_000_000;
const MICRO_USD_PER_USD: u64 = 1_000_000;

/// The cost of a call at a model's rates. Each field is rounded once, halves up; the total is the sum of the
/// rounded fields, so that what a teacher adds up is what is shown.
#[must_use]
pub fn cost(usage: &Usage, rates: &Rates) -> Cost {
    let prompt = [
        (usage.input_tokens, rates.input),
        (usage.cache_write_5m_tokens, rates.cache_write_5m),
        (usage.cache_write_1h_tokens, rates.cache_write_1h),
    ];
    let prompt_cost_micro_usd = priced(&prompt);
    let completion_cost_micro_usd = priced(&[(usage.output_tokens, rates.output)]);
    let cached_cost_micro_usd = priced(&[(usage.cache_read_tokens, rates.cache_read)]);
    let saved_rate = rates.input.saturating_sub(rates.cache_read);
    Cost {
        prompt_cost_micro_usd,
        completion_cost_micro_usd,
        cached_cost_micro_usd,
        total_cost_micro_usd: prompt_cost_micro_usd
            .saturating_add(completion_cost_micro_usd)
            .saturating_add(cached_cost_micro_usd),
        cached_savings_micro_usd: priced(&[(usage.cache_read_tokens, saved_rate)]),
    }
}

fn priced(tokens_at_rates: &[(u64, u64)]) -> u64 {
    let exact = tokens_at_rates
        .iter()
        .map(|(tokens, rate)| u128::from(*tokens) * u128::from(*rate))
        .fold(0, u128::saturating_add);
    u64::try_from(exact.saturating_add(TOKENS_PER_RATE / 2) / TOKENS_PER_RATE).unwrap_or(u64::MAX)
}

/// One phase with one model: its calls added up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostLine {
    /// Which step.
    pub phase: Phase,
    /// The provider's name of the model.
    pub model: String,
    /// What the calls used.
    pub usage: Usage,
    /// What they cost.
    pub cost: Cost,
}

/// The cost of a copy or of a run, one line a phase and model, in that order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<CostLine>", into = "Vec<CostLine>")]
pub struct CostBreakdown {
    lines: BTreeMap<(Phase, String), (Usage, Cost)>,
}

impl CostBreakdown {
    /// Adds a call at its model's rates.
    pub fn add(&mut self, phase: Phase, model: &str, usage: Usage, rates: &Rates) {
        self.add_line(CostLine {
            phase,
            model: model.to_owned(),
            usage,
            cost: cost(&usage, rates),
        });
    }

    /// Adds another breakdown's lines, as a run does with its copies'.
    pub fn merge(&mut self, other: &Self) {
        for line in other.lines() {
            self.add_line(line);
        }
    }

    fn add_line(&mut self, line: CostLine) {
        let (usage, cost) = self.lines.entry((line.phase, line.model)).or_default();
        *usage = *usage + line.usage;
        *cost = sum(*cost, line.cost);
    }

    /// Its lines, by phase, then model.
    pub fn lines(&self) -> impl Iterator<Item = CostLine> {
        self.lines.iter().map(|((phase, model), (usage, cost))| CostLine {
            phase: *phase,
            model: model.clone(),
            usage: *usage,
            cost: *cost,
        })
    }

    /// The tokens of all lines.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.lines.values().map(|(usage, _)| *usage).sum()
    }

    /// The cost of all lines.
    #[must_use]
    pub fn total(&self) -> Cost {
        self.lines
            .values()
            .fold(Cost::default(), |total, (_, cost)| sum(total, *cost))
    }
}

impl From<Vec<CostLine>> for CostBreakdown {
    fn from(lines: Vec<CostLine>) -> Self {
        let mut breakdown = Self::default();
        for line in lines {
            breakdown.add_line(line);
        }
        breakdown
    }
}

impl From<CostBreakdown> for Vec<CostLine> {
    fn from(breakdown: CostBreakdown) -> Self {
        breakdown.lines().collect()
    }
}

/// Two costs, field by field; the total stays the sum of its three parts.
#[must_use]
pub fn sum(a: Cost, b: Cost) -> Cost {
    Cost {
        prompt_cost_micro_usd: a.prompt_cost_micro_usd.saturating_add(b.prompt_cost_micro_usd),
        completion_cost_micro_usd: a
            .completion_cost_micro_usd
            .saturating_add(b.completion_cost_micro_usd),
        cached_cost_micro_usd: a.cached_cost_micro_usd.saturating_add(b.cached_cost_micro_usd),
        total_cost_micro_usd: a.total_cost_micro_usd.saturating_add(b.total_cost_micro_usd),
        cached_savings_micro_usd: a
            .cached_savings_micro_usd
            .saturating_add(b.cached_savings_micro_usd),
    }
}

/// A cost as teachers and programs read it: decimal strings of dollars, six decimals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct CostUsd {
    /// Uncached input and cache writes.
    pub prompt_cost_usd: String,
    /// Output.
    pub completion_cost_usd: String,
    /// Cache reads.
    pub cached_cost_usd: String,
    /// The sum of the three.
    pub total_cost_usd: String,
    /// What the cache saved.
    pub cached_savings_usd: String,
}

impl From<Cost> for CostUsd {
    fn from(cost: Cost) -> Self {
        Self {
            prompt_cost_usd: usd(cost.prompt_cost_micro_usd),
            completion_cost_usd: usd(cost.completion_cost_micro_usd),
            cached_cost_usd: usd(cost.cached_cost_micro_usd),
            total_cost_usd: usd(cost.total_cost_micro_usd),
            cached_savings_usd: usd(cost.cached_savings_micro_usd),
        }
    }
}

/// Micro-dollars as dollars: `1234` is `0.001234`.
#[must_use]
pub fn usd(micro_usd: u64) -> String {
    format!(
        "{}.{:06}",
        micro_usd / MICRO_USD_PER_USD,
        micro_usd % MICRO_USD_PER_USD
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::{Decimal, RoundingStrategy};
    use serde_json::json;

    use super::*;

    /// Claude Sonnet 5.5: 2 in, 10 out, 0.10 read, 2.50 and 4 written, in dollars per million tokens.
    const SONNET: Rates = Rates {
        input: 2_000_000,
        cache_write_5m: 2_500_000,
        cache_write_1h: 4_000_000,
        cache_read: 100_000,
        output: 10_000_000,
    };

    fn usage(input: u64, write_5m: u64, write_1h: u64, read: u64, output: u64) -> Usage {
        Usage {
            input_tokens: input,
            cache_write_5m_tokens: write_5m,
            cache_write_1h_tokens: write_1h,
            cache_read_tokens: read,
            output_tokens: output,
        }
    }

    #[test]
    fn a_call_is_priced_field_by_field() {
        let cost = cost(&usage(900, 0, 1_000, 20_000, 700), &SONNET);
        insta::assert_json_snapshot!(CostUsd::from(cost), @r#"
        {
          "prompt_cost_usd": "0.005800",
          "completion_cost_usd": "0.007000",
          "cached_cost_usd": "0.002000",
          "total_cost_usd": "0.014800",
          "cached_savings_usd": "0.038000"
        }
        "#);
    }

    #[test]
    fn half_a_micro_dollar_is_rounded_up_once_a_field() {
        let penny = Rates {
            input: 250_000,
            cache_write_5m: 250_000,
            ..SONNET
        };
        assert_eq!(cost(&usage(1, 0, 0, 0, 0), &penny).prompt_cost_micro_usd, 0);
        assert_eq!(cost(&usage(1, 1, 0, 0, 0), &penny).prompt_cost_micro_usd, 1);
    }

    #[test]
    fn a_breakdown_keeps_phases_and_models_apart() {
        let mut breakdown = CostBreakdown::default();
        breakdown.add(Phase::Grading, "b", usage(10, 0, 0, 0, 10), &SONNET);
        breakdown.add(Phase::Detection, "b", usage(10, 0, 0, 0, 0), &SONNET);
        breakdown.add(Phase::Grading, "a", usage(10, 0, 0, 0, 0), &SONNET);
        breakdown.add(Phase::Grading, "b", usage(5, 0, 0, 0, 0), &SONNET);
        let lines: Vec<_> = breakdown
            .lines()
            .map(|line| {
                (
                    line.phase,
                    line.model,
                    line.usage.charged_tokens(),
                    line.cost.total_cost_micro_usd,
                )
            })
            .collect();
        let line = |phase, model: &str, tokens, cost| (phase, model.to_owned(), tokens, cost);
        assert_eq!(
            lines,
            [
                line(Phase::Detection, "b", 10, 20),
                line(Phase::Grading, "a", 10, 20),
                line(Phase::Grading, "b", 25, 130)
            ]
        );
        let stored = serde_json::to_value(&breakdown).unwrap();
        assert_eq!(stored[0]["phase"], json!("detection"));
        assert_eq!(
            serde_json::from_value::<CostBreakdown>(stored).unwrap(),
            breakdown
        );
    }

    #[test]
    fn dollars_have_six_decimals() {
        for (micro_usd, written) in [(0, "0.000000"), (1_234, "0.001234"), (12_000_001, "12.000001")] {
            assert_eq!(usd(micro_usd), written);
        }
    }

    fn any_usage() -> impl Strategy<Value = Usage> {
        let tokens = || 0u64..10_000_000;
        (tokens(), tokens(), tokens(), tokens(), tokens()).prop_map(|(a, b, c, d, e)| usage(a, b, c, d, e))
    }

    fn any_rates() -> impl Strategy<Value = Rates> {
        let rate = || 0u64..100_000_000;
        (rate(), rate(), rate(), rate(), rate()).prop_map(|(a, b, c, d, e)| Rates {
            input: a,
            cache_write_5m: b,
            cache_write_1h: c,
            cache_read: d,
            output: e,
        })
    }

    proptest! {
        #[test]
        fn each_field_is_the_exact_amount_rounded_once(usage in any_usage(), rates in any_rates()) {
            let exact = |pairs: &[(u64, u64)]| -> u64 {
                let sum: Decimal = pairs.iter().map(|(n, rate)| Decimal::from(*n) * Decimal::from(*rate)).sum();
                let rounded = (sum / Decimal::from(1_000_000))
                    .round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero);
                rounded.try_into().unwrap()
            };
            let cost = cost(&usage, &rates);
            prop_assert_eq!(cost.prompt_cost_micro_usd, exact(&[
                (usage.input_tokens, rates.input),
                (usage.cache_write_5m_tokens, rates.cache_write_5m),
                (usage.cache_write_1h_tokens, rates.cache_write_1h),
            ]));
            prop_assert_eq!(cost.completion_cost_micro_usd, exact(&[(usage.output_tokens, rates.output)]));
            prop_assert_eq!(cost.cached_cost_micro_usd, exact(&[(usage.cache_read_tokens, rates.cache_read)]));
        }

        #[test]
        fn totals_are_the_sum_of_their_parts_however_calls_are_grouped(
            calls in prop::collection::vec((any_usage(), any_rates(), 0..3u8), 0..12), cut in 0usize..12,
        ) {
            let add = |calls: &[(Usage, Rates, u8)]| {
                let mut breakdown = CostBreakdown::default();
                for (usage, rates, model) in calls {
                    breakdown.add(Phase::Grading, &format!("m{model}"), *usage, rates);
                }
                breakdown
            };
            let (first, second) = calls.split_at(cut.min(calls.len()));
            let mut merged = add(first);
            merged.merge(&add(second));
            let whole = add(&calls);
            prop_assert_eq!(&merged, &whole);

            let total = whole.total();
            let parts = total.prompt_cost_micro_usd + total.completion_cost_micro_usd + total.cached_cost_micro_usd;
            prop_assert_eq!(total.total_cost_micro_usd, parts);
            prop_assert_eq!(whole.usage(), calls.iter().map(|(usage, ..)| *usage).sum::<Usage>());
        }

        #[test]
        fn no_usage_overflows(tokens in any::<u64>(), rate in any::<u64>()) {
            let rates = Rates { input: rate, cache_write_5m: rate, cache_write_1h: rate, cache_read: 0, output: rate };
            let _ = cost(&usage(tokens, tokens, tokens, tokens, tokens), &rates);
        }
    }
}
