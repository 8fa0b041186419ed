//! Once a day: is what we believe what Stripe says, whatever was heard in between?
//!
//! Each page of each list is one message, which sends the next: a crash costs a page, and no run is long.

use std::collections::HashSet;

use shared::billing::{PortalDrift, Stripe, Told, mismatches, portal_drifts, told};
use shared::domain::billing::{Cause, List, Message, Whose};
use shared::domain::failure::{Failure, Internal};
use shared::domain::time::UnixMillis;

use super::Doors;

/// Accounts of one page.
const PAGE: i32 = 100;
/// Pages of one list: fifty thousand accounts.
const PAGES_MAX: u16 = 500;
/// Stripe itself tries for three days; older events were seen by earlier comparisons. Unit: seconds.
const UNDELIVERED_SECONDS: i64 = 7 * 24 * 3600;

/// Which page of which list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn<'a> {
    pub(super) list: List,
    pub(super) page: u16,
    pub(super) after: Option<&'a str>,
    pub(super) at: UnixMillis,
}

/// Asks for the first page of each list.
pub(super) async fn begin(doors: &Doors) -> Result<(), Failure> {
    let at = doors.now();
    let first = |list| Message::Reconcile {
        list,
        page: 0,
        after: None,
        at,
    };
    doors.queue.send(&List::ALL.map(first)).await
}

/// One page: its messages are sent, then the next page is asked for.
pub(super) async fn page(doors: &Doors, stripe: &Stripe, turn: Turn<'_>) -> Result<(), Failure> {
    let (mut messages, last) = match turn.list {
        List::Ours => ours(doors, turn).await?,
        List::Theirs => theirs(doors, stripe, turn).await?,
        List::Undelivered => undelivered(doors, stripe, turn).await?,
        List::Prices => return prices(doors, stripe).await,
        List::Portal => return portal(doors, stripe).await,
    };
    if let Some(last) = last {
        if turn.page >= PAGES_MAX {
            return Err(Failure::Internal(Internal::new(
                "the daily comparison has too many pages",
            )));
        }
        messages.push(Message::Reconcile {
            list: turn.list,
            page: turn.page + 1,
            after: Some(last),
            at: turn.at,
        });
    }
    doors.queue.send(&messages).await
}

/// What is asked for, and after what the next page begins, if there is one.
type Found = (Vec<Message>, Option<String>);

fn asks(whose: Whose, at: UnixMillis) -> Message {
    Message::Sync {
        whose,
        cause: Cause::Reconcile,
        at,
    }
}

async fn ours(doors: &Doors, turn: Turn<'_>) -> Result<Found, Failure> {
    let after = turn.after.and_then(|id| id.parse().ok());
    let accounts = doors.store.subscribed(after, PAGE).await?;
    let full = usize::try_from(PAGE).is_ok_and(|page| accounts.len() >= page);
    let last = accounts.last().filter(|_| full).map(ToString::to_string);
    let asked = accounts.into_iter().map(|it| asks(Whose::Account(it), turn.at));
    Ok((asked.collect(), last))
}

async fn theirs(doors: &Doors, stripe: &Stripe, turn: Turn<'_>) -> Result<Found, Failure> {
    let live = stripe.live_subscriptions(turn.after).await?;
    let mut seen = HashSet::new();
    let mut asked = Vec::new();
    for subscription in &live.data {
        let customer = subscription.customer.id();
        if !seen.insert(customer) {
            continue;
        }
        // By its account where it is known: the queue then drops what the other list asked already.
        let whose = match doors.store.account_of(customer).await? {
            Some(account) => Whose::Account(account),
            None => Whose::Customer(customer.to_owned()),
        };
        asked.push(asks(whose, turn.at));
    }
    let last = live.data.last().filter(|_| live.has_more).map(|it| it.id.clone());
    Ok((asked, last))
}

async fn undelivered(doors: &Doors, stripe: &Stripe, turn: Turn<'_>) -> Result<Found, Failure> {
    let since = turn.at.plus_seconds(-UNDELIVERED_SECONDS);
    let events = stripe.undelivered(since, turn.after).await?;
    let mut asked = Vec::new();
    for event in &events.data {
        let Told::Hint(message) = told(event) else {
            continue;
        };
        if !doors.store.is_event_done(&event.id).await? {
            doors.count("UndeliveredEvents", &event.kind);
            asked.push(message);
        }
    }
    let last = events
        .data
        .last()
        .filter(|_| events.has_more)
        .map(|it| it.id.clone());
    Ok((asked, last))
}

async fn prices(doors: &Doors, stripe: &Stripe) -> Result<(), Failure> {
    for mismatch in mismatches(stripe, &doors.catalogue).await? {
        tracing::error!(
            price = mismatch.price,
            what = mismatch.what,
            "a price is not what we say"
        );
        doors.count("BillingAlerts", "price-mismatch");
    }
    Ok(())
}

/// Whether the portal that we open would sell something that our rules do not foresee.
async fn portal(doors: &Doors, stripe: &Stripe) -> Result<(), Failure> {
    let named = doors.portal.as_ref();
    let found = stripe.portal_configuration(named.map(String::as_str)).await?;
    let drifts = match (&found, named) {
        (Some(found), _) => portal_drifts(found, &doors.catalogue),
        (None, Some(named)) => vec![PortalDrift::Unknown(named.clone())],
        (None, None) => {
            tracing::warn!("nobody has saved the portal's settings at Stripe yet: none opens");
            Vec::new()
        }
    };
    for drift in drifts {
        tracing::error!(
            kind = drift.code(),
            "the portal is not set up as it must be: {drift}"
        );
        doors.count("PortalDrift", drift.code());
    }
    Ok(())
}
