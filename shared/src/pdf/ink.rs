//! Writes down what one page draws, without drawing it.

use hayro_interpret::font::{Glyph as PdfGlyph, GlyphRun};
use hayro_interpret::hayro_syntax::Filter;
use hayro_interpret::hayro_syntax::object::{Array, Dict, Name, ObjectIdentifier, Stream};
use hayro_interpret::kurbo::{
    self, Affine, BezPath, PathEl, Point, Rect, Shape as _, Stroke, StrokeOpts, Vec2,
};
use hayro_interpret::{
    BlendMode, ClipPath, Device, DrawMode, DrawProps, FillRule, Image, ImageDrawProps, Paint, SoftMask,
};

use super::document::HiddenReason;
use super::glyphs::{Glyphs, Tells};
use super::letter::{Letter, Look};
use super::paint::{Coat, CoatKind, OPAQUE, Rgb, TRANSPARENT, WHITE, alike, contains, upright_rect};

/// A letter smaller than this, in points, cannot be read on paper.
const TINY_PT: f64 = 2.0;

/// A picture that a page shows.
pub(super) struct Picture {
    /// From its pixels (y downwards) to the page.
    pub(super) transform: Affine,
    pub(super) width: u32,
    pub(super) height: u32,
    /// Its part of the page, clipped.
    pub(super) bounds: Rect,
    /// Where to find its JPEG file, if it is nothing but one, shown whole and as it is.
    pub(super) jpeg: Option<ObjectIdentifier>,
}

/// All that a page draws.
pub(super) struct Ink<'g> {
    page: Rect,
    glyphs: &'g mut Glyphs,
    pub(super) letters: Vec<Letter>,
    pub(super) coats: Vec<Coat>,
    pub(super) pictures: Vec<Picture>,
    /// Letters that can be seen, but whose meaning the file does not tell.
    pub(super) unmapped: u32,
    /// Shapes that leave a mark on white paper.
    pub(super) shapes: u32,
    /// Curves in them: handwriting on a tablet has thousands.
    pub(super) curves: u32,
    /// The most pixels that a picture declares.
    pub(super) pixels_largest: u64,
    marks_max: u32,
    marks: u32,
    /// The boxes of the clips, each within the one before, and whether it is more than a box.
    clips: Vec<(Rect, bool)>,
    /// The clips that are more than a box.
    clip_paths: Vec<ClipPath>,
    groups: Vec<Group>,
}

/// A transparency group, its parents' effects included.
#[derive(Clone, Copy)]
struct Group {
    alpha: f32,
    /// Whether it is only alpha: no mask, no blend mode.
    plain: bool,
}

impl<'g> Ink<'g> {
    /// An empty page of this size, on which at most so many marks are written down.
    pub(super) fn new(page: Rect, marks_max: u32, glyphs: &'g mut Glyphs) -> Self {
        Self {
            page,
            glyphs,
            letters: Vec::new(),
            coats: Vec::new(),
            pictures: Vec::new(),
            unmapped: 0,
            shapes: 0,
            curves: 0,
            pixels_largest: 0,
            marks_max,
            marks: 0,
            clips: Vec::new(),
            clip_paths: Vec::new(),
            groups: Vec::new(),
        }
    }

    /// Whether the page drew more than was written down.
    pub(super) fn overflowed(&self) -> bool {
        self.marks > self.marks_max
    }

    /// The next place in the drawing order, or `None` once there are too many.
    fn mark(&mut self) -> Option<u32> {
        self.marks = self.marks.saturating_add(1);
        (!self.overflowed()).then_some(self.marks)
    }

    fn clip(&self) -> Rect {
        self.clips.last().map_or(self.page, |(bounds, _)| *bounds)
    }

    fn group(&self) -> Group {
        self.groups.last().copied().unwrap_or(Group {
            alpha: 1.0,
            plain: true,
        })
    }

    /// One colour and alpha, groups included, or `None` when it is more than that.
    fn colour(&self, props: &DrawProps<'_>) -> Option<(Rgb, f32)> {
        let Paint::Color(color) = &props.paint else {
            return None;
        };
        let [r, g, b, alpha] = color.to_rgba().components();
        Some(([r, g, b], alpha * self.group().alpha))
    }

    fn coat_kind(&self, props: &DrawProps<'_>) -> CoatKind {
        if props.soft_mask.is_some() || !self.group().plain || !self.clip_paths.is_empty() {
            return CoatKind::Unknown;
        }
        match (self.colour(props), props.blend_mode) {
            (Some((rgb, alpha)), BlendMode::Normal) => CoatKind::Plain { rgb, alpha },
            (Some((rgb, alpha)), BlendMode::Multiply | BlendMode::Darken) => {
                CoatKind::Multiply { rgb, alpha }
            }
            _ => CoatKind::Unknown,
        }
    }

