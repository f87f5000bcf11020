//! Pixels: rectangles, lines and text on an RGB picture, and its PNG.
//!
//! Lines and rectangles lie on whole pixels, so that edges are crisp; only text is antialiased. Everything outside the picture is
//! clipped.

use std::io::Cursor;

use image::{ImageFormat, RgbImage};

use super::text::TextMask;
use super::{DPI, PlotError};

/// Red, green and blue.
pub type Rgb = [u8; 3];

/// Paper.
pub const WHITE: Rgb = [255; 3];
/// Ink.
pub const BLACK: Rgb = [0; 3];

/// A rectangle of whole pixels; `right` and `bottom` are the first pixels outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rect {
    /// First column.
    pub left: i32,
    /// First row.
    pub top: i32,
    /// First column to the right of it.
    pub right: i32,
    /// First row below it.
    pub bottom: i32,
}

impl Rect {
    /// Width in pixels.
    #[must_use]
    pub fn width(self) -> i32 {
        self.right - self.left
    }

    /// Height in pixels.
    #[must_use]
    pub fn height(self) -> i32 {
        self.bottom - self.top
    }

    /// The pixel in the middle: column, row.
    #[must_use]
    pub fn center(self) -> (i32, i32) {
        (
            i32::midpoint(self.left, self.right),
            i32::midpoint(self.top, self.bottom),
        )
    }
}

/// Which end of a line of text lies at the given point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// The text begins there.
    Start,
    /// The text is centred there.
    Middle,
    /// The text ends there.
    End,
}

/// Which way a line of text runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Left to right.
    Right,
    /// Bottom to top, as the label of a vertical axis.
    Up,
}

/// The nearest whole pixel.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    reason = "pictures are a few thousand pixels wide, and the cast saturates"
)]
pub fn pixel(position: f32) -> i32 {
    position.round() as i32
}

/// A picture being drawn.
#[derive(Debug, Clone)]
pub struct Canvas {
    image: RgbImage,
}

impl Canvas {
    /// White paper of `width` x `height` pixels.
    #[must_use]
    pub fn new(width: u16, height: u16) -> Self {
        Self {
            image: RgbImage::from_pixel(u32::from(width), u32::from(height), image::Rgb(WHITE)),
        }
    }

    /// Width and height in pixels.
    #[must_use]
    pub fn size(&self) -> (u32, u32) {
        self.image.dimensions()
    }

    /// The colour of a pixel, or nothing outside the picture.
    #[must_use]
    pub fn get(&self, column: i32, row: i32) -> Option<Rgb> {
        let (column, row) = (u32::try_from(column).ok()?, u32::try_from(row).ok()?);
        self.image.get_pixel_checked(column, row).map(|pixel| pixel.0)
    }

    /// Fills a rectangle.
    pub fn fill(&mut self, rect: Rect, color: Rgb) {
        for row in rect.top..rect.bottom {
            for column in rect.left..rect.right {
                self.blend(column, row, color, 1.0);
            }
        }
    }

    /// Frames a rectangle with a line one pixel wide, drawn around it so that nothing inside is covered.
    pub fn frame(&mut self, rect: Rect, color: Rgb) {
        let Rect {
            left,
            top,
            right,
            bottom,
        } = rect;
        self.fill(
            Rect {
                left: left - 1,
                top: top - 1,
                right: right + 1,
                bottom: top,
            },
            color,
        );
        self.fill(
            Rect {
                left: left - 1,
                top: bottom,
                right: right + 1,
                bottom: bottom + 1,
            },
            color,
        );
        self.fill(
            Rect {
                left: left - 1,
                top,
                right: left,
                bottom,
            },
            color,
        );
        self.fill(
            Rect {
                left: right,
                top,
                right: right + 1,
                bottom,
            },
            color,
        );
    }

