//! From what Stripe says of a customer to what an account may use.
//!
//! An event is only a hint that something changed. Whoever hears one fetches the whole truth ([`Truth`]) and
//! derives the account from it ([`entitle`]), so the order of events, their duplicates and their losses do not
//! matter: the same truth always gives the same account.

mod paid;

use serde::{Deserialize, Serialize};

use super::catalogue::{Catalogue, Interval};
use super::mail::Contact;
use super::quota::Tier;
use super::time::UnixMillis;

/// How long an account keeps its tier while Stripe tries to collect. Unit: seconds.
pub const PAST_DUE_GRACE_SECONDS: i64 = 14 * 24 * 3600;

/// What an account is subscribed to, as derived from Stripe: the stored form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Stripe's id.
    pub id: String,
    /// The tier that is paid for.
    pub tier: Tier,
    /// How often it is paid.
    pub interval: Interval,
    /// When the period that an invoice pays for began.
    pub term_start: UnixMillis,
    /// When it ends.
    pub term_end: UnixMillis,
    /// When the subscription began.
    pub started_at: UnixMillis,
    /// Whether another period follows.
    pub renews: bool,
    /// Whether the current period's invoice is paid.
    pub paid: bool,
    /// How the money stands: for the teacher to see.
    pub payment: Payment,
    /// Until when the tier is kept although a collection failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_until: Option<UnixMillis>,
    /// Stripe's page to pay what is owed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pay_page: Option<String>,
    /// A payment is disputed or was given back: nothing more is started.
    pub frozen: bool,
    /// What will change, and can still be taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
}

impl Subscription {
    /// Whether an invoice of it waits for its payment, be it a change's alone. Until then no other change is made.
    #[must_use]
    pub fn owes(&self) -> bool {
        self.payment != Payment::Paid || self.pending == Some(Pending::Upgrade)
    }
}

/// How a subscription's money stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Payment {
    /// Nothing is owed.
    Paid,
    /// The period's invoice is not collected yet.
    Awaiting,
    /// The bank wants the teacher's confirmation (3-D Secure).
    ActionRequired,
    /// A collection failed, and Stripe tries again.
    PastDue,
}

/// A change that is agreed and has not happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum Pending {
    /// Back to Free at the end of the period.
    Cancel {
        /// When.
        at: UnixMillis,
    },
    /// Another tier from the next period on.
    Tier {
        /// Which.
        tier: Tier,
        /// When.
        at: UnixMillis,
    },
    /// An upgrade whose invoice is not paid: the tier stays as it is until then.
    Upgrade,
}

/// All that Stripe knows of one customer, as far as it matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Truth {
    /// Every subscription, ended ones too.
    pub subscriptions: Vec<Seen>,
    /// Their invoices, newest first.
    pub invoices: Vec<Invoice>,
    /// Their charges, newest first.
    pub charges: Vec<Charge>,
    /// Where letters go; `None` when Stripe knows no address that can be written to.
    pub contact: Option<Contact>,
}

/// A subscription as Stripe shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Stripe's id.
    pub id: String,
    /// Its status.
    pub status: Status,
    /// Its one item's price.
    pub price: String,
    /// When it was created.
    pub created: UnixMillis,
    /// When the current period began.
    pub period_start: UnixMillis,
    /// When it ends.
    pub period_end: UnixMillis,
    /// When it is to end, if it is.
    pub cancel_at: Option<UnixMillis>,
    /// The price that its schedule brings next, and when.
    pub scheduled: Option<(String, UnixMillis)>,
    /// A change waits for its payment.
    pub update_pending: bool,
}

/// A subscription's status: <https://docs.stripe.com/billing/subscriptions/overview#subscription-statuses>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// In good standing (its newest invoice may be a draft).
    Active,
    /// In a trial.
    Trialing,
    /// Its newest invoice could not be collected, and is tried again.
    PastDue,
    /// Given up, or not begun, or paused, or unknown to us: it gives nothing.
    Without,
}

