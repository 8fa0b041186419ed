//! The `sweeper` function.

use lambda_runtime::{LambdaEvent, service_fn};
use shared::clock::Clock;
use shared::config::{required, variable};
use shared::store::Clients;
use sweeper::{Doors, sweep};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::telemetry::init();
    let clients = Clients::load().await;
    let doors = Doors {
        store: clients.store(&required(variable::TABLE_NAME)?),
        queue: clients.queue(&required(variable::QUEUE_URL)?),
        clock: Clock::system(),
    };
    lambda_runtime::run(service_fn(|_event: LambdaEvent<serde_json::Value>| async {
        let swept = sweep(&doors).await;
        swept.report(&doors.clock);
        Ok::<_, lambda_runtime::Error>(serde_json::to_value(swept)?)
    }))
    .await
}
