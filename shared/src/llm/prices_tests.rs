use time::macros::datetime;

use super::*;

fn at(moment: OffsetDateTime) -> UnixMillis {
    UnixMillis::new(moment.unix_timestamp() * 1000)
}

fn row(model: &str, from: &str, to: Option<&str>) -> serde_json::Value {
    let rates = serde_json::json!({
        "input": 1, "cache_write_5m": 2, "cache_write_1h": 3, "cache_read": 4, "output": 5,
    });
    serde_json::json!({
        "provider": "anthropic", "model": model, "effective_from": from, "effective_to": to, "rates": rates,
        "tiers": [], "cache_prefix_tokens_min": 512, "output_tokens_max": 1000, "source": "a test",
    })
}

fn load(rows: &[serde_json::Value]) -> Result<Prices, PriceError> {
    Prices::load(Some(&serde_json::to_string(rows).unwrap()))
}

#[test]
fn the_table_that_ships_is_sound_and_dated() {
    let prices = Prices::load(None).unwrap();
    let cache_read = |day| {
        prices
            .row("anthropic", "claude-sonnet-5-5", day)
            .unwrap()
            .rates(0)
            .cache_read
    };
    assert_eq!(cache_read(at(datetime!(2026 - 10 - 06 23:59 UTC))), 200_000);
    assert_eq!(cache_read(at(datetime!(2026 - 10 - 07 23:59 UTC))), 100_000);
}

#[test]
fn a_long_prompt_changes_the_price_of_the_whole_request() {
    let prices = Prices::load(None).unwrap();
    let haiku = prices
        .row(
            "anthropic",
            "claude-haiku-5-5",
            at(datetime!(2026 - 11 - 20 23:59 UTC)),
        )
        .unwrap();
    assert_eq!(haiku.rates(100_000).output, 500_000);
    assert_eq!(haiku.rates(100_001).output, 2_500_000);
}

#[test]
fn an_override_replaces_a_models_rows_and_adds_models() {
    let new = [
        row("claude-sonnet-5-5", "2026-01-01", None),
        row("claude-opus-6", "2026-01-01", None),
    ];
    let prices = load(&new).unwrap();
    for model in ["claude-sonnet-5-5", "claude-opus-6"] {
        assert_eq!(
            prices
                .row("anthropic", model, at(datetime!(2026 - 10 - 06 23:59 UTC)))
                .unwrap()
                .source,
            "a test"
        );
    }
    assert!(
        prices
            .row(
                "anthropic",
                "claude-opus-5-5",
                at(datetime!(2026 - 11 - 20 23:59 UTC))
            )
            .is_ok()
    );
}

#[test]
fn an_unknown_model_is_refused_with_the_names_that_are_known() {
    let prices = Prices::load(None).unwrap();
    let message = prices
        .row(
            "anthropic",
            "claude-sonet",
            at(datetime!(2026 - 11 - 20 23:59 UTC)),
        )
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("claude-sonet") && message.contains("anthropic/claude-sonnet-5-5"),
        "{message}"
    );
    let early = prices.row(
        "anthropic",
        "claude-opus-5-5",
        at(datetime!(2020 - 01 - 01 23:59 UTC)),
    );
    assert!(matches!(early, Err(PriceError::NotPriced { .. })), "{early:?}");
}

#[test]
fn an_unsound_table_is_refused_at_load() {
    let (first, last) = (row("m", "2026-01-01", Some("2026-02-01")), "2026-02-01");
    let with = |field: &str, value: serde_json::Value| {
        let mut row = row("m", "2026-01-01", None);
        row[field] = value;
        row
    };
    let falling = serde_json::json!([
        { "prompt_over_tokens": 9, "rates": first["rates"] }, { "prompt_over_tokens": 9, "rates": first["rates"] },
    ]);
    let cases = [
        (
            "leaves days without a price",
            vec![first.clone(), row("m", "2026-02-02", None)],
        ),
        (
            "overlaps the model's next row",
            vec![first.clone(), row("m", "2026-01-31", None)],
        ),
        (
            "overlaps the model's next row",
            vec![row("m", "2026-01-01", None), row("m", last, None)],
        ),
        ("ends before it starts", vec![row("m", last, Some(last))]),
        ("has tiers that do not rise", vec![with("tiers", falling)]),
        ("has no source", vec![with("source", " ".into())]),
        ("has no provider or no model", vec![with("model", "".into())]),
        ("unknown field `colour`", vec![with("colour", "red".into())]),
        (
            "invalid value: integer `-1`",
            vec![with("cache_prefix_tokens_min", (-1).into())],
        ),
        ("month", vec![with("effective_from", "2026-13-01".into())]),
    ];
    for (expected, rows) in cases {
        let message = load(&rows).unwrap_err().to_string();
        assert!(message.contains(expected), "{expected}: {message}");
    }
    assert!(
        load(&[row("m", last, None), first]).is_ok(),
        "order in the file does not matter"
    );
}

#[test]
fn a_row_survives_being_stored_with_a_call() {
    for row in Prices::load(None).unwrap().rows() {
        let stored = serde_json::to_string(row).unwrap();
        assert_eq!(&serde_json::from_str::<PriceRow>(&stored).unwrap(), row);
    }
}
