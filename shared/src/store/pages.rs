//! Lists by cursor.

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use super::Store;
use super::expression::{Item, s, values};
use super::failed;
use crate::domain::failure::{Failure, Sentence};

/// Items of one page that a caller may ask for, at most.
pub const PAGE_MAX: u16 = 100;
/// Items asked for at once when a bounded list is read whole: DynamoDB ends a page at 1 MB by itself.
const BULK: u16 = 500;

/// Where a list goes on: opaque to the caller, and only ever a sort key within the partition that the route
/// names, so a made-up cursor reads nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Cursor(String);

impl Cursor {
    fn after(sort_key: &str) -> Self {
        Self(URL_SAFE_NO_PAD.encode(sort_key))
    }

    /// Reads a caller's cursor.
    ///
    /// # Errors
    /// `Invalid` when it is not one of ours.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let cursor = Self(text.to_owned());
        if text.len() <= 400 && cursor.sort_key().is_some() {
            Ok(cursor)
        } else {
            Err(invalid_cursor())
        }
    }

    /// A cursor into a list that has places instead of keys.
    #[must_use]
    pub fn at_place(place: usize) -> Self {
        Self::after(&format!("@{place}"))
    }

    /// The place in such a list.
    ///
    /// # Errors
    /// `Invalid` when the cursor is another list's.
    pub fn place(&self) -> Result<usize, Failure> {
        let key = self.sort_key().unwrap_or_default();
        key.strip_prefix('@')
            .and_then(|place| place.parse().ok())
            .ok_or_else(invalid_cursor)
    }

    fn sort_key(&self) -> Option<String> {
        String::from_utf8(URL_SAFE_NO_PAD.decode(&self.0).ok()?).ok()
    }
}

fn invalid_cursor() -> Failure {
    Failure::Invalid {
        path: "cursor".to_owned(),
        code: "invalid-cursor",
        sentence: Sentence::new(
            "Ce curseur n'est pas valable : reprenez la liste depuis le début.",
            "This cursor is not valid: start the list again.",
        ),
    }
}

impl From<Cursor> for String {
    fn from(cursor: Cursor) -> Self {
        cursor.0
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page starts; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Cursor>,
}

/// Which part of a partition a list shows.
pub(super) struct Range<'a> {
    pub(super) partition: String,
    pub(super) prefix: &'a str,
    pub(super) newest_first: bool,
    pub(super) consistent: bool,
}

impl Store {
    pub(super) async fn page(
        &self,
        range: &Range<'_>,
        cursor: Option<&Cursor>,
        limit: u16,
    ) -> Result<Page<Item>, Failure> {
        let start = match cursor {
            None => None,
            Some(cursor) => {
                let sort_key = cursor
                    .sort_key()
                    .filter(|key| key.starts_with(range.prefix))
                    .ok_or_else(invalid_cursor)?;
                Some(values([("pk", s(range.partition.clone())), ("sk", s(sort_key))]))
            }
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
            .map(|sort_key| Cursor::after(sort_key));
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
pub(super) fn read<T: serde::de::DeserializeOwned>(what: &str, item: Item) -> Result<T, Failure> {
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
