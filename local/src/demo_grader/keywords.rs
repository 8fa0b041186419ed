//! Marks by keywords: points in proportion to the criterion's keywords that the answer holds, rounded down to
//! its step; the evidence is the copy's own words around them.

use std::collections::BTreeSet;

use rust_decimal::Decimal;
use shared::domain::rubric::{Criterion, Rubric};
use shared::grading::reply::{AwardReply, GradingReply};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Words of evidence, as many as the prompt allows.
const EVIDENCE_WORDS: usize = 12;
/// Without keywords, this many long words of `expected` stand in.
const EXPECTED_WORDS: usize = 10;
/// Nobody writes every keyword: this share of them earns all points.
const FULL_SHARE: (usize, usize) = (2, 3);
const INSTRUCTIONS: [&str; 8] = [
    "ignore les consignes",
    "ignore toutes les consignes",
    "ignore les instructions",
    "ignore previous",
    "ignore all",
    "20 20",
    "note maximale",
    "tous les points",
];

/// Marks a copy.
pub(super) fn grade(rubric: &Rubric, copy: &str, english: bool) -> GradingReply {
    let sections = Sections::of(copy);
    let mut awards = Vec::new();
    for (number, question) in (1..).zip(rubric.questions()) {
        let sentences = sections.sentences(number);
        awards.extend(
            question
                .criteria()
                .iter()
                .map(|criterion| award(criterion, &sentences, english)),
        );
    }
    let comment = if english {
        "Demo, not an AI (démo, pas une IA): marks are proposed by counting keywords; read the copy."
    } else {
        "Démo, pas une IA : ces points viennent d’un comptage de mots-clés ; relisez la copie."
    };
    let addressed_to_us = |sentence: &Sentence| {
        let read = format!(" {} ", sentence.folded().join(" "));
        INSTRUCTIONS
            .iter()
            .any(|instruction| read.contains(&format!(" {instruction} ")))
    };
    let all = sections.all().into_iter();
    let instructions_found = all
        .filter(|sentence| addressed_to_us(sentence))
        .map(|sentence| sentence.words.join(" "))
        .collect();
    GradingReply {
        awards,
        comment: comment.to_owned(),
        instructions_found,
    }
}

fn award(criterion: &Criterion, sentences: &[&Sentence], english: bool) -> AwardReply {
    let wanted = wanted(criterion);
    let found: BTreeSet<usize> = sentences
        .iter()
        .flat_map(|sentence| sentence.found(&wanted))
        .collect();
    let best = sentences
        .iter()
        .rev()
        .max_by_key(|sentence| sentence.found(&wanted).len());
    let points = points(criterion, found.len(), wanted.len());
    let evidence = match best {
        Some(sentence) if !points.is_zero() => sentence.around(&wanted),
        _ => String::new(),
    };
    let (found, wanted) = (found.len(), wanted.len());
    let feedback = if english {
        format!("Demo, not an AI: {found} of {wanted} keywords found.")
    } else {
        format!("Démo, pas une IA : {found} mots-clés trouvés sur {wanted}.")
    };
    AwardReply {
        criterion: criterion.id().to_owned(),
        evidence,
        feedback,
        points: Some(points),
    }
}

/// What to look for: each keyword as its folded words.
fn wanted(criterion: &Criterion) -> Vec<Vec<String>> {
    let mut wanted: Vec<_> = criterion
        .keywords()
        .iter()
        .map(|keyword| words(keyword))
        .collect();
    if wanted.is_empty() {
        let text = criterion.expected().unwrap_or_else(|| criterion.label());
        let long: BTreeSet<_> = words(text)
            .into_iter()
            .filter(|word| word.chars().count() > 5)
            .collect();
        wanted = long
            .into_iter()
            .take(EXPECTED_WORDS)
            .map(|word| vec![word])
            .collect();
    }
    wanted.retain(|keyword| !keyword.is_empty());
    wanted
}

