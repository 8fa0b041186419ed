//! Whether a quote stands in the copy, and on which page.

use crate::grading::fold::Folded;

/// A shorter part must be whole words: `12` is not in `2012`. Unit: characters.
const WHOLE_WORDS_UNDER: usize = 8;

/// Where a quote was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quote {
    /// It says nothing.
    Empty,
    /// Nowhere.
    Absent,
    /// From this page on, counted from 1.
    On(u32),
}

/// The copy's text, folded, without spaces: line breaks, double spaces and words cut at the end of a line do not
/// tell a quote from what was written.
pub(super) struct SearchedCopy {
    chars: Vec<char>,
    /// The page of each character.
    pages: Vec<u32>,
    /// Whether a word may begin (or the one before end) at this character; one more than there are characters.
    borders: Vec<bool>,
}

impl SearchedCopy {
    pub(super) fn new<'a>(pages: impl Iterator<Item = (u32, &'a str)>) -> Self {
        let mut copy = Self {
            chars: Vec::new(),
            pages: Vec::new(),
            borders: Vec::new(),
        };
        for (number, text) in pages {
            let folded = Folded::new(text).chars;
            let mut before = ' ';
            for (at, c) in folded.iter().copied().enumerate() {
                let cuts_a_word = c == '-' && folded.get(at + 1) == Some(&'\n');
                if !c.is_whitespace() && !cuts_a_word {
                    copy.chars.push(c);
                    copy.pages.push(number);
                    copy.borders
                        .push(!(before.is_alphanumeric() && c.is_alphanumeric()));
                }
                before = c;
            }
        }
        copy.borders.push(true);
        copy
    }

    /// Looks for the quote's parts (between ellipses) in their order.
    pub(super) fn find(&self, quote: &str) -> Quote {
        let folded = Folded::new(quote)
            .text()
            .replace("[...]", "...")
            .replace("(...)", "...");
        let parts = folded.split("...").map(bare).filter(|part| !part.is_empty());
        let mut page = None;
        let mut from = 0;
        for part in parts {
            match self.find_part(&part, from) {
                Some(at) => {
                    page = page.or_else(|| self.pages.get(at).copied());
                    from = at + part.len();
                }
                None => return Quote::Absent,
            }
        }
        page.map_or(Quote::Empty, Quote::On)
    }

    fn find_part(&self, part: &[char], from: usize) -> Option<usize> {
        let whole_words = part.len() < WHOLE_WORDS_UNDER;
        let windows = self.chars.get(from..)?.windows(part.len());
        let fits = |at: usize| !whole_words || (self.borders[at] && self.borders[at + part.len()]);
        windows
            .enumerate()
            .filter(|(_, window)| *window == part)
            .map(|(at, _)| from + at)
            .find(|at| fits(*at))
    }
}

/// A part without spaces, and without the punctuation that a model puts around a quote.
fn bare(part: &str) -> Vec<char> {
    let around = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '.' | ',' | ';' | ':' | '(' | ')');
    part.trim_matches(around)
        .chars()
        .filter(|c| !c.is_whitespace())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAGES: [(u32, &str); 2] = [
        (
            1,
            "L’attentat de Sarajevo,\nle 28 juin 1914 : un natio-\nnaliste serbe tue\u{a0}l'archiduc.",
        ),
        (
            2,
            "En 2012, Élise [C-7F3A-1] a écrit « x ‹y » et puis… la fin est œuvre",
        ),
    ];

    fn check(quote: &str, found: Quote) {
        assert_eq!(
            SearchedCopy::new(PAGES.into_iter()).find(quote),
            found,
            "{quote:?}"
        );
    }

    #[test]
    fn a_quote_is_found_whatever_its_typography() {
        for quote in [
            "l'attentat de sarajevo",
            "« L’ATTENTAT  de Sarajevo, le 28 juin 1914 »",
            "un nationaliste serbe",
            "tue l’archiduc.",
            "28 juin",
        ] {
            check(quote, Quote::On(1));
        }
        for quote in [
            "Elise [C-7F3A-1] a ecrit",
            "\"x <y\"",
            "la fin est oeuvre",
            "et puis... la fin",
        ] {
            check(quote, Quote::On(2));
        }
    }

    #[test]
    fn the_parts_around_an_ellipsis_are_found_in_their_order() {
        check("L'attentat … un nationaliste serbe", Quote::On(1));
        check("l’archiduc […] En 2012", Quote::On(1));
        check("(...) la fin est œuvre…", Quote::On(2));
        check("un nationaliste serbe … L'attentat", Quote::Absent);
    }

    #[test]
    fn a_quote_that_the_pupil_did_not_write_is_absent() {
        check("l’assassinat de l’archiduc", Quote::Absent);
        check("L’attentat … François-Ferdinand", Quote::Absent);
        check("12", Quote::Absent);
        check("serb", Quote::Absent);
    }

    #[test]
    fn a_quote_of_nothing_is_empty() {
        for quote in ["", "  ", "…", "« »", "...."] {
            check(quote, Quote::Empty);
        }
    }

    proptest! {
        #[test]
        fn any_run_of_words_of_the_copy_is_found(start in 0usize..12, count in 1usize..8, wide in any::<bool>()) {
            let words: Vec<&str> = PAGES[1].1.split(' ').collect();
            let end = (start + count).min(words.len());
            prop_assume!(start < end);
            let quote = words[start..end].join(if wide { "  \n" } else { " " });
            let found = SearchedCopy::new(PAGES.into_iter()).find(&quote);
            prop_assert!(found == Quote::On(2) || found == Quote::Empty, "{quote:?}: {found:?}");
        }

        #[test]
        fn no_quote_makes_the_search_panic(quote in "\\PC{0,40}", text in "\\PC{0,40}") {
            let _ = SearchedCopy::new([(1, text.as_str())].into_iter()).find(&quote);
        }
    }
}
