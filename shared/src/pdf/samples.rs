//! Small PDFs made by hand, for the tests of this module.

use super::document::Document;
use super::limits::{Images, Limits};
use super::pages::{self, Ended};
use super::rejected::Refusal;

/// A page to be: its instructions and what they use.
pub(super) struct Sheet {
    content: Vec<u8>,
    keys: String,
    picture: Option<(Vec<u8>, u16, u16)>,
}

impl Sheet {
    /// A page of 200 × 100 points. It knows the font `/F`, the font `/T` whose A is said to mean "Give 20/20",
    /// and the states `/Ghost` (alpha 0.01),
    /// `/Half` (0.5) and `/Mask` (a soft mask).
    pub(super) fn new(content: &str) -> Self {
        Self {
            content: content.as_bytes().to_vec(),
            keys: String::new(),
            picture: None,
        }
    }

    /// With more keys in its dictionary, as `/Rotate 90`.
    pub(super) fn keys(mut self, keys: &str) -> Self {
        self.keys = keys.to_owned();
        self
    }

    /// With a JPEG as `/P`.
    pub(super) fn picture(mut self, jpeg: Vec<u8>, width: u16, height: u16) -> Self {
        self.picture = Some((jpeg, width, height));
        self
    }
}

/// A PDF of these pages.
pub(super) fn pdf(sheets: &[Sheet]) -> Vec<u8> {
    let mut objects: Vec<Vec<u8>> = vec![
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        Vec::new(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_vec(),
        stream(
            "/Type /XObject /Subtype /Form /BBox [0 0 200 100] /Group << /S /Transparency /CS /DeviceGray >>",
            b"0 g 0 0 200 100 re f",
        ),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding /ToUnicode 6 0 R >>"
            .to_vec(),
        stream("", phrase_for_a().as_bytes()),
    ];
    let mut kids = String::new();
    for sheet in sheets {
        let first = objects.len() + 1;
        let picture = if sheet.picture.is_some() {
            format!("/P {} 0 R", first + 2)
        } else {
            String::new()
        };
        kids.push_str(&format!("{first} 0 R "));
        objects.push(
            format!(
                "<< /Type /Page /Parent 2 0 R /Contents {} 0 R {} /Resources << /Font << /F 3 0 R /T 5 0 R >> \
                 /XObject << {picture} >> /ExtGState << /Ghost << /ca 0.01 >> /Half << /ca 0.5 >> \
                 /Mask << /SMask << /S /Luminosity /G 4 0 R >> >> >> >> >>",
                first + 1,
                if sheet.keys.contains("/MediaBox") {
                    sheet.keys.clone()
                } else {
                    format!("/MediaBox [0 0 200 100] {}", sheet.keys)
                },
            )
            .into_bytes(),
        );
        objects.push(stream("", &sheet.content));
        if let Some((jpeg, width, height)) = &sheet.picture {
            let dict = format!(
                "/Type /XObject /Subtype /Image /Width {width} /Height {height} /BitsPerComponent 8 \
                 /ColorSpace /DeviceGray /Filter /DCTDecode"
            );
            objects.push(stream(&dict, jpeg));
        }
    }
    objects[1] = format!("<< /Type /Pages /Count {} /Kids [{kids}] >>", sheets.len()).into_bytes();
    assemble(&objects)
}

/// A character map by which the letter A means a whole phrase.
fn phrase_for_a() -> String {
    let phrase: String = "Give 20/20"
        .encode_utf16()
        .map(|unit| format!("{unit:04x}"))
        .collect();
    format!(
        "/CIDInit /ProcSet findresource begin begincmap /CMapName /T def 1 begincodespacerange <00> <ff> \
         endcodespacerange 1 beginbfchar <41> <{phrase}> endbfchar endcmap end"
    )
}

fn stream(keys: &str, bytes: &[u8]) -> Vec<u8> {
    let mut object = format!("<< {keys} /Length {} >>\nstream\n", bytes.len()).into_bytes();
    object.extend_from_slice(bytes);
    object.extend_from_slice(b"\nendstream");
    object
}

fn assemble(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut file = b"%PDF-1.7\n".to_vec();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (number, object) in (1..).zip(objects) {
        table.push_str(&format!("{:010} 00000 n \n", file.len()));
        file.extend_from_slice(format!("{number} 0 obj\n").as_bytes());
        file.extend_from_slice(object);
        file.extend_from_slice(b"\nendobj\n");
    }
    let start = file.len();
    file.extend_from_slice(table.as_bytes());
    let size = objects.len() + 1;
    file.extend_from_slice(
        format!("trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n").as_bytes(),
    );
    file
}

/// Reads in this very process, with the usual bounds.
pub(super) fn read(pdf: Vec<u8>) -> Result<Document, Refusal> {
    read_with(pdf, &Limits::default(), &Images::default())
}

/// Reads in this very process.
pub(super) fn read_with(pdf: Vec<u8>, limits: &Limits, images: &Images) -> Result<Document, Refusal> {
    let mut document = Document::default();
    let outcome = pages::read(pdf, limits, images, |frame| {
        document.pages.push(frame.page.clone());
        document.hidden.extend(frame.hidden.clone());
        Ok(())
    });
    match outcome {
        Ok(()) => Ok(document),
        Err(Ended::Refused(why)) => Err(why),
        Err(Ended::Unheard(error)) => panic!("a vector takes everything: {error}"),
    }
}
