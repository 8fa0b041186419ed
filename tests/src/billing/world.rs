//! One account with a customer, a Stripe of its own, and the billing function in this process.

use std::sync::Arc;

use ::billing::{Doors, handle};
use aws_config::SdkConfig;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use aws_sdk_sqs::types::QueueAttributeName;
use local::stripe::calendar::Interval as Every;
use local::stripe::catalogue::Catalogue as Sold;
use local::stripe::customer::Card;
use local::stripe::subscription::Subscription as Theirs;
use local::stripe::{Settings, Stripe as Fake};
use serde_json::{Value, json};
use shared::billing::{Connection, Order, Patience, Stripe, Told, told, wire};
use shared::clock::Clock;
use shared::domain::Language;
use shared::domain::billing::{Cause, Message, Whose};
use shared::domain::catalogue::{Catalogue, Interval};
use shared::domain::ids::AccountId;
use shared::domain::quota::Tier;
use shared::domain::time::UnixMillis;
use shared::store::{Billing, Clients};

use crate::emulators::Emulator;

pub(super) const DAY: i64 = 86_400;
const START_MILLIS: i64 = 1_790_000_000_000;
pub(super) const KEY: &str = "sk_test_local";

pub(super) struct World {
    pub(super) fake: Fake,
    pub(super) stripe: Stripe,
    pub(super) doors: Doors,
    pub(super) account: AccountId,
    pub(super) customer: String,
    pub(super) config: SdkConfig,
    heard: usize,
}

impl World {
    /// An account with a customer, who has bought nothing.
    pub(super) async fn new() -> Self {
        let config = Emulator::Ministack.config().await;
        let table = Emulator::Ministack.table().await;
        let clock = Clock::fixed(START_MILLIS);
        let settings = Settings {
            catalogue: sold(&Catalogue::default()),
            clock: Clock::fixed(START_MILLIS),
            ..Settings::default()
        };
        let fake = Fake::start(settings).await.unwrap();
        let clients = Clients::on(config.clone());
        let patience = Patience {
            wait_first: std::time::Duration::ZERO,
            ..Patience::default()
        };
        let connection = Connection::new(Some(&fake.base_url()), patience).unwrap();
        let stripe = connection.with_key(KEY).unwrap();
        let doors = Doors {
            store: clients.store(&table),
            queue: clients.billing_queue(&fifo(&config, &table).await),
            connection,
            secrets: clients.secrets(clock.clone()),
            key_secret: "unused".to_owned(),
            catalogue: Catalogue::default(),
            clock,
        };
        let account = AccountId::mint(UnixMillis::new(START_MILLIS));
        let customer = stripe.create_customer(account, Language::Fr).await.unwrap();
        doors.store.link_customer(account, &customer).await.unwrap();
        Self {
            fake,
            stripe,
            doors,
            account,
            customer,
            config,
            heard: 0,
        }
    }

    pub(super) fn now(&self) -> UnixMillis {
        UnixMillis::new(self.doors.clock.now_millis())
    }

    /// Time passes, here and at Stripe.
    pub(super) fn pass(&self, seconds: i64) {
        self.doors.clock.advance_seconds(seconds);
        self.fake.advance(seconds);
    }

    /// `customer` pays for a tier on Stripe's page.
    pub(super) async fn buy_as(&self, customer: &str, tier: Tier, card: Card) {
        let price = self.doors.catalogue.price(tier, Interval::Month).unwrap();
        let order = Order {
            account: self.account,
            customer,
            price: &price.id,
            language: Language::Fr,
            success_url: "https://app.example/ok",
            cancel_url: "https://app.example/no",
            expires_at: self.now().plus_seconds(3_600),
            key: &format!("order-{customer}-{}", tier.name()),
        };
        let session = self.stripe.create_checkout(&order).await.unwrap();
        self.fake
            .with(|world| world.pay(&session.id, card).map(drop))
            .unwrap();
    }

    /// The customer begins a checkout and tries to pay it, whatever comes of it.
    pub(super) async fn try_to_buy(&self, price: &str, card: Card, number: u64) {
        let order = Order {
            account: self.account,
            customer: &self.customer,
            price,
            language: Language::Fr,
            success_url: "https://app.example/ok",
            cancel_url: "https://app.example/no",
            expires_at: self.now().plus_seconds(3_600),
            key: &format!("try-{number}"),
        };
        let session = self.stripe.create_checkout(&order).await.unwrap();
        let _refused = self.fake.with(|world| world.pay(&session.id, card).map(drop));
    }

    pub(super) async fn buy(&self, tier: Tier, card: Card) {
        self.buy_as(&self.customer, tier, card).await;
    }

    /// The customer's newest subscription, as Stripe has it.
    pub(super) fn theirs(&self) -> Arc<Theirs> {
        let newest =
            |world: &mut local::stripe::world::World| world.subscriptions().iter().next_back().cloned();
        self.fake.with(newest).unwrap()
    }

