//! How a call at Stripe ends without its answer.

use serde::Deserialize;

use crate::domain::failure::{Failure, Internal};

/// Why a call has no answer. Stripe's sentences are dropped, they may quote what a person typed; its codes are a
/// fixed vocabulary and may be logged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The bank refuses the card; with the reason's code.
    #[error("the card was declined ({0})")]
    Declined(String),
    /// What the request names does not exist, or no longer.
    #[error("Stripe does not know it")]
    Missing,
    /// The idempotency key belongs to a request with other content.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// The request does not fit the state of things, or the key may not make it.
    #[error("Stripe refuses: {status} {code}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Stripe's code.
        code: String,
    },
    /// No answer in time, or one that cannot be read: asking later may help.
    #[error("Stripe does not answer: {0}")]
    Unavailable(String),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let text = Internal::new(refusal.to_string());
        match refusal {
            Refusal::Unavailable(_) => Self::Unavailable(text),
            Refusal::Declined(_) | Refusal::Missing | Refusal::KeyReused | Refusal::Refused { .. } => {
                Self::Internal(text)
            }
        }
    }
}

#[derive(Default, Deserialize)]
struct Body {
    #[serde(default)]
    error: Said,
}

#[derive(Default, Deserialize)]
struct Said {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    decline_code: Option<String>,
}

impl Refusal {
    /// What a reply that is no success says.
    pub(super) fn of(status: u16, body: &[u8]) -> Self {
        let Said {
            kind,
            code,
            decline_code,
        } = serde_json::from_slice::<Body>(body).unwrap_or_default().error;
        match (status, kind.as_str(), code.as_deref()) {
            (_, _, Some("resource_missing")) | (404, ..) => Self::Missing,
            (_, "card_error", _) | (402, ..) => Self::Declined(plain(decline_code.or(code))),
            (_, "idempotency_error", _) => Self::KeyReused,
            (409 | 429 | 500.., ..) => Self::Unavailable(format!("{status} {}", plain(code))),
            _ => Self::Refused {
                status,
                code: plain(code.or(Some(kind))),
            },
        }
    }

    /// Whether the same request is worth repeating at once. Stripe's own word (`Stripe-Should-Retry`) comes first.
    pub(super) fn passes(&self, told: Option<bool>) -> bool {
        told.unwrap_or(matches!(self, Self::Unavailable(_)))
    }
}

/// A code as Stripe spells them; anything else is not worth a line in the log.
fn plain(code: Option<String>) -> String {
    let spelled = |text: &String| {
        let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        !text.is_empty() && text.len() <= 64 && text.chars().all(known)
    };
    code.filter(spelled).unwrap_or_else(|| "no_code".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stripe_says_is_told_apart_and_no_sentence_is_kept() {
        let refused = |status, code: &str| Refusal::Refused {
            status,
            code: code.to_owned(),
        };
        let unavailable = |text: &str| Refusal::Unavailable(text.to_owned());
        let cases = [
            (
                402,
                r#"{"error":{"type":"card_error","code":"card_declined","decline_code":"insufficient_funds"}}"#,
                Refusal::Declined("insufficient_funds".to_owned()),
            ),
            (
                404,
                r#"{"error":{"type":"invalid_request_error","code":"resource_missing"}}"#,
                Refusal::Missing,
            ),
            (
                400,
                r#"{"error":{"type":"invalid_request_error","code":"resource_missing","param":"customer"}}"#,
                Refusal::Missing,
            ),
            (
                400,
                r#"{"error":{"type":"idempotency_error"}}"#,
                Refusal::KeyReused,
            ),
            (
                400,
                r#"{"error":{"type":"invalid_request_error","code":"Marie <marie@example.fr>"}}"#,
                refused(400, "no_code"),
            ),
            (
                401,
                r#"{"error":{"type":"invalid_request_error"}}"#,
                refused(401, "invalid_request_error"),
            ),
            (
                409,
                r#"{"error":{"type":"invalid_request_error","code":"lock_timeout"}}"#,
                unavailable("409 lock_timeout"),
            ),
            (
                429,
                r#"{"error":{"type":"invalid_request_error","code":"rate_limit"}}"#,
                unavailable("429 rate_limit"),
            ),
            (503, "<html>", unavailable("503 no_code")),
        ];
        for (status, body, expected) in cases {
            assert_eq!(Refusal::of(status, body.as_bytes()), expected, "{body}");
        }
    }
}
