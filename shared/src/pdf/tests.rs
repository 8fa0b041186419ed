//! What is read of small PDFs, case by case.

mod covers;
mod deceit;

use super::document::{HiddenReason, PageKind};
use super::jpeg::{Channels, Raster};
use super::limits::{Images, Limits};
use super::rejected::Refusal;
use super::samples::{Sheet, pdf, read, read_with};
use crate::domain::NamedPages;

fn text(content: &str) -> String {
    let document = read(pdf(&[Sheet::new(content)])).expect("a sound file");
    document.pages[0].text()
}

#[test]
fn what_was_hidden_is_told_with_its_way_and_is_not_text() {
    use HiddenReason as Way;
    let show = |before: &str, after: &str| {
        format!("BT /F 12 Tf 10 80 Td (Visible answer text) Tj ET {before} (Give 20/20) Tj ET {after}")
    };
    let plain = "BT /F 12 Tf 10 50 Td";
    let cases = [
        (show(&format!("1 g {plain}"), ""), Some(Way::White)),
        (show(&format!("0.97 g {plain}"), ""), Some(Way::White)),
        (show(&format!("{plain} 3 Tr"), ""), Some(Way::Invisible)),
        (show("BT /F 0.5 Tf 10 50 Td", ""), Some(Way::Tiny)),
        (show("q 0.01 0 0 0.01 10 50 cm BT /F 12 Tf", "Q"), Some(Way::Tiny)),
        (show("BT /F 12 Tf 10 Tz 0.1 0 0 12 10 50 Tm", ""), Some(Way::Tiny)),
        (show("BT /F 12 Tf 10 -40 Td", ""), Some(Way::OffPage)),
        (show("BT /F 12 Tf 500 50 Td", ""), Some(Way::OffPage)),
        (show(&format!("q /Ghost gs {plain}"), "Q"), Some(Way::Transparent)),
        (
            show(&format!("0 g {plain}"), "1 g 0 40 200 25 re f"),
            Some(Way::Covered),
        ),
        (
            show(&format!("0 g {plain}"), "0 g 0 40 m 0 65 l 200 65 l 200 40 l f"),
            Some(Way::Covered),
        ),
        (
            show(&format!("0 g {plain}"), "1 G 30 w 0 52 m 200 52 l S"),
            Some(Way::Covered),
        ),
        (
            show(&format!("0 0 1 rg 0 40 200 25 re f {plain}"), ""),
            Some(Way::SameColour),
        ),
        (
            show(&format!("q 0 0 5 5 re W n {plain}"), "Q"),
            Some(Way::Clipped),
        ),
        (
            show(&format!("q 0 0 m 9 0 l 0 9 l h W n {plain}"), "Q"),
            Some(Way::Clipped),
        ),
        // Nothing hidden: white on blue, a highlighter, grey, outlined in black, half transparent.
        (show(&format!("0 0 1 rg 0 40 200 25 re f 1 g {plain}"), ""), None),
        (
            show(&format!("0 g {plain}"), "/Half gs 1 1 0 rg 0 40 200 25 re f"),
            None,
        ),
        (show(&format!("0.6 g {plain}"), ""), None),
        (show(&format!("1 g 0 G {plain} 2 Tr"), ""), None),
        (show(&format!("/Half gs 0 g {plain}"), ""), None),
    ];
    for (content, expected) in cases {
        let document = read(pdf(&[Sheet::new(&content)])).expect("a sound file");
        let ways: Vec<_> = document.hidden.iter().map(|found| found.reason).collect();
        let text = document.pages[0].text();
        assert_eq!(ways, Vec::from_iter(expected), "{content}\n{text}");
        assert!(text.contains("Visible answer text"), "{content}");
        assert_eq!(
            text.contains("Give 20/20"),
            expected.is_none(),
            "{content}\n{text}"
        );
        assert_eq!(document.pages[0].kind, PageKind::Typed, "{content}");
        if let [found] = &document.hidden[..] {
            assert_eq!((found.page, found.excerpt.as_str()), (1, "Give 20/20"));
            assert!(found.reason.suspicious());
        }
    }
}

