//! AWS clients of a worker that dies at a chosen moment: the request of that moment is carried out, or not, and
//! whoever sent it never hears of it.

use std::sync::Arc;

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use shared::store::Clients;
use tokio::sync::Notify;

/// When a worker dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// The cache is warm, and nobody was charged for it.
    Warmed,
    /// The run's copies are its own, and nobody was told.
    Claimed,
    /// It holds the copy, and has asked nothing.
    Leased,
    /// The model has answered, and the answer is not kept.
    Answered,
    /// The answer is kept.
    AnswerKept,
    /// The result is stored, and not published.
    ResultStored,
    /// The copy is charged, and its message still in the queue.
    Settled,
}

impl Moment {
    fn is_at(self, request: &HttpRequest) -> bool {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let says = |words: &str| {
            let body = request.body().bytes().unwrap_or_default();
            String::from_utf8_lossy(body).contains(words)
        };
        let puts = |folder: &str| request.method() == "PUT" && request.uri().contains(folder);
        match self {
            Self::Warmed => target.ends_with(".TransactWriteItems") && says(":warm"),
            Self::Claimed => target.ends_with(".TransactWriteItems") && says(":zero"),
            Self::Leased => target.ends_with(".UpdateItem") && says(":holder"),
            Self::Answered | Self::AnswerKept => puts("/replies/"),
            Self::ResultStored => puts("/results/"),
            Self::Settled => target.ends_with(".TransactWriteItems") && says(":graded"),
        }
    }

    /// Whether the request of the moment is still carried out.
    fn carried_out(self) -> bool {
        !matches!(self, Self::Answered | Self::Warmed)
    }
}

/// Clients that end their user.
#[derive(Debug, Clone)]
pub(super) struct Mortal {
    real: SharedHttpClient,
    at: Moment,
    died: Arc<Notify>,
}

impl Mortal {
    pub(super) fn at(at: Moment) -> Self {
        Self {
            real: aws_smithy_http_client::Builder::new().build_http(),
            at,
            died: Arc::default(),
        }
    }

    pub(super) fn clients(&self, config: &SdkConfig) -> Clients {
        Clients::on(config.to_owned().into_builder().http_client(self.clone()).build())
    }

    /// Ends when the moment has come: time to drop whoever works with these clients.
    pub(super) async fn died(&self) {
        self.died.notified().await;
    }
}

impl HttpClient for Mortal {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Connector {
            real: self.real.http_connector(settings, components),
            at: self.at,
            died: Arc::clone(&self.died),
        })
    }
}

#[derive(Debug, Clone)]
struct Connector {
    real: SharedHttpConnector,
    at: Moment,
    died: Arc<Notify>,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let this = self.clone();
        HttpConnectorFuture::new(async move {
            if !this.at.is_at(&request) {
                return this.real.call(request).await;
            }
            if this.at.carried_out() {
                this.real.call(request).await?;
            }
            this.died.notify_one();
            std::future::pending().await
        })
    }
}
