//! The `grade` function.

use grade::{Doors, router};
use shared::clock::Clock;
use shared::config::{json_or_default, required, variable};
use shared::http::Sessions;
use shared::store::Clients;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::telemetry::init();
    let clock = Clock::system();
    let clients = Clients::load().await;
    let session_key = required(variable::SESSION_KEY_SECRET)?;
    let secrets = clients.secrets(clock.clone());
    let sessions = Sessions::new(clock.clone(), move || {
        let (secrets, name) = (secrets.clone(), session_key.clone());
        async move { secrets.get(&name).await }
    });
    let doors = Doors {
        store: clients.store(&required(variable::TABLE_NAME)?),
        objects: clients.objects(&required(variable::BUCKET_NAME)?),
        queue: clients.queue(&required(variable::QUEUE_URL)?),
        limits: json_or_default(variable::TIERS)?,
        sessions,
        clock,
    };
    lambda_http::run(router(doors).0).await
}
