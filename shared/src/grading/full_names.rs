//! Whole names of pupils, out of what all the copies of a run share.
//!
//! A title may say « Rattrapage de Léa Dupont », a barème « tiers-temps pour Tom Martin ». Such a name becomes
//! [`PUPIL`], the same for everybody, so that the prefix keeps the same bytes for the whole run. A first or a last name
//! alone stays: it is more often Louis XIV than the Louis of the class.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::ser::Formatter;

use super::fold::{Folded, Word, words_of};
use super::redact::{is_particle, joins};

/// What stands for a pupil's name.
const PUPIL: &str = "[élève]";

/// The whole names of a class, in any order of their parts.
#[derive(Debug, Default)]
pub(super) struct FullNames {
    names: HashSet<String>,
    words_max: usize,
}

impl FullNames {
    /// The names of these people, each given as one text.
    pub(super) fn new<'a>(people: impl IntoIterator<Item = &'a str>) -> Self {
        let mut names = Self::default();
        for person in people {
            let mut parts: Vec<Vec<String>> = person.split_whitespace().map(words_of).collect();
            parts.retain(|words| !words.is_empty());
            names.add(&parts);
        }
        names
    }

    fn add(&mut self, parts: &[Vec<String>]) {
        for by in 0..parts.len() {
            let (end, start) = parts.split_at(by);
            self.insert(start.iter().chain(end));
        }
        // Of Léa Marie Dupont people say Léa Dupont.
        let telling = || {
            parts
                .iter()
                .filter(|words| words.iter().all(|word| !is_particle(word)))
        };
        for one in telling() {
            for other in telling().filter(|other| *other != one) {
                self.insert([one, other]);
            }
        }
    }

    fn insert<'w>(&mut self, parts: impl IntoIterator<Item = &'w Vec<String>>) {
        let words: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
        if words.len() > 1 {
            self.words_max = self.words_max.max(words.len());
            self.names.insert(words.join(" "));
        }
    }

    /// Whether the text holds one of the names.
    pub(super) fn stand_in(&self, text: &str) -> bool {
        matches!(self.hide(text), Cow::Owned(_))
    }

    /// The text with [`PUPIL`] for each name.
    pub(super) fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.names.is_empty() {
            return Cow::Borrowed(text);
        }
        let words = Folded::new(text).words();
        let mut hidden = String::new();
        let (mut at, mut done) = (0, 0);
        while at < words.len() {
            let longest = self.words_max.min(words.len() - at);
            let name = (2..=longest)
                .rev()
                .find(|count| self.is_name(text, &words[at..at + count]));
            let Some(count) = name else {
                at += 1;
                continue;
            };
            hidden.push_str(&text[done..words[at].span.start]);
            hidden.push_str(PUPIL);
            at += count;
            done = words[at - 1].span.end;
        }
        if done == 0 {
            return Cow::Borrowed(text);
        }
        hidden.push_str(&text[done..]);
        Cow::Owned(hidden)
    }

    /// With capitals, and a space between two parts: `rose-blanche` is an id or a flower.
    fn is_name(&self, text: &str, words: &[Word]) -> bool {
        let capital = |word: &Word| {
            is_particle(&word.folded) || text[word.span.clone()].starts_with(char::is_uppercase)
        };
        let gaps = || {
            words
                .windows(2)
                .map(|pair| &text[pair[0].span.end..pair[1].span.start])
        };
        words.iter().all(capital)
            && gaps().all(joins)
            && gaps().any(|gap| gap.contains(char::is_whitespace))
            && {
                let folded: Vec<&str> = words.iter().map(|word| word.folded.as_str()).collect();
                self.names.contains(&folded.join(" "))
            }
    }
}

/// Writes JSON as compactly as usual, with the names in its texts hidden.
pub(super) struct HidingNames<'a>(pub(super) &'a FullNames);

impl Formatter for HidingNames<'_> {
    fn write_string_fragment<W: ?Sized + std::io::Write>(
        &mut self,
        to: &mut W,
        fragment: &str,
    ) -> std::io::Result<()> {
        to.write_all(self.0.hide(fragment).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, hidden: &str) {
        let class = [
            "Dupont Léa Marie",
            "Maëlle de La Fontaine",
            "Jean-Pierre N’Diaye",
            "Rose Blanche",
            "Louis",
        ];
        assert_eq!(FullNames::new(class).hide(text), hidden);
    }

    #[test]
    fn a_whole_name_is_hidden_in_any_order_case_and_accents() {
        check("Rattrapage de Léa Dupont (3eB)", "Rattrapage de [élève] (3eB)");
        check("DUPONT Lea Marie, Marie\u{a0}Dupont", "[élève], [élève]");
        check(
            "pour Maëlle de La Fontaine et N'Diaye Jean-Pierre",
            "pour [élève] et [élève]",
        );
    }

    #[test]
    fn part_of_a_name_an_everyday_word_and_an_id_stay() {
        check(
            "Louis XIV, La Fontaine, Jean-Pierre Vernant",
            "Louis XIV, La Fontaine, Jean-Pierre Vernant",
        );
        check("une rose blanche, Rose-Blanche", "une rose blanche, Rose-Blanche");
        check("Léa, Dupont ; Léa\nDupont", "Léa, Dupont ; Léa\nDupont");
    }
}
