use axum::http::StatusCode;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use super::*;

fn body() -> Value {
    json!({
        "model": MODEL,
        "max_tokens": 100,
        "system": [{ "type": "text", "text": "Corrige.", "cache_control": { "type": "ephemeral" } }],
        "messages": [{ "role": "user", "content": [{ "type": "text", "text": "copie" }] }],
        "output_config": { "format": { "type": "json_schema", "schema": schema() } },
    })
}

fn headers() -> HeaderMap {
    let header = |text| HeaderValue::from_static(text);
    let entries = [
        ("x-api-key", header("sk-test")),
        ("anthropic-version", header("2026-10-21")),
        ("content-type", header("application/json")),
    ];
    entries
        .into_iter()
        .map(|(name, value)| (name.parse().unwrap(), value))
        .collect()
}

async fn post(provider: &Provider, headers: HeaderMap, body: Vec<u8>) -> (StatusCode, Value) {
    let request = reqwest::Client::new().post(format!("{}/v1/messages", provider.base_url()));
    let response = request.headers(headers).body(body).send().await.unwrap();
    assert!(response.headers().contains_key("request-id"));
    (
        response.status(),
        serde_json::from_slice(&response.bytes().await.unwrap()).unwrap(),
    )
}

fn jpeg(width: u16, height: u16) -> Value {
    let mut bytes = Vec::new();
    let pixels = vec![255; usize::from(width) * usize::from(height)];
    let encoder = jpeg_encoder::Encoder::new(&mut bytes, 80);
    encoder
        .encode(&pixels, width, height, jpeg_encoder::ColorType::Luma)
        .unwrap();
    image("image/jpeg", &bytes)
}

fn image(media_type: &str, bytes: &[u8]) -> Value {
    use base64::Engine;
    let data = base64::engine::general_purpose::STANDARD.encode(bytes);
    json!({ "type": "image", "source": { "type": "base64", "media_type": media_type, "data": data } })
}

#[tokio::test]
async fn a_valid_request_is_answered_as_documented() {
    let provider = start(options()).await;
    let mut request = body();
    request["messages"][0]["content"] = json!([jpeg(75, 100), { "type": "text", "text": "copie" }]);
    let (status, reply) = post(&provider, headers(), request.to_string().into_bytes()).await;
    assert_eq!(status, StatusCode::OK, "{reply}");
    assert_eq!(
        reply["content"],
        json!([{ "type": "text", "text": ANSWER, "citations": null }])
    );
    let ends = (
        reply["type"].as_str(),
        reply["role"].as_str(),
        reply["stop_reason"].as_str(),
    );
    assert_eq!(ends, (Some("message"), Some("assistant"), Some("end_turn")));
    assert_eq!(
        reply["usage"]["input_tokens"],
        3 + 10 + 2,
        "system, image and text"
    );
}

#[tokio::test]
async fn max_tokens_0_fills_the_cache_and_answers_nothing() {
    let provider = start(options()).await;
    let mut request = body();
    request["max_tokens"] = 0.into();
    request["system"][0]["text"] = "barème ".repeat(300).into();
    request.as_object_mut().unwrap().remove("output_config");
    let (status, reply) = post(&provider, headers(), request.to_string().into_bytes()).await;
    assert_eq!(
        (status, &reply["content"], &reply["stop_reason"]),
        (StatusCode::OK, &json!([]), &json!("max_tokens"))
    );
    assert_eq!(reply["usage"]["cache_creation"]["ephemeral_5m_input_tokens"], 600);
    assert_eq!(reply["usage"]["output_tokens"], 0);
}

