//! What the pipeline is told about a copy's pages.

use serde::{Deserialize, Serialize};

/// Lines with text at the top of a page among which its header is looked for: to find the pupil, and to mask.
pub(super) const HEADER_LINES: usize = 10;

/// How a page was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum PageKind {
    /// It has a text layer of its own.
    Typed,
    /// It is a picture: its text comes from a transcription.
    Scanned,
    /// Nothing on it.
    Blank,
}

/// One page and the text that a reader of it sees: a typed page's visible text, or a scan's transcription
/// (empty until it was transcribed).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct PageText {
    /// Counted from 1.
    pub number: u32,
    /// How it was made.
    pub kind: PageKind,
    /// Lines separated by `\n`.
    pub text: String,
}

/// One page of a scan, rendered for the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageImage {
    /// Counted from 1.
    pub number: u32,
    /// The page, upright, without its hidden text.
    pub jpeg: Vec<u8>,
}

/// Text that the PDF holds and its reader cannot see: white, tiny, covered, off the page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct HiddenText {
    /// Counted from 1.
    pub page: u32,
    /// What it says.
    pub text: String,
}
