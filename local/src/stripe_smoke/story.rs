//! A subscriber's months: what they do, what time does, and what our functions must make of it.

use anyhow::{Context as _, bail, ensure};
use shared::billing::{Order, Refusal, wire};
use shared::domain::Language;
use shared::domain::catalogue::Interval;
use shared::domain::quota::Tier;
use shared::domain::subscription::{Payment, Pending};
use shared::domain::time::UnixMillis;

use super::clock::TestClock;
use super::customer::{Account, Customer};
use super::{Log, Sandbox, events, sold};

const HOUR_SECONDS: i64 = 3600;
const DAY_SECONDS: i64 = 24 * HOUR_SECONDS;
/// A renewal's invoice is a draft for an hour, and then charged.
const SETTLED_SECONDS: i64 = 2 * HOUR_SECONDS;
/// Any page will do: nobody visits it.
const BACK: &str = "https://example.com/subscription/return";

/// Lives it.
pub(super) async fn live(sandbox: &Sandbox, clock: &TestClock, log: &mut Log<'_>) -> anyhow::Result<()> {
    let catalogue = log.step("what is sold", sold::catalogue(sandbox)).await?;
    let created = Customer::create(sandbox, clock, &catalogue);
    let customer = log.step("a customer with a card", created).await?;
    log.step("a checkout, begun twice and closed", checkout(&customer, clock))
        .await?;
    if portal_is_set_up(sandbox).await? {
        log.step("the portal", portal(&customer)).await?;
    } else {
        log.skip(
            "the portal",
            "save its settings at https://dashboard.stripe.com/test/settings/billing/portal",
        );
    }
    let (term_start, term_end) = clock.month(0);
    let first = Account {
        tier: Tier::Essentiel,
        term_start,
        term_end,
        renews: true,
        paid: true,
        payment: Payment::Paid,
        in_grace: false,
        pending: None,
        alerts: Vec::new(),
    };
    customer
        .step(log, "subscribe", subscribe(&customer), Some(&first))
        .await?;
    let pro = change(&customer, clock, log, &first).await?;
    let later = renew(&customer, clock, log, &pro).await?;
    fail_and_mend(&customer, clock, log, &later).await?;
    log.step("invoices", invoices(&customer)).await?;
    let subscription = customer.subscription().await?.id;
    let end = async {
        customer.stripe().cancel_now(&subscription).await?;
        // A repeated message would do it again.
        Ok(customer.stripe().cancel_now(&subscription).await?)
    };
    customer.step(log, "end at once, twice", end, None).await?;
    log.step("events", events::read(&customer, clock.began)).await?;
    Ok(())
}

/// What a click on "subscribe" and a second one do, and another tier's after that. Nobody can pay without a browser.
async fn checkout(customer: &Customer<'_>, clock: &TestClock) -> anyhow::Result<((), String)> {
    let stripe = customer.stripe();
    let seconds = clock.began.get() / 1000;
    let order = Order {
        account: customer.account,
        customer: &customer.id,
        price: customer.price(Tier::Essentiel)?,
        language: Language::Fr,
        success_url: &format!("{BACK}?session_id={{CHECKOUT_SESSION_ID}}"),
        cancel_url: BACK,
        expires_at: UnixMillis::new((seconds / HOUR_SECONDS + 2) * HOUR_SECONDS * 1000),
        key: &format!("checkout-{}", customer.account),
    };
    let begun = stripe.create_checkout(&order).await?;
    let again = stripe.create_checkout(&order).await?;
    ensure!(
        begun.id == again.id,
        "expected one session of two clicks, found two"
    );
    let found = stripe.checkout(&begun.id).await?;
    let account = customer.account.to_string();
    ensure!(
        found.status.as_deref() == Some("open")
            && found.url.is_some()
            && found.client_reference_id == Some(account)
            && found.customer.as_ref().map(wire::Expandable::id) == Some(&customer.id),
        "expected the open session of the customer, found {found:?}"
    );
    let closed = stripe.expire_checkout(&begun.id).await?.status;
    ensure!(
        closed.as_deref() == Some("expired"),
        "expected it closed, found {closed:?}"
    );
    // `close` of functions/checkout tells by this that it was paid, or closed, meanwhile.
    match stripe.expire_checkout(&begun.id).await {
        Err(Refusal::Refused { .. }) => Ok(((), "open, then expired".to_owned())),
        other => bail!("expected a refusal to close it again, found {other:?}"),
    }
}

