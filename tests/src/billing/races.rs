//! Two syncs of one account at once: whoever asked Stripe first may write last, and then writes nothing.

use futures::future::join;
use local::stripe::customer::Card;
use shared::domain::billing::Cause;
use shared::domain::plan::Hold;
use shared::domain::quota::Tier;

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
