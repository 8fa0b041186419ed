//! Images as the provider takes them.

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;

const BYTES_MAX: usize = 5 * 1024 * 1024;
const SIDE_MAX: u64 = 8000;

/// Width and height in pixels, or what is wrong with the block.
pub(super) fn size(media_type: &str, bytes: &[u8]) -> Result<(u64, u64), &'static str> {
    if bytes.len() > BYTES_MAX {
        return Err("source: image exceeds 5 MB maximum");
    }
    let size = match media_type {
        "image/jpeg" => jpeg_size(bytes),
        "image/png" => png_size(bytes),
        "image/gif" | "image/webp" => return Err("source: the local provider reads JPEG and PNG only"),
        _ => {
            return Err(
                "source.media_type: Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'",
            );
        }
    };
    match size {
        None => Err("source: the image does not match the provided media type, or cannot be read"),
        Some((width, height)) if width.max(height) > SIDE_MAX => {
            Err("source: At least one of the image dimensions exceed max allowed size: 8000 pixels")
        }
        Some(size) => Ok(size),
    }
}

fn jpeg_size(bytes: &[u8]) -> Option<(u64, u64)> {
    let mut decoder = JpegDecoder::new(ZCursor::new(bytes));
    decoder.decode_headers().ok()?;
    let info = decoder.info()?;
    Some((u64::from(info.width), u64::from(info.height)))
}

fn png_size(bytes: &[u8]) -> Option<(u64, u64)> {
    let header = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")?;
    let side = |range: std::ops::Range<usize>| {
        let bytes: [u8; 4] = header.get(range)?.try_into().ok()?;
        Some(u64::from(u32::from_be_bytes(bytes))).filter(|side| *side > 0)
    };
    Some((side(0..4)?, side(4..8)?))
}
