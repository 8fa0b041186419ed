//! From a request to a reservation: which copies, how much they may need, whether it fits.

use std::collections::{HashMap, HashSet};

use shared::domain::billing::{Cause, Message, Whose};
use shared::domain::copy::{Copy, CopyState};
use shared::domain::failure::{Conflict, Failure, Internal, Noun, QuotaExceeded, Sentence};
use shared::domain::ids::{AccountId, AssignmentId, CopyId, RunId};
use shared::domain::plan::{Hold, Plan};
use shared::domain::quota::{copy_estimate_tokens, places_that_fit};
use shared::domain::run::{Address, COPIES_MAX, Estimate, PREFIX_RESERVE_TOKENS, Reservation, Reserved, Run};
use shared::domain::time::UnixMillis;
use shared::store::{Assignment, Idempotency, Reserve, Starting, result_run};

use crate::Doors;

/// What is left of a run after this is voided. Unit: seconds.
const RUN_SECONDS_MAX: i64 = 6 * 3600;
/// How often the copies are looked at, when other runs of the assignment are accepted meanwhile.
const LOOKS_MAX: usize = 10;

/// A run that someone asks for.
pub(crate) struct Request<'a> {
    pub(crate) account: AccountId,
    pub(crate) assignment: Assignment,
    pub(crate) rubric_version: Option<u32>,
    pub(crate) copies: Which,
    pub(crate) idempotency: Option<Idempotency<'a>>,
    pub(crate) correlation: String,
}

/// Which copies a run is for.
pub(crate) enum Which {
    /// Every one that was uploaded and has no proposal.
    All,
    /// These, those that have a proposal included: they are graded again.
    These(Vec<CopyId>),
    /// Those that failed in a run.
    FailedIn(Address),
}

impl Which {
    pub(crate) fn parse(copies: Option<Vec<String>>) -> Result<Self, Failure> {
        let Some(copies) = copies else {
            return Ok(Self::All);
        };
        if copies.is_empty() || copies.len() > COPIES_MAX {
            return Err(too_many());
        }
        let ids = copies.iter().enumerate().map(|(place, text)| {
            text.parse()
                .map_err(|_| Failure::NotFound(Noun::NamedCopy(place)))
        });
        Ok(Self::These(ids.collect::<Result<_, _>>()?))
    }
}

/// Reserves for the run and starts it.
pub(crate) async fn start(doors: &Doors, request: Request<'_>) -> Result<Reservation, Failure> {
    for _ in 0..LOOKS_MAX {
        let starting = doors.store.starting(request.assignment.assignment).await?;
        // A repeated request finds its copies busy with its own first run, which may be on its way just now: it is
        // recognised after those are read, and before the copies are.
        let known = doors
            .store
            .run_of_key(request.account, request.idempotency)
            .await?;
        let run = match known {
            Some(run) => Some(run),
            None => reserve(doors, &request, &starting).await?,
        };
        if let Some(run) = run {
            return accepted(doors, &request, run).await;
        }
    }
    Err(Failure::Unavailable(Internal::new(
        "runs of one assignment are started too fast",
    )))
}

/// The barème version that is asked for, if it is there.
async fn rubric_version(doors: &Doors, request: &Request<'_>) -> Result<u32, Failure> {
    let latest = request.assignment.rubric_version;
    let version = request.rubric_version.unwrap_or(latest);
    if version == 0 {
        return Err(Failure::Conflict(Conflict::NoRubric));
    }
    let found = doors.store.rubric(request.assignment.assignment, version).await?;
    found.ok_or(Failure::NotFound(Noun::Rubric))?;
    Ok(version)
}

/// Looks at the copies and reserves for them. `None` when another run was accepted meanwhile, so that they are to be
/// looked at again.
async fn reserve(
    doors: &Doors,
    request: &Request<'_>,
    starting: &Starting,
) -> Result<Option<RunId>, Failure> {
    let assignment = request.assignment.assignment;
    let rubric_version = rubric_version(doors, request).await?;
    let copies = estimates(doors, request, starting).await?;
    let now = doors.now();
    let billing = doors.store.billing(request.account).await?;
    let plan = billing.plan(now);
    may_start(doors, request.account, &plan, now).await?;
    let run = Run {
        run: RunId::mint(now),
        account: request.account,
        period: plan.period.clone(),
        assignment,
        rubric_version,
        retry_of: match &request.copies {
            Which::FailedIn(address) => Some(address.run),
            Which::All | Which::These(_) => None,
        },
        correlation: request.correlation.clone(),
        created_at: now,
    };
    let reserve = Reserve {
        run: &run,
        copies: &copies,
        granted_tokens: plan.granted_tokens(&doors.catalogue),
        idempotency: request.idempotency,
        starting: Some(starting),
        expires_at: now.plus_seconds(RUN_SECONDS_MAX),
    };
    let (outcome, pending) = doors.store.reserve(&reserve).await?;
    if let Some(pending) = pending
        && doors.store.relay(&doors.queue, &pending).await.is_err()
    {
        // The outbox keeps it: the sweeper sends it within a minute.
        tracing::warn!(run = %run.run, "the run's first message waits in the outbox");
    }
    match outcome {
        Reserved::Accepted(run) | Reserved::Repeated(run) => Ok(Some(run)),
        Reserved::Overtaken => Ok(None),
        Reserved::Wasteful => Err(Failure::Conflict(Conflict::TooManyFailures)),
        Reserved::Refused(counter) => {
            let tokens: Vec<u64> = copies.iter().map(|estimate| estimate.tokens).collect();
            Err(Failure::QuotaExceeded(QuotaExceeded {
                tier: plan.tier,
                limit_tokens: counter.granted,
                remaining_tokens: counter.remaining,
                needed_tokens: reserve.amount(),
                fitting: places_that_fit(counter.remaining, PREFIX_RESERVE_TOKENS, &tokens)
                    .into_iter()
                    .map(|place| copies[place].copy)
                    .collect(),
                subscribed: billing.subscription.is_some(),
                upgrades: doors.catalogue.above(plan.tier).collect(),
            }))
        }
    }
}

