//! One tiny copy graded by the configured provider, to see that the wire still fits. Costs a fraction of a cent.
//!
//! ```sh
//! CORRIGEUSE_LIVE=1 ANTHROPIC_API_KEY=… cargo run -p local -- smoke
//! ```
//! `MODEL` chooses another model than the cheapest, `MODEL_BASE_URL` another address.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, ensure};
use rust_decimal::Decimal;
use shared::clock::Clock;
use shared::domain::Language;
use shared::domain::money::{Cost, Usage};
use shared::domain::rubric::Rubric;
use shared::domain::time::UnixMillis;
use shared::grading::cost::{CostUsd, cost, sum};
use shared::grading::{CopyCode, MaskedCopy, PageKind, PageText, Redaction, prompt, reply};
use shared::llm::prices::Prices;
use shared::llm::{ApiKey, Model, Provider, Receipt, Settings};
use tokio::time::Instant;

const RUBRIC: &str = include_str!("../../samples/svt/rubric.json");
const COPY: &str = "Question 1\nLa photosynthèse se passe dans les chloroplastes des feuilles. À la lumière, la \
                    plante utilise de l'eau et du dioxyde de carbone et produit du glucose et du dioxygène.";

const CHEAPEST: &str = "claude-haiku-5-5";

/// What the copy got, and what that cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Smoke {
    /// The sum of the proposed points.
    pub points: Decimal,
    /// Filling the cache.
    pub warming: Receipt,
    /// Grading.
    pub grading: Receipt,
    /// Both.
    pub cost: Cost,
}

/// Grades the copy at Anthropic, as the environment says.
///
/// # Errors
/// `CORRIGEUSE_LIVE` or the key is missing, the warming did not fill the cache, or as [`grade_one`].
pub async fn live() -> anyhow::Result<Smoke> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    ensure!(
        variable("CORRIGEUSE_LIVE").is_some(),
        "this costs money: set CORRIGEUSE_LIVE=1 to confirm"
    );
    let key = variable("ANTHROPIC_API_KEY").as_deref().and_then(ApiKey::new);
    ensure!(key.is_some(), "set ANTHROPIC_API_KEY");
    let model = variable("MODEL").unwrap_or_else(|| CHEAPEST.to_owned());
    let settings = Settings {
        key,
        base_url: variable("MODEL_BASE_URL"),
        ..Settings::new(Provider::Anthropic, &model)
    };
    let now = UnixMillis::new(Clock::system().now_millis());
    let prices = Prices::load(variable("PRICES_OVERRIDE").as_deref())?;
    let smoke = grade_one(settings, &prices, now).await?;
    ensure!(
        smoke.grading.usage.cache_read_tokens > 0,
        "the warming did not fill the cache:\n{smoke}"
    );
    Ok(smoke)
}

/// Warms the cache, grades the copy, reads the answer as a run would, and prices both calls by the row of
/// that moment.
///
/// # Errors
/// Anything that would fail a run: settings, prices, the provider, or an answer that does not fit.
pub async fn grade_one(settings: Settings, prices: &Prices, now: UnixMillis) -> anyhow::Result<Smoke> {
    let row = prices
        .row(settings.provider.as_str(), &settings.model, now)?
        .clone();
    let model = settings.build()?;
    let rubric = Rubric::parse(RUBRIC.as_bytes()).context("the sample barème")?;
    let exam = prompt::Exam {
        statement: None,
        title: "La photosynthèse",
        subject: "SVT",
        level: "3e",
        language: Language::Fr,
        rubric: &rubric,
        pupils: &[],
    };
    let page = PageText {
        number: 1,
        kind: PageKind::Typed,
        text: COPY.to_owned(),
    };
    let redaction = Redaction::new(CopyCode::from_random(1), [], "copie.pdf");
    let prompt = prompt::grading(&exam, &MaskedCopy::new(&[page], redaction));

    let deadline = Instant::now() + Duration::from_secs(240);
    let warming = model.warm(&prompt, deadline).await.context("warming the cache")?;
    let answer = model.answer(&prompt, deadline).await.context("grading")?;
    reply::grading(&answer.text, &rubric).context("checking the answer")?;
    let reply: reply::GradingReply = serde_json::from_str(&answer.text).context("reading the answer")?;
    let priced = |usage: &Usage| cost(usage, &row.rates(usage.prompt_tokens()));
    Ok(Smoke {
        points: reply.awards.iter().filter_map(|award| award.points).sum(),
        cost: sum(priced(&warming.usage), priced(&answer.receipt.usage)),
        warming,
        grading: answer.receipt,
    })
}

impl fmt::Display for Smoke {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "model    {}", self.grading.model)?;
        writeln!(f, "points   {}", self.points)?;
        for (name, receipt) in [("warming", &self.warming), ("grading", &self.grading)] {
            let (usage, id) = (receipt.usage, receipt.request_id.as_deref().unwrap_or("none"));
            writeln!(
                f,
                "{name}  input {}, cache written {}, cache read {}, output {} tokens (request {id})",
                usage.input_tokens,
                usage.cache_write_5m_tokens + usage.cache_write_1h_tokens,
                usage.cache_read_tokens,
                usage.output_tokens,
            )?;
        }
        let cost = CostUsd::from(self.cost);
        write!(
            f,
            "cost     {} USD, {} saved by the cache",
            cost.total_cost_usd, cost.cached_savings_usd
        )
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::sync::Arc;

    use super::*;
    use crate::demo_grader::DemoGrader;
    use crate::provider;

    #[tokio::test]
    async fn a_tiny_copy_is_graded_and_priced_by_the_local_provider() {
        let prices = Prices::load(None).unwrap();
        let grader = Arc::new(DemoGrader::new().unwrap());
        let mut options = provider::Options::new(prices.clone(), grader);
        options.latency = provider::Latency::NONE;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let provider = provider::Provider::start(address, options).await.unwrap();
        let mut settings = Settings::new(Provider::Local, "demo-pas-une-ia");
        settings.base_url = Some(provider.base_url());

        let smoke = grade_one(settings, &prices, UnixMillis::new(1_800_000_000_000))
            .await
            .unwrap();
        assert!(smoke.points > Decimal::ZERO, "{smoke}");
        assert_eq!(
            smoke.grading.usage.cache_read_tokens,
            smoke.warming.usage.cache_write_5m_tokens
        );
        let billed: Usage = provider.ledger().iter().map(|entry| entry.usage).sum();
        assert_eq!(billed, smoke.warming.usage + smoke.grading.usage);
        assert!(
            smoke.cost.total_cost_micro_usd > 0 && smoke.cost.cached_savings_micro_usd > 0,
            "{smoke}"
        );
    }
}
