//! A run that holds all that its account has left.

use local::provider::{Fault, Kind};
use serde_json::json;
use shared::domain::copy::CopyState;
use shared::domain::ids::RunId;
use shared::domain::quota::Period;
use shared::domain::run::{Address, Estimate, PREFIX_RESERVE_TOKENS, Reserved, Run};
use shared::domain::time::UnixMillis;
use shared::store::{Clients, Reserve};

use super::teacher::{sample, text};
use super::world::World;

/// Less than the bound of a full copy's call, more than that of a short one. Unit: tokens.
const ESTIMATE: u64 = 4_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_near_the_limit_waits_for_what_its_neighbour_leaves() {
    let world = World::new().await;
    let teacher = world.teacher();
    let assignment = teacher.exam().await;
    let files =
        ["durand-lea.pdf", "bernard-ines.pdf"].map(|name| (name, sample(&format!("histoire/{name}"))));
    let copies = teacher.hand_in(&assignment, &files).await;
    let run = holding_all(&world, &assignment, &copies, ESTIMATE).await;
    world.work().await;

    let copies = world.store.run_copies(&run).await.unwrap();
    for (name, leases) in [("durand-lea.pdf", 2), ("bernard-ines.pdf", 1)] {
        let copy = copies.iter().find(|copy| copy.file_name == name).unwrap();
        assert_eq!((copy.state, copy.epoch), (CopyState::Graded, leases), "{name}");
    }
    let reservation = world.store.reservation(&run).await.unwrap().unwrap();
    let granted = 2 * ESTIMATE + PREFIX_RESERVE_TOKENS;
    assert_eq!((reservation.graded, reservation.amount), (2, granted));
    assert_eq!(reservation.used, world.billed_tokens());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_that_needs_more_than_is_left_ends_before_its_pages_are_sent() {
    let world = World::new().await;
    let teacher = world.teacher();
    let assignment = teacher.exam().await;
    let scan = [("copie.pdf", sample("histoire/moreau-camille.pdf"))];
    let copies = teacher.hand_in(&assignment, &scan).await;
    let run = holding_all(&world, &assignment, &copies, 100).await;
    world.work().await;

    let copy = world.store.run_copies(&run).await.unwrap().remove(0);
    assert_eq!(
        (copy.state, copy.epoch),
        (CopyState::Failed, 1),
        "it waits for nobody"
    );
    assert_eq!(copy.failure.unwrap().code(), "quota-exceeded");
    let calls = world.provider.ledger();
    let warm_ups = calls.iter().filter(|call| call.output_tokens_max == 1);
    assert_eq!((warm_ups.count(), calls.len()), (1, 1));
    let reservation = world.store.reservation(&run).await.unwrap().unwrap();
    assert_eq!((reservation.used, reservation.waste), (world.billed_tokens(), 0));
}

/// A run that is sent to its worker, of an account that has no more than the run holds.
async fn holding_all(world: &World, assignment: &str, copies: &[String], tokens: u64) -> Address {
    let estimate = |copy: &String| Estimate {
        copy: copy.parse().unwrap(),
        tokens,
        again: false,
    };
    let estimates: Vec<Estimate> = copies.iter().map(estimate).collect();
    let now = UnixMillis::new(world.clock.now_millis());
    let run = Run {
        run: RunId::mint(now),
        account: world.account,
        period: Period::free(),
        assignment: assignment.parse().unwrap(),
        rubric_version: 1,
        retry_of: None,
        correlation: "correlation".to_owned(),
        created_at: now,
    };
    let held = tokens * copies.len() as u64;
    let reserve = Reserve {
        run: &run,
        copies: &estimates,
        granted_tokens: held + PREFIX_RESERVE_TOKENS,
        idempotency: None,
        starting: None,
        expires_at: now.plus_seconds(3_600),
    };
    let (reserved, pending) = world.store.reserve(&reserve).await.unwrap();
    assert_eq!(reserved, Reserved::Accepted(run.run));
    let queue = Clients::on(world.config.clone()).queue(&world.queue_url);
    world.store.relay(&queue, &pending.unwrap()).await.unwrap();
    run.address()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_that_fail_each_time_after_they_were_paid_for_are_not_paid_for_without_end() {
    const COPIES: usize = 12;
    let world = World::new().await;
    let teacher = world.teacher();
    let assignment = teacher.exam().await;
    let names: Vec<String> = (0..COPIES).map(|place| format!("{place}.pdf")).collect();
    let files: Vec<(&str, Vec<u8>)> = names
        .iter()
        .map(|name| (name.as_str(), sample("histoire/durand-lea.pdf")))
        .collect();
    teacher.hand_in(&assignment, &files).await;
    let runs = format!("/api/assignments/{assignment}/runs");
    let mut last = teacher.start(&assignment).await;
    let granted = teacher.get("/api/usage").await.ok()["limit"].as_u64().unwrap();
    // The warm-up goes well, so that it is the copies that fail.
    world.deliver(&world.worker(), &world.receive().await).await;
    world.provider.inject([Fault::times(Kind::BrokenAnswer, 10_000)]);
    world.work().await;

    let mut tries = 1;
    while world.billed_tokens() < granted + granted / 2 {
        let before = world.billed_tokens();
        let answer = teacher.post(&runs, &json!({})).await;
        if answer.status == 409 {
            break;
        }
        last = text(&answer.ok(), "id");
        world.work().await;
        tries += 1;
        assert!(world.billed_tokens() > before, "another try is paid for");
    }
    let paid = world.billed_tokens();
    assert!(
        tries > 1 && paid >= granted && paid < granted + granted / 2,
        "{paid} in {tries}"
    );
    teacher
        .post_refused(&runs, &json!({}), (409, "too-many-failures"))
        .await;
    let retry = format!("{runs}/{last}/retry");
    teacher
        .post_refused(&retry, &json!({}), (409, "too-many-failures"))
        .await;
}
