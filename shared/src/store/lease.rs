//! Lease: a worker holds a copy until a moment; the epoch fences whoever held it before.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};

use super::expression::{Change, Item, n, names, s, values};
use super::keys;
use super::pages::read;
use super::{Store, failed};
use crate::domain::copy::{Copy, CopyState, EPOCHS_MAX, Lease};
use crate::domain::failure::Failure;
use crate::domain::ids::CopyId;
use crate::domain::run::Address;
use crate::domain::time::UnixMillis;

/// How one conditional change of one item ended.
enum Changed {
    /// The item as it is now.
    Yes(Item),
    /// The item that the condition met, if any.
    No(Option<Item>),
}

impl Store {
    async fn change_one(&self, operation: &str, change: Change<'_>) -> Result<Changed, Failure> {
        let sent = self
            .dynamo
            .update_item()
            .table_name(&self.table)
            .set_key(Some(change.key.attributes()))
            .update_expression(change.change)
            .condition_expression(change.condition)
            .set_expression_attribute_names(names(&[change.change, change.condition]))
            .set_expression_attribute_values(Some(change.values))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match sent {
            Ok(output) => Ok(Changed::Yes(output.attributes.unwrap_or_default())),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                    Ok(Changed::No(refused.item.clone()))
                }
                _ => Err(failed(operation, &error)),
            },
        }
    }

    /// Takes a copy's lease until `until`. `holder` names this attempt, so that a lease whose reply was lost is
    /// recognised as ours and not waited for.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn lease(
        &self,
        address: &Address,
        copy: CopyId,
        holder: &str,
        now: UnixMillis,
        until: UnixMillis,
    ) -> Result<Lease, Failure> {
        let changed = self
            .change_one(
                "lease",
                Change {
                    key: keys::copy(address.assignment, copy),
                    change: "SET #state = :leased, #epoch = #epoch + :one, #lease_until = :until, \
                             #phase = :detection, #holder = :holder",
                    condition: "#run = :run AND #epoch < :max \
                                AND (#state = :queued OR (#state = :leased AND #lease_until < :now))",
                    values: values([
                        (":leased", s(CopyState::Leased.name())),
                        (":queued", s(CopyState::Queued.name())),
                        (":run", s(address.run.to_string())),
                        (":one", n(1)),
                        (":max", n(EPOCHS_MAX)),
                        (":until", n(until.get())),
                        (":now", n(now.get())),
                        (":detection", s("detection")),
                        (":holder", s(holder)),
                    ]),
                },
            )
            .await?;
        let item = match changed {
            Changed::Yes(item) => return Ok(Lease::Taken(Box::new(read("copy", item)?))),
            Changed::No(None) => return Ok(Lease::Gone),
            Changed::No(Some(item)) => item,
        };
        let held_by_us = item
            .get("holder")
            .and_then(|value| value.as_s().ok())
            .map(String::as_str)
            == Some(holder);
        let found: Copy = read("copy", item)?;
        if found.run != Some(address.run) || !found.state.is_busy() {
            return Ok(Lease::Gone);
        }
        match found.lease_until {
            _ if held_by_us && found.state == CopyState::Leased => Ok(Lease::Taken(Box::new(found))),
            Some(until) if found.state == CopyState::Leased && until >= now => Ok(Lease::Busy(until)),
            _ => Ok(Lease::Exhausted(Box::new(found))),
        }
    }

    /// Shows which step the worker is in. `false` when the worker no longer holds the copy.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn set_phase(&self, address: &Address, copy: &Copy, phase: &str) -> Result<bool, Failure> {
        let changed = self
            .change_one(
                "phase",
                Change {
                    key: keys::copy(address.assignment, copy.copy),
                    change: "SET #phase = :phase",
                    condition: "#run = :run AND #state = :leased AND #epoch = :epoch",
                    values: values([
                        (":phase", s(phase)),
                        (":run", s(address.run.to_string())),
                        (":leased", s(CopyState::Leased.name())),
                        (":epoch", n(copy.epoch)),
                    ]),
                },
            )
            .await?;
        Ok(matches!(changed, Changed::Yes(_)))
    }

    /// Gives a lease back after a failure that time heals; the copy's message comes again. `false` when the
    /// worker no longer holds the copy.
    ///
    /// # Errors
    /// `Unavailable` when the table is; the lease then ends by itself.
    pub async fn release(&self, address: &Address, copy: &Copy) -> Result<bool, Failure> {
        let changed = self
            .change_one(
                "release",
                Change {
                    key: keys::copy(address.assignment, copy.copy),
                    change: "SET #state = :queued REMOVE #lease_until, #holder, #phase",
                    condition: "#run = :run AND #state = :leased AND #epoch = :epoch",
                    values: values([
                        (":queued", s(CopyState::Queued.name())),
                        (":run", s(address.run.to_string())),
                        (":leased", s(CopyState::Leased.name())),
                        (":epoch", n(copy.epoch)),
                    ]),
                },
            )
            .await?;
        Ok(matches!(changed, Changed::Yes(_)))
    }
}