    /// Writes a line of text with its baseline through `at` (column, row).
    ///
    /// Running right, the baseline is horizontal and `at.1` its row; running up, the baseline is vertical and `at.0` its column.
    pub fn text(&mut self, text: &TextMask, at: (i32, i32), anchor: Anchor, direction: Direction, color: Rgb) {
        let back = match anchor {
            Anchor::Start => 0,
            Anchor::Middle => pixel(text.advance() / 2.0),
            Anchor::End => pixel(text.advance()),
        };
        for (along, down, coverage) in text.pixels() {
            let along = along - back;
            let (column, row) = match direction {
                Direction::Right => (at.0 + along, at.1 + down),
                Direction::Up => (at.0 + down, at.1 - along - 1),
            };
            self.blend(column, row, color, coverage);
        }
    }

    /// Mixes `color` into a pixel by `coverage`, from 0 to 1.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a mean of two bytes is between 0 and 255"
    )]
    fn blend(&mut self, column: i32, row: i32, color: Rgb, coverage: f32) {
        let (Ok(column), Ok(row)) = (u32::try_from(column), u32::try_from(row)) else {
            return;
        };
        if let Some(pixel) = self.image.get_pixel_mut_checked(column, row) {
            for (old, new) in pixel.0.iter_mut().zip(color) {
                *old = (f32::from(*old) + coverage * (f32::from(new) - f32::from(*old))).round() as u8;
            }
        }
    }

    /// The picture as the bytes of a PNG file of [`DPI`] dots per inch.
    ///
    /// # Errors
    /// [`PlotError::Encode`] if the encoder fails.
    pub fn to_png(&self) -> Result<Vec<u8>, PlotError> {
        let mut bytes = Cursor::new(Vec::new());
        self.image.write_to(&mut bytes, ImageFormat::Png)?;
        let mut bytes = bytes.into_inner();
        // The encoder does not say how large a pixel is, and word processors would take 96 dots per inch. The chunk belongs behind the
        // signature (8 bytes) and the header chunk (25).
        let after_header = 33.min(bytes.len());
        bytes.splice(after_header..after_header, resolution_chunk());
        Ok(bytes)
    }
}

/// PNG's `pHYs` chunk: length, name, pixels per metre across and down, unit (metre), check sum of name and content.
fn resolution_chunk() -> Vec<u8> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a constant, 4921"
    )]
    let per_metre = (DPI / 0.0254).round() as u32;
    let mut content = b"pHYs".to_vec();
    content.extend(per_metre.to_be_bytes());
    content.extend(per_metre.to_be_bytes());
    content.push(1);
    let mut check = flate2::Crc::new();
    check.update(&content);
    let mut chunk = 9_u32.to_be_bytes().to_vec();
    chunk.append(&mut content);
    chunk.extend(check.sum().to_be_bytes());
    chunk
}

