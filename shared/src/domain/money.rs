//! Tokens as providers bill them, tokens as teachers are charged for them, and micro-dollars.

use serde::{Deserialize, Serialize};

/// Zeros are not stored: a graded copy is to stay under a kilobyte, the unit that its writes are paid by.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(super) const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What one model call used, as five disjoint counts (providers that report overlapping counters are
/// normalised in `llm`). Unit: tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Usage {
    /// Input neither read from nor written to a cache.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub input_tokens: u64,
    /// Input written to a cache kept five minutes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_write_5m_tokens: u64,
    /// Input written to a cache kept one hour.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_write_1h_tokens: u64,
    /// Input read from a cache.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_read_tokens: u64,
    /// Output, reasoning included.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub output_tokens: u64,
}

impl Usage {
    /// What the teacher's quota is charged: everything but cache reads, which cost the teacher nothing.
    #[must_use]
    pub fn charged_tokens(&self) -> u64 {
        self.input_tokens
            .saturating_add(self.cache_write_5m_tokens)
            .saturating_add(self.cache_write_1h_tokens)
            .saturating_add(self.output_tokens)
    }

    /// The whole input that the model saw, cached or not.
    #[must_use]
    pub fn prompt_tokens(&self) -> u64 {
        self.input_tokens
            .saturating_add(self.cache_write_5m_tokens)
            .saturating_add(self.cache_write_1h_tokens)
            .saturating_add(self.cache_read_tokens)
    }
}

impl std::ops::Add for Usage {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            cache_write_5m_tokens: self
                .cache_write_5m_tokens
                .saturating_add(other.cache_write_5m_tokens),
            cache_write_1h_tokens: self
                .cache_write_1h_tokens
                .saturating_add(other.cache_write_1h_tokens),
            cache_read_tokens: self.cache_read_tokens.saturating_add(other.cache_read_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
        }
    }
}

impl std::iter::Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::default(), std::ops::Add::add)
    }
}

/// A model's list price. Unit: micro-dollars per million tokens (2 USD per million is 2,000,000), so that
/// every published price is an integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    /// Input not cached.
    pub input: u64,
    /// Writing to the five-minute cache.
    pub cache_write_5m: u64,
    /// Writing to the one-hour cache.
    pub cache_write_1h: u64,
    /// Reading from the cache.
    pub cache_read: u64,
    /// Output, reasoning included.
    pub output: u64,
}

/// One amount of micro-dollars, split the way teachers see it. `total = prompt + completion + cached`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Uncached input and cache writes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub prompt_cost_micro_usd: u64,
    /// Output.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub completion_cost_micro_usd: u64,
    /// Cache reads, at the cache's price.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cached_cost_micro_usd: u64,
    /// The sum of the three.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub total_cost_micro_usd: u64,
    /// What the cache reads would have cost more as plain input.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cached_savings_micro_usd: u64,
}

impl std::ops::Add for Cost {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            prompt_cost_micro_usd: self
                .prompt_cost_micro_usd
                .saturating_add(other.prompt_cost_micro_usd),
            completion_cost_micro_usd: self
                .completion_cost_micro_usd
                .saturating_add(other.completion_cost_micro_usd),
            cached_cost_micro_usd: self
                .cached_cost_micro_usd
                .saturating_add(other.cached_cost_micro_usd),
            total_cost_micro_usd: self
                .total_cost_micro_usd
                .saturating_add(other.total_cost_micro_usd),
            cached_savings_micro_usd: self
                .cached_savings_micro_usd
                .saturating_add(other.cached_savings_micro_usd),
        }
    }
}

/// What one phase of one copy (or of a whole run) spent on one model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// `warm-up`, `detection` or `grading`.
    pub phase: String,
    /// The model that was paid.
    pub model: String,
    /// Its tokens.
    pub usage: Usage,
    /// Their cost.
    pub cost: Cost,
}

/// Adds `more` to `sums`, one line per phase and model, in the order of first appearance.
pub fn add_spent(sums: &mut Vec<Spent>, more: &[Spent]) {
    for line in more {
        match sums
            .iter_mut()
            .find(|sum| sum.phase == line.phase && sum.model == line.model)
        {
            Some(sum) => {
                sum.usage = sum.usage + line.usage;
                sum.cost = sum.cost + line.cost;
            }
            None => sums.push(line.clone()),
        }
    }
}
