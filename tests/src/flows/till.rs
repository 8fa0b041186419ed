//! Where the story's teacher pays: a Stripe of its own, and the three functions that speak with it.

use std::sync::Arc;
use std::time::Duration;

use ::billing::Doors as Billing;
use ::checkout::Doors as Checkout;
use ::webhook::Doors as Webhook;
use axum::Router;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use local::stripe::courier::sign;
use local::stripe::customer::Card;
use local::stripe::{Settings, Stripe};
use serde_json::Value;
use shared::billing::{Connection, Patience};
use shared::domain::catalogue::Catalogue;
use shared::http::Sessions;
use shared::store::Clients;
use shared::telemetry::Lines;

use super::world::World;
use crate::billing::world::{KEY, fifo, sold};

const SIGNING: &str = "whsec_story";

pub(super) struct Till {
    pub(super) checkout: Router,
    stripe: Stripe,
    webhook: Webhook,
    billing: Billing,
    now: i64,
}

impl Till {
    pub(super) async fn new(world: &World) -> Self {
        let clients = Clients::on(world.config.clone());
        let settings = Settings {
            catalogue: sold(&Catalogue::default()),
            clock: world.clock.clone(),
            ..Settings::default()
        };
        let stripe = Stripe::start(settings).await.unwrap();
        let patience = Patience {
            wait_first: Duration::ZERO,
            ..Patience::default()
        };
        let connection = Connection::new(Some(&stripe.base_url()), patience).unwrap();
        let secret = async |of: &str, value: &str| {
            let name = format!("{of}-{}", world.table);
            let secrets = aws_sdk_secretsmanager::Client::new(&world.config);
            let made = secrets.create_secret().name(&name).secret_string(value);
            made.send().await.unwrap();
            name
        };
        let key_secret = secret("stripe-key", KEY).await;
        let queue = clients.billing_queue(&fifo(&world.config, &world.table).await);
        let secrets = clients.secrets(world.clock.clone());
        let pem: Arc<str> = world.keys.public_pem.as_str().into();
        let (checkout, _) = checkout::router(Checkout {
            store: clients.store(&world.table),
            connection: connection.clone(),
            secrets: secrets.clone(),
            key_secret: key_secret.clone(),
            catalogue: Catalogue::default(),
            web_origin: "https://app.example".to_owned(),
            portal: None,
            answer_max: ::checkout::ANSWER_MAX,
            sessions: Sessions::new(world.clock.clone(), move || {
                let pem = pem.clone();
                async move { Ok(pem) }
            }),
            clock: world.clock.clone(),
        });
        Self {
            checkout,
            webhook: Webhook {
                queue: queue.clone(),
                secrets: secrets.clone(),
                signing_secret: secret("stripe-signing", SIGNING).await,
                livemode: false,
                clock: world.clock.clone(),
            },
            billing: Billing {
                store: clients.store(&world.table),
                queue,
                connection,
                secrets,
                key_secret,
                catalogue: Catalogue::default(),
                portal: None,
                metrics: Lines::Stdout,
                clock: world.clock.clone(),
            },
            stripe,
            now: world.clock.now_millis() / 1000,
        }
    }

    /// Pays on a page; the id of its session.
    pub(super) fn pay(&self, page: &str) -> String {
        let session = page.rsplit('/').next().unwrap();
        let paid = self.stripe.with(|world| world.pay(session, Card::Ok).map(drop));
        paid.unwrap();
        session.to_owned()
    }

    /// What Stripe would sign an event's body with.
    pub(super) fn signature(&self, event: &str) -> String {
        let event: Value = serde_json::from_str(event).unwrap();
        let body = event["body"].as_str().unwrap();
        let body = if event["isBase64Encoded"] == true {
            String::from_utf8(BASE64_STANDARD.decode(body).unwrap()).unwrap()
        } else {
            body.to_owned()
        };
        sign(&body, self.now, &[SIGNING.to_owned()])
    }

    pub(super) async fn receive(&self, event: &str) -> u64 {
        let request = lambda_http::request::from_str(event).unwrap();
        webhook::receive(&self.webhook, request)
            .await
            .status()
            .as_u16()
            .into()
    }

    pub(super) async fn bill(&self, event: &str) -> Value {
        let event = serde_json::from_str(event).unwrap();
        billing::answer(&self.billing, event).await.unwrap()
    }
}
