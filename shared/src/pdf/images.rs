//! The picture of a page that must be looked at.

use std::sync::atomic::Ordering;

use hayro::vello_cpu::color::palette::css::WHITE;
use hayro::{PixmapSettings, RenderCache, RenderSettings, render};
use hayro_interpret::InterpreterWarning;
use hayro_interpret::hayro_syntax::Pdf;
use hayro_interpret::hayro_syntax::object::Stream;
use hayro_interpret::hayro_syntax::page::Page;

use super::document::PageImage;
use super::ink::Picture;
use super::jpeg::{Channels, Raster, Turn};
use super::limits::Images;
use super::pages::noticing;
use crate::domain::NamedPages;

/// The image of a page, or `None` if something on it cannot be decoded. `alone` is the picture that is
/// all there is on the page.
pub(super) fn page_image(
    pdf: &Pdf,
    page: &Page<'_>,
    number: u32,
    alone: Option<&Picture>,
    images: &Images,
) -> Option<PageImage> {
    let long_side = u32::from(images.long_side_px.clamp(1, Images::LONG_SIDE_PX_MAX));
    let scanned = alone.and_then(|picture| scan(pdf, page, picture, long_side));
    let mut raster = scanned.or_else(|| drawn(page, long_side))?;
    if number == 1 || images.name_zone_pages == NamedPages::Every {
        raster.blank_top(images.name_zone_percent);
    }
    let (width_pt, _) = page.render_dimensions();
    for cover in images.covers.iter().take(Images::COVERS_MAX) {
        if cover.page == number {
            raster.blank_box(cover.bounds, f64::from(raster.width) / f64::from(width_pt));
        }
    }
    raster.encoded(images.quality)
}

/// Takes the scan out of the page instead of drawing the page: the JPEG is decoded once, at its own size.
/// `None` when the page shows the picture in any way that this does not follow.
fn scan(pdf: &Pdf, page: &Page<'_>, picture: &Picture, long_side: u32) -> Option<Raster> {
    let turn = turn(page, picture)?;
    let stream = pdf.xref().get::<Stream<'_>>(picture.jpeg?)?;
    let raster = Raster::from_jpeg(&stream.raw_data(), picture.width, picture.height)?;
    Some(raster.shrunk(long_side)?.turned(turn))
}

/// How a picture lies on the page, if it fills most of it, whole, upright and undistorted.
fn turn(page: &Page<'_>, picture: &Picture) -> Option<Turn> {
    const FILLS: f64 = 0.8;
    /// What a picture may lean or stretch before that is seen.
    const SLACK: f64 = 0.01;
    let (width, height) = page.render_dimensions();
    if picture.bounds.area() < FILLS * f64::from(width) * f64::from(height) {
        return None;
    }
    let [a, b, c, d, ..] = picture.transform.as_coeffs();
    let turn = if b.abs() + c.abs() < SLACK * (a.abs() + d.abs()) {
        Turn {
            transposed: false,
            flip_x: a < 0.0,
            flip_y: d < 0.0,
        }
    } else if a.abs() + d.abs() < SLACK * (b.abs() + c.abs()) {
        Turn {
            transposed: true,
            flip_x: c < 0.0,
            flip_y: b < 0.0,
        }
    } else {
        return None;
    };
    let (x_scale, y_scale) = (a.hypot(b), c.hypot(d));
    ((x_scale - y_scale).abs() < 2.0 * SLACK * x_scale.max(y_scale)).then_some(turn)
}

/// Draws the page.
fn drawn(page: &Page<'_>, long_side: u32) -> Option<Raster> {
    let (width, height) = page.render_dimensions();
    let scale = f64::from(long_side) / f64::from(width.max(height));
    #[expect(
        clippy::cast_possible_truncation,
        reason = "about 0.1 to 4,000: a page is 1 to 14,400 points long"
    )]
    let scale = scale as f32;
    let (settings, undecoded) = noticing(|warning| matches!(warning, InterpreterWarning::ImageDecodeFailure));
    // The renderer cuts fractions off, and a side of no pixel makes it panic.
    let scale_of = |side: f32| scale.max(1.01 / side);
    let pixels = PixmapSettings {
        x_scale: scale_of(width),
        y_scale: scale_of(height),
        bg_color: WHITE,
    };
    // A cache of its own: what pictures leave in it must not pile up over the pages.
    let pixmap = render(
        page,
        &RenderCache::new(),
        &settings,
        &RenderSettings::default(),
        &pixels,
    );
    (!undecoded.load(Ordering::Relaxed)).then(|| Raster {
        width: u32::from(pixmap.width()),
        height: u32::from(pixmap.height()),
        channels: Channels::Rgbx,
        pixels: pixmap.data_as_u8_slice().to_vec(),
    })
}