#[tokio::test]
async fn a_request_that_the_real_provider_refuses_is_refused() {
    let provider = start(options()).await;
    let mark = json!({ "type": "ephemeral" });
    let text = |mark: &Value| json!({ "type": "text", "text": "x", "cache_control": mark });
    let block = |block: Value| json!([{ "role": "user", "content": [block] }]);
    let config = |schema: Value| json!({ "format": { "type": "json_schema", "schema": schema } });
    let hour_last = json!([text(&mark), text(&json!({ "type": "ephemeral", "ttl": "1h" }))]);
    let prefill = json!([{ "role": "user", "content": "x" }, { "role": "assistant", "content": "{" }]);
    let open = json!({ "type": "object", "properties": {}, "required": [] });
    let long = json!({ "type": "string", "maxLength": 3 });
    let unsupported = "is not supported";
    let cases = [
        (
            "temperature",
            json!(1.0),
            "temperature: Extra inputs are not permitted",
        ),
        ("top_p", json!(1.0), "top_p: Extra inputs are not permitted"),
        ("colour", json!("red"), "unknown field `colour`"),
        ("tools", json!([]), "unknown field `tools`"),
        ("model", json!(null), "expected a string"),
        ("max_tokens", json!(-1), "invalid value"),
        ("max_tokens", json!(200_000), "> 128000"),
        ("max_tokens", json!(0), "cannot be combined"),
        ("stream", json!(true), "does not stream"),
        (
            "thinking",
            json!({ "type": "disabled" }),
            "unknown variant `disabled`",
        ),
        ("metadata", json!({ "phase": "x" }), "unknown field `phase`"),
        ("messages", json!([]), "at least one message"),
        (
            "messages",
            json!([{ "role": "user", "content": [] }]),
            "must not be empty",
        ),
        (
            "messages",
            json!([{ "role": "system", "content": "x" }]),
            "unknown variant `system`",
        ),
        ("messages", prefill, "does not support assistant message prefill"),
        (
            "messages",
            block(json!({ "type": "text", "text": " " })),
            "non-whitespace",
        ),
        (
            "messages",
            block(json!({ "type": "text", "text": "x", "size": 1 })),
            "unknown field `size`",
        ),
        (
            "messages",
            block(image("image/jpeg", b"GIF89a")),
            "does not match",
        ),
        ("messages", block(image("image/tiff", b"II*\0")), "media_type"),
        ("messages", block(jpeg(8001, 1)), "8000 pixels"),
        (
            "messages",
            block(image("image/png", &vec![0; 5 * 1024 * 1024 + 1])),
            "5 MB",
        ),
        (
            "system",
            json!([text(&mark), text(&mark), text(&mark), text(&mark), text(&mark)]),
            "maximum of 4",
        ),
        ("system", hour_last, "must not come after"),
        (
            "system",
            json!([text(&json!({ "type": "ephemeral", "ttl": "2h" }))]),
            "'5m' or '1h'",
        ),
        (
            "system",
            json!([text(&json!({ "type": "forever" }))]),
            "unknown variant",
        ),
        (
            "output_config",
            json!({ "effort": "huge" }),
            "unknown variant `huge`",
        ),
        ("output_config", config(open), "additionalProperties"),
        ("output_config", config(long), unsupported),
    ];
    for (field, value, expected) in cases {
        let mut request = body();
        request[field] = value;
        let (status, reply) = post(&provider, headers(), request.to_string().into_bytes()).await;
        let message = reply["error"]["message"].as_str().unwrap_or_default();
        assert_eq!(status, StatusCode::BAD_REQUEST, "{field}: {reply}");
        assert_eq!(
            (&reply["type"], &reply["error"]["type"]),
            (&json!("error"), &json!("invalid_request_error"))
        );
        assert!(message.contains(expected), "{field}: {message}");
    }
    assert_eq!(provider.ledger(), [], "what is refused is not billed");
}

#[tokio::test]
async fn headers_and_size_are_checked_first() {
    let provider = start(options()).await;
    let without = |name: &str| {
        let mut headers = headers();
        headers.remove(name);
        headers
    };
    let mut old = headers();
    old.insert("anthropic-version", HeaderValue::from_static("2020-01-01"));
    let valid = || body().to_string().into_bytes();
    let cases = [
        (without("x-api-key"), valid(), 401, "authentication_error"),
        (
            without("anthropic-version"),
            valid(),
            400,
            "invalid_request_error",
        ),
        (without("content-type"), valid(), 400, "invalid_request_error"),
        (old, valid(), 400, "invalid_request_error"),
        (
            headers(),
            vec![b' '; request::BYTES_MAX + 1],
            413,
            "request_too_large",
        ),
        (headers(), b"{".to_vec(), 400, "invalid_request_error"),
    ];
    for (headers, body, status, kind) in cases {
        let (got, reply) = post(&provider, headers, body).await;
        assert_eq!(
            (got.as_u16(), reply["error"]["type"].as_str()),
            (status, Some(kind)),
            "{reply}"
        );
    }
}

#[tokio::test]
async fn a_grader_that_does_not_follow_the_schema_is_found_out() {
    let provider = start(options()).await;
    let mut request = body();
    request["output_config"]["format"]["schema"]["required"] = json!(["points"]);
    request["output_config"]["format"]["schema"]["properties"] = json!({ "points": { "type": "integer" } });
    let (status, reply) = post(&provider, headers(), request.to_string().into_bytes()).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{reply}");
}

#[tokio::test]
async fn faults_and_bills_are_reached_over_http_too() {
    let provider = start(options()).await;
    let http = reqwest::Client::new();
    let control = |path: &str| format!("{}/_control/{path}", provider.base_url());
    let faults = r#"[
        {"kind": "overloaded", "only_if_copy_contains": "Ada"},
        {"kind": {"rate_limited": {"retry_after_seconds": 3}}, "times": 2}
    ]"#;
    let post_faults = |json: &'static str| http.post(control("faults")).headers(headers()).body(json).send();
    assert_eq!(
        post_faults(faults).await.unwrap().status(),
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        post_faults(r#"[{"kind": "hang", "tmies": 2}]"#)
            .await
            .unwrap()
            .status(),
        422
    );

    let (status, _) = post(&provider, headers(), body().to_string().into_bytes()).await;
    assert_eq!(
        status,
        StatusCode::TOO_MANY_REQUESTS,
        "the copy does not name Ada"
    );
    http.delete(control("faults")).send().await.unwrap();
    let (status, _) = post(&provider, headers(), body().to_string().into_bytes()).await;
    assert_eq!(status, StatusCode::OK);
    let ledger: Vec<Billed> = http
        .get(control("ledger"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(ledger, provider.ledger());
    assert_eq!(ledger.len(), 1);
}
