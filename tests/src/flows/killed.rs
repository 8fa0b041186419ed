//! A worker that is killed, or sleeps for too long: another finishes its copy, and the copy is charged once.

use std::time::Duration;

use aws_sdk_sqs::types::Message;
use futures::future::join;
use serde_json::json;
use shared::domain::copy::EPOCHS_MAX;
use shared::grading::Prompt;
use shared::llm::{Answer, Anthropic, Model, ModelFailure, Receipt};
use shared::store::Clients;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, timeout};

use super::death::{Moment, Mortal};
use super::teacher::sample;
use super::work::{Worker, event, outlive_leases};
use super::world::World;

/// Far more than a test takes: a bound, so that one that waits in vain ends.
const PATIENCE: Duration = Duration::from_secs(120);

/// A run of one copy, prepared: the assignment, the run, and the copy's message, in hand.
pub(super) async fn prepared(world: &World) -> (String, String, Vec<Message>) {
    let (assignment, run, _) = world.teacher().one_copy_started().await;
    let prepare = world.receive().await;
    assert!(world.deliver(&world.worker(), &prepare).await.is_empty());
    let grade = world.receive().await;
    assert_eq!(grade.len(), 1);
    (assignment, run, grade)
}

/// Gives the message to a worker that does not survive the moment.
pub(super) async fn kill(world: &World, moment: Moment, message: &[Message]) {
    let mortal = Mortal::at(moment);
    let worker = world.worker_with(mortal.clients(&world.config), world.settings());
    tokio::select! {
        answer = worker::handle(&worker.doors, &worker.model, event(message)) => {
            panic!("it outlived {moment:?}: {answer:?}")
        }
        () = mortal.died() => {}
    }
}

