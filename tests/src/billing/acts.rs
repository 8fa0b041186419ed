//! What a customer, a bank, Stripe and time can do.

use local::stripe::change::{Proration, Update};
use local::stripe::customer::{Card, Details};
use local::stripe::invoice::InvoiceStatus;
use local::stripe::portal::PortalChanges;
use local::stripe::refund::NewRefund;
use local::stripe::refusal::Refusal;
use local::stripe::seed::Seed;
use local::stripe::world::World as AtStripe;
use shared::domain::catalogue::Interval;
use shared::domain::quota::Tier;

use super::world::{DAY, World};

const CARDS: [Card; 4] = [Card::Ok, Card::Declined, Card::DeclinedLater, Card::NeedsAction];
/// A first payment mostly succeeds: without one there is little to tell.
const AT_CHECKOUT: [Card; 6] = [
    Card::Ok,
    Card::Ok,
    Card::DeclinedLater,
    Card::DeclinedLater,
    Card::Declined,
    Card::NeedsAction,
];
const CUSTOMERS_MAX: usize = 5;
const PAID: [Tier; 3] = [Tier::Essentiel, Tier::Pro, Tier::Max];
const PRORATIONS: [Proration; 3] = [Proration::None, Proration::Create, Proration::AlwaysInvoice];
const WAYS_OUT: [GivenUp; 2] = [GivenUp::Voided, GivenUp::Uncollectible];

/// Something that happens. It is about the newest subscription, charge or dispute, whichever it needs.
#[derive(Debug, Clone, Copy)]
pub(super) enum Act {
    /// A checkout is begun and paid.
    Buy(Tier, Interval, Card),
    /// The same, by a second customer of the account.
    BuyAsAnother(Tier),
    /// The plan is changed in Stripe's portal.
    Portal(Tier),
    /// The same in a portal that is not set up as it must be: up and down at once, the difference on the next invoice.
    LaxPortal(Tier),
    /// The plan is changed by somebody of ours in Stripe's Dashboard, which asks what becomes of the difference.
    Dashboard(Tier, Proration),
    /// The plan is raised at our own door.
    Upgrade(Tier),
    /// The plan is lowered at our own door, from the next period on.
    Downgrade(Tier),
    /// The subscription is to end with its period, or to go on after all.
    Cancel(bool),
    /// What is owed is paid in the portal.
    Pay,
    /// Somebody of ours gives up the newest invoice that waits, in the Dashboard.
    GiveUp(GivenUp),
    /// The customer gives another card.
    Card(Card),
    /// The newest payment is given back.
    Refund,
    /// The newest payment is disowned.
    Dispute,
    /// The bank decides, for us or against us.
    Decide(bool),
    /// Days pass.
    Days(u16),
}

/// How an invoice is given up.
#[derive(Debug, Clone, Copy)]
pub(super) enum GivenUp {
    /// It was never owed.
    Voided,
    /// It is owed, and nobody collects it.
    Uncollectible,
}

impl Act {
    /// Any of them.
    pub(super) fn any(seed: &mut Seed) -> Self {
        fn pick<T: Copy, const N: usize>(seed: &mut Seed, of: [T; N]) -> T {
            of[usize::try_from(seed.below(N as u64)).unwrap()]
        }
        match seed.below(25) {
            0..4 => Self::Buy(
                pick(seed, PAID),
                pick(seed, [Interval::Month, Interval::Month, Interval::Year]),
                pick(seed, AT_CHECKOUT),
            ),
            4 => Self::BuyAsAnother(pick(seed, PAID)),
            5 | 6 => Self::Portal(pick(seed, PAID)),
            7 => Self::Upgrade(pick(seed, PAID)),
            8 => Self::Downgrade(pick(seed, PAID)),
            9 | 10 => Self::Cancel(seed.chance(60)),
            11 => Self::Pay,
            12 => Self::Card(pick(seed, CARDS)),
            13 => Self::Refund,
            14 => Self::Dispute,
            15 => Self::Decide(seed.chance(50)),
            16 | 17 => Self::LaxPortal(pick(seed, PAID)),
            18 => Self::Dashboard(pick(seed, PAID), pick(seed, PRORATIONS)),
            19 => Self::GiveUp(pick(seed, WAYS_OUT)),
            _ => Self::Days(u16::try_from(1 + seed.below(32)).unwrap()),
        }
    }
}