    fn look(&self, props: &DrawProps<'_>, mode: &DrawMode, letter: (Point, f64)) -> Look {
        let (middle, size_pt) = letter;
        if matches!(mode, DrawMode::Invisible) {
            return Look::Hidden(HiddenReason::Invisible);
        }
        if size_pt < TINY_PT {
            return Look::Hidden(HiddenReason::Tiny);
        }
        if !self.page.contains(middle) {
            return Look::Hidden(HiddenReason::OffPage);
        }
        let clipped = !self.clip().contains(middle)
            || self
                .clip_paths
                .iter()
                .any(|clip| !contains(&clip.path, clip.fill, middle));
        if clipped {
            return Look::Hidden(HiddenReason::Clipped);
        }
        let colour = self.colour(props);
        if colour.is_some_and(|(_, alpha)| alpha < TRANSPARENT) {
            return Look::Hidden(HiddenReason::Transparent);
        }
        let followed = props.soft_mask.is_none()
            && self.group().plain
            && matches!(
                props.blend_mode,
                BlendMode::Normal | BlendMode::Multiply | BlendMode::Darken
            );
        Look::Drawn(colour.filter(|_| followed))
    }

    /// How a letter looks once it is known what its glyph draws.
    fn told<'a>(
        &mut self,
        letter: &Letter,
        glyph: &PdfGlyph<'a>,
        paint: &Paint<'a>,
        mode: &DrawMode,
    ) -> Look {
        if letter.is_phrase() {
            return Look::Hidden(HiddenReason::Overloaded);
        }
        let Look::Drawn(Some((ink, _))) = letter.look else {
            return letter.look;
        };
        if letter.is_blank() {
            return letter.look;
        }
        match self.glyphs.tells(glyph, &letter.text, (paint, ink), mode) {
            Tells::Something => letter.look,
            Tells::Nothing => Look::Hidden(HiddenReason::Shapeless),
            Tells::Unclear => Look::Drawn(None),
        }
    }

    fn add_coat(&mut self, path: BezPath, rule: FillRule, kind: CoatKind) {
        let leaves_mark = match kind {
            CoatKind::Plain { rgb, alpha } | CoatKind::Multiply { rgb, alpha } => {
                alpha >= TRANSPARENT && !alike(rgb, WHITE)
            }
            CoatKind::Unknown => true,
            CoatKind::Picture => false,
        };
        let clip = self.clip();
        if leaves_mark && path.bounding_box().overlaps(clip) {
            self.shapes += 1;
            let curves = path
                .elements()
                .iter()
                .filter(|e| matches!(e, PathEl::CurveTo(..) | PathEl::QuadTo(..)));
            self.curves = self
                .curves
                .saturating_add(u32::try_from(curves.count()).unwrap_or(u32::MAX));
        }
        // A long path costs its length for every letter, hence so many marks.
        self.marks = self
            .marks
            .saturating_add(u32::try_from(path.elements().len() / 16).unwrap_or(u32::MAX));
        if let Some(order) = self.mark() {
            self.coats.extend(Coat::new(path, rule, clip, kind, order));
        }
    }

    fn push_clip(&mut self, bounds: Rect, path: Option<&ClipPath>) {
        let clip = self.clip().intersect(bounds);
        let path = path.filter(|_| self.mark().is_some());
        self.clips.push((clip, path.is_some()));
        self.clip_paths.extend(path.cloned());
    }
}

