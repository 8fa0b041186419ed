//! Checkout: the page on which a customer subscribes.
//!
//! The first attempt to pay makes the subscription, `incomplete`; what pays it completes the session. So
//! `customer.subscription.created` shows `incomplete` and `updated` shows `active`, and they may arrive in any order.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::customer::{By, Card, Details};
use super::payment::Attempt;
use super::refusal::Refusal;
use super::subscription::{NewSubscription, Status};
use super::world::{Metadata, World, check_metadata};

/// How long a page can be paid.
pub const SESSION_SECONDS: i64 = 24 * 3600;

/// A Checkout session in mode `subscription`, for one price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// `cs_test_…` or `cs_live_…`.
    pub id: String,
    /// Unix seconds.
    pub created: i64,
    /// When the page closes, in Unix seconds.
    pub expires_at: i64,
    /// What was asked for.
    pub asked: NewSession,
    /// The customer: given, or made when the page was paid.
    pub customer: Option<String>,
    /// Where the page is in its life.
    pub status: SessionStatus,
    /// What it made, once complete.
    pub subscription: Option<String>,
    /// The first invoice, once complete.
    pub invoice: Option<String>,
    /// What a failed or unfinished attempt left: the subscription, `incomplete`.
    pub attempt: Option<String>,
}

/// What a session is made from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NewSession {
    /// The customer, if there is one already.
    pub customer: Option<String>,
    /// The address to fill in, without a customer.
    pub customer_email: Option<String>,
    /// The price.
    pub price: String,
    /// Where to go afterwards; `{CHECKOUT_SESSION_ID}` is replaced.
    pub success_url: Option<String>,
    /// Where to go if the customer gives up.
    pub cancel_url: Option<String>,
    /// A name of ours.
    pub client_reference_id: Option<String>,
    /// The page's language.
    pub locale: Option<String>,
    /// The session's metadata.
    pub metadata: Metadata,
    /// The subscription's metadata.
    pub subscription_metadata: Metadata,
    /// When the page closes, in Unix seconds; after a day if not given.
    pub expires_at: Option<i64>,
}

/// Where a session is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionStatus {
    /// Can be paid.
    Open,
    /// Paid.
    Complete,
    /// Too late, or expired by a call.
    Expired,
}

impl World {
    /// Opens a page.
    ///
    /// # Errors
    /// The customer or the price is not there, the price is inactive, or a value is not what Stripe takes.
    pub fn create_checkout(&mut self, asked: NewSession) -> Result<Arc<Session>, Refusal> {
        self.account
            .catalogue
            .choosable(&asked.price, "line_items[0][price]")?;
        if let Some(customer) = &asked.customer {
            self.named_customer(customer)?;
            if asked.customer_email.is_some() {
                let message = "You may only specify one of these parameters: customer, customer_email.";
                return Err(Refusal::invalid(message));
            }
        }
        if asked.success_url.is_none() {
            return Err(Refusal::absent("success_url"));
        }
        check_metadata(&asked.metadata)?;
        check_metadata(&asked.subscription_metadata)?;
        let expires_at = asked.expires_at.unwrap_or(self.now + SESSION_SECONDS);
        if !(self.now + 30 * 60..=self.now + SESSION_SECONDS).contains(&expires_at) {
            let message = "The `expires_at` timestamp must be between 30 minutes and 24 hours after Checkout Session creation.";
            return Err(Refusal::param("parameter_invalid_integer", "expires_at", message));
        }
        let id = self.mint(if self.account.livemode {
            "cs_live_"
        } else {
            "cs_test_"
        });
        Ok(self.sessions.insert(Session {
            id,
            created: self.now,
            expires_at,
            customer: asked.customer.clone(),
            asked,
            status: SessionStatus::Open,
            subscription: None,
            invoice: None,
            attempt: None,
        }))
    }

    /// A session.
    ///
    /// # Errors
    /// 404 if there is none.
    pub fn session(&self, id: &str) -> Result<&Arc<Session>, Refusal> {
        self.sessions
            .get(id)
            .ok_or_else(|| Refusal::missing("checkout.session", id))
    }

    /// The customer pays with a card that behaves like `card`. The page stays open unless it is paid.
    ///
    /// # Errors
    /// The page is complete or expired.
    pub fn pay(&mut self, session: &str, card: Card) -> Result<Attempt, Refusal> {
        let open = self.open_session(session)?;
        let customer = self.customer_of(&open)?;
        self.set_card(&customer, card)?;
        let subscription = self.attempted(&open, &customer)?;
        let invoice = self.first_invoice(&subscription)?;
        let attempt = self.attempt(&invoice, By::Customer)?;
        if attempt == Attempt::Paid {
            self.complete(session, &subscription, &invoice);
        }
        Ok(attempt)
    }

