//! Copies: slots for uploads, lists, lookups.

use aws_sdk_dynamodb::types::{KeysAndAttributes, PutRequest, WriteRequest};
use std::collections::HashMap;

use super::expression::Item;
use super::keys;
use super::pages::{Cursor, Page, Range, item, read};
use super::transact::backoff;
use super::{Store, failed};
use crate::domain::copy::Copy;
use crate::domain::failure::{Failure, Internal};
use crate::domain::ids::{AssignmentId, CopyId};

const GET_BATCH: usize = 100;
const PUT_BATCH: usize = 25;
const ROUNDS_MAX: u32 = 10;
/// Copies of one assignment, at most: a class, several times over.
pub const COPIES_PER_ASSIGNMENT_MAX: usize = 2_000;

impl Store {
    /// One copy of an assignment.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn copy(&self, assignment: AssignmentId, copy: CopyId) -> Result<Option<Copy>, Failure> {
        self.get(&keys::copy(assignment, copy), true).await?.map(|found| read("copy", found)).transpose()
    }

    /// The copies of an assignment, oldest first.
    ///
    /// # Errors
    /// `Unavailable` when the table is; `Invalid` for a made-up cursor.
    pub async fn copies(
        &self,
        assignment: AssignmentId,
        cursor: Option<&Cursor>,
        limit: u16,
    ) -> Result<Page<Copy>, Failure> {
        let page = self.page(&copies_of(assignment, false), cursor, limit).await?;
        let items = page.items.into_iter().map(|found| read("copy", found)).collect::<Result<_, _>>()?;
        Ok(Page { items, cursor: page.cursor })
    }

    /// Every copy of an assignment, as they are now.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn all_copies(&self, assignment: AssignmentId) -> Result<Vec<Copy>, Failure> {
        let items = self.all(&copies_of(assignment, true), COPIES_PER_ASSIGNMENT_MAX).await?;
        items.into_iter().map(|found| read("copy", found)).collect()
    }

    /// The copies with these ids, as they are now, in no order; unknown ids are left out.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn copies_by_id(&self, assignment: AssignmentId, ids: &[CopyId]) -> Result<Vec<Copy>, Failure> {
        let mut copies = Vec::with_capacity(ids.len());
        for batch in ids.chunks(GET_BATCH) {
            let mut keys: Vec<Item> = batch.iter().map(|&id| keys::copy(assignment, id).attributes()).collect();
            for round in 0..ROUNDS_MAX {
                if keys.is_empty() {
                    break;
                }
                if round > 0 {
                    tokio::time::sleep(backoff(round)).await;
                }
                let wanted = KeysAndAttributes::builder()
                    .set_keys(Some(std::mem::take(&mut keys)))
                    .consistent_read(true)
                    .build()
                    .map_err(|error| super::unreadable("keys", error))?;
                let found = self
                    .dynamo
                    .batch_get_item()
                    .request_items(&self.table, wanted)
                    .send()
                    .await
                    .map_err(|error| failed("BatchGetItem", &error))?;
                for item in found.responses.unwrap_or_default().remove(&self.table).unwrap_or_default() {
                    copies.push(read("copy", item)?);
                }
                keys = found
                    .unprocessed_keys
                    .unwrap_or_default()
                    .remove(&self.table)
                    .map(|left| left.keys)
                    .unwrap_or_default();
            }
            if !keys.is_empty() {
                return Err(Failure::Unavailable(Internal::new("BatchGetItem: keys left unprocessed")));
            }
        }
        Ok(copies)
    }

    /// Stores new copies. Their ids were minted for this call, so writing one twice writes the same.
    ///
    /// # Errors
    /// `Unavailable` when the table is; the caller may ask for slots again, an unused slot costs nothing.
    pub async fn put_copies(&self, copies: &[Copy]) -> Result<(), Failure> {
        for batch in copies.chunks(PUT_BATCH) {
            let mut writes = Vec::with_capacity(batch.len());
            for copy in batch {
                let mut attributes = item("copy", copy)?;
                attributes.extend(keys::copy(copy.assignment, copy.copy).attributes());
                let put = PutRequest::builder()
                    .set_item(Some(attributes))
                    .build()
                    .map_err(|error| super::unreadable("copy", error))?;
                writes.push(WriteRequest::builder().put_request(put).build());
            }
            for round in 0..ROUNDS_MAX {
                if writes.is_empty() {
                    break;
                }
                if round > 0 {
                    tokio::time::sleep(backoff(round)).await;
                }
                let sent = self
                    .dynamo
                    .batch_write_item()
                    .set_request_items(Some(HashMap::from([(self.table.clone(), std::mem::take(&mut writes))])))
                    .send()
                    .await
                    .map_err(|error| failed("BatchWriteItem", &error))?;
                writes = sent.unprocessed_items.unwrap_or_default().remove(&self.table).unwrap_or_default();
            }
            if !writes.is_empty() {
                return Err(Failure::Unavailable(Internal::new("BatchWriteItem: items left unprocessed")));
            }
        }
        Ok(())
    }
}

fn copies_of(assignment: AssignmentId, consistent: bool) -> Range<'static> {
    Range { partition: keys::group(assignment), prefix: "COPY#", newest_first: false, consistent }
}
