//! The whole system on this machine: the emulator of AWS with `template.yaml` deployed to it, the real functions
//! under `cargo lambda watch`, the local model provider.
//!
//! ```text
//! you ── :9000 cargo lambda watch ── functions ── :4566 ministack: tables, bucket, queue, secrets, schedule
//!                    ▲                   └─────── :9100 local model provider (or a real one)
//!                    │                   └─────── :9200 local Stripe, which tells the webhook what happens
//!                    └── forwards the queue's messages and the schedule's ticks ── ministack
//! ```
//!
//! State is kept in `.local`, or the folder that `LOCAL_FOLDER` names, from one start to the next.

mod check;
mod cloudformation;
mod functions;
mod keys;
mod secrets;
mod settings;
mod stripe;
mod template;
mod web;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};
use shared::clock::Clock;
use shared::domain::ids::AccountId;
use shared::llm::prices::Prices;

use crate::demo_grader::DemoGrader;
use crate::emulator::{Ministack, project_root};
use crate::mail;
use crate::process::Log;
use crate::provider;
use crate::stripe::Stripe;
use check::Hold;
use cloudformation::{CloudFormation, Deployment};
use functions::Functions;
use secrets::{MODEL_KEY_SECRET, SESSION_KEY_SECRET, STRIPE_KEY_SECRET, STRIPE_SIGNING_SECRET};

pub use keys::SessionKey;
pub use settings::{Ports, Provider, Settings};

/// The name of the stack, with which the names of its functions begin.
pub const STACK_NAME: &str = "corrigeuse-local";

/// The account of the demo teacher.
pub const DEMO_TEACHER: &str = "019a0000-0000-7000-8000-000000000001";

/// The local provider's model, as the price table names it.
const DEMO_MODEL: &str = "demo-pas-une-ia";
/// The tag of the stack that tells what it was deployed from.
const FINGERPRINT: &str = "corrigeuse:fingerprint";
/// How often the programs are looked at.
const WATCH: Duration = Duration::from_millis(500);

/// How to start the system.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the person chose.
    pub settings: Settings,
    /// Processes of each function, at most: so many copies are graded at a time.
    pub workers: usize,
    /// Whether a change of the code restarts the functions.
    pub reload: bool,
    /// Told of each step that is done: a short line for the terminal.
    pub report: fn(&str),
}

impl Options {
    /// The options of `make dev` (`reload`) and `make demo`: `.env`, and workers that mostly wait for a provider, so
    /// more of them than cores.
    ///
    /// # Errors
    /// `.env` cannot be read, or says something that cannot be meant.
    pub fn usual(reload: bool) -> anyhow::Result<Self> {
        Ok(Self {
            settings: Settings::load(&project_root())?,
            workers: std::thread::available_parallelism()
                .map_or(4, |cores| cores.get() * 2)
                .clamp(4, 16),
            reload,
            report: |_| {},
        })
    }
}

/// The system, running. [`Running::stop`] ends it in order; dropped, it ends too, but anything in flight is cut.
pub struct Running {
    // Fields are dropped in this order: the functions before what they use.
    functions: Functions,
    local_provider: Option<provider::Provider>,
    stripe: Stripe,
    _web: web::Web,
    ministack: Ministack,
    session_key: SessionKey,
    settings: Settings,
    log: Log,
    table: String,
    bucket: String,
    queue_url: String,
    took: Duration,
    _hold: Hold,
}

