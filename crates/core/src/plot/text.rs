//! Lines of text in `DejaVu` Sans, matplotlib's font: measured, wrapped, shortened, and turned into coverage masks.

use ab_glyph::{Font as _, FontRef, Glyph, PxScale, ScaleFont as _, point};

use super::PlotError;

/// Height of capitals and digits in `DejaVu` Sans, as a share of the font size: 1493 of 2048 units.
const CAP_HEIGHT: f32 = 1493.0 / 2048.0;

/// Stands for what was left out.
const ELLIPSIS: char = '\u{2026}';

/// The height of capitals and digits at a font size: text whose baseline lies half of it below a point is centred on the point.
#[must_use]
pub fn cap_height(size: f32) -> f32 {
    size * CAP_HEIGHT
}

/// `DejaVu` Sans. All sizes are in pixels per em.
#[derive(Debug, Clone)]
pub struct Font {
    face: FontRef<'static>,
}

impl Font {
    /// The font embedded in the program.
    ///
    /// # Errors
    /// [`PlotError::Font`] if it cannot be parsed.
    pub fn embedded() -> Result<Self, PlotError> {
        Ok(Self {
            face: FontRef::try_from_slice(dejavu::sans::regular())?,
        })
    }

    /// `ab_glyph` scales by the height from descent to ascent, typography by the em.
    fn scale(&self, size: f32) -> PxScale {
        let em = self.face.units_per_em().unwrap_or(2048.0);
        PxScale::from(size * self.face.height_unscaled() / em)
    }

    /// Places the glyphs of a line, kerned, from the origin of the baseline; also returns where the pen ends.
    fn place(&self, text: &str, size: f32) -> (Vec<Glyph>, f32) {
        let scaled = self.face.as_scaled(self.scale(size));
        let mut pen = 0.0;
        let mut glyphs: Vec<Glyph> = Vec::new();
        for character in text.chars() {
            // A line break inside a label would otherwise be drawn as a missing glyph.
            let character = if character.is_control() { ' ' } else { character };
            let id = scaled.glyph_id(character);
            if let Some(previous) = glyphs.last() {
                pen += scaled.kern(previous.id, id);
            }
            glyphs.push(id.with_scale_and_position(scaled.scale(), point(pen, 0.0)));
            pen += scaled.h_advance(id);
        }
        (glyphs, pen)
    }

    /// Width of a line in pixels: the pen's way, not the ink.
    #[must_use]
    pub fn width(&self, text: &str, size: f32) -> f32 {
        self.place(text, size).1
    }

    /// Draws a line of text into a mask.
    #[must_use]
    pub fn line(&self, text: &str, size: f32) -> TextMask {
        let (glyphs, advance) = self.place(text, size);
        let mut pixels = Vec::new();
        for outline in glyphs.into_iter().filter_map(|glyph| self.face.outline_glyph(glyph)) {
            let bounds = outline.px_bounds();
            let (left, top) = (super::canvas::pixel(bounds.min.x), super::canvas::pixel(bounds.min.y));
            outline.draw(|column, row, coverage| {
                if let (Ok(column), Ok(row)) = (i32::try_from(column), i32::try_from(row)) {
                    pixels.push((left + column, top + row, coverage.clamp(0.0, 1.0)));
                }
            });
        }
        TextMask { advance, pixels }
    }

    /// Breaks a text at spaces into lines no wider than `width` pixels. A word that is wider than a line is broken inside.
    #[must_use]
    pub fn wrap(&self, text: &str, size: f32, width: f32) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = String::new();
        for word in text.split_whitespace() {
            let longer = if line.is_empty() {
                word.to_owned()
            } else {
                format!("{line} {word}")
            };
            if self.width(&longer, size) <= width {
                line = longer;
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            for character in word.chars() {
                line.push(character);
                if self.width(&line, size) > width && line.chars().count() > 1 {
                    line.pop();
                    lines.push(std::mem::replace(&mut line, character.to_string()));
                }
            }
        }
        if !line.is_empty() {
            lines.push(line);
        }
        lines
    }

