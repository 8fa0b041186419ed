//! The secrets of the local system, kept in the emulator's Secrets Manager as on AWS.

use anyhow::ensure;
use aws_sdk_secretsmanager::error::DisplayErrorContext;

use super::{Provider, SessionKey};
use crate::emulator::sdk_config;

pub(super) const SESSION_KEY_SECRET: &str = "corrigeuse/local/session-key";
pub(super) const MODEL_KEY_SECRET: &str = "corrigeuse/local/model-key";
/// What the local provider takes for a key; it asks for one, as a real one does.
pub(super) const LOCAL_MODEL_KEY: &str = "local";
pub(super) const STRIPE_KEY_SECRET: &str = "corrigeuse/local/stripe-key";
pub(super) const STRIPE_SIGNING_SECRET: &str = "corrigeuse/local/stripe-signing";
/// What the local Stripe takes for a key, and signs with.
pub(super) const LOCAL_STRIPE_KEY: &str = "sk_test_local";
pub(super) const LOCAL_STRIPE_SIGNING: &str = "whsec_local";

/// Creates the secrets, or gives them their present values.
pub(super) async fn keep(
    endpoint: &str,
    session_key: &SessionKey,
    provider: &Provider,
) -> anyhow::Result<()> {
    let client = aws_sdk_secretsmanager::Client::new(&sdk_config(endpoint).await);
    let model_key = match provider {
        Provider::Local => LOCAL_MODEL_KEY,
        Provider::Real { key, .. } => key,
    };
    for (name, value) in [
        (SESSION_KEY_SECRET, session_key.public_pem()),
        (MODEL_KEY_SECRET, model_key),
        (STRIPE_KEY_SECRET, LOCAL_STRIPE_KEY),
        (STRIPE_SIGNING_SECRET, LOCAL_STRIPE_SIGNING),
    ] {
        let Err(error) = client
            .create_secret()
            .name(name)
            .secret_string(value)
            .send()
            .await
        else {
            continue;
        };
        ensure!(
            error
                .as_service_error()
                .is_some_and(|error| error.is_resource_exists_exception()),
            "cannot create the secret {name}: {}",
            DisplayErrorContext(&error)
        );
        client
            .put_secret_value()
            .secret_id(name)
            .secret_string(value)
            .send()
            .await
            .map_err(|error| {
                anyhow::anyhow!("cannot set the secret {name}: {}", DisplayErrorContext(&error))
            })?;
    }
    Ok(())
}