impl World {
    /// Does it. What Stripe refuses is refused.
    pub(super) async fn act(&self, act: Act) {
        match act {
            Act::Buy(tier, interval, card) => {
                self.try_to_buy(&self.customer, tier, interval, card).await;
            }
            // An account takes no more than that.
            Act::BuyAsAnother(_) if self.customers().len() >= CUSTOMERS_MAX => {}
            Act::BuyAsAnother(tier) => {
                let details = Details {
                    metadata: [("account".to_owned(), self.account.to_string())].into(),
                    ..Details::default()
                };
                let another = self
                    .fake
                    .with(|stripe| stripe.create_customer(details).unwrap().id.clone());
                self.try_to_buy(&another, tier, Interval::Month, Card::Ok).await;
            }
            Act::Upgrade(tier) => self.upgrade(tier).await,
            Act::Downgrade(tier) => self.downgrade(tier).await,
            Act::Days(days) => self.pass(DAY * i64::from(days)),
            elsewhere => self.act_at_stripe(elsewhere),
        }
    }

    /// What happens without a call of ours.
    fn act_at_stripe(&self, act: Act) {
        let price = |tier| {
            self.doors
                .catalogue
                .price(tier, Interval::Month)
                .unwrap()
                .id
                .clone()
        };
        let _refused = self.fake.with(|stripe| {
            let subscription = stripe.subscriptions().iter().next_back().map(|it| it.id.clone());
            let charge = stripe.charges().iter().next_back().map(|it| it.id.clone());
            let dispute = stripe.disputes().iter().next_back().map(|it| it.id.clone());
            match act {
                Act::Portal(tier) => stripe.portal_change(&subscription?, &price(tier)).ok(),
                Act::LaxPortal(tier) => change_laxly(stripe, &subscription?, &price(tier)).ok(),
                Act::Dashboard(tier, proration) => {
                    let id = subscription?;
                    let update = Update {
                        item: Some(stripe.subscription(&id).ok()?.item.clone()),
                        price: Some(price(tier)),
                        proration,
                        ..Update::default()
                    };
                    stripe.update_subscription(&id, &update).map(drop).ok()
                }
                Act::GiveUp(how) => give_up(stripe, how)?.ok(),
                Act::Cancel(cancel) => stripe.portal_cancel(&subscription?, cancel).ok(),
                Act::Pay => stripe.portal_pay(&subscription?).map(drop).ok(),
                Act::Card(card) => stripe.set_card(&self.customer, card).ok(),
                Act::Refund => {
                    let all = NewRefund {
                        charge: Some(charge?),
                        ..NewRefund::default()
                    };
                    stripe.refund(all).map(drop).ok()
                }
                Act::Dispute => stripe.open_dispute(&charge?).map(drop).ok(),
                Act::Decide(won) => stripe.close_dispute(&dispute?, won).map(drop).ok(),
                Act::Buy(..) | Act::BuyAsAnother(_) | Act::Upgrade(_) | Act::Downgrade(_) | Act::Days(_) => {
                    None
                }
            }
        });
    }

    async fn upgrade(&self, tier: Tier) {
        let Some(seen) = self.newest().await else { return };
        let price = self.doors.catalogue.price(tier, Interval::Month).unwrap();
        let item = &seen.items.data[0].id;
        let _refused = self.stripe.change_price(&seen.id, item, &price.id).await;
    }

    async fn downgrade(&self, tier: Tier) {
        let Some(seen) = self.newest().await else { return };
        let price = self.doors.catalogue.price(tier, Interval::Month).unwrap();
        let _refused = self
            .stripe
            .change_price_at_period_end(&seen, &price.id, Interval::Month)
            .await;
    }
}

/// A portal whose settings are others, for one visit.
fn change_laxly(stripe: &mut AtStripe, subscription: &str, price: &str) -> Result<(), Refusal> {
    let asked_for = stripe.account.portal_changes;
    stripe.account.portal_changes = PortalChanges {
        proration: Proration::Create,
        lower_at_period_end: false,
    };
    let changed = stripe.portal_change(subscription, price);
    stripe.account.portal_changes = asked_for;
    changed
}

/// `None` if no invoice waits. A draft has to be final first.
fn give_up(stripe: &mut AtStripe, how: GivenUp) -> Option<Result<(), Refusal>> {
    let waits = |status| matches!(status, InvoiceStatus::Draft | InvoiceStatus::Open);
    let newest = stripe.invoices().iter().rev().find(|it| waits(it.status))?;
    let (id, status) = (newest.id.clone(), newest.status);
    if status == InvoiceStatus::Draft {
        stripe.finalize_invoice(&id).ok()?;
    }
    Some(match how {
        GivenUp::Voided => stripe.void_invoice(&id).map(drop),
        GivenUp::Uncollectible => stripe.mark_uncollectible(&id).map(drop),
    })
}
