//! What may be bought, changed or taken back, and when. Each step first brings the account to what Stripe says: a
//! decision on yesterday's state would sell a second subscription. Where Stripe does not answer, nothing is sold.

use shared::billing::{Asked, Doors as SyncDoors, Order, Refusal, Stripe, Unsynced, sync, wire};
use shared::domain::Language;
use shared::domain::catalogue::Interval;
use shared::domain::failure::{Conflict, Failure, Internal, Noun, Sentence};
use shared::domain::ids::AccountId;
use shared::domain::quota::{Counter, Tier};
use shared::domain::standing::Standing;
use shared::domain::subscription::{Pending, Subscription};
use shared::domain::time::UnixMillis;
use shared::store::{Billing, Checkout};

use crate::view::{CheckoutView, InvoiceList, InvoiceView};
use crate::{Doors, customer};

/// A checkout that ends sooner than this is not offered again. Unit: seconds.
const CHECKOUT_SECONDS_MIN: i64 = 300;
/// Stripe's shortest checkout is half an hour, its longest a day. Whole hours, so that two clicks ask the same.
/// Unit: seconds.
const HOUR_SECONDS: i64 = 3_600;
/// Two people of one account may begin checkouts at once; the later one looks again, this often.
const ROUNDS_MAX: usize = 3;
/// Pages of a hundred subscriptions or invoices.
const PAGES_MAX: u32 = 1;

/// What somebody wants to buy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish {
    pub(crate) tier: Tier,
    pub(crate) interval: Interval,
    pub(crate) language: Language,
}

/// A tier that can be bought.
pub(crate) fn tier(name: &str) -> Result<Tier, Failure> {
    match tier_or_free(name)? {
        Tier::Free => Err(unknown_tier()),
        paid => Ok(paid),
    }
}

/// Any tier.
pub(crate) fn tier_or_free(name: &str) -> Result<Tier, Failure> {
    Tier::ALL
        .into_iter()
        .find(|tier| tier.name() == name)
        .ok_or_else(unknown_tier)
}

fn unknown_tier() -> Failure {
    Failure::Invalid {
        path: "tier".to_owned(),
        code: "unknown-tier",
        sentence: Sentence::new(
            "Cette formule n'est pas vendue : choisissez essentiel, pro ou max.",
            "This tier is not sold: choose essentiel, pro or max.",
        ),
    }
}

/// Begins a checkout, or goes on with the one that was begun.
pub(crate) async fn checkout(doors: &Doors, account: AccountId, wish: Wish) -> Result<CheckoutView, Failure> {
    let price = doors
        .catalogue
        .price(wish.tier, wish.interval)
        .ok_or_else(unknown_tier)?
        .id
        .clone();
    let stripe = doors.stripe().await?;
    let customer = customer::to_sell_to(doors, &stripe, account, wish.language).await?;
    for _ in 0..ROUNDS_MAX {
        // Before the sync, so that what was paid by now is in its answer.
        let known = doors.store.billing(account).await?.checkout;
        let payable = match &known {
            Some(known) => is_open(&stripe, &known.session).await?,
            None => false,
        };
        let billing = synced(doors, &stripe, account).await?;
        if billing.subscription.is_some() {
            return Err(Failure::Conflict(Conflict::Subscribed));
        }
        let long_enough = doors.now().plus_seconds(CHECKOUT_SECONDS_MIN);
        match &known {
            Some(known) if payable && known.price == price && known.expires_at > long_enough => {
                return view(doors, account, &billing, known).await;
            }
            // One that can be paid is closed before another is opened. Stripe refuses if it was just paid.
            Some(known) if payable && !close(&stripe, &known.session).await? => continue,
            Some(_) | None => {}
        }
        let fresh = begin(doors, &stripe, account, &customer, &price, wish, known.as_ref()).await?;
        if doors.store.put_checkout(account, known.as_ref(), &fresh).await? {
            return view(doors, account, &billing, &fresh).await;
        }
        // Somebody else of this account was first: theirs is the one that can be paid.
        close(&stripe, &fresh.session).await?;
    }
    Err(Failure::Unavailable(Internal::new(
        "other checkouts of the account were begun meanwhile, again and again",
    )))
}

async fn view(
    doors: &Doors,
    account: AccountId,
    billing: &Billing,
    checkout: &Checkout,
) -> Result<CheckoutView, Failure> {
    Ok(CheckoutView {
        checkout_url: checkout.page.clone(),
        checkout_expires: checkout.expires_at.rfc3339(),
        standing: standing(doors, account, billing).await?,
    })
}

async fn is_open(stripe: &Stripe, session: &str) -> Result<bool, Failure> {
    match stripe.checkout(session).await {
        Ok(found) => Ok(found.status.as_deref() == Some("open")),
        Err(Refusal::Missing) => Ok(false),
        Err(other) => Err(other.into()),
    }
}

