//! From a list of files to upload slots: a copy and a signed form each.

use shared::domain::copy::{Copy, CopyState};
use shared::domain::failure::Failure;
use shared::domain::ids::{AccountId, AssignmentId, CopyId};
use shared::domain::time::UnixMillis;
use shared::store::{COPIES_PER_ASSIGNMENT_MAX, Idempotency, copy_key};

use crate::Doors;
use crate::intake::{NewCopy, too_many_copies};
use crate::view::{Slot, Slots};

/// Makes the copies, or finds those of a repeated request, and signs a form for each.
pub(crate) async fn open(
    doors: &Doors,
    owner: AccountId,
    assignment: AssignmentId,
    files: Vec<NewCopy>,
    idempotency: Option<Idempotency<'_>>,
) -> Result<Slots, Failure> {
    let now = doors.now();
    let (at, seed) = match idempotency {
        None => (now, CopyId::mint(now).to_string()),
        Some(asked) => {
            let at = doors.store.slots_requested_at(owner, asked, now).await?;
            (at, format!("{assignment}#{}", asked.0))
        }
    };
    let copies: Vec<Copy> = files
        .into_iter()
        .enumerate()
        .map(|(place, file)| Copy {
            // A millisecond apart, so that lists keep the order of the files.
            copy: CopyId::derive(at.plus_millis(place), format!("{seed}#{place}").as_bytes()),
            assignment,
            file_name: file.name,
            pupil: file.pupil,
            size_bytes: file.size_bytes,
            created_at: at,
            state: CopyState::New,
            run: None,
            phase: None,
            epoch: 0,
            lease_until: None,
            reserved_tokens: 0,
            kept_tokens: 0,
            released_epoch: 0,
            result: None,
            summary: None,
            failure: None,
        })
        .collect();
    // Those of a repeated request are there already, and take no room twice.
    let ids: Vec<CopyId> = copies.iter().map(|copy| copy.copy).collect();
    let known = doors.store.copies_by_id(assignment, &ids).await?.len();
    let more = copies.len() - known.min(copies.len());
    if more > 0 && doors.store.count_copies(assignment).await? + more > COPIES_PER_ASSIGNMENT_MAX {
        return Err(too_many_copies());
    }
    doors.store.put_copies(&copies).await?;
    let slot = signing(doors, now).await?;
    Ok(Slots {
        slots: copies.iter().map(slot).collect(),
    })
}

/// Signs another form for a copy, whatever its state: the first form works under a run too, as long as it lasts, and
/// each result names the PDF that it is for.
pub(crate) async fn renew(doors: &Doors, copy: &Copy) -> Result<Slot, Failure> {
    let slot = signing(doors, doors.now()).await?;
    Ok(slot(copy))
}

/// What gives a copy its slot, with a form that works from `now` on.
async fn signing(doors: &Doors, now: UnixMillis) -> Result<impl Fn(&Copy) -> Slot, Failure> {
    let credentials = doors.signer.credentials().await?;
    Ok(move |copy: &Copy| {
        let key = copy_key(copy.assignment, copy.copy);
        Slot::new(copy, doors.signer.presign(&key, &credentials, now))
    })
}
