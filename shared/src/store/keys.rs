//! Every key of the table, in one place.
//!
//! | partition | sort | what |
//! |---|---|---|
//! | `A#account` | `ASSIGNMENT#id`, `IDEMPOTENCY#kind#key`, `BILLING`, `LETTER#key` | what belongs to an account: a lookup starts from the caller, so someone else's id is simply not there |
//! | `G#assignment` | `RUBRIC#version`, `COPY#id`, `RUN#id`, `MANIFEST#run`, `STARTING` | what belongs to an assignment |
//! | `L#account#period` | `COUNTER`, `RES#run`, `ENTRY#operation` | one ledger |
//! | `CUSTOMER#id`, `EVENT#id` | the same | whose a Stripe customer is; an event whose effect is written |
//! | `OUTBOX` | `millis#id` | messages not yet sent |
//!
//! The sparse index `pending` holds what is not finished: reservations that are not resolved and letters that
//! are not sent, oldest first, and accounts that are subscribed.

use aws_sdk_dynamodb::types::AttributeValue;
use std::collections::HashMap;

use super::idempotency::Kind;
use crate::domain::ids::{AccountId, AssignmentId, CopyId, OutboxId, RunId};
use crate::domain::quota::Period;
use crate::domain::run::Address;
use crate::domain::time::UnixMillis;

pub(super) const OUTBOX_PARTITION: &str = "OUTBOX";
/// The index of what is not finished, and its partitions.
pub(super) const PENDING_INDEX: &str = "pending";
pub(super) const PENDING_PARTITION: &str = "RES";
pub(super) const SUBSCRIBED_PARTITION: &str = "SUBSCRIBED";
pub(super) const LETTERS_PARTITION: &str = "LETTERS";

/// A primary key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) pk: String,
    pub(super) sk: String,
}

impl Key {
    pub(super) fn attributes(&self) -> HashMap<String, AttributeValue> {
        HashMap::from([
            ("pk".to_owned(), AttributeValue::S(self.pk.clone())),
            ("sk".to_owned(), AttributeValue::S(self.sk.clone())),
        ])
    }
}

pub(super) fn account(account: AccountId) -> String {
    format!("A#{account}")
}

pub(super) fn group(assignment: AssignmentId) -> String {
    format!("G#{assignment}")
}

pub(super) fn ledger(account: AccountId, period: &Period) -> String {
    format!("L#{account}#{}", period.as_str())
}

/// The account and period in a ledger's partition key.
pub(super) fn parse_ledger(pk: &str) -> Option<(AccountId, Period)> {
    let (account, period) = pk.strip_prefix("L#")?.split_once('#')?;
    Some((account.parse().ok()?, Period::parse(period)?))
}

pub(super) fn billing(id: AccountId) -> Key {
    Key {
        pk: account(id),
        sk: "BILLING".to_owned(),
    }
}

pub(super) fn letter(id: AccountId, key: &str) -> Key {
    Key {
        pk: account(id),
        sk: format!("LETTER#{key}"),
    }
}

/// A key whose partition holds this one item.
fn single(kind: &str, id: &str) -> Key {
    let pk = format!("{kind}#{id}");
    Key { sk: pk.clone(), pk }
}

pub(super) fn customer(id: &str) -> Key {
    single("CUSTOMER", id)
}

pub(super) fn event(id: &str) -> Key {
    single("EVENT", id)
}

pub(super) fn assignment(owner: AccountId, id: AssignmentId) -> Key {
    Key {
        pk: account(owner),
        sk: format!("ASSIGNMENT#{id}"),
    }
}

/// `key` is a digest: what a caller sends never becomes a part of a key.
pub(super) fn idempotency(owner: AccountId, kind: Kind, digest: &str) -> Key {
    Key {
        pk: account(owner),
        sk: format!("IDEMPOTENCY#{}#{digest}", kind.name()),
    }
}

pub(super) fn rubric(assignment: AssignmentId, version: u32) -> Key {
    Key {
        pk: group(assignment),
        sk: format!("RUBRIC#{version:05}"),
    }
}

pub(super) fn copy(assignment: AssignmentId, id: CopyId) -> Key {
    Key {
        pk: group(assignment),
        sk: format!("COPY#{id}"),
    }
}

pub(super) fn run(assignment: AssignmentId, id: RunId) -> Key {
    Key {
        pk: group(assignment),
        sk: format!("RUN#{id}"),
    }
}

pub(super) fn manifest(assignment: AssignmentId, id: RunId) -> Key {
    Key {
        pk: group(assignment),
        sk: format!("MANIFEST#{id}"),
    }
}

pub(super) fn starting(assignment: AssignmentId) -> Key {
    Key {
        pk: group(assignment),
        sk: "STARTING".to_owned(),
    }
}

pub(super) fn counter(owner: AccountId, period: &Period) -> Key {
    Key {
        pk: ledger(owner, period),
        sk: "COUNTER".to_owned(),
    }
}

pub(super) fn reservation(address: &Address) -> Key {
    Key {
        pk: ledger(address.account, &address.period),
        sk: format!("RES#{}", address.run),
    }
}

pub(super) fn entry(owner: AccountId, period: &Period, operation: &str) -> Key {
    Key {
        pk: ledger(owner, period),
        sk: format!("ENTRY#{operation}"),
    }
}

pub(super) fn outbox(id: OutboxId, at: UnixMillis) -> Key {
    Key {
        pk: OUTBOX_PARTITION.to_owned(),
        sk: format!("{}#{id}", moment(at)),
    }
}

/// Sorts as text the way moments sort.
pub(super) fn moment(at: UnixMillis) -> String {
    format!("{:015}", at.unsigned())
}
