//! Small constructors for DynamoDB's expressions, so that a store's function shows its condition and its
//! change as text, and nothing else.

use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use std::collections::HashMap;

use super::keys::Key;

pub(super) type Item = HashMap<String, AttributeValue>;

pub(super) fn n(value: impl Into<i128>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}

pub(super) fn s(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// `:name` → value pairs.
pub(super) fn values<const N: usize>(pairs: [(&str, AttributeValue); N]) -> Item {
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Every `#name` in the expressions, mapped to `name`: all our attribute names are written with `#`, so a
/// reserved word never matters.
pub(super) fn names(expressions: &[&str]) -> Option<HashMap<String, String>> {
    let mut found = HashMap::new();
    for expression in expressions {
        for part in expression.split('#').skip(1) {
            let end = part
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(part.len());
            found.insert(format!("#{}", &part[..end]), part[..end].to_owned());
        }
    }
    (!found.is_empty()).then_some(found)
}

/// A conditional change of one item. `values` holds the values of both expressions.
pub(super) struct Change<'a> {
    pub(super) key: Key,
    pub(super) change: &'a str,
    pub(super) condition: &'a str,
    pub(super) values: Item,
}

/// One item of a transaction.
pub(super) struct Writes<'a> {
    table: &'a str,
    items: Vec<TransactWriteItem>,
}

impl<'a> Writes<'a> {
    pub(super) const fn new(table: &'a str) -> Self {
        Self {
            table,
            items: Vec::new(),
        }
    }

    /// Puts an item whose key must not exist. Returns its place in the transaction.
    pub(super) fn create(&mut self, key: &Key, mut item: Item) -> usize {
        item.extend(key.attributes());
        let put = Put::builder()
            .table_name(self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build();
        self.push(put.map(|put| TransactWriteItem::builder().put(put).build()))
    }

    /// Puts an item, whether or not one is there.
    pub(super) fn put(&mut self, key: &Key, mut item: Item) -> usize {
        item.extend(key.attributes());
        let put = Put::builder().table_name(self.table).set_item(Some(item)).build();
        self.push(put.map(|put| TransactWriteItem::builder().put(put).build()))
    }

    pub(super) fn change(&mut self, change: Change<'_>) -> usize {
        let update = Update::builder()
            .table_name(self.table)
            .set_key(Some(change.key.attributes()))
            .update_expression(change.change)
            .condition_expression(change.condition)
            .set_expression_attribute_names(names(&[change.change, change.condition]))
            .set_expression_attribute_values((!change.values.is_empty()).then_some(change.values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build();
        self.push(update.map(|update| TransactWriteItem::builder().update(update).build()))
    }

    pub(super) fn check(&mut self, key: &Key, condition: &str, values: Item) -> usize {
        let check = ConditionCheck::builder()
            .table_name(self.table)
            .set_key(Some(key.attributes()))
            .condition_expression(condition)
            .set_expression_attribute_names(names(&[condition]))
            .set_expression_attribute_values((!values.is_empty()).then_some(values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build();
        self.push(check.map(|check| TransactWriteItem::builder().condition_check(check).build()))
    }

    pub(super) fn into_items(self) -> Vec<TransactWriteItem> {
        self.items
    }

    fn push<E: std::fmt::Debug>(&mut self, item: Result<TransactWriteItem, E>) -> usize {
        // Every builder above is given all that it requires, so this cannot be an error.
        if let Ok(item) = item {
            self.items.push(item);
        }
        self.items.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn every_name_in_an_expression_is_declared() {
        let found = names(&[
            "SET #left = #left - :t, #used = :u",
            "#state = :s AND #left >= :t",
        ])
        .unwrap();
        let mut found: Vec<_> = found.into_keys().collect();
        found.sort();
        assert_eq!(found, ["#left", "#state", "#used"]);
        assert_eq!(names(&["attribute_not_exists(pk)"]), None);
    }
}
