//! The subscriber, and what our functions make of what Stripe says of them.

use std::fmt;

use anyhow::{Context as _, anyhow, bail, ensure};
use shared::billing::{Stripe, truth, wire};
use shared::domain::catalogue::{Catalogue, Interval};
use shared::domain::ids::AccountId;
use shared::domain::quota::Tier;
use shared::domain::subscription::{Entitlement, PAST_DUE_GRACE_SECONDS, Payment, Pending, entitle};
use shared::domain::time::UnixMillis;

use super::api::text;
use super::clock::TestClock;
use super::{Log, Sandbox};

/// A reading that differs may only be early: it is taken again, this often.
const READINGS_MAX: u32 = 5;
/// Pages of a hundred.
const PAGES_MAX: u32 = 1;
const DAY_MILLIS: i64 = 24 * 3600 * 1000;

/// A customer on the test clock.
pub(super) struct Customer<'a> {
    pub(super) sandbox: &'a Sandbox,
    pub(super) catalogue: &'a Catalogue,
    pub(super) id: String,
    pub(super) account: AccountId,
}

/// What an account may use, as far as a step changes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) tier: Tier,
    pub(super) term_start: UnixMillis,
    pub(super) term_end: UnixMillis,
    pub(super) renews: bool,
    /// The period's tokens are granted.
    pub(super) paid: bool,
    pub(super) payment: Payment,
    /// The tier is kept for the grace from the period's first day, and Stripe has a page to pay what is owed.
    pub(super) in_grace: bool,
    pub(super) pending: Option<Pending>,
    /// What somebody of ours would be called for.
    pub(super) alerts: Vec<&'static str>,
}

impl Account {
    /// `None` is Free.
    fn of(entitlement: &Entitlement) -> Option<Self> {
        let found = entitlement.subscription.as_ref()?;
        // Stripe makes a renewal's invoice within a day.
        let from = found.term_start.plus_seconds(PAST_DUE_GRACE_SECONDS);
        let grace = found
            .kept_until
            .map(|until| (until.get() - from.get()).div_euclid(DAY_MILLIS));
        Some(Self {
            tier: found.tier,
            term_start: found.term_start,
            term_end: found.term_end,
            renews: found.renews,
            paid: found.paid,
            payment: found.payment,
            in_grace: found.pay_page.is_some() && grace.is_some_and(|days| (0..=1).contains(&days)),
            pending: found.pending.clone(),
            alerts: entitlement.alerts.iter().map(|alert| alert.code()).collect(),
        })
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.term_start.rfc3339(), self.term_end.rfc3339());
        write!(f, "{} from {from} to {to}", self.tier.name())?;
        f.write_str(if self.paid { ", paid" } else { ", not paid" })?;
        if self.payment != Payment::Paid {
            write!(f, " ({:?})", self.payment)?;
        }
        if !self.renews {
            f.write_str(", does not renew")?;
        }
        if self.in_grace {
            f.write_str(", kept in grace")?;
        }
        match &self.pending {
            Some(Pending::Cancel { at }) => write!(f, ", ends {}", at.rfc3339())?,
            Some(Pending::Tier { tier, at }) => write!(f, ", {} from {}", tier.name(), at.rfc3339())?,
            Some(Pending::Upgrade) => f.write_str(", an upgrade waits for its payment")?,
            None => {}
        }
        if !self.alerts.is_empty() {
            write!(f, ", alerts {:?}", self.alerts)?;
        }
        Ok(())
    }
}

/// How an account is shown, Free too.
fn shown(account: Option<&Account>) -> String {
    account.map_or_else(|| "free".to_owned(), Account::to_string)
}

impl<'a> Customer<'a> {
    /// Makes one with a card, as it would be after a visit to Stripe's page; our client finds it.
    pub(super) async fn create(
        sandbox: &'a Sandbox,
        clock: &TestClock,
        catalogue: &'a Catalogue,
    ) -> anyhow::Result<(Self, String)> {
        let account = AccountId::mint(sandbox.now());
        let form = [
            ("test_clock", clock.id.as_str()),
            ("email", "smoke@example.com"),
            ("preferred_locales[0]", "fr"),
            ("metadata[account]", &account.to_string()),
            ("payment_method", "pm_card_visa"),
            ("invoice_settings[default_payment_method]", "pm_card_visa"),
        ];
        let made = sandbox.api.post("/v1/customers", &form).await?;
        let id = text(&made, "id")?;
        let found = sandbox.stripe.customer(&id).await?;
        let named = found.metadata.get("account").map(String::as_str);
        ensure!(
            !found.deleted && named == Some(account.to_string().as_str()),
            "expected the customer of {account}, found that of {named:?}"
        );
        let customer = Self {
            sandbox,
            catalogue,
            id: id.clone(),
            account,
        };
        Ok((customer, id))
    }

    pub(super) const fn stripe(&self) -> &Stripe {
        &self.sandbox.stripe
    }

    /// The sandbox's price of a tier, by the month.
    pub(super) fn price(&self, tier: Tier) -> anyhow::Result<&str> {
        let price = self.catalogue.price(tier, Interval::Month);
        Ok(&price.context("a tier without a price by the month")?.id)
    }

    /// What our functions would store now.
    async fn account(&self) -> anyhow::Result<Option<Account>> {
        let truth = truth(self.stripe(), &self.id).await;
        let truth = truth.map_err(|failure| anyhow!("{}", failure.cause().to_owned()))?;
        Ok(Account::of(&entitle(&truth, self.catalogue)?))
    }

    /// Fails unless our functions would store this, `None` being Free.
    pub(super) async fn expect(&self, expected: Option<&Account>) -> anyhow::Result<((), String)> {
        let mut readings = 1;
        loop {
            let found = self.account().await?;
            if found.as_ref() == expected {
                return Ok(((), shown(expected)));
            }
            if readings == READINGS_MAX {
                bail!("expected {}, found {}", shown(expected), shown(found.as_ref()));
            }
            tokio::time::sleep(self.sandbox.pace.wait).await;
            readings += 1;
        }
    }

    /// Does `act`, then expects the account to be this, as one step.
    pub(super) async fn step<T>(
        &self,
        log: &mut Log<'_>,
        name: &'static str,
        act: impl Future<Output = anyhow::Result<T>>,
        expected: Option<&Account>,
    ) -> anyhow::Result<()> {
        let work = async {
            act.await?;
            self.expect(expected).await
        };
        log.step(name, work).await
    }

    /// The one subscription, with its item and its schedule, as our functions fetch it before they change it.
    pub(super) async fn subscription(&self) -> anyhow::Result<wire::Subscription> {
        let listed = self.stripe().subscriptions_of(&self.id, PAGES_MAX).await?;
        let newest = listed.objects.into_iter().next();
        newest.context("expected a subscription, found none")
    }

    /// The invoices, newest first.
    pub(super) async fn invoices(&self) -> anyhow::Result<Vec<wire::Invoice>> {
        Ok(self.stripe().invoices_of(&self.id, PAGES_MAX).await?.objects)
    }

    /// From now on the customer pays with this test card.
    pub(super) async fn pay_with(&self, card: &str) -> anyhow::Result<()> {
        let api = &self.sandbox.api;
        let path = format!("/v1/payment_methods/{card}/attach");
        let attached = api.post(&path, &[("customer", &self.id)]).await?;
        let default = (
            "invoice_settings[default_payment_method]",
            &*text(&attached, "id")?,
        );
        api.post(&format!("/v1/customers/{}", self.id), &[default])
            .await?;
        Ok(())
    }
}
