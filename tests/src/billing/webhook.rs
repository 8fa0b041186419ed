//! Stripe's door, as the function URL calls it.

use ::webhook::{BODY_BYTES_MAX, Doors, receive};
use aws_config::SdkConfig;
use lambda_http::http::{Method, StatusCode};
use lambda_http::{Body, Request};
use serde_json::json;
use shared::clock::Clock;
use shared::domain::billing::{About, Message};
use shared::store::Clients;
use stripe_webhook::Webhook;

use super::world::{fifo, taken};
use crate::emulators::Emulator;

const NOW_MILLIS: i64 = 1_790_000_000_000;
const SECRETS: &str = "[\"whsec_new\", \"whsec_old\"]";

struct Door {
    doors: Doors,
    config: SdkConfig,
}

impl Door {
    async fn new() -> Self {
        let config = Emulator::Ministack.config().await;
        let name = Emulator::Ministack.table().await;
        let clock = Clock::fixed(NOW_MILLIS);
        let clients = Clients::on(config.clone());
        aws_sdk_secretsmanager::Client::new(&config)
            .create_secret()
            .name(&name)
            .secret_string(SECRETS)
            .send()
            .await
            .unwrap();
        let doors = Doors {
            queue: clients.billing_queue(&fifo(&config, &name).await),
            secrets: clients.secrets(clock.clone()),
            signing_secret: name,
            livemode: false,
            clock,
        };
        Self { doors, config }
    }

    async fn post(&self, body: &str, header: Option<&str>) -> StatusCode {
        let mut request = Request::new(Body::Binary(body.as_bytes().to_vec()));
        *request.method_mut() = Method::POST;
        if let Some(header) = header {
            request
                .headers_mut()
                .insert("stripe-signature", header.parse().unwrap());
        }
        receive(&self.doors, request).await.status()
    }
}

fn paid() -> String {
    json!({
        "id": "evt_1", "type": "invoice.paid", "created": 1_790_000_000, "livemode": false,
        "data": { "object": { "id": "in_1", "customer": "cus_1" } },
    })
    .to_string()
}

fn signed(body: &str, secret: &str) -> String {
    Webhook::generate_test_header(body, secret, Some(NOW_MILLIS / 1000))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_is_signed_is_in_the_queue_once_and_answered_200() {
    let door = Door::new().await;
    let body = paid();
    for secret in ["whsec_new", "whsec_old"] {
        let status = door.post(&body, Some(&signed(&body, secret))).await;
        assert_eq!(status, StatusCode::OK, "{secret}");
    }
    let expected = Message::Event {
        id: "evt_1".to_owned(),
        kind: "invoice.paid".to_owned(),
        about: About::Customer("cus_1".to_owned()),
    };
    assert_eq!(taken(&door.config, door.doors.queue.url()).await, [expected]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_stripes_is_refused_and_reaches_no_queue() {
    let door = Door::new().await;
    let body = paid();
    let header = signed(&body, "whsec_other");
    assert_eq!(door.post(&body, Some(&header)).await, StatusCode::BAD_REQUEST);
    assert_eq!(door.post(&body, None).await, StatusCode::BAD_REQUEST);
    let long = " ".repeat(BODY_BYTES_MAX + 1);
    let header = signed(&long, "whsec_new");
    assert_eq!(
        door.post(&long, Some(&header)).await,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    let get = receive(&door.doors, Request::new(Body::Empty)).await;
    assert_eq!(get.status(), StatusCode::METHOD_NOT_ALLOWED);
    let taken = taken(&door.config, door.doors.queue.url()).await;
    assert!(taken.is_empty(), "{taken:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_of_ours_is_a_500_so_that_stripe_sends_it_again() {
    let mut door = Door::new().await;
    let body = paid();
    let header = signed(&body, "whsec_new");
    let clients = Clients::on(door.config.clone());
    let nowhere = format!("{}-gone", door.doors.queue.url());
    door.doors.queue = clients.billing_queue(&nowhere);
    let status = door.post(&body, Some(&header)).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    door.doors.signing_secret = "no/such/secret".to_owned();
    let status = door.post(&body, Some(&header)).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
}
