//! Reading the strip of 64 black or white cells at the foot of the sample scans (`samples/README.md`).

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

const CELLS: usize = 64;
const START: u64 = 0xB274;
const END: u64 = 0x2D1B;
const DARK: u32 = 128;
/// tan θ for θ = 0, ½°, … 3°, in 65,536ths.
const SLOPES: [i64; 7] = [0, 572, 1144, 1716, 2289, 2861, 3435];
const SLOPE_UNIT: i64 = 65_536;

/// The number printed on an upright page. `None` if there is no strip, or no JPEG.
pub(super) fn number_on(jpeg: &[u8]) -> Option<u16> {
    let page = Page::decode(jpeg)?;
    let steep = SLOPES.into_iter().flat_map(|slope| [slope, -slope]);
    steep.skip(1).find_map(|slope| {
        let heights = (page.height * 22 / 25..page.height).step_by((page.height / 400).max(1));
        heights.into_iter().find_map(|y| read(&page.line(slope, y)))
    })
}

/// Whether the part of an upright sample scan that holds the names is painted white: paper is never that white.
pub(super) fn is_name_painted_over(jpeg: &[u8]) -> bool {
    /// On the samples both lines with names stand above this. Unit: percent of the height.
    const NAMES_END: usize = 11;
    const PAINTED: u8 = 250;
    Page::decode(jpeg).is_some_and(|page| {
        let zone = page.height * NAMES_END / 100 * page.width;
        page.grey[..zone].iter().all(|value| *value >= PAINTED)
    })
}

struct Page {
    width: usize,
    height: usize,
    grey: Vec<u8>,
}

impl Page {
    fn decode(jpeg: &[u8]) -> Option<Self> {
        let options = DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::Luma);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(jpeg), options);
        let grey = decoder.decode().ok()?;
        let info = decoder.info()?;
        let (width, height) = (usize::from(info.width), usize::from(info.height));
        (height >= 3 && grey.len() == width * height).then_some(Self { width, height, grey })
    }

    /// Grey values along a line that passes at height `y` in the middle of the page; each the sum of three
    /// pixels, one above the other, so that one bad pixel does not matter.
    fn line(&self, slope: i64, y: usize) -> Vec<u32> {
        let signed = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let (middle, y, last) = (signed(self.width / 2), signed(y), signed(self.height - 2));
        let value = |x: usize| {
            let row = (y + slope * (signed(x) - middle) / SLOPE_UNIT).clamp(1, last);
            let row = usize::try_from(row).unwrap_or(1);
            (row - 1..=row + 1)
                .map(|row| u32::from(self.grey[row * self.width + x]))
                .sum()
        };
        (0..self.width).map(value).collect()
    }
}

/// The number on a line, if it runs along the whole strip.
fn read(line: &[u32]) -> Option<u16> {
    let width = line.len();
    let dark = |value: &u32| *value < 3 * DARK;
    let mut ends = None;
    let mut start = 0;
    for run in line.chunk_by(|one, next| dark(one) == dark(next)) {
        let end = start + run.len();
        // Thinner is dust.
        if run.first().is_some_and(dark) && run.len() * 250 >= width {
            ends = Some((ends.map_or(start, |(first, _)| first), end));
        }
        start = end;
    }
    let (first, last) = ends?;
    let length = last - first;
    if !(width * 7..=width * 9).contains(&(length * 10)) {
        return None;
    }
    let word = (0..CELLS).fold(0_u64, |word, cell| {
        let at = |quarter: usize| first + (4 * cell + quarter) * length / (4 * CELLS);
        let half = &line[at(1)..=at(3)];
        let black = half.iter().map(|value| u64::from(*value)).sum::<u64>()
            < u64::from(3 * DARK) * u64::try_from(half.len()).unwrap_or(u64::MAX);
        word << 1 | u64::from(black)
    });
    let number = u16::try_from(word >> 32 & 0xFFFF).ok()?;
    let sound =
        word >> 48 == START && word & 0xFFFF == END && word >> 16 & 0xFFFF == u64::from(checksum(number));
    sound.then_some(number)
}

/// CRC-16/CCITT-FALSE of the number's two bytes, high byte first.
fn checksum(number: u16) -> u16 {
    number.to_be_bytes().into_iter().fold(0xFFFF, |crc, byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| {
            if crc & 0x8000 == 0 {
                crc << 1
            } else {
                crc << 1 ^ 0x1021
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_that_the_samples_are_printed_with() {
        assert_eq!([checksum(4096), checksum(8192)], [0x1E7C, 0x1BE9]);
    }

    /// A white page with a strip of these cells, askew by `slope` 65,536ths.
    fn page(word: u64, slope: i64) -> Vec<u8> {
        let (width, height) = (640_usize, 905_usize);
        let mut grey = vec![250_u8; width * height];
        for x in 64..576 {
            let cell = (x - 64) / 8;
            if word >> (63 - cell) & 1 == 1 {
                let shift = slope * (i64::try_from(x).unwrap() - 320) / SLOPE_UNIT;
                for y in 864..877_i64 {
                    grey[usize::try_from(y + shift).unwrap() * width + x] = 25;
                }
            }
        }
        let mut jpeg = Vec::new();
        let encoder = jpeg_encoder::Encoder::new(&mut jpeg, 70);
        encoder
            .encode(&grey, 640, 905, jpeg_encoder::ColorType::Luma)
            .unwrap();
        jpeg
    }

    #[test]
    fn a_name_is_painted_over_only_by_white_on_all_of_its_zone() {
        let painted = |rows: usize| {
            let (width, height) = (64, 200);
            let mut grey = vec![240_u8; width * height];
            grey[..rows * width].fill(255);
            let mut jpeg = Vec::new();
            let encoder = jpeg_encoder::Encoder::new(&mut jpeg, 70);
            encoder
                .encode(&grey, 64, 200, jpeg_encoder::ColorType::Luma)
                .unwrap();
            is_name_painted_over(&jpeg)
        };
        assert!(painted(24), "12 %");
        assert!(!painted(16), "8 %: the first name can still be read");
        assert!(!painted(0));
        assert!(!is_name_painted_over(b"not a JPEG"));
    }

    #[test]
    fn a_strip_is_read_though_askew_and_never_if_damaged() {
        let word = 0xB274_1000_1E7C_2D1B;
        for slope in [0, 1500, -2289] {
            assert_eq!(number_on(&page(word, slope)), Some(4096), "{slope}");
        }
        assert_eq!(number_on(&page(word ^ 1 << 40, 0)), None, "the checksum is wrong");
        assert_eq!(number_on(&page(0, 0)), None, "no strip");
        assert_eq!(number_on(b"not a JPEG"), None);
    }
}
