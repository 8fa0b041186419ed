//! The functions' environment. Every variable that any function reads is named here, and the template is tested
//! against the names that each `main.rs` uses.

/// The variables.
pub mod variable {
    /// Name of the table.
    pub const TABLE_NAME: &str = "TABLE_NAME";
    /// Name of the bucket.
    pub const BUCKET_NAME: &str = "BUCKET_NAME";
    /// URL of the work queue.
    pub const QUEUE_URL: &str = "QUEUE_URL";
    /// Secret with the public keys that session tokens are checked with (PEM, newest first).
    pub const SESSION_KEY_SECRET: &str = "SESSION_KEY_SECRET";
    /// The provider: `anthropic`.
    pub const MODEL_PROVIDER: &str = "MODEL_PROVIDER";
    /// The model, for all phases.
    pub const MODEL: &str = "MODEL";
    /// The provider's address.
    pub const MODEL_BASE_URL: &str = "MODEL_BASE_URL";
    /// Secret with the provider's key.
    pub const MODEL_KEY_SECRET: &str = "MODEL_KEY_SECRET";
    /// Price rows that replace or extend the built-in ones (JSON), optional.
    pub const PRICES_OVERRIDE: &str = "PRICES_OVERRIDE";
    /// URL of the billing queue.
    pub const BILLING_QUEUE_URL: &str = "BILLING_QUEUE_URL";
    /// What is sold (JSON), optional.
    pub const CATALOGUE: &str = "CATALOGUE";
    /// Stripe's address, optional.
    pub const STRIPE_BASE_URL: &str = "STRIPE_BASE_URL";
    /// Secret with the key that calls Stripe.
    pub const STRIPE_KEY_SECRET: &str = "STRIPE_KEY_SECRET";
    /// Secret with what Stripe signs its events with (one or two, the new one first).
    pub const STRIPE_SIGNING_SECRET: &str = "STRIPE_SIGNING_SECRET";
    /// Id of the configuration of Stripe's portal, optional: without it, Stripe's default one.
    pub const STRIPE_PORTAL_CONFIGURATION: &str = "STRIPE_PORTAL_CONFIGURATION";
    /// Whether Stripe's events are about real money: `true` or `false`.
    pub const STRIPE_LIVEMODE: &str = "STRIPE_LIVEMODE";
    /// Where the web app is, as `https://corrigeuse.example`: Stripe's pages send the browser back there, and
    /// letters lead there.
    pub const WEB_ORIGIN: &str = "WEB_ORIGIN";
    /// The address that letters come from, optional: without it none is sent.
    pub const MAIL_FROM: &str = "MAIL_FROM";
    /// The address that answers to letters go to, optional.
    pub const MAIL_REPLY_TO: &str = "MAIL_REPLY_TO";
    /// How long a worker holds a copy. Unit: seconds.
    pub const LEASE_SECONDS: &str = "LEASE_SECONDS";
}

/// A variable that a function cannot start without, or cannot read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misconfigured {
    /// It is not set.
    #[error(
        "environment variable {0} is not set: set it in template.yaml (or let the local supervisor do it)"
    )]
    Missing(&'static str),
    /// It cannot be read.
    #[error("environment variable {0} cannot be read: {1}")]
    Invalid(&'static str, String),
}

/// The variable's value.
///
/// # Errors
/// `Missing` when it is unset or empty.
pub fn required(name: &'static str) -> Result<String, Misconfigured> {
    optional(name).ok_or(Misconfigured::Missing(name))
}

/// The variable's value, if it has one.
#[must_use]
pub fn optional(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The variable's value as JSON, or the default when it is unset.
///
/// # Errors
/// `Invalid` when it is set and not that JSON.
pub fn json_or_default<T: serde::de::DeserializeOwned + Default>(
    name: &'static str,
) -> Result<T, Misconfigured> {
    optional(name).map_or_else(
        || Ok(T::default()),
        |text| serde_json::from_str(&text).map_err(|error| Misconfigured::Invalid(name, error.to_string())),
    )
}

/// The variable's value, which is `true` or `false`.
///
/// # Errors
/// `Missing` when it is unset, `Invalid` when it is anything else.
pub fn flag(name: &'static str) -> Result<bool, Misconfigured> {
    required(name)?
        .parse()
        .map_err(|_| Misconfigured::Invalid(name, "it is neither true nor false".to_owned()))
}

/// The variable's value as a number, or `default` when it is unset.
///
/// # Errors
/// `Invalid` when it is set and not a number.
pub fn number_or(name: &'static str, default: i64) -> Result<i64, Misconfigured> {
    optional(name).map_or(Ok(default), |text| {
        text.parse()
            .map_err(|_| Misconfigured::Invalid(name, format!("{text} is not a number")))
    })
}
