//! One test's own system: a table, a bucket, a queue, the functions in this process, a provider that remembers
//! what it was shown.

use std::sync::{Arc, Mutex, PoisonError};

use aws_config::SdkConfig;
use aws_sdk_s3::types::{
    BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration, VersioningConfiguration,
};
use aws_sdk_sqs::types::QueueAttributeName;
use axum::Router;
use local::demo_grader::DemoGrader;
use local::emulator::REGION;
use local::provider::{Grader, Latency, Options, Provider, Question};
use serde_json::Value;
use shared::clock::Clock;
use shared::domain::catalogue::Catalogue;
use shared::domain::ids::AccountId;
use shared::domain::time::UnixMillis;
use shared::http::Sessions;
use shared::llm::prices::Prices;
use shared::store::{Clients, Store};
use shared::telemetry::Lines;

use super::session::Keys;
use super::teacher::{Teacher, Who};
use crate::emulators::Emulator;

/// As in template.yaml: a message in hand does not come back by itself within a test.
const VISIBILITY_SECONDS: &str = "1800";

pub(super) struct World {
    /// Stands until a test moves it. It starts at the real time, by which the bucket judges an upload's form.
    pub(super) clock: Clock,
    pub(super) config: SdkConfig,
    pub(super) table: String,
    pub(super) bucket: String,
    pub(super) queue_url: String,
    pub(super) sqs: aws_sdk_sqs::Client,
    pub(super) store: Store,
    pub(super) keys: Keys,
    pub(super) provider: Provider,
    pub(super) witness: Witness,
    /// What the workers measured.
    pub(super) metrics: Lines,
    pub(super) http: reqwest::Client,
    /// The account of [`World::teacher`].
    pub(super) account: AccountId,
    doors: Vec<(Value, Router)>,
}

impl World {
    pub(super) async fn new() -> Self {
        let config = Emulator::Ministack.config().await;
        let table = Emulator::Ministack.table().await;
        let clock = Clock::fixed(Clock::system().now_millis());
        let sqs = aws_sdk_sqs::Client::new(&config);
        let queue_url = make_queue(&sqs, &table).await;
        make_bucket(&config, &table).await;
        let witness = Witness::new();
        let mut options = Options::new(Prices::load(None).unwrap(), Arc::new(witness.clone()));
        options.latency = Latency::NONE;
        options.clock = clock.clone();
        let provider = Provider::start("127.0.0.1:0".parse().unwrap(), options)
            .await
            .unwrap();
        let keys = Keys::new();
        let clients = Clients::on(config.clone());
        Self {
            doors: doors(&clients, &table, &queue_url, &clock, &keys),
            store: clients.store(&table),
            bucket: table.clone(),
            account: AccountId::mint(UnixMillis::new(clock.now_millis())),
            http: reqwest::Client::new(),
            clock,
            config,
            table,
            queue_url,
            sqs,
            keys,
            provider,
            witness,
            metrics: Lines::Kept(Arc::default()),
        }
    }

