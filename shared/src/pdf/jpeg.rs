//! Pixels: decoded from a scan's JPEG, shrunk, turned upright, encoded again.

use fast_image_resize::images::Image;
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use jpeg_encoder::{ColorType, Encoder};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::document::{Bounds, PageImage};

/// How many bytes a pixel takes, and what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channels {
    Grey,
    Rgb,
    /// The last byte is not looked at.
    Rgbx,
}

impl Channels {
    fn bytes(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
            Self::Rgbx => 4,
        }
    }
}

/// An uncompressed image.
pub(super) struct Raster {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) channels: Channels,
    pub(super) pixels: Vec<u8>,
}

/// How the rows and columns of an image run on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// Its rows run down the page.
    pub(super) transposed: bool,
    /// On the page, x runs against the image's.
    pub(super) flip_x: bool,
    /// On the page, y runs against the image's.
    pub(super) flip_y: bool,
}

impl Raster {
    /// Decodes a JPEG file, if it has exactly this size and plain colours.
    pub(super) fn from_jpeg(file: &[u8], width: u32, height: u32) -> Option<Self> {
        let options = DecoderOptions::default()
            .set_max_width(0xffff)
            .set_max_height(0xffff);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(file), options);
        decoder.decode_headers().ok()?;
        if decoder.dimensions()? != (width as usize, height as usize) {
            return None;
        }
        let (channels, colours) = match decoder.input_colorspace()? {
            ColorSpace::YCbCr | ColorSpace::RGB => (Channels::Rgb, ColorSpace::RGB),
            ColorSpace::Luma => (Channels::Grey, ColorSpace::Luma),
            _ => return None,
        };
        decoder.set_options(options.jpeg_set_out_colorspace(colours));
        let pixels = decoder.decode().ok()?;
        (pixels.len() == width as usize * height as usize * channels.bytes()).then_some(Self {
            width,
            height,
            channels,
            pixels,
        })
    }

    /// The image with its longest side at most so long.
    pub(super) fn shrunk(self, long_side_px: u32) -> Option<Self> {
        let long_side = self.width.max(self.height);
        if long_side <= long_side_px {
            return Some(self);
        }
        let scale = |side: u32| {
            let scaled = u64::from(side) * u64::from(long_side_px) / u64::from(long_side);
            u32::try_from(scaled).unwrap_or(1).max(1)
        };
        let (width, height) = (scale(self.width), scale(self.height));
        let kind = match self.channels {
            Channels::Grey => PixelType::U8,
            Channels::Rgb => PixelType::U8x3,
            Channels::Rgbx => PixelType::U8x4,
        };
        let from = Image::from_vec_u8(self.width, self.height, self.pixels, kind).ok()?;
        let mut to = Image::new(width, height, kind);
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
            .use_alpha(false);
        Resizer::new().resize(&from, &mut to, &options).ok()?;
        Some(Self {
            width,
            height,
            channels: self.channels,
            pixels: to.into_vec(),
        })
    }

    /// The image as the page shows it.
    pub(super) fn turned(self, turn: Turn) -> Self {
        if turn
            == (Turn {
                transposed: false,
                flip_x: false,
                flip_y: false,
            })
        {
            return self;
        }
        let (width, height) = if turn.transposed {
            (self.height, self.width)
        } else {
            (self.width, self.height)
        };
        let size = self.channels.bytes();
        let mut pixels = Vec::with_capacity(self.pixels.len());
        for y in 0..height {
            let y = if turn.flip_y { height - 1 - y } else { y };
            for x in 0..width {
                let x = if turn.flip_x { width - 1 - x } else { x };
                let (column, row) = if turn.transposed { (y, x) } else { (x, y) };
                let at = (row as usize * self.width as usize + column as usize) * size;
                pixels.extend_from_slice(&self.pixels[at..at + size]);
            }
        }
        Self {
            width,
            height,
            channels: self.channels,
            pixels,
        }
    }

    /// Paints the top of the image white.
    pub(super) fn blank_top(&mut self, percent: u8) {
        let rows = (self.height as usize * usize::from(percent.min(100))).div_ceil(100);
        let bytes = rows * self.width as usize * self.channels.bytes();
        if let Some(top) = self.pixels.get_mut(..bytes) {
            top.fill(0xff);
        }
    }

    /// Paints a box of the page white, and a pixel around it: letters are drawn with soft edges. `scale` is in
    /// pixels a point.
    pub(super) fn blank_box(&mut self, bounds: Bounds, scale: f64) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "negative and NaN become 0, and too much is bounded by the image"
        )]
        let pixel = |point: f32, edge: f64| (f64::from(point) * scale + edge) as usize;
        let (size, width) = (self.channels.bytes(), self.width as usize);
        let (left, right) = (
            pixel(bounds.left, -1.0).min(width),
            pixel(bounds.right, 2.0).min(width),
        );
        let (top, bottom) = (pixel(bounds.top, -1.0), pixel(bounds.bottom, 2.0));
        let rows = self.pixels.chunks_exact_mut(width * size);
        for row in rows.take(bottom).skip(top) {
            if let Some(part) = row.get_mut(left * size..right * size) {
                part.fill(0xff);
            }
        }
    }

    /// The image as a JPEG file.
    pub(super) fn encoded(&self, quality: u8) -> Option<PageImage> {
        let colours = match self.channels {
            Channels::Grey => ColorType::Luma,
            Channels::Rgb => ColorType::Rgb,
            Channels::Rgbx => ColorType::Rgba,
        };
        let (width, height) = (u16::try_from(self.width).ok()?, u16::try_from(self.height).ok()?);
        let mut jpeg = Vec::with_capacity(512 * 1024);
        Encoder::new(&mut jpeg, quality.clamp(1, 100))
            .encode(&self.pixels, width, height, colours)
            .ok()?;
        Some(PageImage {
            jpeg,
            width: self.width,
            height: self.height,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Bounds, Channels, Raster, Turn};

    fn letters(width: u32, height: u32, pixels: &[u8]) -> Raster {
        Raster {
            width,
            height,
            channels: Channels::Grey,
            pixels: pixels.to_vec(),
        }
    }

    #[test]
    fn an_image_is_turned_as_the_page_shows_it() {
        let cases = [
            ((false, false, false), "abcdef", (3, 2)),
            ((false, true, false), "cbafed", (3, 2)),
            ((false, false, true), "defabc", (3, 2)),
            ((false, true, true), "fedcba", (3, 2)),
            ((true, false, false), "adbecf", (2, 3)),
            ((true, true, false), "daebfc", (2, 3)),
            ((true, false, true), "cfbead", (2, 3)),
        ];
        for ((transposed, flip_x, flip_y), expected, size) in cases {
            let turn = Turn {
                transposed,
                flip_x,
                flip_y,
            };
            let turned = letters(3, 2, b"abcdef").turned(turn);
            assert_eq!(String::from_utf8_lossy(&turned.pixels), expected, "{turn:?}");
            assert_eq!((turned.width, turned.height), size, "{turn:?}");
        }
    }

    #[test]
    fn the_name_zone_is_painted_white_and_the_rest_kept() {
        let mut raster = letters(1, 10, b"0123456789");
        raster.blank_top(25);
        assert_eq!(raster.pixels, b"\xff\xff\xff3456789");
    }

    #[test]
    fn a_box_is_painted_white_with_a_pixel_around_it_wherever_it_lies() {
        let bounds = |[left, top, right, bottom]: [f32; 4]| Bounds {
            left,
            top,
            right,
            bottom,
        };
        for (place, expected) in [
            ([1.0, 0.5, 1.5, 0.6], &b"a\xff\xff\xff\xfffg\xff\xff\xff\xffl"[..]),
            ([-9.0, -9.0, 99.0, 99.0], &[0xff; 12]),
            ([9.0, 9.0, 8.0, 8.0], b"abcdefghijkl"),
        ] {
            let mut raster = letters(6, 2, b"abcdefghijkl");
            raster.blank_box(bounds(place), 2.0);
            assert_eq!(raster.pixels, expected, "{place:?}");
        }
    }
}
