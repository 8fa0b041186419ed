//! From letters with places to words and lines in reading order.

use hayro_interpret::kurbo::{Point, Rect, Vec2};

use super::clean::clean;
use super::document::{Bounds, Line, Word};
use super::letter::Letter;

/// Fractions of the letter's height: letters further apart than this are two words.
const WORD_GAP: f64 = 0.2;
/// Words further apart than this may stand in two columns.
const COLUMN_GAP: f64 = 1.5;
/// Baselines nearer than this are one line; exponents are raised by a third.
const SAME_LINE: f64 = 0.45;
/// Lines further apart than this are two blocks.
const BLOCK_GAP: f64 = 2.2;

/// The lines of the letters, in reading order. Text along each direction is read apart, the most frequent
/// direction first.
pub(super) fn lines(letters: &[Letter]) -> Vec<Line> {
    let mut directions: Vec<(i32, Vec<Placed<'_>>)> = Vec::new();
    for letter in letters {
        let degrees = degrees(letter.along);
        let placed = Placed::new(letter, f64::from(degrees).to_radians());
        // Looked for from the end: the next letter almost always runs as the last did.
        match directions.iter_mut().rev().find(|(known, _)| *known == degrees) {
            Some((_, run)) => run.push(placed),
            None => directions.push((degrees, vec![placed])),
        }
    }
    directions.sort_by_key(|(_, run)| std::cmp::Reverse(run.len()));
    let mut lines = Vec::new();
    for (_, run) in directions {
        let mut rows = rows(run);
        for block in blocks(&mut rows) {
            lines.extend(read_block(block).iter().filter_map(|row| words(row)));
        }
    }
    lines
}

/// A letter in a frame whose x runs along its text and whose y runs down the lines.
struct Placed<'a> {
    letter: &'a Letter,
    x: f64,
    y: f64,
    end: f64,
    height: f64,
}

impl<'a> Placed<'a> {
    fn new(letter: &'a Letter, angle: f64) -> Self {
        let (sin, cos) = angle.sin_cos();
        let Point { x, y } = letter.origin;
        let start = x * cos + y * sin;
        let end = start + letter.along.hypot();
        Self {
            letter,
            x: start,
            y: y * cos - x * sin,
            end,
            height: letter.up.hypot(),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "an angle in degrees, at most 180 either way"
)]
fn degrees(along: Vec2) -> i32 {
    along.y.atan2(along.x).to_degrees().round() as i32
}

/// Letters that share a baseline, from left to right.
struct Row<'a> {
    y: f64,
    height: f64,
    letters: Vec<Placed<'a>>,
}

fn rows(mut letters: Vec<Placed<'_>>) -> Vec<Row<'_>> {
    letters.sort_by(|one, other| one.y.total_cmp(&other.y));
    let mut rows: Vec<Row<'_>> = Vec::new();
    for letter in letters {
        match rows.last_mut() {
            Some(row) if letter.y - row.y <= SAME_LINE * row.height.max(letter.height) => {
                // The tallest letters hold the baseline, not the exponents.
                if letter.height > row.height {
                    row.y = letter.y;
                    row.height = letter.height;
                }
                row.letters.push(letter);
            }
            _ => rows.push(Row {
                y: letter.y,
                height: letter.height,
                letters: vec![letter],
            }),
        }
    }
    for row in &mut rows {
        row.letters.sort_by(|one, other| one.x.total_cmp(&other.x));
        // Bold is sometimes made by drawing a letter twice, a hair apart.
        row.letters.dedup_by(|next, kept| {
            next.letter.text == kept.letter.text
                && next.x - kept.x < 0.2 * (kept.end - kept.x)
                && (next.y - kept.y).abs() < 0.2 * kept.height
        });
    }
    rows
}

/// Parts the page where white space separates its lines.
fn blocks<'r, 'a>(rows: &'r mut [Row<'a>]) -> impl Iterator<Item = &'r mut [Row<'a>]> {
    rows.chunk_by_mut(|above, below| below.y - above.y <= BLOCK_GAP * above.height.max(below.height))
}

