//! What is read for each route, and how its parts are put together.

use std::collections::HashMap;

use shared::domain::Language;
use shared::domain::copy::{Copy, CopyState};
use shared::domain::failure::{Failure, Internal, Noun};
use shared::domain::ids::{AccountId, CopyId};
use shared::domain::page::{Cursor, Page, Paging};
use shared::domain::quota::Counter;
use shared::domain::standing::Standing;
use shared::grading::result::{CopyResult, RESULT_BYTES_MAX};
use shared::store::{Assignment, RunRecord, copy_key};

use crate::Doors;
use crate::view::{ResultNow, RunCopy, RunView, UsageView};

/// A run with its money.
pub(crate) async fn run(doors: &Doors, record: &RunRecord) -> Result<RunView, Failure> {
    let reservation = doors.store.reservation_of(&record.run).await?;
    Ok(RunView::new(record, &reservation))
}

/// A page of an assignment's runs.
pub(crate) async fn runs(
    doors: &Doors,
    assignment: &Assignment,
    paging: &Paging,
) -> Result<Page<RunView>, Failure> {
    let page = doors.store.runs(assignment.assignment, paging).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for record in &page.items {
        items.push(run(doors, record).await?);
    }
    Ok(Page {
        items,
        cursor: page.cursor,
    })
}

/// A page of a run's copies, in the manifest's order; failures are told in `language`.
pub(crate) async fn copies(
    doors: &Doors,
    record: &RunRecord,
    paging: &Paging,
    language: Language,
) -> Result<Page<RunCopy>, Failure> {
    let from = paging.cursor.as_ref().map_or(Ok(0), Cursor::place)?;
    let manifest = doors.store.manifest(&record.run.address()).await?;
    let ids: Vec<CopyId> = manifest
        .iter()
        .skip(from)
        .take(usize::from(paging.limit))
        .map(|estimate| estimate.copy)
        .collect();
    let next = from.saturating_add(ids.len());
    let found = doors.store.copies_by_id(record.run.assignment, &ids).await?;
    let by_id: HashMap<CopyId, Copy> = found.into_iter().map(|copy| (copy.copy, copy)).collect();
    let view = |id: &CopyId| {
        let copy = by_id.get(id)?;
        Some(RunCopy::new(copy, record.run.run, language))
    };
    Ok(Page {
        items: ids.iter().filter_map(view).collect(),
        cursor: (next < manifest.len()).then(|| Cursor::at_place(next)),
    })
}

/// A copy's published proposal, and whether its file was replaced.
pub(crate) async fn result(doors: &Doors, copy: &Copy) -> Result<ResultNow, Failure> {
    let missing = Failure::NotFound(match copy.state {
        CopyState::Failed => Noun::FailedResult,
        _ => Noun::Result,
    });
    let key = copy.result.as_ref().ok_or(missing.clone())?;
    let bytes = doors.objects.get(key, RESULT_BYTES_MAX).await?.ok_or(missing)?;
    // Where, and no more: what the error says may be a pupil's words.
    let result: CopyResult = serde_json::from_slice(&bytes).map_err(|error| {
        let (kind, line, column) = (error.classify(), error.line(), error.column());
        Failure::Internal(Internal::new(format!(
            "stored result: {kind:?} at {line}:{column}"
        )))
    })?;
    let key = copy_key(copy.assignment, copy.copy);
    let uploaded = doors.objects.version(&key).await?;
    let graded = result.provenance.pdf.as_ref();
    Ok(ResultNow {
        pdf_changed: graded.map(|pdf| pdf.version != uploaded),
        result,
    })
}

/// How the account stands, as far as we know: `GET /api/subscription/return` asks Stripe.
pub(crate) async fn standing(doors: &Doors, account: AccountId) -> Result<Standing, Failure> {
    let billing = doors.store.billing(account).await?;
    let plan = billing.plan(doors.now());
    let unopened = Counter::opened(plan.granted_tokens(&doors.catalogue));
    let counter = doors.store.counter(account, &plan.period).await?;
    let subscription = billing.subscription.as_ref();
    Ok(Standing::new(&plan, subscription, counter.unwrap_or(unopened)))
}

/// The account's plan with its counter.
pub(crate) async fn usage(doors: &Doors, account: AccountId) -> Result<UsageView, Failure> {
    let plan = doors.store.plan(account, doors.now()).await?;
    // Before its first run, a period's counter is what it will be opened with.
    let unopened = Counter::opened(plan.granted_tokens(&doors.catalogue));
    let counter = doors.store.counter(account, &plan.period).await?;
    Ok(UsageView::new(&plan, counter.unwrap_or(unopened)))
}
