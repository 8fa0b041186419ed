//! Where thousands of accounts live, one after the other and each alone: one table on dynoxide for all of them, a
//! Stripe that forgets, and connections that stay open.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use local::stripe::{Settings, Stripe as Fake};
use shared::billing::{Connection, Patience, Stripe};
use shared::clock::Clock;
use shared::domain::catalogue::Catalogue;
use shared::domain::ids::AccountId;
use shared::domain::quota::{Counter, Entry, Period, Tier};
use shared::domain::run::Address;
use shared::store::{BillingQueue, Clients, Secrets, Store};

use super::world::{KEY, START_MILLIS, sold};
use crate::emulators::Emulator;
use crate::watched::Watched;

/// A Stripe, and two ways to the table: billing's and everybody else's, so that it is seen who writes which ledger.
pub(super) struct Place {
    pub(super) fake: Arc<Fake>,
    pub(super) stripe: Stripe,
    pub(super) connection: Connection,
    pub(super) config: SdkConfig,
    pub(super) table: String,
    pub(super) billing: Watched,
    pub(super) ledger: Watched,
    pub(super) billing_store: Store,
    pub(super) ledger_store: Store,
    pub(super) queue: BillingQueue,
    pub(super) secrets: Secrets,
}

impl Place {
    /// A place at `table`, which others may share.
    pub(super) async fn new(real: &SharedHttpClient, table: &str) -> Self {
        let config = Emulator::Dynoxide.config().await;
        let settings = Settings {
            catalogue: sold(&Catalogue::default()),
            clock: Clock::fixed(START_MILLIS),
            ..Settings::default()
        };
        let fake = Fake::start(settings).await.unwrap();
        let patience = Patience {
            wait_first: Duration::ZERO,
            ..Patience::default()
        };
        let connection = Connection::new(Some(&fake.base_url()), patience).unwrap();
        let (billing, ledger) = (Watched::new(real), Watched::new(real));
        let clients = Clients::on(through(&config, billing.clone()));
        Self {
            stripe: connection.with_key(KEY).unwrap(),
            fake: Arc::new(fake),
            connection,
            billing_store: clients.store(table),
            ledger_store: Clients::on(through(&config, ledger.clone())).store(table),
            // Nothing that lives here sends a message or reads a secret.
            queue: clients.billing_queue("http://queue.test/billing"),
            secrets: clients.secrets(Clock::fixed(START_MILLIS)),
            billing,
            ledger,
            config,
            table: table.to_owned(),
        }
    }

    /// Names of the letters that the account was ever due, without what differs from one account to the next.
    pub(super) async fn letters(&self, account: AccountId) -> Vec<String> {
        let values = [
            (":pk", format!("A#{account}")),
            (":letters", "LETTER#".to_owned()),
        ];
        let mut query = aws_sdk_dynamodb::Client::new(&self.config)
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND begins_with(sk, :letters)");
        for (name, value) in values {
            query = query.expression_attribute_values(name, AttributeValue::S(value));
        }
        let found = query.send().await.unwrap().items.unwrap_or_default();
        let names = found.iter().map(|item| {
            let key = item["sk"].as_s().unwrap();
            let parts: Vec<&str> = key.split('#').collect();
            // Its kind; a change of plan says from what to what.
            [&[parts[1]], &parts[4..]].concat().join(" ")
        });
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }
}

/// The same configuration, through another client; nothing here is ever stalled.
pub(super) fn through(
    config: &SdkConfig,
    client: impl aws_smithy_runtime_api::client::http::HttpClient + 'static,
) -> SdkConfig {
    let unwatched = aws_sdk_dynamodb::config::StalledStreamProtectionConfig::disabled();
    let builder = config.to_owned().into_builder();
    builder
        .http_client(client)
        .stalled_stream_protection(unwatched)
        .build()
}

/// What is known of an account's ledgers: every period that it ever had.
pub(super) struct Books {
    account: AccountId,
    periods: BTreeMap<String, Counter>,
}

impl Books {
    pub(super) const fn of(account: AccountId) -> Self {
        Self {
            account,
            periods: BTreeMap::new(),
        }
    }

    /// I1, I2 and I7 for every ledger that was written since the last call; no other can have changed.
    pub(super) async fn check(&mut self, place: &Place, runs: &[Address]) {
        let (by_billing, by_ledger) = (place.billing.written(), place.ledger.written());
        let free = format!("{}#free", self.account);
        assert!(!by_billing.contains(&free), "the one free grant is not billing's");
        for ledger in by_billing.union(&by_ledger) {
            self.check_one(place, ledger, runs).await;
        }
    }

    /// The same for every period that the account ever had.
    pub(super) async fn check_all(&mut self, place: &Place, runs: &[Address]) {
        self.check(place, runs).await;
        for ledger in self.periods.keys().cloned().collect::<Vec<_>>() {
            let before = self.periods[&ledger];
            self.check_one(place, &ledger, runs).await;
            assert_eq!(self.periods[&ledger], before, "I7: nobody wrote {ledger}");
        }
    }

    async fn check_one(&mut self, place: &Place, ledger: &str, runs: &[Address]) {
        let (account, period) = ledger.split_once('#').unwrap();
        assert_eq!(account, self.account.to_string(), "I8");
        let period = Period::parse(period).unwrap();
        let store = &place.ledger_store;
        let counter = store.counter(self.account, &period).await.unwrap();
        let lines = store.entries(self.account, &period, 1_000).await.unwrap();
        let Some(counter) = counter else {
            assert!(lines.is_empty(), "I2: {ledger} has lines and no counter");
            return;
        };
        assert!(counter.is_whole(), "I1: {ledger} {counter:?}");
        let folded = Counter::fold(lines.iter().map(|line| line.entry));
        assert_eq!(folded, Some(counter), "I2: {ledger}");
        for line in &lines {
            let of_run = line.operation.strip_prefix("run#");
            let run = of_run.and_then(|rest| rest.split('#').next());
            let here = |address: &Address| {
                address.run.to_string() == run.unwrap_or_default() && address.period == period
            };
            assert!(
                run.is_none() || runs.iter().any(here),
                "I7: {} in {ledger}",
                line.operation
            );
        }
        if period == Period::free() {
            let grants = lines
                .iter()
                .filter(|line| matches!(line.entry, Entry::Grant { .. } | Entry::Revoke { .. }));
            let free = Catalogue::default().granted_tokens(Tier::Free);
            assert_eq!(
                (counter.granted, grants.count()),
                (free, 1),
                "granted once, for ever"
            );
        }
        self.periods.insert(ledger.to_owned(), counter);
    }
}
