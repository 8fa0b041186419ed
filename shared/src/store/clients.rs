//! The AWS clients, built once a process.

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use std::time::Duration;

#[cfg(feature = "mail")]
use super::Mail;
use super::{BillingQueue, Objects, Queue, Secrets, Store, UploadSigner};
use crate::clock::Clock;

/// No call waits longer than this for a connection, or for an answer to begin.
const CONNECT_MAX: Duration = Duration::from_secs(2);
const ATTEMPT_MAX: Duration = Duration::from_secs(10);

/// One configuration, from which each function makes the clients that it uses. It is always loaded by the SDK's
/// own chain: a hand-built one ignores `AWS_ENDPOINT_URL`, and the same binary must run here and on AWS.
#[derive(Debug, Clone)]
pub struct Clients {
    config: SdkConfig,
}

impl Clients {
    /// Loads region, credentials and endpoint from the environment.
    pub async fn load() -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_MAX)
            .operation_attempt_timeout(ATTEMPT_MAX)
            .build();
        Self {
            config: aws_config::defaults(BehaviorVersion::latest())
                .timeout_config(timeouts)
                .http_client(OnFirstUse::default())
                .load()
                .await,
        }
    }

    /// Clients on a configuration made elsewhere: a test's, with faults in its connector.
    #[must_use]
    pub const fn on(config: SdkConfig) -> Self {
        Self { config }
    }

    /// The table.
    #[must_use]
    pub fn store(&self, table: &str) -> Store {
        Store::new(aws_sdk_dynamodb::Client::new(&self.config), table)
    }

    /// The bucket.
    #[must_use]
    pub fn objects(&self, bucket: &str) -> Objects {
        // A local emulator has no bucket.host names.
        let path_style =
            self.config.endpoint_url().is_some() || std::env::var_os("AWS_ENDPOINT_URL").is_some();
        let config = aws_sdk_s3::config::Builder::from(&self.config)
            .force_path_style(path_style)
            .build();
        Objects::new(aws_sdk_s3::Client::from_conf(config), bucket)
    }

    /// The queue.
    #[must_use]
    pub fn queue(&self, url: &str) -> Queue {
        Queue::new(aws_sdk_sqs::Client::new(&self.config), url)
    }

    /// The billing queue.
    #[must_use]
    pub fn billing_queue(&self, url: &str) -> BillingQueue {
        BillingQueue::new(aws_sdk_sqs::Client::new(&self.config), url)
    }

    /// Mail from an address whose domain is verified at SES, answered at `reply_to` if that is given.
    #[cfg(feature = "mail")]
    #[must_use]
    pub fn mail(&self, from: &str, reply_to: Option<String>) -> Mail {
        Mail::new(self.config.clone(), from, reply_to)
    }

    /// The secrets.
    #[must_use]
    pub fn secrets(&self, clock: Clock) -> Secrets {
        Secrets::new(aws_sdk_secretsmanager::Client::new(&self.config), clock)
    }

    /// The signer of upload forms for a bucket.
    #[must_use]
    pub fn upload_signer(&self, bucket: &str) -> UploadSigner {
        let endpoint = self
            .config
            .endpoint_url()
            .map(str::to_owned)
            .or_else(|| std::env::var("AWS_ENDPOINT_URL").ok());
        let region = self.config.region().map_or("eu-west-3", |region| region.as_ref());
        UploadSigner::new(
            bucket,
            region,
            self.config.credentials_provider(),
            endpoint.as_deref(),
        )
    }
}

/// One HTTP client for all AWS clients, made ready by the first request. Left to itself the SDK makes one for each
/// client and, when the client is built, has it read and parse every certificate that the system trusts: a cold
/// start would do that once a client, and throw the result away.
#[derive(Debug)]
struct OnFirstUse(SharedHttpClient);

impl Default for OnFirstUse {
    fn default() -> Self {
        // The SDK's own choice: rustls on aws-lc, trusting what the system trusts.
        let client = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc));
        Self(client.build_https())
    }
}

impl HttpClient for OnFirstUse {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        self.0.http_connector(settings, components)
    }

    // `validate_base_client_config` is not passed on: it is what reads the certificates.

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.0.connector_metadata()
    }
}
