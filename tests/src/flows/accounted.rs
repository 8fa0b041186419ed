//! Of all that the provider bills, nothing is in no sum: it is charged, waste in a line of the ledger, or metered at
//! the most that it can have been (I6). Workers die, wake late, and give up.

use aws_sdk_sqs::types::Message;
use local::provider::{Fault, Kind};
use serde_json::Value;
use shared::domain::copy::EPOCHS_MAX;
use shared::domain::plan::Plan;
use shared::domain::quota::Entry;

use super::death::Moment;
use super::killed::{kill, prepared};
use super::teacher::{Teacher, sample};
use super::work::{Worker, event, outlive_leases};
use super::world::World;

/// What became of what was paid. Unit: tokens.
#[derive(Debug, PartialEq)]
pub(super) struct Account {
    pub(super) billed: u64,
    pub(super) charged: u64,
    pub(super) waste: u64,
    /// The most that was billed unseen.
    pub(super) unknown: u64,
}

impl World {
    /// Adds up the ledger's lines and the metrics.
    pub(super) async fn account(&self) -> Account {
        let lines = self
            .store
            .entries(self.account, &Plan::free().period, 1_000)
            .await;
        let (mut charged, mut waste) = (0, 0);
        for line in lines.unwrap() {
            if let Entry::Charge { tokens, waste: lost } = line.entry {
                charged += tokens;
                waste += lost;
            }
        }
        let unknown = self.measured();
        let unknown = unknown
            .iter()
            .filter_map(|line| line.get("UnknownTokensMax")?.as_u64());
        Account {
            billed: self.billed_tokens(),
            charged,
            waste,
            unknown: unknown.sum(),
        }
    }

    /// What a run's reservation counts as waste. Unit: tokens.
    async fn waste_of(&self, assignment: &str, run: &str) -> u64 {
        let (assignment, run) = (assignment.parse().unwrap(), run.parse().unwrap());
        let record = self.store.run(assignment, run).await.unwrap().unwrap();
        let reservation = self.store.reservation(&record.run.address()).await;
        reservation.unwrap().unwrap().waste
    }

    /// The same, complete.
    pub(super) async fn accounted(&self) -> Account {
        let account = self.account().await;
        let known = account.charged + account.waste;
        assert!(known + account.unknown >= account.billed, "{account:?}");
        account
    }
}

/// Gives a message out once more that is no longer in the queue.
async fn again(world: &World, message: &[Message]) {
    let Worker { doors, model } = world.worker();
    let answer = worker::handle(&doors, &model, event(message)).await;
    assert_eq!(answer.batch_item_failures, [], "it is done");
}

