//! What the routes answer, beside [`Standing`].

use serde::Serialize;
use shared::domain::standing::Standing;
use utoipa::ToSchema;

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
