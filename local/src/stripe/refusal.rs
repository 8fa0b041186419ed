//! What Stripe says when it does not do what is asked.

use super::event::RequestMark;

/// An error answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// Stripe's `type`, such as `invalid_request_error`.
    pub kind: &'static str,
    /// Stripe's `code`, where it gives one.
    pub code: Option<&'static str>,
    /// A sentence for engineers.
    pub message: String,
    /// The parameter at fault.
    pub param: Option<String>,
    /// What the bank declined.
    pub declined: Option<Box<Declined>>,
}

/// A charge that the bank declined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declined {
    /// Why.
    pub decline_code: &'static str,
    /// The payment that failed, if there is one.
    pub payment_intent: Option<String>,
}

impl Refusal {
    /// 400, for what cannot be done now.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self {
            status: 400,
            kind: "invalid_request_error",
            code: None,
            message: message.into(),
            param: None,
            declined: None,
        }
    }

    /// 400 with a code.
    pub fn coded(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code: Some(code),
            ..Self::invalid(message)
        }
    }

    /// 400, for a parameter.
    pub fn param(code: &'static str, param: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            param: Some(param.into()),
            ..Self::coded(code, message)
        }
    }

    /// 400, for a parameter that must be there.
    #[must_use]
    pub fn absent(param: &str) -> Self {
        Self::param(
            "parameter_missing",
            param,
            format!("Missing required param: {param}."),
        )
    }

    /// 404, for an object that is not there: `what` as Stripe calls it, such as `customer`.
    #[must_use]
    pub fn missing(what: &str, id: &str) -> Self {
        Self {
            status: 404,
            ..Self::param("resource_missing", "id", format!("No such {what}: '{id}'"))
        }
    }

    /// The same for an object that a parameter names: Stripe answers 400.
    #[must_use]
    pub fn missing_in(param: &str, what: &str, id: &str) -> Self {
        Self::param("resource_missing", param, format!("No such {what}: '{id}'"))
    }

    /// 402: the bank said no.
    #[must_use]
    pub fn declined(decline_code: &'static str, payment_intent: Option<String>) -> Self {
        let (code, message) = match decline_code {
            "authentication_required" => (
                "authentication_required",
                "Your card was declined. This transaction requires authentication.",
            ),
            _ => ("card_declined", "Your card was declined."),
        };
        Self {
            status: 402,
            kind: "card_error",
            declined: Some(Box::new(Declined {
                decline_code,
                payment_intent,
            })),
            ..Self::coded(code, message)
        }
    }

    /// 400: the key was used with other parameters.
    #[must_use]
    pub fn other_parameters(mark: &RequestMark) -> Self {
        let key = mark.idempotency_key.as_deref().unwrap_or_default();
        Self {
            kind: "idempotency_error",
            ..Self::invalid(format!(
                "Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '{key}' if you meant to execute a different request."
            ))
        }
    }

    /// 401.
    #[must_use]
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self {
            status: 401,
            ..Self::invalid(message)
        }
    }

    /// 429.
    #[must_use]
    pub fn rate_limited() -> Self {
        Self {
            status: 429,
            ..Self::coded("rate_limit", "Request rate limit exceeded.")
        }
    }

    /// 500 or 503.
    #[must_use]
    pub fn server_error(status: u16) -> Self {
        Self {
            status,
            kind: "api_error",
            ..Self::invalid("An unknown error occurred.")
        }
    }
}
