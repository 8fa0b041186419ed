//! Reading requests as strictly as the real provider does.

use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;
use shared::llm::prices::{PriceRow, Prices};

use super::cache::Ttl;
use super::reply::Refusal;
use super::{Question, Shown, image, schema, tokens};

/// The provider's bound on a request.
pub(super) const BYTES_MAX: usize = 32 * 1024 * 1024;
const VERSIONS: [&str; 2] = ["2026-10-21", "2023-06-01"];
const MARKS_MAX: usize = 4;
/// With more images than this in a request, the shorter bound on their sides holds.
const MANY_IMAGES: usize = 20;
const MANY_IMAGES_SIDE_MAX: u64 = 2000;

/// A valid request.
pub(super) struct Asked {
    pub(super) model: String,
    pub(super) cache_prefix_tokens_min: u64,
    pub(super) output_tokens_max: u64,
    /// As JSON. The provider renders it into the prompt, so it is part of every prefix.
    pub(super) output_config: String,
    /// The whole prompt: system blocks, then messages.
    pub(super) blocks: Vec<PromptBlock>,
    pub(super) question: Question,
}

/// One block of the prompt, as the cache sees it.
pub(super) struct PromptBlock {
    /// Role, type and content, without the mark.
    pub(super) bytes: Vec<u8>,
    pub(super) tokens: u64,
    pub(super) mark: Option<Ttl>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    model: String,
    max_tokens: u64,
    messages: Vec<Message>,
    system: Option<Value>,
    output_config: Option<OutputConfig>,
    #[serde(rename = "metadata")]
    _metadata: Option<Metadata>,
    stream: Option<bool>,
    #[serde(rename = "thinking")]
    _thinking: Option<Thinking>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    role: Role,
    content: Value,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Role {
    User,
    Assistant,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    #[serde(rename = "user_id")]
    _user_id: Option<String>,
}

/// Current models always think; only the adaptive mode can be asked for.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Thinking {
    Adaptive {},
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OutputConfig {
    #[serde(rename = "effort")]
    _effort: Option<Effort>,
    format: Option<Format>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Effort {
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Format {
    JsonSchema { schema: Value },
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Block {
    Text {
        text: String,
        cache_control: Option<CacheControl>,
    },
    Image {
        source: Source,
        cache_control: Option<CacheControl>,
    },
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Source {
    Base64 { media_type: String, data: String },
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum CacheControl {
    Ephemeral { ttl: Option<String> },
}

/// Checks the headers, and returns the key.
pub(super) fn check_headers(headers: &HeaderMap) -> Result<String, Refusal> {
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let key = text("x-api-key");
    if key.is_empty() {
        return Err(Refusal::unauthorized("x-api-key header is required"));
    }
    match text("anthropic-version") {
        "" => return Err(Refusal::invalid("anthropic-version: header is required")),
        version if VERSIONS.contains(&version) => {}
        version => {
            return Err(Refusal::invalid(format!(
                "anthropic-version: \"{version}\" is not valid"
            )));
        }
    }
    if !text("content-type").starts_with("application/json") {
        return Err(Refusal::invalid("content-type: must be application/json"));
    }
    Ok(key.to_owned())
}

/// Reads and checks a body.
pub(super) fn parse(body: &[u8], prices: &Prices) -> Result<Asked, Refusal> {
    let invalid = |error: serde_json::Error| Refusal::invalid(error.to_string());
    let value: Value = serde_json::from_slice(body).map_err(invalid)?;
    for parameter in ["temperature", "top_p", "top_k"] {
        if value.get(parameter).is_some() {
            return Err(Refusal::invalid(format!(
                "{parameter}: Extra inputs are not permitted"
            )));
        }
    }
    let output_config = value
        .get("output_config")
        .map(Value::to_string)
        .unwrap_or_default();
    let request: Request = serde_json::from_value(value).map_err(invalid)?;
    let row = known_model(&request.model, prices)?;
    let format = request.output_config.and_then(|config| config.format);
    let schema = format.map(|Format::JsonSchema { schema }| schema);
    if let Some(schema) = &schema {
        schema::check(schema).map_err(Refusal::invalid)?;
    }
    check_bounds(
        request.max_tokens,
        row,
        request.stream == Some(true),
        schema.is_some(),
    )?;

    let mut reader = Reader::default();
    if let Some(system) = request.system {
        reader.system(system)?;
    }
    reader.messages(request.messages)?;
    reader.check_marks()?;
    Ok(Asked {
        model: request.model,
        cache_prefix_tokens_min: u64::from(row.cache_prefix_tokens_min),
        output_tokens_max: request.max_tokens,
        output_config,
        blocks: reader.blocks,
        question: Question {
            system: reader.system.join("\n"),
            shown: reader.shown,
            schema,
        },
    })
}

fn known_model<'a>(model: &str, prices: &'a Prices) -> Result<&'a PriceRow, Refusal> {
    let rows = prices.rows().iter();
    rows.rev()
        .find(|row| row.model == model)
        .ok_or_else(|| Refusal::unknown_model(model))
}

/// `max_tokens: 0` fills the cache; it is refused beside all that implies an answer.
fn check_bounds(max_tokens: u64, row: &PriceRow, stream: bool, schema: bool) -> Result<(), Refusal> {
    let most = u64::from(row.output_tokens_max);
    if max_tokens > most {
        let model = &row.model;
        return Err(Refusal::invalid(format!(
            "max_tokens: {max_tokens} > {most}, the most for {model}"
        )));
    }
    if max_tokens == 0 && (stream || schema) {
        return Err(Refusal::invalid(
            "max_tokens: 0 cannot be combined with stream or output_config.format",
        ));
    }
    if stream {
        return Err(Refusal::invalid("stream: the local provider does not stream"));
    }
    Ok(())
}

#[derive(Default)]
struct Reader {
    blocks: Vec<PromptBlock>,
    system: Vec<String>,
    shown: Vec<Shown>,
    image_side_max: u64,
}

impl Reader {
    fn system(&mut self, system: Value) -> Result<(), Refusal> {
        for (index, block) in blocks_of(system, "system")?.into_iter().enumerate() {
            let path = format!("system.{index}");
            match self.push(block, &path, "system")? {
                Shown::Text(text) => self.system.push(text),
                Shown::Image(_) => return Err(Refusal::invalid(format!("{path}.type: must be text"))),
            }
        }
        Ok(())
    }

    fn messages(&mut self, messages: Vec<Message>) -> Result<(), Refusal> {
        let ends = (
            messages.first().map(|message| message.role),
            messages.last().map(|message| message.role),
        );
        match ends {
            (Some(Role::User), Some(Role::User)) => {}
            (None, _) => return Err(Refusal::invalid("messages: at least one message is required")),
            (Some(Role::Assistant), _) => {
                return Err(Refusal::invalid(
                    "messages: first message must use the \"user\" role",
                ));
            }
            (Some(Role::User), _) => {
                return Err(Refusal::invalid(
                    "This model does not support assistant message prefill.",
                ));
            }
        }
        for (index, message) in messages.into_iter().enumerate() {
            let path = format!("messages.{index}.content");
            let role = if message.role == Role::User {
                "user"
            } else {
                "assistant"
            };
            let blocks = blocks_of(message.content, &path)?;
            if blocks.is_empty() {
                return Err(Refusal::invalid(format!("{path}: must not be empty")));
            }
            for (number, block) in blocks.into_iter().enumerate() {
                let shown = self.push(block, &format!("{path}.{number}"), role)?;
                if message.role == Role::User {
                    self.shown.push(shown);
                }
            }
        }
        let images = self
            .shown
            .iter()
            .filter(|shown| matches!(shown, Shown::Image(_)))
            .count();
        if images > MANY_IMAGES && self.image_side_max > MANY_IMAGES_SIDE_MAX {
            return Err(Refusal::invalid(
                "At least one image exceeds 2000 pixels in a many-image request",
            ));
        }
        Ok(())
    }

    /// Checks a block and adds it to the prompt.
    fn push(&mut self, block: Block, path: &str, role: &str) -> Result<Shown, Refusal> {
        let invalid = |what: &str| Refusal::invalid(format!("{path}.{what}"));
        let (shown, kind, tokens, mark) = match block {
            Block::Text { text, cache_control } => {
                if text.trim().is_empty() {
                    return Err(invalid(
                        "text: text content blocks must contain non-whitespace text",
                    ));
                }
                let tokens = tokens::of_text(&text);
                (Shown::Text(text), "text", tokens, cache_control)
            }
            Block::Image {
                source: Source::Base64 { media_type, data },
                cache_control,
            } => {
                let bytes = STANDARD
                    .decode(data)
                    .map_err(|_| invalid("source.data: invalid base64 data"))?;
                let (width, height) = image::size(&media_type, &bytes).map_err(invalid)?;
                self.image_side_max = self.image_side_max.max(width).max(height);
                (
                    Shown::Image(bytes),
                    "image",
                    tokens::of_image(width, height),
                    cache_control,
                )
            }
        };
        let mark = match mark {
            None => None,
            Some(CacheControl::Ephemeral { ttl }) => match ttl.as_deref() {
                None | Some("5m") => Some(Ttl::FiveMinutes),
                Some("1h") => Some(Ttl::OneHour),
                Some(_) => {
                    return Err(invalid(
                        "cache_control.ephemeral.ttl: Input should be '5m' or '1h'",
                    ));
                }
            },
        };
        let content = match &shown {
            Shown::Text(text) => text.as_bytes(),
            Shown::Image(bytes) => bytes,
        };
        let bytes = [role.as_bytes(), b"\0", kind.as_bytes(), b"\0", content].concat();
        self.blocks.push(PromptBlock { bytes, tokens, mark });
        Ok(shown)
    }

    fn check_marks(&self) -> Result<(), Refusal> {
        let marks: Vec<Ttl> = self.blocks.iter().filter_map(|block| block.mark).collect();
        if marks.len() > MARKS_MAX {
            let found = marks.len();
            let message =
                format!("A maximum of {MARKS_MAX} blocks with cache_control may be provided. Found {found}.");
            return Err(Refusal::invalid(message));
        }
        if !marks.is_sorted_by(|one, next| one >= next) {
            return Err(Refusal::invalid(
                "cache_control: a 1h mark must not come after a 5m mark",
            ));
        }
        Ok(())
    }
}

/// A string is short for one text block.
fn blocks_of(content: Value, path: &str) -> Result<Vec<Block>, Refusal> {
    match content {
        Value::String(text) => Ok(vec![Block::Text {
            text,
            cache_control: None,
        }]),
        Value::Array(blocks) => {
            let read = |(index, block)| {
                serde_json::from_value(block)
                    .map_err(|error| Refusal::invalid(format!("{path}.{index}: {error}")))
            };
            blocks.into_iter().enumerate().map(read).collect()
        }
        _ => Err(Refusal::invalid(format!(
            "{path}: Input should be a string or an array of blocks"
        ))),
    }
}
