//! A letter on a page, and what is known of whether it can be seen.

use hayro_interpret::hayro_cmap::BfString;
use hayro_interpret::kurbo::{Point, Vec2};

use super::document::HiddenReason;
use super::paint::Rgb;

/// A letter where it was drawn, in points from the page's top left corner, y downwards.
pub(super) struct Letter {
    pub(super) text: BfString,
    /// Start of its baseline.
    pub(super) origin: Point,
    /// From there to where the next letter starts.
    pub(super) along: Vec2,
    /// The height of its font.
    pub(super) up: Vec2,
    pub(super) look: Look,
    pub(super) order: u32,
}

impl Letter {
    /// The middle of what is seen of it.
    pub(super) fn middle(&self) -> Point {
        self.origin + self.along * 0.5 + self.up * 0.3
    }

    pub(super) fn push_to(&self, text: &mut String) {
        match &self.text {
            BfString::Char(letter) => text.push(*letter),
            BfString::String(letters) => text.push_str(letters),
        }
    }

    /// The first letter that it stands for.
    pub(super) fn first(&self) -> Option<char> {
        match &self.text {
            BfString::Char(letter) => Some(*letter),
            BfString::String(letters) => letters.chars().next(),
        }
    }

    /// Whether one shape is said to stand for more letters than any ligature holds.
    pub(super) fn is_phrase(&self) -> bool {
        const LIGATURE_LETTERS_MAX: usize = 6;
        matches!(&self.text, BfString::String(letters) if letters.chars().nth(LIGATURE_LETTERS_MAX).is_some())
    }

    pub(super) fn is_blank(&self) -> bool {
        match &self.text {
            BfString::Char(letter) => letter.is_whitespace() || letter.is_control(),
            BfString::String(letters) => letters.chars().all(|c| c.is_whitespace() || c.is_control()),
        }
    }
}

/// What is known of a letter's visibility when it is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Look {
    /// Its colour and alpha; `None` when it is not one colour, blended in a way not followed here, or when its
    /// shape must be looked at.
    Drawn(Option<(Rgb, f32)>),
    /// It cannot be seen, whatever else is drawn.
    Hidden(HiddenReason),
}
