//! Reads a copy page by page, inside the child: checks first, then text, hidden text and images.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hayro_interpret::hayro_syntax::object::{Dict, Object};
use hayro_interpret::hayro_syntax::page::Page as PdfPage;
use hayro_interpret::hayro_syntax::{LoadPdfError, Pdf};
use hayro_interpret::kurbo::Rect;
use hayro_interpret::util::TransformExt as _;
use hayro_interpret::{Context, InterpreterCache, InterpreterSettings, InterpreterWarning, interpret_page};

use super::document::{Page, PageKind};
use super::fonts::Fonts;
use super::glyphs::Glyphs;
use super::hidden::{Judged, judge};
use super::images::page_image;
use super::ink::{Ink, Picture};
use super::layout;
use super::letter::Letter;
use super::limits::{Images, Limits};
use super::paint::Coats;
use super::rejected::Refusal;
use super::wire::PageFrame;

/// Why a reading ended early.
#[derive(Debug)]
pub(super) enum Ended {
    /// The file is turned down.
    Refused(Refusal),
    /// Nobody listens any more.
    Unheard(io::Error),
}

impl From<Refusal> for Ended {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Reads the file, telling each page as soon as it is read, so that one page at a time is in memory.
pub(super) fn read(
    pdf: Vec<u8>,
    limits: &Limits,
    images: &Images,
    mut tell: impl FnMut(&PageFrame) -> io::Result<()>,
) -> Result<(), Ended> {
    let pdf = open(pdf, limits)?;
    let cache = InterpreterCache::new();
    let (mut glyphs, mut fonts) = (Glyphs::default(), Fonts::default());
    let mut decoded_bytes = 0;
    for (number, page) in (1u32..).zip(pdf.pages().iter()) {
        let size = page_size(page, number, limits)?;
        decoded_bytes += instructions(page)?;
        if decoded_bytes > limits.decoded_bytes_max {
            return Err(Refusal::TooComplex.into());
        }
        let (ink, fonts_known) = write_down(&pdf, page, &cache, size, limits, &mut glyphs);
        if !fonts_known {
            return Err(Refusal::FontUnreadable { page: number }.into());
        }
        if ink.overflowed() {
            return Err(Refusal::PageTooComplex { page: number }.into());
        }
        if ink.pixels_largest > limits.pixels_max {
            return Err(Refusal::PictureTooBig { page: number }.into());
        }
        let honest = fonts.agree(page.resources());
        let frame = frame(&pdf, page, number, size, ink, honest, images)?;
        tell(&frame).map_err(Ended::Unheard)?;
    }
    Ok(())
}

/// Opens the file if it is sound and within its bounds.
fn open(bytes: Vec<u8>, limits: &Limits) -> Result<Pdf, Refusal> {
    /// Where readers look for the first and the last mark of a PDF.
    const HEAD: usize = 1_024;
    const TAIL: usize = 2_048;
    let has = |part: &[u8], mark: &[u8]| part.windows(mark.len()).any(|window| window == mark);
    if !has(&bytes[..bytes.len().min(HEAD)], b"%PDF-") {
        return Err(Refusal::NotPdf);
    }
    // A parser that rebuilds the table of a cut file finds some pages and misses others: a pupil would
    // lose marks without anyone knowing.
    let tail = &bytes[bytes.len().saturating_sub(TAIL)..];
    if !has(tail, b"%%EOF") && !has(tail, b"startxref") {
        return Err(Refusal::Truncated);
    }
    let pdf = Pdf::new(bytes).map_err(|error| match error {
        LoadPdfError::Decryption(_) => Refusal::Encrypted,
        LoadPdfError::Invalid => Refusal::Damaged,
    })?;
    if pdf.len() as u64 > limits.objects_max {
        return Err(Refusal::TooComplex);
    }
    let found = u32::try_from(pdf.pages().len()).unwrap_or(u32::MAX);
    if found > limits.pages_max {
        return Err(Refusal::TooManyPages {
            pages: found,
            max: limits.pages_max,
        });
    }
    match declared_pages(&pdf) {
        Some(declared) if declared > found => Err(Refusal::PagesMissing { found, declared }),
        _ if found == 0 => Err(Refusal::NoPages),
        _ => Ok(pdf),
    }
}

fn declared_pages(pdf: &Pdf) -> Option<u32> {
    let catalog = pdf.xref().get::<Dict<'_>>(pdf.xref().root_id())?;
    catalog.get::<Dict<'_>>("Pages")?.get::<u32>("Count")
}

/// The page as displayed, in points, if it is of a size that can be drawn.
fn page_size(page: &PdfPage<'_>, number: u32, limits: &Limits) -> Result<Rect, Refusal> {
    let (width, height) = page.render_dimensions();
    let (width, height) = (f64::from(width), f64::from(height));
    let max = f64::from(limits.page_side_pt_max);
    if !(width.is_finite() && height.is_finite() && width.max(height) <= max && width.min(height) >= 1.0) {
        return Err(Refusal::PageTooBig { page: number });
    }
    Ok(Rect::new(0.0, 0.0, width, height))
}

/// The length of the page's instructions once decompressed.
fn instructions(page: &PdfPage<'_>) -> Result<u64, Refusal> {
    match (page.page_stream(), page.raw().get::<Object<'_>>("Contents")) {
        (Some(stream), _) => Ok(stream.len() as u64),
        (None, None | Some(Object::Null(_))) => Ok(0),
        // There is something to draw, and it cannot be read.
        (None, Some(_)) => Err(Refusal::Damaged),
    }
}

/// What the page draws, and whether all its fonts could be read.
fn write_down<'a, 'g>(
    pdf: &'a Pdf,
    page: &'a PdfPage<'a>,
    cache: &InterpreterCache<'a>,
    size: Rect,
    limits: &Limits,
    glyphs: &'g mut Glyphs,
) -> (Ink<'g>, bool) {
    let mut ink = Ink::new(size, limits.marks_per_page_max, glyphs);
    let upright = page.initial_transform(true).to_kurbo();
    let (settings, font_missing) = noticing(|warning| matches!(warning, InterpreterWarning::UnsupportedFont));
    let mut context = Context::new(upright, size, cache, pdf.xref(), settings);
    interpret_page(page, &mut context, &mut ink);
    (ink, !font_missing.load(Ordering::Relaxed))
}

/// Settings that raise a flag when the interpreter warns of this.
pub(super) fn noticing(
    what: impl Fn(InterpreterWarning) -> bool + Send + Sync + 'static,
) -> (InterpreterSettings, Arc<AtomicBool>) {
    let flag = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&flag);
    let sink = move |warning| raised.fetch_or(what(warning), Ordering::Relaxed);
    let settings = InterpreterSettings {
        warning_sink: Arc::new(move |warning| {
            sink(warning);
        }),
        ..InterpreterSettings::default()
    };
    (settings, flag)
}

