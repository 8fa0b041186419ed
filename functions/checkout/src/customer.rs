//! Who buys: an account has one customer at Stripe, made before anything is sold to it.

use shared::billing::{Refusal, Stripe};
use shared::domain::Language;
use shared::domain::failure::Failure;
use shared::domain::ids::AccountId;

use crate::Doors;

/// The account's customer: created first, so that two checkouts are one customer's. One that somebody deleted at
/// Stripe can buy nothing any more, and gives way to another.
pub(crate) async fn to_sell_to(
    doors: &Doors,
    stripe: &Stripe,
    account: AccountId,
    language: Language,
) -> Result<String, Failure> {
    let Some(known) = doors.store.billing(account).await?.customer else {
        let created = stripe
            .create_customer(account, language, &attempt(doors, "first"))
            .await?;
        return doors.store.link_customer(account, &created).await;
    };
    if !is_deleted(stripe, &known).await? {
        return Ok(known);
    }
    tracing::warn!(%account, "the account's customer was deleted at Stripe; it gets another");
    let created = stripe
        .create_customer(account, language, &attempt(doors, &known))
        .await?;
    doors.store.replace_customer(account, &known, &created).await
}

/// The same for a minute, so that two clicks make one customer; not for longer, because Stripe keeps a failure under
/// its key as well, for a day. Of two customers the table links one.
fn attempt(doors: &Doors, after: &str) -> String {
    format!("{after}-{}", doors.now().get() / 60_000)
}

/// Whether somebody deleted the customer at Stripe. One that Stripe never had is an error: the key may be another
/// account's.
pub(crate) async fn is_deleted(stripe: &Stripe, customer: &str) -> Result<bool, Refusal> {
    Ok(stripe.customer(customer).await?.deleted)
}
