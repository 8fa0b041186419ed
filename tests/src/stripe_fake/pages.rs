//! What a customer does in a browser without scripts, and what a demonstration does by the control API.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use local::stripe::Endpoint;
use local::stripe::checkout::SessionStatus;
use serde_json::{Value, json};

use super::*;

impl Fake {
    async fn see(&self, url: &str) -> String {
        self.browser.get(url).send().await.unwrap().text().await.unwrap()
    }

    async fn press(&self, url: &str, form: String) -> reqwest::Response {
        self.browser.post(url).body(form).send().await.unwrap()
    }
}

#[tokio::test]
async fn a_customer_pays_after_a_refusal_and_a_confirmation() {
    let fake = Fake::start().await;
    let session = fake.session(PRO);
    let url = format!("{}/c/pay/{session}", fake.stripe.base_url());
    let page = fake.see(&url).await;
    assert!(page.contains("Stripe local : aucun paiement réel") && page.contains("29,00 € par mois"));
    let refused = fake
        .press(&url, "action=decline".to_owned())
        .await
        .text()
        .await
        .unwrap();
    assert!(refused.contains("La carte a été refusée"));
    let asked = fake
        .press(&url, "action=secure".to_owned())
        .await
        .text()
        .await
        .unwrap();
    assert!(asked.contains("3-D Secure") && asked.contains("Confirmer"));
    let paid = fake.press(&url, "action=confirm".to_owned()).await;
    let to = paid.headers()["location"].to_str().unwrap();
    assert_eq!(to, format!("http://app.local/retour?session={session}"));
    let status = fake.stripe.with(|world| world.session(&session).unwrap().status);
    assert_eq!(status, SessionStatus::Complete);
}

#[tokio::test]
async fn a_customer_who_gives_up_goes_back() {
    let fake = Fake::start().await;
    let url = format!("{}/c/pay/{}", fake.stripe.base_url(), fake.session(PRO));
    let left = fake.press(&url, "action=cancel".to_owned()).await;
    assert_eq!(left.headers()["location"], "http://app.local/formules");
}

#[tokio::test]
async fn the_portal_changes_cancels_and_resumes() {
    let fake = Fake::start().await;
    let id = fake.subscribe(ESSENTIEL, Card::Ok);
    let portal = fake.stripe.with(|world| {
        let back = Some("http://app.local/compte".to_owned());
        world.create_portal(&fake.customer, back).unwrap().id.clone()
    });
    let url = format!("{}/p/session/{portal}", fake.stripe.base_url());
    let page = fake.see(&url).await;
    assert!(page.contains("http://app.local/compte"));
    let found = || fake.stripe.with(|world| world.subscription(&id).unwrap().clone());
    fake.press(&url, format!("subscription={id}&action=change&price={PRO}"))
        .await;
    assert_eq!(found().price, PRO);
    for (action, ends) in [("cancel", true), ("resume", false)] {
        fake.press(&url, format!("subscription={id}&action={action}"))
            .await;
        assert_eq!(found().cancel_at_period_end, ends);
    }
    fake.press(&url, "action=card&card=declined".to_owned()).await;
    assert_eq!(
        fake.stripe
            .with(|world| world.customer(&fake.customer).unwrap().card),
        Card::Declined
    );
}

#[tokio::test]
async fn the_control_api_moves_time_and_plays_the_bank() {
    let fake = Fake::start().await;
    fake.subscribe(ESSENTIEL, Card::Ok);
    let control = |path: String, body: Value| {
        let url = format!("{}/_control{path}", fake.stripe.base_url());
        let browser = &fake.browser;
        async move {
            let answer = browser.post(url).json(&body).send().await.unwrap();
            assert!(
                answer.status().is_success(),
                "{path}: {}",
                answer.text().await.unwrap()
            );
        }
    };
    let card = format!("/customers/{}/card", fake.customer);
    control(card, json!({ "card": "declined_later" })).await;
    control("/clock".to_owned(), json!({ "advance_seconds": 29 * DAY })).await;
    let url = fake.stripe.base_url() + "/_control/state";
    let state: Value = serde_json::from_str(&fake.see(&url).await).unwrap();
    assert_eq!(state["now"], START + 29 * DAY);
    assert_eq!(state["subscriptions"][0]["status"], "past_due");
    let charge = state["charges"][0]["id"].as_str().unwrap();
    control("/refunds".to_owned(), json!({ "charge": charge, "amount": 100 })).await;
    control(format!("/charges/{charge}/dispute"), Value::Null).await;
    let dispute = fake
        .stripe
        .with(|world| world.disputes().iter().next().unwrap().id.clone());
    control(format!("/disputes/{dispute}/close"), json!({ "won": true })).await;
}

#[tokio::test]
async fn events_reach_an_endpoint_signed_and_again_after_an_error() {
    type Box = Arc<Mutex<Vec<(String, String)>>>;
    async fn take(State(got): State<Box>, headers: HeaderMap, body: Bytes) -> StatusCode {
        let text = (
            headers["stripe-signature"].to_str().unwrap().to_owned(),
            String::from_utf8(body.to_vec()).unwrap(),
        );
        let mut got = got.lock().unwrap();
        got.push(text);
        if got.len() == 1 {
            StatusCode::INTERNAL_SERVER_ERROR
        } else {
            StatusCode::OK
        }
    }
    let got = Box::default();
    let app = Router::new()
        .route("/hook", post(take))
        .with_state(Arc::clone(&got));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let fake = Fake::start().await;
    fake.stripe.deliver_to(Endpoint {
        url,
        secrets: vec!["whsec_local".to_owned()],
    });
    let wait_for = async |count: usize| {
        while fake.stripe.delivered().len() < count {
            tokio::task::yield_now().await;
        }
    };
    wait_for(1).await;
    fake.stripe.advance(60);
    wait_for(2).await;
    let got = got.lock().unwrap().clone();
    let (signature, body) = &got[1];
    let event =
        stripe_webhook::Webhook::construct_event_with_timestamp(body, signature, "whsec_local", START);
    assert_eq!(event.unwrap().type_.as_str(), "customer.created");
    server.abort();
}
