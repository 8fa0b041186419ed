//! Whose copy it is: the header against the class list, then the file's name.

use std::collections::BTreeSet;

use crate::domain::mark::{Finding, Flag};
use crate::grading::fold::{Folded, words_of};
use crate::grading::page::{HEADER_LINES, PageText};

/// Two names this alike may be one name misspelt (`Dupont Lea` and `Dupond Léa`: 0.89).
const SIMILAR_MIN: f64 = 0.80;
/// How much better than the next the best must be. Closer than that, a human decides.
const LEAD_MIN: f64 = 0.10;
/// A longer name is no name. Unit: characters, after folding.
const NAME_CHARS_MAX: usize = 80;

/// The class list.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    pupils: Vec<Vec<String>>,
}

/// Whose copy it is. Positions are those of the class list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pupil {
    /// One pupil of the list.
    Listed(usize),
    /// The copy bears a name that is not in the list.
    Unlisted(String),
    /// Several pupils fit, or two sources disagree: a human decides.
    Ambiguous(Vec<usize>),
    /// No name was found.
    Unknown,
}

impl Pupil {
    /// What a human must look at, unless one pupil of the list is certain.
    #[must_use]
    pub fn finding(&self) -> Option<Finding> {
        match self {
            Self::Listed(_) => None,
            Self::Unlisted(_) | Self::Ambiguous(_) | Self::Unknown => {
                Some(Finding::on_copy(Flag::PupilUncertain))
            }
        }
    }
}

impl Roster {
    /// Each pupil as one text, first and last name in either order.
    #[must_use]
    pub fn new<'a>(pupils: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            pupils: pupils.into_iter().map(words_of).collect(),
        }
    }

    /// Pupils for whom `fits` holds of their words.
    fn matching(&self, fits: impl Fn(&[String]) -> bool) -> BTreeSet<usize> {
        let pupils = self.pupils.iter().enumerate();
        pupils
            .filter(|(_, words)| !words.is_empty() && fits(words))
            .map(|(index, _)| index)
            .collect()
    }

    /// Pupils whose name, spelt as in the list, a name written on a copy may be: all its words, else some of them.
    fn spelt(&self, written: &[String]) -> BTreeSet<usize> {
        let whole = self.matching(|pupil| pupil.iter().all(|word| written.contains(word)));
        if !whole.is_empty() || written.is_empty() {
            return whole;
        }
        // Only the last name, or only the first.
        self.matching(|pupil| written.iter().all(|word| pupil.contains(word)))
    }

    fn alike(&self, written: &[String]) -> BTreeSet<usize> {
        let written: Vec<char> = written.concat().chars().take(NAME_CHARS_MAX).collect();
        let mut scored: Vec<(f64, usize)> = self
            .pupils
            .iter()
            .enumerate()
            .map(|(index, words)| (best_similarity(&written, words), index))
            .filter(|(score, _)| *score >= SIMILAR_MIN)
            .collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
        let best = scored.first().map_or(0.0, |(score, _)| *score);
        scored
            .into_iter()
            .filter(|(score, _)| best - score < LEAD_MIN)
            .map(|(_, index)| index)
            .collect()
    }

    /// Pupils whose whole name is in a file's name; else those of whom a long word is.
    fn in_file_name(&self, file_name: &str) -> BTreeSet<usize> {
        const LETTERS_MIN: usize = 4;
        let stem = file_name.rsplit_once('.').map_or(file_name, |(stem, _)| stem);
        let written = words_of(stem);
        let whole = self.matching(|pupil| pupil.iter().all(|word| written.contains(word)));
        if !whole.is_empty() {
            return whole;
        }
        let telling = |word: &String| word.chars().count() >= LETTERS_MIN && written.contains(word);
        self.matching(|pupil| pupil.iter().any(telling))
    }
}

