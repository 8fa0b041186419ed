//! Lookups on a caller's behalf. Each starts from the caller's account: someone else's id is `NotFound`, like one that
//! never existed.

use super::{Assignment, RubricRecord, RunRecord, Store};
use crate::domain::copy::Copy;
use crate::domain::failure::{Failure, Noun};
use crate::domain::ids::{AccountId, AssignmentId, CopyId, RunId};

impl Store {
    /// One of the owner's assignments.
    ///
    /// # Errors
    /// `NotFound` when it is not one of the owner's; `Unavailable` when the table is.
    pub async fn owned_assignment(&self, owner: AccountId, id: AssignmentId) -> Result<Assignment, Failure> {
        let found = self.assignment(owner, id).await?;
        found.ok_or(Failure::NotFound(Noun::Assignment))
    }

    /// A barème version of one of the owner's assignments.
    ///
    /// # Errors
    /// `NotFound` when either is not there; `Unavailable` when the table is.
    pub async fn owned_rubric(
        &self,
        owner: AccountId,
        id: AssignmentId,
        version: u32,
    ) -> Result<RubricRecord, Failure> {
        let assignment = self.owned_assignment(owner, id).await?;
        let found = self.rubric(assignment.assignment, version).await?;
        found.ok_or(Failure::NotFound(Noun::Rubric))
    }

    /// A run of one of the owner's assignments, with the assignment.
    ///
    /// # Errors
    /// `NotFound` when either is not there; `Unavailable` when the table is.
    pub async fn owned_run(
        &self,
        owner: AccountId,
        id: AssignmentId,
        run: RunId,
    ) -> Result<(Assignment, RunRecord), Failure> {
        let assignment = self.owned_assignment(owner, id).await?;
        let found = self.run(assignment.assignment, run).await?;
        Ok((assignment, found.ok_or(Failure::NotFound(Noun::Run))?))
    }

    /// A copy of one of the owner's assignments.
    ///
    /// # Errors
    /// `NotFound` when either is not there; `Unavailable` when the table is.
    pub async fn owned_copy(
        &self,
        owner: AccountId,
        id: AssignmentId,
        copy: CopyId,
    ) -> Result<Copy, Failure> {
        let assignment = self.owned_assignment(owner, id).await?;
        let found = self.copy(assignment.assignment, copy).await?;
        found.ok_or(Failure::NotFound(Noun::Copy))
    }
}
