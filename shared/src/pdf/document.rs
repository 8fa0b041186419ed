//! What a copy says, page by page.

use serde::{Deserialize, Serialize};

/// A copy that was read whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    /// Every page, in order.
    pub pages: Vec<Page>,
    /// Text that the file holds but a reader of the page cannot see. Never part of a page's text.
    pub hidden: Vec<HiddenText>,
}

/// One page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// From 1.
    pub number: u32,
    /// Width as displayed (rotation applied), in points of 1/72 inch.
    pub width_pt: f32,
    /// Height as displayed, in points.
    pub height_pt: f32,
    /// How the page is to be read.
    pub kind: PageKind,
    /// The visible text in reading order.
    pub lines: Vec<Line>,
    /// The page as a picture: always there for [`PageKind::Scanned`], never otherwise.
    #[serde(skip)]
    pub image: Option<PageImage>,
}

impl Page {
    /// The visible text, one line of the page a line.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            for (position, word) in line.words.iter().enumerate() {
                if position > 0 {
                    text.push(' ');
                }
                text.push_str(&word.text);
            }
            text.push('\n');
        }
        text
    }
}

/// How a page is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageKind {
    /// Its text says all there is.
    Typed,
    /// It must be looked at: a scan, a drawing, a photo among the text, or text that cannot be shown to be
    /// visible. `lines` holds whatever visible text there is besides.
    Scanned,
    /// Nothing is drawn on it.
    Blank,
}

/// Words that share a baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// From left to right; never empty.
    pub words: Vec<Word>,
}

impl Line {
    /// The box around the words.
    pub fn bounds(&self) -> Bounds {
        let mut words = self.words.iter().map(|word| word.bounds);
        let first = words.next().unwrap_or_default();
        words.fold(first, Bounds::union)
    }
}

/// A word and where it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Word {
    /// NFC, ligatures unfolded, without control or zero-width characters; never empty.
    pub text: String,
    /// Where it stands.
    pub bounds: Bounds,
}

/// A box in points from the top left corner of the page as displayed, y downwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "[f32; 4]", into = "[f32; 4]")]
pub struct Bounds {
    /// x of the left side.
    pub left: f32,
    /// y of the upper side.
    pub top: f32,
    /// x of the right side.
    pub right: f32,
    /// y of the lower side.
    pub bottom: f32,
}

impl Bounds {
    /// The smallest box that holds both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }
}

impl From<[f32; 4]> for Bounds {
    fn from([left, top, right, bottom]: [f32; 4]) -> Self {
        Self {
            left,
            top,
            right,
            bottom,
        }
    }
}

impl From<Bounds> for [f32; 4] {
    fn from(bounds: Bounds) -> Self {
        [bounds.left, bounds.top, bounds.right, bounds.bottom]
    }
}

/// A page as a JPEG made by us: upright, without metadata, nothing of the file's own bytes in it.
#[derive(Clone, PartialEq, Eq)]
pub struct PageImage {
    /// The file.
    pub jpeg: Vec<u8>,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

impl std::fmt::Debug for PageImage {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "PageImage({}×{}, {} bytes)",
            self.width,
            self.height,
            self.jpeg.len()
        )
    }
}

/// Text that is in the file and cannot be seen; one finding for each page and way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HiddenText {
    /// From 1.
    pub page: u32,
    /// How it was hidden.
    pub reason: HiddenReason,
    /// Its first words, at most [`HiddenText::EXCERPT_CHARS`].
    pub excerpt: String,
}

impl HiddenText {
    /// The longest excerpt, in characters.
    pub const EXCERPT_CHARS: usize = 200;
}

/// How a text was hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HiddenReason {
    /// White on the white page.
    White,
    /// Of the colour of what is behind it.
    SameColour,
    /// Too small to be read.
    Tiny,
    /// Drawn in the invisible mode.
    Invisible,
    /// Its glyph draws nothing.
    Shapeless,
    /// Several letters on one place, of which none can be read.
    Stacked,
    /// Transparent.
    Transparent,
    /// Outside the page.
    OffPage,
    /// Outside the area in which drawing shows.
    Clipped,
    /// Something was drawn over it.
    Covered,
    /// The font says that one shape stands for a whole phrase.
    Overloaded,
    /// The text layer of a scan: what a scanner recognised, under or over the picture of the page.
    OcrLayer,
}

impl HiddenReason {
    /// Whether a person is likely to have hidden it on purpose (a scanner's text layer is not).
    pub fn suspicious(self) -> bool {
        self != Self::OcrLayer
    }

    /// The stable name, as on the wire.
    pub fn code(self) -> &'static str {
        match self {
            Self::White => "white",
            Self::SameColour => "same_colour",
            Self::Tiny => "tiny",
            Self::Invisible => "invisible",
            Self::Shapeless => "shapeless",
            Self::Stacked => "stacked",
            Self::Transparent => "transparent",
            Self::OffPage => "off_page",
            Self::Clipped => "clipped",
            Self::Covered => "covered",
            Self::Overloaded => "overloaded",
            Self::OcrLayer => "ocr_layer",
        }
    }
}
