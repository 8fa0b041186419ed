//! The `webhook` function, behind a function URL.

use lambda_http::{Error, Request, service_fn};
use shared::clock::Clock;
use shared::config::{flag, required, variable};
use shared::store::Clients;
use webhook::{Doors, receive};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    shared::telemetry::init();
    let clock = Clock::system();
    let clients = Clients::load().await;
    let doors = Doors {
        queue: clients.billing_queue(&required(variable::BILLING_QUEUE_URL)?),
        secrets: clients.secrets(clock.clone()),
        signing_secret: required(variable::STRIPE_SIGNING_SECRET)?,
        livemode: flag(variable::STRIPE_LIVEMODE)?,
        clock,
    };
    lambda_http::run(service_fn(|request: Request| async {
        Ok::<_, Error>(receive(&doors, request).await)
    }))
    .await
}
