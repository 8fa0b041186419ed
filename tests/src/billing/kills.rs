//! The billing function is killed at every step of a sync, before the step takes effect and after it. The event comes
//! again, and the account is as if nothing had happened.

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use local::stripe::{Fault as AtStripe, Kind as How};

use super::place::Place;
use super::scenarios::{Scenario, check, until};
use crate::emulators::Emulator;
use crate::faulty::{Fault, Faulty, Kind, Script, connections};

/// Kills of one scenario at least: over all of them, more than two hundred.
const KILLS_MIN: usize = 12;

/// Where the function dies.
#[derive(Debug, Clone, Copy)]
enum Death {
    /// At a request to the table.
    Table(Kind, usize, Fault),
    /// At a call to Stripe.
    Stripe(usize, How),
}

/// The steps of one sync.
#[derive(Debug, Clone, Copy)]
struct Steps {
    reads: usize,
    writes: usize,
    calls: usize,
}

impl Steps {
    /// What only reads takes no effect: dying before it and after it is the same.
    fn deaths(self) -> Vec<Death> {
        let reads = (0..self.reads).map(|place| Death::Table(Kind::Read, place, Fault::DeathBefore));
        let writes = (0..self.writes).flat_map(|place| {
            [Fault::DeathBefore, Fault::DeathAfter].map(|fault| Death::Table(Kind::Write, place, fault))
        });
        let calls =
            (0..self.calls).flat_map(|call| [How::Hang, How::HangAfter].map(|how| Death::Stripe(call, how)));
        reads.chain(writes).chain(calls).collect()
    }
}

pub(super) async fn at_every_step(scenario: Scenario) {
    let place = Place::new(&connections(), &Emulator::Dynoxide.table().await).await;
    let (steps, letters) = live(&place, 1, scenario, None).await;
    let deaths = steps.deaths();
    assert!(deaths.len() >= KILLS_MIN, "{steps:?}");
    for (number, death) in (2..).zip(deaths) {
        let (_, again) = live(&place, number, scenario, Some(death)).await;
        assert!(
            again == letters || again == lasting(&letters),
            "{death:?}: {again:?}"
        );
    }
}

/// The letters without those of a tier that came and went: an account that was looked at only afterwards never had it.
fn lasting(letters: &[String]) -> Vec<String> {
    let tiers = |letter: &str| -> Option<(String, String)> {
        let (from, to) = letter.strip_prefix("plan-changed ")?.split_once('-')?;
        Some((from.to_owned(), to.to_owned()))
    };
    let changes: Vec<_> = letters.iter().filter_map(|letter| tiers(letter)).collect();
    let taken_back = |letter: &&String| tiers(letter).is_some_and(|(from, to)| changes.contains(&(to, from)));
    letters
        .iter()
        .filter(|letter| !taken_back(letter))
        .cloned()
        .collect()
}

/// Lives it; the look at its last event meets `death`, and the event comes again.
async fn live(place: &Place, number: u64, scenario: Scenario, death: Option<Death>) -> (Steps, Vec<String>) {
    let mut world = until(place, number, scenario).await;
    let hints = world.hints();
    let last = hints.last().unwrap();
    let script = match death {
        Some(Death::Table(kind, place, fault)) => Some(Script {
            kind,
            place,
            fault,
            stubborn: false,
        }),
        Some(Death::Stripe(..)) | None => None,
    };
    let client = SharedHttpClient::new(place.billing.clone());
    let faulty = Faulty::new(&client, script);
    let (store, _) = faulty.doors(&place.config, &place.table);
    let before = world.fake.calls().len();
    if let Some(Death::Stripe(call, how)) = death {
        world.fake.inject([AtStripe::next(how).after(call)]);
    }
    let mortal = world.through(&store);
    let died = tokio::select! {
        () = mortal.tell(std::slice::from_ref(last)) => false,
        () = faulty.death() => true,
        () = world.fake.struck() => true,
    };
    assert_eq!(died, death.is_some(), "{death:?}");
    let steps = Steps {
        reads: faulty.count(Kind::Read),
        writes: faulty.count(Kind::Write),
        calls: world.fake.calls().len() - before,
    };
    world.tell(std::slice::from_ref(last)).await;
    world.tell(&hints).await;
    world.hear().await;
    (steps, check(place, &world, scenario, &format!("{death:?}")).await)
}
