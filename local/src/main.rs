//! The local programs: `local dev` runs the whole system until Ctrl-C.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use local::demo::Demo;
use local::emulator::project_root;
use local::supervisor::{self, DEMO_TEACHER, Options, Running, SessionKey, Settings};
use local::{mail, stripe_smoke};
use shared::clock::Clock;
use shared::domain::ids::AccountId;
use shared::http::ACCESS_SECONDS;
use tokio::signal::unix::{Signal, SignalKind, signal};

const USAGE: &str = "usage: local demo|dev|token|smoke|stripe-smoke
  demo   grade the sample copies, print marks and costs
  dev    run the whole system until Ctrl-C
  token  print a session token of the demo teacher, or of the account named, good for fifteen minutes; or,
         after the account, `expired`: one that was good until a minute ago
  smoke  grade one tiny copy at the real provider: CORRIGEUSE_LIVE=1 ANTHROPIC_API_KEY=…
  stripe-smoke
         live a subscriber's months in a Stripe sandbox: CORRIGEUSE_LIVE=1 STRIPE_API_KEY=sk_test_…";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let done = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Into::into)
        .and_then(|runtime| match command.as_str() {
            "demo" => runtime.block_on(demo()),
            "dev" => runtime.block_on(dev()),
            "token" => token(
                arguments.next().as_deref().unwrap_or(DEMO_TEACHER),
                arguments.next().as_deref(),
            ),
            "smoke" => runtime
                .block_on(local::smoke::live())
                .map(|smoke| println!("{smoke}")),
            "stripe-smoke" => runtime.block_on(stripe_smoke()),
            _ => Err(anyhow::anyhow!(USAGE)),
        });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("local: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Ctrl-C and SIGTERM. One listener from beginning to end: with two, the end of one would cut what the other began.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn told(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Does `work`; `None` when told to stop meanwhile: `work` is dropped, which ends what it started.
    async fn or<T>(&mut self, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<Option<T>> {
        tokio::select! {
            done = work => done.map(Some),
            () = self.told() => Ok(None),
        }
    }
}

async fn demo() -> anyhow::Result<()> {
    let mut stop = Stop::listen()?;
    let starting = supervisor::start(Options::usual(false)?);
    let Some(mut running) = stop.or(starting).await? else {
        bail!("interrupted before anything was graded");
    };
    println!("ready in {:.1} s", running.took().as_secs_f64());
    let demo = local::demo::run(Demo::of(&running)?);
    let done = tokio::select! {
        done = stop.or(demo) => done.and_then(|done| {
            done.map(drop).context("interrupted: target/demo/results.csv is not of this run")
        }),
        failure = running.failure() => Err(failure),
    };
    running.stop().await?;
    done
}

async fn dev() -> anyhow::Result<()> {
    let mut stop = Stop::listen()?;
    let options = Options {
        report: |step| println!("  {step}"),
        ..Options::usual(true)?
    };
    println!(
        "starting (the log of every program: {})",
        options.settings.folder.join("log/dev.log").display()
    );
    let Some(mut running) = stop.or(supervisor::start(options)).await? else {
        return Ok(());
    };
    announce(&running)?;
    let endpoint = running.endpoint().to_owned();
    let letters = mail::watch(&endpoint, |letter| {
        println!("  a letter to {}: {}", letter.to.join(", "), letter.subject);
    });
    let failure = tokio::select! {
        failure = running.failure() => Some(failure),
        () = letters => None,
        () = stop.told() => None,
    };
    println!("\nstopping");
    running.stop().await?;
    failure.map_or(Ok(()), Err)
}

fn announce(running: &Running) -> anyhow::Result<()> {
    let api = running.api();
    println!("ready in {:.1} s\n", running.took().as_secs_f64());
    println!("  API         {api}/api");
    println!("  model       {}", running.provider());
    println!(
        "  AWS         {}  (table {}, bucket {})",
        running.endpoint(),
        running.table(),
        running.bucket()
    );
    println!(
        "  Stripe      {}  (local: nothing is paid)",
        running.stripe().base_url()
    );
    println!(
        "  mail        {}  (local: captured, not delivered)",
        mail::address(running.endpoint())
    );
    println!("  formule     {}  (the demo teacher's)", running.web());
    println!("  log         {}", running.log().display());
    println!("\nAs the demo teacher, for fifteen minutes (`scripts/local token` makes a new one):\n");
    println!(
        "  token={}",
        running.session_token(DEMO_TEACHER.parse::<AccountId>()?)?
    );
    println!("  curl -H \"authorization: Bearer $token\" {api}/api/usage\n");
    println!("Ctrl-C stops everything; what it holds is kept.");
    Ok(())
}

async fn stripe_smoke() -> anyhow::Result<()> {
    let settings = stripe_smoke::Settings::read(|name| std::env::var(name).ok())?;
    let mut stop = Stop::listen()?;
    stripe_smoke::run(settings, &mut |line| println!("{line}"), stop.told()).await
}

fn token(account: &str, age: Option<&str>) -> anyhow::Result<()> {
    let key = SessionKey::kept_in(&Settings::load(&project_root())?.folder)?;
    let clock = match age {
        None => Clock::system(),
        Some("expired") => Clock::fixed(Clock::system().now_millis() - (ACCESS_SECONDS + 60) * 1000),
        Some(_) => anyhow::bail!(USAGE),
    };
    println!("{}", key.mint(account.parse::<AccountId>()?, &clock)?);
    Ok(())
}
