use super::*;
use crate::grading::Phase;

fn prompt(prefix: String, copy: &str) -> Prompt {
    Prompt {
        phase: Phase::Grading,
        prefix,
        copy: vec![
            Part::Text(copy.to_owned()),
            Part::Jpeg(vec![0xff, 0xd8]),
            Part::Text(" ".to_owned()),
        ],
        schema: serde_json::json!({ "type": "object", "properties": { "b": {}, "a": {} } }),
        output_tokens_max: 900,
    }
}

fn sent(ttl: CacheTtl, prompt: &Prompt) -> Vec<u8> {
    answer_request("claude-sonnet-5-5", Effort::Low, ttl, prompt)
}

#[test]
fn a_request_is_what_the_provider_documents_without_sampling_parameters() {
    let request = sent(CacheTtl::OneHour, &prompt("barème".to_owned(), "copie"));
    let request: serde_json::Value = serde_json::from_slice(&request).unwrap();
    let expected = serde_json::json!({
        "model": "claude-sonnet-5-5",
        "output_config": {
            "effort": "low",
            "format": {
                "type": "json_schema",
                "schema": { "type": "object", "properties": { "a": {}, "b": {} } },
            },
        },
        "system": [
            { "type": "text", "text": "barème", "cache_control": { "type": "ephemeral", "ttl": "1h" } },
        ],
        "messages": [{
            "role": "user",
            "content": [
                { "type": "text", "text": "copie" },
                { "type": "image", "source": { "type": "base64", "media_type": "image/jpeg", "data": "/9g=" } },
            ],
        }],
        "max_tokens": 900,
    });
    assert_eq!(request, expected);
}

#[test]
fn copies_of_a_run_and_its_warming_share_every_byte_up_to_the_mark() {
    let up_to_mark = |request: Vec<u8>| {
        let text = String::from_utf8(request).unwrap();
        let mark = text.find(r#""cache_control""#).unwrap();
        text[..mark].to_owned()
    };
    let prefix = || "Consignes, barème, sujet.".repeat(3);
    let (one, other) = (
        prompt(prefix(), "la copie de l'un"),
        prompt(prefix(), "celle de l'autre"),
    );
    let ttl = CacheTtl::FiveMinutes;
    let first = up_to_mark(sent(ttl, &one));
    assert_eq!(first, up_to_mark(sent(ttl, &other)));
    assert_eq!(
        first,
        up_to_mark(warm_request("claude-sonnet-5-5", Effort::Low, ttl, &one))
    );
    assert!(first.contains("sujet."), "the prefix comes before its mark");
}

fn message(json: serde_json::Value) -> Message {
    serde_json::from_value(json).unwrap()
}

#[test]
fn usage_is_normalised_to_disjoint_counts() {
    let usage = |json: serde_json::Value, asked| message(serde_json::json!({ "usage": json })).usage(asked);
    let five = CacheTtl::FiveMinutes;
    let counts = |input, write_5m, write_1h, read, output| {
        Some(Usage {
            input_tokens: input,
            cache_write_5m_tokens: write_5m,
            cache_write_1h_tokens: write_1h,
            cache_read_tokens: read,
            output_tokens: output,
        })
    };
    let split = serde_json::json!({
        "input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 70, "cache_creation_input_tokens": 30,
        "cache_creation": { "ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10 },
    });
    let unsplit =
        serde_json::json!({ "input_tokens": 10, "output_tokens": 5, "cache_creation_input_tokens": 30 });
    let nulls = serde_json::json!({
        "input_tokens": 0, "output_tokens": 0, "cache_creation": null,
        "cache_read_input_tokens": null, "cache_creation_input_tokens": null,
    });
    assert_eq!(usage(split, five), counts(10, 20, 10, 70, 5));
    assert_eq!(usage(unsplit.clone(), five), counts(10, 30, 0, 0, 5));
    assert_eq!(usage(unsplit, CacheTtl::OneHour), counts(10, 0, 30, 0, 5));
    assert_eq!(usage(nulls, five), counts(0, 0, 0, 0, 0));
    assert_eq!(usage(serde_json::json!({ "input_tokens": 10 }), five), None);
    assert_eq!(usage(serde_json::json!(null), five), None);
}

#[test]
fn only_a_finished_json_answer_is_an_answer() {
    let text = |stop: Option<&str>, text: &str| {
        let thinking = serde_json::json!({ "type": "thinking", "thinking": "hm", "signature": "x" });
        let words = serde_json::json!({ "type": "text", "text": text });
        message(serde_json::json!({ "content": [thinking, words], "stop_reason": stop })).text()
    };
    let invalid = |what| Err(Reason::Invalid { what });
    assert_eq!(text(Some("end_turn"), r#"{"a":1}"#), Ok(r#"{"a":1}"#.to_owned()));
    assert_eq!(
        text(Some("end_turn"), r#"{"a":"#),
        invalid("the answer is not JSON")
    );
    assert_eq!(text(Some("max_tokens"), r#"{"a":1}"#), Err(Reason::Truncated));
    assert_eq!(
        text(Some("model_context_window_exceeded"), ""),
        Err(Reason::Truncated)
    );
    assert_eq!(text(Some("refusal"), ""), Err(Reason::Refused));
    assert_eq!(
        text(Some("tool_use"), r#"{"a":1}"#),
        invalid("unknown stop reason")
    );
    assert_eq!(text(None, r#"{"a":1}"#), invalid("unknown stop reason"));
}

#[test]
fn statuses_are_told_apart_without_quoting_the_reply() {
    let body = |kind: &str, code: Option<&str>| {
        let details = code.map(|code| serde_json::json!({ "error_code": code }));
        let error = serde_json::json!({ "type": kind, "message": "secret", "details": details });
        serde_json::to_vec(&serde_json::json!({ "type": "error", "error": error })).unwrap()
    };
    let after = Some(Duration::from_secs(3));
    let invalid = body("invalid_request_error", None);
    let cases = [
        (
            429,
            body("rate_limit_error", None),
            Reason::RateLimited { retry_after: after },
        ),
        (
            429,
            body("rate_limit_error", Some("ramp_limit_exceeded")),
            Reason::RateLimited { retry_after: after },
        ),
        (
            429,
            body("rate_limit_error", Some("enforced_spend_limit_reached")),
            Reason::SpendLimit,
        ),
        (
            429,
            body("rate_limit_error", Some("contract_spend_limit_reached")),
            Reason::SpendLimit,
        ),
        (
            429,
            b"not JSON".to_vec(),
            Reason::RateLimited { retry_after: after },
        ),
        (402, body("billing_error", None), Reason::SpendLimit),
        (401, body("authentication_error", None), Reason::Unauthorized),
        (403, body("permission_error", None), Reason::Unauthorized),
        (529, body("overloaded_error", None), Reason::Overloaded),
        (500, body("api_error", None), Reason::Unavailable { status: 500 }),
        (408, Vec::new(), Reason::Unavailable { status: 408 }),
        (
            400,
            invalid,
            Reason::Rejected {
                status: 400,
                kind: "invalid_request_error",
            },
        ),
        (
            413,
            body("Jean Dupont", None),
            Reason::Rejected {
                status: 413,
                kind: "unknown error type",
            },
        ),
        (
            302,
            Vec::new(),
            Reason::Rejected {
                status: 302,
                kind: "unknown error type",
            },
        ),
    ];
    for (status, body, expected) in cases {
        assert_eq!(reason_of(status, &body, after), expected, "{status}");
        assert!(!expected.to_string().contains("secret"));
    }
}
