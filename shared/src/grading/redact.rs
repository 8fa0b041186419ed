//! Names out of a copy before any model sees it, and back into what the model wrote.
//!
//! A masked span becomes `[C-7F3A-1]`: the copy's code and a number in a list kept on our side. The same text and
//! names always give the same masks, so a stored reply can be unmasked later.

mod names;
#[cfg(test)]
mod tests;
mod unlabelled;

use std::ops::Range;

use super::code::CopyCode;
use super::fold::{Folded, Word};
use super::page::HEADER_LINES;
use names::Names;
pub(super) use names::is_particle;
use unlabelled::Unlabelled;

/// A header's line is short; a longer one is prose. Unit: bytes.
const HEADER_LINE_BYTES_MAX: usize = 160;

/// Words that announce who the pupil is, when a colon follows.
const HEADER_LABELS: [&str; 16] = [
    "nom",
    "noms",
    "prenom",
    "prenoms",
    "eleve",
    "etudiant",
    "candidat",
    "candidate",
    "classe",
    "groupe",
    "naissance",
    "ine",
    "surname",
    "name",
    "student",
    "class",
];
/// The two that announce it even without a colon, at the start of a line and before a capital.
const BARE_LABELS: [&str; 2] = ["nom", "prenom"];

/// What is masked in one copy, and how it is put back.
#[derive(Debug, Clone)]
pub struct Redaction {
    code: CopyCode,
    names: Names,
    file_stem: String,
    unlabelled: Option<Unlabelled>,
    /// What each mask stands for; mask `n` is `originals[n - 1]`.
    originals: Vec<String>,
}

impl Redaction {
    /// Masks these people (each as one text, `Dupont Léa` or `Léa Dupont`), e-mail addresses, header lines and
    /// the name of the file.
    #[must_use]
    pub fn new<'a>(code: CopyCode, people: impl IntoIterator<Item = &'a str>, file_name: &str) -> Self {
        let stem = file_name.rsplit_once('.').map_or(file_name, |(stem, _)| stem);
        Self {
            code,
            names: Names::new(people),
            file_stem: Folded::new(stem.trim()).text(),
            unlabelled: None,
            originals: Vec::new(),
        }
    }

    /// Masks, besides, what looks like a name at the top of a page without being announced, unless the assignment
    /// uses its words: `assignment` is all that the teacher wrote.
    #[must_use]
    pub fn guessing<'a>(self, assignment: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            unlabelled: Some(Unlabelled::new(assignment, &self.file_stem)),
            ..self
        }
    }

    /// The code that stands in every mask.
    #[must_use]
    pub fn code(&self) -> &CopyCode {
        &self.code
    }

    /// The bytes of the names on a page, in order. Pages are given in their order.
    #[must_use]
    pub fn spans(&mut self, text: &str) -> Vec<Range<usize>> {
        let folded = Folded::new(text);
        let words = folded.words();
        let mut spans = self.names.find(text, &words);
        spans.extend(header_values(text, &words));
        spans.extend(emails(text));
        spans.extend(self.file_name(&folded));
        spans.extend(
            self.unlabelled
                .iter_mut()
                .flat_map(|guess| guess.find(text, &words)),
        );
        // What already looks like one of our masks is masked too, or it would be "put back" as something else.
        spans.extend(
            text.match_indices(&self.opening())
                .map(|(at, found)| at..at + found.len()),
        );
        merged(text, spans)
    }

    /// The text of a page without its names; [`Redaction::unmask`] undoes it exactly. Pages are given in their order.
    #[must_use]
    pub fn mask(&mut self, text: &str) -> String {
        let mut masked = String::with_capacity(text.len());
        let mut done = 0;
        for span in self.spans(text) {
            masked.push_str(&text[done..span.start]);
            let number = self.number(&text[span.clone()]);
            masked.push_str(&format!("{}{number}]", self.opening()));
            done = span.end;
        }
        masked.push_str(&text[done..]);
        masked
    }

    /// Puts what was masked back, in any text.
    #[must_use]
    pub fn unmask(&self, text: &str) -> String {
        let opening = self.opening();
        let mut plain = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(&opening) {
            plain.push_str(before);
            let original = after.split_once(']').and_then(|(number, tail)| {
                let index = number.parse::<usize>().ok()?.checked_sub(1)?;
                Some((self.originals.get(index)?, tail))
            });
            match original {
                Some((original, tail)) => {
                    plain.push_str(original);
                    rest = tail;
                }
                None => {
                    plain.push_str(&opening);
                    rest = after;
                }
            }
        }
        plain.push_str(rest);
        plain
    }

    fn opening(&self) -> String {
        format!("[{}-", self.code)
    }

    fn number(&mut self, original: &str) -> usize {
        match self.originals.iter().position(|known| known == original) {
            Some(index) => index + 1,
            None => {
                self.originals.push(original.to_owned());
                self.originals.len()
            }
        }
    }

    /// Where the file's name stands in the text, as word processors print it in footers.
    fn file_name(&self, folded: &Folded) -> Vec<Range<usize>> {
        const CHARS_MIN: usize = 5;
        let stem: Vec<char> = self.file_stem.chars().collect();
        if stem.len() < CHARS_MIN {
            return Vec::new();
        }
        let hits = folded
            .chars
            .windows(stem.len())
            .enumerate()
            .filter(|(_, window)| *window == stem);
        hits.map(|(at, _)| folded.spans[at].start..folded.spans[at + stem.len() - 1].end)
            .collect()
    }
}

