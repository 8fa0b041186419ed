//! The whole pipeline in this process: the functions' own routers and worker, the emulators' table, bucket and
//! queue, and the local provider with the demo grader.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use assignments::Doors as AssignmentDoors;
use aws_config::SdkConfig;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};
use aws_sdk_s3::types::CreateBucketConfiguration;
use local::demo_grader::DemoGrader;
use local::emulator::{Dynoxide, Ministack, REGION, project_root, sdk_config};
use local::provider::{Grader, Latency, Options, Provider};
use local::supervisor::SessionKey;
use serde_json::json;
use shared::clock::Clock;
use shared::domain::catalogue::Catalogue;
use shared::domain::copy::Copy;
use shared::domain::ids::{AccountId, RunId};
use shared::domain::run::{Address, ReservationState};
use shared::domain::time::UnixMillis;
use shared::http::Sessions;
use shared::llm::Settings;
use shared::llm::prices::Prices;
use shared::pdf::Reader;
use shared::store::{Clients, Objects, Queue, RunRecord, Store, copy_key};
use shared::telemetry::Lines;
use tokio::task::JoinSet;

use crate::teacher::Teacher;
use crate::write_units::{Line, Meter};

const TABLE: &str = "bench";
const BUCKET: &str = "bench";
const MODEL: &str = "demo-pas-une-ia";
/// No tier is in the way of a benchmark. Unit: tokens.
const GRANTED: u64 = 1_000_000_000;
const LEASE_SECONDS: i64 = 330;
/// A run is graded within this, or the benchmark fails.
const PATIENCE: Duration = Duration::from_secs(300);
/// What SQS hands out at once, at most.
const MESSAGES_MAX: usize = 10;

/// The emulators, with a table, a bucket and a queue on them. They end with it.
#[derive(Debug)]
pub struct House {
    dynamo: SdkConfig,
    others: SdkConfig,
    queue_url: String,
    meter: Meter,
    clock: Clock,
    session_key: SessionKey,
    dynoxide: Dynoxide,
    ministack: Ministack,
}

/// A run to measure.
#[derive(Debug)]
pub struct Job<'a> {
    /// The folder of `samples/` with the assignment and its barème.
    pub class: &'a str,
    /// Name and PDF of each copy.
    pub files: Vec<(String, &'a [u8])>,
    /// How long the model takes.
    pub latency: Latency,
    /// Copies graded at the same time.
    pub workers: usize,
}

/// What came of it.
#[derive(Debug)]
pub struct Done {
    /// The copies, as they are stored.
    pub copies: Vec<Copy>,
    /// The run, as it is stored.
    pub run: RunRecord,
    /// From the request that starts the run to the end of its last step.
    pub wall: Duration,
    /// What was written to the table, from the request for upload slots to the end.
    pub writes: BTreeMap<&'static str, Line>,
}

impl House {
    /// Starts everything. To be awaited on the main thread: the emulators end with the thread that starts them.
    ///
    /// # Errors
    /// An emulator is not installed, or does not answer.
    pub async fn start() -> anyhow::Result<Self> {
        let ministack = Ministack::ephemeral().await?;
        let dynoxide = Dynoxide::ephemeral().await?;
        let meter = Meter::default();
        let dynamo = sdk_config(dynoxide.endpoint())
            .await
            .into_builder()
            .http_client(meter.clone())
            .build();
        let others = sdk_config(ministack.endpoint()).await;
        create_table(&dynamo, TABLE).await?;
        aws_sdk_s3::Client::from_conf(
            aws_sdk_s3::config::Builder::from(&others)
                .force_path_style(true)
                .build(),
        )
        .create_bucket()
        .bucket(BUCKET)
        .create_bucket_configuration(
            CreateBucketConfiguration::builder()
                .location_constraint(REGION.into())
                .build(),
        )
        .send()
        .await?;
        let made = aws_sdk_sqs::Client::new(&others)
            .create_queue()
            .queue_name("bench")
            .attributes(aws_sdk_sqs::types::QueueAttributeName::VisibilityTimeout, "600")
            .send()
            .await?;
        let keys = project_root().join("target/bench");
        std::fs::create_dir_all(&keys)?;
        Ok(Self {
            dynamo,
            others,
            queue_url: made.queue_url.context("a queue without address")?,
            meter,
            clock: Clock::system(),
            session_key: SessionKey::kept_in(&keys)?,
            dynoxide,
            ministack,
        })
    }

