//! A teacher who buys and changes, at the door of `checkout`.

use std::sync::Arc;
use std::time::Duration;

use ::checkout::{ANSWER_MAX, Doors, router};
use aws_config::SdkConfig;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use local::stripe::customer::Card;
use serde_json::{Value, json};
use shared::billing::Connection;
use shared::clock::Clock;
use shared::domain::ids::AccountId;
use shared::domain::time::UnixMillis;
use shared::http::Sessions;
use shared::store::{Clients, Secrets};
use tower::ServiceExt as _;

use super::world::{KEY, START_MILLIS, World};
use crate::flows::session::Keys;

/// What the doors of many teachers share: who signs sessions, and the secret with Stripe's key.
pub(super) struct Shop {
    pub(super) keys: Keys,
    secrets: Secrets,
    key_secret: String,
}

impl Shop {
    /// `config` leads to an emulator that keeps secrets.
    pub(super) async fn new(config: &SdkConfig) -> Self {
        let of_its_own = AccountId::mint(UnixMillis::new(START_MILLIS));
        let name = format!("stripe-key-{of_its_own}");
        aws_sdk_secretsmanager::Client::new(config)
            .create_secret()
            .name(&name)
            .secret_string(KEY)
            .send()
            .await
            .unwrap();
        Self {
            keys: Keys::new(),
            secrets: Clients::on(config.clone()).secrets(Clock::fixed(START_MILLIS)),
            key_secret: name,
        }
    }

    /// The door of `world`, through which Stripe is asked at `connection`, for so long.
    pub(super) fn door(&self, world: &World, connection: &Connection, answer_max: Duration) -> Router {
        let pem: Arc<str> = self.keys.public_pem.as_str().into();
        let clock = world.doors.clock.clone();
        let (door, _) = router(Doors {
            store: world.doors.store.clone(),
            connection: connection.clone(),
            secrets: self.secrets.clone(),
            key_secret: self.key_secret.clone(),
            catalogue: world.doors.catalogue.clone(),
            web_origin: "https://app.example".to_owned(),
            portal: world.doors.portal.clone(),
            answer_max,
            sessions: Sessions::new(clock.clone(), move || {
                let pem = pem.clone();
                async move { Ok(pem) }
            }),
            clock,
        });
        door
    }
}

/// A teacher at the door of `checkout`.
pub(super) struct Buyer {
    pub(super) world: World,
    pub(super) door: Router,
    pub(super) shop: Arc<Shop>,
}

impl Buyer {
    pub(super) async fn new() -> Self {
        Self::of(World::new().await).await
    }

    /// The teacher of a world, at a shop of its own.
    async fn of(world: World) -> Self {
        let shop = Shop::new(&world.config).await;
        Self::at(&Arc::new(shop), world)
    }

    pub(super) fn at(shop: &Arc<Shop>, world: World) -> Self {
        Self {
            door: shop.door(&world, &world.doors.connection, ANSWER_MAX),
            shop: Arc::clone(shop),
            world,
        }
    }

    pub(super) async fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let now = self.world.doors.clock.now_millis();
        let token = self.shop.keys.token(self.world.account, now);
        self.ask_as(Some(&token), method, path, body).await
    }

    pub(super) async fn ask_as(
        &self,
        token: Option<&str>,
        method: &str,
        path: &str,
        body: &Value,
    ) -> (u16, Value) {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api/subscription/{path}"))
            .header("content-type", "application/json");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Body::from(body.to_string())).unwrap();
        let response = self.door.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    pub(super) async fn get(&self, path: &str) -> (u16, Value) {
        self.ask("GET", path, &json!({})).await
    }

    pub(super) async fn change(&self, tier: &str) -> (u16, Value) {
        self.ask("POST", "change", &json!({ "tier": tier })).await
    }

    /// The session whose page a checkout leads to.
    pub(super) async fn begin(&self, tier: &str) -> String {
        let (status, begun) = self.get(&format!("checkout/{tier}")).await;
        assert_eq!(status, 200, "{begun}");
        let page = begun["checkout_url"].as_str().unwrap();
        page.rsplit('/').next().unwrap().to_owned()
    }

    pub(super) fn pay(&self, session: &str, card: Card) {
        self.world
            .fake
            .with(|stripe| stripe.pay(session, card).map(drop))
            .unwrap();
    }

    pub(super) async fn bought(tier: &str) -> Self {
        Self::bought_at(World::new().await, tier).await
    }

    pub(super) async fn bought_at(world: World, tier: &str) -> Self {
        let buyer = Self::of(world).await;
        let session = buyer.begin(tier).await;
        buyer.pay(&session, Card::Ok);
        let (status, standing) = buyer.get(&format!("return?session_id={session}")).await;
        assert_eq!((status, &standing["tier"]), (200, &json!(tier)), "{standing}");
        buyer
    }
}

pub(super) fn refusal((status, problem): (u16, Value)) -> (u16, String) {
    (status, problem["type"].as_str().unwrap_or_default().to_owned())
}

pub(super) fn problem(status: u16, code: &str) -> (u16, String) {
    (status, format!("/problems/{code}"))
}
