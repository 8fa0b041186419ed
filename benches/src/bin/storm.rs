//! Stripe's events at full tilt: how many a second, how long one takes beside a function that does the least one can
//! do with it, and whether every account ends as Stripe says.
//!
//! `cargo run --release -p benches --bin storm [-- --strict]`

use std::process::ExitCode;
use std::time::Duration;

use benches::figures::{Figures, Goal};
use benches::house::create_table;
use benches::storm::{Force, blow};
use local::emulator::{Dynoxide, sdk_config};

const TABLE: &str = "storm";
const FORCE: Force = Force {
    seed: 1,
    customers: 200,
    deliveries: 5_000,
    duplicates_per_cent: 30,
    faults_per_cent: 5,
};

fn main() -> ExitCode {
    match measure() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("storm bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> anyhow::Result<ExitCode> {
    let log = local::emulator::project_root().join("target/bench/storm.log");
    let mut figures = Figures::apart_from_logs(&log)?;
    shared::telemetry::init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let dynoxide = Dynoxide::ephemeral().await?;
        let config = sdk_config(dynoxide.endpoint()).await;
        create_table(&config, TABLE).await?;
        let passed = blow(&config, TABLE, FORCE).await?;
        figures.say(&format!(
            "storm: {} deliveries taken, {} refused and made again, {} messages handled, {} requests failed",
            passed.deliveries, passed.again, passed.handled, passed.faults
        ));
        let wrong = u32::try_from(passed.wrong.len())?;
        figures.figure(
            "accounts that are not what Stripe says",
            f64::from(wrong),
            "",
            Goal::AtMost(0.0),
            "entitle of the truth",
        );
        figures.figure(
            "events lost",
            f64::from(u32::try_from(passed.lost)?),
            "",
            Goal::AtMost(0.0),
            "taken by the webhook",
        );
        let wall = passed.wall.as_secs_f64();
        figures.say(&format!(
            "events a second: {:.0}, in {wall:.1} s",
            passed.deliveries as f64 / wall
        ));
        for per_cent in [50, 99] {
            let (event, bare) = (at(&passed.events, per_cent), at(&passed.bare, per_cent));
            figures.say(&format!(
                "one event, p{per_cent}: {:.1} ms, {:.1} times a function that writes one item ({:.2} ms)",
                event * 1e3,
                event / bare,
                bare * 1e3
            ));
        }
        anyhow::Ok(figures.end())
    })
}

/// The duration that so many per cent of the sorted ones do not pass. Unit: seconds.
fn at(sorted: &[Duration], per_cent: usize) -> f64 {
    let place = (sorted.len() * per_cent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(place).copied().unwrap_or_default().as_secs_f64()
}
