//! Secrets: read from Secrets Manager, kept in memory for a while, so that they rotate without a deploy.

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::DisplayErrorContext;
use futures::future::BoxFuture;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Clock;
use crate::domain::failure::{Failure, Internal};

const KEEP_MILLIS: i64 = 300_000;

/// By name: when it was read, and what it held.
type Kept = HashMap<String, (i64, Arc<str>)>;

/// Reads and keeps secrets. They are never logged: this has no `Debug` that shows one.
#[derive(Clone)]
pub struct Secrets {
    client: Client,
    clock: Clock,
    kept: Arc<Mutex<Kept>>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(…)")
    }
}

impl Secrets {
    /// Secrets of this account and region.
    #[must_use]
    pub fn new(client: Client, clock: Clock) -> Self {
        Self {
            client,
            clock,
            kept: Arc::default(),
        }
    }

    /// Where the secret with this name or ARN is asked for, again and again: see [`Secrets::get`].
    pub fn source(self, name: String) -> impl Fn() -> BoxFuture<'static, Result<Arc<str>, Failure>> {
        move || {
            let (secrets, name) = (self.clone(), name.clone());
            Box::pin(async move { secrets.get(&name).await })
        }
    }

    /// The secret with this name or ARN, at most five minutes old.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be read and none is kept.
    pub async fn get(&self, name: &str) -> Result<Arc<str>, Failure> {
        let now = self.clock.now_millis();
        let kept = self
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned();
        if let Some((at, value)) = &kept
            && now.saturating_sub(*at) < KEEP_MILLIS
        {
            return Ok(value.clone());
        }
        let read = self.client.get_secret_value().secret_id(name).send().await;
        match (read, kept) {
            (Ok(found), _) => {
                let value: Arc<str> = found.secret_string().unwrap_or_default().trim().into();
                self.kept
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(name.to_owned(), (now, value.clone()));
                Ok(value)
            }
            // An old key is better than no service while Secrets Manager is away.
            (Err(_), Some((_, value))) => Ok(value),
            (Err(error), None) => Err(Failure::Unavailable(Internal::new(format!(
                "GetSecretValue {name}: {}",
                DisplayErrorContext(&error)
            )))),
        }
    }
}