/// Starts the system and waits until it answers.
///
/// # Errors
/// The first thing that is missing or fails, in a sentence that says what to do. Nothing is left running.
pub async fn start(options: Options) -> anyhow::Result<Running> {
    let started = Instant::now();
    let Options {
        settings,
        workers,
        reload,
        report,
    } = options;
    let folder = &settings.folder;
    let with_provider = settings.provider == Provider::Local;
    check::tools()?;
    let hold = check::hold(folder).await?;
    check::ports(settings.ports, with_provider)?;
    let log = Log::create(&folder.join("log").join("dev.log"))?;
    let session_key = SessionKey::kept_in(folder)?;
    let api = format!("http://127.0.0.1:{}", settings.ports.api);
    let local_provider = if with_provider {
        Some(start_provider(&settings).await?)
    } else {
        None
    };

    let stripe = stripe::start(&settings).await?;
    let web = web::start(settings.ports.web, &api, session_key.clone()).await?;

    let parameters = parameters(&settings);
    let template = project_root().join("template.yaml");
    let priced = async { check::model(&parameters, &template::read(&template).await?) };
    // The emulator keeps its queues by their URLs, so what it keeps belongs to its port.
    let state = folder.join(format!("aws-{}", settings.ports.aws));
    // The compiler and the emulator do not wait for each other.
    let built = functions::build(&log);
    let deployed = async {
        let ministack =
            Ministack::kept(settings.ports.aws, &state, &functions::forwarding(&api), &log).await?;
        report("the emulator of AWS answers");
        let endpoint = ministack.endpoint().to_owned();
        secrets::keep(&endpoint, &session_key, &settings.provider).await?;
        mail::verify(&endpoint).await?;
        let stack = deploy(&endpoint, &template, &parameters, workers).await?;
        report("template.yaml is deployed to it");
        let environment = functions::environment(&endpoint).await?;
        anyhow::Ok((ministack, stack, environment))
    };
    let ((), (), (ministack, stack, environment)) = tokio::try_join!(priced, built, deployed)?;

    report("the functions are compiled");
    let functions = Functions::start(folder, settings.ports.api, workers, reload, &environment, &log).await?;
    functions
        .warm()
        .await
        .with_context(|| format!("more is in {}", log.path().display()))?;
    stripe::tell(&stripe, &api);
    report("the functions answer");
    let output = |name: &str| {
        stack
            .outputs
            .get(name)
            .cloned()
            .with_context(|| format!("template.yaml has no output {name}"))
    };
    Ok(Running {
        table: output("TableName")?,
        bucket: output("BucketName")?,
        queue_url: output("QueueUrl")?,
        took: started.elapsed(),
        functions,
        local_provider,
        stripe,
        _web: web,
        ministack,
        session_key,
        settings,
        log,
        _hold: hold,
    })
}

/// The local provider, with the same prices as the functions, so that it knows the same models.
async fn start_provider(settings: &Settings) -> anyhow::Result<provider::Provider> {
    let overrides = settings.parameters.get("PricesOverride").map(String::as_str);
    let options = provider::Options::new(Prices::load(overrides)?, Arc::new(DemoGrader::new()?));
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, settings.ports.provider));
    provider::Provider::start(address, options)
        .await
        .with_context(|| format!("the local model provider cannot listen on {address}"))
}

/// Deploys `template.yaml`, unless the kept state already has exactly that.
async fn deploy(
    endpoint: &str,
    path: &Path,
    parameters: &BTreeMap<&'static str, String>,
    workers: usize,
) -> anyhow::Result<cloudformation::Stack> {
    let fingerprint = fingerprint(path, parameters, workers)?;
    let cloudformation = CloudFormation::at(endpoint);
    if let Some(stack) = cloudformation.describe(STACK_NAME).await?
        && stack.is_healthy()
        && stack.tags.get(FINGERPRINT) == Some(&fingerprint)
    {
        return Ok(stack);
    }
    let template = template::for_emulator(template::read(path).await?, workers)?.to_string();
    let deployment = Deployment {
        stack: STACK_NAME,
        template: &template,
        parameters,
        tag: (FINGERPRINT, &fingerprint),
    };
    cloudformation.deploy(&deployment).await
}

