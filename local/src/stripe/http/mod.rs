//! The world over HTTP.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::routing::{any, get, post};
use serde::{Deserialize, Serialize};
use shared::clock::Clock;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::catalogue::Catalogue;
use super::courier::{Courier, Delivered, Policy};
use super::kept::{Keeper, Remembered};
use super::world::{Dunning, World};

mod api;
mod billing;
mod catalogue;
mod clocks;
mod control;
mod customers;
mod expand;
mod faults;
mod form;
mod money;
mod pages;
mod postman;
mod serve;

pub use faults::{Fault, Kind};
pub use serve::Seen;

use faults::Faults;
use serve::Kept;

/// How this Stripe behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens; must be on this machine. Port 0 takes any free one.
    pub address: SocketAddr,
    /// The only key that it takes: `sk_test_…`, or `sk_live_…` with `livemode`.
    pub secret_key: String,
    /// Whether its objects say that money is real.
    pub livemode: bool,
    /// Where a browser finds its pages, if that is not where it listens; no slash at the end.
    pub public_url: Option<String>,
    /// The same seed gives the same ids and the same chances.
    pub seed: u64,
    /// What is sold.
    pub catalogue: Catalogue,
    /// What happens after a declined renewal.
    pub dunning: Dunning,
    /// What time it is. The control API can go ahead of it, never back.
    pub clock: Clock,
    /// Where events go; they wait until there is one.
    pub endpoint: Option<Endpoint>,
    /// How badly events are delivered.
    pub policy: Policy,
    /// The file that keeps what it knows from one start to the next, if it shall not forget. The seed is then the
    /// first start's.
    pub kept_in: Option<PathBuf>,
}

/// Where events go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// The whole address.
    pub url: String,
    /// Signs each event with each of these: one, or two while the secret is rotated.
    pub secrets: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            secret_key: "sk_test_local".to_owned(),
            livemode: false,
            public_url: None,
            seed: 1,
            catalogue: Catalogue::tiers(),
            dunning: Dunning::default(),
            clock: Clock::system(),
            endpoint: None,
            policy: Policy::default(),
            kept_in: None,
        }
    }
}

/// A running Stripe; it stops when dropped.
pub struct Stripe {
    address: SocketAddr,
    desk: Arc<Desk>,
    tasks: [JoinHandle<()>; 2],
}

impl Stripe {
    /// Starts it.
    ///
    /// # Errors
    /// The port is taken, the address is not a loopback one, the key is of the other mode, or the file that it is kept
    /// in cannot be read.
    pub async fn start(mut settings: Settings) -> io::Result<Self> {
        let refuse = |why| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        if !settings.address.ip().is_loopback() {
            return refuse("the local Stripe listens on this machine only");
        }
        let prefix = if settings.livemode { "sk_live_" } else { "sk_test_" };
        if !settings.secret_key.starts_with(prefix) {
            return refuse("the secret key is not of the mode that is asked for");
        }
        let listener = TcpListener::bind(settings.address).await?;
        let address = listener.local_addr()?;
        let (keeper, left) = match settings.kept_in.take() {
            Some(path) => Keeper::open(path).map(|(keeper, left)| (Some(keeper), left))?,
            None => (None, None),
        };
        let desk = Arc::new(Desk::new(settings, address, keeper, left));
        let app = router(Arc::clone(&desk));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!(%error, "the local Stripe stopped");
            }
        });
        let postman = tokio::spawn(postman::deliver(Arc::clone(&desk)));
        Ok(Self {
            address,
            desk,
            tasks: [server, postman],
        })
    }

    /// The address to give to a client, without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Looks at the world, or changes it, at the present time. Requests wait meanwhile.
    pub fn with<T>(&self, work: impl FnOnce(&mut World) -> T) -> T {
        self.desk.with(|state| work(&mut state.world))
    }

    /// Moves the clock ahead, and does what is due until then.
    pub fn advance(&self, seconds: i64) {
        self.desk.advance(seconds);
    }

    /// Forgets everything, as if it had just been started with `seed`: its clock stands where the settings' does.
    /// Where events go, and how badly, stays as it is. The connections stay open, so that a test can live thousands
    /// of histories.
    pub fn reset(&self, seed: u64) {
        self.desk.reset(seed);
    }

    /// Ends when a fault has struck a call: what it lets be done is done then.
    pub async fn struck(&self) {
        self.desk.struck.notified().await;
    }

    /// Makes coming calls fail, after the faults already waiting.
    pub fn inject(&self, faults: impl IntoIterator<Item = Fault>) {
        self.desk.with(|state| state.faults.add(faults));
    }

    /// Takes back the faults that still wait.
    pub fn clear_faults(&self) {
        self.desk.with(|state| state.faults.clear());
    }

    /// Delivers events there from now on, those that waited too.
    pub fn deliver_to(&self, endpoint: Endpoint) {
        self.desk.deliver_to(endpoint);
    }

    /// Every delivery so far.
    #[must_use]
    pub fn delivered(&self) -> Vec<Delivered> {
        self.desk.with(|state| state.courier.delivered().to_vec())
    }

    /// Every call so far, those that faults struck too.
    #[must_use]
    pub fn calls(&self) -> Vec<Seen> {
        self.desk.with(|state| state.seen.clone())
    }
}