fn frame(
    pdf: &Pdf,
    page: &PdfPage<'_>,
    number: u32,
    size: Rect,
    ink: Ink<'_>,
    honest: bool,
    images: &Images,
) -> Result<PageFrame, Refusal> {
    let Ink {
        letters,
        coats,
        pictures,
        unmapped,
        shapes,
        curves,
        ..
    } = ink;
    let covered = pictures.iter().map(|picture| picture.bounds.area()).sum::<f64>() / size.area();
    let mut judged = judge(
        letters,
        &Coats::new(coats, size.height()),
        number,
        covered >= SCAN_COVERS,
    );
    judged.doubtful |= !honest && !judged.seen.is_empty();
    let signs = Signs {
        covered,
        unmapped,
        shapes,
        curves,
    };
    let kind = kind(&judged, &signs);
    let image = if kind == PageKind::Scanned {
        let alone = alone(&pictures, &judged, &signs);
        let image = page_image(pdf, page, number, alone, images);
        Some(image.ok_or(Refusal::PictureUnreadable { page: number })?)
    } else {
        None
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a page is at most 14,400 points long"
    )]
    let (width_pt, height_pt) = (size.width() as f32, size.height() as f32);
    let lines = layout::lines(&judged.seen);
    Ok(PageFrame {
        page: Page {
            number,
            width_pt,
            height_pt,
            kind,
            lines,
            image,
        },
        hidden: judged.hidden,
    })
}

/// What else than text a page shows.
struct Signs {
    /// How much of it pictures cover; 1 is all.
    covered: f64,
    unmapped: u32,
    shapes: u32,
    curves: u32,
}

/// A page that pictures cover this much is a scan.
const SCAN_COVERS: f64 = 0.5;

/// Text is enough only if it can be shown to be visible and nothing else on the page could matter. When in
/// doubt the page is looked at: that costs more, and loses nothing.
fn kind(judged: &Judged, signs: &Signs) -> PageKind {
    /// A logo covers less; a pasted photo of an answer covers more.
    const PICTURE_MATTERS: f64 = 0.1;
    /// Fewer letters than this among shapes are labels of a drawing.
    const LETTERS_OF_TEXT: usize = 10;
    /// Frames and rules have few curves; handwriting on a tablet has thousands.
    const CURVES_OF_HANDWRITING: u32 = 1_500;
    let letters = judged
        .seen
        .iter()
        .filter(|letter| !Letter::is_blank(letter))
        .count();
    let drawn = signs.shapes > 0 || signs.covered > 0.0;
    if letters == 0 && !drawn && signs.unmapped == 0 && !judged.doubtful {
        PageKind::Blank
    } else if judged.doubtful
        || signs.covered >= PICTURE_MATTERS
        || signs.curves >= CURVES_OF_HANDWRITING
        || signs.unmapped as usize * 5 > letters
        || (letters < LETTERS_OF_TEXT && drawn)
    {
        PageKind::Scanned
    } else {
        PageKind::Typed
    }
}

/// The picture that is all there is to see, if it is the only thing.
fn alone<'p>(pictures: &'p [Picture], judged: &Judged, signs: &Signs) -> Option<&'p Picture> {
    match pictures {
        [picture] if judged.seen.is_empty() && !judged.doubtful && signs.shapes + signs.unmapped == 0 => {
            Some(picture)
        }
        _ => None,
    }
}
