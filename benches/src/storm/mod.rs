//! A storm: events of many customers, shuffled, some of them twice, through the real webhook, a FIFO queue and the
//! real billing function, while the table and Stripe fail. In the end nobody may have a wrong tier, and nothing may
//! be lost.

mod customers;
mod fifo;

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_lambda_events::sqs::SqsEvent;
use futures::future::join_all;
use lambda_http::http::Method;
use lambda_http::{Body, Request};
use local::stripe::courier::sign;
use local::stripe::seed::Seed;
use local::stripe::{Fault, Kind, Settings, Stripe as Fake};
use serde_json::{Value, json};
use shared::billing::{Connection, Patience, Stripe};
use shared::clock::Clock;
use shared::domain::catalogue::Catalogue;
use shared::domain::ids::AccountId;
use shared::store::Clients;
use shared::telemetry::Lines;

use customers::Customer;
use fifo::{Outside, Waiting};

const START_MILLIS: i64 = 1_790_000_000_000;
const KEY: &str = "sk_test_local";
const SIGNING: &str = "whsec_storm";
/// Things happen at Stripe in so many waves; between two, some of the events are delivered.
const WAVES: u64 = 8;
/// What Lambda runs side by side.
const LANES: usize = 8;
/// How Stripe fails: each in an equal part of the calls that fail.
const AT_STRIPE: [Kind; 5] = [
    Kind::RateLimited,
    Kind::ServerError,
    Kind::Cut,
    Kind::ReplyLost,
    Kind::Hang,
];
/// How often the bare function is measured.
const BARE: usize = 400;

/// How hard it blows.
#[derive(Debug, Clone, Copy)]
pub struct Force {
    /// The same number gives the same customers and the same chances.
    pub seed: u64,
    /// Who buys.
    pub customers: usize,
    /// Events to be delivered, repetitions included.
    pub deliveries: usize,
    /// Of a hundred events, how many come twice.
    pub duplicates_per_cent: u8,
    /// Of a hundred requests to the table, and calls to Stripe, how many fail.
    pub faults_per_cent: u8,
}

/// What came of it.
#[derive(Debug)]
pub struct Passed {
    /// Events that were delivered and taken, repetitions included.
    pub deliveries: usize,
    /// Deliveries that were refused, and made again.
    pub again: usize,
    /// Messages that were handled.
    pub handled: usize,
    /// Requests that failed on purpose.
    pub faults: usize,
    /// Accounts that are not what Stripe says.
    pub wrong: Vec<AccountId>,
    /// Events that were taken and had no effect, dead letters among them.
    pub lost: usize,
    /// From the first delivery to the last effect.
    pub wall: Duration,
    /// One event each, from its delivery to its effect, its time in the queue left out.
    pub events: Vec<Duration>,
    /// The same for a function that only reads an event and writes one item.
    pub bare: Vec<Duration>,
}

/// Lets it blow over an empty table.
///
/// # Errors
/// Something fails that is not part of the storm.
pub async fn blow(config: &SdkConfig, table: &str, force: Force) -> anyhow::Result<Passed> {
    let storm = Storm::gather(config, table, force).await?;
    let started = Instant::now();
    for wave in 0..WAVES {
        storm.happen(wave)?;
        storm.deliver(wave + 1 < WAVES).await?;
        storm.handle().await;
        storm.outside.forget_recent();
    }
    // What syncs have caused is told as well.
    while storm.collect() > 0 {
        storm.deliver(false).await?;
        storm.handle().await;
    }
    let wall = started.elapsed();
    storm.outside.calm();
    storm.fake.clear_faults();
    storm.end(wall).await
}

/// A storm that blows.
struct Storm {
    force: Force,
    fake: Fake,
    stripe: Stripe,
    webhook: webhook::Doors,
    billing: billing::Doors,
    outside: Outside,
    customers: Vec<Customer>,
    bare: aws_sdk_dynamodb::Client,
    table: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Events of Stripe's that were looked at.
    seen: usize,
    /// Events that are for us, and not delivered yet.
    pile: Vec<Value>,
    /// Those that the webhook took, by id.
    taken: HashSet<String>,
    /// Those that were handled.
    done: HashSet<String>,
    deliveries: usize,
    again: usize,
    handled: usize,
    doors: Vec<Duration>,
    looks: Vec<Duration>,
}

