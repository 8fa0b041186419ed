//! Parts what can be seen of a page from what was hidden on it.

use std::collections::{HashMap, HashSet};

use super::document::{HiddenReason, HiddenText};
use super::layout;
use super::letter::{Letter, Look};
use super::paint::{Coats, Outcome};

/// A page's letters, judged.
pub(super) struct Judged {
    /// The letters that can be shown to be visible.
    pub(super) seen: Vec<Letter>,
    /// What was hidden, one finding for each way.
    pub(super) hidden: Vec<HiddenText>,
    /// Whether some letters can be neither shown to be visible nor to be hidden: they are in neither, and
    /// the page must be looked at.
    pub(super) doubtful: bool,
}

/// Judges the letters of a page. `scan` says that a picture fills most of it.
pub(super) fn judge(letters: Vec<Letter>, coats: &Coats, page: u32, scan: bool) -> Judged {
    let mut seen = Vec::with_capacity(letters.len());
    let mut unseen: Vec<(HiddenReason, Vec<Letter>)> = Vec::new();
    let mut doubtful = false;
    for letter in letters {
        let outcome = match letter.look {
            Look::Hidden(reason) => Err(reason),
            Look::Drawn(ink) => match coats.outcome(letter.middle(), letter.order, ink) {
                Outcome::Seen => Ok(()),
                Outcome::White => Err(HiddenReason::White),
                Outcome::SameColour => Err(HiddenReason::SameColour),
                Outcome::Covered { picture: true } if scan => Err(HiddenReason::OcrLayer),
                Outcome::Covered { .. } => Err(HiddenReason::Covered),
                Outcome::Unknown => {
                    doubtful |= !letter.is_blank();
                    continue;
                }
            },
        };
        match outcome {
            Ok(()) => seen.push(letter),
            Err(reason) => {
                // Its shape is there to be seen, only its meaning is not to be believed.
                doubtful |= reason == HiddenReason::Overloaded;
                let reason = match reason {
                    HiddenReason::Invisible | HiddenReason::Shapeless if scan => HiddenReason::OcrLayer,
                    other => other,
                };
                match unseen.iter_mut().find(|(known, _)| *known == reason) {
                    Some((_, letters)) => letters.push(letter),
                    None => unseen.push((reason, vec![letter])),
                }
            }
        }
    }
    let stacked = part_stacked(&mut seen);
    if !stacked.is_empty() {
        unseen.push((HiddenReason::Stacked, stacked));
    }
    Judged {
        hidden: findings(unseen, &seen, page),
        seen,
        doubtful,
    }
}

/// A column and a row of a page.
type Spot = (i64, i64);

/// Takes out the letters of which several different ones stand on one place: nobody can read them.
fn part_stacked(seen: &mut Vec<Letter>) -> Vec<Letter> {
    /// Two are an accident of two boxes of text; the narrowest letters stand further apart than three to a place.
    const LETTERS_MAX: usize = 2;
    let mut places: HashMap<Spot, [Option<char>; LETTERS_MAX]> = HashMap::with_capacity(seen.len());
    let mut stacks = HashSet::new();
    for (spot, sign) in seen.iter().filter_map(spot) {
        let known = places.entry(spot).or_default();
        if known.contains(&Some(sign)) {
            continue;
        }
        match known.iter_mut().find(|known| known.is_none()) {
            Some(free) => *free = Some(sign),
            None => {
                stacks.insert(spot);
            }
        }
    }
    if stacks.is_empty() {
        return Vec::new();
    }
    let is_stacked = |letter: &mut Letter| spot(letter).is_some_and(|(spot, _)| stacks.contains(&spot));
    seen.extract_if(.., is_stacked).collect()
}

/// Where a letter or digit stands, to a sixth of its height, and which it is.
fn spot(letter: &Letter) -> Option<(Spot, char)> {
    const PARTS: f64 = 6.0;
    let sign = letter.first().filter(|sign| sign.is_alphanumeric())?;
    let size = letter.up.hypot().max(1.0) / PARTS;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a saturated coordinate is as good a key"
    )]
    let part = |value: f64| (value / size).floor() as i64;
    Some(((part(letter.origin.x), part(letter.origin.y)), sign))
}

fn findings(unseen: Vec<(HiddenReason, Vec<Letter>)>, seen: &[Letter], page: u32) -> Vec<HiddenText> {
    /// Fewer letters than this say nothing; programs leave such crumbs.
    const LETTERS_MIN: usize = 2;
    if unseen.is_empty() {
        return Vec::new();
    }
    // A letter filled in white and outlined in black is drawn twice and seen once.
    let visible: HashSet<_> = seen.iter().map(place).collect();
    let mut hidden = Vec::new();
    for (reason, mut letters) in unseen {
        letters.retain(|letter| !visible.contains(&place(letter)));
        let mut excerpt = String::new();
        for line in layout::lines(&letters) {
            for word in line.words {
                if !excerpt.is_empty() {
                    excerpt.push(' ');
                }
                excerpt.push_str(&word.text);
            }
        }
        if excerpt.chars().filter(|letter| letter.is_alphanumeric()).count() >= LETTERS_MIN {
            let excerpt = excerpt.chars().take(HiddenText::EXCERPT_CHARS).collect();
            hidden.push(HiddenText {
                page,
                reason,
                excerpt,
            });
        }
    }
    hidden
}

/// A letter and its place, to a quarter of a point.
fn place(letter: &Letter) -> (String, i64, i64) {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a saturated coordinate is as good a key"
    )]
    let quarter = |value: f64| (value * 4.0).round() as i64;
    let mut text = String::new();
    letter.push_to(&mut text);
    (text, quarter(letter.origin.x), quarter(letter.origin.y))
}