/// Kills every worker of a copy at the moment, then lets the last see that it was tried too often.
async fn kill_all(world: &World, moment: Moment) {
    let (_, _, mut message) = prepared(world).await;
    for _ in 0..EPOCHS_MAX {
        kill(world, moment, &message).await;
        outlive_leases(&world.clock);
        assert_eq!(world.sweep().await.revived, 1);
        message = world.receive().await;
    }
    assert!(world.deliver(&world.worker(), &message).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_kills_every_worker_once_it_is_paid_for_is_accounted_for() {
    for moment in [Moment::Answered, Moment::ResultStored] {
        let world = World::new().await;
        kill_all(&world, moment).await;
        let account = world.accounted().await;
        assert!(account.billed > account.charged, "{account:?}");
    }
}

/// A scan whose transcription is paid for, and which waits because nobody answers to the question for its marks.
async fn transcribed(world: &World, teacher: &Teacher<'_>) -> (String, String, u64) {
    let assignment = teacher.exam().await;
    let scan = [("scan.pdf", sample("histoire/roux-theo.pdf"))];
    teacher.hand_in(&assignment, &scan).await;
    let run = teacher.start(&assignment).await;
    world.deliver(&world.worker(), &world.receive().await).await;
    let mut fault = Fault::times(Kind::Overloaded, 4);
    fault.only_if_copy_contains = Some("<copie".to_owned());
    world.provider.inject([fault]);
    let waits = world.deliver(&world.worker(), &world.receive().await).await;
    assert_eq!(waits.len(), 1, "it comes back");
    let calls = world.provider.ledger().into_iter();
    let mut paid = calls
        .map(|call| call.usage.charged_tokens())
        .filter(|tokens| *tokens > 0);
    (assignment, run, paid.next_back().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_worker_may_have_paid_for_a_copy_that_is_given_back_is_waste() {
    let world = World::new().await;
    let teacher = world.teacher();
    let (assignment, run, message) = prepared(&world).await;
    kill(&world, Moment::Answered, &message).await;
    outlive_leases(&world.clock);
    let stop = format!("/api/assignments/{assignment}/runs/{run}/stop");
    let stopped: Value = teacher.post(&stop, &serde_json::json!({})).await.ok();
    assert_eq!(stopped["state"], "stopped", "{stopped}");
    let account = world.account().await;
    let known = account.charged + account.waste;
    assert!(known >= account.billed && account.unknown == 0, "{account:?}");
    // It is a bound, and no reason to refuse the next run.
    assert_eq!(world.waste_of(&assignment, &run).await, 0);
    teacher.start(&assignment).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_paid_for_a_copy_that_is_given_back_is_waste() {
    let world = World::new().await;
    let teacher = world.teacher();
    let (assignment, run, transcription) = transcribed(&world, &teacher).await;
    let stop = format!("/api/assignments/{assignment}/runs/{run}/stop");
    let stopped: Value = teacher.post(&stop, &serde_json::json!({})).await.ok();
    assert_eq!(stopped["state"], "stopped", "{stopped}");
    let account = world.account().await;
    assert_eq!((account.waste, account.unknown), (transcription, 0));
    assert_eq!(account.charged + account.waste, account.billed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_paid_for_a_copy_whose_time_is_over_is_waste() {
    let world = World::new().await;
    let teacher = world.teacher();
    let (_, _, transcription) = transcribed(&world, &teacher).await;
    world.clock.advance_seconds(6 * 3_600 + 1);
    world.sweep().await;
    let account = world.account().await;
    assert_eq!((account.waste, account.unknown), (transcription, 0));
    assert_eq!(account.charged + account.waste, account.billed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_was_kept_and_is_not_found_again_is_waste() {
    let world = World::new().await;
    let teacher = world.teacher();
    let (_, _, transcription) = transcribed(&world, &teacher).await;
    let s3 = aws_sdk_s3::Client::new(&world.config);
    let listed = s3.list_objects_v2().bucket(&world.bucket).send().await.unwrap();
    let keys = listed.contents().iter().filter_map(|object| object.key());
    for key in keys.filter(|key| key.contains("replies/")) {
        s3.delete_object()
            .bucket(&world.bucket)
            .key(key)
            .send()
            .await
            .unwrap();
    }
    outlive_leases(&world.clock);
    world.sweep().await;
    world.work().await;
    let account = world.account().await;
    assert_eq!((account.waste, account.unknown), (transcription, 0));
    assert_eq!(account.charged + account.waste, account.billed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_preparation_paid_before_it_died_is_metered() {
    let world = World::new().await;
    world.teacher().one_copy_started().await;
    let prepare = world.receive().await;
    for _ in 0..2 {
        kill(&world, Moment::Warmed, &prepare).await;
        outlive_leases(&world.clock);
    }
    let lost = world.billed_tokens();
    assert!(lost > 0);
    assert!(world.deliver(&world.worker(), &prepare).await.is_empty());
    world.work().await;
    let account = world.accounted().await;
    assert!(account.waste == 0 && account.unknown >= lost, "{account:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_every_preparation_paid_before_it_died_is_metered() {
    let world = World::new().await;
    world.teacher().one_copy_started().await;
    let prepare = world.receive().await;
    for _ in 0..EPOCHS_MAX {
        kill(&world, Moment::Warmed, &prepare).await;
        outlive_leases(&world.clock);
    }
    assert!(world.deliver(&world.worker(), &prepare).await.is_empty());
    let account = world.accounted().await;
    assert_eq!((account.charged, account.waste), (0, 0));
    // Another message of it counts nothing again.
    again(&world, &prepare).await;
    assert_eq!(world.account().await, account);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_preparation_paid_before_it_died_is_metered_once_though_its_run_was_stopped() {
    let world = World::new().await;
    let teacher = world.teacher();
    let (assignment, run, _) = teacher.one_copy_started().await;
    let prepare = world.receive().await;
    kill(&world, Moment::Warmed, &prepare).await;
    outlive_leases(&world.clock);
    let stop = format!("/api/assignments/{assignment}/runs/{run}/stop");
    teacher.post(&stop, &serde_json::json!({})).await.ok();
    assert!(world.deliver(&world.worker(), &prepare).await.is_empty());
    let account = world.accounted().await;
    assert!(account.billed > 0, "{account:?}");
    again(&world, &prepare).await;
    assert_eq!(world.account().await, account);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preparation_that_pays_and_dies_after_one_that_was_charged_is_metered() {
    let world = World::new().await;
    world.teacher().one_copy_started().await;
    let prepare = world.receive().await;
    for moment in [Moment::Claimed, Moment::Warmed] {
        kill(&world, moment, &prepare).await;
        outlive_leases(&world.clock);
    }
    assert!(world.deliver(&world.worker(), &prepare).await.is_empty());
    world.sweep().await;
    world.work().await;
    assert_eq!(world.provider.ledger().len(), 4, "three warm-ups, and an answer");
    world.accounted().await;
}
