//! Copies: slots for uploads, lists, lookups.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{KeysAndAttributes, Select};
use futures::stream::{self, StreamExt, TryStreamExt};

use super::expression::{Item, s, values};
use super::idempotency::{Idempotency, Kind};
use super::keys;
use super::pages::{Range, item, read};
use super::transact::backoff;
use super::{Store, failed, unreadable};
use crate::domain::copy::Copy;
use crate::domain::failure::{Failure, Internal};
use crate::domain::ids::{AccountId, AssignmentId, CopyId};
use crate::domain::page::{Page, Paging};
use crate::domain::time::UnixMillis;

const GET_BATCH: usize = 100;
const PUTS_AT_ONCE: usize = 10;
const ROUNDS_MAX: u32 = 10;
/// Copies of one assignment, at most: a class, several times over.
pub const COPIES_PER_ASSIGNMENT_MAX: usize = 2_000;

impl Store {
    /// One copy of an assignment.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn copy(&self, assignment: AssignmentId, copy: CopyId) -> Result<Option<Copy>, Failure> {
        self.find("copy", &keys::copy(assignment, copy)).await
    }

    /// The copies of an assignment, oldest first.
    ///
    /// # Errors
    /// `Unavailable` when the table is; `Invalid` for a made-up cursor.
    pub async fn copies(&self, assignment: AssignmentId, paging: &Paging) -> Result<Page<Copy>, Failure> {
        self.list("copy", &copies_of(assignment, false), paging).await
    }

    /// Every copy of an assignment, as they are now.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn all_copies(&self, assignment: AssignmentId) -> Result<Vec<Copy>, Failure> {
        let items = self
            .all(&copies_of(assignment, true), COPIES_PER_ASSIGNMENT_MAX)
            .await?;
        items.into_iter().map(|found| read("copy", found)).collect()
    }

    /// The copies with these ids, as they are now, in no order; unknown ids are left out.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn copies_by_id(&self, assignment: AssignmentId, ids: &[CopyId]) -> Result<Vec<Copy>, Failure> {
        let mut copies = Vec::with_capacity(ids.len());
        for batch in ids.chunks(GET_BATCH) {
            let mut keys: Vec<Item> = batch
                .iter()
                .map(|&id| keys::copy(assignment, id).attributes())
                .collect();
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
                    .map_err(|error| unreadable("keys", error))?;
                let found = self
                    .dynamo
                    .batch_get_item()
                    .request_items(&self.table, wanted)
                    .send()
                    .await
                    .map_err(|error| failed("BatchGetItem", &error))?;
                for item in found
                    .responses
                    .unwrap_or_default()
                    .remove(&self.table)
                    .unwrap_or_default()
                {
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
                return Err(Failure::Unavailable(Internal::new(
                    "BatchGetItem: keys left unprocessed",
                )));
            }
        }
        Ok(copies)
    }

    /// How many copies an assignment has.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn count_copies(&self, assignment: AssignmentId) -> Result<usize, Failure> {
        let range = copies_of(assignment, false);
        let mut count = 0;
        let mut start = None;
        for _ in 0..ROUNDS_MAX {
            let page = self
                .dynamo
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                .set_expression_attribute_values(Some(values([
                    (":pk", s(range.partition.clone())),
                    (":prefix", s(range.prefix)),
                ])))
                .select(Select::Count)
                .set_exclusive_start_key(start.take())
                .send()
                .await
                .map_err(|error| failed("Query count", &error))?;
            count += usize::try_from(page.count).unwrap_or_default();
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        Ok(count)
    }

    /// When the request with this idempotency key was first made, and so under which ids its copies are: now, if
    /// it is new.
    ///
    /// # Errors
    /// `Conflict` when the key was used for another request; `Unavailable` when the table is.
    pub async fn slots_requested_at(
        &self,
        owner: AccountId,
        idempotency: Idempotency<'_>,
        now: UnixMillis,
    ) -> Result<UnixMillis, Failure> {
        let asked = (owner, Kind::Copies);
        let known = self.remember_alone(asked, idempotency, now.get(), now).await?;
        Ok(known.map_or(now, UnixMillis::new))
    }

    /// Stores new copies. One that is there already is left as it is.
    ///
    /// # Errors
    /// `Unavailable` when the table is; asking again stores those that are missing.
    pub async fn put_copies(&self, copies: &[Copy]) -> Result<(), Failure> {
        let puts: Vec<_> = copies.iter().map(|copy| self.put_copy(copy)).collect();
        stream::iter(puts)
            .buffer_unordered(PUTS_AT_ONCE)
            .try_collect()
            .await
    }

    async fn put_copy(&self, copy: &Copy) -> Result<(), Failure> {
        let mut attributes = item("copy", copy)?;
        attributes.extend(keys::copy(copy.assignment, copy.copy).attributes());
        let sent = self
            .dynamo
            .put_item()
            .table_name(&self.table)
            .set_item(Some(attributes))
            .condition_expression("attribute_not_exists(pk)")
            .send()
            .await;
        match sent {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(()),
                _ => Err(failed("PutItem copy", &error)),
            },
        }
    }
}

fn copies_of(assignment: AssignmentId, consistent: bool) -> Range<'static> {
    Range {
        partition: keys::group(assignment),
        prefix: "COPY#",
        newest_first: false,
        consistent,
    }
}
