//! Counting tokens, approximately: the provider's tokenizer is not public.
//!
//! Text: 3.5 characters a token, rounded up, which is near what current models count for French prose.
//! Images: width × height ÷ 750, the provider's own rule of thumb, rounded up (a page of 1240 × 1754 pixels
//! is 2,900 tokens).

/// Tokens of a text.
pub(super) fn of_text(text: &str) -> u64 {
    let characters = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
    characters.saturating_mul(2).div_ceil(7)
}

/// Tokens of an image of this many pixels.
pub(super) fn of_image(width: u64, height: u64) -> u64 {
    width.saturating_mul(height).div_ceil(750)
}

/// The beginning of a text that is at most `tokens` long.
pub(super) fn cut(text: &str, tokens: u64) -> &str {
    let characters = usize::try_from(tokens.saturating_mul(7) / 2).unwrap_or(usize::MAX);
    text.char_indices()
        .nth(characters)
        .map_or(text, |(end, _)| text.get(..end).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_text_is_never_longer_than_its_bound() {
        for tokens in 0..40 {
            let cut = cut("Été comme hiver, la plante respire jour et nuit.", tokens);
            assert!(of_text(cut) <= tokens, "{tokens}: {cut}");
        }
    }

    #[test]
    fn counts_are_rounded_up() {
        assert_eq!(
            [of_text(""), of_text("a"), of_text("abcdefg"), of_text("éèêëàâäç")],
            [0, 1, 2, 3]
        );
        assert_eq!(of_image(1240, 1754), 2900);
    }
}
