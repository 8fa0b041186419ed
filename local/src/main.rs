//! The local programs: `local dev` runs the whole system until Ctrl-C.

use std::process::ExitCode;

use local::demo::Demo;
use local::mail;
use local::supervisor::{self, Options, Running, SessionKey};
use shared::clock::Clock;
use shared::domain::ids::AccountId;
use tokio::signal::unix::{SignalKind, signal};

/// The demo teacher's account.
const DEMO_TEACHER: &str = "019a0000-0000-7000-8000-000000000001";

const USAGE: &str = "usage: local demo|dev|token|smoke
  demo   grade the sample copies, print marks and costs
  dev    run the whole system until Ctrl-C
  token  print a session token of the demo teacher, or of the account named, good for fifteen minutes
  smoke  grade one tiny copy at the real provider: CORRIGEUSE_LIVE=1 ANTHROPIC_API_KEY=…";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let done = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Into::into)
        .and_then(|runtime| match command.as_str() {
            "demo" => runtime.block_on(until_stopped(demo())),
            "dev" => runtime.block_on(until_stopped(dev())),
            "token" => token(arguments.next().as_deref().unwrap_or(DEMO_TEACHER)),
            "smoke" => runtime
                .block_on(local::smoke::live())
                .map(|smoke| println!("{smoke}")),
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

/// Runs `work`; on Ctrl-C or SIGTERM drops it, which ends what it started.
async fn until_stopped(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        done = work => done,
        _ = tokio::signal::ctrl_c() => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
}

async fn demo() -> anyhow::Result<()> {
    let mut running = supervisor::start(Options::usual(false)?).await?;
    println!("ready in {:.1} s", running.took().as_secs_f64());
    let demo = local::demo::run(Demo::of(&running)?);
    let done = tokio::select! {
        done = demo => done.map(drop),
        failure = running.failure() => Err(failure),
    };
    running.stop().await?;
    done
}

async fn dev() -> anyhow::Result<()> {
    let options = Options {
        report: |step| println!("  {step}"),
        ..Options::usual(true)?
    };
    println!(
        "starting (the log of every program: {})",
        options.folder.join("log/dev.log").display()
    );
    let mut running = supervisor::start(options).await?;
    announce(&running)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let endpoint = running.endpoint().to_owned();
    let letters = mail::watch(&endpoint, |letter| {
        println!("  a letter to {}: {}", letter.to.join(", "), letter.subject);
    });
    let failure = tokio::select! {
        failure = running.failure() => Some(failure),
        () = letters => None,
        _ = tokio::signal::ctrl_c() => None,
        _ = terminate.recv() => None,
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

fn token(account: &str) -> anyhow::Result<()> {
    let key = SessionKey::kept_in(&local::emulator::project_root().join(".local"))?;
    println!("{}", key.mint(account.parse::<AccountId>()?, &Clock::system())?);
    Ok(())
}
