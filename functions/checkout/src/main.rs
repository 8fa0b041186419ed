//! The `checkout` function.

use checkout::{ANSWER_MAX, Doors, router};
use shared::billing::{Connection, Patience};
use shared::clock::Clock;
use shared::config::{json_or_default, optional, required, variable};
use shared::http::Sessions;
use shared::store::Clients;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::telemetry::init();
    let clock = Clock::system();
    let clients = Clients::load().await;
    let secrets = clients.secrets(clock.clone());
    let keys = secrets.clone().source(required(variable::SESSION_KEY_SECRET)?);
    let address = optional(variable::STRIPE_BASE_URL);
    let doors = Doors {
        store: clients.store(&required(variable::TABLE_NAME)?),
        connection: Connection::new(address.as_deref(), Patience::default())?,
        secrets,
        key_secret: required(variable::STRIPE_KEY_SECRET)?,
        // A catalogue that cannot be sold from stops the function here.
        catalogue: json_or_default(variable::CATALOGUE)?,
        web_origin: required(variable::WEB_ORIGIN)?,
        portal: optional(variable::STRIPE_PORTAL_CONFIGURATION),
        answer_max: ANSWER_MAX,
        sessions: Sessions::new(clock.clone(), keys),
        clock,
    };
    lambda_http::run(router(doors).0).await
}
