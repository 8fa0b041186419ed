//! The grading pipeline, pure: from a read copy to prompts, and from a model's words to checked marks.
//!
//! ```text
//! PageText ── detect ──► pupil, questions, what to transcribe
//!    │                       └─ scans: prompt::transcription ─► model ─► reply::transcription ─► PageText
//!    ▼
//! MaskedCopy (names out) ── prompt::grading ─► model ─► reply::grading ── verify ──► Verified (names back)
//! ```
//!
//! A prompt is built from a [`MaskedCopy`] alone, so a copy that was not masked cannot reach a model.

mod budget;
mod code;
mod copy;
pub mod cost;
pub mod detect;
mod fold;
mod full_names;
mod page;
pub mod prompt;
mod redact;
pub mod reply;
pub mod result;
pub mod verify;

use serde::{Deserialize, Serialize};

pub use budget::tokens_max;
pub use code::{CodeError, CopyCode};
pub use copy::{COPY_BYTES_MAX, MaskedCopy};
pub use page::{HiddenText, PageImage, PageKind, PageText};
pub use redact::Redaction;

/// The three steps of one copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Find the pupil, the pages and the questions; transcribe a scan.
    Detection,
    /// Marks per criterion, with a quote and feedback.
    Grading,
    /// Recompute totals, check quotes, flag what a human must see: code, over in milliseconds.
    Verification,
}

impl Phase {
    /// As stored and measured.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Detection => "detection",
            Self::Grading => "grading",
            Self::Verification => "verification",
        }
    }
}

/// One part of what the model is shown after the cached prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Text of the copy, already masked.
    Text(String),
    /// A page of a scanned copy, rendered by us.
    Jpeg(Vec<u8>),
}

/// One call to a model, free of any provider's wire format.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    /// Which step asks.
    pub phase: Phase,
    /// Instructions, barème, subject, key: byte-identical for every copy of a run, so that it is cached.
    /// The cache mark goes at its end.
    pub prefix: String,
    /// The copy: data, never instructions.
    pub copy: Vec<Part>,
    /// JSON schema of the answer, in the subset that every provider accepts.
    pub schema: serde_json::Value,
    /// The bound on the answer, which keeps what is used within what was reserved. Unit: tokens.
    pub output_tokens_max: u32,
}