impl Storm {
    async fn gather(config: &SdkConfig, table: &str, force: Force) -> anyhow::Result<Self> {
        let catalogue = Catalogue::default();
        let settings = Settings {
            catalogue: customers::sold(&catalogue),
            clock: Clock::fixed(START_MILLIS),
            seed: force.seed,
            ..Settings::default()
        };
        let fake = Fake::start(settings).await?;
        let outside = Outside::new(SIGNING, force.seed, force.faults_per_cent);
        let retries = RetryConfig::standard()
            .with_initial_backoff(Duration::from_millis(1))
            .with_max_backoff(Duration::from_millis(5));
        let clients = config
            .to_owned()
            .into_builder()
            .http_client(outside.clone())
            .retry_config(retries);
        let clients = Clients::on(clients.build());
        let patience = Patience {
            attempt: Duration::from_millis(500),
            wait_first: Duration::ZERO,
            ..Patience::default()
        };
        let connection = Connection::new(Some(&fake.base_url()), patience)?;
        let clock = Clock::fixed(START_MILLIS);
        let queue = clients.billing_queue("http://queue.test/billing");
        let store = Clients::on(config.clone()).store(table);
        let customers = customers::made(&fake, &store, force.customers).await?;
        for kind in AT_STRIPE {
            let each = force.faults_per_cent / u8::try_from(AT_STRIPE.len())?;
            fake.inject([Fault::next(kind).at("/v1/").times(usize::MAX).in_per_cent(each)]);
        }
        Ok(Self {
            stripe: connection.with_key(KEY)?,
            webhook: webhook::Doors {
                queue: queue.clone(),
                secrets: clients.secrets(clock.clone()),
                signing_secret: "signing".to_owned(),
                livemode: false,
                clock: clock.clone(),
            },
            billing: billing::Doors {
                store: clients.store(table),
                queue,
                connection,
                secrets: clients.secrets(clock.clone()),
                key_secret: "unused".to_owned(),
                catalogue,
                portal: None,
                metrics: Lines::Stdout,
                clock,
            },
            bare: aws_sdk_dynamodb::Client::new(config),
            table: table.to_owned(),
            state: Mutex::default(),
            force,
            fake,
            outside,
            customers,
        })
    }

    /// Things happen to the customers, until there are enough events for so many waves.
    fn happen(&self, wave: u64) -> anyhow::Result<()> {
        let twice = 100 + usize::from(self.force.duplicates_per_cent);
        let wanted = self.force.deliveries * 100 / twice;
        let wanted = wanted * usize::try_from(wave + 1)? / usize::try_from(WAVES)?;
        let mut seed = Seed::new(self.force.seed.wrapping_add(1000 + wave));
        let days = i64::try_from(1 + seed.below(12))?;
        self.billing.clock.advance_seconds(days * 86_400);
        self.fake.advance(days * 86_400);
        while self.collect() + self.with(|state| state.taken.len()) < wanted {
            let customer = usize::try_from(seed.below(self.customers.len() as u64))?;
            let customer = self.customers.get(customer).context("no such customer")?;
            self.fake
                .with(|stripe| customer.act(stripe, &self.billing.catalogue, &mut seed));
        }
        Ok(())
    }

    /// Puts new events on the pile, and says how many are there.
    fn collect(&self) -> usize {
        self.with(|state| {
            let new: Vec<Value> = self.fake.with(|stripe| {
                let account = stripe.account.clone();
                let events = stripe.events_since(state.seen);
                state.seen += events.len();
                let bodies = events
                    .iter()
                    .map(|event| local::stripe::json::event(&account, event));
                bodies.collect()
            });
            state.pile.extend(new.into_iter().filter(is_ours));
            state.pile.len()
        })
    }

    /// Delivers the pile, shuffled and some of it twice; `some`: half of it, the rest is late.
    async fn deliver(&self, some: bool) -> anyhow::Result<()> {
        let letters = self.with(|state| {
            let mut seed = Seed::new(self.force.seed ^ state.seen as u64);
            shuffle(&mut seed, &mut state.pile);
            let late = if some { state.pile.len() / 2 } else { 0 };
            let now = state.pile.split_off(late);
            let again: Vec<Value> = now
                .iter()
                .filter(|_| seed.chance(self.force.duplicates_per_cent))
                .cloned()
                .collect();
            // Some of them come again in another wave, when the queue has forgotten them.
            let (now_again, later) = again.split_at(again.len() / 2);
            if some {
                state.pile.extend_from_slice(later);
            }
            let mut letters = [now, now_again.to_vec()].concat();
            shuffle(&mut seed, &mut letters);
            letters
        });
        let lanes = letters.chunks(letters.len().div_ceil(LANES).max(1));
        let lanes = lanes.map(async |lane| {
            for letter in lane {
                self.post(letter).await?;
            }
            anyhow::Ok(())
        });
        join_all(lanes).await.into_iter().collect()
    }

