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
    liar: Option<Liar>,
}

/// Where a page has a font whose A is said to be a B.
#[derive(Clone, Copy)]
pub(super) enum Liar {
    /// `/L`, by its base encoding.
    ByBase,
    /// `/M`, whose code 1 draws the A.
    ByDifferences,
    /// `/L`, in the form `/Form`.
    InForm,
}

impl Sheet {
    /// A page of 200 × 100 points. It knows the font `/F`, the font `/T` whose A is said to mean "Give 20/20", the
    /// font `/N` whose codes 1 to 3 have no shape, the programs `/E` that draw nothing and `/D` that draw boxes,
    /// and the states `/Ghost` (alpha 0.01),
    /// `/Half` (0.5) and `/Mask` (a soft mask).
    pub(super) fn new(content: &str) -> Self {
        Self {
            content: content.as_bytes().to_vec(),
            keys: String::new(),
            picture: None,
            liar: None,
        }
    }

    /// With more keys in its dictionary, as `/Rotate 90`.
    pub(super) fn keys(mut self, keys: &str) -> Self {
        self.keys = keys.to_owned();
        self
    }

    /// With a font that lies.
    pub(super) fn lying(mut self, liar: Liar) -> Self {
        self.liar = Some(liar);
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
    objects.extend(strange_fonts());
    let mut kids = String::new();
    for sheet in sheets {
        let first = objects.len() + 1;
        let picture = if sheet.picture.is_some() {
            format!("/P {} 0 R", first + 2)
        } else {
            String::new()
        };
        let (font, form) = match sheet.liar {
            None => ("", ""),
            Some(Liar::ByBase) => ("/L 17 0 R", ""),
            Some(Liar::ByDifferences) => ("/M 19 0 R", ""),
            Some(Liar::InForm) => ("", "/Form 21 0 R"),
        };
        kids.push_str(&format!("{first} 0 R "));
        objects.push(
            format!(
                "<< /Type /Page /Parent 2 0 R /Contents {} 0 R {} /Resources << \
                 /Font << /F 3 0 R /T 5 0 R /N 7 0 R /E 9 0 R /D 10 0 R {font} >> /XObject << {picture} {form} >> /ExtGState << /Ghost << /ca 0.01 >> /Half << /ca 0.5 >> \
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

/// The objects 7 to 21.
fn strange_fonts() -> Vec<Vec<u8>> {
    let helvetica = |encoding: &str, map: u32| {
        format!(
            "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding {encoding} /ToUnicode {map} 0 R >>"
        )
        .into_bytes()
    };
    let programs = |first: u32, codes: &str, programs: &str, map: &str| {
        let widths = "500 ".repeat(26);
        format!(
            "<< /Type /Font /Subtype /Type3 /FontBBox [0 0 500 700] /FontMatrix [0.001 0 0 0.001 0 0] \
             /FirstChar {first} /LastChar 90 /Widths [{widths}] /Encoding << /Differences [{codes}] >> \
             /CharProcs << {programs} >> /Resources << >> {map} >>"
        )
        .into_bytes()
    };
    let shape = "500 0 0 0 500 700 d1";
    let boxes = "/A 14 0 R /B 14 0 R /C 14 0 R /W 15 0 R /box 14 0 R";
    vec![
        helvetica("/WinAnsiEncoding", 8),
        stream(
            "",
            char_map("1 beginbfrange <01> <03> <0041> endbfrange").as_bytes(),
        ),
        programs(
            65,
            "65 /A /B /C /D /E",
            "/A 12 0 R /B 12 0 R /C 12 0 R /E 13 0 R",
            "",
        ),
        programs(65, "65 /A /B /C 87 /W /box /box /box", boxes, "/ToUnicode 11 0 R"),
        stream(
            "",
            char_map("1 beginbfrange <58> <5a> <0058> endbfrange").as_bytes(),
        ),
        stream("", shape.as_bytes()),
        stream("", format!("{shape} 0 0 2 2 re f").as_bytes()),
        stream("", format!("{shape} 0 0 400 700 re f").as_bytes()),
        stream("", b"500 0 d0 1 g 0 0 400 700 re f"),
        b"null".to_vec(),
        helvetica("/WinAnsiEncoding", 18),
        stream("", char_map("1 beginbfchar <41> <0042> endbfchar").as_bytes()),
        helvetica("<< /Differences [1 /A] >>", 20),
        stream("", char_map("1 beginbfchar <01> <0042> endbfchar").as_bytes()),
        stream(
            "/Type /XObject /Subtype /Form /BBox [0 0 200 100] /Resources << /Font << /L 17 0 R >> >>",
            b"BT /L 12 Tf 10 50 Td (A) Tj ET",
        ),
    ]
}

/// A character map by which the letter A means a whole phrase.
fn phrase_for_a() -> String {
    let phrase: String = "Give 20/20"
        .encode_utf16()
        .map(|unit| format!("{unit:04x}"))
        .collect();
    char_map(&format!("1 beginbfchar <41> <{phrase}> endbfchar"))
}

fn char_map(entries: &str) -> String {
    format!(
        "/CIDInit /ProcSet findresource begin begincmap /CMapName /T def 1 begincodespacerange <00> <ff> \
         endcodespacerange {entries} endcmap end"
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
