//! The model's client, rebuilt when its key is rotated.

use std::sync::{Arc, Mutex, PoisonError};

use shared::domain::failure::Failure;
use shared::grading::Prompt;
use shared::llm::{Answer, Anthropic, ApiKey, Model, ModelFailure, Reason, Receipt, Settings, SettingsError};
use shared::store::Secrets;
use tokio::time::Instant;

/// Makes the client, with the key as it is now.
#[derive(Debug)]
pub struct Models {
    secrets: Secrets,
    key_secret: Option<String>,
    settings: Settings,
    kept: Mutex<Option<(Arc<str>, Arc<Anthropic>)>>,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum NoModel {
    /// The settings or the key cannot work.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The key cannot be read.
    #[error("the model's key cannot be read from its secret: {0}")]
    Secret(String),
}

impl Models {
    /// Clients with these settings, and the key that `key_secret` holds.
    #[must_use]
    pub fn new(secrets: Secrets, key_secret: Option<String>, settings: Settings) -> Self {
        Self {
            secrets,
            key_secret,
            settings,
            kept: Mutex::new(None),
        }
    }

    /// The client. Its connections are kept between invocations.
    ///
    /// # Errors
    /// [`NoModel`]: the invocation then fails, and its messages come back.
    pub async fn current(&self) -> Result<Arc<Anthropic>, NoModel> {
        let key: Arc<str> = match &self.key_secret {
            None => Arc::from(""),
            Some(name) => self.secrets.get(name).await.map_err(|failure| match failure {
                Failure::Unavailable(cause) | Failure::Internal(cause) => {
                    NoModel::Secret(cause.for_log().to_owned())
                }
                other => NoModel::Secret(other.code().to_owned()),
            })?,
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, client)) = &*kept
            && *of == key
        {
            return Ok(client.clone());
        }
        let client = Arc::new(
            Settings {
                key: ApiKey::new(&key),
                ..self.settings.clone()
            }
            .build()?,
        );
        *kept = Some((key, client.clone()));
        Ok(client)
    }
}

/// What stands in for a model when there is no key for one: every call fails as an account that is refused.
#[derive(Debug, Clone, Copy)]
pub struct NoKey;

impl NoKey {
    const fn failure() -> ModelFailure {
        ModelFailure {
            reason: Reason::Unauthorized,
            billed: None,
            attempts: 0,
            unknown_calls: 0,
            request_id: None,
        }
    }
}

impl Model for NoKey {
    async fn answer(&self, _: &Prompt, _: Instant) -> Result<Answer, ModelFailure> {
        Err(Self::failure())
    }

    async fn warm(&self, _: &Prompt, _: Instant) -> Result<Receipt, ModelFailure> {
        Err(Self::failure())
    }
}
