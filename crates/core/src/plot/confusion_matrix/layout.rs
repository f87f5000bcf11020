//! Where everything lies on the picture of a confusion matrix.

use super::ConfusionMatrix;
use crate::plot::canvas::{Direction, Rect, pixel};
use crate::plot::points;
use crate::plot::text::{Font, cap_height};
use crate::plot::ticks::{ClassLabels, round_values};

/// Width and height of the picture: 7 inches at 125 dots per inch.
pub(super) const SIDE: u16 = 875;
/// Length of a tick mark.
pub(super) const TICK: i32 = 6;
/// Room between a tick mark and its label.
pub(super) const TICK_GAP: i32 = 6;
/// Room around the whole picture.
const MARGIN: i32 = 19;
/// Room between labels and the axis title beside them.
const TITLE_GAP: i32 = 10;
/// Room between the matrix and the colour bar, and the bar's width.
const BAR_GAP: i32 = 26;
const BAR_WIDTH: i32 = 34;
/// Longest class label: a longer one is shortened.
const LONGEST_LABEL: f32 = 190.0;

/// Font size of the axes' titles.
pub(super) fn axis_title_size() -> f32 {
    points(10.0)
}

/// Font size of the colour bar's labels.
pub(super) fn bar_label_size() -> f32 {
    points(10.0)
}

/// A planned picture; all positions in pixels.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// The cells.
    pub(super) matrix: Rect,
    /// How the class labels are written along both sides.
    pub(super) labels: ClassLabels,
    /// Font size of the counts, or nothing if no readable size fits the cells.
    pub(super) count_size: Option<f32>,
    /// The colour bar.
    pub(super) bar: Rect,
    /// Rows and texts of the colour bar's ticks.
    pub(super) bar_ticks: Vec<(i32, String)>,
    /// The title's lines with the rows of their baselines.
    pub(super) title: Vec<(String, i32)>,
    pub(super) title_size: f32,
    pub(super) title_center: i32,
    /// Row of the baseline of the title below the matrix.
    pub(super) x_title_baseline: i32,
    /// Column of the baseline of the title left of the matrix, which runs up.
    pub(super) y_title_baseline: i32,
    classes: u16,
}

