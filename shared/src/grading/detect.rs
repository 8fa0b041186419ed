//! Detection, in code: what must be transcribed, whose copy it is, where each question is answered.
//!
//! A typed copy needs no model for it. A scan is transcribed first ([`super::prompt::transcription`]), then detected
//! like a typed one.

mod pupil;
mod questions;

use super::page::{PageKind, PageText};
use crate::domain::rubric::Rubric;

pub use pupil::{Pupil, Roster};
pub use questions::QuestionSpan;

/// What has to happen before a copy can be graded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// Nothing is written: nothing to ask a model.
    Blank,
    /// All its text is known.
    Ready,
    /// These pages are pictures without a text yet; page numbers.
    Transcribe(Vec<u32>),
}

/// Whose copy it is, and where each question is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detected {
    /// Whose.
    pub pupil: Pupil,
    /// The name in the header, if the list does not spell it so: it is masked like any of the list.
    pub other_name: Option<String>,
    /// Questions found, in the order of the copy. A question without a marker of its own is not among them.
    pub questions: Vec<QuestionSpan>,
}

/// What has to happen next with these pages.
#[must_use]
pub fn reading(pages: &[PageText]) -> Reading {
    let pictures: Vec<u32> = pages
        .iter()
        .filter(|page| page.kind == PageKind::Scanned && page.text.trim().is_empty())
        .map(|page| page.number)
        .collect();
    if !pictures.is_empty() {
        Reading::Transcribe(pictures)
    } else if pages.iter().all(|page| page.text.trim().is_empty()) {
        Reading::Blank
    } else {
        Reading::Ready
    }
}

/// Finds the pupil and the questions of a copy whose text is known (unmasked: nothing of it leaves).
#[must_use]
pub fn detect(pages: &[PageText], file_name: &str, roster: &Roster, rubric: &Rubric) -> Detected {
    let (pupil, other_name) = pupil::find(pages, file_name, roster);
    Detected {
        pupil,
        other_name,
        questions: questions::find(pages, rubric),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(number: u32, kind: PageKind, text: &str) -> PageText {
        PageText {
            number,
            kind,
            text: text.to_owned(),
        }
    }

    #[test]
    fn only_pictures_without_a_text_are_transcribed_and_a_blank_copy_is_not_sent() {
        let typed = page(1, PageKind::Typed, "Bonjour");
        let blank = page(2, PageKind::Blank, " \n");
        let scan = page(3, PageKind::Scanned, "");
        let read_scan = page(4, PageKind::Scanned, "1) oui");
        for (pages, reading_of_them) in [
            (vec![typed.clone(), blank.clone()], Reading::Ready),
            (vec![typed, scan, read_scan.clone()], Reading::Transcribe(vec![3])),
            (vec![read_scan], Reading::Ready),
            (vec![blank], Reading::Blank),
            (vec![], Reading::Blank),
        ] {
            assert_eq!(reading(&pages), reading_of_them);
        }
    }
}