/// Whose copy it is, and the name in its header if the list does not spell it so.
pub(super) fn find(pages: &[PageText], file_name: &str, roster: &Roster) -> (Pupil, Option<String>) {
    let header = pages.iter().find_map(|page| name_in_header(&page.text));
    let written = header.as_deref().map(words_of).unwrap_or_default();
    let spelt = roster.spelt(&written);
    let other = header.clone().filter(|_| spelt.is_empty());
    let by_header = if spelt.is_empty() {
        roster.alike(&written)
    } else {
        spelt
    };
    let by_file = roster.in_file_name(file_name);
    // The header may leave two pupils of one name, between whom the file's name decides.
    let both: BTreeSet<usize> = by_header.intersection(&by_file).copied().collect();
    let fitting = match (by_header.is_empty(), by_file.is_empty(), both.is_empty()) {
        (false, false, false) => both,
        (false, false, true) if by_file.len() == 1 => by_header.union(&by_file).copied().collect(),
        (false, ..) => by_header,
        // A name that is not in the list, on the copy itself, says more than the file's.
        (true, ..) if header.is_some() => BTreeSet::new(),
        (true, ..) => by_file,
    };
    let pupil = match (fitting.iter().copied().collect::<Vec<_>>().as_slice(), header) {
        ([one], _) => Pupil::Listed(*one),
        ([], Some(name)) => Pupil::Unlisted(name),
        ([], None) => Pupil::Unknown,
        (several, _) => Pupil::Ambiguous(several.to_vec()),
    };
    (pupil, other)
}

/// `Dupont Léa` from `Nom : Dupont   Prénom : Léa`, on one line or two.
fn name_in_header(text: &str) -> Option<String> {
    let mut last = None;
    let mut first = None;
    for line in text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .take(HEADER_LINES)
    {
        let mut rest = line;
        while let Some((label, after)) = rest.split_once([':', '：']) {
            let value = value_of(after);
            match words_of(label).last().map(String::as_str) {
                // `[nom]` is how a transcription writes a name that was painted over.
                _ if value.is_empty() || value.starts_with('[') => {}
                Some("nom" | "noms" | "eleve" | "name" | "surname" | "candidat" | "candidate") => {
                    last.get_or_insert(value);
                }
                Some("prenom" | "prenoms") => {
                    first.get_or_insert(value);
                }
                _ => {}
            }
            rest = after;
        }
    }
    match (last, first) {
        (None, None) => None,
        (last, first) => {
            let name: Vec<&str> = [last, first].into_iter().flatten().collect();
            Some(name.join(" ").chars().take(NAME_CHARS_MAX).collect())
        }
    }
}

/// What stands between a label's colon and the next label.
fn value_of(after: &str) -> &str {
    const NEXT_LABELS: [&str; 9] = [
        "nom", "noms", "prenom", "prenoms", "classe", "date", "note", "groupe", "class",
    ];
    let line = after.trim_start();
    // A wide gap separates the fields of a header.
    let line = line
        .find("  ")
        .or_else(|| line.find('\t'))
        .map_or(line, |gap| &line[..gap]);
    let folded = Folded::new(line).words();
    let next = folded
        .iter()
        .find(|word| NEXT_LABELS.contains(&word.folded.as_str()));
    next.map_or(line, |word| &line[..word.span.start])
        .trim_matches(|c: char| {
            c.is_whitespace() || matches!(c, '.' | '_' | '…' | ',' | ';' | '-' | '—' | '|' | '/')
        })
}

/// The best likeness over the orders in which a name's words may be written.
fn best_similarity(written: &[char], words: &[String]) -> f64 {
    (0..words.len())
        .map(|by| {
            let (end, start) = words.split_at(by);
            let name: Vec<char> = start
                .iter()
                .chain(end)
                .flat_map(|word| word.chars())
                .take(NAME_CHARS_MAX)
                .collect();
            similarity(written, &name)
        })
        .fold(0.0, f64::max)
}