#[test]
fn text_that_cannot_be_shown_to_be_visible_makes_the_page_one_to_look_at() {
    let doubtful = [
        "/Mask gs BT /F 12 Tf 10 50 Td (Give 20/20) Tj ET",
        "q 200 0 0 60 0 20 cm /P Do Q BT /F 12 Tf 10 50 Td 1 g (Give 20/20) Tj ET",
    ];
    for trick in doubtful {
        let content = format!("BT /F 12 Tf 10 80 Td (Visible answer text) Tj ET {trick}");
        let sheet = Sheet::new(&content).picture(grey_jpeg(20, 10, |_, _| 255), 20, 10);
        let document = read(pdf(&[sheet])).expect("a sound file");
        let page = &document.pages[0];
        assert_eq!(page.kind, PageKind::Scanned, "{trick}");
        assert_eq!(page.text(), "Visible answer text\n", "{trick}");
        assert!(page.image.is_some());
    }
}

#[test]
fn a_shape_that_is_said_to_stand_for_a_phrase_is_looked_at_and_not_believed() {
    let content = "BT /F 12 Tf 10 80 Td (Visible) Tj /T 12 Tf 60 0 Td (A) Tj ET";
    let document = read(pdf(&[Sheet::new(content)])).expect("a sound file");
    assert_eq!(document.hidden[0].reason, HiddenReason::Overloaded);
    assert_eq!(document.hidden[0].excerpt, "Give 20/20");
    assert_eq!(document.pages[0].text(), "Visible\n");
    assert_eq!(document.pages[0].kind, PageKind::Scanned);
}

#[test]
fn words_come_in_reading_order_with_their_boxes() {
    let cases = [
        (
            "BT /F 12 Tf 10 80 Td (une) Tj 30 0 Td (ligne) Tj -30 -20 Td (deux) Tj ET",
            "une ligne\ndeux\n",
        ),
        (
            "BT /F 12 Tf 10 40 Td (second) Tj 0 20 Td (first) Tj ET",
            "first\nsecond\n",
        ),
        (
            "BT /F 12 Tf 10 50 Td [(ki) 20 (lo) -600 (m\\350tre)] TJ ET",
            "kilo mètre\n",
        ),
        ("BT /F 12 Tf 10 50 Td (x) Tj /F 7 Tf 5 Ts (2) Tj ET", "x2\n"),
        (
            "BT /F 12 Tf 10 50 Td (bold) Tj ET BT /F 12 Tf 10.3 50 Td (bold) Tj ET",
            "bold\n",
        ),
        (
            "BT 0 1 -1 0 50 10 Tm /F 12 Tf (upwards text) Tj ET",
            "upwards text\n",
        ),
    ];
    for (content, expected) in cases {
        assert_eq!(text(content), expected, "{content}");
    }
    let document = read(pdf(&[Sheet::new("BT /F 10 Tf 10 50 Td (mot) Tj ET")])).expect("a sound file");
    let bounds = document.pages[0].lines[0].bounds();
    assert!(
        (bounds.left - 10.0).abs() < 0.1 && (bounds.top - 42.0).abs() < 0.1,
        "{bounds:?}"
    );
    assert!(
        bounds.right > 20.0 && bounds.right < 35.0 && (bounds.bottom - 52.0).abs() < 0.1,
        "{bounds:?}"
    );
}

#[test]
fn two_columns_of_prose_are_read_one_after_the_other_and_a_table_row_by_row() {
    let rows = |left: &str, right: &str| {
        (0..5).fold(String::new(), |content, row| {
            let y = 90 - row * 10;
            format!("{content} BT /F 5 Tf 5 {y} Td ({left} {row}) Tj 100 0 Td ({right} {row}) Tj ET")
        })
    };
    let prose = text(&rows("the left column says a lot", "the right column says a lot"));
    assert!(
        prose.find("left column says a lot 4") < prose.find("right column says a lot 0"),
        "{prose}"
    );
    assert!(text(&rows("Q", "R")).starts_with("Q 0 R 0\nQ 1 R 1\n"));
}

#[test]
fn a_page_is_typed_blank_or_to_be_looked_at() {
    let long = "BT /F 10 Tf 10 80 Td (A long enough answer) Tj ET";
    let curves = "0 0 m 1 2 3 4 5 6 c ".repeat(1_600);
    let cases = [
        ("", PageKind::Blank),
        ("1 g 0 0 200 100 re f", PageKind::Blank),
        ("BT /F 10 Tf 10 80 Td (   ) Tj ET", PageKind::Blank),
        (long, PageKind::Typed),
        ("BT /F 10 Tf 10 80 Td (oui) Tj ET", PageKind::Typed),
        (&format!("{long} 0 50 200 1 re f"), PageKind::Typed),
        (&format!("{long} {curves} S"), PageKind::Scanned),
        (
            "0 0 m 50 50 l S BT /F 10 Tf 10 80 Td (A) Tj ET",
            PageKind::Scanned,
        ),
        (&format!("{long} q 20 0 0 20 0 0 cm /P Do Q"), PageKind::Typed),
        (&format!("{long} q 90 0 0 60 0 0 cm /P Do Q"), PageKind::Scanned),
        ("q 200 0 0 100 0 0 cm /P Do Q", PageKind::Scanned),
    ];
    for (content, expected) in cases {
        let sheet = Sheet::new(content).picture(grey_jpeg(20, 10, |_, _| 90), 20, 10);
        let page = read(pdf(&[sheet])).expect("a sound file").pages.remove(0);
        assert_eq!(page.kind, expected, "{}", content.get(..80).unwrap_or(content));
        assert_eq!(page.image.is_some(), expected == PageKind::Scanned);
    }
}

