//! How a copy's lease ends: the copy is resolved, comes back later, or is somebody else's by now.

use shared::domain::copy::{Copy, EPOCHS_MAX, Resolution};
use shared::domain::failure::{CopyFailure, Failure};
use shared::domain::run::Address;
use shared::store::Charge;

use crate::ask::Trouble;
use crate::meter::Bill;
use crate::{Doors, Next, RETRY_SECONDS};

/// A lease at its end.
pub(crate) struct Ending<'a> {
    pub(crate) doors: &'a Doors,
    pub(crate) address: &'a Address,
    pub(crate) copy: &'a Copy,
    pub(crate) bill: Bill,
}

impl Ending<'_> {
    /// What becomes of the message, and how many tokens were paid in vain.
    pub(crate) async fn of(&self, worked: Result<Box<Charge>, Trouble>) -> Result<(Next, u64), Failure> {
        let last_lease = self.copy.epoch >= EPOCHS_MAX;
        match worked {
            Ok(charge) => self.settle(&charge).await,
            Err(Trouble::Fenced) => Ok(self.overtaken().await),
            Err(Trouble::Copy(failure)) => self.void(&failure).await,
            Err(Trouble::Later { failure, .. }) if last_lease => self.void(&failure).await,
            Err(Trouble::Ours(_)) if last_lease => self.void(&CopyFailure::attempts_exhausted()).await,
            Err(Trouble::Later { seconds, .. }) => self.come_back(seconds).await,
            Err(Trouble::Ours(failure)) => {
                let cause = match &failure {
                    Failure::Internal(internal) | Failure::Unavailable(internal) => internal.for_log(),
                    other => other.code(),
                };
                tracing::error!(cause, "a copy's step failed; it comes back");
                self.come_back(RETRY_SECONDS).await
            }
        }
    }

    async fn settle(&self, charge: &Charge) -> Result<(Next, u64), Failure> {
        let (store, now) = (&self.doors.store, self.doors.now());
        let settled = store.settle(self.address, self.copy, charge, now).await?;
        let excess = self.bill.used.saturating_sub(self.copy.reserved_tokens);
        self.resolved(settled, self.bill.waste + excess).await
    }

    /// What was paid for a copy that fails is ours.
    async fn void(&self, failure: &CopyFailure) -> Result<(Next, u64), Failure> {
        let waste = self.bill.used.saturating_add(self.bill.waste);
        let (store, now) = (&self.doors.store, self.doors.now());
        let voided = store.void(self.address, self.copy, failure, waste, now).await?;
        self.resolved(voided, waste).await
    }

    async fn resolved(&self, resolution: Resolution, waste_tokens: u64) -> Result<(Next, u64), Failure> {
        if resolution == Resolution::Fenced {
            return Ok(self.overtaken().await);
        }
        self.doors.store.finish(self.address, self.doors.now()).await?;
        Ok((Next::Done, waste_tokens))
    }

    /// The answers that were used are kept for the next lease; only the others were in vain.
    async fn come_back(&self, seconds: i64) -> Result<(Next, u64), Failure> {
        if self.doors.store.release(self.address, self.copy).await? {
            Ok((Next::Later(seconds), self.bill.waste))
        } else {
            Ok(self.overtaken().await)
        }
    }

    /// Somebody else resolves the copy. All that this lease paid counts as waste, though the other may have found
    /// and charged some of its answers: spending is never understated.
    async fn overtaken(&self) -> (Next, u64) {
        let (id, epoch, paid) = (self.copy.copy, self.copy.epoch, self.bill.paid);
        tracing::warn!(waste_tokens = paid, "another worker took the copy over");
        let (store, now) = (&self.doors.store, self.doors.now());
        let written = store.record_waste(self.address, Some(id), epoch, paid, now).await;
        if let Err(failure) = written {
            tracing::error!(
                code = failure.code(),
                "waste that is metered, and in no ledger line"
            );
        }
        (Next::Done, paid)
    }
}
