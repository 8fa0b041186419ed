//! Items as what we wrote: one, a page of them, or all.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::expression::{Item, s, values};
use super::keys::Key;
use super::{Store, failed};
use crate::domain::failure::Failure;
use crate::domain::page::{Cursor, Page, Paging};

/// Items asked for at once when a bounded list is read whole: DynamoDB ends a page at 1 MB by itself.
const BULK: u16 = 500;

/// Which part of a partition a list shows.
pub(super) struct Range<'a> {
    pub(super) partition: String,
    pub(super) prefix: &'a str,
    pub(super) newest_first: bool,
    pub(super) consistent: bool,
}

impl Store {
    /// The item under a key, as it is now.
    pub(super) async fn find<T: DeserializeOwned>(
        &self,
        what: &str,
        key: &Key,
    ) -> Result<Option<T>, Failure> {
        let found = self.get(key, true).await?;
        found.map(|found| read(what, found)).transpose()
    }

    /// A page of a range, for a caller.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        what: &str,
        range: &Range<'_>,
        paging: &Paging,
    ) -> Result<Page<T>, Failure> {
        let page = self.page(range, paging.cursor.as_ref(), paging.limit).await?;
        page.try_map(|found| read(what, found))
    }

    async fn page(
        &self,
        range: &Range<'_>,
        cursor: Option<&Cursor>,
        limit: u16,
    ) -> Result<Page<Item>, Failure> {
        let start = match cursor {
            None => None,
            Some(cursor) => Some(values([
                ("pk", s(range.partition.clone())),
                ("sk", s(cursor.key(range.prefix)?)),
            ])),
        };
        let found = self
            .dynamo
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .set_expression_attribute_values(Some(values([
                (":pk", s(range.partition.clone())),
                (":prefix", s(range.prefix)),
            ])))
            .set_exclusive_start_key(start)
            .scan_index_forward(!range.newest_first)
            .consistent_read(range.consistent)
            .limit(i32::from(limit.max(1)))
            .send()
            .await
            .map_err(|error| failed("Query", &error))?;
        let cursor = found
            .last_evaluated_key()
            .and_then(|key| key.get("sk"))
            .and_then(|sk| sk.as_s().ok())
            .map(Cursor::after);
        Ok(Page {
            items: found.items.unwrap_or_default(),
            cursor,
        })
    }

    /// Every item of a range, at most `max`: for lists that the product bounds (copies of a run, entries).
    pub(super) async fn all(&self, range: &Range<'_>, max: usize) -> Result<Vec<Item>, Failure> {
        let mut items = Vec::new();
        let mut cursor = None;
        while items.len() < max {
            let page = self.page(range, cursor.as_ref(), BULK).await?;
            items.extend(page.items);
            match page.cursor {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        items.truncate(max);
        Ok(items)
    }
}

/// Reads an item as what we wrote.
pub(super) fn read<T: DeserializeOwned>(what: &str, item: Item) -> Result<T, Failure> {
    serde_dynamo::from_item(item).map_err(|error| super::unreadable(what, error))
}

/// The attributes of what we write.
pub(super) fn item<T: Serialize>(what: &str, value: &T) -> Result<Item, Failure> {
    serde_dynamo::to_item(value).map_err(|error| super::unreadable(what, error))
}

/// One attribute's value of what we write.
pub(super) fn attribute<T: Serialize>(what: &str, value: &T) -> Result<AttributeValue, Failure> {
    serde_dynamo::to_attribute_value(value).map_err(|error| super::unreadable(what, error))
}
