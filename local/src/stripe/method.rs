//! Payment methods: Stripe's test cards, and what they are once a customer has them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::customer::{Card, Customer};
use super::refusal::Refusal;
use super::world::World;

/// A card that a customer has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Method {
    /// `pm_…`.
    pub id: String,
    /// Unix seconds.
    pub created: i64,
    /// Whose it is.
    pub customer: String,
    /// How it behaves.
    pub card: Card,
}

/// Test cards by name (<https://docs.stripe.com/testing?testing-method=payment-methods>), and how each behaves once a
/// customer has it; `None` is declined by then.
const TEST_CARDS: [(&str, Option<Card>); 6] = [
    ("pm_card_visa", Some(Card::Ok)),
    ("pm_card_mastercard", Some(Card::Ok)),
    ("pm_card_chargeCustomerFail", Some(Card::Declined)),
    ("pm_card_authenticationRequired", Some(Card::NeedsAction)),
    ("pm_card_chargeDeclined", None),
    ("pm_card_visa_chargeDeclined", None),
];

/// How the test card of this name behaves once a customer has it.
///
/// # Errors
/// 402 for one that no customer can have; 404 for a name that is none.
pub(super) fn test_card(name: &str) -> Result<Card, Refusal> {
    let known = TEST_CARDS.iter().find(|(known, _)| *known == name);
    let (_, card) = known.ok_or_else(|| Refusal::missing("PaymentMethod", name))?;
    card.ok_or_else(|| Refusal::declined("generic_decline", None))
}

impl World {
    /// Gives a customer a test card, which gets an id of its own. A card that the customer has stays as it is.
    ///
    /// # Errors
    /// There is no such customer or card, the card is declined, or it is another customer's.
    pub fn attach_method(&mut self, method: &str, customer: &str) -> Result<Arc<Method>, Refusal> {
        self.named_customer(customer)?;
        match self.methods.get(method) {
            Some(known) if known.customer == customer => Ok(Arc::clone(known)),
            Some(_) => Err(Refusal::invalid(
                "The payment method you provided has already been attached to a customer.",
            )),
            None => {
                let card = test_card(method)?;
                let attached = self.keep_method(customer, card);
                self.emit("payment_method.attached", Arc::clone(&attached));
                Ok(attached)
            }
        }
    }

    /// From now on the customer pays with a card that it has.
    ///
    /// # Errors
    /// It has no such card, or is gone.
    pub fn choose_method(&mut self, customer: &str, method: &str) -> Result<Arc<Customer>, Refusal> {
        self.customer(customer)?;
        let card = self.method_of_customer(customer, method)?.card;
        let change = self.customers.change(customer, |customer| {
            customer.payment_method = Some(method.to_owned());
            customer.card = card;
        });
        self.emit_change("customer.updated", change);
        self.customer(customer).cloned()
    }

    /// A card that the customer has.
    pub(super) fn method_of_customer(&self, customer: &str, method: &str) -> Result<&Arc<Method>, Refusal> {
        let known = self.methods.get(method);
        known.filter(|known| known.customer == customer).ok_or_else(|| {
            let message = format!(
                "The customer does not have a payment method with the ID {method}. The payment method must be attached to the customer."
            );
            Refusal::param(
                "resource_missing",
                "invoice_settings[default_payment_method]",
                message,
            )
        })
    }

    /// A card of the customer's, of which nobody is told.
    pub(super) fn keep_method(&mut self, customer: &str, card: Card) -> Arc<Method> {
        let id = self.mint("pm_");
        self.methods.insert(Method {
            id,
            created: self.now,
            customer: customer.to_owned(),
            card,
        })
    }
}
