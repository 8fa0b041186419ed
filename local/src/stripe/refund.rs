//! Money given back: refunds that we make, disputes that a bank opens.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::payment::Charge;
use super::refusal::Refusal;
use super::world::{Metadata, World, check_metadata};

/// Money given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// `re_…`.
    pub id: String,
    /// Unix seconds.
    pub created: i64,
    /// The charge's id.
    pub charge: String,
    /// The payment's id.
    pub intent: String,
    /// Cents.
    pub cents: i64,
    /// Stripe's word for why.
    pub reason: Option<String>,
    /// Keys and values of ours.
    pub metadata: Metadata,
}

/// What a refund is made from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewRefund {
    /// The charge, or else the payment.
    pub charge: Option<String>,
    /// The payment: its newest charge is meant.
    pub payment_intent: Option<String>,
    /// Cents; all that is left if not given.
    pub cents: Option<i64>,
    /// Stripe's word for why.
    pub reason: Option<String>,
    /// Keys and values of ours.
    pub metadata: Metadata,
}

/// A charge that the customer disowned at the bank, or that the bank asks about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    /// `du_…`.
    pub id: String,
    /// Unix seconds.
    pub created: i64,
    /// The charge's id.
    pub charge: String,
    /// The payment's id.
    pub intent: String,
    /// Cents.
    pub cents: i64,
    /// Where it is in its life.
    pub status: DisputeStatus,
}

/// Where a dispute is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "Stripe's own words")]
pub enum DisputeStatus {
    WarningNeedsResponse,
    WarningClosed,
    NeedsResponse,
    Won,
    Lost,
}

impl DisputeStatus {
    /// As Stripe writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WarningNeedsResponse => "warning_needs_response",
            Self::WarningClosed => "warning_closed",
            Self::NeedsResponse => "needs_response",
            Self::Won => "won",
            Self::Lost => "lost",
        }
    }

    /// Whether it is an inquiry: no money has moved.
    #[must_use]
    pub const fn is_inquiry(self) -> bool {
        matches!(self, Self::WarningNeedsResponse | Self::WarningClosed)
    }
}

impl World {
    /// Gives money back.
    ///
    /// # Errors
    /// The charge is not there, failed, is in dispute, or has less left than asked.
    pub fn refund(&mut self, asked: NewRefund) -> Result<Arc<Refund>, Refusal> {
        let charge = self.charge_to_refund(&asked)?;
        check_metadata(&asked.metadata)?;
        if charge.decline.is_some() {
            return Err(Refusal::invalid(format!("Charge {} has failed.", charge.id)));
        }
        let dispute = charge
            .dispute
            .as_ref()
            .and_then(|id| self.disputes.get(id))
            .cloned();
        if dispute.as_ref().is_some_and(|it| !it.status.is_inquiry()) {
            let message = format!(
                "Charge {} has been charged back; cannot issue a refund.",
                charge.id
            );
            return Err(Refusal::coded("charge_disputed", message));
        }
        let left = charge.cents - charge.refunded_cents;
        if left == 0 {
            let message = format!("Charge {} has already been refunded.", charge.id);
            return Err(Refusal::coded("charge_already_refunded", message));
        }
        let cents = asked.cents.unwrap_or(left);
        if cents < 1 {
            return Err(Refusal::param(
                "parameter_invalid_integer",
                "amount",
                "This value must be greater than or equal to 1.",
            ));
        }
        if cents > left {
            let message =
                format!("Refund amount ({cents}) is greater than unrefunded amount on charge ({left})");
            return Err(Refusal {
                param: Some("amount".to_owned()),
                ..Refusal::invalid(message)
            });
        }
        let id = self.mint("re_");
        let refund = self.refunds.insert(Refund {
            id,
            created: self.now,
            charge: charge.id.clone(),
            intent: charge.intent.clone(),
            cents,
            reason: asked.reason,
            metadata: asked.metadata,
        });
        let change = self
            .charges
            .change(&charge.id, |charge| charge.refunded_cents += cents);
        self.emit("refund.created", Arc::clone(&refund));
        self.emit_change("charge.refunded", change);
        // What was given back in full, nobody asks about any more.
        if let Some(dispute) = dispute.filter(|_| cents == left) {
            self.decide(&dispute.id, DisputeStatus::WarningClosed);
        }
        Ok(refund)
    }

    /// A charge.
    ///
    /// # Errors
    /// 404 if there is none.
    pub fn charge_by_id(&self, id: &str) -> Result<&Arc<Charge>, Refusal> {
        self.charges.get(id).ok_or_else(|| Refusal::missing("charge", id))
    }

