//! Customers, and how their cards behave.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::method::test_card;
use super::refusal::Refusal;
use super::subscription::Ending;
use super::world::{Metadata, World, check_metadata, merge_metadata};

/// A customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    /// `cus_…`.
    pub id: String,
    /// Unix seconds.
    pub created: i64,
    /// What our side said of it.
    pub details: Details,
    /// Gone; only its id answers.
    pub deleted: bool,
    /// Cents; negative if we owe the customer.
    pub balance_cents: i64,
    /// Whether the latest invoice failed.
    pub delinquent: bool,
    /// The card that it pays with, once there is one.
    pub payment_method: Option<String>,
    /// How that card behaves.
    pub card: Card,
    /// The number of the next invoice.
    pub next_invoice: u32,
    /// The test clock that it lives on.
    pub test_clock: Option<String>,
}

/// What a customer may have from its first moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Birth {
    /// A test card.
    pub payment_method: Option<String>,
    /// The card that it pays with: the same.
    pub default_payment_method: Option<String>,
    /// A test clock to live on.
    pub test_clock: Option<String>,
}

/// What can be said of a customer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Details {
    /// Where mail goes.
    pub email: Option<String>,
    /// The full name.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// In the order of preference, such as `fr`.
    pub preferred_locales: Vec<String>,
    /// Keys and values of ours.
    pub metadata: Metadata,
}

/// How a card behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Card {
    /// Every charge succeeds.
    #[default]
    Ok,
    /// Every charge is declined.
    Declined,
    /// Every charge waits for the customer: 3-D Secure.
    NeedsAction,
    /// Succeeds while the customer looks on, is declined later: at renewals, plan changes, retries.
    DeclinedLater,
    /// Succeeds while the customer looks on, needs 3-D Secure later.
    ActionLater,
}

/// Who starts a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The customer, on a page of Stripe's.
    Customer,
    /// Nobody looks on: a renewal, a retry, a call of ours.
    Machine,
}

/// What the bank says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Yes.
    Yes,
    /// No.
    No,
    /// Ask the customer.
    Ask,
}

impl Card {
    /// What the bank says to a charge.
    #[must_use]
    pub const fn answer(self, by: By) -> Answer {
        match (self, by) {
            (Self::Ok, _) | (Self::DeclinedLater | Self::ActionLater, By::Customer) => Answer::Yes,
            (Self::Declined, _) | (Self::DeclinedLater, By::Machine) => Answer::No,
            (Self::NeedsAction, _) | (Self::ActionLater, By::Machine) => Answer::Ask,
        }
    }
}

impl World {
    /// Makes a customer.
    ///
    /// # Errors
    /// The e-mail address or the metadata is not what Stripe takes.
    pub fn create_customer(&mut self, details: Details) -> Result<Arc<Customer>, Refusal> {
        self.bear_customer(details, Birth::default())
    }

    /// Makes a customer with a card, or on a test clock.
    ///
    /// # Errors
    /// As [`Self::create_customer`]; there is no such clock or card, or (402) the card is declined.
    pub fn bear_customer(&mut self, details: Details, birth: Birth) -> Result<Arc<Customer>, Refusal> {
        check_details(&details)?;
        if let Some(clock) = &birth.test_clock {
            self.test_clock(clock)
                .map_err(|_| Refusal::missing_in("test_clock", "test_clock", clock))?;
        }
        let card = match &birth.payment_method {
            Some(method) => Some(test_card(method)?),
            None => None,
        };
        if let Some(default) = &birth.default_payment_method
            && birth.payment_method.as_ref() != Some(default)
        {
            let param = "invoice_settings[default_payment_method]";
            return Err(Refusal::missing_in(param, "PaymentMethod", default));
        }
        let id = self.mint("cus_");
        let method = card.map(|card| self.keep_method(&id, card));
        let default = method.as_ref().filter(|_| birth.default_payment_method.is_some());
        let customer = self.customers.insert(Customer {
            id,
            created: self.now,
            details,
            deleted: false,
            balance_cents: 0,
            delinquent: false,
            payment_method: default.map(|method| method.id.clone()),
            card: default.map_or(Card::Ok, |method| method.card),
            next_invoice: 1,
            test_clock: birth.test_clock,
        });
        self.emit("customer.created", Arc::clone(&customer));
        if let Some(method) = method {
            self.emit("payment_method.attached", method);
        }
        Ok(customer)
    }

