//! Webhooks: signed, and delivered as badly as the policy says. It keeps the time of the world and does no I/O: it
//! hands out letters, and is told how they were answered.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::event::Delivery;
use super::json;
use super::seed::Seed;
use super::world::World;

/// How badly events are delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Of a hundred events, how many come twice.
    pub duplicates_per_cent: u8,
    /// Of a hundred events, how many never come.
    pub losses_per_cent: u8,
    /// Up to how many seconds an event is late. What is late overtakes and is overtaken.
    pub late_up_to_seconds: u64,
    /// Seconds from each answer other than 2xx to the next attempt.
    pub retry_waits_seconds: Vec<i64>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            duplicates_per_cent: 0,
            losses_per_cent: 0,
            late_up_to_seconds: 0,
            retry_waits_seconds: vec![60, 300, 1800, 7200, 18_000, 36_000, 36_000],
        }
    }
}

/// One delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The event's id.
    pub event: String,
    /// The event's type.
    pub kind: &'static str,
    /// The request's body.
    pub body: String,
    /// The header `Stripe-Signature`.
    pub signature: String,
    /// Which attempt this is, from 0.
    pub attempt: usize,
}

/// One delivery that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivered {
    /// The event's id.
    pub event: String,
    /// The event's type.
    pub kind: &'static str,
    /// When, in Unix seconds of the world.
    pub at: i64,
    /// Which attempt it was, from 0.
    pub attempt: usize,
    /// The answer's status; `None` if none came.
    pub status: Option<u16>,
}

struct Parcel {
    due: i64,
    event: String,
    attempt: usize,
}

/// Delivers the events of one world to one endpoint.
pub struct Courier {
    /// How badly; may be changed between two deliveries.
    pub policy: Policy,
    /// The endpoint's secrets: one, or two while it is rotated.
    pub secrets: Vec<String>,
    /// How far the world is ahead of whoever receives: signatures carry the receiver's time.
    pub ahead_seconds: i64,
    seed: Seed,
    seen: usize,
    waiting: Vec<Parcel>,
    delivered: Vec<Delivered>,
}

impl Courier {
    /// Delivers what happens from the first event on.
    #[must_use]
    pub const fn new(seed: u64, secrets: Vec<String>, policy: Policy) -> Self {
        Self {
            policy,
            secrets,
            ahead_seconds: 0,
            seed: Seed::new(seed),
            seen: 0,
            waiting: Vec::new(),
            delivered: Vec::new(),
        }
    }

    /// Takes over from a courier that is gone: every event that was not answered yet comes, from the first attempt.
    pub(super) fn take_up(&mut self, world: &World) {
        let events = world.events_since(self.seen);
        self.seen += events.len();
        self.waiting.extend(
            events
                .iter()
                .filter(|event| event.delivery == Delivery::Pending)
                .map(|event| Parcel {
                    due: event.created,
                    event: event.id.clone(),
                    attempt: 0,
                }),
        );
    }

    /// The letters that are due at the world's time, in the order of their arrival. Each must be answered.
    pub fn due(&mut self, world: &mut World) -> Vec<Letter> {
        self.collect(world);
        let now = world.now();
        let (mut due, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|parcel| parcel.due <= now);
        self.waiting = waiting;
        due.sort_by_key(|parcel| parcel.due);
        due.into_iter()
            .filter_map(|parcel| self.letter(world, &parcel))
            .collect()
    }

    /// Takes note of how a letter was answered; `None` if no answer came.
    pub fn answered(&mut self, world: &mut World, letter: &Letter, status: Option<u16>) {
        self.delivered.push(Delivered {
            event: letter.event.clone(),
            kind: letter.kind,
            at: world.now(),
            attempt: letter.attempt,
            status,
        });
        if status.is_some_and(|status| (200..300).contains(&status)) {
            return world.record_delivery(&letter.event, Delivery::Succeeded);
        }
        match self.policy.retry_waits_seconds.get(letter.attempt) {
            Some(wait) => self.waiting.push(Parcel {
                due: world.now() + wait,
                event: letter.event.clone(),
                attempt: letter.attempt + 1,
            }),
            None => world.record_delivery(&letter.event, Delivery::Failed),
        }
    }

    /// When the next letter is due, in Unix seconds.
    #[must_use]
    pub fn next_due_at(&self) -> Option<i64> {
        self.waiting.iter().map(|parcel| parcel.due).min()
    }

    /// Every delivery so far.
    #[must_use]
    pub fn delivered(&self) -> &[Delivered] {
        &self.delivered
    }

    fn collect(&mut self, world: &mut World) {
        for event in world.events_since(self.seen) {
            self.seen += 1;
            if self.seed.chance(self.policy.losses_per_cent) {
                world.record_delivery(&event.id, Delivery::Failed);
                continue;
            }
            let copies = if self.seed.chance(self.policy.duplicates_per_cent) {
                2
            } else {
                1
            };
            for _ in 0..copies {
                let late = self.seed.below(self.policy.late_up_to_seconds.saturating_add(1));
                self.waiting.push(Parcel {
                    due: event.created + i64::try_from(late).unwrap_or_default(),
                    event: event.id.clone(),
                    attempt: 0,
                });
            }
        }
    }

    fn letter(&self, world: &World, parcel: &Parcel) -> Option<Letter> {
        let event = world.events().get(&parcel.event)?;
        let body = json::event(&world.account, event).to_string();
        Some(Letter {
            event: event.id.clone(),
            kind: event.kind,
            signature: sign(&body, world.now() - self.ahead_seconds, &self.secrets),
            body,
            attempt: parcel.attempt,
        })
    }
}

/// The header `Stripe-Signature` of a body sent at `at` in Unix seconds: one signature a secret.
#[must_use]
pub fn sign(body: &str, at: i64, secrets: &[String]) -> String {
    let mut header = format!("t={at}");
    for secret in secrets {
        // A key of any length is a key.
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) {
            mac.update(format!("{at}.{body}").as_bytes());
            // Writing to a string cannot fail.
            let _ = write!(header, ",v1={}", hex::encode(mac.finalize().into_bytes()));
        }
    }
    header
}