impl<'a> Device<'a> for Ink<'_> {
    fn draw_path(&mut self, path: &BezPath, props: DrawProps<'a>, mode: &DrawMode) {
        let kind = self.coat_kind(&props);
        if let DrawMode::Fill(rule) | DrawMode::FillAndStroke(rule, _) = mode {
            self.add_coat(props.transform * path.clone(), *rule, kind);
        }
        if let DrawMode::Stroke(stroke) | DrawMode::FillAndStroke(_, stroke) = mode {
            /// A stroke at least this wide can hide a line of text.
            const BROAD_PT: f64 = 4.0;
            let [a, b, c, d, ..] = props.transform.as_coeffs();
            let scale = (a * d - b * c).abs().sqrt();
            if f64::from(stroke.line_width) * scale < BROAD_PT || path.elements().len() > 256 {
                // Marked as ink, too thin to hide anything.
                let line = props.transform * path.clone();
                let bounds = line.bounding_box();
                if bounds.inflate(0.5, 0.5).overlaps(self.clip()) && self.mark().is_some() {
                    self.shapes +=
                        u32::from(!matches!(kind, CoatKind::Plain { rgb, .. } if alike(rgb, WHITE)));
                    let elements = u32::try_from(line.elements().len()).unwrap_or(u32::MAX);
                    self.curves = self.curves.saturating_add(elements.saturating_sub(2));
                }
            } else {
                let style = Stroke::new(f64::from(stroke.line_width))
                    .with_caps(stroke.line_cap)
                    .with_join(stroke.line_join);
                let outline = kurbo::stroke(path, &style, &StrokeOpts::default(), 0.1);
                self.add_coat(props.transform * outline, FillRule::NonZero, kind);
            }
        }
    }

    fn push_clip_path(&mut self, clip: &ClipPath) {
        match upright_rect(&clip.path) {
            Some(rect) => self.push_clip(rect, None),
            None => self.push_clip(clip.path.bounding_box(), Some(clip)),
        }
    }

    fn push_clip_rect(&mut self, rect: &Rect) {
        self.push_clip(*rect, None);
    }

    fn pop_clip(&mut self) {
        if let Some((_, true)) = self.clips.pop() {
            self.clip_paths.pop();
        }
    }

    fn push_transparency_group(&mut self, opacity: f32, mask: Option<SoftMask<'a>>, blend: BlendMode) {
        let outer = self.group();
        self.groups.push(Group {
            alpha: outer.alpha * opacity,
            plain: outer.plain && mask.is_none() && matches!(blend, BlendMode::Normal | BlendMode::Multiply),
        });
    }

    fn pop_transparency_group(&mut self) {
        self.groups.pop();
    }

    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, 'a>, props: DrawProps<'a>, mode: &DrawMode) {
        for glyph in run.glyphs() {
            let Some(order) = self.mark() else { return };
            let transform = props.transform * glyph.transform();
            let [a, b, c, d, x, y] = transform.as_coeffs();
            let (em, up) = (Vec2::new(a, b) * 1_000.0, Vec2::new(c, d) * 1_000.0);
            let (advance, drawn_by_us) = match &**glyph {
                PdfGlyph::Outline(outline) => (outline.advance_width(), false),
                PdfGlyph::Type3(program) => (program.advance_width(), true),
            };
            let along = em * (f64::from(advance.unwrap_or(500.0)) / 1_000.0);
            // The font size of a Type 3 font tells nothing: its own matrix can scale it up again.
            let up = if drawn_by_us && up.hypot() < along.hypot() {
                up * (along.hypot() / up.hypot())
            } else {
                up
            };
            let size_pt = if drawn_by_us {
                up.hypot().max(along.hypot())
            } else {
                up.hypot().min(em.hypot())
            };
            if !(x.is_finite() && y.is_finite() && along.is_finite() && up.is_finite()) {
                continue;
            }
            let origin = Point::new(x, y);
            let look = self.look(&props, mode, (origin + along * 0.5 + up * 0.3, size_pt));
            let Some(text) = glyph.as_unicode() else {
                self.unmapped += u32::from(matches!(look, Look::Drawn(_)));
                continue;
            };
            let mut letter = Letter {
                text,
                origin,
                along,
                up,
                look,
                order,
            };
            letter.look = self.told(&letter, glyph, &props.paint, mode);
            self.letters.push(letter);
        }
    }

    fn draw_image(&mut self, image: Image<'a, '_>, props: ImageDrawProps<'a>) {
        let (width, height) = (image.width(), image.height());
        self.pixels_largest = self.pixels_largest.max(u64::from(width) * u64::from(height));
        let frame = Rect::new(0.0, 0.0, f64::from(width), f64::from(height));
        let outline = props.transform * frame.to_path(0.1);
        let bounds = outline.bounding_box();
        let shown = bounds.intersect(self.clip());
        let group = self.group();
        let plain = group.plain && props.soft_mask.is_none() && props.blend_mode == BlendMode::Normal;
        let (opaque, jpeg) = match &image {
            Image::Raster(raster) => (is_opaque(raster.stream()), plain_jpeg(raster.stream())),
            Image::Stencil(_) => (false, None),
        };
        let whole = plain && opaque && group.alpha >= OPAQUE && self.clip_paths.is_empty();
        let kind = if whole {
            CoatKind::Picture
        } else {
            CoatKind::Unknown
        };
        if shown.width() > 0.0 && shown.height() > 0.0 && group.alpha >= TRANSPARENT {
            let uncut = shown.area() > 0.99 * bounds.area();
            let jpeg = jpeg.filter(|_| whole && uncut);
            let transform = props.transform;
            if let Some(order) = self.mark() {
                self.coats
                    .extend(Coat::new(outline, FillRule::NonZero, self.clip(), kind, order));
                self.pictures.push(Picture {
                    transform,
                    width,
                    height,
                    bounds: shown,
                    jpeg,
                });
            }
        }
    }
}

/// Whether no pixel of the picture lets through what is below.
fn is_opaque(stream: &Stream<'_>) -> bool {
    !["SMask", "Mask", "SMaskInData"]
        .iter()
        .any(|key| stream.dict().contains_key(key))
}

/// Where the picture is, if its stream is a JPEG file shown as it is: no other filter, mask or colour map.
fn plain_jpeg(stream: &Stream<'_>) -> Option<ObjectIdentifier> {
    let dict = stream.dict();
    let plain = stream.filters().as_slice() == [Filter::DctDecode]
        && !["Decode", "DecodeParms", "SMask", "Mask", "SMaskInData"]
            .iter()
            .any(|key| dict.contains_key(key));
    (plain && has_plain_colours(dict))
        .then(|| dict.obj_id())
        .flatten()
}

fn has_plain_colours(dict: &Dict<'_>) -> bool {
    let name = dict
        .get::<Name<'_>>("ColorSpace")
        .or_else(|| dict.get::<Array<'_>>("ColorSpace")?.iter::<Name<'_>>().next());
    name.is_some_and(|name| {
        matches!(
            &*name,
            b"DeviceRGB" | b"DeviceGray" | b"CalRGB" | b"CalGray" | b"ICCBased"
        )
    })
}
