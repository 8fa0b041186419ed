//! What a Stripe that is kept in a file knows after a restart.

use std::path::{Path, PathBuf};

use axum::routing::post;
use axum::{Json, Router};
use local::emulator::project_root;
use local::stripe::Endpoint;
use local::stripe::calendar::Interval;
use local::stripe::catalogue::NewPrice;
use local::stripe::event::Delivery;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;

/// A file of a test's own, gone after it.
struct Kept(PathBuf);

impl Kept {
    fn new(name: &str) -> Self {
        let folder = project_root().join(format!(".local/tests/stripe-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.join("stripe.json")
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // What a Stripe that ends later still writes does no harm.
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

async fn started(file: &Path, endpoint: Option<Endpoint>) -> std::io::Result<Stripe> {
    Stripe::start(Settings {
        clock: Clock::fixed(START * 1000),
        kept_in: Some(file.to_owned()),
        endpoint,
        ..Settings::default()
    })
    .await
}

/// A webhook that takes every event, and their types as they come.
async fn webhook() -> (Endpoint, UnboundedReceiver<String>) {
    let (tell, told) = unbounded_channel();
    let take = async move |Json(event): Json<Value>| {
        tell.send(event["type"].as_str().unwrap().to_owned()).unwrap();
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let app = Router::new().route("/", post(async move |event| take(event).await));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let secrets = vec!["whsec_kept".to_owned()];
    (Endpoint { url, secrets }, told)
}

#[tokio::test]
async fn what_was_bought_is_known_after_a_restart_and_goes_on() {
    let kept = Kept::new("bought");
    let file = kept.file();
    let mut fake = Fake::start().await;
    fake.stripe = started(&file, None).await.unwrap();
    fake.customer = fake
        .stripe
        .with(|world| world.create_customer(Details::default()).unwrap().id.clone());
    let subscription = fake.subscribe(PRO, Card::Ok);
    fake.stripe.advance(3 * DAY);
    let before = fake.stripe.with(|world| world.clone());

    drop(fake.stripe);
    fake.stripe = started(&file, None).await.unwrap();
    fake.stripe.with(|world| {
        assert_eq!(world.now(), before.now(), "a clock that went ahead stays there");
        assert_eq!(
            world.subscription(&subscription).unwrap(),
            before.subscription(&subscription).unwrap()
        );
        assert_eq!(world.events().iter().count(), before.events().iter().count());
    });

    fake.stripe.advance(31 * DAY);
    let other = fake.subscribe(ESSENTIEL, Card::Ok);
    assert_ne!(other, subscription, "ids go on where they were");
    fake.stripe.with(|world| {
        let renewed = world.subscription(&subscription).unwrap();
        assert!(renewed.period.start > before.subscription(&subscription).unwrap().period.start);
        assert_eq!(world.customers().iter().count(), 1);
    });
}

#[tokio::test]
async fn what_calls_have_made_to_sell_is_kept_and_a_test_clock_is_not() {
    let kept = Kept::new("sold");
    let file = kept.file();
    let stripe = started(&file, None).await.unwrap();
    let (price, prices) = stripe.with(|world| {
        world
            .create_product(Some("of_ours".to_owned()), "Essai".to_owned())
            .unwrap();
        let new = NewPrice {
            product: "of_ours".to_owned(),
            cents: 1_200,
            interval: Interval::Month,
            lookup_key: Some("k".to_owned()),
            transfer_lookup_key: false,
        };
        world.create_test_clock(START, None).unwrap();
        let made = world.create_price(new).unwrap();
        (made, world.account.catalogue.prices.len())
    });
    drop(stripe);
    let stripe = started(&file, None).await.unwrap();
    stripe.with(|world| {
        assert_eq!(world.account.catalogue.price(&price.id), Some(&price));
        assert_eq!(world.account.catalogue.prices.len(), prices, "nothing twice");
        assert!(!world.is_frozen());
    });
}

#[tokio::test]
async fn an_event_that_was_not_delivered_comes_after_a_restart_and_one_that_was_does_not() {
    let kept = Kept::new("events");
    let file = kept.file();
    let stripe = started(&file, None).await.unwrap();
    stripe.with(|world| {
        let told = world.create_customer(Details::default()).unwrap();
        let event = world.events().iter().last().unwrap().id.clone();
        world.record_delivery(&event, Delivery::Succeeded);
        world.delete_customer(&told.id).unwrap();
    });
    drop(stripe);

    let (endpoint, mut told) = webhook().await;
    let _stripe = started(&file, Some(endpoint)).await.unwrap();
    assert_eq!(told.recv().await.unwrap(), "customer.deleted");
}

#[tokio::test]
async fn a_file_that_it_did_not_write_is_named_and_left_alone() {
    let kept = Kept::new("broken");
    let file = kept.file();
    std::fs::write(&file, "{\"now\": 1").unwrap();
    let error = started(&file, None).await.err().unwrap().to_string();
    assert!(
        error.contains("stripe.json") && error.contains("remove it"),
        "{error}"
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{\"now\": 1");
}
