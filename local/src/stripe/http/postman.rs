//! Delivers events to an address, in real time.

use std::sync::Arc;

use super::{Desk, ROUND};
use crate::stripe::courier::Letter;

/// Longer than any webhook should take.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

/// Delivers what is due, for ever.
pub(super) async fn deliver(desk: Arc<Desk>) {
    // Made for the first letter: it reads the machine's certificates.
    let mut client: Option<reqwest::Client> = None;
    loop {
        desk.keep();
        for (url, letter) in due(&desk) {
            let status = post(client.get_or_insert_default(), &url, &letter).await;
            desk.with(|state| state.courier.answered(&mut state.world, &letter, status));
            desk.keep();
        }
        // Whoever rings early is heard: the bell keeps one ring.
        let _ = tokio::time::timeout(ROUND, desk.bell.notified()).await;
    }
}

fn due(desk: &Desk) -> Vec<(String, Letter)> {
    let mut state = desk.lock();
    let state = &mut *state;
    let Some(url) = state.endpoint.clone() else {
        return Vec::new();
    };
    let letters = state.courier.due(&mut state.world);
    letters.into_iter().map(|letter| (url.clone(), letter)).collect()
}

async fn post(client: &reqwest::Client, url: &str, letter: &Letter) -> Option<u16> {
    let answer = client
        .post(url)
        .timeout(PATIENCE)
        .header("content-type", "application/json; charset=utf-8")
        .header("stripe-signature", &letter.signature)
        .header("user-agent", "Stripe/1.0 (local)")
        .body(letter.body.clone())
        .send()
        .await;
    match answer {
        Ok(answer) => Some(answer.status().as_u16()),
        Err(error) => {
            tracing::warn!(event = letter.event, %error, "an event was not delivered");
            None
        }
    }
}
