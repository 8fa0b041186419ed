//! One look at one account.

use shared::billing::{Asked, Doors as SyncDoors, Refusal, Stripe, Synced, Unsynced, sync};
use shared::domain::billing::{About, Cause, Message, Whose};
use shared::domain::failure::{Failure, Internal};

use super::{Doors, reconcile};

/// Does what `messages` ask: one message, or events that are all about the same.
pub(super) async fn look(doors: &Doors, stripe: &Stripe, messages: &[&Message]) -> Result<(), Failure> {
    match messages {
        [Message::Sync { whose, cause, .. }] => {
            let asked = match whose {
                Whose::Account(account) => Asked::Account(*account),
                Whose::Customer(customer) => Asked::Customer(customer),
            };
            one(doors, stripe, asked, &[], *cause).await
        }
        [
            Message::Reconcile {
                list,
                page,
                after,
                at,
            },
        ] => {
            let turn = reconcile::Turn {
                list: *list,
                page: *page,
                after: after.as_deref(),
                at: *at,
            };
            reconcile::page(doors, stripe, turn).await
        }
        events => heard(doors, stripe, events).await,
    }
}

/// Events about one customer: those whose effect is written already ask nothing more.
async fn heard(doors: &Doors, stripe: &Stripe, events: &[&Message]) -> Result<(), Failure> {
    let mut news = Vec::new();
    let mut of = None;
    for event in events {
        // A message may come twice in one batch, and one write holds each event once.
        if let Message::Event { id, about, .. } = event
            && !news.contains(id)
            && !doors.store.is_event_done(id).await?
        {
            news.push(id.clone());
            of = Some(about);
        }
    }
    let customer = match of {
        None => return Ok(()),
        Some(About::Customer(customer)) => customer.clone(),
        Some(About::Charge(charge)) => match customer_of(stripe, charge).await? {
            Some(customer) => customer,
            None => {
                doors.count("UnknownCustomer", "charge");
                return Ok(());
            }
        },
    };
    one(doors, stripe, Asked::Customer(&customer), &news, Cause::Asked).await
}

async fn customer_of(stripe: &Stripe, charge: &str) -> Result<Option<String>, Failure> {
    match stripe.charge(charge).await {
        Ok(charge) => Ok(charge.customer.map(|customer| customer.id().to_owned())),
        Err(Refusal::Missing) => Ok(None),
        Err(other) => Err(other.into()),
    }
}

async fn one(
    doors: &Doors,
    stripe: &Stripe,
    asked: Asked<'_>,
    events: &[String],
    cause: Cause,
) -> Result<(), Failure> {
    let with = SyncDoors {
        stripe,
        store: &doors.store,
        catalogue: &doors.catalogue,
        now: doors.now(),
    };
    match sync(with, asked, events).await {
        Ok(Synced::Stored {
            account,
            changed,
            alerts,
            ..
        }) => {
            for alert in &alerts {
                tracing::error!(%account, ?alert, "somebody must look at an account");
                doors.count("BillingAlerts", alert.code());
            }
            let drifted = changed && cause == Cause::Reconcile;
            if drifted {
                tracing::error!(%account, "no event had told of a change");
                doors.count("BillingDrift", "account");
            }
            tracing::info!(%account, changed, events = events.len(), "synced");
            Ok(())
        }
        Ok(Synced::Overtaken | Synced::NoCustomer) => Ok(()),
        Ok(Synced::UnknownCustomer) => {
            tracing::warn!("a customer that is nobody's here");
            doors.count("UnknownCustomer", "customer");
            Ok(())
        }
        // It stays in the queue until the catalogue is mended, or the dead letters call somebody.
        Err(Unsynced::UnknownPrice(unknown)) => {
            doors.count("BillingAlerts", "unknown-price");
            Err(Failure::Internal(Internal::new(unknown.to_string())))
        }
        Err(Unsynced::Failed(failure)) => Err(failure),
    }
}
