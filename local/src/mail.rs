//! Mail on this machine: the emulator's SES takes letters and delivers none. Here is where to read them.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use aws_sdk_sesv2::error::DisplayErrorContext;
use serde::Deserialize;

use crate::emulator::sdk_config;

/// The address that letters of the local system come from, and its domain.
pub const FROM: &str = "bonjour@corrigeuse.example";
/// What is verified at the emulator's SES, as a deployment's own domain is at SES.
pub const DOMAIN: &str = "corrigeuse.example";

const WATCH: Duration = Duration::from_secs(1);

/// A letter that was taken.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Captured {
    /// SES's id of it.
    pub message_id: String,
    /// Who it is from, as its header says.
    pub source: String,
    /// To whom.
    pub to: Vec<String>,
    /// Its subject.
    pub subject: String,
    /// The text part.
    pub body_text: String,
    /// The HTML part.
    pub body_html: Option<String>,
}

/// Where the captured letters can be looked at.
pub fn address(endpoint: &str) -> String {
    format!("{endpoint}/_ministack/ses/messages")
}

/// Lets [`DOMAIN`] send: SES takes letters of verified identities only, and so does the emulator.
///
/// # Errors
/// The emulator does not answer.
pub async fn verify(endpoint: &str) -> anyhow::Result<()> {
    let client = aws_sdk_sesv2::Client::new(&sdk_config(endpoint).await);
    let made = client.create_email_identity().email_identity(DOMAIN).send().await;
    let known = |error: &aws_sdk_sesv2::operation::create_email_identity::CreateEmailIdentityError| {
        error.is_already_exists_exception()
    };
    match made {
        Err(error) if !error.as_service_error().is_some_and(known) => {
            Err(anyhow!("cannot verify {DOMAIN}: {}", DisplayErrorContext(&error)))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Every letter that was captured, oldest first.
///
/// # Errors
/// The emulator does not answer.
pub async fn captured(endpoint: &str) -> anyhow::Result<Vec<Captured>> {
    #[derive(Deserialize)]
    struct Listed {
        messages: BTreeMap<String, Vec<Captured>>,
    }
    let answer = reqwest::get(address(endpoint)).await?;
    ensure!(
        answer.status().is_success(),
        "the emulator shows no mail: {}",
        answer.status()
    );
    let listed: Listed = answer
        .json()
        .await
        .context("the emulator shows mail in another form")?;
    Ok(listed.messages.into_values().flatten().collect())
}

/// Tells of each letter that is captured from now on, as long as it is polled.
pub async fn watch(endpoint: &str, tell: impl Fn(&Captured)) {
    let mut seen: Option<HashSet<String>> = None;
    loop {
        // While the emulator does not answer, whoever watches its program says so.
        if let Ok(letters) = captured(endpoint).await {
            let news = letters
                .iter()
                .filter(|it| seen.as_ref().is_some_and(|seen| !seen.contains(&it.message_id)));
            news.for_each(&tell);
            seen = Some(letters.into_iter().map(|it| it.message_id).collect());
        }
        tokio::time::sleep(WATCH).await;
    }
}
