//! The `assignments` function.

use assignments::{Doors, router};
use shared::clock::Clock;
use shared::config::{required, variable};
use shared::http::Sessions;
use shared::store::Clients;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::telemetry::init();
    let clock = Clock::system();
    let clients = Clients::load().await;
    let keys = clients
        .secrets(clock.clone())
        .source(required(variable::SESSION_KEY_SECRET)?);
    let doors = Doors {
        store: clients.store(&required(variable::TABLE_NAME)?),
        signer: clients.upload_signer(&required(variable::BUCKET_NAME)?),
        sessions: Sessions::new(clock.clone(), keys),
        clock,
    };
    lambda_http::run(router(doors).0).await
}