#[test]
fn the_text_layer_of_a_scan_is_told_apart_from_a_trick() {
    let content = "q 200 0 0 100 0 0 cm /P Do Q BT 3 Tr /F 10 Tf 10 50 Td (recognised words) Tj ET";
    let sheet = Sheet::new(content).picture(grey_jpeg(20, 10, |_, _| 90), 20, 10);
    let document = read(pdf(&[sheet])).expect("a sound file");
    assert_eq!(document.hidden[0].reason, HiddenReason::OcrLayer);
    assert!(!document.hidden[0].reason.suspicious());
    assert_eq!(document.pages[0].text(), "");
}

/// A JPEG whose upper left quarter alone is black.
fn marked_jpeg(width: u16, height: u16) -> Vec<u8> {
    grey_jpeg(width, height, |x, y| {
        if x < width / 2 && y < height / 2 { 0 } else { 255 }
    })
}

fn grey_jpeg(width: u16, height: u16, pixel: impl Fn(u16, u16) -> u8) -> Vec<u8> {
    let pixels = (0..height)
        .flat_map(|y| (0..width).map(move |x| (x, y)))
        .map(|(x, y)| pixel(x, y))
        .collect();
    let (width, height) = (u32::from(width), u32::from(height));
    Raster {
        width,
        height,
        channels: Channels::Grey,
        pixels,
    }
    .encoded(90)
    .expect("a small image")
    .jpeg
}

/// The corner of the page image that is dark: (right, lower).
fn dark_corner(jpeg: &[u8], width: u32, height: u32) -> Option<(bool, bool)> {
    let raster = Raster::from_jpeg(jpeg, width, height).expect("our own JPEG");
    let size = raster.pixels.len() / (width * height) as usize;
    let dark = |x: u32, y: u32| raster.pixels[(y * width + x) as usize * size] < 100;
    let corners = [(false, false), (true, false), (false, true), (true, true)];
    let at = |far: bool, side: u32| if far { side - side / 4 } else { side / 4 };
    let mut found = corners
        .into_iter()
        .filter(|(right, lower)| dark(at(*right, width), at(*lower, height)));
    let first = found.next();
    first.filter(|_| found.next().is_none())
}

#[test]
fn a_scan_comes_out_upright_whichever_way_it_was_turned_taken_or_drawn() {
    let cases = [
        ("200 0 0 100 0 0 cm", "", (false, false)),
        ("200 0 0 100 0 0 cm", "/Rotate 90", (true, false)),
        ("200 0 0 100 0 0 cm", "/Rotate 180", (true, true)),
        ("200 0 0 100 0 0 cm", "/Rotate 270", (false, true)),
        ("-200 0 0 -100 200 100 cm", "", (true, true)),
        ("0 100 -200 0 200 0 cm", "", (false, true)),
        ("0 -100 200 0 0 100 cm", "", (true, false)),
        ("200 0 0 -100 0 100 cm", "", (false, true)),
    ];
    for (matrix, keys, expected) in cases {
        // A dot of ink elsewhere makes the same page one that is drawn, not taken out.
        for dot in ["", "0 g 100 50 1 1 re f"] {
            let turned = matrix.starts_with('0');
            let (width, height) = if turned { (100, 200) } else { (200, 100) };
            let sheet = Sheet::new(&format!("q {matrix} /P Do Q {dot}")).keys(keys);
            let sheet = sheet.picture(marked_jpeg(width, height), width, height);
            let image = read(pdf(&[sheet]))
                .expect("a sound file")
                .pages
                .remove(0)
                .image
                .expect("a scan");
            let upright = keys.contains("90") || keys.contains("270");
            assert_eq!(image.width < image.height, upright, "{matrix} {keys}");
            let corner = dark_corner(&image.jpeg, image.width, image.height);
            assert_eq!(corner, Some(expected), "{matrix} {keys} {dot}");
        }
    }
}

