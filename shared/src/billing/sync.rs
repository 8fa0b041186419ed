//! One account, brought to what Stripe says: asked, derived, stored.

use super::change::ACCOUNT;
use super::client::Stripe;
use super::refusal::Refusal;
use super::truth::truth;
use crate::domain::catalogue::Catalogue;
use crate::domain::failure::Failure;
use crate::domain::ids::AccountId;
use crate::domain::subscription::{Alert, Truth, UnknownPrice, entitle};
use crate::domain::time::UnixMillis;
use crate::store::{Answer, Billing, Recorded, Store};

/// What a sync needs.
#[derive(Debug, Clone, Copy)]
pub struct Doors<'a> {
    /// Stripe.
    pub stripe: &'a Stripe,
    /// The table.
    pub store: &'a Store,
    /// What is sold.
    pub catalogue: &'a Catalogue,
    /// Now.
    pub now: UnixMillis,
}

/// Whose truth is asked for.
#[derive(Debug, Clone, Copy)]
pub enum Asked<'a> {
    /// An account's.
    Account(AccountId),
    /// The account's that a customer is.
    Customer(&'a str),
}

/// How a sync ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Synced {
    /// The answer is stored.
    Stored {
        /// Whose.
        account: AccountId,
        /// What was there before.
        before: Box<Billing>,
        /// Whether that was something else.
        changed: bool,
        /// What somebody of ours must look at.
        alerts: Vec<Alert>,
    },
    /// A newer answer was stored meanwhile: there is nothing left to do.
    Overtaken,
    /// The account has no customer: it never paid.
    NoCustomer,
    /// The customer is nobody's here.
    UnknownCustomer,
}

/// Why nothing was stored. The account stays as it is, and whoever asked asks again.
#[derive(Debug, Clone, PartialEq)]
pub enum Unsynced {
    /// Something is paid that we do not sell; a catalogue must be mended first.
    UnknownPrice(UnknownPrice),
    /// A call failed.
    Failed(Failure),
}

impl From<Failure> for Unsynced {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Refusal> for Unsynced {
    fn from(refusal: Refusal) -> Self {
        Self::Failed(refusal.into())
    }
}

/// Asks Stripe for all that it knows, and stores what follows. `events` are recorded with their effect.
///
/// An account has one customer. A race may have made two: the second is adopted, so what was paid through it
/// counts, and every sync of such an account raises an alert until somebody ends one of them.
///
/// # Errors
/// [`Unsynced`]. Asking again is safe.
pub async fn sync(doors: Doors<'_>, asked: Asked<'_>, events: &[String]) -> Result<Synced, Unsynced> {
    let account = match asked {
        Asked::Account(account) => account,
        Asked::Customer(customer) => match account_of(doors, customer).await? {
            Some(account) => account,
            None => return Ok(Synced::UnknownCustomer),
        },
    };
    // Before the customers are read, and before Stripe is asked: what this sync does not see, a later revision does.
    let revision = doors.store.take_revision(account).await?;
    let billing = doors.store.billing(account).await?;
    let Some(customer) = &billing.customer else {
        return Ok(Synced::NoCustomer);
    };
    let customers: Vec<&String> = std::iter::once(customer).chain(&billing.others).collect();
    let mut all = truth_of_all(doors, &customers).await?;
    let mut entitlement = entitle(&all, doors.catalogue).map_err(Unsynced::UnknownPrice)?;
    if !entitlement.cancel.is_empty() {
        for subscription in &entitlement.cancel {
            doors.stripe.cancel_now(subscription).await?;
        }
        // What is left may be paid: it must not wait for the next event. Why one ended is told from what was seen before.
        all = truth_of_all(doors, &customers).await?;
        let left = entitle(&all, doors.catalogue).map_err(Unsynced::UnknownPrice)?;
        entitlement.subscription = left.subscription;
    }
    let others = billing.others.iter().cloned();
    entitlement.alerts.extend(others.map(Alert::SecondCustomer));
    let answer = Answer {
        account,
        revision,
        subscription: entitlement.subscription.as_ref(),
        contact: all.contact.as_ref(),
        events,
        catalogue: doors.catalogue,
        now: doors.now,
    };
    Ok(match doors.store.record(&answer).await? {
        Recorded::Overtaken => Synced::Overtaken,
        Recorded::Yes(before) => Synced::Stored {
            account,
            changed: before.subscription != entitlement.subscription,
            before,
            alerts: entitlement.alerts,
        },
    })
}

/// What Stripe knows of all the customers that an account has.
async fn truth_of_all(doors: Doors<'_>, customers: &[&String]) -> Result<Truth, Failure> {
    let mut all = Truth::default();
    for customer in customers {
        let one = truth(doors.stripe, customer).await?;
        all.subscriptions.extend(one.subscriptions);
        all.invoices.extend(one.invoices);
        all.charges.extend(one.charges);
        all.contact = all.contact.or(one.contact);
    }
    Ok(all)
}

/// Whose a customer is. One that is not linked yet (its creation's answer was lost) says it itself, in the
/// metadata that only our key can write.
async fn account_of(doors: Doors<'_>, customer: &str) -> Result<Option<AccountId>, Unsynced> {
    if let Some(account) = doors.store.account_of(customer).await? {
        return Ok(Some(account));
    }
    let found = match doors.stripe.customer(customer).await {
        Ok(found) => found,
        Err(Refusal::Missing) => return Ok(None),
        Err(other) => return Err(other.into()),
    };
    let named = found.metadata.get(ACCOUNT).and_then(|id| id.parse().ok());
    let Some(account) = named else {
        return Ok(None);
    };
    let linked = doors.store.link_customer(account, customer).await?;
    if linked != customer {
        doors.store.adopt_customer(account, customer).await?;
    }
    Ok(Some(account))
}
