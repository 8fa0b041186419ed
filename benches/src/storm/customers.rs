//! Who buys in a storm.

use local::stripe::Stripe as Fake;
use local::stripe::calendar::Interval as Every;
use local::stripe::catalogue::Catalogue as Sold;
use local::stripe::checkout::NewSession;
use local::stripe::customer::{Card, Details};
use local::stripe::refund::NewRefund;
use local::stripe::seed::Seed;
use local::stripe::world::World;
use shared::billing::{Stripe, truth};
use shared::domain::catalogue::{Catalogue, Interval};
use shared::domain::ids::AccountId;
use shared::domain::quota::Tier;
use shared::domain::subscription::entitle;
use shared::domain::time::UnixMillis;
use shared::store::Store;

const CARDS: [Card; 4] = [Card::Ok, Card::Ok, Card::Declined, Card::DeclinedLater];
const PAID: [Tier; 3] = [Tier::Essentiel, Tier::Pro, Tier::Max];

/// An account and its customer.
pub(super) struct Customer {
    pub(super) account: AccountId,
    id: String,
}

/// So many customers, each linked to its account.
pub(super) async fn made(fake: &Fake, store: &Store, count: usize) -> anyhow::Result<Vec<Customer>> {
    let mut customers = Vec::with_capacity(count);
    for _ in 0..count {
        let account = AccountId::mint(UnixMillis::new(super::START_MILLIS));
        let details = Details {
            metadata: [("account".to_owned(), account.to_string())].into(),
            ..Details::default()
        };
        let id = fake.with(|stripe| stripe.create_customer(details).map(|it| it.id.clone()));
        let id = id.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
        store
            .link_customer(account, &id)
            .await
            .map_err(|failure| anyhow::anyhow!("{failure:?}"))?;
        customers.push(Customer { account, id });
    }
    Ok(customers)
}

impl Customer {
    /// Something that the customer, the bank or we do. What Stripe refuses is refused.
    pub(super) fn act(&self, stripe: &mut World, catalogue: &Catalogue, seed: &mut Seed) {
        let price = |tier| {
            catalogue
                .price(tier, Interval::Month)
                .map(|price| price.id.clone())
        };
        let tier = pick(seed, PAID);
        let mine = stripe
            .subscriptions()
            .iter()
            .rev()
            .find(|it| it.customer == self.id);
        let subscription = mine.map(|it| it.id.clone());
        let charge = stripe.charges().iter().rev().find(|it| it.customer == self.id);
        let charge = charge.map(|it| it.id.clone());
        let _refused = match (seed.below(10), subscription, charge) {
            (0..4, None, _) | (0, _, _) => self.buy(stripe, price(tier), pick(seed, CARDS)),
            (1..4, Some(id), _) => price(tier).and_then(|price| stripe.portal_change(&id, &price).ok()),
            (4 | 5, Some(id), _) => stripe.portal_cancel(&id, seed.chance(50)).ok(),
            (6, Some(id), _) => stripe.portal_pay(&id).map(drop).ok(),
            (7, _, Some(charge)) if seed.chance(30) => {
                let all = NewRefund {
                    charge: Some(charge),
                    ..NewRefund::default()
                };
                stripe.refund(all).map(drop).ok()
            }
            (8, _, Some(charge)) if seed.chance(30) => stripe.open_dispute(&charge).map(drop).ok(),
            _ => stripe.set_card(&self.id, pick(seed, CARDS)).ok(),
        };
    }

    fn buy(&self, stripe: &mut World, price: Option<String>, card: Card) -> Option<()> {
        let session = NewSession {
            customer: Some(self.id.clone()),
            price: price?,
            success_url: Some("https://app.example/ok".to_owned()),
            ..NewSession::default()
        };
        let session = stripe.create_checkout(session).ok()?.id.clone();
        stripe.pay(&session, card).map(drop).ok()
    }

    /// Whether the account is what Stripe says.
    pub(super) async fn is_right(&self, stripe: &Stripe, doors: &billing::Doors) -> anyhow::Result<bool> {
        let failed = |failure| anyhow::anyhow!("{failure:?}");
        let theirs = truth(stripe, &self.id).await.map_err(failed)?;
        let stored = doors.store.billing(self.account).await.map_err(failed)?;
        Ok(stored.subscription == entitle(&theirs, &doors.catalogue)?.subscription)
    }
}

fn pick<T: Copy, const N: usize>(seed: &mut Seed, of: [T; N]) -> T {
    let place = usize::try_from(seed.below(N as u64)).unwrap_or_default();
    of[place]
}

/// Stripe sells what the catalogue says.
pub(super) fn sold(catalogue: &Catalogue) -> Sold {
    PAID.into_iter().fold(Sold::default(), |sold, tier| {
        let price = |interval, every| {
            let price = catalogue.price(tier, interval)?;
            Some((price.id.as_str(), i64::try_from(price.amount_cents).ok()?, every))
        };
        match (
            price(Interval::Month, Every::Month),
            price(Interval::Year, Every::Year),
        ) {
            (Some(month), Some(year)) => {
                sold.with(&format!("prod_{}", tier.name()), tier.name(), [month, year])
            }
            _ => sold,
        }
    })
}
