//! Stripe's door, as the function URL calls it.

use ::webhook::{BODY_BYTES_MAX, Doors, receive};
use aws_config::SdkConfig;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use lambda_http::http::{Method, StatusCode};
use lambda_http::{Body, Request};
use local::emulator::project_root;
use local::stripe::customer::Card;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::domain::billing::{About, List, Message};
use shared::domain::quota::Tier;
use shared::store::Clients;
use stripe_webhook::Webhook;

use super::world::{World, fifo, taken};
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

/// What a function URL calls its function with, for a body as it came.
fn called_with(body: &str, signature: &str, in_base64: bool) -> Request {
    let event = std::fs::read_to_string(project_root().join("events/webhook/invoice-paid.json")).unwrap();
    let mut event: Value = serde_json::from_str(&event).unwrap();
    event["headers"]["stripe-signature"] = signature.into();
    event["headers"]["content-length"] = body.len().to_string().into();
    event["isBase64Encoded"] = in_base64.into();
    event["body"] = if in_base64 {
        BASE64_STANDARD.encode(body).into()
    } else {
        body.into()
    };
    lambda_http::request::from_str(&event.to_string()).unwrap()
}

/// The same event, in so many bytes: JSON says the same with more room in it.
fn padded(event: &str, bytes: usize) -> String {
    let room = " ".repeat(bytes - event.len());
    event.replacen('{', &format!("{{{room}"), 1)
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
async fn a_body_is_measured_as_it_was_sent_however_the_function_url_passes_it_on() {
    let door = Door::new().await;
    for (bytes, status, queued) in [
        (paid().len(), StatusCode::OK, 1),
        (BODY_BYTES_MAX, StatusCode::OK, 1),
        (BODY_BYTES_MAX + 1, StatusCode::PAYLOAD_TOO_LARGE, 0),
        (2 * 1024 * 1024, StatusCode::PAYLOAD_TOO_LARGE, 0),
    ] {
        for in_base64 in [false, true] {
            // Another event each time: the queue takes the same one once.
            let event = paid().replace("evt_1", &format!("evt_{bytes}_{in_base64}"));
            let body = padded(&event, bytes.max(event.len()));
            let request = called_with(&body, &signed(&body, "whsec_new"), in_base64);
            let answer = receive(&door.doors, request).await;
            assert_eq!(answer.status(), status, "{bytes} bytes, in base64: {in_base64}");
            let found = taken(&door.config, door.doors.queue.url()).await;
            assert_eq!(found.len(), queued, "{bytes} bytes, in base64: {in_base64}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_for_its_size_the_next_night_finds() {
    let mut world = World::new().await;
    let mut door = Door::new().await;
    door.doors.queue = world.doors.queue.clone();
    world.buy(Tier::Pro, Card::Ok).await;
    let events: Vec<String> = world.fake.with(|stripe| {
        let events = stripe.events().iter();
        events
            .map(|event| local::stripe::json::event(&stripe.account, event).to_string())
            .collect()
    });
    let refused = events.iter().map(|event| padded(event, 2 * 1024 * 1024));
    for body in refused {
        let request = called_with(&body, &signed(&body, "whsec_new"), true);
        let answer = receive(&door.doors, request).await;
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
    assert!(world.queued().await.is_empty());
    assert_eq!(world.may_use().await.0, Tier::Free);

    // Stripe keeps what was not answered with 2xx, and lists it.
    let list = Message::Reconcile {
        list: List::Undelivered,
        page: 0,
        after: None,
        at: world.now(),
    };
    world.tell(&[list]).await;
    let found = world.queued().await;
    assert_eq!(found.len(), world.hints().len());
    world.tell(&found).await;
    assert_eq!(world.may_use().await, (Tier::Pro, 6_000_000));
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