/// Whether the account's money lets anything be started. A period that should have been renewed is asked about at
/// Stripe, beside the run: for an hour the old period's tokens go on meanwhile.
async fn may_start(doors: &Doors, account: AccountId, plan: &Plan, now: UnixMillis) -> Result<(), Failure> {
    if plan.overdue {
        let ask = Message::Sync {
            whose: Whose::Account(account),
            cause: Cause::Asked,
            at: now,
        };
        if doors.billing.send(&[ask]).await.is_err() {
            tracing::warn!("a renewal could not be asked for; the daily comparison does");
        }
    }
    match plan.hold {
        None => Ok(()),
        Some(Hold::Frozen) => Err(Failure::Conflict(Conflict::AccountFrozen)),
        Some(Hold::RenewalUnknown) => Err(Failure::Conflict(Conflict::RenewalUnknown)),
    }
}

async fn accepted(doors: &Doors, request: &Request<'_>, run: RunId) -> Result<Reservation, Failure> {
    let record = doors.store.run(request.assignment.assignment, run).await?;
    let record = record.ok_or(Failure::NotFound(Noun::Run))?;
    doors.store.reservation_of(&record.run).await
}

/// The copies to grade, each with what it may need by the size of what was uploaded.
async fn estimates(
    doors: &Doors,
    request: &Request<'_>,
    starting: &Starting,
) -> Result<Vec<Estimate>, Failure> {
    let assignment = request.assignment.assignment;
    let uploaded = doors.objects.uploaded(assignment).await?;
    let candidates = candidates(doors, request, &uploaded).await?;
    // Those that a run is about to take are as good as taken.
    let (gradable, taken): (Vec<&Copy>, Vec<&Copy>) = candidates
        .iter()
        .partition(|copy| !copy.state.is_busy() && !starting.holds(copy.copy));
    let busy = taken.len() + in_open_runs(doors, assignment, &gradable).await?;
    let all_of_them = matches!(request.copies, Which::All);
    if busy > 0 && (!all_of_them || gradable.is_empty()) {
        return Err(Failure::Conflict(Conflict::CopiesBusy(busy)));
    }
    if gradable.is_empty() {
        return Err(Failure::Conflict(Conflict::NothingToGrade));
    }
    if gradable.len() > COPIES_MAX {
        return Err(too_many());
    }
    let estimate = |copy: &&Copy| Estimate {
        copy: copy.copy,
        tokens: copy_estimate_tokens(uploaded.get(&copy.copy).copied().unwrap_or(copy.size_bytes)),
        again: copy.has_proposal(),
    };
    Ok(gradable.iter().map(estimate).collect())
}

/// How many have a proposal of a run that is not over: its cost is added up from its copies when it ends, so they are
/// its own until then.
async fn in_open_runs(doors: &Doors, assignment: AssignmentId, copies: &[&Copy]) -> Result<usize, Failure> {
    let mut proposals: HashMap<RunId, usize> = HashMap::new();
    for run in copies
        .iter()
        .filter_map(|copy| copy.result.as_deref().and_then(result_run))
    {
        *proposals.entry(run).or_default() += 1;
    }
    let mut open = 0;
    for (run, count) in proposals {
        let record = doors.store.run(assignment, run).await?;
        if record.is_some_and(|record| record.finished_at.is_none()) {
            open += count;
        }
    }
    Ok(open)
}

/// The copies that the request is about, as they are now.
async fn candidates(
    doors: &Doors,
    request: &Request<'_>,
    uploaded: &HashMap<CopyId, u64>,
) -> Result<Vec<Copy>, Failure> {
    let assignment = request.assignment.assignment;
    match &request.copies {
        Which::All => {
            let mut all = doors.store.all_copies(assignment).await?;
            all.retain(|copy| uploaded.contains_key(&copy.copy) && !copy.has_proposal());
            Ok(all)
        }
        Which::These(ids) => {
            let mut seen = HashSet::new();
            let once: Vec<CopyId> = ids.iter().copied().filter(|id| seen.insert(*id)).collect();
            let found = doors.store.copies_by_id(assignment, &once).await?;
            let mut by_id: HashMap<CopyId, Copy> = found.into_iter().map(|copy| (copy.copy, copy)).collect();
            if let Some(place) = ids.iter().position(|id| !by_id.contains_key(id)) {
                return Err(Failure::NotFound(Noun::NamedCopy(place)));
            }
            Ok(once.iter().filter_map(|id| by_id.remove(id)).collect())
        }
        Which::FailedIn(address) => {
            let mut failed = doors.store.run_copies(address).await?;
            failed.retain(|copy| copy.state == CopyState::Failed);
            Ok(failed)
        }
    }
}

fn too_many() -> Failure {
    Failure::Invalid {
        path: "copies".to_owned(),
        code: "wrong-count",
        sentence: Sentence::new(
            format!("Une correction porte sur 1 à {COPIES_MAX} copies : nommez celles de chaque correction."),
            format!("A run takes 1 to {COPIES_MAX} copies: name those of each run."),
        ),
    }
}