    /// A customer that is still there.
    ///
    /// # Errors
    /// 404 if there is none, or it was deleted.
    pub fn customer(&self, id: &str) -> Result<&Arc<Customer>, Refusal> {
        self.customers
            .get(id)
            .filter(|customer| !customer.deleted)
            .ok_or_else(|| Refusal::missing("customer", id))
    }

    /// A customer that a parameter names.
    pub(super) fn named_customer(&self, id: &str) -> Result<&Arc<Customer>, Refusal> {
        self.customer(id)
            .map_err(|_| Refusal::missing_in("customer", "customer", id))
    }

    /// Changes what `update` gives; metadata is merged.
    ///
    /// # Errors
    /// The customer is gone, or the values are not what Stripe takes.
    pub fn update_customer(&mut self, id: &str, update: &Details) -> Result<Arc<Customer>, Refusal> {
        let mut details = self.customer(id)?.details.clone();
        let given = |new: &Option<String>, old: Option<String>| new.clone().or(old);
        details.email = given(&update.email, details.email);
        details.name = given(&update.name, details.name);
        details.description = given(&update.description, details.description);
        if !update.preferred_locales.is_empty() {
            details.preferred_locales.clone_from(&update.preferred_locales);
        }
        merge_metadata(&mut details.metadata, &update.metadata);
        check_details(&details)?;
        let change = self.customers.change(id, |customer| customer.details = details);
        self.emit_change("customer.updated", change);
        self.customer(id).cloned()
    }

    /// Deletes a customer, and ends its subscriptions at once.
    ///
    /// # Errors
    /// The customer is gone already.
    pub fn delete_customer(&mut self, id: &str) -> Result<(), Refusal> {
        self.customer(id)?;
        let live: Vec<String> = self
            .subscriptions
            .iter()
            .filter(|subscription| subscription.customer == id && !subscription.status.ended())
            .map(|subscription| subscription.id.clone())
            .collect();
        for subscription in live {
            self.end_subscription(&subscription, Ending::Requested);
        }
        // The event shows the customer as it was.
        if let Some((gone, _)) = self.customers.change(id, |customer| customer.deleted = true) {
            self.emit("customer.deleted", gone);
        }
        Ok(())
    }

    /// Decides how a customer's card behaves from now on. Gives the customer a card if it has none.
    ///
    /// # Errors
    /// The customer is gone.
    pub fn set_card(&mut self, customer: &str, card: Card) -> Result<(), Refusal> {
        let method = match &self.customer(customer)?.payment_method {
            Some(method) => method.clone(),
            None => self.keep_method(customer, card).id.clone(),
        };
        self.methods.change(&method, |method| method.card = card);
        self.customers.change(customer, |customer| {
            customer.payment_method = Some(method);
            customer.card = card;
        });
        Ok(())
    }
}

fn check_details(details: &Details) -> Result<(), Refusal> {
    if let Some(email) = &details.email
        && !email
            .split_once('@')
            .is_some_and(|(name, host)| !name.is_empty() && host.contains('.'))
    {
        let message = format!("Invalid email address: {email}");
        return Err(Refusal::param("email_invalid", "email", message));
    }
    if details
        .name
        .as_ref()
        .is_some_and(|name| name.chars().count() > 256)
    {
        let message = "Invalid string: must be at most 256 characters";
        return Err(Refusal::param(
            "parameter_invalid_string_too_long",
            "name",
            message,
        ));
    }
    check_metadata(&details.metadata)
}
