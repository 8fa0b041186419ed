//! What the outbox still holds: its fast path, right after the commit, was not gone to the end.

use futures::stream::{self, StreamExt as _};
use shared::domain::time::UnixMillis;
use shared::store::Pending;

use crate::{AT_ONCE, Doors, PAGES_MAX, Swept, counted};

/// A message younger than this is left to whoever wrote it. Unit: seconds.
const GRACE_SECONDS: i64 = 10;
/// Groups of one page, oldest first.
const GROUPS_MAX: i32 = 200;

/// Sends what the outbox still holds, oldest first, page by page until the end, or until not all of a page was sent.
pub(crate) async fn send_unsent(doors: &Doors, now: UnixMillis) -> Swept {
    let before = now.plus_seconds(-GRACE_SECONDS);
    let mut swept = Swept::default();
    let mut next = None;
    for _ in 0..PAGES_MAX {
        let groups = match doors.store.unsent(before, next, GROUPS_MAX).await {
            Ok(groups) => groups,
            Err(failure) => return [swept, counted("outbox", Err(failure))].into_iter().sum(),
        };
        let steps: Vec<_> = groups
            .found
            .iter()
            .map(|group| send_group(doors, group))
            .collect();
        let page: Vec<Swept> = stream::iter(steps).buffer_unordered(AT_ONCE).collect().await;
        let page: Swept = page.into_iter().sum();
        next = groups.next.filter(|_| page.failures == 0);
        swept = [swept, page].into_iter().sum();
        if next.is_none() {
            break;
        }
    }
    swept
}

async fn send_group(doors: &Doors, group: &Pending) -> Swept {
    let sent = doors.store.relay(&doors.queue, group).await;
    counted(
        "outbox",
        sent.map(|()| Swept {
            sent: 1,
            ..Swept::default()
        }),
    )
}
