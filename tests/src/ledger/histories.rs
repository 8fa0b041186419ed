//! Random histories: whatever is asked, in whatever order, the ledger stays whole, and sweeping ends every run.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use shared::domain::copy::{Copy, Lease, Resolution};
use shared::domain::failure::CopyFailure;
use shared::domain::ids::CopyId;
use shared::domain::run::{Address, ReservationState};
use shared::store::Extended;

use super::world::{AT_ONCE, LEASE_SECONDS, World, estimates, warm_up};
use crate::emulators::Emulator;

const COPIES: usize = 4;
const HISTORIES: u32 = 24;

/// One thing that is asked of the ledger.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Start {
        from: usize,
        to: usize,
        tokens: u64,
        again: bool,
    },
    Claim {
        run: usize,
    },
    Lease {
        run: usize,
        copy: usize,
    },
    Settle {
        held: usize,
        tokens: u64,
    },
    Void {
        held: usize,
    },
    Release {
        held: usize,
    },
    Extend {
        held: usize,
        more: u64,
        told: bool,
    },
    WarmUp {
        run: usize,
        epoch: u32,
        tokens: u64,
    },
    Waste {
        held: usize,
    },
    Stop {
        run: usize,
    },
    Expire {
        run: usize,
    },
    Finish {
        run: usize,
    },
    Regrant {
        granted: u64,
    },
    Wait {
        seconds: i64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let (run, copy, held) = (0..6usize, 0..COPIES, 0..6usize);
    let tokens = 0..9_000u64;
    prop_oneof![
        3 => (0..COPIES, 1..=COPIES, tokens.clone(), any::<bool>())
            .prop_map(|(from, to, tokens, again)| Step::Start { from, to, tokens, again }),
        3 => run.clone().prop_map(|run| Step::Claim { run }),
        6 => (run.clone(), copy).prop_map(|(run, copy)| Step::Lease { run, copy }),
        4 => (held.clone(), tokens.clone()).prop_map(|(held, tokens)| Step::Settle { held, tokens }),
        2 => held.clone().prop_map(|held| Step::Void { held }),
        1 => held.clone().prop_map(|held| Step::Release { held }),
        4 => (held.clone(), 0..40_000u64, any::<bool>()).prop_map(|(held, more, told)| Step::Extend { held, more, told }),
        1 => held.prop_map(|held| Step::Waste { held }),
        1 => (run.clone(), 1..3u32, tokens).prop_map(|(run, epoch, tokens)| Step::WarmUp { run, epoch, tokens }),
        1 => run.clone().prop_map(|run| Step::Stop { run }),
        1 => run.clone().prop_map(|run| Step::Expire { run }),
        2 => run.prop_map(|run| Step::Finish { run }),
        1 => (2..200_000u64).prop_map(|granted| Step::Regrant { granted }),
        2 => (1..2 * LEASE_SECONDS).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

#[test]
fn any_history_keeps_the_ledger_whole_and_can_be_brought_to_its_end() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut runner = TestRunner::new(Config {
        cases: HISTORIES,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&proptest::collection::vec(step(), 1..50), |steps| {
            runtime.block_on(live(steps));
            Ok(())
        })
        .unwrap();
}

async fn live(steps: Vec<Step>) {
    let world = World::new(Emulator::Dynoxide).await;
    let copies = world.copies(COPIES).await;
    world
        .store
        .open_counter(world.account, &world.period, world.granted, world.now())
        .await
        .unwrap();
    let (mut runs, mut held) = (Vec::new(), Vec::new());
    for (number, step) in steps.into_iter().enumerate() {
        let (before, settles) = (proposals(&world).await, matches!(step, Step::Settle { .. }));
        take(&world, &copies, &mut runs, &mut held, step, number).await;
        world.check(&runs).await;
        let after = proposals(&world).await;
        if settles {
            let lost = |(was, is): (&Option<String>, &Option<String>)| was.is_some() && is.is_none();
            assert!(!before.iter().zip(&after).any(lost), "a proposal is lost");
        } else {
            assert_eq!(before, after, "only a settlement publishes");
        }
    }
    world.clock.advance_seconds(LEASE_SECONDS + 1);
    for address in &runs {
        let ended = world.store.expire(address, world.now()).await.unwrap().unwrap();
        assert_ne!(ended.state, ReservationState::Pending, "I4: a swept run ends");
    }
    world.check(&runs).await;
    assert_eq!(world.counter().await.reserved, 0);
}

/// What is published of each copy.
async fn proposals(world: &World) -> Vec<Option<String>> {
    let copies = world.store.all_copies(world.assignment).await.unwrap();
    copies.into_iter().map(|copy| copy.result).collect()
}

/// Does `step`, for one of `runs` or of the copies `held`, as far as there is one.
pub(crate) async fn take(
    world: &World,
    copies: &[CopyId],
    runs: &mut Vec<Address>,
    held: &mut Vec<(Address, Copy)>,
    step: Step,
    number: usize,
) {
    let now = world.now();
    let (store, last) = (&world.store, |place: usize, len: usize| {
        place.min(len.saturating_sub(1))
    });
    match step {
        Step::Start {
            from,
            to,
            tokens,
            again,
        } if from < to => {
            let run = world.run();
            let copies = estimates(&copies[from..to], tokens, again);
            world.reserve_for(&run, &copies, None).await.unwrap();
            if store.reservation(&run.address()).await.unwrap().is_some() {
                runs.push(run.address());
            }
        }
        Step::Wait { seconds } => world.clock.advance_seconds(seconds),
        Step::Regrant { granted } => {
            world.regrant(granted, number as u64 + 1).await.unwrap();
        }
        Step::Start { .. } => {}
        Step::Claim { run }
        | Step::Lease { run, .. }
        | Step::Stop { run }
        | Step::Expire { run }
        | Step::Finish { run }
        | Step::WarmUp { run, .. } => {
            let Some(address) = runs.get(last(run, runs.len())).cloned() else {
                return;
            };
            match step {
                Step::Claim { .. } => drop(store.claim_copies(&address, now).await.unwrap()),
                Step::Stop { .. } => drop(store.stop(&address, now).await.unwrap()),
                Step::Expire { .. } => drop(store.expire(&address, now).await.unwrap()),
                Step::Finish { .. } => drop(store.finish(&address, now).await.unwrap()),
                Step::WarmUp { epoch, tokens, .. } => {
                    let spent = warm_up(tokens);
                    let charged = store.charge_warm_up(&address, &spent, now).await.unwrap();
                    if charged == Resolution::Already {
                        store
                            .record_waste(&address, None, epoch, tokens, now)
                            .await
                            .unwrap();
                    }
                }
                Step::Lease { copy, .. } => {
                    if let Lease::Taken(copy) = world.lease(&address, copies[copy], &number.to_string()).await
                    {
                        held.push((address, *copy));
                    }
                }
                _ => {}
            }
        }
        Step::Settle { held: place, .. }
        | Step::Void { held: place }
        | Step::Release { held: place }
        | Step::Extend { held: place, .. }
        | Step::Waste { held: place } => {
            // Held copies are never forgotten: an old holder may speak up at any time.
            let place = last(place, held.len());
            let Some((address, copy)) = held.get(place).cloned() else {
                return;
            };
            match step {
                Step::Settle { tokens, .. } => drop(world.settle(&address, &copy, tokens).await),
                Step::Void { .. } => {
                    store
                        .void(&address, &copy, &CopyFailure::file_missing(), 5, now)
                        .await
                        .unwrap();
                }
                Step::Release { .. } => drop(store.release(&address, &copy, AT_ONCE).await.unwrap()),
                Step::Extend { more, told, .. } => {
                    let extended = world.extend(&address, &copy, copy.reserved_tokens + more).await;
                    // A reply that is lost leaves the worker with what it knew.
                    if let (Extended::To(tokens), true) = (extended, told) {
                        held[place].1.reserved_tokens = tokens;
                    }
                }
                Step::Waste { .. } => {
                    let (id, epoch) = (Some(copy.copy), copy.epoch);
                    store.record_waste(&address, id, epoch, 7, now).await.unwrap();
                }
                _ => {}
            }
        }
    }
}
