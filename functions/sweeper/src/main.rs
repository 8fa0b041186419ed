//! The `sweeper` function.

use lambda_runtime::{LambdaEvent, service_fn};
use shared::clock::Clock;
use shared::config::{Misconfigured, json_or_default, optional, required, variable};
use shared::domain::time::UnixMillis;
use shared::store::Clients;
use shared::telemetry::Lines;
use sweeper::{Doors, Post, sweep};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::telemetry::init();
    let clients = Clients::load().await;
    let doors = Doors {
        store: clients.store(&required(variable::TABLE_NAME)?),
        queue: clients.queue(&required(variable::QUEUE_URL)?),
        post: post(&clients)?,
        clock: Clock::system(),
    };
    lambda_runtime::run(service_fn(|_event: LambdaEvent<serde_json::Value>| async {
        let swept = sweep(&doors).await;
        Lines::Stdout.write(swept.line(UnixMillis::new(doors.clock.now_millis())));
        Ok::<_, lambda_runtime::Error>(serde_json::to_value(swept)?)
    }))
    .await
}

/// Without an address to send from, letters wait.
fn post(clients: &Clients) -> Result<Option<Post>, Misconfigured> {
    let Some(from) = optional(variable::MAIL_FROM) else {
        return Ok(None);
    };
    Ok(Some(Post {
        mail: clients.mail(&from, optional(variable::MAIL_REPLY_TO)),
        catalogue: json_or_default(variable::CATALOGUE)?,
        web_origin: required(variable::WEB_ORIGIN)?,
    }))
}