fn points(criterion: &Criterion, found: usize, wanted: usize) -> Decimal {
    let (share, of) = FULL_SHARE;
    let (found, needed) = (Decimal::from(found * of), Decimal::from((wanted * share).max(1)));
    let earned = criterion.points() * found.min(needed) / needed;
    (earned / criterion.step()).floor() * criterion.step()
}

/// Words without case, accents and punctuation.
fn words(text: &str) -> Vec<String> {
    let folded: String = text
        .nfkd()
        .filter(|c| !is_combining_mark(*c))
        .flat_map(char::to_lowercase)
        .collect();
    let words = folded.split(|c: char| !c.is_alphanumeric());
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Whether two folded words are forms of one: all but their last two letters are equal, at least four of them.
fn alike(one: &str, other: &str) -> bool {
    let (one, other): (Vec<_>, Vec<_>) = (one.chars().collect(), other.chars().collect());
    let same = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
    one == other || same >= 4.max(one.len().max(other.len()).saturating_sub(2))
}

/// A sentence of the copy.
struct Sentence {
    /// As they are written.
    words: Vec<String>,
}

impl Sentence {
    fn folded(&self) -> Vec<String> {
        self.words.iter().flat_map(|word| words(word)).collect()
    }

    /// Which of the keywords it holds, all their words in any order.
    fn found(&self, wanted: &[Vec<String>]) -> BTreeSet<usize> {
        let folded = self.folded();
        let holds = |keyword: &Vec<String>| {
            keyword
                .iter()
                .all(|word| folded.iter().any(|other| alike(word, other)))
        };
        (0..wanted.len()).filter(|index| holds(&wanted[*index])).collect()
    }

    /// The part of it, as written, that holds the most keywords.
    fn around(&self, wanted: &[Vec<String>]) -> String {
        let windows = self.words.windows(EVIDENCE_WORDS.min(self.words.len()).max(1));
        let parts = windows.map(|words| Sentence {
            words: words.to_vec(),
        });
        let best = parts.rev().max_by_key(|part| part.found(wanted).len());
        best.map(|part| part.words.join(" ")).unwrap_or_default()
    }
}

/// The copy's sentences by question, as far as headings such as "Question 2" tell.
struct Sections(Vec<(Option<u32>, Sentence)>);

impl Sections {
    fn of(copy: &str) -> Self {
        let mut sections = Self(Vec::new());
        let (mut question, mut words) = (None, Vec::new());
        for line in copy.lines() {
            let heading = heading(line);
            if heading.is_some() || line.trim().is_empty() {
                sections.close(question, &mut words);
            }
            if heading.is_some() {
                question = heading;
                continue;
            }
            for word in line.split_whitespace() {
                words.push(word.to_owned());
                if word.ends_with(['.', '!', '?', ';', ':']) && word.chars().count() > 2 {
                    sections.close(question, &mut words);
                }
            }
        }
        sections.close(question, &mut words);
        sections
    }

    fn close(&mut self, question: Option<u32>, words: &mut Vec<String>) {
        if !words.is_empty() {
            self.0.push((
                question,
                Sentence {
                    words: std::mem::take(words),
                },
            ));
        }
    }

    fn all(&self) -> Vec<&Sentence> {
        self.0.iter().map(|(_, sentence)| sentence).collect()
    }

    /// The answer to one question; the whole copy if it has no headings.
    fn sentences(&self, question: u32) -> Vec<&Sentence> {
        if self.0.iter().all(|(heading, _)| heading.is_none()) {
            return self.all();
        }
        let of_question = self.0.iter().filter(|(heading, _)| *heading == Some(question));
        of_question.map(|(_, sentence)| sentence).collect()
    }
}

/// The number of the question that a line announces.
fn heading(line: &str) -> Option<u32> {
    let words = words(line);
    let [kind, number, ..] = words.as_slice() else {
        return None;
    };
    let announces = ["question", "exercice", "partie"].contains(&kind.as_str()) && words.len() <= 8;
    if announces { number.parse().ok() } else { None }
}
