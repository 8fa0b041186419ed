//! Mail, through SES.

use aws_config::SdkConfig;
use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::config::Builder;
use aws_sdk_sesv2::config::retry::RetryConfig;
use aws_sdk_sesv2::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_sesv2::operation::send_email::SendEmailError;
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message, MessageHeader};
use std::sync::OnceLock;

use super::said;
use crate::domain::mail::{Contact, Written};

/// Who a letter is from, beside the address.
const NAME: &str = "La Corrigeuse";

/// Sends letters from one address.
#[derive(Debug, Clone)]
pub struct Mail {
    config: SdkConfig,
    // Most sweeps find no letter, and need no client.
    ses: OnceLock<Client>,
    from: String,
    reply_to: Option<String>,
}

/// Why a letter was not sent. The reason is a code or a cause, and names no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsent {
    /// It may be sent later: SES is slow or away, or somebody of ours must mend our account. When the answer was
    /// lost, it may have been sent.
    Later(String),
    /// SES will never take this one.
    Never(String),
}

impl Mail {
    /// Mail on a configuration.
    #[must_use]
    pub(super) fn new(config: SdkConfig, from: &str, reply_to: Option<String>) -> Self {
        Self {
            config,
            ses: OnceLock::new(),
            from: format!("{NAME} <{from}>"),
            reply_to,
        }
    }

    /// Without the SDK's own retries: after a lost answer each would send the letter again.
    fn ses(&self) -> &Client {
        self.ses.get_or_init(|| {
            let config = Builder::from(&self.config).retry_config(RetryConfig::disabled());
            Client::from_conf(config.build())
        })
    }

    /// Sends a letter, once at most.
    ///
    /// # Errors
    /// [`Unsent`].
    pub async fn send(&self, to: &Contact, letter: &Written) -> Result<(), Unsent> {
        let message = message(letter).map_err(|error| Unsent::Never(error.to_string()))?;
        let sent = self
            .ses()
            .send_email()
            .from_email_address(&self.from)
            .set_reply_to_addresses(self.reply_to.clone().map(|address| vec![address]))
            .destination(Destination::builder().to_addresses(to.email()).build())
            .content(EmailContent::builder().simple(message).build())
            .send()
            .await;
        sent.map(drop).map_err(|error| unsent(&error))
    }
}

/// Both parts. Nobody's holiday notice answers it (RFC 3834).
fn message(letter: &Written) -> Result<Message, BuildError> {
    let content = |data: &str| Content::builder().data(data).charset("UTF-8").build();
    let body = Body::builder()
        .text(content(&letter.text)?)
        .html(content(&letter.html)?)
        .build();
    let automatic = MessageHeader::builder()
        .name("Auto-Submitted")
        .value("auto-generated")
        .build()?;
    Ok(Message::builder()
        .subject(content(&letter.subject)?)
        .body(body)
        .headers(automatic)
        .build())
}

/// What SES's refusal means for the letter: <https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html>.
/// Its sentences name addresses, so only its codes are kept.
fn unsent(error: &SdkError<SendEmailError>) -> Unsent {
    let Some(code) = error.code() else {
        return Unsent::Later(said(error));
    };
    // "Email address is not verified" is also a `MessageRejected`: ours to mend, and no fault of the letter's.
    let unverified = error.message().is_some_and(|it| it.contains("not verified"));
    match code {
        "MessageRejected" if unverified => Unsent::Later("identity not verified".to_owned()),
        "MessageRejected" | "BadRequestException" => Unsent::Never(code.to_owned()),
        // `TooManyRequestsException`, `LimitExceededException`, `SendingPausedException`,
        // `AccountSuspendedException`, `MailFromDomainNotVerifiedException`, no permission, and the rest.
        _ => Unsent::Later(code.to_owned()),
    }
}
