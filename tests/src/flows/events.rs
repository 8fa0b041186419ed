//! The story of `events/expected.json`, lived with the functions in this process.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Body;
use serde_json::Value;
use tower::ServiceExt as _;

use super::session::uuid_of;
use super::teacher::sample;
use super::till::Till;
use super::work::Worker;
use super::world::World;
use crate::events::{filled, name_of, steps, text_of};

const ANSWER_BYTES_MAX: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_is_answered_as_expected() {
    let world = World::new().await;
    let mut story = Story::new(&world).await;
    for step in steps() {
        story.tell(&step).await;
    }
}

struct Story<'w> {
    world: &'w World,
    worker: Worker,
    till: Till,
    /// What the placeholders of the events stand for.
    known: BTreeMap<String, String>,
}

impl<'w> Story<'w> {
    async fn new(world: &'w World) -> Self {
        let token = |account| world.keys.token(account, world.clock.now_millis());
        let known = [
            ("account", world.account.to_string()),
            ("session", token(world.account)),
            (
                "expired",
                world.keys.expired(world.account, world.clock.now_millis()),
            ),
            ("stranger", token(uuid_of(2).parse().unwrap())),
        ];
        Self {
            world,
            worker: world.worker(),
            till: Till::new(world).await,
            known: known.map(|(name, value)| (name.to_owned(), value)).into(),
        }
    }

    async fn tell(&mut self, step: &Value) {
        let name = name_of(step);
        let mut event = text_of(name);
        if event.contains("{{signature}}") {
            event = event.replace("{{signature}}", &self.till.signature(&event));
        }
        let event = filled(&event, &self.known);
        let (status, answer) = match name.split('/').next().unwrap() {
            "worker" => (None, self.work(&event).await),
            "sweeper" => (None, serde_json::to_value(self.world.sweep().await).unwrap()),
            "billing" => (None, self.till.bill(&event).await),
            "webhook" => (Some(self.till.receive(&event).await), Value::Null),
            "checkout" => request(self.till.checkout.clone(), &event).await,
            _ => {
                let request = lambda_http::request::from_str(&event).unwrap();
                let door = self.world.door(request.method().as_str(), request.uri().path());
                self::request(door, &event).await
            }
        };
        assert_eq!(status, step["status"].as_u64(), "{name}: {answer}");
        assert!(holds(&answer, &step["answer"]), "{name}: {answer}");
        for (placeholder, place) in step["keep"].as_object().into_iter().flatten() {
            let id = answer.pointer(place.as_str().unwrap()).unwrap();
            self.known
                .insert(placeholder.clone(), id.as_str().unwrap().to_owned());
        }
        if let Some(page) = step["pay"].as_str() {
            let page = answer.pointer(page).unwrap().as_str().unwrap();
            self.known.insert("checkout".to_owned(), self.till.pay(page));
        }
        for (place, file) in step["upload"].as_array().into_iter().flatten().enumerate() {
            let form = &answer["slots"][place]["upload"];
            let (status, body) = self.world.upload(form, sample(file.as_str().unwrap())).await;
            assert_eq!(status, 204, "{name}: {body}");
        }
    }

    async fn work(&self, event: &str) -> Value {
        let event = serde_json::from_str(event).unwrap();
        let answer = worker::handle(&self.worker.doors, &self.worker.model, event).await;
        serde_json::to_value(answer).unwrap()
    }
}

async fn request(door: Router, event: &str) -> (Option<u64>, Value) {
    let request = lambda_http::request::from_str(event).unwrap();
    let answer = door.oneshot(request.map(Body::new)).await.unwrap();
    let status = answer.status().as_u16();
    let body = axum::body::to_bytes(answer.into_body(), ANSWER_BYTES_MAX)
        .await
        .unwrap();
    (Some(status.into()), serde_json::from_slice(&body).unwrap())
}

/// Whether an answer is what was expected, or an object with more in it.
fn holds(answer: &Value, expected: &Value) -> bool {
    match expected {
        Value::Null => true,
        Value::Object(fields) => fields.iter().all(|(name, field)| holds(&answer[name], field)),
        _ => answer == expected,
    }
}
