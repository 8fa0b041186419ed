//! The local Stripe, asked by Stripe's client of our choice: what it answers and emits must parse there.

use local::stripe::customer::{Card, Details};
use local::stripe::{Settings, Stripe};
use reqwest::redirect::Policy;
use shared::clock::Clock;
use stripe::{Client, ClientBuilder};

mod calls;
mod clocks;
mod kept;
mod pages;
mod webhooks;
mod wire;

const ESSENTIEL: &str = "price_essentiel_monthly";
const PRO: &str = "price_pro_monthly";
const SECRET_KEY: &str = "sk_test_local";
const DAY: i64 = 86_400;
/// 31 January 2026, noon.
const START: i64 = 1_769_860_800;

/// A Stripe whose clock stands still, with a customer, and a client.
struct Fake {
    stripe: Stripe,
    client: Client,
    browser: reqwest::Client,
    customer: String,
}

impl Fake {
    async fn start() -> Self {
        let settings = Settings {
            clock: Clock::fixed(START * 1000),
            ..Settings::default()
        };
        let stripe = Stripe::start(settings).await.unwrap();
        let client = ClientBuilder::new(SECRET_KEY)
            .url(stripe.base_url() + "/")
            .build()
            .unwrap();
        let details = Details {
            email: Some("prof@exemple.fr".to_owned()),
            ..Details::default()
        };
        let customer = stripe.with(|world| world.create_customer(details).unwrap().id.clone());
        Self {
            stripe,
            client,
            browser: reqwest::Client::builder()
                .redirect(Policy::none())
                .build()
                .unwrap(),
            customer,
        }
    }

    /// An open Checkout page.
    fn session(&self, price: &str) -> String {
        let asked = local::stripe::checkout::NewSession {
            customer: Some(self.customer.clone()),
            price: price.to_owned(),
            success_url: Some("http://app.local/retour?session={CHECKOUT_SESSION_ID}".to_owned()),
            cancel_url: Some("http://app.local/formules".to_owned()),
            ..Default::default()
        };
        self.stripe
            .with(|world| world.create_checkout(asked).unwrap().id.clone())
    }

    /// A paid subscription.
    fn subscribe(&self, price: &str, card: Card) -> String {
        let session = self.session(price);
        self.stripe.with(|world| {
            world.pay(&session, card).unwrap();
            world.session(&session).unwrap().subscription.clone().unwrap()
        })
    }

    fn item(&self, subscription: &str) -> String {
        self.stripe
            .with(|world| world.subscription(subscription).unwrap().item.clone())
    }
}
