//! The state machine, without a server.

use std::sync::Arc;

use super::catalogue::Catalogue;
use super::checkout::NewSession;
use super::customer::{Card, Details};
use super::invoice::{Invoice, InvoiceStatus};
use super::payment::Attempt;
use super::subscription::{Status, Subscription};
use super::world::World;

mod changes;
mod histories;
mod life;
mod money;
mod refusals;

const DAY: i64 = 86_400;
const HOUR: i64 = 3600;
/// 31 January 2026, noon.
const START: i64 = 1_769_860_800;
const ESSENTIEL: &str = "price_essentiel_monthly";
const PRO: &str = "price_pro_monthly";
const PRO_YEARLY: &str = "price_pro_yearly";

/// A world with one customer.
struct Scene {
    world: World,
    customer: String,
}

impl Scene {
    fn new() -> Self {
        let mut world = World::new(7, START, Catalogue::tiers());
        let details = Details {
            email: Some("prof@exemple.fr".to_owned()),
            ..Details::default()
        };
        let customer = world.create_customer(details).unwrap().id.clone();
        Self { world, customer }
    }

    fn session(&mut self, price: &str) -> String {
        let asked = NewSession {
            customer: Some(self.customer.clone()),
            price: price.to_owned(),
            success_url: Some("http://app/ok?session={CHECKOUT_SESSION_ID}".to_owned()),
            ..NewSession::default()
        };
        self.world.create_checkout(asked).unwrap().id.clone()
    }

    /// A paid subscription.
    fn subscribe(&mut self, price: &str, card: Card) -> String {
        let session = self.session(price);
        assert_eq!(self.world.pay(&session, card), Ok(Attempt::Paid));
        let session = self.world.session(&session).unwrap();
        session.subscription.clone().unwrap()
    }

    fn subscription(&self, id: &str) -> Arc<Subscription> {
        Arc::clone(self.world.subscription(id).unwrap())
    }

    fn latest(&self, subscription: &str) -> Arc<Invoice> {
        let latest = self.subscription(subscription).latest_invoice.clone().unwrap();
        Arc::clone(self.world.invoice(&latest).unwrap())
    }

    fn status(&self, id: &str) -> Status {
        self.subscription(id).status
    }

    /// The kinds of what happened after the first `seen` events.
    fn kinds(&self, seen: usize) -> Vec<&'static str> {
        self.world
            .events_since(seen)
            .iter()
            .map(|event| event.kind)
            .collect()
    }

    fn seen(&self) -> usize {
        self.world.events().iter().count()
    }

    fn paid(&self, subscription: &str) -> bool {
        self.latest(subscription).status == InvoiceStatus::Paid
    }
}