    /// Whether the page asks for an address: its customer has none.
    #[must_use]
    pub fn needs_email(&self, session: &Session) -> bool {
        let customer = session.customer.as_ref().and_then(|id| self.customer(id).ok());
        customer.is_some_and(|it| it.details.email.is_none())
    }

    /// The address that was typed on the page becomes the customer's, if it has none: Stripe shows one that it
    /// has, and lets nobody change it there.
    ///
    /// # Errors
    /// The page is not open, or this is no address.
    pub fn give_email(&mut self, session: &str, email: String) -> Result<(), Refusal> {
        let open = self.open_session(session)?;
        if let Some(customer) = open.customer.as_ref().filter(|_| self.needs_email(&open)) {
            let details = Details {
                email: Some(email),
                ..Details::default()
            };
            self.update_customer(customer, &details)?;
        }
        Ok(())
    }

    /// The customer answers 3-D Secure, well or badly. The page stays open unless it is paid.
    ///
    /// # Errors
    /// The page is not open, or nothing waits for an answer.
    pub fn confirm_checkout(&mut self, session: &str, proven: bool) -> Result<Attempt, Refusal> {
        let open = self.open_session(session)?;
        let subscription = open
            .attempt
            .clone()
            .ok_or_else(|| Refusal::invalid("Nothing waits for a confirmation."))?;
        let invoice = self.first_invoice(&subscription)?;
        let attempt = self.confirm(&invoice, proven)?;
        if attempt == Attempt::Paid {
            self.complete(session, &subscription, &invoice);
        }
        Ok(attempt)
    }

    /// Closes the page without payment.
    ///
    /// # Errors
    /// The page is not open.
    pub fn expire_checkout(&mut self, session: &str) -> Result<Arc<Session>, Refusal> {
        let found = self.session(session)?;
        if found.status != SessionStatus::Open {
            let message = "Only Checkout Sessions with a status in [\"open\"] can be expired. This Checkout Session has a status of \"";
            return Err(Refusal::invalid(format!("{message}{}\".", found.status.name())));
        }
        let change = self
            .sessions
            .change(session, |session| session.status = SessionStatus::Expired);
        if let Some((_, expired)) = change {
            self.emit("checkout.session.expired", expired);
        }
        self.session(session).cloned()
    }

    fn open_session(&self, id: &str) -> Result<Arc<Session>, Refusal> {
        let session = self.session(id)?;
        if session.status != SessionStatus::Open {
            let message = format!("This Checkout Session is {}.", session.status.name());
            return Err(Refusal::invalid(message));
        }
        Ok(Arc::clone(session))
    }

    fn customer_of(&mut self, session: &Session) -> Result<String, Refusal> {
        if let Some(customer) = &session.customer {
            return Ok(customer.clone());
        }
        let details = Details {
            email: session.asked.customer_email.clone(),
            ..Details::default()
        };
        let customer = self.create_customer(details)?.id.clone();
        self.sessions
            .change(&session.id, |session| session.customer = Some(customer.clone()));
        Ok(customer)
    }

    /// The subscription that this page pays: the one of an earlier attempt, if it still can be paid.
    fn attempted(&mut self, session: &Session, customer: &str) -> Result<String, Refusal> {
        let earlier = session.attempt.as_ref().filter(|id| {
            self.subscriptions
                .get(id)
                .is_some_and(|subscription| subscription.status == Status::Incomplete)
        });
        if let Some(earlier) = earlier {
            return Ok(earlier.clone());
        }
        let id = self.begin_subscription(NewSubscription {
            customer: customer.to_owned(),
            price: session.asked.price.clone(),
            metadata: session.asked.subscription_metadata.clone(),
        })?;
        self.sessions
            .change(&session.id, |session| session.attempt = Some(id.clone()));
        Ok(id)
    }

    fn first_invoice(&self, subscription: &str) -> Result<String, Refusal> {
        self.subscriptions
            .get(subscription)
            .and_then(|subscription| subscription.latest_invoice.clone())
            .ok_or_else(|| Refusal::missing("invoice", ""))
    }

    fn complete(&mut self, session: &str, subscription: &str, invoice: &str) {
        let change = self.sessions.change(session, |session| {
            session.status = SessionStatus::Complete;
            session.subscription = Some(subscription.to_owned());
            session.invoice = Some(invoice.to_owned());
        });
        if let Some((_, complete)) = change {
            self.emit("checkout.session.completed", complete);
        }
    }
}

impl SessionStatus {
    /// As Stripe writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Complete => "complete",
            Self::Expired => "expired",
        }
    }
}
