//! What an account must be, told from Stripe's own books by the product's rules, in their own words: nothing here asks the
//! code that derives the same from what our client reads. Whoever changes a rule says it in both places.

use local::stripe::calendar::Interval as Every;
use local::stripe::invoice::{Invoice, InvoiceStatus, Line};
use local::stripe::payment::Charge;
use local::stripe::refund::DisputeStatus;
use local::stripe::subscription::{Ending, Status, Subscription as Theirs};
use local::stripe::world::World as Stripe;
use shared::domain::catalogue::Interval;
use shared::domain::quota::Tier;
use shared::domain::subscription::{Pending, Subscription};
use shared::domain::time::UnixMillis;

use super::world::{DAY, World};

/// How long a tier is kept without its money. Unit: seconds.
const GRACE: i64 = 14 * DAY;
/// An unpaid period gives one token in this many.
const SLICE: u64 = 20;

/// What an account is subscribed to. Moments in Unix seconds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Due {
    subscription: String,
    tier: Tier,
    interval: Interval,
    /// The current period.
    from: i64,
    to: i64,
    paid: bool,
    frozen: bool,
    kept_until: Option<i64>,
    renews: bool,
    comes: Option<Pending>,
}

/// The account's own word, in the same terms.
impl From<Subscription> for Due {
    fn from(stored: Subscription) -> Self {
        let seconds = |at: UnixMillis| at.get() / 1000;
        Self {
            subscription: stored.id,
            tier: stored.tier,
            interval: stored.interval,
            from: seconds(stored.term_start),
            to: seconds(stored.term_end),
            paid: stored.paid,
            frozen: stored.frozen,
            kept_until: stored.kept_until.map(seconds),
            renews: stored.renews,
            comes: stored.pending,
        }
    }
}

impl Due {
    /// The tier at `now`, and what its period grants; `None` is Free, whose tokens are granted elsewhere, once.
    pub(super) fn gives(&self, now: UnixMillis) -> Option<(Tier, u64)> {
        let now = now.get() / 1000;
        let out_of_grace = self.kept_until.is_some_and(|until| now >= until);
        let ended = !self.renews && now >= self.to;
        let tokens = match self.tier {
            Tier::Free => 0,
            Tier::Essentiel => 1_200_000,
            Tier::Pro => 6_000_000,
            Tier::Max => 24_000_000,
        };
        let granted = if self.paid { tokens } else { tokens / SLICE };
        (!out_of_grace && !ended).then_some((self.tier, granted))
    }
}

/// The account is what it must be, and says so in every other word as well. Returns what that is.
pub(super) async fn check(world: &World, how: &str) -> Option<Due> {
    let stored = world.billing().await.subscription;
    // Who must pay where is told by our own reading alone.
    assert_eq!(stored, world.entitled().await, "I5: {how}");
    let (due, in_vain) = world.fake.with(|stripe| (due(stripe), ended_in_vain(stripe)));
    assert_eq!(stored.map(Due::from), due, "I5: {how}");
    assert!(in_vain.is_empty(), "I5: {how}: {in_vain:?}");
    due
}

/// What the account of all the customers here must be subscribed to; `None` is Free.
///
/// Of several subscriptions one counts: one in good standing before one that is past due, a paid one before one that is
/// not, then whichever gives most, then the newest.
fn due(stripe: &Stripe) -> Option<Due> {
    let live = || stripe.subscriptions().iter().map(|it| Account { stripe, it });
    let counts = live().filter(Account::lives).max_by_key(|one| {
        let good = one.it.status == Status::Active;
        (good, one.paid(), one.tier(), one.it.created, &one.it.id)
    })?;
    Some(Due {
        subscription: counts.it.id.clone(),
        tier: counts.tier(),
        interval: match stripe.account.catalogue.price(&counts.it.price)?.interval {
            Every::Month => Interval::Month,
            Every::Year => Interval::Year,
        },
        from: counts.it.period.start,
        to: counts.it.period.end,
        paid: counts.paid(),
        // The bank has not decided about money for something that still runs.
        frozen: live().filter(Account::lives).any(|one| one.is_disputed()),
        kept_until: counts.kept_until(),
        renews: !counts.it.cancel_at_period_end,
        comes: counts.comes(),
    })
}

/// Subscriptions that somebody ended before their period, though nobody got its money back: nobody of ours may.
fn ended_in_vain(stripe: &Stripe) -> Vec<String> {
    let all = stripe.subscriptions().iter().map(|it| Account { stripe, it });
    let early = all.filter(|one| {
        let ended = one.it.status == Status::Canceled && one.it.ending == Some(Ending::Requested);
        ended && one.it.ended_at.is_some_and(|at| at < one.it.period.end)
    });
    early
        .filter(|one| !one.is_lost() && !one.is_given_back(|_| true))
        .map(|one| one.it.id.clone())
        .collect()
}

/// A subscription, and the books that it stands in.
struct Account<'a> {
    stripe: &'a Stripe,
    it: &'a Theirs,
}

