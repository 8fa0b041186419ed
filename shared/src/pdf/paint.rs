//! What is painted on a page besides letters, and what that does to a letter.

use hayro_interpret::FillRule;
use hayro_interpret::kurbo::{BezPath, PathEl, Point, Rect, Shape as _};

/// Red, green, blue, 0 to 1.
pub(super) type Rgb = [f32; 3];

/// The paper.
pub(super) const WHITE: Rgb = [1.0; 3];

/// Alpha above which nothing shows through, and below which nothing is seen.
pub(super) const OPAQUE: f32 = 0.95;
pub(super) const TRANSPARENT: f32 = 0.1;

/// The largest difference of a channel at which two colours cannot be told apart on paper.
const INDISTINCT: f32 = 0.12;
/// The least contrast of luminance (WCAG 2, 1 to 21) at which a letter is read: that of a grey of 88 % on white. A
/// pencil's grey has 2 and more.
const CONTRAST_MIN: f32 = 1.3;
/// The difference of hue (Oklab, a and b) that makes up for it: pure yellow on white has 0.21, and is just read.
const HUE_MIN: f32 = 0.15;

/// A layer of paint.
pub(super) struct Coat {
    area: Area,
    bounds: Rect,
    pub(super) kind: CoatKind,
    /// Its place in the drawing order.
    pub(super) order: u32,
}

/// What a layer does to what is under it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum CoatKind {
    /// One colour.
    Plain { rgb: Rgb, alpha: f32 },
    /// One colour, multiplied with what is below, as a highlighter does.
    Multiply { rgb: Rgb, alpha: f32 },
    /// An opaque picture: it hides all, and its colours are not known.
    Picture,
    /// Anything else: patterns, masks, other blend modes.
    Unknown,
}

enum Area {
    Rect,
    Path(BezPath, FillRule),
}

impl Coat {
    /// A coat on `path` (page coordinates) within the clip box; `None` if it is too thin to matter.
    pub(super) fn new(path: BezPath, rule: FillRule, clip: Rect, kind: CoatKind, order: u32) -> Option<Self> {
        const THIN_PT: f64 = 0.5;
        let (bounds, area) = match upright_rect(&path) {
            Some(rect) => (rect, Area::Rect),
            None => (path.bounding_box(), Area::Path(path, rule)),
        };
        let bounds = bounds.intersect(clip);
        (bounds.width() > THIN_PT && bounds.height() > THIN_PT).then_some(Self {
            area,
            bounds,
            kind,
            order,
        })
    }

    fn covers(&self, point: Point) -> bool {
        self.bounds.contains(point)
            && match &self.area {
                Area::Rect => true,
                Area::Path(path, rule) => contains(path, *rule, point),
            }
    }
}

/// Whether the point is inside the filled path.
pub(super) fn contains(path: &BezPath, rule: FillRule, point: Point) -> bool {
    let winding = path.winding(point);
    match rule {
        FillRule::NonZero => winding != 0,
        FillRule::EvenOdd => winding % 2 != 0,
    }
}

/// The path as a rectangle whose sides follow the page's, if it is one.
pub(super) fn upright_rect(path: &BezPath) -> Option<Rect> {
    let [
        PathEl::MoveTo(a),
        PathEl::LineTo(b),
        PathEl::LineTo(c),
        PathEl::LineTo(d),
        end @ ..,
    ] = path.elements()
    else {
        return None;
    };
    if !matches!(
        end,
        [] | [PathEl::ClosePath] | [PathEl::LineTo(_)] | [PathEl::LineTo(_), PathEl::ClosePath]
    ) {
        return None;
    }
    let near = |a: f64, b: f64| (a - b).abs() < 0.01;
    let upright = (near(a.x, b.x) && near(b.y, c.y) && near(c.x, d.x) && near(d.y, a.y))
        || (near(a.y, b.y) && near(b.x, c.x) && near(c.y, d.y) && near(d.x, a.x));
    upright.then(|| Rect::from_points(*a, *c))
}

/// How a letter stands out once all is painted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Outcome {
    /// It can be seen.
    Seen,
    /// It has the colour of the white paper.
    White,
    /// It has the colour of what is behind it.
    SameColour,
    /// It lies under a later layer, perhaps a picture.
    Covered { picture: bool },
    /// It cannot be told from the drawing instructions alone.
    Unknown,
}

/// The coats of a page, by horizontal band, so that a letter meets only those near it.
pub(super) struct Coats {
    bands: Vec<Vec<u32>>,
    coats: Vec<Coat>,
    band_height: f64,
}

impl Coats {
    /// Sorts coats that are given in drawing order.
    pub(super) fn new(coats: Vec<Coat>, page_height: f64) -> Self {
        const BANDS: u32 = 64;
        let band_height = (page_height / f64::from(BANDS)).max(1.0);
        let mut bands = vec![Vec::new(); BANDS as usize + 1];
        for (place, coat) in (0u32..).zip(&coats) {
            let (first, last) = (
                band(coat.bounds.y0, band_height),
                band(coat.bounds.y1, band_height),
            );
            for band in bands.iter_mut().take(last + 1).skip(first) {
                band.push(place);
            }
        }
        Self {
            bands,
            coats,
            band_height,
        }
    }