    /// Delivers one event until it is taken, as Stripe does.
    async fn post(&self, letter: &Value) -> anyhow::Result<()> {
        let body = letter.to_string();
        for _ in 0..20 {
            let at = self.webhook.clock.now_millis() / 1000;
            let mut request = Request::new(Body::Text(body.clone()));
            *request.method_mut() = Method::POST;
            let signature = sign(&body, at, &[SIGNING.to_owned()]);
            request
                .headers_mut()
                .insert("stripe-signature", signature.parse()?);
            let started = Instant::now();
            let status = webhook::receive(&self.webhook, request).await.status();
            let taken = self.with(|state| {
                state.doors.push(started.elapsed());
                state.again += usize::from(!status.is_success());
                status.is_success()
            });
            if taken {
                self.with(|state| {
                    state.deliveries += 1;
                    state
                        .taken
                        .insert(letter["id"].as_str().unwrap_or_default().to_owned());
                });
                return Ok(());
            }
        }
        anyhow::bail!("the webhook refuses an event for ever")
    }

    /// Handles what waits in the queue.
    async fn handle(&self) {
        let lane = async || {
            while !self.outside.is_empty() {
                let batch = self.outside.receive();
                if batch.is_empty() {
                    // Another lane has it in hand, and some of it may come back.
                    tokio::task::yield_now().await;
                } else {
                    self.handle_batch(batch).await;
                }
            }
        };
        join_all((0..LANES).map(|_| lane())).await;
    }

    async fn handle_batch(&self, batch: Vec<Waiting>) {
        let records = batch.iter().map(|message| {
            json!({
                "messageId": message.id,
                "body": message.body,
                "receiptHandle": message.id,
                "attributes": {
                    "MessageGroupId": message.group,
                    "ApproximateReceiveCount": message.received.to_string(),
                },
            })
        });
        let event: SqsEvent =
            serde_json::from_value(json!({ "Records": records.collect::<Vec<_>>() })).unwrap_or_default();
        let started = Instant::now();
        let response = billing::handle(&self.billing, &self.stripe, event).await;
        let each = started.elapsed() / u32::try_from(batch.len()).unwrap_or(1);
        let failed = response.batch_item_failures.into_iter();
        let failed: HashSet<String> = failed.map(|it| it.item_identifier).collect();
        self.with(|state| {
            for message in batch.iter().filter(|it| !failed.contains(&it.id)) {
                state.handled += 1;
                state.looks.push(each);
                let read: Value = serde_json::from_str(&message.body).unwrap_or_default();
                state.done.extend(read["id"].as_str().map(str::to_owned));
            }
        });
        self.outside.give_back(batch, &failed);
    }

    async fn end(&self, wall: Duration) -> anyhow::Result<Passed> {
        let mut wrong = Vec::new();
        for customer in &self.customers {
            if !customer.is_right(&self.stripe, &self.billing).await? {
                wrong.push(customer.account);
            }
        }
        let bare = self.bare().await?;
        let calls = self.fake.calls();
        let struck = calls.iter().filter(|call| call.fault.is_some()).count();
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let doors = sorted(state.doors.clone());
        let door = doors.get(doors.len() / 2).copied().unwrap_or_default();
        Ok(Passed {
            deliveries: state.deliveries,
            again: state.again,
            handled: state.handled,
            faults: self.outside.faults() + struck,
            wrong,
            lost: state.taken.difference(&state.done).count() + self.outside.dead(),
            wall,
            events: sorted(state.looks.iter().map(|look| *look + door).collect()),
            bare,
        })
    }

    /// A function that does the least one can do with an event.
    async fn bare(&self) -> anyhow::Result<Vec<Duration>> {
        let body = json!({ "id": "evt_bare", "type": "invoice.paid", "data": { "object": {} } }).to_string();
        let mut taken = Vec::with_capacity(BARE);
        for number in 0..BARE {
            let started = Instant::now();
            let event: Value = serde_json::from_str(&body)?;
            ensure!(event["id"] == "evt_bare", "the event is another");
            let key = aws_sdk_dynamodb::types::AttributeValue::S(format!("BARE#{number}"));
            let put = self.bare.put_item().table_name(&self.table);
            put.item("pk", key.clone()).item("sk", key).send().await?;
            taken.push(started.elapsed());
        }
        Ok(sorted(taken))
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether an event is for us; the others would be answered and forgotten.
fn is_ours(event: &Value) -> bool {
    let read = serde_json::from_value(event.clone());
    read.is_ok_and(|event| matches!(shared::billing::told(&event), shared::billing::Told::Hint(_)))
}

fn shuffle<T>(seed: &mut Seed, of: &mut [T]) {
    for place in 1..of.len() {
        of.swap(
            place,
            usize::try_from(seed.below(place as u64 + 1)).unwrap_or_default(),
        );
    }
}

fn sorted(mut durations: Vec<Duration>) -> Vec<Duration> {
    durations.sort_unstable();
    durations
}
