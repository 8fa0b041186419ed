//! Which model to call, where, and with which key.

use std::time::Duration;

use super::anthropic::Anthropic;
use super::retry::{Pace, Policy};

/// A provider's secret key. Never printed, never serialised.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// Takes a key as read from its store; surrounding white space is dropped. `None` if nothing is left.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiKey(hidden)")
    }
}

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// Anthropic Messages.
    Anthropic,
    /// The local provider: the same wire format, on this machine, with the demo grader behind it.
    Local,
}

impl Provider {
    const ALL: [Self; 2] = [Self::Anthropic, Self::Local];

    /// The name used in settings, price rows and records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::Local => "local",
        }
    }
}

impl std::str::FromStr for Provider {
    type Err = SettingsError;
    fn from_str(text: &str) -> Result<Self, SettingsError> {
        Self::ALL
            .into_iter()
            .find(|provider| provider.as_str() == text)
            .ok_or_else(|| SettingsError::UnknownProvider(text.to_owned()))
    }
}

/// How long the provider keeps a prefix. Writing for an hour costs more (2x input instead of 1.25x).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CacheTtl {
    /// Five minutes, refreshed by every read: for a live run.
    #[default]
    FiveMinutes,
    /// One hour: for slow queues.
    OneHour,
}

/// How much the model thinks. Current models always think, and bill it as output; unset means `high` on
/// Sonnet 5.5, which no class budget holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the provider's own scale, which has no other meaning")]
pub enum Effort {
    #[default]
    Low,
    Medium,
    High,
}

/// Everything that a client needs, as read from the environment and the secret store.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who answers.
    pub provider: Provider,
    /// The model's name at the provider.
    pub model: String,
    /// Where, without a path; the provider's own address if `None`.
    pub base_url: Option<String>,
    /// The key. Only a provider on this machine does without.
    pub key: Option<ApiKey>,
    /// How long prefixes are cached.
    pub cache_ttl: CacheTtl,
    /// How much the model thinks.
    pub effort: Effort,
    /// The longest wait for a connection.
    pub connect_timeout: Duration,
    /// The longest wait for one whole answer.
    pub attempt_timeout: Duration,
    /// When to ask again.
    pub retry: Policy,
    /// How waits pass.
    pub pace: Pace,
}

impl Settings {
    /// A client's settings with everything at its default.
    #[must_use]
    pub fn new(provider: Provider, model: &str) -> Self {
        Self {
            provider,
            model: model.to_owned(),
            base_url: None,
            key: None,
            cache_ttl: CacheTtl::default(),
            effort: Effort::default(),
            connect_timeout: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(120),
            retry: Policy::default(),
            pace: Pace::real(),
        }
    }

    /// Makes the client: quick, and without a call to the provider.
    ///
    /// # Errors
    /// [`SettingsError`] for an address or a key that cannot work.
    pub fn build(self) -> Result<Anthropic, SettingsError> {
        Anthropic::new(self)
    }

    /// The address to call, once it is known to be safe to send a key there.
    pub(super) fn endpoint(&self) -> Result<reqwest::Url, SettingsError> {
        let base = match (&self.base_url, self.provider) {
            (Some(base), _) => base.as_str(),
            (None, Provider::Anthropic) => "https://api.anthropic.com",
            (None, Provider::Local) => return Err(SettingsError::NoAddress),
        };
        let bad = || SettingsError::BadAddress(base.to_owned());
        let url = reqwest::Url::parse(base).map_err(|_| bad())?;
        let local = is_loopback(&url);
        let safe = url.scheme() == "https" || (url.scheme() == "http" && local);
        if !safe || !url.username().is_empty() || url.password().is_some() {
            return Err(bad());
        }
        if self.provider == Provider::Local && !local {
            return Err(SettingsError::NotLocal(base.to_owned()));
        }
        url.join("/v1/messages").map_err(|_| bad())
    }

    /// The key to send to `endpoint`.
    pub(super) fn key_for(&self, endpoint: &reqwest::Url) -> Result<ApiKey, SettingsError> {
        match &self.key {
            Some(key) => Ok(key.clone()),
            None if is_loopback(endpoint) => Ok(ApiKey("local".to_owned())),
            None => Err(SettingsError::NoKey(self.provider.as_str())),
        }
    }
}

