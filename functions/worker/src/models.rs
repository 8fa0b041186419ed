//! The model's client, rebuilt when its key is rotated.

use std::sync::{Arc, Mutex, PoisonError};

use shared::domain::failure::Failure;
use shared::grading::Prompt;
use shared::llm::{Answer, Anthropic, ApiKey, Model, ModelFailure, Reason, Receipt, Settings, SettingsError};
use shared::store::Secrets;
use tokio::time::Instant;

/// The model, asked with the key that its secret holds.
#[derive(Debug)]
pub struct Models {
    secrets: Secrets,
    key_secret: Option<String>,
    settings: Settings,
    kept: Mutex<Option<(Arc<str>, Arc<Anthropic>)>>,
}

/// For whoever reads the log: what to put right.
const KEY_UNREAD: &str = "the secret that MODEL_KEY_SECRET names holds no key that can be read";

/// Nothing was sent.
fn unsent(reason: Reason, cause: &dyn std::fmt::Display) -> ModelFailure {
    tracing::error!(%cause, "no model can be called");
    ModelFailure {
        reason,
        billed: None,
        attempts: 0,
        unknown_calls: 0,
        request_id: None,
    }
}

/// While secrets cannot be read for a moment, a copy waits as it does for a provider that is away. A key that only a
/// person can put right ends it.
fn unread(failure: &Failure) -> ModelFailure {
    match failure {
        Failure::Unavailable(cause) => unsent(Reason::Unreachable, &cause.for_log()),
        Failure::Internal(cause) => {
            let cause = format!("{KEY_UNREAD}: {}", cause.for_log());
            unsent(Reason::NotConfigured, &cause)
        }
        other => unsent(Reason::NotConfigured, &other.code()),
    }
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

    async fn key(&self) -> Result<Arc<str>, Failure> {
        match &self.key_secret {
            None => Ok(Arc::from("")),
            Some(name) => self.secrets.get(name).await,
        }
    }

    /// The client. Its connections are kept between invocations. With settings and keys that cannot work the copies
    /// fail at once and say so, instead of waiting for an administrator unseen.
    async fn client(&self) -> Result<Arc<Anthropic>, ModelFailure> {
        let key = self.key().await.map_err(|failure| unread(&failure))?;
        self.client_with(key)
            .map_err(|wrong| unsent(Reason::NotConfigured, &wrong))
    }

    /// The client for a key that was read after this client's was refused; `None` when it is still the same.
    async fn with_another_key(&self, refused: &Arc<Anthropic>) -> Option<Arc<Anthropic>> {
        let name = self.key_secret.as_deref()?;
        let key = self.secrets.get_again(name).await.ok()?;
        let client = self.client_with(key).ok()?;
        if Arc::ptr_eq(&client, refused) {
            return None;
        }
        tracing::info!("the provider's key was rotated; asking again with the new one");
        Some(client)
    }

    fn client_with(&self, key: Arc<str>) -> Result<Arc<Anthropic>, SettingsError> {
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

/// Asks with the key as it is now. A key that the provider refuses may have been rotated: the secret is then read
/// once more, and what was refused (and so not billed) is asked again if the key is another.
impl Model for Models {
    async fn answer(&self, prompt: &Prompt, deadline: Instant) -> Result<Answer, ModelFailure> {
        let client = self.client().await?;
        let refused = match client.answer(prompt, deadline).await {
            Err(failure) if failure.reason == Reason::Unauthorized => failure,
            end => return end,
        };
        let Some(client) = self.with_another_key(&client).await else {
            return Err(refused);
        };
        client.answer(prompt, deadline).await
    }

    async fn warm(&self, prompt: &Prompt, deadline: Instant) -> Result<Receipt, ModelFailure> {
        let client = self.client().await?;
        let refused = match client.warm(prompt, deadline).await {
            Err(failure) if failure.reason == Reason::Unauthorized => failure,
            end => return end,
        };
        let Some(client) = self.with_another_key(&client).await else {
            return Err(refused);
        };
        client.warm(prompt, deadline).await
    }
}
