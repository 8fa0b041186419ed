//! Reading text as people compare it: without case, accents, typography or invisible characters, and still
//! knowing which bytes of the original each character came from.

use std::ops::Range;

use unicode_normalization::char::{decompose_compatible, is_combining_mark};

/// Characters that take no room on the page, and so can hide inside a word.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}'
        | '\u{E0000}'..='\u{E01EF}')
}

/// A folded text. `chars[i]` came from the bytes `spans[i]` of the original.
#[derive(Debug, Clone, Default)]
pub(super) struct Folded {
    pub(super) chars: Vec<char>,
    pub(super) spans: Vec<Range<usize>>,
}

/// A run of letters: what it reads as, and its bytes in the original.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) folded: String,
    pub(super) span: Range<usize>,
}

impl Folded {
    pub(super) fn new(text: &str) -> Self {
        let mut folded = Self::default();
        for (start, c) in text.char_indices() {
            let span = start..start + c.len_utf8();
            if is_invisible(c) || is_combining_mark(c) {
                if let Some(last) = folded.spans.last_mut() {
                    last.end = span.end;
                }
                continue;
            }
            for lower in c.to_lowercase() {
                decompose_compatible(lower, |part| folded.push(part, &span));
            }
        }
        folded
    }

    fn push(&mut self, part: char, span: &Range<usize>) {
        let plain: &[char] = match part {
            part if is_combining_mark(part) => &[],
            'œ' => &['o', 'e'],
            'æ' => &['a', 'e'],
            'ß' => &['s', 's'],
            '’' | '‘' | 'ʼ' | '′' | '`' => &['\''],
            '“' | '”' | '„' | '«' | '»' | '″' => &['"'],
            '–' | '—' | '‐' | '‑' | '‒' | '−' => &['-'],
            '‹' => &['<'],
            '›' => &['>'],
            part => &[part],
        };
        for c in plain.iter().flat_map(|c| c.to_lowercase()) {
            self.chars.push(c);
            self.spans.push(span.clone());
        }
    }

    /// The folded text alone.
    pub(super) fn text(&self) -> String {
        self.chars.iter().collect()
    }

    /// Every run of letters.
    pub(super) fn words(&self) -> Vec<Word> {
        let mut words: Vec<Word> = Vec::new();
        let mut open = false;
        for (c, span) in self.chars.iter().zip(&self.spans) {
            if !c.is_alphabetic() {
                open = false;
            } else if let Some(word) = words.last_mut().filter(|_| open) {
                word.folded.push(*c);
                word.span.end = span.end;
            } else {
                open = true;
                words.push(Word {
                    folded: c.to_string(),
                    span: span.clone(),
                });
            }
        }
        words
    }
}

/// The folded words of a name or a label.
pub(super) fn words_of(text: &str) -> Vec<String> {
    Folded::new(text)
        .words()
        .into_iter()
        .map(|word| word.folded)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn case_accents_typography_and_invisible_characters_do_not_count() {
        for (written, read) in [
            ("Élève ŒUVRE", "eleve oeuvre"),
            ("e\u{301}le\u{300}ve", "eleve"),
            ("l’« été »\u{a0}!", "l'\" ete \" !"),
            ("Du\u{200b}po\u{ad}nt", "dupont"),
            ("ﬁn … ½ x²", "fin ... 1⁄2 x2"),
            ("14–18", "14-18"),
            ("‹b", "<b"),
        ] {
            assert_eq!(Folded::new(written).text(), read, "{written}");
        }
    }

    #[test]
    fn words_point_at_their_bytes_in_the_original() {
        let text = "«Léa\u{301}»-DUPONT2, œil";
        let words = Folded::new(text).words();
        let found: Vec<_> = words
            .iter()
            .map(|word| (word.folded.as_str(), &text[word.span.clone()]))
            .collect();
        assert_eq!(
            found,
            [("lea", "Léa\u{301}"), ("dupont", "DUPONT"), ("oeil", "œil")]
        );
    }

    proptest! {
        #[test]
        fn spans_are_ordered_and_fall_on_character_boundaries(text in "\\PC{0,60}") {
            let folded = Folded::new(&text);
            for span in &folded.spans {
                prop_assert!(text.get(span.clone()).is_some());
            }
            for pair in folded.spans.windows(2) {
                prop_assert!(pair[0].start <= pair[1].start);
            }
        }
    }
}
