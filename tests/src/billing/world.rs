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
use shared::billing::{Connection, Order, Patience, Stripe, Told, told, truth, wire};
use shared::clock::Clock;
use shared::domain::Language;
use shared::domain::billing::{Cause, Message, Whose};
use shared::domain::catalogue::{Catalogue, Interval};
use shared::domain::ids::AccountId;
use shared::domain::quota::Tier;
use shared::domain::subscription::{Subscription, Truth, entitle};
use shared::domain::time::UnixMillis;
use shared::store::{Billing, Clients, Store};
use shared::telemetry::Lines;

use super::place::Place;
use crate::emulators::Emulator;

pub(super) const DAY: i64 = 86_400;
pub(super) const START_MILLIS: i64 = 1_790_000_000_000;
pub(crate) const KEY: &str = "sk_test_local";

pub(super) struct World {
    pub(super) fake: Arc<Fake>,
    pub(super) stripe: Stripe,
    pub(super) doors: Doors,
    pub(super) account: AccountId,
    pub(super) customer: String,
    pub(super) config: SdkConfig,
    pub(super) table: String,
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
            portal: None,
            metrics: Lines::Kept(Arc::default()),
            clock,
        };
        let account = AccountId::mint(UnixMillis::new(START_MILLIS));
        let customer = stripe
            .create_customer(account, Language::Fr, "first")
            .await
            .unwrap();
        doors.store.link_customer(account, &customer).await.unwrap();
        Self {
            fake: Arc::new(fake),
            stripe,
            doors,
            account,
            customer,
            config,
            table,
            heard: 0,
        }
    }

    /// The same at a place that others have lived at and will: the Stripe there forgets them. Without a queue.
    pub(super) async fn at(place: &Place, seed: u64) -> Self {
        place.fake.reset(seed);
        let account = AccountId::mint(UnixMillis::new(START_MILLIS));
        Self {
            fake: Arc::clone(&place.fake),
            stripe: place.stripe.clone(),
            doors: Doors {
                store: place.billing_store.clone(),
                queue: place.queue.clone(),
                connection: place.connection.clone(),
                secrets: place.secrets.clone(),
                key_secret: "unused".to_owned(),
                catalogue: Catalogue::default(),
                portal: None,
                metrics: Lines::Kept(Arc::default()),
                clock: Clock::fixed(START_MILLIS),
            },
            account,
            customer: place
                .stripe
                .create_customer(account, Language::Fr, "first")
                .await
                .unwrap(),
            config: place.config.clone(),
            table: place.table.clone(),
            heard: 0,
        }
    }

    /// Remembers here whose the customer is.
    pub(super) async fn link(&self) {
        let linked = self.doors.store.link_customer(self.account, &self.customer).await;
        assert_eq!(linked.unwrap(), self.customer);
    }

    /// The same world, seen through another way to the table.
    pub(super) fn through(&self, store: &Store) -> Self {
        Self {
            fake: Arc::clone(&self.fake),
            stripe: self.stripe.clone(),
            doors: Doors {
                store: store.clone(),
                ..self.doors.clone()
            },
            customer: self.customer.clone(),
            config: self.config.clone(),
            table: self.table.clone(),
            ..*self
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
        assert!(self.try_to_buy(customer, tier, Interval::Month, card).await);
    }

    pub(super) async fn buy(&self, tier: Tier, card: Card) {
        self.buy_as(&self.customer, tier, card).await;
    }

    /// A checkout is begun and its page used, whatever the bank says; `false` if Stripe refused the page.
    pub(super) async fn try_to_buy(
        &self,
        customer: &str,
        tier: Tier,
        interval: Interval,
        card: Card,
    ) -> bool {
        let price = self.doors.catalogue.price(tier, interval).unwrap();
        let number = self.fake.with(|stripe| stripe.sessions().iter().count());
        let order = Order {
            account: self.account,
            customer,
            price: &price.id,
            language: Language::Fr,
            success_url: "https://app.example/ok",
            cancel_url: "https://app.example/no",
            expires_at: self.now().plus_seconds(3_600),
            key: &format!("order-{number}"),
        };
        let session = self.stripe.create_checkout(&order).await.unwrap();
        self.fake.with(|stripe| stripe.pay(&session.id, card).is_ok())
    }

    /// The customer's newest subscription, as Stripe has it.
    pub(super) fn theirs(&self) -> Arc<Theirs> {
        let newest =
            |world: &mut local::stripe::world::World| world.subscriptions().iter().next_back().cloned();
        self.fake.with(newest).unwrap()
    }

    /// The same, as our client sees it.
    pub(super) async fn seen(&self) -> wire::Subscription {
        self.newest().await.unwrap()
    }

    /// The same, if there is one.
    pub(super) async fn newest(&self) -> Option<wire::Subscription> {
        let listed = self.stripe.subscriptions_of(&self.customer, 1).await.unwrap();
        listed.objects.into_iter().next()
    }

    /// Every customer that the account has at Stripe.
    pub(super) fn customers(&self) -> Vec<String> {
        self.fake
            .with(|stripe| stripe.customers().iter().map(|it| it.id.clone()).collect())
    }

    /// What the account should be subscribed to, by all that Stripe knows.
    pub(super) async fn entitled(&self) -> Option<Subscription> {
        let mut all = Truth::default();
        for customer in self.customers() {
            let one = truth(&self.stripe, &customer).await.unwrap();
            all.subscriptions.extend(one.subscriptions);
            all.invoices.extend(one.invoices);
            all.charges.extend(one.charges);
        }
        entitle(&all, &self.doors.catalogue).unwrap().subscription
    }

    /// What the nightly comparison asks about the account, until it changes nothing: a payment that was given back
    /// ends its subscription, which is news again.
    pub(super) async fn reconcile(&self) {
        let customers = self.customers();
        for customer in customers.iter().chain(&customers).cloned() {
            let asked = Message::Sync {
                whose: Whose::Customer(customer),
                cause: Cause::Reconcile,
                at: self.now(),
            };
            self.tell(&[asked]).await;
        }
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

    /// What was measured under a name: the kind of each, oldest first. Each counts one.
    pub(super) fn measured(&self, name: &str) -> Vec<String> {
        let Lines::Kept(lines) = &self.doors.metrics else {
            return Vec::new();
        };
        let lines = lines.lock().unwrap();
        let lines = lines
            .iter()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let of_name = lines.filter(|line| line.get(name).is_some());
        of_name
            .map(|line| {
                assert_eq!((&line["function"], &line[name]), (&json!("billing"), &json!(1)));
                line["kind"].as_str().unwrap().to_owned()
            })
            .collect()
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
pub(crate) fn sold(catalogue: &Catalogue) -> Sold {
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

pub(crate) async fn fifo(config: &SdkConfig, name: &str) -> String {
    let made = aws_sdk_sqs::Client::new(config)
        .create_queue()
        .queue_name(format!("{name}.fifo"))
        .attributes(QueueAttributeName::FifoQueue, "true")
        .send()
        .await
        .unwrap();
    made.queue_url.unwrap()
}
