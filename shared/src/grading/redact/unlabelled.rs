//! Names at the top of a page that no label announces and no list holds: « Léa Dupont 3eB », or the words of the
//! file's name. A guess, so it is made on the first lines only, where a heading wrongly masked costs no point, and
//! never of words that the assignment itself uses.

use std::collections::HashSet;
use std::ops::Range;

use crate::grading::fold::{Word, words_of};

use super::names::is_particle;

/// Lines at the top of a page among which such a name is looked for.
const LINES: usize = 3;
/// A longer line is prose. Unit: bytes.
const LINE_BYTES_MAX: usize = 120;
/// A name has no more parts than this.
const PARTS_MAX: usize = 4;

/// What is guessed of a copy's names.
#[derive(Debug, Clone, Default)]
pub(super) struct Unlabelled {
    /// The assignment's own words, which are not names.
    known: HashSet<String>,
    /// Words of the file's name, and of the names found on the first page with text.
    words: HashSet<String>,
    past_first_page: bool,
}

impl Unlabelled {
    /// For an assignment in these words and a file of this name.
    pub(super) fn new<'a>(assignment: impl IntoIterator<Item = &'a str>, file_stem: &str) -> Self {
        const LETTERS_MIN: usize = 3;
        let known: HashSet<String> = assignment.into_iter().flat_map(words_of).collect();
        let words = words_of(file_stem).into_iter();
        let words = words.filter(|word| {
            word.chars().count() >= LETTERS_MIN && !known.contains(word) && !is_particle(word)
        });
        Self {
            words: words.collect(),
            known,
            past_first_page: false,
        }
    }

    /// The bytes of the names at the top of the copy's next page, given its words.
    pub(super) fn find(&mut self, text: &str, words: &[Word]) -> Vec<Range<usize>> {
        let top = top(text);
        if top.is_empty() {
            return Vec::new();
        }
        let mut spans = Vec::new();
        if !self.past_first_page {
            self.past_first_page = true;
            for field in top.iter().flat_map(|line| fields(text, line)) {
                if let Some(name) = self.name(text, &field) {
                    self.words.extend(
                        words_of(&text[name.clone()])
                            .into_iter()
                            .filter(|word| !is_particle(word)),
                    );
                    spans.push(name);
                }
            }
        }
        let at_top = |word: &&Word| {
            top.iter()
                .any(|line| line.start <= word.span.start && word.span.end <= line.end)
        };
        let named = |word: &&Word| {
            self.words.contains(&word.folded) && text[word.span.clone()].starts_with(char::is_uppercase)
        };
        spans.extend(
            words
                .iter()
                .filter(at_top)
                .filter(named)
                .map(|word| word.span.clone()),
        );
        spans
    }

    /// The name that the field is, but for a class: two to four words with capitals, or one beside a class.
    fn name(&self, text: &str, field: &Range<usize>) -> Option<Range<usize>> {
        let mut parts: Vec<&str> = text[field.clone()].split_whitespace().collect();
        let whole = parts.len();
        parts.retain(|part| !is_class(part));
        let least = if parts.len() < whole { 1 } else { 2 };
        let capitals = parts.iter().filter(|part| is_capitalised(part)).count();
        let fits = |part: &&str| is_capitalised(part) || is_particle(&words_of(part).concat());
        let known = |part: &&str| words_of(part).iter().all(|word| self.known.contains(word));
        if capitals < least || parts.len() > PARTS_MAX || !parts.iter().all(fits) || parts.iter().all(known) {
            return None;
        }
        let place = |part: &str| part.as_ptr() as usize - text.as_ptr() as usize;
        let (first, last) = (parts.first()?, parts.last()?);
        Some(place(first)..place(last) + last.len())
    }
}

/// The first lines with text that are short enough for a header.
fn top(text: &str) -> Vec<Range<usize>> {
    let mut start = 0;
    let lines = text.split_inclusive('\n').map(|line| {
        let range = start..start + line.trim_end().len();
        start += line.len();
        range
    });
    lines
        .filter(|line| !line.is_empty() && !text[line.clone()].trim().is_empty())
        .take(LINES)
        .filter(|line| line.len() <= LINE_BYTES_MAX)
        .collect()
}

/// The parts of a header's line: `Léa Dupont — Histoire, 3eB`.
fn fields(text: &str, line: &Range<usize>) -> Vec<Range<usize>> {
    let mut fields = Vec::new();
    let mut start = line.start;
    let inside = &text[line.clone()];
    for (at, sign) in inside.match_indices(['–', '—', '|', '/', ';', ',', '·', '•', '(', ')', '\t']) {
        fields.push(start..line.start + at);
        start = line.start + at + sign.len();
    }
    fields.push(start..line.end);
    fields.retain(|field| !text[field.clone()].trim().is_empty());
    fields
}

/// `3e`, `3eB`, `6ème2`, `2nde`, `TS1`.
fn is_class(part: &str) -> bool {
    let mut signs = part.chars();
    match (signs.next(), signs.next()) {
        (Some('1'..='6'), Some('e' | 'E' | 'è' | 'È' | 'n' | 'N' | 'r' | 'R' | 'd' | 'D')) => {
            part.len() <= 8
        }
        (Some('T'), Some(_)) => part.len() <= 6 && part.chars().any(|sign| sign.is_ascii_digit()),
        _ => false,
    }
}

/// A word as names are written: a capital, then letters, at least two in all.
fn is_capitalised(part: &str) -> bool {
    part.starts_with(char::is_uppercase)
        && part.chars().nth(1).is_some()
        && part
            .chars()
            .all(|sign| sign.is_alphabetic() || matches!(sign, '-' | '‐' | '\'' | '’'))
}
