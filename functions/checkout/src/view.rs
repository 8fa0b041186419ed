//! What the routes take, and what they answer beside [`Standing`].

use serde::{Deserialize, Serialize};
use shared::billing::wire;
use shared::domain::Language;
use shared::domain::catalogue::Interval;
use shared::domain::standing::Standing;
use shared::domain::time::UnixMillis;
use utoipa::{IntoParams, ToSchema};

/// How somebody wants to pay.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CheckoutQuery {
    /// How it is paid: `month` (the default) or `year`.
    #[serde(default)]
    pub(crate) interval: Interval,
    /// The language of Stripe's page: `fr` (the default) or `en`.
    #[serde(default)]
    pub(crate) language: Language,
}

/// Where a browser comes from.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReturnQuery {
    /// The checkout session that Stripe's page came from.
    #[serde(default)]
    pub(crate) session_id: Option<String>,
}

/// The tier that somebody wants.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    /// `essentiel`, `pro` or `max`; `free` ends the subscription with its period.
    pub(crate) tier: String,
}

/// A checkout that can be paid, and how the account stands meanwhile.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CheckoutView {
    /// Stripe's page.
    pub(crate) checkout_url: String,
    /// Until when it can be paid. RFC 3339.
    pub(crate) checkout_expires: String,
    /// How the account stands.
    #[serde(flatten)]
    pub(crate) standing: Standing,
}

/// A page of Stripe's.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PageView {
    /// Where it is. It works once, and soon.
    pub(crate) url: String,
}

/// An account's invoices.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InvoiceList {
    /// Newest first, at most a hundred.
    pub(crate) items: Vec<InvoiceView>,
}

/// An invoice.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InvoiceView {
    /// Stripe's id.
    pub(crate) invoice: String,
    /// When it was made. RFC 3339.
    pub(crate) created: String,
    /// `draft`, `open`, `paid`, `uncollectible` or `void`.
    pub(crate) status: String,
    /// What it asks for. Unit: cents of `currency`.
    pub(crate) total_cents: i64,
    /// ISO 4217, lower case.
    pub(crate) currency: String,
    /// Where it can be seen and paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) page: Option<String>,
    /// The invoice as a PDF.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pdf: Option<String>,
}

impl From<wire::Invoice> for InvoiceView {
    fn from(invoice: wire::Invoice) -> Self {
        Self {
            created: UnixMillis::new(invoice.created * 1000).rfc3339(),
            status: invoice.status.unwrap_or_else(|| "draft".to_owned()),
            total_cents: invoice.total,
            currency: invoice.currency,
            page: invoice.hosted_invoice_url,
            pdf: invoice.invoice_pdf,
            invoice: invoice.id,
        }
    }
}
