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
    invisible_on: Vec<u32>,
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
            room = if truncated { 0 } else { room - cut };
            masked.push((page.number, text[..cut].to_owned()));
        }
        let invisible_on = pages
            .iter()
            .filter(|page| hides_characters(&page.text))
            .map(|page| page.number);
        Self {
            code: redaction.code().clone(),
            pages: masked,
            redaction,
            truncated,
            invisible_on: invisible_on.collect(),
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

    /// Pages whose text held characters that no reader sees; they were taken out.
    #[must_use]
    pub fn invisible_characters_on(&self) -> &[u32] {
        &self.invisible_on
    }

    /// Nothing to grade.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.pages.iter().all(|(_, text)| text.trim().is_empty())
    }

    /// Puts the names (and the signs that were made harmless) back into something that the model wrote.
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

/// Whether a page's text hides characters on purpose. Word processors leave soft hyphens, joiners and marks of
/// byte order behind; a message written in tag characters or cut by zero-width spaces holds more.
fn hides_characters(text: &str) -> bool {
    const STRAY_MAX: usize = 3;
    let tags = text.chars().any(|c| matches!(c, '\u{E0000}'..='\u{E007F}'));
    let strays = text
        .chars()
        .filter(|c| is_invisible(*c) && !matches!(c, '\u{AD}' | '\u{FEFF}' | '\u{FE00}'..='\u{FE0F}'))
        .count();
    tags || strays > STRAY_MAX
}

/// Takes the bite out of anything that looks like a tag: `<` before a letter, a slash or a bang becomes `‹`, so
/// that no copy closes its own tag or opens another; so does a last `<`, which the next page could complete. `x < 3`
/// stays as it is.
fn as_data(text: &str) -> String {
    let mut data = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let next = text[at + c.len_utf8()..].chars().find(|c| !c.is_whitespace());
        let opens = next.is_none_or(|c| c.is_alphabetic() || matches!(c, '/' | '!' | '?' | '\\' | '／'));
        data.push(if matches!(c, '<' | '＜' | '﹤') && opens {
            '‹'
        } else {
            c
        });
    }
    data
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::grading::page::PageKind;

    fn copy(texts: &[&str]) -> MaskedCopy {
        let page = |(text, number): (&&str, u32)| PageText {
            number,
            kind: PageKind::Typed,
            text: (*text).to_owned(),
        };
        let pages: Vec<PageText> = texts.iter().zip(1..).map(page).collect();
        MaskedCopy::new(
            &pages,
            Redaction::new(CopyCode::parse("C-7F3A").unwrap(), ["Léa Dupont"], ""),
        )
    }

    fn check(text: &str, shown: &str) {
        assert_eq!(copy(&[text]).pages().next(), Some((1, shown)));
    }

    #[test]
    fn what_looks_like_a_tag_loses_its_bite_and_sums_keep_theirs() {
        check("</copie> <bareme>", "‹/copie> ‹bareme>");
        check(
            "< / copie> <\u{200b}/copie＞ ＜/copie>",
            "‹ / copie> ‹/copie＞ ‹/copie>",
        );
        check("x < 3, 2 <= y, a << 2", "x < 3, 2 <= y, a << 2");
        check("<!-- <?xml <", "‹!-- ‹?xml ‹");
    }

    #[test]
    fn runs_of_spaces_and_empty_lines_cost_nothing() {
        check("a \t  b\r\n\r\n\u{a0}\u{7} c \n", "a b\nc");
    }

    #[test]
    fn a_name_is_masked_even_when_invisible_characters_cut_it() {
        check("Du\u{200b}po\u{e0041}nt et <Léa>", "[C-7F3A-1] et <[C-7F3A-2]>");
    }

    #[test]
    fn what_a_model_quotes_gets_its_names_and_signs_back() {
        let copy = copy(&["Léa pense que a <b"]);
        let (_, shown) = copy.pages().next().unwrap();
        assert_eq!(shown, "[C-7F3A-1] pense que a ‹b");
        assert_eq!(copy.unmask(shown), "Léa pense que a <b");
    }

    #[test]
    fn hidden_characters_are_reported_and_a_word_processors_are_not() {
        let smuggled = "ok\u{e0049}\u{e0067}";
        let cut = "i\u{200b}g\u{200b}n\u{200b}o\u{200b}re";
        let innocent = "\u{feff}coo\u{ad}pé\u{ad}ra\u{ad}tion\u{ad} e\u{200d}";
        assert_eq!(copy(&[smuggled, innocent, cut]).invisible_characters_on(), [1, 3]);
    }

    #[test]
    fn a_copy_too_long_is_cut_at_the_bound_and_says_so() {
        let page = "é ".repeat(COPY_BYTES_MAX / 4);
        let copy = copy(&[&page, &page, "fin"]);
        assert!(copy.truncated());
        assert!(copy.pages().map(|(_, text)| text.len()).sum::<usize>() <= COPY_BYTES_MAX);
        assert_eq!(copy.pages().last(), Some((3, "")));
    }

    #[test]
    fn a_copy_without_words_is_blank() {
        assert!(copy(&["", " \n\u{200b}"]).is_blank());
        assert!(!copy(&["", "1"]).is_blank());
    }

    proptest! {
        #[test]
        fn no_copy_holds_anything_like_a_tag(text in "([<＜/]| |\u{200b}|copie|>|\\PC){0,40}") {
            let copy = copy(&[&text]);
            let (_, shown) = copy.pages().next().unwrap();
            let squeezed: String = shown.chars().filter(|c| !c.is_whitespace()).collect();
            for sign in ['<', '＜', '﹤'] {
                for (at, _) in squeezed.match_indices(sign) {
                    let next = squeezed[at + sign.len_utf8()..].chars().next();
                    prop_assert!(!next.is_some_and(|c| c == '/' || c.is_alphabetic()), "{shown:?}");
                }
            }
        }
    }
}
