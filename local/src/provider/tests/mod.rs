//! `shared::llm` against the local provider, over real HTTP.

use std::net::{Ipv4Addr, SocketAddr};

use shared::grading::{Part, Phase, Prompt};
use shared::llm::{ApiKey, Settings};
use tokio::time::Instant as Deadline;

use super::*;

mod bills;
mod failures;
mod strictness;

const MODEL: &str = "claude-sonnet-5-5";
const ANSWER: &str = r#"{"points":"1.5","quote":"La plante produit du glucose à la lumière."}"#;

struct Fixed;

impl Grader for Fixed {
    fn answer(&self, _question: &Question) -> String {
        ANSWER.to_owned()
    }
}

fn options() -> Options {
    Options {
        latency: Latency::NONE,
        ..Options::new(Prices::load(None).unwrap(), Arc::new(Fixed))
    }
}

async fn start(options: Options) -> Provider {
    Provider::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), options)
        .await
        .unwrap()
}

fn settings(provider: &Provider) -> Settings {
    let mut settings = Settings::new(shared::llm::Provider::Anthropic, MODEL);
    settings.base_url = Some(provider.base_url());
    settings.key = ApiKey::new("sk-test");
    settings.pace = shared::llm::retry::Pace::new(|_| Box::pin(std::future::ready(())), || 0.5);
    settings
}

/// A minute from now: far more than any test takes.
fn soon() -> Deadline {
    Deadline::now() + Duration::from_secs(60)
}

fn schema() -> serde_json::Value {
    let text = serde_json::json!({ "type": "string" });
    serde_json::json!({
        "type": "object",
        "properties": { "points": text, "quote": text },
        "required": ["points", "quote"],
        "additionalProperties": false,
    })
}

/// A prompt whose prefix has at least `prefix_tokens` tokens.
fn prompt(prefix_tokens: usize, copy: &str) -> Prompt {
    Prompt {
        phase: Phase::Grading,
        prefix: "barème ".repeat(prefix_tokens.div_ceil(2)),
        copy: vec![Part::Text(copy.to_owned())],
        schema: schema(),
        output_tokens_max: 400,
    }
}