/// Closes a session. `false` when it was paid, or ended, meanwhile.
async fn close(stripe: &Stripe, session: &str) -> Result<bool, Failure> {
    match stripe.expire_checkout(session).await {
        Ok(_) => Ok(true),
        Err(Refusal::Refused { .. } | Refusal::Missing) => Ok(false),
        Err(other) => Err(other.into()),
    }
}

async fn begin(
    doors: &Doors,
    stripe: &Stripe,
    account: AccountId,
    customer: &str,
    price: &str,
    wish: Wish,
    known: Option<&Checkout>,
) -> Result<Checkout, Failure> {
    let seconds = doors.now().get() / 1000;
    let expires_at = UnixMillis::new((seconds / HOUR_SECONDS + 2) * HOUR_SECONDS * 1000);
    let after = known.map_or("first", |it| it.session.as_str());
    let language = match wish.language {
        Language::Fr => "fr",
        Language::En => "en",
    };
    let back = &doors.web_origin;
    let order = Order {
        account,
        customer,
        price,
        language: wish.language,
        success_url: &format!("{back}/subscription/return?session_id={{CHECKOUT_SESSION_ID}}"),
        cancel_url: &format!("{back}/subscription"),
        expires_at,
        // The same for a minute: a second click finds the first one's session. Not for longer, because Stripe
        // keeps a failure under a key as well.
        key: &format!("checkout-{account}-{price}-{language}-{}-{after}", seconds / 60),
    };
    let session = stripe.create_checkout(&order).await?;
    let page = session
        .url
        .ok_or_else(|| Failure::Unavailable(Internal::new("a checkout session without page")))?;
    Ok(Checkout {
        session: session.id,
        price: price.to_owned(),
        page,
        expires_at,
    })
}

/// After Stripe's page: the account as it is now. A session that is not the caller's is not found.
pub(crate) async fn came_back(
    doors: &Doors,
    account: AccountId,
    session: Option<&str>,
) -> Result<Standing, Failure> {
    let stripe = doors.stripe().await?;
    if let Some(session) = session {
        let found = match stripe.checkout(session).await {
            Ok(found) => found,
            Err(Refusal::Missing) => return Err(Failure::NotFound(Noun::Checkout)),
            Err(other) => return Err(other.into()),
        };
        if found.client_reference_id != Some(account.to_string()) {
            return Err(Failure::NotFound(Noun::Checkout));
        }
    }
    let billing = synced(doors, &stripe, account).await?;
    standing(doors, account, &billing).await
}

/// Brings the account to what Stripe says.
async fn synced(doors: &Doors, stripe: &Stripe, account: AccountId) -> Result<Billing, Failure> {
    let with = SyncDoors {
        stripe,
        store: &doors.store,
        catalogue: &doors.catalogue,
        now: doors.now(),
    };
    match sync(with, Asked::Account(account), &[]).await {
        Ok(_) => doors.store.billing(account).await,
        Err(Unsynced::Failed(failure)) => Err(failure),
        Err(Unsynced::UnknownPrice(unknown)) => Err(Failure::Internal(Internal::new(unknown.to_string()))),
    }
}

async fn standing(doors: &Doors, account: AccountId, billing: &Billing) -> Result<Standing, Failure> {
    let plan = billing.plan(doors.now());
    let counter = doors.store.counter(account, &plan.period).await?;
    let counter = counter.unwrap_or_else(|| Counter::opened(plan.granted_tokens(&doors.catalogue)));
    Ok(Standing::new(&plan, billing.subscription.as_ref(), counter))
}

/// Moves the subscription to another tier: up now, down at the period's end. A cancellation is taken back once the higher
/// tier holds: a card that is declined must not make somebody stay who wanted to leave.
pub(crate) async fn change(doors: &Doors, account: AccountId, to: Tier) -> Result<Standing, Failure> {
    let stripe = doors.stripe().await?;
    let (billing, subscription) = subscribed(doors, &stripe, account).await?;
    changeable(&subscription, to)?;
    let seen = at_stripe(&stripe, &billing, &subscription).await?;
    if to == Tier::Free {
        release(&stripe, &seen).await?;
        stripe.cancel_at_period_end(&subscription.id, true).await?;
    } else {
        let price = doors
            .catalogue
            .price(to, subscription.interval)
            .ok_or_else(unknown_tier)?;
        if to == subscription.tier {
            take_back(&stripe, &seen).await?;
        }
        if to > subscription.tier {
            // Stripe changes no price under a schedule.
            release(&stripe, &seen).await?;
            let raised = upgrade(&stripe, &seen, &price.id).await?;
            if ends(&seen) && raised.pending_update.is_none() {
                stripe.cancel_at_period_end(&seen.id, false).await?;
            }
        }
        if to < subscription.tier {
            if ends(&seen) {
                stripe.cancel_at_period_end(&subscription.id, false).await?;
            }
            stripe
                .change_price_at_period_end(&seen, &price.id, subscription.interval)
                .await?;
        }
    }
    let billing = synced(doors, &stripe, account).await?;
    standing(doors, account, &billing).await
}

