//! The provider's replies: messages and errors.

use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde_json::{Value, json};
use shared::domain::money::Usage;

use super::faults::Kind;
use super::request::Asked;
use super::tokens;

/// A request that never reaches the model, and is not billed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    status: u16,
    kind: &'static str,
    message: String,
    error_code: Option<&'static str>,
    retry_after: Option<Duration>,
}

impl Refusal {
    fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            message: message.into(),
            error_code: None,
            retry_after: None,
        }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "invalid_request_error", message)
    }

    pub(super) fn unauthorized(message: &str) -> Self {
        Self::new(401, "authentication_error", message)
    }

    pub(super) fn unknown_model(model: &str) -> Self {
        Self::new(404, "not_found_error", format!("model: {model}"))
    }

    pub(super) fn too_large() -> Self {
        Self::new(413, "request_too_large", "Request exceeds the maximum size")
    }

    pub(super) fn rate_limited(after: Duration) -> Self {
        let refusal = Self::new(
            429,
            "rate_limit_error",
            "Number of requests has exceeded your rate limit",
        );
        Self {
            retry_after: Some(after),
            ..refusal
        }
    }

    pub(super) fn spend_limit() -> Self {
        let message = "You have reached the monthly usage threshold of your tier";
        let refusal = Self::new(429, "rate_limit_error", message);
        Self {
            error_code: Some("enforced_spend_limit_reached"),
            ..refusal
        }
    }

    pub(super) fn overloaded() -> Self {
        Self::new(529, "overloaded_error", "Overloaded")
    }

    pub(super) fn internal(message: String) -> Self {
        Self::new(500, "api_error", message)
    }

    pub(super) fn render(&self, request_id: &str) -> Response {
        let mut error = json!({ "type": self.kind, "message": self.message });
        if let Some(code) = self.error_code {
            error["details"] = json!({ "error_code": code });
        }
        let body = json!({ "type": "error", "error": error, "request_id": request_id });
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(body)).into_response();
        if let Some(after) = self.retry_after {
            let seconds = after.as_millis().div_ceil(1000);
            if let Ok(value) = HeaderValue::from_str(&seconds.to_string()) {
                response
                    .headers_mut()
                    .insert(HeaderName::from_static("retry-after"), value);
            }
        }
        response
    }
}

/// What the model produced, after its bound and its fault.
pub(super) struct Answer {
    text: String,
    pub(super) stop_reason: &'static str,
    pub(super) output_tokens: u64,
}

/// Bounds `text` by `tokens_max` and does to it what `fault` says.
pub(super) fn finish(text: String, tokens_max: u64, fault: Option<&Kind>) -> Answer {
    let half = |text: &str| tokens::cut(text, tokens::of_text(text) / 2).to_owned();
    let (text, stop_reason) = match fault {
        Some(Kind::Refusal) => (String::new(), "refusal"),
        Some(Kind::Truncated) => (half(&text), "max_tokens"),
        Some(Kind::BrokenAnswer) => (half(&text), "end_turn"),
        _ if tokens::of_text(&text) > tokens_max => (tokens::cut(&text, tokens_max).to_owned(), "max_tokens"),
        _ if tokens_max == 0 => (text, "max_tokens"),
        _ => (text, "end_turn"),
    };
    // A refusal, too, bills the tokens before it.
    let output_tokens = if stop_reason == "refusal" {
        1
    } else {
        tokens::of_text(&text)
    };
    Answer {
        text,
        stop_reason,
        output_tokens,
    }
}

/// The reply with status 200, damaged as `fault` says.
pub(super) fn render(
    id: &str,
    asked: &Asked,
    answer: &Answer,
    usage: Usage,
    fault: Option<&Kind>,
) -> Response {
    let content = if answer.text.is_empty() {
        Vec::new()
    } else {
        vec![json!({ "type": "text", "text": answer.text, "citations": null })]
    };
    let mut message = json!({
        "id": id.replace("req_", "msg_"),
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": content,
        "stop_reason": answer.stop_reason,
        "stop_sequence": null,
        "usage": {
            "input_tokens": usage.input_tokens,
            "cache_creation_input_tokens": usage.cache_write_5m_tokens + usage.cache_write_1h_tokens,
            "cache_read_input_tokens": usage.cache_read_tokens,
            "cache_creation": {
                "ephemeral_5m_input_tokens": usage.cache_write_5m_tokens,
                "ephemeral_1h_input_tokens": usage.cache_write_1h_tokens,
            },
            "output_tokens": usage.output_tokens,
            "service_tier": "standard",
        },
    });
    if fault == Some(&Kind::UsageMissing)
        && let Some(message) = message.as_object_mut()
    {
        message.remove("usage");
    }
    let bytes = Bytes::from(Value::to_string(&message));
    let half = bytes.slice(..bytes.len() / 2);
    let content_type = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
    match fault {
        Some(Kind::BrokenReply) => ([content_type], half).into_response(),
        Some(Kind::ReplyLost) => {
            // Fewer bytes than announced, then an error: the server closes the connection.
            let lost = Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
            let length = (CONTENT_LENGTH, HeaderValue::from(bytes.len()));
            (
                [content_type, length],
                Body::from_stream(stream::iter([Ok(half), lost])),
            )
                .into_response()
        }
        _ => ([content_type], bytes).into_response(),
    }
}
