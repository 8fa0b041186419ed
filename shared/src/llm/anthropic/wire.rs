//! The part of the Messages wire format that we use, read from the official SDK's types (2.11.0).
//!
//! Two facts shape the requests. The cache compares bytes from the start, so what a run's copies share comes
//! first: schema, effort and prefix, then the copy, then the bound on the answer. And the schema is part of
//! what is cached: a change of `output_config.format` invalidates the cache, while `max_tokens: 0` (filling
//! the cache without an answer) is refused beside it. Hence warming asks for one token, with the schema.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::super::failure::Reason;
use super::super::settings::{CacheTtl, Effort};
use crate::domain::money::Usage;
use crate::grading::{Part, Prompt};

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    output_config: OutputConfig<'a>,
    system: [TextBlock<'a>; 1],
    messages: [UserMessage<'a>; 1],
    max_tokens: u32,
}

#[derive(Serialize)]
struct OutputConfig<'a> {
    effort: Effort,
    format: Format<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Format<'a> {
    JsonSchema { schema: &'a serde_json::Value },
}

#[derive(Serialize)]
struct TextBlock<'a> {
    r#type: &'static str,
    text: &'a str,
    cache_control: CacheControl,
}

#[derive(Serialize)]
struct CacheControl {
    r#type: &'static str,
    ttl: &'static str,
}

#[derive(Serialize)]
struct UserMessage<'a> {
    role: &'static str,
    content: Vec<Block<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text { text: &'a str },
    Image { source: Source },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Source {
    Base64 { media_type: &'static str, data: String },
}

/// The bytes that ask for an answer.
pub(super) fn answer_request(model: &str, effort: Effort, ttl: CacheTtl, prompt: &Prompt) -> Vec<u8> {
    let content = prompt.copy.iter().filter_map(block).collect();
    request(model, effort, ttl, prompt, content, prompt.output_tokens_max)
}

/// The bytes that fill the cache for `prompt` and every prompt that shares its prefix and schema.
pub(super) fn warm_request(model: &str, effort: Effort, ttl: CacheTtl, prompt: &Prompt) -> Vec<u8> {
    request(model, effort, ttl, prompt, vec![Block::Text { text: "." }], 1)
}

/// An empty text block is refused by the provider and says nothing.
fn block(part: &Part) -> Option<Block<'_>> {
    match part {
        Part::Text(text) => (!text.trim().is_empty()).then_some(Block::Text { text }),
        Part::Jpeg(bytes) => {
            let source = Source::Base64 {
                media_type: "image/jpeg",
                data: STANDARD.encode(bytes),
            };
            Some(Block::Image { source })
        }
    }
}

fn request<'a>(
    model: &'a str,
    effort: Effort,
    ttl: CacheTtl,
    prompt: &'a Prompt,
    content: Vec<Block<'a>>,
    max_tokens: u32,
) -> Vec<u8> {
    let ttl = match ttl {
        CacheTtl::FiveMinutes => "5m",
        CacheTtl::OneHour => "1h",
    };
    let cache_control = CacheControl {
        r#type: "ephemeral",
        ttl,
    };
    let request = Request {
        model,
        output_config: OutputConfig {
            effort,
            format: Format::JsonSchema {
                schema: &prompt.schema,
            },
        },
        system: [TextBlock {
            r#type: "text",
            text: &prompt.prefix,
            cache_control,
        }],
        messages: [UserMessage {
            role: "user",
            content,
        }],
        max_tokens,
    };
    // Strings, integers and a JSON value: serialising them to memory has no failure.
    serde_json::to_vec(&request).unwrap_or_default()
}