    /// The account that owns what the test makes.
    pub(super) fn teacher(&self) -> Teacher<'_> {
        Teacher::new(self, Who::Account(self.account))
    }

    /// Another account.
    pub(super) fn stranger(&self) -> Teacher<'_> {
        Teacher::new(
            self,
            Who::Account(AccountId::mint(UnixMillis::new(self.clock.now_millis()))),
        )
    }

    /// From here on, no function reaches the table, the bucket or the queue.
    pub(super) async fn cut_off(&mut self) {
        let clients = Clients::on(local::emulator::sdk_config("http://127.0.0.1:9").await);
        self.doors = doors(&clients, &self.table, &self.queue_url, &self.clock, &self.keys);
    }

    /// Method and path template of every route of the contract.
    pub(super) fn routes(&self) -> Vec<(String, String)> {
        let mut routes = Vec::new();
        for (contract, _) in &self.doors {
            for (path, methods) in contract["paths"].as_object().unwrap() {
                let methods = methods.as_object().unwrap().keys();
                routes.extend(methods.map(|method| (method.to_uppercase(), path.clone())));
            }
        }
        routes
    }

    /// The function that the gateway would give a request to. What no function knows goes to the first.
    pub(super) fn door(&self, method: &str, path: &str) -> Router {
        let serves = |contract: &Value, any: bool| {
            contract["paths"]
                .as_object()
                .unwrap()
                .iter()
                .any(|(template, methods)| {
                    matches(template, path) && (any || methods.get(method.to_lowercase()).is_some())
                })
        };
        let exact = self.doors.iter().find(|(contract, _)| serves(contract, false));
        let near = || self.doors.iter().find(|(contract, _)| serves(contract, true));
        exact.or_else(near).unwrap_or(&self.doors[0]).1.clone()
    }

    /// Sends a form as a browser does, the file last.
    pub(super) async fn upload(&self, form: &Value, pdf: Vec<u8>) -> (u16, String) {
        let mut body = reqwest::multipart::Form::new();
        for (name, value) in form["fields"].as_object().unwrap() {
            body = body.text(name.clone(), value.as_str().unwrap().to_owned());
        }
        let file = reqwest::multipart::Part::bytes(pdf).file_name("copie.pdf");
        let body = body.part("file", file.mime_str("application/pdf").unwrap());
        let url = form["url"].as_str().unwrap();
        let answer = self.http.post(url).multipart(body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// The lines of metrics that the workers wrote.
    pub(super) fn measured(&self) -> Vec<Value> {
        let Lines::Kept(lines) = &self.metrics else {
            return Vec::new();
        };
        let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The account's tokens: used, reserved, remaining.
    pub(super) async fn usage(&self) -> Value {
        self.teacher().get("/api/usage").await.ok()
    }

    /// Nothing is held, and what was granted is used or remains.
    pub(super) async fn assert_settled(&self, used: u64) {
        let usage = self.usage().await;
        assert_eq!(usage["tokens_reserved"], 0, "{usage}");
        assert_eq!(usage["tokens_used"], used, "{usage}");
        assert_eq!(
            usage["remaining"],
            usage["limit"].as_u64().unwrap() - used,
            "{usage}"
        );
    }

    /// Tokens that the provider bills and a teacher may be charged for.
    pub(super) fn billed_tokens(&self) -> u64 {
        self.provider
            .ledger()
            .iter()
            .map(|call| call.usage.charged_tokens())
            .sum()
    }
}

fn doors(
    clients: &Clients,
    table: &str,
    queue_url: &str,
    clock: &Clock,
    keys: &Keys,
) -> Vec<(Value, Router)> {
    let public_pem: Arc<str> = keys.public_pem.as_str().into();
    let sessions = Sessions::new(clock.clone(), move || {
        let pem = public_pem.clone();
        async move { Ok(pem) }
    });
    let (store, objects) = (clients.store(table), clients.objects(table));
    let catalogue = Catalogue::default();
    let assignments = assignments::router(assignments::Doors {
        store: store.clone(),
        signer: clients.upload_signer(table),
        sessions: sessions.clone(),
        clock: clock.clone(),
    });
    let grade = grade::router(grade::Doors {
        store: store.clone(),
        objects: objects.clone(),
        queue: clients.queue(queue_url),
        billing: clients.billing_queue(queue_url),
        catalogue: catalogue.clone(),
        sessions: sessions.clone(),
        clock: clock.clone(),
    });
    let status = status::router(status::Doors {
        store,
        objects,
        catalogue,
        sessions,
        clock: clock.clone(),
    });
    [assignments, grade, status]
        .map(|(router, contract)| (serde_json::to_value(contract).unwrap(), router))
        .into()
}

async fn make_queue(sqs: &aws_sdk_sqs::Client, name: &str) -> String {
    let made = sqs
        .create_queue()
        .queue_name(name)
        .attributes(QueueAttributeName::VisibilityTimeout, VISIBILITY_SECONDS)
        .send()
        .await
        .unwrap();
    made.queue_url.unwrap()
}

async fn make_bucket(config: &SdkConfig, name: &str) {
    let path_style = aws_sdk_s3::config::Builder::from(config)
        .force_path_style(true)
        .build();
    let here = CreateBucketConfiguration::builder()
        .location_constraint(BucketLocationConstraint::from(REGION))
        .build();
    let s3 = aws_sdk_s3::Client::from_conf(path_style);
    s3.create_bucket()
        .bucket(name)
        .create_bucket_configuration(here)
        .send()
        .await
        .unwrap();
    // As in template.yaml.
    let versions = VersioningConfiguration::builder()
        .status(BucketVersioningStatus::Enabled)
        .build();
    s3.put_bucket_versioning()
        .bucket(name)
        .versioning_configuration(versions)
        .send()
        .await
        .unwrap();
}

fn matches(template: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap();
    let (template, path): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
    let same = |(wanted, part): (&&str, &&str)| wanted.starts_with('{') || wanted == part;
    template.len() == path.len() && template.iter().zip(&path).all(same)
}

/// The demo grader, and all that it was shown.
#[derive(Clone)]
pub(super) struct Witness {
    grader: Arc<DemoGrader>,
    seen: Arc<Mutex<Vec<Question>>>,
}

impl Witness {
    fn new() -> Self {
        Self {
            grader: Arc::new(DemoGrader::new().unwrap()),
            seen: Arc::default(),
        }
    }

    pub(super) fn seen(&self) -> Vec<Question> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Grader for Witness {
    fn answer(&self, question: &Question) -> String {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(question.clone());
        self.grader.answer(question)
    }
}
