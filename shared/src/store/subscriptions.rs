//! What an account pays for: one item, written whole from what Stripe said, never by halves.
//!
//! Two syncs of one customer may run at once, and the one that asked Stripe first may write last. So each takes
//! a revision *before* it asks, and writes only over a lower one: the stored state is never older than the
//! newest question that was answered.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use serde::{Deserialize, Serialize};

use super::entries::{Operation, line};
use super::expression::{Change, Writes, n, names, s, values};
use super::keys;
use super::pages::{attribute, item, read};
use super::transact::Committed;
use super::{Store, failed, unreadable};
use crate::domain::catalogue::Catalogue;
use crate::domain::failure::{Failure, Internal};
use crate::domain::ids::AccountId;
use crate::domain::mail::{Contact, letters};
use crate::domain::plan::Plan;
use crate::domain::quota::{Counter, Entry, Tier};
use crate::domain::subscription::Subscription;
use crate::domain::time::UnixMillis;

/// The counter may move under a write this often before the write is given up (and its message comes again).
const ATTEMPTS_MAX: u32 = 20;
/// Stripe repeats an event for three days; support asks about one for a month. Unit: seconds.
const EVENT_SECONDS: i64 = 40 * 24 * 3600;
/// Events that one write may record.
const EVENTS_MAX: usize = 20;

/// An account's money as stored. An account that never paid has none of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Billing {
    /// The account's customer at Stripe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// Customers that a race made beside it: what they pay counts, and somebody is told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<String>,
    /// What it is subscribed to; `None` is Free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<Subscription>,
    /// Where its letters go, as Stripe last said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<Contact>,
    /// The checkout that may still be paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkout: Option<Checkout>,
    /// The newest revision that somebody took.
    #[serde(default)]
    pub taken: u64,
    /// The revision of what is stored.
    #[serde(default)]
    pub revision: u64,
}

/// A checkout that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkout {
    /// Stripe's id of the session.
    pub session: String,
    /// Stripe's id of the price that it sells.
    pub price: String,
    /// Stripe's page.
    pub page: String,
    /// When it can no longer be paid.
    pub expires_at: UnixMillis,
}

/// What Stripe answered, to be stored.
#[derive(Debug, Clone)]
pub struct Answer<'a> {
    /// The account.
    pub account: AccountId,
    /// Taken before Stripe was asked.
    pub revision: u64,
    /// What follows from the answer.
    pub subscription: Option<&'a Subscription>,
    /// Where letters go.
    pub contact: Option<&'a Contact>,
    /// The events that this write answers: recorded with it, never before.
    pub events: &'a [String],
    /// What is sold.
    pub catalogue: &'a Catalogue,
    /// When Stripe was asked.
    pub now: UnixMillis,
}

/// How storing an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// It is stored, with the letters that it makes due; this was there before.
    Yes(Box<Billing>),
    /// A newer answer is stored already.
    Overtaken,
}

impl Billing {
    /// What the account may use at `now`.
    #[must_use]
    pub fn plan(&self, now: UnixMillis) -> Plan {
        self.subscription
            .as_ref()
            .map_or_else(Plan::free, |it| it.plan(now))
    }
}

