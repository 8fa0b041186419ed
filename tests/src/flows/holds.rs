//! A start that the account's money forbids, whatever the counter holds.

use serde_json::json;
use shared::domain::catalogue::{Catalogue, Interval};
use shared::domain::quota::Tier;
use shared::domain::subscription::{Payment, Subscription};
use shared::domain::time::UnixMillis;
use shared::store::Answer;

use super::world::World;

/// A month of Essentiel that began an hour ago.
fn subscription(now: UnixMillis) -> Subscription {
    let start = now.plus_seconds(-3_600);
    Subscription {
        id: "sub_1".to_owned(),
        tier: Tier::Essentiel,
        interval: Interval::Month,
        term_start: start,
        term_end: start.plus_seconds(30 * 24 * 3_600),
        started_at: start,
        renews: true,
        paid: true,
        payment: Payment::Paid,
        kept_until: None,
        pay_page: None,
        frozen: false,
        pending: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_starts_on_contested_money_or_on_a_renewal_that_nobody_confirmed() {
    let world = World::new().await;
    let teacher = world.teacher();
    let assignment = teacher.exam().await;
    teacher
        .hand_in(&assignment, &[("a.pdf", b"%PDF-1.7".to_vec())])
        .await;
    let runs = format!("/api/assignments/{assignment}/runs");
    let now = UnixMillis::new(world.clock.now_millis());
    let current = subscription(now);
    let frozen = Subscription {
        frozen: true,
        ..current.clone()
    };
    let overdue = Subscription {
        term_start: now.plus_seconds(-31 * 24 * 3_600),
        term_end: now.plus_seconds(-3_600),
        ..current.clone()
    };
    for (revision, subscription, why) in [(1, &frozen, "account-frozen"), (2, &overdue, "renewal-unknown")] {
        let answer = Answer {
            account: world.account,
            revision,
            subscription: Some(subscription),
            contact: None,
            events: &[],
            catalogue: &Catalogue::default(),
            now,
        };
        world.store.record(&answer).await.unwrap();
        teacher.post_refused(&runs, &json!({}), (409, why)).await;
    }
    let answer = Answer {
        account: world.account,
        revision: 3,
        subscription: Some(&current),
        contact: None,
        events: &[],
        catalogue: &Catalogue::default(),
        now,
    };
    world.store.record(&answer).await.unwrap();
    let started = teacher.post(&runs, &json!({})).await;
    assert_eq!(started.status, 202);
}
