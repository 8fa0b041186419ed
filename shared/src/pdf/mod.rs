//! Reads pupils' PDFs without ever trusting them.
//!
//! [`Reader::read`] starts this same program again as a child ([`child::run_if_asked`]), which puts limits
//! on its own memory and time before it touches a byte of the copy, and answers page by page over a pipe.
//! A bomb, a hang or a crash of the parser ends that child, and becomes a [`Rejected`]: nothing else.
//!
//! What comes back is what a human would see: the text that can be shown to be visible, page images where
//! text alone cannot be trusted to tell the page, and, apart, the text that was hidden ([`HiddenText`]).

pub mod child;
mod clean;
mod document;
mod fonts;
mod glyphs;
mod hidden;
mod images;
mod ink;
mod jpeg;
mod layout;
mod letter;
mod limits;
mod pages;
mod paint;
mod reader;
mod rejected;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
mod wire;

pub use document::{Bounds, Document, HiddenReason, HiddenText, Line, Page, PageImage, PageKind, Word};
pub use limits::{Cover, Images, Limits};
pub use reader::Reader;
pub use rejected::{Refusal, Rejected, Stop};
