//! The characters that leave this module.

use unicode_normalization::UnicodeNormalization;

/// The text in NFC, its ligatures unfolded, without control, zero-width and direction characters.
///
/// Only ligatures are unfolded: compatibility folding of the rest would turn 5² into 52 and ½ into 1⁄2.
pub(super) fn clean(raw: &str) -> String {
    let ascii = raw.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if ascii {
        return raw.to_owned();
    }
    let mut unfolded = String::with_capacity(raw.len());
    for letter in raw.chars() {
        match letter {
            '\u{FB00}'..='\u{FB06}' => unfolded.extend(std::iter::once(letter).nfkc()),
            '\u{00AD}' | '\u{2010}' | '\u{2011}' => unfolded.push('-'),
            _ if is_unprintable(letter) => {}
            _ if letter.is_whitespace() => unfolded.push(' '),
            _ => unfolded.push(letter),
        }
    }
    unfolded.nfc().collect()
}

/// Characters without a shape of their own. U+0000 breaks databases; zero-width, direction and tag
/// characters are a known way to smuggle instructions past a human reader.
fn is_unprintable(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFF0}'..='\u{FFFB}'
            | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn letters_are_kept_and_what_has_no_shape_is_dropped() {
        let cases = [
            ("plain", "plain"),
            ("di\u{FB03}cile, \u{FB01}n", "difficile, fin"),
            ("e\u{301}te\u{301}", "été"),
            ("5² et ½", "5² et ½"),
            ("a\u{0}b\u{7}c", "abc"),
            ("no\u{200B}te\u{202E}", "note"),
            ("10\u{A0}%", "10 %"),
            ("\u{E0041}\u{E0042}x", "x"),
            ("cœur «\u{A0}ça\u{A0}»", "cœur « ça »"),
        ];
        for (raw, expected) in cases {
            assert_eq!(clean(raw), expected, "{raw:?}");
        }
    }
}