    /// The customer disowns a charge.
    ///
    /// # Errors
    /// The charge is not there, failed, or is disputed already.
    pub fn open_dispute(&mut self, charge: &str) -> Result<Arc<Dispute>, Refusal> {
        self.open(charge, DisputeStatus::NeedsResponse)
    }

    /// The customer's bank asks about a charge, and takes no money.
    ///
    /// # Errors
    /// As for [`World::open_dispute`].
    pub fn open_inquiry(&mut self, charge: &str) -> Result<Arc<Dispute>, Refusal> {
        self.open(charge, DisputeStatus::WarningNeedsResponse)
    }

    fn open(&mut self, charge: &str, status: DisputeStatus) -> Result<Arc<Dispute>, Refusal> {
        let charge = Arc::clone(self.charge_by_id(charge)?);
        if charge.decline.is_some() || charge.dispute.is_some() {
            return Err(Refusal::invalid(
                "Only a successful charge can be disputed, and once.",
            ));
        }
        let id = self.mint("du_");
        let dispute = self.disputes.insert(Dispute {
            id: id.clone(),
            created: self.now,
            charge: charge.id.clone(),
            intent: charge.intent.clone(),
            cents: charge.cents,
            status,
        });
        self.charges
            .change(&charge.id, |charge| charge.dispute = Some(id));
        self.emit("charge.dispute.created", Arc::clone(&dispute));
        Ok(dispute)
    }

    /// The bank was not content with an answer, or had none: the inquiry becomes a dispute, and the money is taken.
    ///
    /// # Errors
    /// It is not there, or no open inquiry.
    pub fn escalate_inquiry(&mut self, id: &str) -> Result<Arc<Dispute>, Refusal> {
        if self.dispute(id)?.status != DisputeStatus::WarningNeedsResponse {
            return Err(Refusal::invalid("This dispute is no open inquiry."));
        }
        let change = self
            .disputes
            .change(id, |dispute| dispute.status = DisputeStatus::NeedsResponse);
        self.emit_change("charge.dispute.updated", change);
        let disputed = self.dispute(id).cloned()?;
        self.emit("charge.dispute.funds_withdrawn", Arc::clone(&disputed));
        Ok(disputed)
    }

    /// The bank decides. An inquiry that it decides for us is closed; one that it does not is a dispute first.
    ///
    /// # Errors
    /// The dispute is not there, or closed already, or an inquiry that would be lost.
    pub fn close_dispute(&mut self, id: &str, won: bool) -> Result<Arc<Dispute>, Refusal> {
        let status = match (self.dispute(id)?.status, won) {
            (DisputeStatus::NeedsResponse, true) => DisputeStatus::Won,
            (DisputeStatus::NeedsResponse, false) => DisputeStatus::Lost,
            (DisputeStatus::WarningNeedsResponse, true) => DisputeStatus::WarningClosed,
            (DisputeStatus::WarningNeedsResponse, false) => {
                return Err(Refusal::invalid("An inquiry takes no money: escalate it first."));
            }
            (DisputeStatus::Won | DisputeStatus::Lost | DisputeStatus::WarningClosed, _) => {
                return Err(Refusal::invalid("This dispute is already closed."));
            }
        };
        self.decide(id, status);
        self.dispute(id).cloned()
    }

    fn decide(&mut self, id: &str, status: DisputeStatus) {
        let change = self.disputes.change(id, |dispute| dispute.status = status);
        if let Some((_, closed)) = change {
            self.emit("charge.dispute.closed", closed);
        }
    }

    /// A dispute.
    ///
    /// # Errors
    /// 404 if there is none.
    pub fn dispute(&self, id: &str) -> Result<&Arc<Dispute>, Refusal> {
        self.disputes
            .get(id)
            .ok_or_else(|| Refusal::missing("dispute", id))
    }

    fn charge_to_refund(&self, asked: &NewRefund) -> Result<Arc<Charge>, Refusal> {
        let named = match (&asked.charge, &asked.payment_intent) {
            (Some(charge), _) => self.charges.get(charge).ok_or(("charge", charge)),
            (None, Some(intent)) => self
                .intents
                .get(intent)
                .and_then(|found| self.charges.get(found.latest_charge.as_deref()?))
                .ok_or(("payment_intent", intent)),
            (None, None) => {
                let message = "One of the following params should be provided for this request: payment_intent or charge.";
                return Err(Refusal::invalid(message));
            }
        };
        named
            .cloned()
            .map_err(|(what, id)| Refusal::missing_in(what, what, id))
    }
}
