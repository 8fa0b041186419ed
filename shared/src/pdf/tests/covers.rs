//! Parts of a page that its image must not show.

use super::super::document::Bounds;
use super::super::limits::{Cover, Images, Limits};
use super::super::samples::{Sheet, pdf, read_with};
use super::dark_corner;

#[test]
fn what_is_covered_leaves_no_trace_on_its_page_alone() {
    let cover = Cover {
        page: 2,
        bounds: Bounds {
            left: 0.0,
            top: 0.0,
            right: 100.0,
            bottom: 50.0,
        },
    };
    let images = Images {
        covers: vec![cover],
        ..Images::default()
    };
    let sheet = || Sheet::new("0 g 0 50 100 50 re f BT /F 12 Tf 10 10 Td (A) Tj ET");
    let document = read_with(pdf(&[sheet(), sheet()]), &Limits::default(), &images).expect("a sound file");
    let images = document.pages.iter().filter_map(|page| page.image.as_ref());
    let corners: Vec<_> = images
        .map(|image| dark_corner(&image.jpeg, image.width, image.height))
        .collect();
    assert_eq!(corners, [Some((false, false)), None]);
}