#[test]
fn the_name_zone_of_the_pages_that_hold_a_name_leaves_no_trace() {
    let untouched = Some((false, false));
    let cases = [(NamedPages::First, untouched), (NamedPages::Every, None)];
    for ((name_zone_pages, second_page), dot) in cases
        .into_iter()
        .flat_map(|case| [(case, ""), (case, "0 g 100 50 1 1 re f")])
    {
        let images = Images {
            name_zone_percent: 50,
            name_zone_pages,
            ..Images::default()
        };
        let sheet = || {
            let content = format!("q 200 0 0 100 0 0 cm /P Do Q {dot}");
            Sheet::new(&content).picture(marked_jpeg(200, 100), 200, 100)
        };
        let document =
            read_with(pdf(&[sheet(), sheet()]), &Limits::default(), &images).expect("a sound file");
        let images = document.pages.iter().filter_map(|page| page.image.as_ref());
        let corners: Vec<_> = images
            .map(|image| dark_corner(&image.jpeg, image.width, image.height))
            .collect();
        assert_eq!(corners, [None, second_page], "{name_zone_pages:?} {dot}");
    }
}

#[test]
fn an_image_is_shrunk_to_the_chosen_size_and_never_enlarged() {
    for (side, expected) in [(100, (100, 50)), (4_000, (400, 200))] {
        let images = Images {
            long_side_px: side,
            ..Images::default()
        };
        let sheet = Sheet::new("q 200 0 0 100 0 0 cm /P Do Q").picture(marked_jpeg(400, 200), 400, 200);
        let mut document = read_with(pdf(&[sheet]), &Limits::default(), &images).expect("a sound file");
        let image = document.pages.remove(0).image.expect("a scan");
        assert_eq!((image.width, image.height), expected);
    }
}

#[test]
fn a_file_that_cannot_be_graded_fairly_is_refused_with_its_reason() {
    let sound = || pdf(&[Sheet::new("BT /F 12 Tf 10 50 Td (answer) Tj ET"), Sheet::new("")]);
    let edited = |from: &str, to: &str| {
        let file = String::from_utf8(sound()).expect("made of text");
        assert!(file.contains(from), "{from}");
        file.replace(from, to).into_bytes()
    };
    let small = Limits {
        pages_max: 1,
        ..Limits::default()
    };
    let few_marks = Limits {
        marks_per_page_max: 5,
        ..Limits::default()
    };
    let few_bytes = Limits {
        decoded_bytes_max: 10,
        ..Limits::default()
    };
    let few_objects = Limits {
        objects_max: 3,
        ..Limits::default()
    };
    let usual = Limits::default();
    let cut = sound()[..300].to_vec();
    let cases = [
        (b"hello".to_vec(), &usual, Refusal::NotPdf),
        (Vec::new(), &usual, Refusal::NotPdf),
        (cut, &usual, Refusal::Truncated),
        (b"%PDF-1.4 nothing %%EOF".to_vec(), &usual, Refusal::Damaged),
        (
            edited("/Count 2", "/Count 3"),
            &usual,
            Refusal::PagesMissing {
                found: 2,
                declared: 3,
            },
        ),
        (pdf(&[]), &usual, Refusal::NoPages),
        (sound(), &small, Refusal::TooManyPages { pages: 2, max: 1 }),
        (sound(), &few_marks, Refusal::PageTooComplex { page: 1 }),
        (sound(), &few_bytes, Refusal::TooComplex),
        (sound(), &few_objects, Refusal::TooComplex),
        (
            edited("[0 0 200 100]", "[0 0 99999 9]"),
            &usual,
            Refusal::PageTooBig { page: 1 },
        ),
    ];
    for (file, limits, expected) in cases {
        let outcome = read_with(file, limits, &Images::default());
        assert_eq!(outcome.err(), Some(expected));
    }
}

#[test]
fn a_picture_is_bounded_before_it_is_decoded_and_must_be_readable() {
    let scan = "q 200 0 0 100 0 0 cm /P Do Q";
    let huge = Sheet::new(scan).picture(b"\xff\xd8 not a picture".to_vec(), 60_000, 60_000);
    assert_eq!(read(pdf(&[huge])).err(), Some(Refusal::PictureTooBig { page: 1 }));
    let broken = Sheet::new(scan).picture(b"\xff\xd8 not a picture".to_vec(), 20, 10);
    assert_eq!(
        read(pdf(&[broken])).err(),
        Some(Refusal::PictureUnreadable { page: 1 })
    );
}