impl Account<'_> {
    /// It gives something while Stripe collects, and as long as the money stays: what the bank took back ends it, whichever
    /// period it was for, and so does what we gave back of the current period's price.
    fn lives(&self) -> bool {
        let collected = matches!(self.it.status, Status::Active | Status::PastDue);
        let this_period = |line: &Line| line.period.start == self.it.period.start;
        collected && !self.is_lost() && !self.is_given_back(this_period)
    }

    /// The current period is paid once an invoice that asks for all of it is.
    fn paid(&self) -> bool {
        self.wholes().any(|invoice| invoice.status == InvoiceStatus::Paid)
    }

    /// Never more than Stripe shows, and never more than was paid for: a line pays for the time that it names.
    fn tier(&self) -> Tier {
        let shown = self.tier_of(&self.it.price);
        let paid_for = self
            .invoices()
            .filter(|invoice| invoice.status == InvoiceStatus::Paid)
            .flat_map(|invoice| &invoice.lines)
            .filter(|line| line.cents >= 0 && line.period.start >= self.it.period.start)
            .map(|line| self.tier_of(&line.price))
            .max();
        match paid_for {
            Some(paid_for) if self.paid() => shown.min(paid_for),
            _ => shown,
        }
    }

    /// Without its money a tier is kept for two weeks from the first invoice that was not paid, be it tried again or given
    /// up. Before it was tried, nobody is late.
    fn kept_until(&self) -> Option<i64> {
        let given_up = || self.wholes().filter(|invoice| is_given_up(invoice));
        let late = self.it.status == Status::PastDue || given_up().next().is_some();
        let waits = self
            .invoices()
            .filter(|invoice| invoice.status == InvoiceStatus::Open);
        let first = waits.chain(given_up()).map(|invoice| invoice.created).min();
        (late && !self.paid()).then(|| first.unwrap_or(self.it.period.start) + GRACE)
    }

    /// What was chosen and has not happened: the end, or a higher plan that waits for its payment, or another one from the
    /// next period on.
    fn comes(&self) -> Option<Pending> {
        let at = |seconds: i64| UnixMillis::new(seconds * 1000);
        if self.it.cancel_at_period_end {
            return Some(Pending::Cancel {
                at: at(self.it.period.end),
            });
        }
        if self.it.pending_update.is_some() {
            return Some(Pending::Upgrade);
        }
        let schedule = self.stripe.schedules().get(self.it.schedule.as_ref()?)?;
        let mut later = schedule.phases.iter().skip(schedule.current + 1);
        let other = later.find(|phase| phase.price != self.it.price)?;
        Some(Pending::Tier {
            tier: self.tier_of(&other.price),
            at: at(other.start),
        })
    }

    fn is_disputed(&self) -> bool {
        self.disputes()
            .any(|standing| standing == DisputeStatus::NeedsResponse)
    }

    fn is_lost(&self) -> bool {
        self.disputes().any(|standing| standing == DisputeStatus::Lost)
    }

    /// All of a payment was given back, for a whole period that is as asked.
    fn is_given_back(&self, period: impl Fn(&Line) -> bool) -> bool {
        let of_it = |invoice: &Invoice| invoice.lines.iter().any(|line| is_whole(line) && period(line));
        self.invoices()
            .filter(|invoice| of_it(invoice))
            .flat_map(|invoice| self.charges(invoice))
            .any(|charge| charge.refunded_cents == charge.cents)
    }

    fn disputes(&self) -> impl Iterator<Item = DisputeStatus> {
        self.invoices()
            .flat_map(|invoice| self.charges(invoice))
            .filter_map(|charge| Some(self.stripe.disputes().get(charge.dispute.as_ref()?)?.status))
    }

    /// The charges that went through.
    fn charges(&self, invoice: &Invoice) -> impl Iterator<Item = &Charge> {
        let intent = invoice.intent.clone();
        let through =
            move |charge: &&Charge| charge.decline.is_none() && Some(&charge.intent) == intent.as_ref();
        self.stripe.charges().iter().map(|it| &**it).filter(through)
    }

    /// The invoices that ask for all of the current period.
    fn wholes(&self) -> impl Iterator<Item = &Invoice> {
        let from = self.it.period.start;
        let asks = move |line: &Line| is_whole(line) && line.period.start == from;
        self.invoices()
            .filter(move |invoice| invoice.lines.iter().any(asks))
    }

    fn invoices(&self) -> impl Iterator<Item = &Invoice> {
        let all = self.stripe.invoices().iter().map(|it| &**it);
        all.filter(move |invoice| invoice.subscription == self.it.id)
    }

    /// Each tier is a product.
    fn tier_of(&self, price: &str) -> Tier {
        let price = self.stripe.account.catalogue.price(price).unwrap();
        match price.product.as_str() {
            "prod_essentiel" => Tier::Essentiel,
            "prod_pro" => Tier::Pro,
            "prod_max" => Tier::Max,
            other => panic!("nobody sells {other}"),
        }
    }
}

/// A proration is for a part of a period.
const fn is_whole(line: &Line) -> bool {
    line.proration.is_none()
}

fn is_given_up(invoice: &Invoice) -> bool {
    matches!(invoice.status, InvoiceStatus::Void | InvoiceStatus::Uncollectible)
}
