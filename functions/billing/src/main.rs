//! The `billing` function: the billing queue's consumer, started once a day by itself.

use billing::{Doors, answer};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use shared::billing::{Connection, Patience};
use shared::clock::Clock;
use shared::config::{json_or_default, optional, required, variable};
use shared::store::Clients;
use shared::telemetry::Lines;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    shared::telemetry::init();
    let clock = Clock::system();
    let clients = Clients::load().await;
    let address = optional(variable::STRIPE_BASE_URL);
    let doors = Doors {
        store: clients.store(&required(variable::TABLE_NAME)?),
        queue: clients.billing_queue(&required(variable::BILLING_QUEUE_URL)?),
        connection: Connection::new(address.as_deref(), Patience::default())?,
        secrets: clients.secrets(clock.clone()),
        key_secret: required(variable::STRIPE_KEY_SECRET)?,
        // A catalogue that cannot be sold from stops the function here.
        catalogue: json_or_default(variable::CATALOGUE)?,
        portal: optional(variable::STRIPE_PORTAL_CONFIGURATION),
        metrics: Lines::Stdout,
        clock,
    };
    lambda_runtime::run(service_fn(|event: LambdaEvent<serde_json::Value>| async {
        answer(&doors, event.payload).await
    }))
    .await
}