/// A reply with status 200. Fields that we can do without are optional, so that a damaged reply still
/// tells what it cost.
#[derive(Deserialize)]
pub(super) struct Message {
    #[serde(default)]
    pub(super) model: String,
    #[serde(default)]
    content: Vec<Content>,
    stop_reason: Option<String>,
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Content {
    Text {
        text: String,
    },
    /// Thinking, mostly: billed as output, of no use to us.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct WireUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
}

#[derive(Deserialize)]
struct CacheCreation {
    #[serde(default)]
    ephemeral_5m_input_tokens: u64,
    #[serde(default)]
    ephemeral_1h_input_tokens: u64,
}

impl Message {
    /// The reply's tokens as disjoint counts: on this wire `input_tokens` already excludes the cache. Writes
    /// that the split by lifetime does not cover are of the lifetime asked for. `None` if input or output
    /// is not told.
    pub(super) fn usage(&self, asked: CacheTtl) -> Option<Usage> {
        let wire = self.usage.as_ref()?;
        let (write_5m, write_1h) = wire.cache_creation.as_ref().map_or((0, 0), |split| {
            (split.ephemeral_5m_input_tokens, split.ephemeral_1h_input_tokens)
        });
        let written = wire.cache_creation_input_tokens.unwrap_or(0);
        let unsplit = written.saturating_sub(write_5m.saturating_add(write_1h));
        let (more_5m, more_1h) = match asked {
            CacheTtl::FiveMinutes => (unsplit, 0),
            CacheTtl::OneHour => (0, unsplit),
        };
        Some(Usage {
            input_tokens: wire.input_tokens?,
            cache_write_5m_tokens: write_5m.saturating_add(more_5m),
            cache_write_1h_tokens: write_1h.saturating_add(more_1h),
            cache_read_tokens: wire.cache_read_input_tokens.unwrap_or(0),
            output_tokens: wire.output_tokens?,
        })
    }

    /// The answer's text, if the model finished it.
    pub(super) fn text(&self) -> Result<String, Reason> {
        match self.stop_reason.as_deref() {
            Some("end_turn") => {}
            Some("max_tokens" | "model_context_window_exceeded") => return Err(Reason::Truncated),
            Some("refusal") => return Err(Reason::Refused),
            Some(_) | None => {
                return Err(Reason::Invalid {
                    what: "unknown stop reason",
                });
            }
        }
        let texts = self.content.iter().filter_map(|content| match content {
            Content::Text { text } => Some(text.as_str()),
            Content::Other => None,
        });
        let text: String = texts.collect();
        match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
            Ok(_) => Ok(text),
            Err(_) => Err(Reason::Invalid {
                what: "the answer is not JSON",
            }),
        }
    }
}

#[derive(Deserialize)]
struct ErrorReply {
    error: ErrorObject,
}

#[derive(Deserialize)]
struct ErrorObject {
    r#type: String,
    details: Option<ErrorDetails>,
}

#[derive(Deserialize)]
struct ErrorDetails {
    error_code: Option<String>,
}

/// What a status other than 200 means.
pub(super) fn reason_of(status: u16, body: &[u8], retry_after: Option<Duration>) -> Reason {
    let error = serde_json::from_slice::<ErrorReply>(body)
        .ok()
        .map(|reply| reply.error);
    let code = error
        .as_ref()
        .and_then(|error| error.details.as_ref()?.error_code.as_deref());
    match status {
        // `enforced_`, `contract_` or `linked_organization_spend_limit_reached`.
        429 if code.is_some_and(|code| code.ends_with("spend_limit_reached")) => Reason::SpendLimit,
        429 => Reason::RateLimited { retry_after },
        402 => Reason::SpendLimit,
        401 | 403 => Reason::Unauthorized,
        529 => Reason::Overloaded,
        408 | 409 | 500..=599 => Reason::Unavailable { status },
        _ => Reason::Rejected {
            status,
            kind: kind(error.as_ref().map(|error| error.r#type.as_str())),
        },
    }
}

/// The error types that the provider documents; any other word of a reply stays out of our messages.
fn kind(text: Option<&str>) -> &'static str {
    const KINDS: [&str; 6] = [
        "invalid_request_error",
        "not_found_error",
        "request_too_large",
        "conflict_error",
        "api_error",
        "billing_error",
    ];
    KINDS
        .into_iter()
        .find(|kind| Some(*kind) == text)
        .unwrap_or("unknown error type")
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
