//! A provider that fails, through the worker: each copy is graded in the end or fails clearly, within bounds, and
//! what was paid is charged or metered.

use std::time::Duration;

use local::provider::{Billed, Fault, Kind};
use serde_json::{Value, json};
use shared::domain::copy::EPOCHS_MAX;
use shared::domain::run::Reservation;
use shared::store::Clients;

use super::teacher::text;
use super::world::World;

/// Requests of one call, as the client bounds them.
const ATTEMPTS_MAX: usize = 4;
/// More faults than any copy may meet.
const ALWAYS: usize = 200;
/// Long enough for any answer on a busy machine; a hang waits it out once.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(4);

struct Case {
    kind: Kind,
    times: usize,
    /// The code of the copy's failure; `None` for a graded one.
    failure: Option<&'static str>,
    /// Requests about the copy, at most.
    requests_max: usize,
}

fn graded(kind: Kind, times: usize) -> Case {
    Case {
        kind,
        times,
        failure: None,
        requests_max: times + 1,
    }
}

fn failed(kind: Kind, times: usize, failure: &'static str, requests_max: usize) -> Case {
    Case {
        kind,
        times,
        failure: Some(failure),
        requests_max,
    }
}

/// What a run of one copy came to.
struct End {
    copy: Value,
    reservation: Reservation,
    /// Held when the run began.
    reserved: u64,
}

/// Grades one copy while the provider fails. The warm-up, before, goes well.
async fn grade(world: &World, case: &Case) -> End {
    let teacher = world.teacher();
    let (assignment, run, _) = teacher.one_copy_started().await;
    let prepare = world.receive().await;
    let mut settings = world.settings();
    settings.attempt_timeout = ATTEMPT_TIMEOUT;
    let worker = world.worker_with(Clients::on(world.config.clone()), settings);
    world.deliver(&worker, &prepare).await;
    let reserved = world.usage().await["tokens_reserved"].as_u64().unwrap();
    world
        .provider
        .inject([Fault::times(case.kind.clone(), case.times)]);
    world.work_by(&worker).await;

    let record = world
        .store
        .run(assignment.parse().unwrap(), run.parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    let reservation = world
        .store
        .reservation(&record.run.address())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        teacher.run(&assignment, &run).await["state"],
        "done",
        "{:?}",
        case.kind
    );
    let copy = teacher.copies(&assignment, &run).await.remove(0);
    End {
        copy,
        reservation,
        reserved,
    }
}

async fn faults_left(world: &World) -> usize {
    let url = format!("{}/_control/faults", world.provider.base_url());
    let left: Vec<Fault> = world.http.get(url).send().await.unwrap().json().await.unwrap();
    left.iter().map(|fault| fault.times).sum()
}

/// Whether the reply of a billed call said what it cost. Of the others we know only how many they are, at most.
fn is_known(call: &Billed) -> bool {
    !matches!(
        call.fault,
        Some(Kind::Hang | Kind::ReplyLost | Kind::BrokenReply | Kind::UsageMissing)
    )
}

fn tokens<'a>(calls: impl Iterator<Item = &'a Billed>) -> u64 {
    calls.map(|call| call.usage.charged_tokens()).sum()
}

