//! The random code under which a model knows a copy.

use std::fmt;

/// A capital letter, a dash, four to eight hexadecimal digits: `C-7F3A`. Nothing in it needs escaping.
///
/// It stands for the copy in a stored reply too, so a copy keeps its code for as long as a run lasts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CopyCode(String);

/// Not a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a copy's code is a capital letter, a dash and four to eight hexadecimal digits")]
pub struct CodeError;

impl CopyCode {
    /// Reads a code.
    ///
    /// # Errors
    /// [`CodeError`] when it has another form.
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        let hexadecimal = |c: char| matches!(c, '0'..='9' | 'A'..='F');
        let (letter, digits) = text.split_once('-').ok_or(CodeError)?;
        let right = letter.len() == 1
            && letter.chars().all(|c| c.is_ascii_uppercase())
            && (4..=8).contains(&digits.len())
            && digits.chars().all(hexadecimal);
        if right {
            Ok(Self(text.to_owned()))
        } else {
            Err(CodeError)
        }
    }

    /// A code from the caller's random bits.
    #[must_use]
    pub fn from_random(bits: u32) -> Self {
        Self(format!("C-{bits:08X}"))
    }

    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CopyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_a_letter_a_dash_and_hexadecimal_digits() {
        for good in ["C-7F3A", "A-00000000"] {
            assert_eq!(CopyCode::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "C7F3A",
            "C-7F3",
            "C-7f3a",
            "c-7F3A",
            "C-7F3A\">",
            "CC-7F3A",
            "C-123456789",
            "É-7F3A",
        ] {
            assert_eq!(CopyCode::parse(bad), Err(CodeError), "{bad}");
        }
        assert_eq!(
            CopyCode::from_random(0x7F3A),
            CopyCode::parse("C-00007F3A").unwrap()
        );
    }
}