impl Drop for Stripe {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.desk.keep();
    }
}

fn router(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/v1/{*path}", any(serve::api))
        .route("/c/pay/{session}", get(pages::checkout).post(pages::pay))
        .route("/p/session/{portal}", get(pages::portal).post(pages::manage))
        .route("/i/{invoice}", get(pages::invoice).post(pages::settle))
        .route("/_control/state", get(control::state))
        .route("/_control/clock", post(control::clock))
        .route("/_control/customers/{customer}/card", post(control::card))
        .route("/_control/charges/{charge}/dispute", post(control::dispute))
        .route("/_control/charges/{charge}/inquiry", post(control::inquire))
        .route("/_control/disputes/{dispute}/escalate", post(control::escalate))
        .route("/_control/disputes/{dispute}/close", post(control::close))
        .route("/_control/refunds", post(control::refund))
        .route("/_control/endpoint", post(control::endpoint))
        .route("/_control/policy", post(control::policy))
        .route("/_control/events", get(control::events))
        .route("/_control/deliveries", get(control::deliveries))
        .route(
            "/_control/faults",
            get(control::faults)
                .post(control::add_faults)
                .delete(control::clear_faults),
        )
        .with_state(desk)
}

/// What the server and the postman share.
struct Desk {
    secret_key: String,
    clock: Clock,
    state: Mutex<State>,
    keeper: Mutex<Option<Keeper>>,
    /// Rung when something may be due.
    bell: Notify,
    /// Rung when a fault struck.
    struck: Notify,
}

struct State {
    world: World,
    courier: Courier,
    endpoint: Option<String>,
    faults: Faults,
    kept: HashMap<String, Kept>,
    seen: Vec<Seen>,
}

impl State {
    fn new(seed: u64, world: World, courier: Courier, endpoint: Option<String>) -> Self {
        Self {
            world,
            courier,
            endpoint,
            faults: Faults::new(seed),
            kept: HashMap::new(),
            seen: Vec::new(),
        }
    }
}

impl Desk {
    fn new(
        settings: Settings,
        address: SocketAddr,
        keeper: Option<Keeper>,
        remembered: Option<Remembered>,
    ) -> Self {
        let now = settings.clock.now_millis().div_euclid(1000);
        let mut world = World::new(settings.seed, now, settings.catalogue);
        let ahead_seconds = remembered.as_ref().map_or(0, |it| it.ahead_seconds);
        if let Some(remembered) = remembered {
            world = remembered.world(world.account);
        }
        world.account.livemode = settings.livemode;
        world.account.dunning = settings.dunning;
        world.account.base_url = settings.public_url.unwrap_or_else(|| format!("http://{address}"));
        let (url, secrets) = match settings.endpoint {
            Some(endpoint) => (Some(endpoint.url), endpoint.secrets),
            None => (None, Vec::new()),
        };
        let mut courier = Courier::new(settings.seed, secrets, settings.policy);
        courier.ahead_seconds = ahead_seconds;
        courier.take_up(&world);
        let state = State::new(settings.seed, world, courier, url);
        Self {
            secret_key: settings.secret_key,
            clock: settings.clock,
            state: Mutex::new(state),
            keeper: Mutex::new(keeper),
            bell: Notify::new(),
            struck: Notify::new(),
        }
    }

    fn reset(&self, seed: u64) {
        let now = self.clock.now_millis().div_euclid(1000);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut account = state.world.account.clone();
        account.catalogue.products.retain(|product| !product.made);
        account.catalogue.prices.retain(|price| !price.made);
        let mut world = World::new(seed, now, account.catalogue.clone());
        world.account = account;
        let courier = &state.courier;
        let courier = Courier::new(seed, courier.secrets.clone(), courier.policy.clone());
        *state = State::new(seed, world, courier, state.endpoint.clone());
    }

    /// The state at the present time. Every change under the lock is complete before anything can panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let real = self.clock.now_millis().div_euclid(1000);
        if state.world.is_frozen() {
            // Only calls move it; whoever receives its events goes on by the real time.
            state.courier.ahead_seconds = state.world.now() - real;
        } else {
            // A clock that stood still and is gone: time is what it is again.
            state.courier.ahead_seconds = state.courier.ahead_seconds.max(0);
            let now = real + state.courier.ahead_seconds;
            state.world.advance_to(now);
        }
        state
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let done = work(&mut self.lock());
        self.bell.notify_one();
        done
    }

    /// Writes what has happened into the file, if there is one.
    fn keep(&self) {
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(keeper) = keeper.as_mut() else { return };
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = keeper.keep(&state.world, state.courier.ahead_seconds) {
            tracing::error!(path = %keeper.path().display(), %error, "the local Stripe will forget");
        }
    }

    fn advance(&self, seconds: i64) {
        self.with(|state| {
            state.courier.ahead_seconds += seconds.max(0);
            state.world.advance(seconds.max(0));
        });
    }

    fn deliver_to(&self, endpoint: Endpoint) {
        self.with(|state| {
            state.endpoint = Some(endpoint.url);
            state.courier.secrets = endpoint.secrets;
        });
    }
}

/// How often the postman looks by himself.
const ROUND: Duration = Duration::from_millis(500);
