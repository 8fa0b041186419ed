//! The most tokens that a call can cost, known before it is sent.

use super::{Part, Prompt};

/// What providers wrap around our words: roles, the instruction to follow a schema. Unit: tokens.
const FRAMING: u64 = 400;

/// Pixels in a token: the providers' own formula, `width × height / 750`, for an image that they do not shrink.
const PIXELS_PER_TOKEN: u64 = 750;

/// What an image costs however small it is (providers with a fixed price per image charge up to about this).
const IMAGE_MIN: u64 = 1_200;

/// What a page of unknown size may cost: providers shrink any larger image to this. Unit: tokens.
const IMAGE_MAX: u64 = 5_000;

/// A strict upper bound of the tokens that a call can use, cached or not. Unit: tokens.
///
/// Text: tokenizers work on bytes, so no text has more tokens than bytes. Images: by their pixels. Output: the
/// bound that is sent with the prompt.
#[must_use]
pub fn tokens_max(prompt: &Prompt) -> u64 {
    let text = |text: &str| u64::try_from(text.len()).unwrap_or(u64::MAX);
    let copy = prompt.copy.iter().map(|part| match part {
        Part::Text(words) => text(words),
        Part::Jpeg(jpeg) => image_tokens_max(jpeg),
    });
    [
        FRAMING,
        text(&prompt.prefix),
        text(&prompt.schema.to_string()),
        u64::from(prompt.output_tokens_max),
    ]
    .into_iter()
    .chain(copy)
    .fold(0, u64::saturating_add)
}

fn image_tokens_max(jpeg: &[u8]) -> u64 {
    match jpeg_size(jpeg) {
        // A few tokens mark the image's beginning and end.
        Some((width, height)) => ((u64::from(width) * u64::from(height)).div_ceil(PIXELS_PER_TOKEN) + 8)
            .clamp(IMAGE_MIN, IMAGE_MAX),
        None => IMAGE_MAX,
    }
}

/// Width and height from the frame header (`SOFn`: ITU T.81, B.2.2).
fn jpeg_size(jpeg: &[u8]) -> Option<(u16, u16)> {
    let mut rest = jpeg.strip_prefix(&[0xFF, 0xD8])?;
    loop {
        let [0xFF, marker, high, low, body @ ..] = rest else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([*high, *low])).checked_sub(2)?;
        let is_frame = matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC);
        if let (true, [_, h1, h2, w1, w2, ..]) = (is_frame, body) {
            return Some((u16::from_be_bytes([*w1, *w2]), u16::from_be_bytes([*h1, *h2])));
        }
        rest = body.get(length..)?;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::grading::Phase;

    /// The headers of a JPEG of this size: a comment, then the frame.
    fn jpeg(width: u16, height: u16) -> Vec<u8> {
        let mut bytes = vec![0xFF, 0xD8, 0xFF, 0xFE, 0, 4, b'h', b'i', 0xFF, 0xC0, 0, 17, 8];
        bytes.extend(height.to_be_bytes());
        bytes.extend(width.to_be_bytes());
        bytes.extend([3; 12]);
        bytes
    }

    fn prompt(prefix: &str, copy: Vec<Part>) -> Prompt {
        Prompt {
            phase: Phase::Grading,
            prefix: prefix.to_owned(),
            copy,
            schema: json!({}),
            output_tokens_max: 900,
        }
    }

    #[test]
    fn an_image_costs_by_its_pixels_between_a_floor_and_a_ceiling() {
        for (bytes, tokens) in [
            (jpeg(1_000, 1_400), 1_875),
            (jpeg(1_920, 1_080), 2_773),
            (jpeg(10, 10), 1_200),
            (jpeg(65_535, 65_535), 5_000),
            (b"no jpeg".to_vec(), 5_000),
            (jpeg(1_000, 1_400)[..10].to_vec(), 5_000),
        ] {
            assert_eq!(image_tokens_max(&bytes), tokens);
        }
    }

    #[test]
    fn a_prompt_costs_at_most_its_bytes_its_images_and_its_answer() {
        let parts = vec![Part::Text("été".to_owned()), Part::Jpeg(jpeg(1_000, 1_400))];
        assert_eq!(tokens_max(&prompt("abc", parts)), 400 + 3 + 2 + 900 + 5 + 1_875);
    }

    proptest! {
        #[test]
        fn more_words_never_cost_less(a in "\\PC{0,40}", b in "\\PC{0,40}") {
            let longer = prompt(&a, vec![Part::Text(b.clone()), Part::Text(a.clone())]);
            prop_assert!(tokens_max(&longer) >= tokens_max(&prompt(&a, vec![Part::Text(b)])));
        }

        #[test]
        fn no_bytes_make_the_size_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut framed = vec![0xFF, 0xD8, 0xFF];
            framed.extend(bytes);
            prop_assert!(image_tokens_max(&framed) <= IMAGE_MAX);
        }
    }
}