async fn check(case: Case) {
    let about = format!("{:?} × {}", case.kind, case.times);
    let world = World::new().await;
    let end = grade(&world, &case).await;
    match case.failure {
        None => assert_eq!(end.copy["state"], "graded", "{about}: {}", end.copy),
        Some(code) => {
            assert_eq!(end.copy["failure"]["code"], code, "{about}: {}", end.copy);
            assert!(
                !end.copy["failure"]["detail"].as_str().unwrap().is_empty(),
                "{about}"
            );
        }
    }
    let bill = world.provider.ledger();
    let used = if case.failure.is_some() {
        tokens(bill.iter().take(1))
    } else {
        tokens(bill.iter().filter(|call| call.fault.is_none()))
    };
    let seen = tokens(bill.iter().filter(|call| is_known(call)));
    assert_eq!(
        end.reservation.used, used,
        "{about}: charged are the warm-up and the answers that were used"
    );
    assert_eq!(
        end.reservation.waste,
        seen - used,
        "{about}: what was paid for nothing is metered"
    );
    assert!(used <= end.reserved, "{about}: {used} of {}", end.reserved);
    assert!(seen <= end.reserved + end.reservation.waste, "{about}: I6");
    world.assert_settled(used).await;

    let met = case.times - faults_left(&world).await;
    let requests = met + bill.iter().skip(1).filter(|call| call.fault.is_none()).count();
    assert!(requests <= case.requests_max, "{about}: {requests} requests");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_graded_once_the_provider_is_well_again() {
    for case in [
        graded(
            Kind::RateLimited {
                retry_after_seconds: 7,
            },
            2,
        ),
        graded(
            Kind::RateLimited {
                retry_after_seconds: 7,
            },
            ATTEMPTS_MAX + 2,
        ),
        graded(Kind::Overloaded, 3),
        graded(Kind::ServerError, ATTEMPTS_MAX + 1),
        graded(Kind::ReplyLost, 1),
        graded(Kind::ReplyLost, 3),
        graded(Kind::BrokenAnswer, 1),
        graded(Kind::BrokenReply, 2),
        graded(Kind::UsageMissing, 1),
    ] {
        check(case).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_graded_after_a_call_that_hangs() {
    check(graded(Kind::Hang, 1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_fails_clearly_when_the_provider_does_not_get_well() {
    let leases = EPOCHS_MAX as usize;
    let limited = Kind::RateLimited {
        retry_after_seconds: 7,
    };
    for case in [
        failed(limited, ALWAYS, "provider-unavailable", leases * ATTEMPTS_MAX),
        failed(
            Kind::Overloaded,
            ALWAYS,
            "provider-unavailable",
            leases * ATTEMPTS_MAX,
        ),
        failed(Kind::ReplyLost, ALWAYS, "provider-unavailable", leases * 2),
        failed(Kind::BrokenReply, ALWAYS, "provider-unavailable", leases),
        failed(Kind::UsageMissing, ALWAYS, "provider-unavailable", leases),
        failed(Kind::BrokenAnswer, ALWAYS, "answer-unusable", 2),
        failed(Kind::Truncated, ALWAYS, "answer-truncated", 1),
        failed(Kind::Refusal, ALWAYS, "model-refused", 1),
        failed(Kind::SpendLimit, ALWAYS, "provider-account", 1),
    ] {
        check(case).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_graded_without_its_warm_up() {
    let world = World::new().await;
    let teacher = world.teacher();
    let (assignment, run, _) = teacher.one_copy_started().await;
    world
        .provider
        .inject([Fault::times(Kind::Overloaded, ATTEMPTS_MAX)]);
    world.work().await;
    let record = teacher.run(&assignment, &run).await;
    assert_eq!(
        (&record["state"], &record["copies"]["graded"]),
        (&"done".into(), &1.into())
    );
    let used = record["tokens"]["used"].as_u64().unwrap();
    assert_eq!(used, world.billed_tokens());
    world.assert_settled(used).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_the_provider_rejects_fails_its_copy() {
    let world = World::new().await;
    let teacher = world.teacher();
    let (assignment, run, _) = teacher.one_copy_started().await;
    let mut settings = world.settings();
    settings.model = "no-such-model".to_owned();
    world
        .work_by(&world.worker_with(Clients::on(world.config.clone()), settings))
        .await;
    let copy = teacher.copies(&assignment, &run).await.remove(0);
    assert_eq!(copy["failure"]["code"], "provider-rejected", "{copy}");
    world.assert_settled(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_whose_file_never_came_fails_without_a_call() {
    let world = World::new().await;
    let teacher = world.teacher();
    let assignment = teacher.exam().await;
    let slots = teacher
        .slots(&assignment, &[("a.pdf", b"%PDF-1.7".to_vec())])
        .await;
    let runs = format!("/api/assignments/{assignment}/runs");
    let run = text(
        &teacher
            .post(&runs, &json!({ "copies": [slots[0]["copy"]] }))
            .await
            .ok(),
        "id",
    );
    world.work().await;
    let copy = teacher.copies(&assignment, &run).await.remove(0);
    assert_eq!(copy["failure"]["code"], "file-missing", "{copy}");
    assert_eq!(world.provider.ledger().len(), 1, "only the warm-up");
    world.assert_settled(world.billed_tokens()).await;
}
