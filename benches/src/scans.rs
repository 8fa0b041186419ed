//! Scans made here: the same at each run, and as large as asked.

use jpeg_encoder::{ColorType, Encoder};

/// A page of grey paper with noise and dark strokes, as a JPEG in colour of this quality.
///
/// # Errors
/// No such JPEG can be made.
pub fn noise(width: u16, height: u16, quality: u8) -> anyhow::Result<Vec<u8>> {
    let mut state = 1u32;
    let mut pixels = Vec::with_capacity(usize::from(width) * usize::from(height) * 3);
    for y in 0..u32::from(height) {
        for x in 0..u32::from(width) {
            // Numerical Recipes' generator: the same page at each run.
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let ink = (y / 12) % 6 == 0 && (x * 7 + y * 13) % 97 < 30;
            let paper = if ink { 40 } else { 200 };
            let level = u8::try_from(paper + (state >> 24) / 6)?;
            pixels.extend_from_slice(&[level, level, level.saturating_sub(6)]);
        }
    }
    let mut jpeg = Vec::new();
    Encoder::new(&mut jpeg, quality).encode(&pixels, width, height, ColorType::Rgb)?;
    Ok(jpeg)
}

/// A PDF of A4 pages, each filled by a picture of its own.
#[must_use]
pub fn scan(jpeg: &[u8], width: u16, height: u16, pages: usize) -> Vec<u8> {
    let mut file = b"%PDF-1.4\n".to_vec();
    let mut offsets = Vec::new();
    let mut object = |file: &mut Vec<u8>, dict: &str, stream: Option<&[u8]>| {
        offsets.push(file.len());
        file.extend_from_slice(format!("{} 0 obj\n{dict}\n", offsets.len()).as_bytes());
        if let Some(stream) = stream {
            file.extend_from_slice(b"stream\n");
            file.extend_from_slice(stream);
            file.extend_from_slice(b"\nendstream\n");
        }
        file.extend_from_slice(b"endobj\n");
    };
    let kids: String = (0..pages).map(|page| format!("{} 0 R ", 3 + 3 * page)).collect();
    object(&mut file, "<< /Type /Catalog /Pages 2 0 R >>", None);
    object(
        &mut file,
        &format!("<< /Type /Pages /Count {pages} /Kids [{kids}] >>"),
        None,
    );
    for page in 0..pages {
        let (contents, picture) = (4 + 3 * page, 5 + 3 * page);
        let dict = format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595.28 841.89] /Contents {contents} 0 R /Resources << \
             /XObject << /P {picture} 0 R >> >> >>"
        );
        object(&mut file, &dict, None);
        let draw = b"595.28 0 0 841.89 0 0 cm /P Do";
        object(&mut file, &format!("<< /Length {} >>", draw.len()), Some(draw));
        let dict = format!(
            "<< /Type /XObject /Subtype /Image /Width {width} /Height {height} /ColorSpace /DeviceRGB \
             /BitsPerComponent 8 /Filter /DCTDecode /Length {} >>",
            jpeg.len()
        );
        object(&mut file, &dict, Some(jpeg));
    }
    let table = file.len();
    let entries: String = offsets
        .iter()
        .map(|offset| format!("{offset:010} 00000 n \n"))
        .collect();
    let size = offsets.len() + 1;
    let tail = format!(
        "xref\n0 {size}\n0000000000 65535 f \n{entries}trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n"
    );
    file.extend_from_slice(tail.as_bytes());
    file
}
