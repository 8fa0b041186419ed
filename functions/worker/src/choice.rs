//! Who grades, as the environment chooses it: found wrong before the first message, not in the middle of a run.

use lambda_runtime::Error;
use shared::domain::time::UnixMillis;
use shared::llm::Provider;
use shared::llm::prices::Prices;

/// A provider and its model, which has a price.
#[derive(Debug, Clone)]
pub struct Choice {
    /// Who answers.
    pub provider: Provider,
    /// Which model, for all phases.
    pub model: String,
    /// What calls cost.
    pub prices: Prices,
}

impl Choice {
    /// The choice of these settings: `MODEL_PROVIDER`, `MODEL`, `PRICES_OVERRIDE`.
    ///
    /// # Errors
    /// No such provider, price rows that cannot be read, or a model that has no price `now`: in a sentence that says
    /// which there are.
    pub fn new(
        provider: &str,
        model: String,
        prices_override: Option<&str>,
        now: UnixMillis,
    ) -> Result<Self, Error> {
        let provider: Provider = provider.parse()?;
        let prices = Prices::load(prices_override)?;
        prices.row(provider.as_str(), &model, now)?;
        Ok(Self {
            provider,
            model,
            prices,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis::new(1_790_000_000_000);

    fn choice(provider: &str, model: &str, prices_override: Option<&str>) -> Result<String, String> {
        Choice::new(provider, model.to_owned(), prices_override, NOW)
            .map(|chosen| chosen.model)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_model_that_cannot_be_paid_for_is_refused_at_the_start_with_those_that_can() {
        for (provider, model, prices_override, said) in [
            ("mistral", "claude-sonnet-5-5", None, "known: anthropic, local"),
            ("anthropic", "claude-nobody", None, "anthropic/claude-sonnet-5-5"),
            ("local", "claude-sonnet-5-5", None, "local/demo-pas-une-ia"),
            (
                "anthropic",
                "claude-sonnet-5-5",
                Some("[{}]"),
                "PRICES_OVERRIDE is not a list",
            ),
        ] {
            let refusal = choice(provider, model, prices_override).unwrap_err();
            assert!(refusal.contains(said), "{provider}/{model}: {refusal}");
        }
    }

    #[test]
    fn a_model_is_chosen_when_the_table_or_the_override_has_its_price() {
        let own = Prices::load(None).unwrap();
        let mut row = own.row("anthropic", "claude-sonnet-5-5", NOW).unwrap().clone();
        row.model = "claude-ours".to_owned();
        let rows = serde_json::to_string(&[row]).unwrap();
        for model in ["claude-sonnet-5-5", "claude-ours"] {
            assert_eq!(choice("anthropic", model, Some(&rows)), Ok(model.to_owned()));
        }
    }
}
