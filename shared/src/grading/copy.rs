//! A copy made ready for a model: its names masked, its text turned into data that cannot leave its tag.

use super::code::CopyCode;
use super::fold::is_invisible;
use super::page::PageText;
use super::redact::Redaction;

/// The text of one copy that a model is shown: some forty dense pages, and under the size at which providers
/// raise their price for the whole request. Unit: bytes.
pub const COPY_BYTES_MAX: usize = 120_000;

/// A copy without its names. Only this goes into a prompt; quotes are looked for in it.
#[derive(Debug, Clone)]
pub struct MaskedCopy {
    code: CopyCode,
    pages: Vec<(u32, String)>,
    redaction: Redaction,
    truncated: bool,
}

impl MaskedCopy {
    /// Masks the pages' text, in order, up to [`COPY_BYTES_MAX`].
    #[must_use]
    pub fn new(pages: &[PageText], mut redaction: Redaction) -> Self {
        let mut room = COPY_BYTES_MAX;
        let mut truncated = false;
        let mut masked = Vec::with_capacity(pages.len());
        for page in pages {
            let text = as_data(&redaction.mask(&visible(&page.text)));
            let cut = text.floor_char_boundary(room.min(text.len()));
            truncated |= cut < text.len();
            room -= cut;
            masked.push((page.number, text[..cut].to_owned()));
        }
        Self {
            code: redaction.code().clone(),
            pages: masked,
            redaction,
            truncated,
        }
    }

    /// The code under which the model knows it.
    #[must_use]
    pub fn code(&self) -> &CopyCode {
        &self.code
    }

    /// Page numbers and masked texts.
    pub fn pages(&self) -> impl Iterator<Item = (u32, &str)> {
        self.pages.iter().map(|(number, text)| (*number, text.as_str()))
    }

    /// Whether the end of it was left out.
    #[must_use]
    pub fn truncated(&self) -> bool {
        self.truncated
    }

    /// Nothing to grade.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.pages.iter().all(|(_, text)| text.trim().is_empty())
    }

    /// Puts the names (and what [`as_data`] changed) back into something that the model wrote.
    #[must_use]
    pub fn unmask(&self, text: &str) -> String {
        self.redaction.unmask(&text.replace('‹', "<"))
    }
}

/// What a reader sees: no invisible and no control characters, no runs of spaces, no empty lines. Each of
/// them would cost tokens, and the first could hide a word from the mask.
fn visible(text: &str) -> String {
    let mut seen = String::with_capacity(text.len());
    for line in text.split(['\n', '\r', '\u{0B}', '\u{0C}', '\u{85}', '\u{2028}', '\u{2029}']) {
        let kept: String = line.chars().filter(|c| !is_invisible(*c)).collect();
        let mut words = kept
            .split(|c: char| c.is_whitespace() || c.is_control())
            .filter(|word| !word.is_empty());
        if let Some(first) = words.next() {
            if !seen.is_empty() {
                seen.push('\n');
            }
            seen.push_str(first);
            for word in words {
                seen.push(' ');
                seen.push_str(word);
            }
        }
    }
    seen
}

/// Takes the bite out of anything that looks like a tag: `<` before a letter, a slash or a bang becomes `‹`, so
/// that no copy closes its own tag or opens another. `x < 3` stays as it is.
fn as_data(text: &str) -> String {
    let mut data = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let next = text[at + c.len_utf8()..].chars().find(|c| !c.is_whitespace());
        let opens = next.is_some_and(|c| c.is_alphabetic() || matches!(c, '/' | '!' | '?' | '\\' | '／'));
        data.push(if matches!(c, '<' | '＜' | '﹤') && opens {
            '‹'
        } else {
            c
        });
    }
    data
}
