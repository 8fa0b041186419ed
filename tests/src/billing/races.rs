//! Two at once at one account: whoever looked first may write last, and then writes nothing.

use futures::future::join;
use local::stripe::customer::Card;
use shared::domain::billing::Cause;
use shared::domain::plan::Hold;
use shared::domain::quota::Tier;
use shared::store::Checkout;

use super::world::World;
use crate::faulty::{Fault, Faulty, Kind, Script, connections};

/// A sync that has asked Stripe, and writes what it heard only after `meanwhile` has happened and was heard of.
async fn late_sync(world: &World, meanwhile: impl Future<Output = ()>) {
    // Its first write takes the revision, its second is the answer's.
    let answer = Script {
        kind: Kind::Write,
        place: 1,
        fault: Fault::Held,
        stubborn: false,
    };
    let faulty = Faulty::new(&connections(), Some(answer));
    let late = world.through(&faulty.doors(&world.config, &world.table).0);
    let asked = [world.sync(Cause::Asked)];
    let quick = async {
        faulty.held().await;
        meanwhile.await;
        world.tell(&asked).await;
        faulty.go();
    };
    join(late.tell(&asked), quick).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_asked_before_a_first_purchase_takes_nothing_of_it_away() {
    let world = World::new().await;
    late_sync(&world, world.buy(Tier::Pro, Card::Ok)).await;
    assert_eq!(world.may_use().await, (Tier::Pro, 6_000_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_asked_before_a_dispute_frees_nobody() {
    let world = World::new().await;
    world.buy(Tier::Pro, Card::Ok).await;
    world.tell(&[world.sync(Cause::Asked)]).await;
    let dispute = async {
        let disputed = world.fake.with(|stripe| {
            let charge = stripe.charges().iter().next_back().unwrap().id.clone();
            stripe.open_dispute(&charge).map(drop)
        });
        disputed.unwrap();
    };
    late_sync(&world, dispute).await;
    let plan = world.billing().await.plan(world.now());
    assert_eq!(plan.hold, Some(Hold::Frozen));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_put_another_in_a_checkouts_place_one_does() {
    let world = World::new().await;
    let checkout = |session: &str| Checkout {
        session: session.to_owned(),
        price: "price".to_owned(),
        page: "https://pay.example".to_owned(),
        expires_at: world.now(),
    };
    let [first, second, third] = ["cs_1", "cs_2", "cs_3"].map(checkout);
    let put = async |known, checkout| {
        let store = &world.doors.store;
        store.put_checkout(world.account, known, checkout).await.unwrap()
    };
    assert!(put(None, &first).await);
    assert!(put(Some(&first), &second).await);
    for late in [None, Some(&first)] {
        assert!(!put(late, &third).await, "{late:?}");
        assert!(put(late, &second).await, "the same click's");
    }
    assert_eq!(world.billing().await.checkout, Some(second));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_replace_a_deleted_customer_one_does_and_both_sell_to_the_same() {
    let world = World::new().await;
    let store = &world.doors.store;
    for customer in ["cus_new", "cus_late"] {
        let sold_to = store.replace_customer(world.account, &world.customer, customer);
        assert_eq!(sold_to.await.as_deref(), Ok("cus_new"));
    }
    assert_eq!(world.billing().await.customer.as_deref(), Some("cus_new"));
    assert_eq!(store.account_of("cus_late").await, Ok(None));
}