    /// The same, as our client sees it.
    pub(super) async fn seen(&self) -> wire::Subscription {
        let listed = self.stripe.subscriptions_of(&self.customer, 1).await.unwrap();
        listed.objects.into_iter().next().unwrap()
    }

    /// The hints in all events since the last call.
    pub(super) fn hints(&mut self) -> Vec<Message> {
        let since = self.heard;
        let events: Vec<Value> = self.fake.with(|world| {
            let account = world.account.clone();
            let events = world.events_since(since);
            let bodies = events
                .iter()
                .map(|event| local::stripe::json::event(&account, event));
            bodies.collect()
        });
        self.heard += events.len();
        let told = |event: Value| match told(&serde_json::from_value(event).unwrap()) {
            Told::Hint(message) => Some(message),
            Told::NotOurs | Told::NoCustomer => None,
        };
        events.into_iter().filter_map(told).collect()
    }

    /// All that happened is heard, and nothing of it fails.
    pub(super) async fn hear(&mut self) {
        let hints = self.hints();
        self.tell(&hints).await;
    }

    /// The function gets a batch, and takes all of it.
    pub(super) async fn tell(&self, messages: &[Message]) {
        let failed = self.handle(messages).await.batch_item_failures;
        assert!(failed.is_empty(), "{failed:?} of {messages:?}");
    }

    /// The function gets a batch; a message's id is its place.
    pub(super) async fn handle(&self, messages: &[Message]) -> SqsBatchResponse {
        let records: Vec<Value> = messages
            .iter()
            .enumerate()
            .map(|(place, message)| {
                json!({
                    "messageId": place.to_string(),
                    "body": serde_json::to_string(message).unwrap(),
                    "attributes": { "MessageGroupId": message.group(), "ApproximateReceiveCount": "1" },
                })
            })
            .collect();
        let batch: SqsEvent = serde_json::from_value(json!({ "Records": records })).unwrap();
        handle(&self.doors, &self.stripe, batch).await
    }

    pub(super) fn sync(&self, cause: Cause) -> Message {
        Message::Sync {
            whose: Whose::Account(self.account),
            cause,
            at: self.now(),
        }
    }

    pub(super) async fn billing(&self) -> Billing {
        self.doors.store.billing(self.account).await.unwrap()
    }

    /// The tier, and what is free to reserve.
    pub(super) async fn may_use(&self) -> (Tier, u64) {
        let plan = self.billing().await.plan(self.now());
        let counter = self
            .doors
            .store
            .counter(self.account, &plan.period)
            .await
            .unwrap();
        (plan.tier, counter.map_or(0, |counter| counter.remaining))
    }

    /// Names of the letters that wait.
    pub(super) async fn letters(&self) -> Vec<String> {
        let due = self.doors.store.due_letters(self.now(), 100).await.unwrap();
        let name = |key: String| key.split('#').next().unwrap_or_default().to_owned();
        due.into_iter().map(|it| name(it.letter.key())).collect()
    }

    /// Takes what waits in the billing queue.
    pub(super) async fn queued(&self) -> Vec<Message> {
        taken(&self.config, self.doors.queue.url()).await
    }
}

/// Takes what waits in a queue.
pub(super) async fn taken(config: &SdkConfig, url: &str) -> Vec<Message> {
    let sqs = aws_sdk_sqs::Client::new(config);
    let mut messages = Vec::new();
    loop {
        let received = sqs
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(10)
            .send()
            .await
            .unwrap();
        let found = received.messages.unwrap_or_default();
        if found.is_empty() {
            return messages;
        }
        for message in found {
            messages.push(serde_json::from_str(message.body().unwrap()).unwrap());
            sqs.delete_message()
                .queue_url(url)
                .receipt_handle(message.receipt_handle().unwrap())
                .send()
                .await
                .unwrap();
        }
    }
}

/// Stripe sells what the catalogue says.
fn sold(catalogue: &Catalogue) -> Sold {
    let paid = [Tier::Essentiel, Tier::Pro, Tier::Max];
    paid.into_iter().fold(Sold::default(), |sold, tier| {
        let price = |interval| catalogue.price(tier, interval).unwrap();
        let cents = |interval| i64::try_from(price(interval).amount_cents).unwrap();
        let (month, year) = (price(Interval::Month), price(Interval::Year));
        let prices = [
            (month.id.as_str(), cents(Interval::Month), Every::Month),
            (year.id.as_str(), cents(Interval::Year), Every::Year),
        ];
        sold.with(&format!("prod_{}", tier.name()), tier.name(), prices)
    })
}

pub(super) async fn fifo(config: &SdkConfig, name: &str) -> String {
    let made = aws_sdk_sqs::Client::new(config)
        .create_queue()
        .queue_name(format!("{name}.fifo"))
        .attributes(QueueAttributeName::FifoQueue, "true")
        .send()
        .await
        .unwrap();
    made.queue_url.unwrap()
}
