//! The `worker` function. Started with `--read-pdf` it is the child process that reads one PDF.

use aws_lambda_events::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use shared::clock::Clock;
use shared::config::{number_or, optional, required, variable};
use shared::domain::time::UnixMillis;
use shared::llm::Settings;
use shared::pdf::Reader;
use shared::store::Clients;
use shared::telemetry::Lines;
use worker::{Choice, Doors, Models, handle};

/// A worker holds a copy for longer than it may live.
const LEASE_SECONDS: i64 = 330;

fn main() -> Result<(), Error> {
    // Before any thread: the child takes nothing of ours with it.
    shared::pdf::child::run_if_asked();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(serve())
}

async fn serve() -> Result<(), Error> {
    shared::telemetry::init();
    let clock = Clock::system();
    let clients = Clients::load().await;
    let Choice {
        provider,
        model,
        prices,
    } = Choice::new(
        &required(variable::MODEL_PROVIDER)?,
        required(variable::MODEL)?,
        optional(variable::PRICES_OVERRIDE).as_deref(),
        UnixMillis::new(clock.now_millis()),
    )?;
    let mut settings = Settings::new(provider, &model);
    settings.base_url = optional(variable::MODEL_BASE_URL);
    let doors = Doors {
        store: clients.store(&required(variable::TABLE_NAME)?),
        objects: clients.objects(&required(variable::BUCKET_NAME)?),
        queue: clients.queue(&required(variable::QUEUE_URL)?),
        prices,
        provider,
        model,
        reader: Reader::new(),
        lease_seconds: number_or(variable::LEASE_SECONDS, LEASE_SECONDS)?,
        clock: clock.clone(),
        metrics: Lines::Stdout,
    };
    let key_secret = optional(variable::MODEL_KEY_SECRET);
    let models = Models::new(clients.secrets(clock), key_secret, settings);
    lambda_runtime::run(service_fn(|event: LambdaEvent<SqsEvent>| async {
        Ok::<_, Error>(handle(&doors, &models, event.payload).await)
    }))
    .await
}
