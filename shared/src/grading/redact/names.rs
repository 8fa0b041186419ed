//! Which words of a text are somebody's name.

use std::collections::HashSet;
use std::ops::Range;

use crate::grading::fold::{Word, words_of};

/// Parts of names that are also everyday words: masked only inside the whole name they belong to.
const PARTICLES: [&str; 31] = [
    "a", "al", "an", "au", "aux", "ben", "bin", "d", "da", "de", "del", "den", "der", "des", "di", "do",
    "du", "e", "el", "et", "l", "la", "le", "les", "mc", "st", "ste", "van", "von", "y", "ou",
];

/// Names that are also common words. With a capital they are masked like any name; without, they are the word
/// ("le chat blanc"), and masking it would spoil the answer.
const COMMON_WORDS: [&str; 118] = [
    "ambre",
    "amour",
    "ange",
    "angelique",
    "aout",
    "aube",
    "aurore",
    "avril",
    "barbier",
    "baron",
    "berger",
    "blanc",
    "blanche",
    "bleu",
    "bois",
    "bon",
    "bonnet",
    "boucher",
    "boulanger",
    "brun",
    "brune",
    "capucine",
    "celeste",
    "cerise",
    "charpentier",
    "chene",
    "chevalier",
    "clemence",
    "clement",
    "colombe",
    "constance",
    "constant",
    "couturier",
    "croix",
    "desire",
    "droit",
    "esperance",
    "fabre",
    "fleur",
    "fontaine",
    "fort",
    "fortune",
    "franc",
    "france",
    "gentil",
    "grand",
    "gras",
    "gros",
    "hiver",
    "iris",
    "jade",
    "jardin",
    "jasmin",
    "jolie",
    "joly",
    "juin",
    "juste",
    "lambert",
    "leger",
    "lion",
    "long",
    "luce",
    "lune",
    "mai",
    "maitre",
    "marchand",
    "marguerite",
    "marin",
    "marine",
    "mars",
    "may",
    "mercier",
    "meunier",
    "moulin",
    "noel",
    "noir",
    "noire",
    "ocean",
    "olive",
    "olivier",
    "parfait",
    "pascal",
    "perle",
    "petit",
    "petite",
    "pierre",
    "pins",
    "poirier",
    "pomme",
    "pont",
    "pre",
    "prince",
    "printemps",
    "prudence",
    "prune",
    "reine",
    "renard",
    "riviere",
    "roche",
    "roi",
    "rose",
    "rousse",
    "rousseau",
    "roux",
    "roy",
    "royal",
    "sage",
    "saint",
    "sol",
    "soleil",
    "tour",
    "vallee",
    "vert",
    "victoire",
    "ville",
    "violette",
    "vital",
    "vite",
];

/// The names of a class, ready to be looked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    /// Single words, and several written as one (`jeanpierre`).
    words: HashSet<String>,
    /// Whole names in every order, for those of which a part is an everyday word.
    phrases: Vec<Vec<String>>,
}

impl Names {
    pub(super) fn new<'a>(people: impl IntoIterator<Item = &'a str>) -> Self {
        let mut names = Self::default();
        for person in people {
            names.add(person);
        }
        names
    }

    fn add(&mut self, person: &str) {
        let words = words_of(person);
        if words.len() < 2 {
            self.words
                .extend(words.into_iter().filter(|word| is_telling(word)));
            return;
        }
        // Each hyphenated part (Jean-Pierre) and the whole may be written as one word.
        for part in person.split_whitespace().filter(|part| part.contains('-')) {
            self.words.insert(words_of(part).concat());
        }
        let turned = |by: usize| {
            let mut words = words.clone();
            words.rotate_left(by);
            words
        };
        for by in 0..words.len() {
            let phrase = turned(by);
            self.words.insert(phrase.concat());
            if phrase.iter().any(|word| is_everyday_word(word)) {
                self.phrases.push(phrase);
            }
        }
        self.words
            .extend(words.into_iter().filter(|word| is_telling(word)));
    }

    /// The bytes of every name in a text, given its words.
    pub(super) fn find(&self, text: &str, words: &[Word]) -> Vec<Range<usize>> {
        let single = words
            .iter()
            .filter(|word| self.is_name(text, word))
            .map(|word| word.span.clone());
        let phrases = self.phrases.iter().flat_map(|phrase| {
            let windows = words.windows(phrase.len());
            windows
                .filter(move |found| found.iter().map(|word| &word.folded).eq(phrase))
                .filter_map(move |found| {
                    let span = found.first()?.span.start..found.last()?.span.end;
                    // Words of one name stand on one line, close together.
                    (!text[span.clone()].contains(['\n', ',', ';'])).then_some(span)
                })
        });
        single.chain(phrases).collect()
    }

    fn is_name(&self, text: &str, word: &Word) -> bool {
        let capital = || text[word.span.clone()].starts_with(char::is_uppercase);
        self.words.contains(&word.folded) && (capital() || !COMMON_WORDS.contains(&word.folded.as_str()))
    }
}

/// A word that can be masked wherever it stands.
fn is_telling(word: &str) -> bool {
    word.chars().nth(1).is_some() && !is_particle(word)
}

/// A part of a name that is no name by itself, folded: `de`.
pub(in crate::grading) fn is_particle(word: &str) -> bool {
    PARTICLES.contains(&word)
}

/// A word that, alone and without a capital, is not taken for a name.
pub(super) fn is_everyday_word(word: &str) -> bool {
    !is_telling(word) || COMMON_WORDS.contains(&word)
}
