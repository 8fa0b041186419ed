//! Stripe fails, or hangs, in each call that a route of `checkout` makes. The route ends with a problem that says so,
//! nothing is lost, and nobody has what was not paid: whoever asks again has what the first answer would have said.

use std::sync::Arc;
use std::time::Duration;

use ::checkout::ANSWER_MAX;
use futures::future::join_all;
use local::stripe::checkout::SessionStatus;
use local::stripe::customer::Card;
use local::stripe::{Fault, Kind, Seen};
use serde_json::{Value, json};
use shared::billing::{Connection, Patience};
use shared::domain::catalogue::Interval;
use shared::domain::quota::Tier;

use super::buyer::{Buyer, Shop, problem, refusal};
use super::place::Place;
use super::world::World;
use crate::emulators::Emulator;
use crate::faulty::connections;

/// Something that a teacher does.
#[derive(Debug, Clone, Copy)]
enum Step {
    Begin(&'static str),
    /// Somebody deletes the customer in Stripe's Dashboard.
    Deleted,
    /// On Stripe's page, without us.
    Pay,
    /// From Stripe's page, or from anywhere.
    Back {
        from_page: bool,
    },
    Change(&'static str),
    Keep,
    Portal,
    Invoices,
}

/// What was done before, and the step in which Stripe fails.
type Way = (&'static [Step], Step);

const BOUGHT: &[Step] = &[Step::Begin("pro"), Step::Pay, Step::Back { from_page: true }];

const BUYING: [Way; 6] = [
    (&[], Step::Begin("pro")),
    (&[Step::Begin("pro"), Step::Deleted], Step::Begin("pro")),
    (&[Step::Begin("pro")], Step::Begin("pro")),
    (&[Step::Begin("pro")], Step::Begin("max")),
    (&[Step::Begin("pro"), Step::Pay], Step::Back { from_page: true }),
    (&[Step::Begin("pro"), Step::Pay], Step::Back { from_page: false }),
];

const CHANGING: [Way; 8] = [
    (BOUGHT, Step::Change("max")),
    (BOUGHT, Step::Change("essentiel")),
    (BOUGHT, Step::Change("free")),
    (LOWERED, Step::Change("max")),
    (LEAVING, Step::Change("max")),
    (LEAVING, Step::Change("essentiel")),
    (LOWERED, Step::Keep),
    (LEAVING, Step::Keep),
];

const LOWERED: &[Step] = &[
    Step::Begin("pro"),
    Step::Pay,
    Step::Back { from_page: true },
    Step::Change("essentiel"),
];

const LEAVING: &[Step] = &[
    Step::Begin("pro"),
    Step::Pay,
    Step::Back { from_page: true },
    Step::Change("free"),
];

const LOOKING: [Way; 2] = [(BOUGHT, Step::Portal), (BOUGHT, Step::Invoices)];

/// How Stripe fails: the answer says so, or none comes, with nothing done or with all of it.
const HOW: [Kind; 3] = [Kind::Unavailable, Kind::Hang, Kind::HangAfter];
/// What is waited for when no answer comes, if the machine is quick enough to reach the call until then.
const HANGING_FIRST: Duration = Duration::from_millis(200);

/// How a step ended.
#[derive(Debug, PartialEq)]
struct Ended {
    status: u16,
    /// What its answer says of the account, as far as it does.
    tier: Value,
    pending_change: Value,
    /// What is stored, and pages that can be paid.
    stored: Option<Tier>,
    open_pages: usize,
}

/// Where one way is lived again and again.
struct Lane {
    place: Place,
    shop: Arc<Shop>,
    /// A connection on which only the route's own time ends a call.
    patient: Connection,
    lived: u64,
}

impl Lane {
    async fn new() -> Self {
        let place = Place::new(&connections(), &Emulator::Dynoxide.table().await).await;
        let patience = Patience {
            attempt: Duration::from_secs(3_600),
            wait_first: Duration::ZERO,
            ..Patience::default()
        };
        Self {
            patient: Connection::new(Some(&place.fake.base_url()), patience).unwrap(),
            shop: Arc::new(Shop::new(&Emulator::Ministack.config().await).await),
            place,
            lived: 0,
        }
    }

    /// A teacher who has done what comes before.
    async fn buyer(&mut self, before: &[Step]) -> Buyer {
        self.lived += 1;
        let buyer = Buyer::at(&self.shop, World::at(&self.place, self.lived).await);
        for step in before {
            let (status, answer) = done(&buyer, *step).await;
            assert_eq!(status, 200, "{step:?}: {answer}");
        }
        buyer
    }

    /// The way without a fault: how it ends, and the calls that its last step makes.
    async fn whole(&mut self, (before, step): Way) -> (Ended, usize) {
        let buyer = self.buyer(before).await;
        let calls = buyer.world.fake.calls().len();
        let answer = done(&buyer, step).await;
        let calls = buyer.world.fake.calls().len() - calls;
        (ended(&buyer, answer).await, calls)
    }

    /// The same, and Stripe fails in one of these calls; then it is there again. `false` if the time of the answer was over
    /// before that call was made.
    async fn fails(
        &mut self,
        (before, step): Way,
        call: usize,
        how: Kind,
        time: Duration,
        whole: &Ended,
    ) -> bool {
        let mut buyer = self.buyer(before).await;
        let fake = Arc::clone(&buyer.world.fake);
        let bought = buyer.world.billing().await.subscription;
        let calls = fake.calls().len();
        fake.inject([Fault::next(how).after(call).times(3)]);
        let hasty = self.shop.door(&buyer.world, &self.patient, time);
        let usual = std::mem::replace(&mut buyer.door, hasty);
        let answer = done(&buyer, step).await;
        let made = fake.calls().split_off(calls);
        if !made.iter().any(|seen| seen.fault == Some(how)) {
            return false;
        }
        let what = format!("{step:?} after {before:?}, {how:?} in {}", named(&made[call]));
        assert_eq!(refusal(answer), problem(503, "unavailable"), "{what}");
        fake.clear_faults();
        paid_for(&buyer, &what).await;
        let stored = buyer.world.billing().await.subscription;
        assert!(
            stored == bought || stored == buyer.world.entitled().await,
            "{what}: {stored:?}"
        );

        buyer.door = usual;
        let answer = done(&buyer, step).await;
        assert_eq!(ended(&buyer, answer).await, *whole, "{what}, and asked again");
        paid_for(&buyer, &what).await;
        assert_eq!(
            buyer.world.billing().await.subscription,
            buyer.world.entitled().await,
            "I5: {what}"
        );
        true
    }
}

fn named(call: &Seen) -> String {
    format!("{} {}", call.method, call.path)
}

async fn done(buyer: &Buyer, step: Step) -> (u16, Value) {
    let newest = || {
        buyer
            .world
            .fake
            .with(|stripe| stripe.sessions().iter().next_back().unwrap().id.clone())
    };
    match step {
        Step::Begin(tier) => buyer.get(&format!("checkout/{tier}")).await,
        Step::Deleted => {
            let customer = buyer.world.billing().await.customer.unwrap();
            let deleted = buyer.world.fake.with(|stripe| stripe.delete_customer(&customer));
            deleted.unwrap();
            (200, Value::Null)
        }
        Step::Pay => {
            buyer.pay(&newest(), Card::Ok);
            (200, Value::Null)
        }
        Step::Back { from_page: true } => buyer.get(&format!("return?session_id={}", newest())).await,
        Step::Back { from_page: false } => buyer.get("return").await,
        Step::Change(tier) => buyer.change(tier).await,
        Step::Keep => buyer.ask("POST", "keep", &json!({})).await,
        Step::Portal => buyer.ask("POST", "portal", &json!({})).await,
        Step::Invoices => buyer.get("invoices").await,
    }
}

async fn ended(buyer: &Buyer, (status, answer): (u16, Value)) -> Ended {
    let open = |stripe: &mut local::stripe::world::World| {
        let sessions = stripe.sessions().iter();
        sessions.filter(|it| it.status == SessionStatus::Open).count()
    };
    Ended {
        status,
        tier: answer["tier"].clone(),
        pending_change: answer["pending_change"].clone(),
        stored: buyer.world.billing().await.subscription.map(|it| it.tier),
        open_pages: buyer.world.fake.with(open),
    }
}

/// What is stored, and what Stripe says, is no more than was paid.
async fn paid_for(buyer: &Buyer, what: &str) {
    let paid_cents: i64 = buyer.world.fake.with(|stripe| {
        let charges = stripe.charges().iter();
        charges.filter(|it| it.decline.is_none()).map(|it| it.cents).sum()
    });
    let stored = buyer.world.billing().await.subscription;
    for subscription in [stored, buyer.world.entitled().await].into_iter().flatten() {
        let price = buyer
            .world
            .doors
            .catalogue
            .price(subscription.tier, Interval::Month);
        let cents = price.unwrap().amount_cents;
        assert!(
            paid_cents >= i64::try_from(cents).unwrap(),
            "{what}: {:?} for {paid_cents} cents",
            subscription.tier
        );
    }
}

/// Every call of the way's last step fails in every manner.
async fn every_call(way: Way) {
    let mut lane = Lane::new().await;
    let (whole, calls) = lane.whole(way).await;
    assert!(
        whole.status == 200 && calls > 0,
        "{way:?}: {whole:?}, {calls} calls"
    );
    for call in 0..calls {
        for how in HOW {
            let mut time = match how {
                Kind::Hang | Kind::HangAfter => HANGING_FIRST,
                _ => ANSWER_MAX / 2,
            };
            while !lane.fails(way, call, how, time, &whole).await {
                time *= 2;
                assert!(time < 2 * ANSWER_MAX, "{way:?}: no call {call} in {time:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purchase_in_which_stripe_fails_or_hangs_can_be_made_again() {
    join_all(BUYING.map(every_call)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_in_which_stripe_fails_or_hangs_can_be_made_again() {
    join_all(CHANGING.map(every_call)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_in_which_stripe_fails_or_hangs_can_be_asked_for_again() {
    join_all(LOOKING.map(every_call)).await;
}