/// An invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoice {
    /// Stripe's id.
    pub id: String,
    /// The subscription that it is for.
    pub subscription: Option<String>,
    /// How it stands.
    pub state: InvoiceState,
    /// When it was made.
    pub created: UnixMillis,
    /// Where the periods begin that it pays for in full (prorations pay for none).
    pub covers: Vec<UnixMillis>,
    /// The prices that it asks for, each with where the time begins that it is asked for; what a line gives back is not
    /// among them.
    pub prices: Vec<(String, UnixMillis)>,
    /// The bank wants a confirmation.
    pub action_required: bool,
    /// Stripe's page to pay it.
    pub page: Option<String>,
    /// The payment intents that paid it, or should.
    pub payments: Vec<String>,
}

/// How an invoice stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvoiceState {
    /// It can still change.
    Draft,
    /// To be paid.
    Open,
    /// Paid.
    Paid,
    /// Given up.
    Closed,
}

/// A charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// Stripe's id.
    pub id: String,
    /// The payment intent that made it.
    pub payment: Option<String>,
    /// All of it was given back.
    pub refunded: bool,
    /// Its dispute, if there is one.
    pub dispute: Option<Dispute>,
}

/// How a dispute stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dispute {
    /// An inquiry: the bank asks, and no money has moved.
    Inquiry,
    /// Not decided.
    Open,
    /// The money stays.
    Won,
    /// The money is gone.
    Lost,
}

/// What follows from a truth.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entitlement {
    /// What the account is subscribed to; `None` is Free.
    pub subscription: Option<Subscription>,
    /// Subscriptions to end at Stripe: their payment was given back or lost.
    pub cancel: Vec<String>,
    /// What somebody of ours must look at.
    pub alerts: Vec<Alert>,
}

/// Something that a rule cannot mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alert {
    /// The customer pays for several subscriptions; the first is the one that counts.
    SeveralSubscriptions(Vec<String>),
    /// A payment is disputed.
    Disputed(String),
    /// A bank asks about a payment: without an answer in time it may become a dispute.
    Inquiry(String),
    /// A current subscription's payment was given back in full, or lost in a dispute.
    PaymentReturned(String),
    /// A subscription has a higher tier than was paid for, which then counts: a change that Stripe made without an invoice
    /// (in the Dashboard, or by a portal that is not set up as it must be), or whose invoice is not paid.
    UnpaidTier(String),
    /// A higher tier was bought for the last days of a period, whose tokens it gives in full: the invoice. Somebody who
    /// does that every month pays for days and uses months.
    LateUpgrade(String),
    /// The account has a customer too many: what it pays counts, and one of the two must go.
    SecondCustomer(String),
}

impl Alert {
    /// Stable, kebab-case.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::SeveralSubscriptions(_) => "several-subscriptions",
            Self::Disputed(_) => "disputed",
            Self::Inquiry(_) => "inquiry",
            Self::PaymentReturned(_) => "payment-returned",
            Self::UnpaidTier(_) => "unpaid-tier",
            Self::LateUpgrade(_) => "late-upgrade",
            Self::SecondCustomer(_) => "second-customer",
        }
    }
}

/// A customer pays for something that we do not sell: the account is left as it is, and somebody must look.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("subscription {subscription} has the price {price}, which the catalogue does not name")]
pub struct UnknownPrice {
    /// The subscription.
    pub subscription: String,
    /// Its price.
    pub price: String,
}

/// A subscription that gives something.
struct Live<'a> {
    seen: &'a Seen,
    interval: Interval,
    /// The tier that Stripe shows.
    shown: Tier,
    /// The tier that counts.
    tier: Tier,
}

