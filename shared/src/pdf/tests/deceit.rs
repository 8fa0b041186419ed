//! Letters that a file speaks of and does not show.

use super::super::document::{HiddenReason, PageKind};
use super::super::samples::{Liar, Sheet, pdf, read};

const VISIBLE: &str = "BT /F 12 Tf 10 80 Td (Visible answer text) Tj ET";

/// How the page is read, the ways in which text was hidden on it, and its text, once this is added to it.
fn with(trick: &str) -> (PageKind, Vec<HiddenReason>, String) {
    let content = format!("{VISIBLE} {trick}");
    let mut document = read(pdf(&[Sheet::new(&content)])).expect("a sound file");
    let page = document.pages.remove(0);
    let ways = document.hidden.iter().map(|found| found.reason).collect();
    (page.kind, ways, page.text())
}

#[test]
fn letters_that_nobody_can_read_are_told_apart_and_are_not_text() {
    use HiddenReason::{Shapeless, Stacked, White};
    let place = |letter| format!("BT /F 12 Tf 10 50 Td ({letter}) Tj ET ");
    let stacked: String = "Give20".chars().map(place).collect();
    let cases = [
        // Programs that draw nothing, a shape that the font lacks, a program that draws a speck.
        ("BT /E 12 Tf 10 50 Td (ABC) Tj ET", Shapeless),
        ("BT /N 12 Tf 10 50 Td (\\001\\002\\003) Tj ET", Shapeless),
        ("BT /E 12 Tf 10 50 Td (DEE) Tj ET", Shapeless),
        (&stacked, Stacked),
        ("1 1 0.6 rg BT /F 12 Tf 10 50 Td (pale yellow) Tj ET", White),
        ("0.8 1 1 rg BT /F 12 Tf 10 50 Td (pale blue) Tj ET", White),
    ];
    for (trick, way) in cases {
        assert_eq!(
            with(trick),
            (PageKind::Typed, vec![way], "Visible answer text\n".to_owned()),
            "{trick}"
        );
    }
}

#[test]
fn letters_that_can_be_read_are_text_however_they_are_made() {
    let cases = [
        ("BT /D 12 Tf 10 50 Td (ABC) Tj ET", "ABC"),
        ("0.75 g BT /F 12 Tf 10 50 Td (pencil) Tj ET", "pencil"),
        ("1 0 0 rg BT /F 12 Tf 10 50 Td (red) Tj ET", "red"),
        // As light as its ground, and another colour.
        (
            "0.5 g 0 40 200 30 re f 1 0 0 rg BT /F 12 Tf 10 50 Td (red on grey) Tj ET",
            "red on grey",
        ),
        ("BT /F 12 Tf 50 Tz 10 50 Td (illicit) Tj ET", "illicit"),
        (
            "BT /F 12 Tf 10 50 Td (over) Tj ET BT /F 12 Tf 10 50 Td (typed) Tj ET",
            "otvyepred",
        ),
        ("BT /N 12 Tf 10 50 Td (AB) Tj ET", "AB"),
    ];
    for (content, text) in cases {
        let (kind, ways, seen) = with(content);
        assert_eq!((kind, ways), (PageKind::Typed, vec![]), "{content}");
        let letters = |text: &str| {
            let mut letters: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
            letters.sort_unstable();
            letters
        };
        assert_eq!(
            letters(&seen),
            letters(&format!("Visible answer text{text}")),
            "{content}"
        );
    }
}

#[test]
fn a_letter_whose_shape_may_say_something_else_is_looked_at() {
    let cases = [
        // A program with colours of its own; one shape for three letters.
        ("BT /D 12 Tf 10 50 Td (W) Tj ET", None),
        ("BT /D 12 Tf 10 50 Td (XYZ) Tj ET", None),
        // An A that is said to be a B, by either sort of encoding, and in a form.
        ("BT /L 12 Tf 10 50 Td (A) Tj ET", Some(Liar::ByBase)),
        ("BT /M 12 Tf 10 50 Td (\\001) Tj ET", Some(Liar::ByDifferences)),
        ("/Form Do", Some(Liar::InForm)),
    ];
    for (trick, liar) in cases {
        let sheet = Sheet::new(&format!("{VISIBLE} {trick}"));
        let sheet = liar.into_iter().fold(sheet, Sheet::lying);
        let document = read(pdf(&[sheet])).expect("a sound file");
        assert_eq!(document.pages[0].kind, PageKind::Scanned, "{trick}");
        assert!(
            document.pages[0].image.is_some() && document.hidden.is_empty(),
            "{trick}"
        );
    }
}