    fn over(&self, point: Point) -> impl Iterator<Item = &Coat> {
        let places = self
            .bands
            .get(band(point.y, self.band_height))
            .map_or(&[][..], Vec::as_slice);
        places
            .iter()
            .filter_map(|place| self.coats.get(*place as usize))
            .filter(move |coat| coat.covers(point))
    }

    /// What becomes of a letter of this colour (`None`: not one colour) drawn at this point and moment.
    pub(super) fn outcome(&self, point: Point, order: u32, ink: Option<(Rgb, f32)>) -> Outcome {
        let mut paper = Some(WHITE);
        let mut painted = false;
        let mut letter = None;
        for coat in self.over(point) {
            if coat.order > order && letter.is_none() {
                letter = Some(stain(paper, ink));
            }
            painted |= letter.is_none();
            paper = coat_on(paper, coat.kind);
            if let Some(shade) = letter {
                if let Some(picture) = hides(coat.kind) {
                    return Outcome::Covered { picture };
                }
                letter = Some(coat_on(shade, coat.kind));
            }
        }
        let letter = letter.unwrap_or_else(|| stain(paper, ink));
        match (letter, paper) {
            (Some(letter), Some(paper)) if legible(letter, paper) => Outcome::Seen,
            (Some(_), Some(_)) if painted => Outcome::SameColour,
            (Some(_), Some(_)) => Outcome::White,
            _ => Outcome::Unknown,
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the float is clamped to a small positive range first; a NaN becomes 0"
)]
fn band(y: f64, band_height: f64) -> usize {
    (y / band_height).clamp(0.0, 64.0) as usize
}

/// Whether a coat hides what is below for good, and whether it is a picture.
fn hides(kind: CoatKind) -> Option<bool> {
    match kind {
        CoatKind::Picture => Some(true),
        CoatKind::Plain { alpha, .. } if alpha >= OPAQUE => Some(false),
        _ => None,
    }
}

fn stain(paper: Option<Rgb>, ink: Option<(Rgb, f32)>) -> Option<Rgb> {
    ink.and_then(|(rgb, alpha)| coat_on(paper, CoatKind::Plain { rgb, alpha }))
}

/// The colour once a coat is on it; `None` when it is not known.
fn coat_on(below: Option<Rgb>, coat: CoatKind) -> Option<Rgb> {
    match coat {
        CoatKind::Plain { rgb, alpha } if alpha >= OPAQUE => Some(rgb),
        CoatKind::Plain { rgb, alpha } => below.map(|below| mix(below, rgb, alpha)),
        CoatKind::Multiply { rgb, alpha } => below.map(|[r, g, b]| {
            let [x, y, z] = rgb;
            mix([r, g, b], [r * x, g * y, b * z], alpha)
        }),
        CoatKind::Picture | CoatKind::Unknown => None,
    }
}

fn mix(below: Rgb, above: Rgb, alpha: f32) -> Rgb {
    let mut mixed = below;
    for (channel, above) in mixed.iter_mut().zip(above) {
        *channel += (above - *channel) * alpha;
    }
    mixed
}

/// Whether a letter of the one colour can be read on the other.
fn legible(letter: Rgb, paper: Rgb) -> bool {
    /// A letter that is this much darker in each channel has twice the contrast that it needs.
    const DARKER: f32 = 0.3;
    if paper
        .iter()
        .zip(letter)
        .all(|(paper, letter)| paper - letter >= DARKER)
    {
        return true;
    }
    if alike(letter, paper) {
        return false;
    }
    let (one, other) = (letter.map(linear), paper.map(linear));
    let (darker, lighter) = {
        let (one, other) = (luminance(one), luminance(other));
        (one.min(other), one.max(other))
    };
    if (lighter + 0.05) / (darker + 0.05) >= CONTRAST_MIN {
        return true;
    }
    let (one, other) = (hue(one), hue(other));
    (one.0 - other.0).hypot(one.1 - other.1) >= HUE_MIN
}

/// An sRGB channel as light.
fn linear(channel: f32) -> f32 {
    if channel <= 0.04045 {
        channel / 12.92
    } else {
        ((channel + 0.055) / 1.055).powf(2.4)
    }
}

/// Relative luminance, WCAG 2.
fn luminance([r, g, b]: Rgb) -> f32 {
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

/// The axes a and b of Oklab (<https://bottosson.github.io/posts/oklab/>).
fn hue([r, g, b]: Rgb) -> (f32, f32) {
    let l = (0.412_22 * r + 0.536_33 * g + 0.051_45 * b).cbrt();
    let m = (0.211_90 * r + 0.680_70 * g + 0.107_40 * b).cbrt();
    let s = (0.088_30 * r + 0.281_72 * g + 0.629_98 * b).cbrt();
    (
        1.978_00 * l - 2.428_59 * m + 0.450_59 * s,
        0.025_90 * l + 0.782_77 * m - 0.808_68 * s,
    )
}

/// Whether two colours cannot be told apart.
pub(super) fn alike(one: Rgb, other: Rgb) -> bool {
    one.iter()
        .zip(other)
        .all(|(one, other)| (one - other).abs() < INDISTINCT)
}