async fn is_finished_once_after(moment: Moment) {
    let world = World::new().await;
    let teacher = world.teacher();
    let (assignment, run, message) = prepared(&world).await;
    kill(&world, moment, &message).await;
    let paid = world.provider.ledger();

    let early = world.sweep().await;
    let settled = moment == Moment::Settled;
    assert_eq!(
        (early.revived, early.finished),
        (0, u64::from(settled)),
        "{moment:?}: its lease is not over"
    );
    outlive_leases(&world.clock);
    assert_eq!(world.sweep().await.revived, u64::from(!settled), "{moment:?}");
    world.work().await;

    let record = teacher.run(&assignment, &run).await;
    assert_eq!(record["state"], "done", "{moment:?}: {record}");
    assert_eq!(record["copies"]["graded"], 1, "{moment:?}: {record}");
    let (again, lost) = match moment {
        Moment::Warmed | Moment::Claimed | Moment::Leased => (1, 0),
        Moment::Answered => (1, paid[1].usage.charged_tokens()),
        Moment::AnswerKept | Moment::ResultStored | Moment::Settled => (0, 0),
    };
    assert_eq!(
        world.provider.ledger().len() - paid.len(),
        again,
        "{moment:?}: calls after the death"
    );
    let used = world.billed_tokens() - lost;
    assert_eq!(record["tokens"]["used"], used, "{moment:?}");
    let account = world.accounted().await;
    assert_eq!((account.charged, account.waste), (used, 0), "{moment:?}");
    // Nobody knows what it had asked when it died.
    assert_eq!(account.unknown > 0, !settled, "{moment:?}");

    // The dead worker's message comes back at last, to nothing.
    assert!(
        world.deliver(&world.worker(), &message).await.is_empty(),
        "{moment:?}"
    );
    assert_eq!(world.provider.ledger().len() - paid.len(), again, "{moment:?}");
    world.assert_settled(used).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_whose_worker_is_killed_is_finished_by_another_and_charged_once() {
    for moment in [
        Moment::Leased,
        Moment::Answered,
        Moment::AnswerKept,
        Moment::ResultStored,
        Moment::Settled,
    ] {
        is_finished_once_after(moment).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_kills_every_worker_fails_and_is_not_charged() {
    let world = World::new().await;
    let teacher = world.teacher();
    let (assignment, run, mut message) = prepared(&world).await;
    for _ in 0..EPOCHS_MAX {
        kill(&world, Moment::ResultStored, &message).await;
        outlive_leases(&world.clock);
        assert_eq!(world.sweep().await.revived, 1);
        message = world.receive().await;
    }
    assert!(world.deliver(&world.worker(), &message).await.is_empty());
    let record = teacher.run(&assignment, &run).await;
    assert_eq!(
        (&record["state"], &record["copies"]["failed"]),
        (&json!("done"), &json!(1))
    );
    let copies = teacher.copies(&assignment, &run).await;
    assert_eq!(copies[0]["failure"]["code"], "attempts-exhausted");
    assert_eq!(
        world.provider.ledger().len(),
        2,
        "the kept answer is never paid for again"
    );
    world
        .assert_settled(world.provider.ledger()[0].usage.charged_tokens())
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_copies_are_never_worked_on_ends_and_is_given_back() {
    let world = World::new().await;
    let teacher = world.teacher();
    let (assignment, run, _) = prepared(&world).await;
    let warm_up = world.billed_tokens();
    world.clock.advance_seconds(6 * 3600 + 1);
    world.sweep().await;
    let record = teacher.run(&assignment, &run).await;
    assert_eq!(
        (&record["state"], &record["copies"]["failed"]),
        (&json!("expired"), &json!(1)),
        "nobody stopped it: {record}"
    );
    assert_eq!(
        teacher.copies(&assignment, &run).await[0]["failure"]["code"],
        "expired"
    );
    world.assert_settled(warm_up).await;
}

/// A model whose answers wait until somebody wakes whoever asked.
struct Sleepy {
    model: Anthropic,
    asleep: Notify,
    awake: Semaphore,
}

impl Model for Sleepy {
    async fn answer(&self, prompt: &Prompt, deadline: Instant) -> Result<Answer, ModelFailure> {
        let answer = self.model.answer(prompt, deadline).await;
        self.asleep.notify_one();
        let _awake = self.awake.acquire().await.unwrap();
        answer
    }

    async fn warm(&self, prompt: &Prompt, deadline: Instant) -> Result<Receipt, ModelFailure> {
        self.model.warm(prompt, deadline).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_sleeps_through_its_lease_asks_nothing_more_when_it_wakes() {
    let world = World::new().await;
    let teacher = world.teacher();
    let assignment = teacher.exam().await;
    let scan = sample("histoire/roux-theo.pdf");
    teacher.hand_in(&assignment, &[("copie.pdf", scan)]).await;
    let run = teacher.start(&assignment).await;
    let prepare = world.receive().await;
    assert!(world.deliver(&world.worker(), &prepare).await.is_empty());
    let message = world.receive().await;
    let Worker { doors, model } = world.worker_with(Clients::on(world.config.clone()), world.settings());
    let model = Sleepy {
        model,
        asleep: Notify::new(),
        awake: Semaphore::new(0),
    };
    let calls = || world.provider.ledger();

    let sleeper = worker::handle(&doors, &model, event(&message));
    let meanwhile = async {
        model.asleep.notified().await;
        let transcription = calls().pop().unwrap().usage.charged_tokens();
        outlive_leases(&world.clock);
        assert_eq!(world.sweep().await.revived, 1);
        world.work().await;
        model.awake.add_permits(1);
        (transcription, calls().len())
    };
    // A copy that failed before it asks would leave the other waiting for ever.
    let both = join(sleeper, meanwhile);
    let (_, (transcription, asked)) = timeout(PATIENCE, both).await.expect("the sleeper asks once");

    assert_eq!(calls().len(), asked, "it asks nothing more");
    let record = teacher.run(&assignment, &run).await;
    assert_eq!(record["copies"]["graded"], 1, "{record}");
    let used = world.billed_tokens() - transcription;
    assert_eq!(record["tokens"]["used"], used, "{record}");
    world.assert_settled(used).await;
}