/// Black or white, whichever has the stronger contrast on `background` (WCAG 2: relative luminance, contrast `(a + 0.05) / (b + 0.05)`).
#[must_use]
pub fn readable_on(background: Rgb) -> Rgb {
    let [red, green, blue] = background.map(|channel| {
        let value = f64::from(channel) / 255.0;
        if value <= 0.04045 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    });
    let luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    if (luminance + 0.05) / 0.05 >= 1.05 / (luminance + 0.05) {
        BLACK
    } else {
        WHITE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::text::Font;

    /// Columns and rows that are not white: left, top, right, bottom (exclusive).
    fn ink(canvas: &Canvas) -> Rect {
        let (width, height) = canvas.size();
        let dark = canvas.image.enumerate_pixels().filter(|(_, _, pixel)| pixel.0 != WHITE);
        let start = Rect {
            left: i32::try_from(width).unwrap(),
            top: i32::try_from(height).unwrap(),
            right: 0,
            bottom: 0,
        };
        dark.fold(start, |rect, (column, row, _)| {
            let (column, row) = (i32::try_from(column).unwrap(), i32::try_from(row).unwrap());
            Rect {
                left: rect.left.min(column),
                top: rect.top.min(row),
                right: rect.right.max(column + 1),
                bottom: rect.bottom.max(row + 1),
            }
        })
    }

    #[test]
    fn a_frame_lies_around_its_rectangle() {
        let mut canvas = Canvas::new(20, 20);
        let rect = Rect {
            left: 5,
            top: 6,
            right: 9,
            bottom: 11,
        };
        canvas.frame(rect, BLACK);
        assert_eq!(
            ink(&canvas),
            Rect {
                left: 4,
                top: 5,
                right: 10,
                bottom: 12
            }
        );
        assert_eq!(canvas.get(5, 6), Some(WHITE));
        assert_eq!(canvas.get(8, 10), Some(WHITE));
        assert_eq!(canvas.get(4, 8), Some(BLACK));
        assert_eq!(canvas.get(9, 11), Some(BLACK));
    }

    #[test]
    fn drawing_outside_is_clipped() {
        let mut canvas = Canvas::new(4, 4);
        canvas.fill(
            Rect {
                left: -3,
                top: 2,
                right: 2,
                bottom: 9,
            },
            [1, 2, 3],
        );
        assert_eq!(
            ink(&canvas),
            Rect {
                left: 0,
                top: 2,
                right: 2,
                bottom: 4
            }
        );
        assert_eq!(canvas.get(4, 0), None);
        assert_eq!(canvas.get(-1, 0), None);
    }

    #[test]
    fn text_running_up_is_text_running_right_turned_by_a_quarter() {
        let font = Font::embedded().unwrap();
        let text = font.line("True 7", 17.0);
        let (mut right, mut up) = (Canvas::new(101, 101), Canvas::new(101, 101));
        right.text(&text, (20, 50), Anchor::Start, Direction::Right, BLACK);
        up.text(&text, (50, 80), Anchor::Start, Direction::Up, BLACK);
        assert_ne!(ink(&right).width(), 0);
        for row in 0..101 {
            for column in 0..101 {
                // A step to the right in one is a step up in the other.
                let turned = up.get(50 + (row - 50), 80 - (column - 20) - 1);
                assert_eq!(right.get(column, row), turned.or(Some(WHITE)));
            }
        }
    }

    #[test]
    fn anchors_place_the_start_middle_and_end_of_a_text() {
        let font = Font::embedded().unwrap();
        let text = font.line("888", 20.0);
        let width = pixel(text.advance());
        let drawn = |anchor| {
            let mut canvas = Canvas::new(200, 40);
            canvas.text(&text, (100, 30), anchor, Direction::Right, BLACK);
            ink(&canvas)
        };
        let (start, middle, end) = (drawn(Anchor::Start), drawn(Anchor::Middle), drawn(Anchor::End));
        assert!((100..105).contains(&start.left), "{start:?}");
        assert!((96..=100).contains(&end.right), "{end:?}");
        assert_eq!(start.left - end.left, width);
        assert!((middle.left + middle.right - 200).abs() <= 2, "{middle:?}");
        assert_eq!(start.bottom, 31, "round digits dip a pixel below the baseline");
    }

    #[test]
    fn ink_is_chosen_by_contrast() {
        assert_eq!(readable_on(WHITE), BLACK);
        assert_eq!(readable_on(BLACK), WHITE);
        assert_eq!(readable_on([0, 68, 27]), WHITE, "dark green");
        assert_eq!(readable_on([255, 255, 0]), BLACK, "yellow");
        assert_eq!(readable_on([0, 0, 255]), WHITE, "blue");
        assert_eq!(readable_on([118, 118, 118]), BLACK, "contrast is equal near 117");
        assert_eq!(readable_on([116, 116, 116]), WHITE);
    }

    #[test]
    fn the_png_reads_back_as_it_was_drawn() {
        let mut canvas = Canvas::new(7, 5);
        canvas.fill(
            Rect {
                left: 1,
                top: 1,
                right: 3,
                bottom: 4,
            },
            [10, 200, 30],
        );
        let png = canvas.to_png().unwrap();
        assert_eq!(image::load_from_memory(&png).unwrap().to_rgb8(), canvas.image);
        // As libpng writes 125 dots per inch.
        let chunk = b"\0\0\0\x09pHYs\0\0\x13\x39\0\0\x13\x39\x01\x8f\xc2\x56\x01";
        assert_eq!(&png[33..33 + chunk.len()], chunk);
    }
}
