//! How a copy's lease ends: the copy is resolved, comes back later, or is somebody else's by now.

use shared::domain::copy::{Copy, EPOCHS_MAX, Resolution};
use shared::domain::failure::{CopyFailure, Failure};
use shared::domain::ids::CopyId;
use shared::domain::run::Address;
use shared::store::Charge;
use shared::telemetry::{Metrics, Unit};

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

/// What one lease came to.
pub(crate) struct Ended {
    pub(crate) next: Next,
    /// Paid in vain. Unit: tokens.
    pub(crate) waste_tokens: u64,
    pub(crate) outcome: Outcome,
    bill: Bill,
}

impl Ended {
    /// Used for the copy's marks. Told by the lease that settled it alone: what an earlier one paid, it found again.
    /// Unit: tokens.
    pub(crate) fn used_tokens(&self) -> u64 {
        match self.outcome {
            Outcome::Graded => self.bill.used,
            Outcome::Failed(_) | Outcome::Open => 0,
        }
    }
}

/// What a lease made of its copy.
pub(crate) enum Outcome {
    Graded,
    /// The failure's code.
    Failed(String),
    /// It comes back, or is another worker's.
    Open,
}

impl Ending<'_> {
    /// Resolves the copy, or lets it come back.
    pub(crate) async fn of(&self, worked: Result<Box<Charge>, Trouble>) -> Result<Ended, Failure> {
        let last_lease = self.copy.epoch >= EPOCHS_MAX;
        match worked {
            Ok(charge) => self.settle(&charge).await,
            Err(Trouble::Fenced) => Ok(self.overtaken().await),
            Err(Trouble::Copy(failure)) => self.void(&failure).await,
            Err(Trouble::Later { failure, .. }) if last_lease => self.void(&failure).await,
            Err(Trouble::Ours(_)) if last_lease => self.void(&CopyFailure::attempts_exhausted()).await,
            Err(Trouble::Later { seconds, .. }) => self.come_back(seconds).await,
            Err(Trouble::Ours(failure)) => {
                tracing::error!(cause = failure.cause(), "a copy's step failed; it comes back");
                self.come_back(RETRY_SECONDS).await
            }
        }
    }

    async fn settle(&self, charge: &Charge) -> Result<Ended, Failure> {
        let (store, now) = (&self.doors.store, self.doors.now());
        let settled = store.settle(self.address, self.copy, charge, now).await?;
        let excess = self.bill.used.saturating_sub(self.copy.reserved_tokens);
        self.resolved(settled, Outcome::Graded, self.bill.waste + excess)
            .await
    }

    /// What was paid for a copy that fails is ours.
    async fn void(&self, failure: &CopyFailure) -> Result<Ended, Failure> {
        let waste = self.bill.whole();
        let (store, now) = (&self.doors.store, self.doors.now());
        let voided = store.void(self.address, self.copy, failure, waste, now).await?;
        let outcome = Outcome::Failed(failure.code().to_owned());
        self.resolved(voided, outcome, waste).await
    }

    async fn resolved(
        &self,
        resolution: Resolution,
        outcome: Outcome,
        waste_tokens: u64,
    ) -> Result<Ended, Failure> {
        if resolution == Resolution::Fenced {
            return Ok(self.overtaken().await);
        }
        self.doors.store.finish(self.address, self.doors.now()).await?;
        Ok(Ended {
            next: Next::Done,
            waste_tokens,
            outcome,
            bill: self.bill,
        })
    }

    /// The answers that were used are kept for the next lease; only the others were in vain.
    async fn come_back(&self, seconds: i64) -> Result<Ended, Failure> {
        let until = self.doors.now().plus_seconds(seconds);
        let copy = Copy {
            kept_tokens: self.bill.whole(),
            ..self.copy.clone()
        };
        if !self.doors.store.release(self.address, &copy, until).await? {
            return Ok(self.overtaken().await);
        }
        Ok(Ended {
            next: Next::Later(seconds),
            waste_tokens: self.bill.broken,
            outcome: Outcome::Open,
            bill: self.bill,
        })
    }

    /// Somebody else resolves the copy. All that this lease paid counts as waste, though the other may have found
    /// and charged some of its answers: spending is never understated.
    async fn overtaken(&self) -> Ended {
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
        Ended {
            next: Next::Done,
            waste_tokens: paid,
            outcome: Outcome::Open,
            bill: self.bill,
        }
    }
}

impl Outcome {
    /// One line a lease. Graded and failed copies are counted, each by the lease that resolved it; why one failed is
    /// a property: as a dimension every code would be two more metrics to pay for.
    pub(crate) fn measure(&self, address: &Address, copy: CopyId) -> Metrics {
        let (graded, failed) = match self {
            Self::Graded => (1, 0),
            Self::Failed(_) => (0, 1),
            Self::Open => (0, 0),
        };
        let metrics = Metrics::of("worker")
            .with("run", address.run)
            .with("copy", copy)
            .value("CopiesGraded", Unit::Count, graded)
            .value("CopiesFailed", Unit::Count, failed);
        match self {
            Self::Failed(code) => metrics.with("failure", code),
            Self::Graded | Self::Open => metrics,
        }
    }
}
