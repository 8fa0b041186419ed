//! An HTTP client for the SDK that notes which ledgers are written, and can hold one request on its way: what
//! happens meanwhile happens between two calls of whoever sent it, the same way each time.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use tokio::sync::Notify;

/// How a ledger's partition begins, in a request's body.
const LEDGER: &str = "\"L#";
/// What only reads, and so changes no ledger.
const READS: [&str; 3] = [".GetItem", ".BatchGetItem", ".Query"];

/// The watching client. Cloning shares it.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    real: SharedHttpClient,
    notes: Arc<Notes>,
}

/// What all connectors of a client share.
#[derive(Debug, Default)]
struct Notes {
    state: Mutex<State>,
    held: Notify,
    go: Notify,
}

#[derive(Debug, Default)]
struct State {
    written: BTreeSet<String>,
    passing: Option<usize>,
}

impl Watched {
    pub(crate) fn new(real: &SharedHttpClient) -> Self {
        Self {
            real: real.clone(),
            notes: Arc::default(),
        }
    }

    /// The partitions of the ledgers that a write named since the last call.
    pub(crate) fn written(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.notes.state().written)
    }

    /// Runs `meanwhile` when `work` has sent so many requests and waits for the next one; after `work`, if it sends
    /// no more.
    pub(crate) async fn between(
        &self,
        requests: usize,
        work: impl Future<Output = ()>,
        meanwhile: impl Future<Output = ()>,
    ) {
        self.notes.state().passing = Some(requests);
        let mut work = std::pin::pin!(work);
        tokio::select! {
            () = &mut work => {
                self.notes.state().passing = None;
                meanwhile.await;
            }
            () = self.notes.held.notified() => {
                meanwhile.await;
                self.notes.go.notify_one();
                work.await;
            }
        }
    }
}

impl Notes {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request, and says whether it is the one to hold.
    fn note(&self, request: &HttpRequest) -> bool {
        let mut state = self.state();
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        if !READS.iter().any(|read| target.ends_with(read)) {
            let body = std::str::from_utf8(request.body().bytes().unwrap_or_default()).unwrap();
            let named = body.split(LEDGER).skip(1);
            let ledgers = named
                .filter_map(|rest| rest.split_once('"'))
                .map(|(ledger, _)| ledger.to_owned());
            state.written.extend(ledgers);
        }
        match state.passing {
            None => false,
            Some(0) => {
                state.passing = None;
                true
            }
            Some(left) => {
                state.passing = Some(left - 1);
                false
            }
        }
    }
}

impl HttpClient for Watched {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Connector {
            real: self.real.http_connector(settings, components),
            notes: Arc::clone(&self.notes),
        })
    }
}

#[derive(Debug, Clone)]
struct Connector {
    real: SharedHttpConnector,
    notes: Arc<Notes>,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if !self.notes.note(&request) {
            return self.real.call(request);
        }
        let this = self.clone();
        HttpConnectorFuture::new(async move {
            this.notes.held.notify_one();
            this.notes.go.notified().await;
            this.real.call(request).await
        })
    }
}
