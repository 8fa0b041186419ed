//! Faults at every request: each plot is lived once to count its requests, then once again for each request and
//! fault, on a table of its own. Whatever fails, the ledger is whole at the end, each copy was charged once or
//! not at all, and nothing is left unsent.

mod system;

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use futures::stream::{self, StreamExt};

use crate::emulators::Emulator;
use crate::faulty::{Fault, Faulty, Kind, Script, connections};
use crate::ledger::world::World;
use system::{Plot, System};

/// Variants lived at once: the store's backoffs are waited out side by side.
const AT_ONCE: usize = 32;

/// Faults that meet one attempt; the next one passes.
const PASSING: [Fault; 8] = [
    Fault::ReplyLost,
    Fault::RequestLost,
    Fault::Throttled,
    Fault::Conflict,
    Fault::Status(500),
    Fault::Status(503),
    Fault::DeathBefore,
    Fault::DeathAfter,
];
/// Faults that meet every attempt, until the operation gives up and is asked for again.
const STUBBORN: [Fault; 4] = [
    Fault::ReplyLost,
    Fault::RequestLost,
    Fault::Throttled,
    Fault::Conflict,
];
/// What can happen to a request that changes nothing.
const READING: [Fault; 2] = [Fault::RequestLost, Fault::DeathBefore];

/// Faults that every write meets: in every plot on the faster emulator, in two on the other.
const EVERYWHERE: [Fault; 3] = [Fault::ReplyLost, Fault::Throttled, Fault::Conflict];

/// Which variants of a fault are lived: one in so many, another fault at each request. All of them for the straight run
/// and for one that is stopped at once; the other plots repeat their requests. Ministack is the slower emulator.
/// `CORRIGEUSE_EVERY_FAULT=1` lives all variants on both.
fn thinning(emulator: Emulator, plot: Plot, fault: Fault, stubborn: bool) -> usize {
    let is_whole = matches!(plot, Plot::Straight | Plot::StoppedAtOnce);
    let everywhere = EVERYWHERE.contains(&fault) && !stubborn;
    if (everywhere && (is_whole || emulator == Emulator::Dynoxide))
        || std::env::var_os("CORRIGEUSE_EVERY_FAULT").is_some()
    {
        return 1;
    }
    let of_plot = match plot {
        Plot::Straight | Plot::StoppedAtOnce => 1,
        Plot::StoppedMidway | Plot::TwoWorkers | Plot::Regrant | Plot::GradedBefore => 4,
        Plot::TwoGroups => 12,
    };
    match emulator {
        Emulator::Dynoxide => of_plot,
        Emulator::Ministack => 17 * of_plot.min(4),
    }
}

fn variants(writes: usize, reads: usize, thinning: impl Fn(Fault, bool) -> usize) -> Vec<Script> {
    let passing = PASSING.map(|fault| (Kind::Write, fault, false));
    let stubborn = STUBBORN.map(|fault| (Kind::Write, fault, true));
    let reading = READING.map(|fault| (Kind::Read, fault, fault == Fault::RequestLost));
    let faults = passing.into_iter().chain(stubborn).chain(reading);
    faults
        .enumerate()
        .flat_map(|(number, (kind, fault, stubborn))| {
            let places = 0..if kind == Kind::Write { writes } else { reads };
            let one_in = thinning(fault, stubborn);
            let chosen = places.filter(move |place| (place + number).is_multiple_of(one_in));
            chosen.map(move |place| Script {
                kind,
                place,
                fault,
                stubborn,
            })
        })
        .collect()
}

async fn at_every_request(emulator: Emulator, plot: Plot) {
    let config = emulator.config().await;
    let real = connections();
    let live = async |script| {
        let table = emulator.table().await;
        let sober = World::on(config.clone(), &table);
        let faulty = Faulty::new(&real, script);
        let doors = faulty.doors(&config, &table);
        let system = System::new(plot, &sober, faulty.clone(), doors).await;
        system.live(&sober).await;
        faulty
    };
    let calm = live(None).await;
    let (writes, reads) = (calm.count(Kind::Write), calm.count(Kind::Read));
    let chosen = variants(writes, reads, |fault, stubborn| {
        thinning(emulator, plot, fault, stubborn)
    });
    let lives = stream::iter(&chosen).map(async |&script| {
        let lived = AssertUnwindSafe(live(Some(script))).catch_unwind().await;
        // What a fault changes may be read less often than in the calm life.
        let lived = lived.is_ok_and(|faulty| faulty.fired() > 0 || script.kind == Kind::Read);
        (!lived).then_some(script)
    });
    let failed: Vec<Script> = lives
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(
        failed.is_empty(),
        "{plot:?}: {} of {} failed: {failed:#?}",
        failed.len(),
        chosen.len()
    );
}

macro_rules! plots {
    ($($name:ident: $plot:ident)*) => {
        $(async fn $name(emulator: Emulator) {
            at_every_request(emulator, Plot::$plot).await;
        })*
        crate::ledger::on_both! { $($name)* }
    };
}

plots! {
    a_run_survives_a_fault_at_every_request: Straight
    a_run_of_two_groups_survives_a_fault_at_every_request: TwoGroups
    a_run_stopped_at_once_survives_a_fault_at_every_request: StoppedAtOnce
    a_run_stopped_midway_survives_a_fault_at_every_request: StoppedMidway
    two_workers_on_a_copy_survive_a_fault_at_every_request: TwoWorkers
    a_change_of_tier_survives_a_fault_at_every_request: Regrant
    copies_graded_again_survive_a_fault_at_every_request: GradedBefore
}
