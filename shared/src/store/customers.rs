//! Whose a Stripe customer is.

use aws_sdk_dynamodb::types::AttributeValue;

use super::expression::{Change, Writes, n, s, values};
use super::keys;
use super::transact::Committed;
use super::{Store, unreadable};
use crate::domain::failure::{Failure, Internal};
use crate::domain::ids::AccountId;

/// Customers of one account beside the first.
const OTHERS_MAX: u32 = 4;

impl Store {
    /// Whose a customer is; `None` for one that we never linked.
    ///
    /// # Errors
    /// `Unavailable` when the table is.
    pub async fn account_of(&self, customer: &str) -> Result<Option<AccountId>, Failure> {
        let Some(found) = self.get(&keys::customer(customer), true).await? else {
            return Ok(None);
        };
        let account = found.get("account").and_then(|value| value.as_s().ok());
        account
            .and_then(|text| text.parse().ok())
            .map(Some)
            .ok_or_else(|| unreadable("customer", "no account"))
    }

    /// Makes `customer` the account's, unless it has one: the customer that is the account's from now on.
    ///
    /// # Errors
    /// `Unavailable` when the table is; `Internal` when the customer is another account's.
    pub async fn link_customer(&self, account: AccountId, customer: &str) -> Result<String, Failure> {
        let mut writes = Writes::new(&self.table);
        writes.change(Change {
            key: keys::billing(account),
            change: "SET #customer = :customer",
            condition: "attribute_not_exists(#customer)",
            values: values([(":customer", s(customer))]),
        });
        writes.create(
            &keys::customer(customer),
            values([("account", s(account.to_string()))]),
        );
        if let Committed::Yes = self.commit("link customer", writes).await? {
            return Ok(customer.to_owned());
        }
        let linked = self.billing(account).await?.customer;
        linked.ok_or_else(|| Failure::Internal(Internal::new("the customer is another account's")))
    }

    /// Makes `customer` the account's in place of `gone`, which is deleted at Stripe: the customer that is the account's
    /// from now on. What is still told of `gone` stays the account's.
    ///
    /// # Errors
    /// `Unavailable` when the table is; `Internal` when the customer is another account's.
    pub async fn replace_customer(
        &self,
        account: AccountId,
        gone: &str,
        customer: &str,
    ) -> Result<String, Failure> {
        let mut writes = Writes::new(&self.table);
        writes.change(Change {
            key: keys::billing(account),
            change: "SET #customer = :customer",
            condition: "#customer = :gone",
            values: values([(":customer", s(customer)), (":gone", s(gone))]),
        });
        writes.create(
            &keys::customer(customer),
            values([("account", s(account.to_string()))]),
        );
        if let Committed::Yes = self.commit("replace customer", writes).await? {
            return Ok(customer.to_owned());
        }
        let linked = self.billing(account).await?.customer.filter(|it| it != gone);
        linked.ok_or_else(|| Failure::Internal(Internal::new("the customer is another account's")))
    }

    /// Makes `customer` another of an account that has one already.
    ///
    /// # Errors
    /// `Unavailable` when the table is; `Internal` when the customer is another account's, or there are too many.
    pub async fn adopt_customer(&self, account: AccountId, customer: &str) -> Result<(), Failure> {
        let mut writes = Writes::new(&self.table);
        let one = AttributeValue::L(vec![s(customer)]);
        writes.change(Change {
            key: keys::billing(account),
            change: "SET #others = list_append(if_not_exists(#others, :none), :one)",
            condition: "attribute_exists(#customer) AND (attribute_not_exists(#others) OR size(#others) < :max)",
            values: values([
                (":none", AttributeValue::L(Vec::new())),
                (":one", one),
                (":max", n(OTHERS_MAX)),
            ]),
        });
        writes.create(
            &keys::customer(customer),
            values([("account", s(account.to_string()))]),
        );
        if let Committed::Yes = self.commit("adopt customer", writes).await? {
            return Ok(());
        }
        if self.account_of(customer).await? == Some(account) {
            return Ok(());
        }
        Err(Failure::Internal(Internal::new(
            "an account with too many customers, or another account's customer",
        )))
    }
}
