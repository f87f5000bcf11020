//! The confusion matrix: how often each true class was predicted as each class, counted and drawn.
//!
//! The picture keeps the original's size (875 x 875 pixels), colours, wording and arrangement. It differs where the original was hard
//! to read or wrong: ticks lie at the classes, whatever their labels are; counts on dark cells are white; labels, counts and title make
//! room for each other; and the colour bar is as high as the matrix.

mod layout;
mod scores;

use std::collections::BTreeMap;
use std::fmt::Display;

use super::PlotError;
use super::canvas::{Anchor, BLACK, Canvas, Direction, Rect, pixel, readable_on};
use super::colormap::ColorMap;
use super::text::{Font, cap_height};
use layout::Layout;

pub use scores::ClassScores;

/// Most classes that are drawn: with more, a cell would be less than a pixel.
pub const MAX_CLASSES: u16 = 400;

/// Counts of pairs of a true and a predicted label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfusionMatrix {
    labels: Vec<String>,
    /// `[true, predicted]`, rows after each other.
    counts: Vec<u32>,
}

impl ConfusionMatrix {
    /// Counts the pairs `truth[i]`, `predicted[i]`. The classes are all labels that occur on either side, in order. The longer side's
    /// rest is not counted.
    ///
    /// # Errors
    /// [`PlotError::TooManyClasses`] beyond [`MAX_CLASSES`].
    pub fn count<L: Ord + Display>(truth: &[L], predicted: &[L]) -> Result<Self, PlotError> {
        let mut classes: BTreeMap<&L, usize> = truth.iter().chain(predicted).map(|label| (label, 0)).collect();
        let side = classes.len();
        if side > usize::from(MAX_CLASSES) {
            return Err(PlotError::TooManyClasses {
                count: side,
                max: MAX_CLASSES,
            });
        }
        for (number, class) in classes.values_mut().enumerate() {
            *class = number;
        }
        let mut counts = vec![0_u32; side * side];
        for (truth, predicted) in truth.iter().zip(predicted) {
            let cell = &mut counts[classes[truth] * side + classes[predicted]];
            *cell = cell.saturating_add(1);
        }
        Ok(Self {
            labels: classes.keys().map(ToString::to_string).collect(),
            counts,
        })
    }

    /// The classes' labels, in order.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// How often each class was predicted, one row for each true class.
    pub fn rows(&self) -> impl Iterator<Item = &[u32]> {
        self.counts.chunks_exact(self.labels.len().max(1))
    }

    /// Where a count lies on the colour scale, from 0 to 1. As in the original the scale runs from the smallest count to the largest;
    /// if all are the same, from 0, so that a matrix of one class is not shown as if it were empty.
    fn scale(&self) -> (u32, u32) {
        let low = self.counts.iter().min().copied().unwrap_or(0);
        let high = self.counts.iter().max().copied().unwrap_or(0);
        (if low == high { 0 } else { low }, high.max(1))
    }

    /// Draws the matrix, 875 x 875 pixels.
    ///
    /// # Errors
    /// [`PlotError::Font`] if the embedded font cannot be read.
    pub fn draw(&self, title: &str, colors: ColorMap) -> Result<Canvas, PlotError> {
        let font = Font::embedded()?;
        let layout = Layout::plan(&font, self, title);
        let mut canvas = Canvas::new(layout::SIDE, layout::SIDE);
        self.draw_cells(&mut canvas, &font, &layout, colors);
        draw_axes(&mut canvas, &font, &layout);
        draw_color_bar(&mut canvas, &font, &layout, colors);
        for (line, baseline) in &layout.title {
            let text = font.line(line, layout.title_size);
            canvas.text(
                &text,
                (layout.title_center, *baseline),
                Anchor::Middle,
                Direction::Right,
                BLACK,
            );
        }
        Ok(canvas)
    }

    fn draw_cells(&self, canvas: &mut Canvas, font: &Font, layout: &Layout, colors: ColorMap) {
        let (low, high) = self.scale();
        for (row, counts) in (0_u16..).zip(self.rows()) {
            for (column, &count) in (0_u16..).zip(counts) {
                let cell = layout.cell(row, column);
                let color = colors.color(f64::from(count - low.min(count)) / f64::from(high - low));
                canvas.fill(cell, color);
                if let Some(size) = layout.count_size {
                    let (center, middle) = cell.center();
                    let baseline = middle + pixel(cap_height(size) / 2.0);
                    let text = font.line(&count.to_string(), size);
                    canvas.text(
                        &text,
                        (center, baseline),
                        Anchor::Middle,
                        Direction::Right,
                        readable_on(color),
                    );
                }
            }
        }
        canvas.frame(layout.matrix, BLACK);
    }
}

fn draw_axes(canvas: &mut Canvas, font: &Font, layout: &Layout) {
    let Rect { left, bottom, .. } = layout.matrix;
    let half_cap = pixel(cap_height(layout.labels.size) / 2.0);
    for (class, label) in &layout.labels.texts {
        let text = font.line(label, layout.labels.size);
        let (column, row) = layout.cell(*class, *class).center();

        canvas.fill(
            Rect {
                left: left - 1 - layout::TICK,
                top: row,
                right: left - 1,
                bottom: row + 1,
            },
            BLACK,
        );
        let end = left - 1 - layout::TICK - layout::TICK_GAP;
        canvas.text(&text, (end, row + half_cap), Anchor::End, Direction::Right, BLACK);

        canvas.fill(
            Rect {
                left: column,
                top: bottom + 1,
                right: column + 1,
                bottom: bottom + 1 + layout::TICK,
            },
            BLACK,
        );
        let start = bottom + 1 + layout::TICK + layout::TICK_GAP;
        match layout.labels.horizontal_side {
            Direction::Right => {
                let baseline = start + pixel(cap_height(layout.labels.size));
                canvas.text(&text, (column, baseline), Anchor::Middle, Direction::Right, BLACK);
            }
            Direction::Up => canvas.text(&text, (column + half_cap, start), Anchor::End, Direction::Up, BLACK),
        }
    }
    let (center, middle) = layout.matrix.center();
    let size = layout::axis_title_size();
    let across = font.line("Predicted class labels", size);
    canvas.text(
        &across,
        (center, layout.x_title_baseline),
        Anchor::Middle,
        Direction::Right,
        BLACK,
    );
    let down = font.line("True class labels", size);
    canvas.text(
        &down,
        (layout.y_title_baseline, middle),
        Anchor::Middle,
        Direction::Up,
        BLACK,
    );
}

fn draw_color_bar(canvas: &mut Canvas, font: &Font, layout: &Layout, colors: ColorMap) {
    let bar = layout.bar;
    for row in bar.top..bar.bottom {
        let height = (f64::from(bar.bottom - row) - 0.5) / f64::from(bar.height());
        canvas.fill(
            Rect {
                top: row,
                bottom: row + 1,
                ..bar
            },
            colors.color(height),
        );
    }
    canvas.frame(bar, BLACK);
    let size = layout::bar_label_size();
    let half_cap = pixel(cap_height(size) / 2.0);
    for (row, label) in &layout.bar_ticks {
        let left = bar.right + 1;
        canvas.fill(
            Rect {
                left,
                top: *row,
                right: left + layout::TICK,
                bottom: row + 1,
            },
            BLACK,
        );
        let start = left + layout::TICK + layout::TICK_GAP;
        canvas.text(
            &font.line(label, size),
            (start, row + half_cap),
            Anchor::Start,
            Direction::Right,
            BLACK,
        );
    }
}

#[cfg(test)]
mod tests;