/// The values of header lines: what follows `Nom :`, to the end of its line.
fn header_values(text: &str, words: &[Word]) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let mut start = 0;
    let mut seen = 0;
    for line in text.split_inclusive('\n') {
        let range = start..start + line.len();
        start = range.end;
        if line.trim().is_empty() {
            continue;
        }
        seen += 1;
        if seen > HEADER_LINES {
            break;
        }
        if line.len() <= HEADER_LINE_BYTES_MAX {
            let inside = |word: &&Word| range.start <= word.span.start && word.span.end <= range.end;
            spans.extend(header_value(text, &range, words.iter().filter(inside)));
        }
    }
    spans
}

fn header_value<'a>(
    text: &str,
    line: &Range<usize>,
    words: impl Iterator<Item = &'a Word>,
) -> Option<Range<usize>> {
    let line_end = line.start + text[line.clone()].trim_end().len();
    for (index, word) in words.enumerate() {
        let after = &text[word.span.end..line_end];
        let value = match after.trim_start().strip_prefix([':', '：']) {
            Some(value) if HEADER_LABELS.contains(&word.folded.as_str()) => value.trim_start(),
            None if index == 0 && BARE_LABELS.contains(&word.folded.as_str()) => after.trim_start(),
            _ => continue,
        };
        let announced = after.trim_start().starts_with([':', '：']);
        if !value.is_empty() && (announced || value.starts_with(char::is_uppercase)) {
            return Some(line_end - value.len()..line_end);
        }
    }
    None
}

fn emails(text: &str) -> Vec<Range<usize>> {
    let local = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-');
    let host = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-');
    let address = |at: usize| {
        let before = &text[..at];
        let after = &text[at + 1..];
        let start = before.trim_end_matches(local).len();
        let end = at + 1 + (after.len() - after.trim_start_matches(host).len());
        (start < at && end > at + 1).then_some(start..end)
    };
    text.match_indices('@')
        .filter_map(|(at, _)| address(at))
        .collect()
}

/// Spans in order, without overlaps; two that only a space, a dash or the like separates become one.
fn merged(text: &str, mut spans: Vec<Range<usize>>) -> Vec<Range<usize>> {
    spans.sort_by_key(|span| (span.start, span.end));
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(spans.len());
    for span in spans.into_iter().filter(|span| !span.is_empty()) {
        match merged.last_mut() {
            Some(last) if span.start <= last.end || joins(&text[last.end..span.start]) => {
                last.end = last.end.max(span.end);
            }
            _ => merged.push(span),
        }
    }
    merged
}

/// Whether what stands between two words leaves them one name.
pub(super) fn joins(gap: &str) -> bool {
    gap.chars()
        .all(|c| matches!(c, ' ' | '\u{a0}' | '-' | '‐' | '‑' | '\'' | '’'))
}