/// A sandbox has no portal until somebody saves its settings, which no key can do.
async fn portal_is_set_up(sandbox: &Sandbox) -> anyhow::Result<bool> {
    let query = [("is_default", "true"), ("active", "true")];
    let listed = sandbox.api.get("/v1/billing_portal/configurations", &query);
    let listed = listed.await.context("the portal's settings")?;
    Ok(listed["data"].as_array().is_some_and(|data| !data.is_empty()))
}

async fn portal(customer: &Customer<'_>) -> anyhow::Result<((), String)> {
    let url = customer.stripe().portal(&customer.id, BACK, None).await?;
    ensure!(
        url.starts_with("http"),
        "expected the portal's address, found {url}"
    );
    let settings = customer.stripe().portal_configuration(None).await?;
    let settings = settings.context("no default configuration, and the portal opens")?;
    let update = settings.features.subscription_update;
    ensure!(
        !update.enabled || update.products.is_some(),
        "what can be chosen in the portal is not shown, although it is asked for"
    );
    Ok(((), "opened, and its settings read".to_owned()))
}

/// What Checkout does once its page is paid.
async fn subscribe(customer: &Customer<'_>) -> anyhow::Result<()> {
    let form = [
        ("customer", customer.id.as_str()),
        ("items[0][price]", customer.price(Tier::Essentiel)?),
        ("items[0][quantity]", "1"),
        ("metadata[account]", &customer.account.to_string()),
    ];
    customer.sandbox.api.post("/v1/subscriptions", &form).await?;
    Ok(())
}

/// Within the first period: up at once, then down and to the end with the period, each taken back.
async fn change(
    customer: &Customer<'_>,
    clock: &TestClock,
    log: &mut Log<'_>,
    first: &Account,
) -> anyhow::Result<Account> {
    let sandbox = customer.sandbox;
    let stripe = customer.stripe();
    let later = first.term_start.plus_seconds(10 * DAY_SECONDS);
    let wait = clock.advance(sandbox, later);
    customer.step(log, "ten days later", wait, Some(first)).await?;
    let pro = Account {
        tier: Tier::Pro,
        ..first.clone()
    };
    let upgrade = async {
        let seen = customer.subscription().await?;
        let item = seen.items.data.first().context("a subscription without item")?;
        let price = customer.price(Tier::Pro)?;
        Ok(stripe.change_price(&seen.id, &item.id, price).await?)
    };
    customer.step(log, "upgrade to pro", upgrade, Some(&pro)).await?;
    let down = downgraded(&pro);
    customer
        .step(log, "downgrade with the period", downgrade(customer), Some(&down))
        .await?;
    let revoke = async {
        let seen = customer.subscription().await?;
        let schedule = seen.schedule.as_ref().and_then(|it| it.object());
        let schedule = schedule.context("expected a schedule, found none")?;
        Ok(stripe.release_schedule(&schedule.id).await?)
    };
    customer
        .step(log, "the downgrade is taken back", revoke, Some(&pro))
        .await?;
    let ending = Account {
        renews: false,
        pending: Some(Pending::Cancel { at: pro.term_end }),
        ..pro.clone()
    };
    let subscription = customer.subscription().await?.id;
    let cancel = async { Ok(stripe.cancel_at_period_end(&subscription, true).await?) };
    customer
        .step(log, "end with the period", cancel, Some(&ending))
        .await?;
    let resume = async { Ok(stripe.cancel_at_period_end(&subscription, false).await?) };
    customer
        .step(log, "the end is taken back", resume, Some(&pro))
        .await?;
    Ok(pro)
}