impl Store {
    /// The account's money.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn billing(&self, account: AccountId) -> Result<Billing, Failure> {
        match self.get(&keys::billing(account), true).await? {
            Some(found) => read("billing", found),
            None => Ok(Billing::default()),
        }
    }

    /// What the account may use at `now`; an account that never subscribed is Free.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn plan(&self, account: AccountId, now: UnixMillis) -> Result<Plan, Failure> {
        Ok(self.billing(account).await?.plan(now))
    }

    /// Records the checkout that the account began, unless another than `known` was recorded meanwhile. `false`
    /// then: only one checkout may be payable.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn put_checkout(
        &self,
        account: AccountId,
        known: Option<&Checkout>,
        checkout: &Checkout,
    ) -> Result<bool, Failure> {
        let mut with = values([
            (":checkout", attribute("checkout", checkout)?),
            (":session", s(&checkout.session)),
        ]);
        // A session that is recorded already is the same click's: Stripe gave both the same.
        let condition = match known {
            None => "attribute_not_exists(#checkout) OR #checkout.#session = :session",
            Some(_) => "#checkout.#session = :known OR #checkout.#session = :session",
        };
        if let Some(known) = known {
            with.insert(":known".to_owned(), s(&known.session));
        }
        let mut writes = Writes::new(&self.table);
        writes.change(Change {
            key: keys::billing(account),
            change: "SET #checkout = :checkout",
            condition,
            values: with,
        });
        Ok(matches!(
            self.commit("put checkout", writes).await?,
            Committed::Yes
        ))
    }

    /// Takes the next revision. Take it before asking Stripe.
    ///
    /// # Errors
    /// `Unavailable` when the table is. One that was taken and lost is only a gap.
    pub async fn take_revision(&self, account: AccountId) -> Result<u64, Failure> {
        let change = "SET #taken = if_not_exists(#taken, :zero) + :one";
        let sent = self
            .dynamo
            .update_item()
            .table_name(&self.table)
            .set_key(Some(keys::billing(account).attributes()))
            .update_expression(change)
            .set_expression_attribute_names(names(&[change]))
            .set_expression_attribute_values(Some(values([(":zero", n(0)), (":one", n(1))])))
            .return_values(ReturnValue::UpdatedNew)
            .send()
            .await
            .map_err(|error| failed("take revision", &error))?;
        sent.attributes
            .as_ref()
            .and_then(|item| item.get("taken")?.as_n().ok()?.parse().ok())
            .ok_or_else(|| unreadable("billing", "no revision"))
    }

    /// Stores what follows from Stripe's answer, with the grant of the current period's counter and the letters
    /// that are due, in one transaction: there is no moment when the tier is new and the counter old, and no
    /// crash between a change and its letter.
    ///
    /// # Errors
    /// `Unavailable` when the table is, or the counter changes too fast. Asking again is safe.
    pub async fn record(&self, answer: &Answer<'_>) -> Result<Recorded, Failure> {
        for _ in 0..ATTEMPTS_MAX {
            let before = self.billing(answer.account).await?;
            if before.revision >= answer.revision {
                return Ok(Recorded::Overtaken);
            }
            let mut writes = Writes::new(&self.table);
            self.write_subscription(&mut writes, answer, &before)?;
            self.write_grant(&mut writes, answer).await?;
            let due = letters(before.subscription.as_ref(), answer.subscription, answer.now);
            self.write_letters(&mut writes, answer.account, due, answer.now)
                .await?;
            for event in answer.events.iter().take(EVENTS_MAX) {
                writes.put(&keys::event(event), event_record(answer));
            }
            match self.commit("record answer", writes).await? {
                Committed::Yes => return Ok(Recorded::Yes(Box::new(before))),
                // The account, its counter or its letters moved between their reading and this write.
                Committed::No(_) => {}
            }
            let stored = self.billing(answer.account).await?;
            if stored.revision == answer.revision {
                // Our own write, whose reply was lost.
                return Ok(Recorded::Yes(Box::new(stored)));
            }
        }
        Err(Failure::Unavailable(Internal::new(
            "record answer: the counter changes too fast",
        )))
    }

    /// On the condition that what is stored is what was read: letters say what changed, so each change must be
    /// seen by one write.
    fn write_subscription(
        &self,
        writes: &mut Writes<'_>,
        answer: &Answer<'_>,
        before: &Billing,
    ) -> Result<(), Failure> {
        let condition = match before.revision {
            0 => "attribute_not_exists(#revision)",
            _ => "#revision = :before",
        };
        let mut with = values([(":revision", n(answer.revision))]);
        if before.revision > 0 {
            with.insert(":before".to_owned(), n(before.revision));
        }
        let (mut set, mut remove) = (vec!["#revision = :revision"], Vec::new());
        match answer.subscription {
            Some(subscription) => {
                let stored = attribute("subscription", subscription)?;
                with.insert(":subscription".to_owned(), stored);
                with.insert(":subscribed".to_owned(), s(keys::SUBSCRIBED_PARTITION));
                with.insert(":account".to_owned(), s(answer.account.to_string()));
                set.push("#subscription = :subscription, #pending_pk = :subscribed, #pending_sk = :account");
            }
            None => remove.push("#subscription, #pending_pk, #pending_sk"),
        }
        match answer.contact {
            Some(contact) => {
                with.insert(":contact".to_owned(), attribute("contact", contact)?);
                set.push("#contact = :contact");
            }
            None => remove.push("#contact"),
        }
        let mut change = format!("SET {}", set.join(", "));
        if !remove.is_empty() {
            change += &format!(" REMOVE {}", remove.join(", "));
        }
        writes.change(Change {
            key: keys::billing(answer.account),
            change: &change,
            condition,
            values: with,
        });
        Ok(())
    }

    /// Opens the current period's counter, or moves its grant: a raise in full, a cut no lower than what is used
    /// and reserved. Free's counter is never touched: it is granted once, by whoever opens it first.
    async fn write_grant(&self, writes: &mut Writes<'_>, answer: &Answer<'_>) -> Result<(), Failure> {
        let Some(plan) = answer.subscription.map(|it| it.plan(answer.now)) else {
            return Ok(());
        };
        if plan.tier == Tier::Free {
            return Ok(());
        }
        let granted = plan.granted_tokens(answer.catalogue);
        let (account, period) = (answer.account, &plan.period);
        let Some(counter) = self.counter(account, period).await? else {
            let opened = Counter::opened(granted);
            writes.create(&keys::counter(account, period), item("counter", &opened)?);
            writes.create(
                &keys::entry(account, period, &Operation::Open.to_string()),
                line(Entry::Grant { tokens: granted }, answer.now, &Operation::Open)?,
            );
            return Ok(());
        };
        let Some(entry) = counter.regrant(granted) else {
            return Ok(());
        };
        let next = counter
            .after(entry)
            .ok_or_else(|| Failure::Internal(Internal::new("a regrant that its counter cannot take")))?;
        let operation = Operation::Regrant(answer.revision);
        writes.create(
            &keys::entry(account, period, &operation.to_string()),
            line(entry, answer.now, &operation)?,
        );
        writes.change(Change {
            key: keys::counter(account, period),
            change: "SET #granted = :granted, #remaining = :remaining",
            condition: "#granted = :was_granted AND #remaining = :was_remaining",
            values: values([
                (":granted", n(next.granted)),
                (":remaining", n(next.remaining)),
                (":was_granted", n(counter.granted)),
                (":was_remaining", n(counter.remaining)),
            ]),
        });
        Ok(())
    }

    /// The accounts that are stored as subscribed, by id, from the one after `after`; at most `limit`.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn subscribed(&self, after: Option<AccountId>, limit: i32) -> Result<Vec<AccountId>, Failure> {
        let found = self
            .dynamo
            .query()
            .table_name(&self.table)
            .index_name(keys::PENDING_INDEX)
            .key_condition_expression("pending_pk = :pk AND pending_sk > :after")
            .set_expression_attribute_values(Some(values([
                (":pk", s(keys::SUBSCRIBED_PARTITION)),
                (
                    ":after",
                    s(after.map_or_else(|| "0".to_owned(), |it| it.to_string())),
                ),
            ])))
            .limit(limit)
            .send()
            .await
            .map_err(|error| failed("Query subscribed", &error))?;
        let account = |item: &super::expression::Item| item.get("pending_sk")?.as_s().ok()?.parse().ok();
        Ok(found.items().iter().filter_map(account).collect())
    }

    /// Whether an event's effect was written.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn is_event_done(&self, event: &str) -> Result<bool, Failure> {
        Ok(self.get(&keys::event(event), true).await?.is_some())
    }
}

fn event_record(answer: &Answer<'_>) -> super::expression::Item {
    let ttl = answer.now.plus_seconds(EVENT_SECONDS).get() / 1000;
    values([
        ("account", AttributeValue::S(answer.account.to_string())),
        ("revision", n(answer.revision)),
        ("at", n(answer.now.get())),
        ("ttl", n(ttl)),
    ])
}