    /// Takes copies through the front doors and grades them in this process.
    ///
    /// # Errors
    /// A door refuses, a copy is not graded, or it all takes too long.
    pub async fn grade(&self, job: &Job<'_>) -> anyhow::Result<Done> {
        let provider = self.provider(job.latency, Arc::new(DemoGrader::new()?)).await?;
        let doors = Arc::new(self.worker()?);
        let mut settings = Settings::new(doors.provider, MODEL);
        settings.base_url = Some(provider.base_url());
        let model = Arc::new(settings.build()?);
        let worker = move |event| {
            let (doors, model) = (Arc::clone(&doors), Arc::clone(&model));
            async move { Ok(worker::handle(&doors, model.as_ref(), event).await) }
        };
        self.grade_with(job, worker).await
    }

    /// As [`House::grade`], with each message handled by `worker`.
    ///
    /// # Errors
    /// As [`House::grade`]'s, and `worker`'s.
    pub async fn grade_with<F>(&self, job: &Job<'_>, worker: impl Fn(SqsEvent) -> F) -> anyhow::Result<Done>
    where
        F: Future<Output = anyhow::Result<SqsBatchResponse>> + Send + 'static,
    {
        let teacher = self.teacher()?;
        let assignment = teacher.assignment(job.class).await?;
        let _before_the_run = self.meter.take();
        let copies = teacher.slots(&assignment, &job.files).await?;
        for (copy, (_, pdf)) in copies.iter().zip(&job.files) {
            self.objects()
                .put(
                    &copy_key(assignment.parse()?, *copy),
                    "application/pdf",
                    pdf.to_vec(),
                )
                .await
                .map_err(failed)?;
        }
        let started = Instant::now();
        let path = format!("/api/assignments/{assignment}/runs");
        let run: RunId = teacher.post(&teacher.grade, &path, &json!({})).await?["id"]
            .as_str()
            .context("no run")?
            .parse()?;
        let store = self.store();
        let run_now = async || -> anyhow::Result<RunRecord> {
            let found = store.run(assignment.parse()?, run).await.map_err(failed)?;
            found.context("no such run")
        };
        let address = run_now().await?.run.address();
        let wall = self.work(worker, &address, job.workers, started).await?;
        let copies = store.run_copies(&address).await.map_err(failed)?;
        let ungraded = copies.iter().filter(|copy| copy.summary.is_none()).count();
        ensure!(
            ungraded == 0 && copies.len() == job.files.len(),
            "{ungraded} copies were not graded: see the log"
        );
        Ok(Done {
            copies,
            run: run_now().await?,
            wall,
            writes: self.meter.take(),
        })
    }

    /// Polls the queue as Lambda does, until the run is resolved. Returns when its last step ended, from
    /// `started`.
    async fn work<F>(
        &self,
        worker: impl Fn(SqsEvent) -> F,
        address: &Address,
        workers: usize,
        started: Instant,
    ) -> anyhow::Result<Duration>
    where
        F: Future<Output = anyhow::Result<SqsBatchResponse>> + Send + 'static,
    {
        let sqs = aws_sdk_sqs::Client::new(&self.others);
        let mut busy = JoinSet::new();
        let mut last = started;
        while started.elapsed() < PATIENCE {
            while let Some(ended) = busy.try_join_next() {
                last = last.max(ended??);
            }
            if busy.len() >= workers {
                last = last.max(busy.join_next().await.context("no step")???);
            }
            let received = sqs
                .receive_message()
                .queue_url(&self.queue_url)
                .max_number_of_messages(i32::try_from((workers - busy.len()).min(MESSAGES_MAX))?)
                .wait_time_seconds(1)
                .send()
                .await?;
            for message in received.messages.unwrap_or_default() {
                let (sqs, queue_url, working) =
                    (sqs.clone(), self.queue_url.clone(), worker(event(&message)));
                busy.spawn(async move {
                    let receipt = message.receipt_handle.clone().unwrap_or_default();
                    let response = working.await?;
                    let ended = Instant::now();
                    if response.batch_item_failures.is_empty() {
                        // Not deleted, it comes again, and finds nothing to do.
                        let deleted = sqs.delete_message().queue_url(queue_url).receipt_handle(receipt);
                        let _comes_again = deleted.send().await;
                    }
                    anyhow::Ok(ended)
                });
            }
            if busy.is_empty() {
                let reservation = self.store().reservation(address).await.map_err(failed)?;
                if reservation.is_some_and(|it| it.state != ReservationState::Pending) {
                    return Ok(last - started);
                }
            }
        }
        anyhow::bail!("the run is not done after {} s: see the log", PATIENCE.as_secs())
    }

    fn store(&self) -> Store {
        Clients::on(self.dynamo.clone()).store(TABLE)
    }

    fn objects(&self) -> Objects {
        Clients::on(self.others.clone()).objects(BUCKET)
    }

    fn queue(&self) -> Queue {
        Clients::on(self.others.clone()).queue(&self.queue_url)
    }

    /// What the worker's own program finds in its environment, here and with the provider at this address.
    #[must_use]
    pub fn environment(&self, base_url: &str) -> [(&'static str, String); 8] {
        [
            ("TABLE_NAME", TABLE.to_owned()),
            ("BUCKET_NAME", BUCKET.to_owned()),
            ("QUEUE_URL", self.queue_url.clone()),
            ("MODEL_PROVIDER", shared::llm::Provider::Local.as_str().to_owned()),
            ("MODEL", MODEL.to_owned()),
            ("MODEL_BASE_URL", base_url.to_owned()),
            ("AWS_ENDPOINT_URL", self.ministack.endpoint().to_owned()),
            ("AWS_ENDPOINT_URL_DYNAMODB", self.dynoxide.endpoint().to_owned()),
        ]
    }

    /// A local provider with this grader behind it. It ends when dropped.
    ///
    /// # Errors
    /// It finds no port.
    pub async fn provider(&self, latency: Latency, grader: Arc<dyn Grader>) -> anyhow::Result<Provider> {
        let options = Options {
            latency,
            ..Options::new(Prices::load(None)?, grader)
        };
        Ok(Provider::start(SocketAddr::from(([127, 0, 0, 1], 0)), options).await?)
    }

    fn worker(&self) -> anyhow::Result<worker::Doors> {
        Ok(worker::Doors {
            store: self.store(),
            objects: self.objects(),
            queue: self.queue(),
            prices: Prices::load(None)?,
            provider: shared::llm::Provider::Local,
            model: MODEL.to_owned(),
            reader: Reader::new(),
            lease_seconds: LEASE_SECONDS,
            clock: self.clock.clone(),
            metrics: Lines::Stdout,
        })
    }

    /// A new account at the doors.
    fn teacher(&self) -> anyhow::Result<Teacher> {
        let account = AccountId::mint(UnixMillis::new(self.clock.now_millis()));
        let pem: Arc<str> = Arc::from(self.session_key.public_pem());
        let sessions = Sessions::new(self.clock.clone(), move || {
            let pem = Arc::clone(&pem);
            async move { Ok(pem) }
        });
        let mut catalogue = serde_json::to_value(Catalogue::default())?;
        for (tier, more) in ["free", "essentiel", "pro", "max"].into_iter().zip(0..) {
            catalogue[tier]["tokens"] = json!(GRANTED + more);
        }
        Ok(Teacher {
            token: self.session_key.mint(account, &self.clock)?,
            assignments: assignments::router(AssignmentDoors {
                store: self.store(),
                signer: Clients::on(self.others.clone()).upload_signer(BUCKET),
                sessions: sessions.clone(),
                clock: self.clock.clone(),
            })
            .0,
            grade: grade::router(grade::Doors {
                store: self.store(),
                objects: self.objects(),
                queue: self.queue(),
                billing: Clients::on(self.others.clone()).billing_queue(&self.queue_url),
                catalogue: serde_json::from_value(catalogue)?,
                sessions,
                clock: self.clock.clone(),
            })
            .0,
        })
    }
}

/// A message as Lambda hands it over.
fn event(message: &aws_sdk_sqs::types::Message) -> SqsEvent {
    let record = json!({
        "messageId": message.message_id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
    });
    serde_json::from_value(json!({ "Records": [record] })).unwrap_or_default()
}

fn failed(failure: shared::domain::failure::Failure) -> anyhow::Error {
    anyhow::anyhow!("{failure:?}")
}

/// Makes a table with the keys of `template.yaml`.
///
/// # Errors
/// The emulator refuses.
pub async fn create_table(config: &SdkConfig, name: &str) -> anyhow::Result<()> {
    let key = |name: &str, kind: KeyType| {
        KeySchemaElement::builder()
            .attribute_name(name)
            .key_type(kind)
            .build()
    };
    let text = |name: &str| {
        AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S)
            .build()
    };
    let pending = GlobalSecondaryIndex::builder()
        .index_name("pending")
        .key_schema(key("pending_pk", KeyType::Hash)?)
        .key_schema(key("pending_sk", KeyType::Range)?)
        .projection(
            Projection::builder()
                .projection_type(ProjectionType::KeysOnly)
                .build(),
        )
        .build()?;
    let attributes: Result<Vec<_>, _> = ["pk", "sk", "pending_pk", "pending_sk"]
        .into_iter()
        .map(text)
        .collect();
    aws_sdk_dynamodb::Client::new(config)
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(Some(attributes?))
        .key_schema(key("pk", KeyType::Hash)?)
        .key_schema(key("sk", KeyType::Range)?)
        .global_secondary_indexes(pending)
        .send()
        .await?;
    Ok(())
}