fn parameters(settings: &Settings) -> BTreeMap<&'static str, String> {
    let base_url = match &settings.provider {
        Provider::Local => format!("http://127.0.0.1:{}", settings.ports.provider),
        Provider::Real { base_url, .. } => base_url.clone(),
    };
    let mut parameters = settings.parameters.clone();
    parameters.extend([
        ("Stage", "local".to_owned()),
        ("SessionKeySecret", SESSION_KEY_SECRET.to_owned()),
        ("ModelKeySecret", MODEL_KEY_SECRET.to_owned()),
        ("ModelBaseUrl", base_url),
        ("MailFrom", mail::FROM.to_owned()),
        ("StripeKeySecret", STRIPE_KEY_SECRET.to_owned()),
        ("StripeSigningSecret", STRIPE_SIGNING_SECRET.to_owned()),
        (
            "StripeBaseUrl",
            format!("http://127.0.0.1:{}", settings.ports.stripe),
        ),
        ("AppOrigin", format!("http://localhost:{}", settings.ports.web)),
    ]);
    if settings.provider == Provider::Local {
        // Records and costs say who answered: the demo grader, never a real model.
        parameters.extend([
            ("ModelProvider", "local".to_owned()),
            ("Model", DEMO_MODEL.to_owned()),
        ]);
    }
    parameters
}

/// The hash of everything that a deployment depends on.
fn fingerprint(
    path: &Path,
    parameters: &BTreeMap<&'static str, String>,
    workers: usize,
) -> anyhow::Result<String> {
    let mut hash = Sha256::new();
    hash.update(std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?);
    for (name, value) in parameters {
        hash.update(format!("\0{name}={value}"));
    }
    hash.update(format!("\0workers={workers}"));
    Ok(hex::encode(hash.finalize()))
}

impl Running {
    /// Where the API is, without a slash at the end.
    pub fn api(&self) -> String {
        format!("http://127.0.0.1:{}", self.settings.ports.api)
    }

    /// Where the emulator of AWS is, without a slash at the end.
    pub fn endpoint(&self) -> &str {
        self.ministack.endpoint()
    }

    /// Where model calls go.
    pub fn provider(&self) -> String {
        match &self.settings.provider {
            Provider::Local => format!("http://127.0.0.1:{}", self.settings.ports.provider),
            Provider::Real { base_url, .. } => base_url.clone(),
        }
    }

    /// The local provider, to read its bills or make it fail; `None` when a real one answers.
    pub fn local_provider(&self) -> Option<&provider::Provider> {
        self.local_provider.as_ref()
    }

    /// The local Stripe.
    pub fn stripe(&self) -> &Stripe {
        &self.stripe
    }

    /// The page of the demo teacher's subscription.
    pub fn web(&self) -> String {
        format!("http://localhost:{}/subscription", self.settings.ports.web)
    }

    /// The name of the table.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The name of the bucket.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The URL of the work queue.
    pub fn queue_url(&self) -> &str {
        &self.queue_url
    }

    /// The log of all programs.
    pub fn log(&self) -> &Path {
        self.log.path()
    }

    /// How long the start took.
    pub fn took(&self) -> Duration {
        self.took
    }

    /// A session token for `account`, good for fifteen minutes.
    ///
    /// # Errors
    /// The kept key cannot sign.
    pub fn session_token(&self, account: AccountId) -> anyhow::Result<String> {
        self.session_key.mint(account, &Clock::system())
    }

    /// Ends only when one of the programs has, and says which and with what last words.
    pub async fn failure(&mut self) -> anyhow::Error {
        loop {
            for program in [self.ministack.program(), self.functions.program()] {
                if let Err(ended) = program.check_running() {
                    return ended;
                }
            }
            tokio::time::sleep(WATCH).await;
        }
    }

    /// Stops the functions, then the emulator, which saves its state.
    ///
    /// # Errors
    /// The emulator had to be killed, so that its latest state is lost.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.functions.stop().await;
        self.ministack.stop().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_is_repeated_when_a_parameter_changes_and_only_then() {
        let path = project_root().join("Cargo.toml");
        let one = BTreeMap::from([("Model", "a".to_owned())]);
        let other = BTreeMap::from([("Model", "b".to_owned())]);
        let print = |parameters, workers| fingerprint(&path, parameters, workers).unwrap();
        assert_eq!(print(&one, 4), print(&one, 4));
        assert_ne!(print(&one, 4), print(&other, 4));
        assert_ne!(print(&one, 4), print(&one, 5));
    }
}