/// What an account may use because of `truth`.
///
/// # Errors
/// [`UnknownPrice`] when a live subscription's price is not ours: nobody is blocked who paid, and nobody is
/// given what we cannot name.
pub fn entitle(truth: &Truth, catalogue: &Catalogue) -> Result<Entitlement, UnknownPrice> {
    let mut live = Vec::new();
    for seen in &truth.subscriptions {
        if seen.status == Status::Without {
            continue;
        }
        let Some((shown, interval)) = catalogue.sold(&seen.price) else {
            return Err(UnknownPrice {
                subscription: seen.id.clone(),
                price: seen.price.clone(),
            });
        };
        live.push(Live {
            seen,
            interval,
            shown,
            tier: truth.tier_of(seen, shown, catalogue),
        });
    }
    // The one in the best standing, then one that is paid, then the one that gives most, then the newest; its id decides
    // between twins.
    live.sort_by_key(|Live { seen, tier, .. }| {
        let standing = seen.status != Status::PastDue;
        std::cmp::Reverse((
            standing,
            truth.is_paid(seen),
            *tier,
            seen.created,
            seen.id.clone(),
        ))
    });
    let mut entitlement = Entitlement::default();
    if live.len() > 1 {
        let ids = live.iter().map(|live| live.seen.id.clone()).collect();
        entitlement.alerts.push(Alert::SeveralSubscriptions(ids));
    }
    let mut frozen = false;
    for charge in &truth.charges {
        match charge.dispute {
            Some(Dispute::Open) => {
                // Whoever buys again after a subscription that ended in a dispute has paid for what is new.
                frozen |= !truth.paid_for_what_ended(charge, &live);
                entitlement.alerts.push(Alert::Disputed(charge.id.clone()));
            }
            Some(Dispute::Inquiry) => entitlement.alerts.push(Alert::Inquiry(charge.id.clone())),
            Some(Dispute::Won | Dispute::Lost) | None => {}
        }
    }
    for Live { seen, .. } in &live {
        if let Some((charge, ends)) = truth.returned_payment_of(seen) {
            if ends {
                entitlement.cancel.push(seen.id.clone());
            }
            entitlement.alerts.push(Alert::PaymentReturned(charge.id.clone()));
        }
        let late = truth.late_upgrade_of(seen);
        entitlement
            .alerts
            .extend(late.map(|invoice| Alert::LateUpgrade(invoice.id.clone())));
    }
    entitlement.subscription = live.first().map(|live| {
        let seen = live.seen;
        let owed = truth.owed_by(seen);
        let paid = truth.is_paid(seen);
        let given_up = truth.given_up_of(seen);
        let in_grace = !paid && (seen.status == Status::PastDue || given_up.is_some());
        // A change that is not paid either begins no second grace.
        let unpaid = owed.into_iter().chain(given_up).map(|invoice| invoice.created);
        let since = unpaid.min().unwrap_or(seen.period_start);
        if live.tier < live.shown {
            entitlement.alerts.push(Alert::UnpaidTier(seen.id.clone()));
        }
        Subscription {
            id: seen.id.clone(),
            tier: live.tier,
            interval: live.interval,
            term_start: seen.period_start,
            term_end: seen.period_end,
            started_at: seen.created,
            renews: seen.cancel_at.is_none_or(|at| at > seen.period_end),
            paid,
            payment: truth.payment_of(seen),
            kept_until: in_grace.then(|| since.plus_seconds(PAST_DUE_GRACE_SECONDS)),
            pay_page: owed.and_then(|invoice| invoice.page.clone()),
            frozen: frozen || entitlement.cancel.contains(&seen.id),
            pending: pending(seen, catalogue),
        }
    });
    Ok(entitlement)
}

fn pending(seen: &Seen, catalogue: &Catalogue) -> Option<Pending> {
    if let Some(at) = seen.cancel_at {
        return Some(Pending::Cancel { at });
    }
    if seen.update_pending {
        return Some(Pending::Upgrade);
    }
    let (price, at) = seen.scheduled.as_ref()?;
    let (tier, _) = catalogue.sold(price)?;
    Some(Pending::Tier { tier, at: *at })
}

#[cfg(test)]
mod tests;