/// Takes back what was to change.
pub(crate) async fn keep(doors: &Doors, account: AccountId) -> Result<Standing, Failure> {
    let stripe = doors.stripe().await?;
    let (billing, subscription) = subscribed(doors, &stripe, account).await?;
    let seen = at_stripe(&stripe, &billing, &subscription).await?;
    take_back(&stripe, &seen).await?;
    let billing = synced(doors, &stripe, account).await?;
    standing(doors, account, &billing).await
}

async fn subscribed(
    doors: &Doors,
    stripe: &Stripe,
    account: AccountId,
) -> Result<(Billing, Subscription), Failure> {
    let billing = synced(doors, stripe, account).await?;
    let subscription = billing.subscription.clone();
    let subscription = subscription.ok_or(Failure::Conflict(Conflict::NotSubscribed))?;
    Ok((billing, subscription))
}

/// Nothing is changed while money is owed or contested; but whoever wants to leave may, unless Stripe holds another change.
fn changeable(subscription: &Subscription, to: Tier) -> Result<(), Failure> {
    if to == Tier::Free && subscription.pending != Some(Pending::Upgrade) {
        return Ok(());
    }
    if subscription.frozen {
        return Err(Failure::Conflict(Conflict::AccountFrozen));
    }
    if subscription.owes() {
        return Err(Failure::Conflict(Conflict::PaymentDue));
    }
    Ok(())
}

/// The subscription with its item and its schedule.
async fn at_stripe(
    stripe: &Stripe,
    billing: &Billing,
    subscription: &Subscription,
) -> Result<wire::Subscription, Failure> {
    for customer in billing.customer.iter().chain(&billing.others) {
        let listed = stripe.subscriptions_of(customer, PAGES_MAX).await?;
        if let Some(found) = listed.objects.into_iter().find(|it| it.id == subscription.id) {
            return Ok(found);
        }
    }
    Err(Failure::Unavailable(Internal::new(
        "the subscription ended meanwhile",
    )))
}

/// At once; the invoice for the difference must be paid, or the old price stays.
async fn upgrade(
    stripe: &Stripe,
    seen: &wire::Subscription,
    price: &str,
) -> Result<wire::Subscription, Failure> {
    let item = seen
        .items
        .data
        .first()
        .ok_or_else(|| Failure::Internal(Internal::new("a subscription without item")))?;
    match stripe.change_price(&seen.id, &item.id, price).await {
        Ok(raised) => Ok(raised),
        Err(Refusal::Declined(code)) => {
            tracing::info!(code, "the card for an upgrade was declined");
            Err(Failure::Conflict(Conflict::PaymentDeclined))
        }
        Err(other) => Err(other.into()),
    }
}

/// Neither a cancellation nor another price is to come any more.
async fn take_back(stripe: &Stripe, seen: &wire::Subscription) -> Result<(), Failure> {
    release(stripe, seen).await?;
    if ends(seen) {
        stripe.cancel_at_period_end(&seen.id, false).await?;
    }
    Ok(())
}

/// Whether it is to end, in whichever of its two ways Stripe says so.
fn ends(seen: &wire::Subscription) -> bool {
    seen.cancel_at.is_some() || seen.cancel_at_period_end
}

async fn release(stripe: &Stripe, seen: &wire::Subscription) -> Result<(), Failure> {
    let schedule = seen.schedule.as_ref().and_then(wire::Expandable::object);
    if let Some(schedule) = schedule.filter(|it| it.status == "active") {
        stripe.release_schedule(&schedule.id).await?;
    }
    Ok(())
}

/// Opens Stripe's portal.
pub(crate) async fn portal(doors: &Doors, account: AccountId) -> Result<String, Failure> {
    let customer = doors.store.billing(account).await?.customer;
    let customer = customer.ok_or(Failure::Conflict(Conflict::NotSubscribed))?;
    let stripe = doors.stripe().await?;
    let back = format!("{}/subscription/return", doors.web_origin);
    match stripe.portal(&customer, &back, doors.portal.as_deref()).await {
        Err(Refusal::Missing) if customer::is_deleted(&stripe, &customer).await? => {
            Err(Failure::Conflict(Conflict::NotSubscribed))
        }
        answer => Ok(answer?),
    }
}

/// The invoices of the account's customers.
pub(crate) async fn invoices(doors: &Doors, account: AccountId) -> Result<InvoiceList, Failure> {
    let billing = doors.store.billing(account).await?;
    let Some(customer) = &billing.customer else {
        return Ok(InvoiceList { items: Vec::new() });
    };
    let stripe = doors.stripe().await?;
    let mut found = Vec::new();
    for customer in std::iter::once(customer).chain(&billing.others) {
        match stripe.invoices_of(customer, PAGES_MAX).await {
            Err(Refusal::Missing) if customer::is_deleted(&stripe, customer).await? => {}
            answer => found.extend(answer?.objects),
        }
    }
    found.sort_by_key(|invoice| std::cmp::Reverse(invoice.created));
    let items = found.into_iter().map(InvoiceView::from);
    Ok(InvoiceList {
        items: items.collect(),
    })
}
