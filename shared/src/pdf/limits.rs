//! How much one copy may cost.

use serde::{Deserialize, Serialize};

use super::document::Bounds;
use crate::domain::NamedPages;

const MIB: u64 = 1024 * 1024;

/// The bounds of one reading. Whatever passes one of them ends as a [`super::Rejected`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The file.
    pub bytes_max: u64,
    /// Pages of the file.
    pub pages_max: u32,
    /// Objects in the file's table.
    pub objects_max: u64,
    /// Drawing instructions once decompressed, all pages added.
    pub decoded_bytes_max: u64,
    /// Pixels of one embedded picture, as the file declares them.
    pub pixels_max: u64,
    /// The longest side of a page, in points (200 inches: the format's own limit).
    pub page_side_pt_max: u32,
    /// Letters, and shapes, drawn on one page.
    pub marks_per_page_max: u32,
    /// The child's answer, page images included.
    pub answer_bytes_max: u64,
    /// Processor time of the child.
    pub cpu_seconds: u32,
    /// Time until the child is killed, waiting included.
    pub wall_seconds: u32,
    /// Address space of the child: the only guard against inflate bombs, for the parser has none.
    pub address_space_bytes: u64,
}

impl Default for Limits {
    /// The bounds of production, with which every sound file of the test corpus passes.
    fn default() -> Self {
        Self {
            bytes_max: 50 * MIB,
            pages_max: 200,
            objects_max: 500_000,
            decoded_bytes_max: 64 * MIB,
            pixels_max: 40_000_000,
            page_side_pt_max: 14_400,
            marks_per_page_max: 200_000,
            answer_bytes_max: 160 * MIB,
            cpu_seconds: 30,
            wall_seconds: 90,
            address_space_bytes: 640 * MIB,
        }
    }
}

/// How the page images of a copy are made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Images {
    /// The longest side of an image, in pixels; a smaller scan is not enlarged. At most 4,000.
    pub long_side_px: u16,
    /// JPEG quality, 1 to 100.
    pub quality: u8,
    /// How much of the top of a page is painted white (0 to 100), so that a name does not leave.
    pub name_zone_percent: u8,
    /// On which pages.
    pub name_zone_pages: NamedPages,
    /// What else is painted white. At most [`Images::COVERS_MAX`]; more are not looked at.
    pub covers: Vec<Cover>,
}

/// A part of a page that its image must not show, as a name found in its text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cover {
    /// From 1.
    pub page: u32,
    /// Where.
    pub bounds: Bounds,
}

impl Images {
    /// The longest side that is ever drawn.
    pub const LONG_SIDE_PX_MAX: u16 = 4_000;
    /// The most parts of pages that are painted white, far above what any copy needs.
    pub const COVERS_MAX: usize = 5_000;
}

impl Default for Images {
    /// 1,568 pixels is the size above which the providers shrink an image themselves.
    fn default() -> Self {
        Self {
            long_side_px: 1_568,
            quality: 70,
            name_zone_percent: 0,
            name_zone_pages: NamedPages::First,
            covers: Vec::new(),
        }
    }
}