    /// The text itself if it is no wider than `width` pixels, else its beginning and half as much of its end around an ellipsis: class
    /// names that share a long beginning often differ at their end.
    #[must_use]
    pub fn shorten(&self, text: &str, size: f32, width: f32) -> String {
        if self.width(text, size) <= width {
            return text.to_owned();
        }
        let characters: Vec<char> = text.chars().collect();
        (0..characters.len())
            .rev()
            .map(|kept| {
                let (head, tail) = characters.split_at(kept - kept / 3);
                let tail = &tail[tail.len() - kept / 3..];
                head.iter().chain([&ELLIPSIS]).chain(tail).collect::<String>()
            })
            .find(|shorter| self.width(shorter, size) <= width)
            .unwrap_or_default()
    }
}

/// A line of text as coverage of pixels, relative to the start of its baseline.
#[derive(Debug, Clone)]
pub struct TextMask {
    advance: f32,
    pixels: Vec<(i32, i32, f32)>,
}

impl TextMask {
    /// Width of the line in pixels.
    #[must_use]
    pub fn advance(&self) -> f32 {
        self.advance
    }

    /// Along the baseline, down from the baseline, coverage from 0 to 1. Glyphs that touch may cover a pixel twice.
    pub fn pixels(&self) -> impl Iterator<Item = (i32, i32, f32)> + '_ {
        self.pixels.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_those_of_the_font_file() {
        let font = Font::embedded().unwrap();
        // DejaVu Sans 2.37: digits are 1303 of 2048 units wide, a space 651.
        assert!((font.width("0", 2048.0) - 1303.0).abs() < 0.01);
        assert!((font.width("10 27", 2048.0) - (4.0 * 1303.0 + 651.0)).abs() < 0.01);
        assert!((font.width("", 20.0)).abs() < f32::EPSILON);
    }

    #[test]
    fn pairs_are_kerned() {
        let font = Font::embedded().unwrap();
        assert!(font.width("AV", 100.0) < font.width("A", 100.0) + font.width("V", 100.0) - 1.0);
    }

    #[test]
    fn a_capital_stands_on_the_baseline_and_reaches_the_cap_height() {
        let font = Font::embedded().unwrap();
        let mask = font.line("H", 100.0);
        let rows: Vec<i32> = mask
            .pixels()
            .filter(|pixel| pixel.2 > 0.5)
            .map(|pixel| pixel.1)
            .collect();
        assert_eq!(rows.iter().max(), Some(&-1));
        assert_eq!(rows.iter().min(), Some(&-73));
        assert!((cap_height(100.0) - 72.9).abs() < 0.01);
    }

    #[test]
    fn long_texts_wrap_at_spaces_and_long_words_inside() {
        let font = Font::embedded().unwrap();
        let width = font.width("confusion matrix", 20.0) + 1.0;
        assert_eq!(
            font.wrap("confusion matrix of the  model", 20.0, width),
            ["confusion matrix", "of the model"]
        );
        let lines = font.wrap(&format!("a {}", "m".repeat(40)), 20.0, width);
        assert_eq!(lines[0], "a");
        assert!(
            lines.len() > 2 && lines.iter().all(|line| font.width(line, 20.0) <= width),
            "{lines:?}"
        );
        assert_eq!(lines.concat().len(), 41);
        assert_eq!(font.wrap("  ", 20.0, width), [""; 0]);
    }

    #[test]
    fn long_labels_keep_their_beginning_and_end() {
        let font = Font::embedded().unwrap();
        let width = font.width("acute_myeloid\u{2026}relapse", 20.0) + 1.0;
        assert_eq!(font.shorten("short", 20.0, width), "short");
        let shorter = font.shorten("acute_myeloid_leukaemia_relapse", 20.0, width);
        assert!(
            shorter.starts_with("acute_myeloid") && shorter.ends_with("lapse") && shorter.contains('\u{2026}'),
            "{shorter}"
        );
        assert!(font.width(&shorter, 20.0) <= width);
        assert_eq!(font.shorten("anything", 20.0, 1.0), "");
    }

    #[test]
    fn line_breaks_inside_a_label_are_drawn_as_spaces() {
        let font = Font::embedded().unwrap();
        assert!((font.width("a\nb", 20.0) - font.width("a b", 20.0)).abs() < f32::EPSILON);
    }
}
