//! Names in the text of a page that goes to the model as a picture: found in its words, painted over in their places.

use shared::grading::Redaction;
use shared::pdf::{Cover, Document, Images};

/// Whether a page is both a picture and text.
pub(crate) fn mixed(document: &Document) -> bool {
    let mut pages = document.pages.iter();
    pages.any(|page| page.image.is_some() && !page.lines.is_empty())
}

/// Where names stand on the pages that are pictures.
pub(crate) fn covers(document: &Document, redaction: &mut Redaction) -> Vec<Cover> {
    let mut covers = Vec::new();
    for page in &document.pages {
        let spans = redaction.spans(&page.text());
        if page.image.is_none() {
            continue;
        }
        // In the text of a page, one sign follows each word.
        let mut start = 0;
        for word in page.lines.iter().flat_map(|line| &line.words) {
            let end = start + word.text.len();
            if spans.iter().any(|span| span.start < end && start < span.end) {
                covers.push(Cover {
                    page: page.number,
                    bounds: word.bounds,
                });
            }
            start = end + 1;
        }
    }
    covers.truncate(Images::COVERS_MAX);
    covers
}

#[cfg(test)]
mod tests {
    use shared::grading::CopyCode;
    use shared::pdf::{Bounds, Line, Page, PageImage, PageKind, Word};

    use super::*;

    /// A page whose words stand each at its place in the line, from 0.
    fn page(number: u32, kind: PageKind, lines: &[&str]) -> Page {
        let word = |(place, text): (u8, &str)| Word {
            text: text.to_owned(),
            bounds: Bounds {
                left: f32::from(place),
                ..Bounds::default()
            },
        };
        let line = |line: &&str| Line {
            words: (0..).zip(line.split(' ')).map(word).collect(),
        };
        Page {
            number,
            width_pt: 595.0,
            height_pt: 842.0,
            kind,
            lines: lines.iter().map(line).collect(),
            image: (kind == PageKind::Scanned).then(|| PageImage {
                jpeg: Vec::new(),
                width: 1,
                height: 1,
            }),
        }
    }

    #[test]
    fn the_names_on_a_page_that_goes_out_as_a_picture_are_covered_and_no_other_word() {
        let document = Document {
            pages: vec![
                page(1, PageKind::Typed, &["Iga Kowalska 3eB", "Une photo de Tom"]),
                page(
                    2,
                    PageKind::Scanned,
                    &["Histoire Dupont Léa 3eB", "La photo, dit Tom", "de Iga Kowalska"],
                ),
            ],
            hidden: Vec::new(),
        };
        let code = CopyCode::from_random(7);
        let mut redaction = Redaction::new(code, ["Léa Dupont", "Tom Petit"], "").guessing(["Histoire"]);
        let found = covers(&document, &mut redaction);
        let places: Vec<_> = found
            .iter()
            .map(|cover| (cover.page, cover.bounds.left))
            .collect();
        assert_eq!(places, [(2, 1.0), (2, 2.0), (2, 3.0), (2, 1.0), (2, 2.0)]);
        assert!(mixed(&document));
    }
}