impl Layout {
    /// Finds the largest matrix that leaves room for everything else, and centres the whole on the picture.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "lengths up to 875, shares up to 1"
    )]
    pub(super) fn plan(font: &Font, data: &ConfusionMatrix, title: &str) -> Self {
        let classes = u16::try_from(data.labels().len()).unwrap_or(u16::MAX).max(1);
        let room = i32::from(SIDE) - 2 * MARGIN;
        let (title_size, title_lines) = fit_title(font, title, room);
        let line_height = pixel(title_size * 1.25);
        let line_count = i32::try_from(title_lines.len()).unwrap_or(0);
        let above = if line_count == 0 {
            0
        } else {
            line_count * line_height + pixel(title_size * 0.3)
        };

        let (low, high) = data.scale();
        let ticks: Vec<(f64, String)> = round_values(f64::from(low), f64::from(high), 9, true)
            .into_iter()
            .map(|value| (value, format!("{value:.0}")))
            .collect();
        let bar_labels = ticks
            .iter()
            .map(|(_, label)| font.width(label, bar_label_size()))
            .fold(0.0, f32::max);
        let right = BAR_GAP + BAR_WIDTH + 1 + TICK + TICK_GAP + pixel(bar_labels);
        let axis_title = pixel(cap_height(axis_title_size()) + axis_title_size() * 0.24);

        // Smaller cells can need smaller or fewer labels, which leave more room: take the first size that is consistent, from above.
        let mut side = room;
        let (labels, left, below) = loop {
            let labels = ClassLabels::plan(font, data.labels(), side as f32 / f32::from(classes), LONGEST_LABEL);
            let widest = pixel(labels.widest(font).ceil());
            let left = axis_title + TITLE_GAP + widest + TICK_GAP + TICK + 1;
            let deepest = match labels.horizontal_side {
                Direction::Right => pixel(labels.size),
                Direction::Up => widest,
            };
            let below = 1 + TICK + TICK_GAP + deepest + TITLE_GAP + axis_title;
            let fitting = (room - left - right).min(room - above - below).min(side);
            if fitting == side {
                break (labels, left, below);
            }
            side = fitting;
        };

        let matrix_left = MARGIN + left + (room - left - side - right) / 2;
        let matrix_top = MARGIN + above + (room - above - side - below) / 2;
        let matrix = Rect {
            left: matrix_left,
            top: matrix_top,
            right: matrix_left + side,
            bottom: matrix_top + side,
        };
        let bar = Rect {
            left: matrix.right + BAR_GAP,
            right: matrix.right + BAR_GAP + BAR_WIDTH,
            ..matrix
        };
        let bar_ticks = ticks
            .into_iter()
            .map(|(value, label)| {
                let share = (value - f64::from(low)) / f64::from(high - low);
                (bar.bottom - 1 - pixel(share as f32 * (side - 1) as f32), label)
            })
            .collect();

        let widest_line = title_lines
            .iter()
            .map(|line| font.width(line, title_size))
            .fold(0.0, f32::max);
        let half = pixel(widest_line / 2.0);
        let title_center = matrix
            .center()
            .0
            .min(i32::from(SIDE) - MARGIN - half)
            .max(MARGIN + half);
        let last_baseline = matrix.top - 1 - pixel(title_size * 0.5);
        let title = (0..)
            .zip(title_lines)
            .map(|(number, line)| (line, last_baseline - (line_count - 1 - number) * line_height))
            .collect();

        Self {
            count_size: fit_counts(font, data, side as f32 / f32::from(classes)),
            x_title_baseline: matrix.bottom + below - pixel(axis_title_size() * 0.24),
            y_title_baseline: matrix.left - left + pixel(cap_height(axis_title_size())),
            matrix,
            labels,
            bar,
            bar_ticks,
            title,
            title_size,
            title_center,
            classes,
        }
    }

    /// The cell of a true class (row) and a predicted one (column). Neighbours share their edges, so that no pixel between them is bare.
    pub(super) fn cell(&self, row: u16, column: u16) -> Rect {
        let edge = |class: u16, add: i32| self.matrix.width() * (i32::from(class) + add) / i32::from(self.classes);
        Rect {
            left: self.matrix.left + edge(column, 0),
            top: self.matrix.top + edge(row, 0),
            right: self.matrix.left + edge(column, 1),
            bottom: self.matrix.top + edge(row, 1),
        }
    }
}

/// The title's font size and lines: 12 points, wrapped; smaller if that needs more than three lines; at 8 points the fourth line is the
/// last and is shortened.
fn fit_title(font: &Font, title: &str, room: i32) -> (f32, Vec<String>) {
    #[expect(clippy::cast_precision_loss, reason = "a length up to 875")]
    let width = room as f32;
    for (size, most) in [(points(12.0), 2), (points(10.0), 3), (points(8.0), 4)] {
        let lines = font.wrap(title, size, width);
        if lines.len() <= most {
            return (size, lines);
        }
    }
    let size = points(8.0);
    let mut lines = font.wrap(title, size, width);
    let rest = lines.split_off(3).join(" ");
    lines.push(font.shorten(&rest, size, width));
    (size, lines)
}

/// The font size of the counts: larger in large cells, at least 5 points.
fn fit_counts(font: &Font, data: &ConfusionMatrix, cell: f32) -> Option<f32> {
    let widest = data
        .rows()
        .flatten()
        .map(|count| font.width(&count.to_string(), 1.0))
        .fold(0.0, f32::max);
    let wanted = (cell * 0.2).clamp(points(10.0), points(16.0));
    let size = wanted.min(cell * 0.88 / widest).min(cell * 0.8);
    (size >= points(5.0)).then_some(size)
}