/// A block's rows in reading order: two columns of prose are read one after the other, a table row by row.
fn read_block<'a>(rows: &mut [Row<'a>]) -> Vec<Vec<Placed<'a>>> {
    let gutter = gutter(rows);
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for row in rows {
        let mut letters = std::mem::take(&mut row.letters);
        if let Some(gutter) = gutter {
            let beyond = letters.split_off(letters.partition_point(|letter| letter.x < gutter));
            right.push(beyond);
        }
        left.push(letters);
    }
    left.append(&mut right);
    left
}

/// The x at which a block of prose parts into two columns, if it does.
fn gutter(rows: &[Row<'_>]) -> Option<f64> {
    /// Prose has at least so many lines a column, and so many letters a line on average.
    const ROWS_MIN: usize = 4;
    const LETTERS_MIN: usize = 18;
    if rows.len() < ROWS_MIN {
        return None;
    }
    let mut pieces: Vec<(f64, f64)> = rows.iter().flat_map(pieces).collect();
    pieces.sort_by(|one, other| one.0.total_cmp(&other.0));
    let height = rows.iter().map(|row| row.height).fold(0.0, f64::max);
    let mut reach = pieces.first()?.1;
    for &(start, end) in &pieces {
        if start - reach > COLUMN_GAP * height {
            let middle = f64::midpoint(start, reach);
            let side = |row: &Row<'_>| row.letters.partition_point(|letter| letter.x < middle);
            let (mut left, mut right) = ((0, 0), (0, 0));
            for row in rows {
                let before = side(row);
                let after = row.letters.len() - before;
                left = (left.0 + usize::from(before > 0), left.1 + before);
                right = (right.0 + usize::from(after > 0), right.1 + after);
            }
            let prose = |(rows, letters): (usize, usize)| rows >= ROWS_MIN && letters >= rows * LETTERS_MIN;
            if prose(left) && prose(right) {
                return Some(middle);
            }
        }
        reach = reach.max(end);
    }
    None
}

/// The stretches of a row without a wide gap, as (start, end).
fn pieces(row: &Row<'_>) -> Vec<(f64, f64)> {
    let mut pieces: Vec<(f64, f64)> = Vec::new();
    for letter in row.letters.iter().filter(|letter| !letter.letter.is_blank()) {
        match pieces.last_mut() {
            Some((_, end)) if letter.x - *end <= COLUMN_GAP * row.height => *end = end.max(letter.end),
            _ => pieces.push((letter.x, letter.end)),
        }
    }
    pieces
}

/// A row's words; `None` when it is blank.
fn words(row: &[Placed<'_>]) -> Option<Line> {
    let mut words = Vec::new();
    let mut raw = String::new();
    let mut bounds: Option<Rect> = None;
    let mut end = f64::NEG_INFINITY;
    let mut close = |raw: &mut String, bounds: &mut Option<Rect>| {
        if let Some(bounds) = bounds.take() {
            let text = clean(raw);
            words.extend(text.split_whitespace().map(|text| Word {
                text: text.to_owned(),
                bounds: boxed(bounds),
            }));
        }
        raw.clear();
    };
    for placed in row {
        let blank = placed.letter.is_blank();
        if blank || placed.x - end > WORD_GAP * placed.height {
            close(&mut raw, &mut bounds);
        }
        end = placed.end;
        if !blank {
            placed.letter.push_to(&mut raw);
            let frame = frame(placed.letter);
            bounds = Some(bounds.map_or(frame, |bounds| bounds.union(frame)));
        }
    }
    close(&mut raw, &mut bounds);
    (!words.is_empty()).then_some(Line { words })
}

/// The box of a letter: four fifths of its height above the baseline, a fifth below.
fn frame(letter: &Letter) -> Rect {
    let corner = |along: f64, up: f64| letter.origin + letter.along * along + letter.up * up;
    Rect::from_points(corner(0.0, -0.2), corner(1.0, 0.8))
        .union(Rect::from_points(corner(0.0, 0.8), corner(1.0, -0.2)))
}

fn boxed(rect: Rect) -> Bounds {
    // Hundredths of a point are far below a hair, and short on the wire.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a page is at most 14,400 points wide"
    )]
    let round = |value: f64| ((value * 100.0).round() / 100.0) as f32;
    Bounds {
        left: round(rect.x0),
        top: round(rect.y0),
        right: round(rect.x1),
        bottom: round(rect.y1),
    }
}
