use futures::future::join_all;
use shared::domain::money::Usage;
use shared::llm::{CacheTtl, Model};

use super::*;

const COPIES: usize = 5;

fn copies() -> Vec<Prompt> {
    (0..COPIES)
        .map(|number| prompt(2000, &format!("La copie numéro {number}.")))
        .collect()
}

/// Grades all copies at the same time, none of them able to use what another writes.
async fn fan_out(provider: &Provider) -> Vec<Usage> {
    provider.inject([Fault::times(Kind::Together, COPIES)]);
    let model = settings(provider).build().unwrap();
    let copies = copies();
    let answers = join_all(copies.iter().map(|copy| model.answer(copy, soon()))).await;
    answers
        .into_iter()
        .map(|answer| answer.unwrap().receipt.usage)
        .collect()
}

fn billed(provider: &Provider) -> Usage {
    provider.ledger().iter().map(|entry| entry.usage).sum()
}

#[tokio::test]
async fn parallel_first_requests_all_miss_the_cache_and_all_pay_for_writing_it() {
    let provider = start(options()).await;
    let usages = fan_out(&provider).await;
    for usage in &usages {
        assert_eq!((usage.cache_write_5m_tokens, usage.cache_read_tokens), (2000, 0));
    }
    assert_eq!(usages.into_iter().sum::<Usage>(), billed(&provider));
}

#[tokio::test]
async fn after_one_awaited_warming_every_copy_reads_the_whole_prefix() {
    let provider = start(options()).await;
    let model = settings(&provider).build().unwrap();
    let warming = model.warm(&copies()[0], soon()).await.unwrap();
    assert_eq!(
        (warming.usage.cache_write_5m_tokens, warming.usage.output_tokens),
        (2000, 1)
    );

    let usages = fan_out(&provider).await;
    for usage in &usages {
        assert_eq!((usage.cache_write_5m_tokens, usage.cache_read_tokens), (0, 2000));
        assert!(usage.input_tokens > 0, "the copy itself is never cached");
    }
    assert_eq!(
        usages.into_iter().sum::<Usage>() + warming.usage,
        billed(&provider)
    );
}

#[tokio::test]
async fn an_entry_is_read_until_its_lifetime_after_the_last_read() {
    for (ttl, lifetime) in [(CacheTtl::FiveMinutes, 300), (CacheTtl::OneHour, 3600)] {
        let clock = Clock::fixed(0);
        let provider = start(Options {
            clock: clock.clone(),
            ..options()
        })
        .await;
        let mut settings = settings(&provider);
        settings.cache_ttl = ttl;
        let model = settings.build().unwrap();
        let mut reads = Vec::new();
        for wait in [0, lifetime - 1, lifetime - 1, lifetime] {
            clock.advance_seconds(wait);
            let usage = model
                .answer(&prompt(2000, "copie"), soon())
                .await
                .unwrap()
                .receipt
                .usage;
            assert_eq!(usage.prompt_tokens(), 2002, "every token is in exactly one count");
            reads.push((
                usage.cache_write_5m_tokens + usage.cache_write_1h_tokens,
                usage.cache_read_tokens,
            ));
        }
        assert_eq!(reads, [(2000, 0), (0, 2000), (0, 2000), (2000, 0)], "{ttl:?}");
    }
}

#[tokio::test]
async fn only_the_same_bytes_for_the_same_key_model_and_schema_are_read() {
    let provider = start(options()).await;
    let base = prompt(2000, "copie");
    settings(&provider)
        .build()
        .unwrap()
        .warm(&base, soon())
        .await
        .unwrap();
    let mut other_schema = base.clone();
    other_schema.schema["properties"]["quote"]["description"] = "verbatim".into();
    let other_prefix = Prompt {
        prefix: format!("{} ", base.prefix),
        ..base.clone()
    };
    let other_key = || Settings {
        key: ApiKey::new("sk-other"),
        ..settings(&provider)
    };
    let other_model = || Settings {
        model: "claude-opus-5-5".to_owned(),
        ..settings(&provider)
    };
    let other_effort = || Settings {
        effort: shared::llm::Effort::High,
        ..settings(&provider)
    };
    let cases = [
        ("the same", settings(&provider), &base, true),
        ("another schema", settings(&provider), &other_schema, false),
        ("a space more", settings(&provider), &other_prefix, false),
        ("another key", other_key(), &base, false),
        ("another model", other_model(), &base, false),
        ("another effort", other_effort(), &base, false),
    ];
    for (name, settings, prompt, expected) in cases {
        let usage = settings
            .build()
            .unwrap()
            .answer(prompt, soon())
            .await
            .unwrap()
            .receipt
            .usage;
        assert_eq!(usage.cache_read_tokens > 0, expected, "{name}");
    }
}

#[tokio::test]
async fn a_prefix_below_the_models_minimum_is_silently_not_cached() {
    let provider = start(options()).await;
    let model = settings(&provider).build().unwrap();
    for (tokens, cached) in [(510, false), (512, true)] {
        let receipt = model
            .answer(&prompt(tokens, "copie"), soon())
            .await
            .unwrap()
            .receipt;
        assert_eq!(receipt.usage.cache_write_5m_tokens > 0, cached, "{tokens}");
    }
}
