//! What a glyph draws, whatever letter its font says that it is.

use std::collections::HashMap;

use hayro_interpret::font::{Glyph, GlyphRun, Type3Glyph};
use hayro_interpret::hayro_cmap::BfString;
use hayro_interpret::kurbo::{Affine, BezPath, PathEl, Rect, Shape as _};
use hayro_interpret::{
    BlendMode, CacheKey as _, ClipPath, Device, DrawMode, DrawProps, Image, ImageDrawProps, Paint, SoftMask,
};

use super::paint::{Rgb, TRANSPARENT, alike};

/// What is no longer than this is a speck, not a letter. Unit: thousandths of the font's size.
const SPECK: f64 = 10.0;

/// What a glyph's shape tells of the letter that it is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tells {
    /// There is something to see, which may be that letter.
    Something,
    /// There is nothing to see.
    Nothing,
    /// What there is to see must be looked at.
    Unclear,
}

/// The glyphs of a file, each looked at once.
#[derive(Default)]
pub(super) struct Glyphs {
    /// By glyph and, for one drawn by a program, the colour it was asked for.
    known: HashMap<(u128, [u32; 3]), Known>,
}

struct Known {
    shape: Shape,
    /// The letter that it stood for first.
    letter: Option<char>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Nothing,
    /// It encloses nothing: a stroke shows it, filling does not.
    Line,
    Solid,
    /// Pictures, or colours of its own.
    Unclear,
}

impl Glyphs {
    /// What the glyph tells when it is painted so, in this colour, and said to be this letter.
    pub(super) fn tells<'a>(
        &mut self,
        glyph: &Glyph<'a>,
        text: &BfString,
        (paint, ink): (&Paint<'a>, Rgb),
        mode: &DrawMode,
    ) -> Tells {
        let key = match glyph {
            Glyph::Outline(outline) => (outline.identifier().cache_key(), [0; 3]),
            Glyph::Type3(program) => (program.cache_key(), ink.map(f32::to_bits)),
        };
        let known = self.known.entry(key).or_insert_with(|| Known {
            shape: match glyph {
                Glyph::Outline(outline) => shape(&outline.outline(), SPECK),
                Glyph::Type3(program) => Tracer::trace(program, paint, ink),
            },
            letter: None,
        });
        let filled = matches!(mode, DrawMode::Fill(_));
        match known.shape {
            Shape::Nothing => return Tells::Nothing,
            Shape::Line if filled => return Tells::Nothing,
            Shape::Unclear => return Tells::Unclear,
            Shape::Line | Shape::Solid => {}
        }
        // One shape is not two letters: what it says of one of them is a lie.
        match plain_letter(text) {
            Some(letter) if *known.letter.get_or_insert(letter) != letter => Tells::Unclear,
            _ => Tells::Something,
        }
    }
}

/// A letter or digit that has a shape of its own in every font, whatever its case.
fn plain_letter(text: &BfString) -> Option<char> {
    match text {
        BfString::Char(letter) if letter.is_ascii_alphanumeric() => Some(letter.to_ascii_lowercase()),
        _ => None,
    }
}

/// What filling the path shows.
fn shape(path: &BezPath, speck: f64) -> Shape {
    let bounds = path.bounding_box();
    if path.elements().len() < 2 || bounds.width().max(bounds.height()) < speck {
        return Shape::Nothing;
    }
    // Each contour by itself: the hole of an O must not outweigh its ring.
    let elements = path.elements();
    let contours = elements.chunk_by(|_, next| !matches!(next, PathEl::MoveTo(_)));
    let mut areas = contours.map(|contour| BezPath::from_vec(contour.to_vec()).area().abs());
    if areas.any(|area| area >= speck * speck) {
        Shape::Solid
    } else {
        Shape::Line
    }
}

/// Follows a glyph's program without drawing it.
struct Tracer {
    ink: Rgb,
    speck: f64,
    /// The boxes of the clips, each within the one before.
    clips: Vec<Rect>,
    drawn: bool,
    unclear: bool,
}

impl Tracer {
    fn trace<'a>(program: &Type3Glyph<'a>, paint: &Paint<'a>, ink: Rgb) -> Shape {
        // The font's own matrix can be anything; what counts is the size beside the room it takes.
        let advance = f64::from(program.advance_width().unwrap_or(0.0)).abs();
        let mut tracer = Self {
            ink,
            speck: (advance / 100.0).max(f64::MIN_POSITIVE),
            clips: Vec::new(),
            drawn: false,
            unclear: false,
        };
        program.interpret(&mut tracer, Affine::IDENTITY, Affine::IDENTITY, paint);
        match (tracer.unclear, tracer.drawn) {
            (true, _) => Shape::Unclear,
            (false, true) => Shape::Solid,
            (false, false) => Shape::Nothing,
        }
    }

    fn push(&mut self, bounds: Rect) {
        let clip = self.clips.last().map_or(bounds, |outer| outer.intersect(bounds));
        self.clips.push(clip);
    }
}

impl<'a> Device<'a> for Tracer {
    fn draw_path(&mut self, path: &BezPath, props: DrawProps<'a>, mode: &DrawMode) {
        let path = props.transform * path.clone();
        let bounds = path.bounding_box();
        let seen = self.clips.last().map_or(bounds, |clip| clip.intersect(bounds));
        let shows = match mode {
            DrawMode::Fill(_) => shape(&path, self.speck) == Shape::Solid && seen.area() > 0.0,
            DrawMode::Stroke(_) | DrawMode::FillAndStroke(..) => {
                seen.width().max(seen.height()) >= self.speck
            }
            DrawMode::Invisible => false,
        };
        if !shows {
            return;
        }
        let ours = match &props.paint {
            Paint::Color(color) => {
                let [r, g, b, alpha] = color.to_rgba().components();
                alpha >= TRANSPARENT && alike([r, g, b], self.ink)
            }
            Paint::Pattern(_) => false,
        };
        self.drawn |= ours;
        self.unclear |= !ours || props.soft_mask.is_some();
    }

    fn push_clip_path(&mut self, clip: &ClipPath) {
        self.push(clip.path.bounding_box());
    }

    fn push_clip_rect(&mut self, rect: &Rect) {
        self.push(*rect);
    }

    fn pop_clip(&mut self) {
        self.clips.pop();
    }

    fn push_transparency_group(&mut self, opacity: f32, mask: Option<SoftMask<'a>>, _: BlendMode) {
        self.unclear |= opacity < 1.0 || mask.is_some();
    }

    fn pop_transparency_group(&mut self) {}

    fn draw_glyph_run(&mut self, _: &GlyphRun<'_, 'a>, _: DrawProps<'a>, _: &DrawMode) {
        self.unclear = true;
    }

    fn draw_image(&mut self, _: Image<'a, '_>, _: ImageDrawProps<'a>) {
        self.unclear = true;
    }
}