async fn downgrade(customer: &Customer<'_>) -> anyhow::Result<()> {
    let seen = customer.subscription().await?;
    let price = customer.price(Tier::Essentiel)?;
    let stripe = customer.stripe();
    stripe
        .change_price_at_period_end(&seen, price, Interval::Month)
        .await?;
    Ok(())
}

fn downgraded(account: &Account) -> Account {
    Account {
        pending: Some(Pending::Tier {
            tier: Tier::Essentiel,
            at: account.term_end,
        }),
        ..account.clone()
    }
}

/// A downgrade that nobody takes back comes with the renewal, which is paid.
async fn renew(
    customer: &Customer<'_>,
    clock: &TestClock,
    log: &mut Log<'_>,
    before: &Account,
) -> anyhow::Result<Account> {
    let down = downgraded(before);
    customer
        .step(log, "downgrade again", downgrade(customer), Some(&down))
        .await?;
    let (term_start, term_end) = clock.month(1);
    let renewed = Account {
        tier: Tier::Essentiel,
        term_start,
        term_end,
        ..before.clone()
    };
    let wait = clock.advance(customer.sandbox, term_start.plus_seconds(SETTLED_SECONDS));
    customer
        .step(log, "renewal, with the downgrade", wait, Some(&renewed))
        .await?;
    Ok(renewed)
}

/// A renewal that the card does not pay: the tier is kept for a while, and all is well once it is paid.
async fn fail_and_mend(
    customer: &Customer<'_>,
    clock: &TestClock,
    log: &mut Log<'_>,
    before: &Account,
) -> anyhow::Result<()> {
    let (term_start, term_end) = clock.month(2);
    let mended = Account {
        term_start,
        term_end,
        ..before.clone()
    };
    let owing = Account {
        paid: false,
        payment: Payment::PastDue,
        in_grace: true,
        ..mended.clone()
    };
    let fail = async {
        customer.pay_with("pm_card_chargeCustomerFail").await?;
        let settled = term_start.plus_seconds(SETTLED_SECONDS);
        clock.advance(customer.sandbox, settled).await
    };
    customer
        .step(log, "renewal, with a card that fails", fail, Some(&owing))
        .await?;
    let mend = async {
        customer.pay_with("pm_card_visa").await?;
        let mut invoices = customer.invoices().await?.into_iter();
        let open = invoices.find(|invoice| invoice.status.as_deref() == Some("open"));
        let open = open.context("expected an open invoice, found none")?.id;
        let path = format!("/v1/invoices/{open}/pay");
        customer.sandbox.api.post(&path, &[]).await
    };
    customer
        .step(
            log,
            "a card that works, and the invoice is paid",
            mend,
            Some(&mended),
        )
        .await
}

/// What the teacher finds listed: three periods of essentiel, and the difference for the days of pro.
async fn invoices(customer: &Customer<'_>) -> anyhow::Result<((), String)> {
    let cents = |tier| {
        let price = customer.catalogue.price(tier, Interval::Month);
        price.map_or(0, |price| i64::try_from(price.amount_cents).unwrap_or(i64::MAX))
    };
    let (whole, most) = (cents(Tier::Essentiel), cents(Tier::Pro) - cents(Tier::Essentiel));
    let invoices = customer.invoices().await?;
    let totals: Vec<i64> = invoices.iter().map(|invoice| invoice.total).collect();
    let well = invoices.iter().all(|invoice| {
        invoice.status.as_deref() == Some("paid")
            && invoice.currency == "eur"
            && invoice.hosted_invoice_url.is_some()
    });
    let due = match *totals.as_slice() {
        [third, second, change, first] => {
            [third, second, first] == [whole; 3] && (1..=most).contains(&change)
        }
        _ => false,
    };
    ensure!(
        well && due,
        "expected four paid invoices in euros, three of {whole} cents and one of at most {most}, found {invoices:?}"
    );
    Ok(((), format!("{totals:?} cents, paid")))
}