fn is_loopback(url: &reqwest::Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

/// Settings that cannot work; found when the client is built. Copies then fail with the reason, at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// No such provider.
    #[error("unknown model provider `{0}`; known: anthropic, local")]
    UnknownProvider(String),
    /// A provider that needs a key has none.
    #[error(
        "provider `{0}` needs a key: set MODEL_KEY_SECRET to the secret that holds it, or use provider `local`"
    )]
    NoKey(&'static str),
    /// A key that no HTTP header can carry.
    #[error("the provider's key holds characters that no HTTP header can carry")]
    BadKey,
    /// The local provider listens on a port that only its starter knows.
    #[error("provider `local` needs MODEL_BASE_URL, for example http://127.0.0.1:8788")]
    NoAddress,
    /// Not an address that a key may be sent to.
    #[error(
        "MODEL_BASE_URL `{0}` must be https://host, or http:// on this machine, without user or password"
    )]
    BadAddress(String),
    /// The demo grader answers on this machine only.
    #[error("provider `local` must be on this machine, not `{0}`")]
    NotLocal(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint_and_key(
        provider: Provider,
        base: Option<&str>,
        key: Option<&str>,
    ) -> Result<String, SettingsError> {
        let mut settings = Settings::new(provider, "claude-sonnet-5-5");
        settings.base_url = base.map(str::to_owned);
        settings.key = key.and_then(ApiKey::new);
        let endpoint = settings.endpoint()?;
        settings.key_for(&endpoint)?;
        Ok(endpoint.to_string())
    }

    #[test]
    fn a_key_goes_only_where_it_is_safe_and_is_missing_only_on_this_machine() {
        use Provider::{Anthropic, Local};
        let official = "https://api.anthropic.com/v1/messages";
        let local = "http://127.0.0.1:8788/v1/messages";
        let bad = |base: &str| Err(SettingsError::BadAddress(base.to_owned()));
        let cases = [
            (Anthropic, None, Some("k"), Ok(official.to_owned())),
            (Anthropic, None, None, Err(SettingsError::NoKey("anthropic"))),
            (
                Anthropic,
                None,
                Some("  \n"),
                Err(SettingsError::NoKey("anthropic")),
            ),
            (
                Anthropic,
                Some("http://127.0.0.1:8788"),
                None,
                Ok(local.to_owned()),
            ),
            (
                Anthropic,
                Some("http://example.org"),
                Some("k"),
                bad("http://example.org"),
            ),
            (
                Anthropic,
                Some("https://u:p@example.org"),
                Some("k"),
                bad("https://u:p@example.org"),
            ),
            (
                Anthropic,
                Some("not an address"),
                Some("k"),
                bad("not an address"),
            ),
            (Local, Some("http://127.0.0.1:8788"), None, Ok(local.to_owned())),
            (
                Local,
                Some("http://[::1]:8788"),
                None,
                Ok("http://[::1]:8788/v1/messages".to_owned()),
            ),
            (Local, None, None, Err(SettingsError::NoAddress)),
            (
                Local,
                Some("https://a.org"),
                None,
                Err(SettingsError::NotLocal("https://a.org".to_owned())),
            ),
        ];
        for (provider, base, key, expected) in cases {
            assert_eq!(
                endpoint_and_key(provider, base, key),
                expected,
                "{provider:?} {base:?} {key:?}"
            );
        }
    }

    #[test]
    fn a_key_is_never_printed() {
        let mut settings = Settings::new(Provider::Anthropic, "claude-sonnet-5-5");
        settings.key = ApiKey::new(" sk-secret ");
        assert!(!format!("{settings:?}").contains("secret"));
    }

    #[test]
    fn an_unknown_provider_is_named_with_those_that_are_known() {
        let error = "mistral".parse::<Provider>().unwrap_err().to_string();
        assert!(
            error.contains("mistral") && error.contains("anthropic"),
            "{error}"
        );
    }
}