/// One minus the edit distance over the longer length: 1 for equal texts.
fn similarity(a: &[char], b: &[char]) -> f64 {
    let longer = a.len().max(b.len());
    if longer == 0 {
        return 0.0;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    let distance = u32::try_from(row[b.len()]).unwrap_or(u32::MAX);
    1.0 - f64::from(distance) / f64::from(u32::try_from(longer).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::grading::page::PageKind;

    const CLASS: [&str; 7] = [
        "Dupont Léa",
        "Dupont Tom",
        "Martin Élise",
        "Jean-Pierre N’Diaye",
        "Girard Zoé",
        "Martin Lise",
        "Girard Zoé",
    ];

    fn found(text: &str, file_name: &str) -> (Pupil, Option<String>) {
        let page = PageText {
            number: 1,
            kind: PageKind::Typed,
            text: text.to_owned(),
        };
        find(&[page], file_name, &Roster::new(CLASS))
    }

    fn check(text: &str, file_name: &str, pupil: Pupil) {
        assert_eq!(found(text, file_name).0, pupil, "{text:?} in {file_name:?}");
    }

    #[test]
    fn a_header_names_the_pupil_in_any_order_case_and_accents() {
        check("Nom : DUPONT   Prénom : Lea", "", Pupil::Listed(0));
        check("Prénom : Tom\nNom : Dupont\nClasse : 3eB", "", Pupil::Listed(1));
        check("Nom et prénom : Léa Dupont Classe : 3eB", "", Pupil::Listed(0));
        check("Élève : N'Diaye Jean Pierre — 12 mars", "", Pupil::Listed(3));
        check("Nom : N’Diaye", "", Pupil::Listed(3));
    }

    #[test]
    fn a_misspelt_name_is_recognised_when_one_pupil_alone_is_close() {
        check("Nom : Dupond Léa", "", Pupil::Listed(0));
        check("Nom : Ndiaye Jean-Piere", "", Pupil::Listed(3));
    }

    #[test]
    fn a_name_that_the_list_does_not_spell_so_is_told_whoever_it_means() {
        for (text, other) in [
            ("Nom : DUPONT   Prénom : Lea", None),
            ("Nom : N’Diaye", None),
            ("Question 1", None),
            ("Nom : Dupond Léa", Some("Dupond Léa")),
            ("Nom : Martin Llise", Some("Martin Llise")),
            ("Nom : Kowalski   Prénom : Iga", Some("Kowalski Iga")),
        ] {
            assert_eq!(found(text, "dupont-lea.pdf").1.as_deref(), other, "{text}");
        }
    }

    #[test]
    fn two_pupils_who_fit_are_left_to_a_human() {
        check("Nom : Dupont", "", Pupil::Ambiguous(vec![0, 1]));
        assert_eq!(Pupil::Listed(0).finding(), None);
        assert_eq!(
            Pupil::Unknown.finding(),
            Some(Finding::on_copy(Flag::PupilUncertain))
        );
        check("Nom : Girard   Prénom : Zoé", "", Pupil::Ambiguous(vec![4, 6]));
        check("Nom : Martin Llise", "", Pupil::Ambiguous(vec![2, 5]));
    }

    #[test]
    fn the_files_name_decides_between_two_and_stands_in_for_a_header() {
        check("Nom : Dupont", "dupont_tom.pdf", Pupil::Listed(1));
        check("Question 1", "3eB-Histoire-LEA_DUPONT.pdf", Pupil::Listed(0));
        check("Question 1", "copie-ndiaye.pdf", Pupil::Unknown);
        check("Question 1", "copie_girard.pdf", Pupil::Ambiguous(vec![4, 6]));
    }

    #[test]
    fn a_header_and_a_file_that_disagree_are_left_to_a_human() {
        check(
            "Nom : Dupont Léa",
            "martin-elise.pdf",
            Pupil::Ambiguous(vec![0, 2]),
        );
    }

    #[test]
    fn a_stranger_is_unlisted_and_a_nameless_copy_is_unknown() {
        check(
            "Nom : Kowalski   Prénom : Iga",
            "dupont-lea.pdf",
            Pupil::Unlisted("Kowalski Iga".to_owned()),
        );
        check("Nom : ........  Prénom : ______", "scan0012.pdf", Pupil::Unknown);
        check("La photosynthèse : un processus", "", Pupil::Unknown);
    }

    proptest! {
        #[test]
        fn no_text_makes_detection_panic_and_positions_are_in_the_list(text in "(Nom|Prénom|:|\\PC|\n){0,40}", file in "\\PC{0,20}") {
            let page = PageText { number: 1, kind: PageKind::Typed, text };
            match find(&[page], &file, &Roster::new(CLASS)).0 {
                Pupil::Listed(index) => prop_assert!(index < CLASS.len()),
                Pupil::Ambiguous(several) => prop_assert!(several.len() > 1),
                Pupil::Unlisted(_) | Pupil::Unknown => {}
            }
        }
    }
}
