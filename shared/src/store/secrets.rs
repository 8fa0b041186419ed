//! Secrets: read from Secrets Manager, kept in memory for a while, so that they rotate without a deploy.

use aws_sdk_secretsmanager::Client;
use futures::future::BoxFuture;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::failed;
use crate::clock::Clock;
use crate::domain::failure::{Failure, Internal};

const KEEP_MILLIS: i64 = 300_000;
/// A provider that refuses every call does not make us read the secret with each.
const AGAIN_MILLIS: i64 = 5_000;

/// A secret in memory.
#[derive(Clone)]
struct Kept {
    read_at: i64,
    /// When it was last asked for, in vain or not.
    tried_at: i64,
    value: Arc<str>,
}

/// Reads and keeps secrets. They are never logged: this has no `Debug` that shows one.
#[derive(Clone)]
pub struct Secrets {
    client: Client,
    clock: Clock,
    kept: Arc<Mutex<HashMap<String, Kept>>>,
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
    /// None is kept, and it cannot be read: `Unavailable` when time may heal that, `Internal` when only a person can,
    /// because the secret is not there, is empty, or may not be read.
    pub async fn get(&self, name: &str) -> Result<Arc<str>, Failure> {
        match self.kept(name) {
            Some(kept) if self.since(kept.read_at) < KEEP_MILLIS => Ok(kept.value),
            kept => self.read(name, kept).await,
        }
    }

    /// The secret for one whose value was refused: read anew, but for what was asked for seconds ago.
    ///
    /// # Errors
    /// As [`Secrets::get`].
    pub async fn get_again(&self, name: &str) -> Result<Arc<str>, Failure> {
        match self.kept(name) {
            Some(kept) if self.since(kept.tried_at) < AGAIN_MILLIS => Ok(kept.value),
            kept => self.read(name, kept).await,
        }
    }

    async fn read(&self, name: &str, kept: Option<Kept>) -> Result<Arc<str>, Failure> {
        let now = self.clock.now_millis();
        let fresh = match (self.ask(name).await, kept) {
            (Ok(value), _) => Kept {
                read_at: now,
                tried_at: now,
                value,
            },
            // An old key is better than no service while Secrets Manager is away.
            (Err(_), Some(kept)) => Kept {
                tried_at: now,
                ..kept
            },
            (Err(failure), None) => return Err(failure),
        };
        let value = fresh.value.clone();
        self.all().insert(name.to_owned(), fresh);
        Ok(value)
    }

    async fn ask(&self, name: &str) -> Result<Arc<str>, Failure> {
        let asked = self.client.get_secret_value().secret_id(name).send().await;
        let found = asked.map_err(|error| failed(&format!("GetSecretValue {name}"), &error))?;
        match found.secret_string().unwrap_or_default().trim() {
            "" => Err(Failure::Internal(Internal::new(format!(
                "the secret {name} is empty"
            )))),
            value => Ok(value.into()),
        }
    }

    fn kept(&self, name: &str) -> Option<Kept> {
        self.all().get(name).cloned()
    }

    fn since(&self, at: i64) -> i64 {
        self.clock.now_millis().saturating_sub(at)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
