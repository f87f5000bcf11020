//! Pictures, drawn with an embedded font so that they need nothing of the system.
//!
//! Drawn on `image` and `ab_glyph` directly rather than through a chart library: a confusion matrix is rectangles, lines and centred
//! text, and what makes it readable (labels that never overlap, titles that wrap, counts that stay legible in any cell) is layout that
//! a chart library would not do for us.
//!
//! ```text
//! confusion_matrix   the chart: data -> layout -> canvas
//! colormap, ticks    values to colours, values to round tick marks, class labels to readable axes
//! canvas, text       pixels, lines and rectangles; lines of text as coverage masks
//! ```

pub mod canvas;
pub mod colormap;
pub mod confusion_matrix;
pub mod text;
pub mod ticks;

/// Resolution of all pictures in dots per inch, as the original tool saves them.
pub const DPI: f32 = 125.0;

/// Pixels of a length in typographic points (1/72 inch) at [`DPI`].
#[must_use]
pub fn points(length: f32) -> f32 {
    length * DPI / 72.0
}

/// Why a picture could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// More classes than a picture of 875 pixels can show.
    #[error(
        "there are {count} different class labels and a confusion matrix shows at most {max}: are these columns class labels, \
         or numbers such as probabilities or a regression's targets?"
    )]
    TooManyClasses {
        /// Distinct labels.
        count: usize,
        /// Most that can be drawn.
        max: u16,
    },
    /// The embedded font could not be read.
    #[error("cannot read the embedded font: {0}")]
    Font(#[from] ab_glyph::InvalidFont),
    /// The picture could not be encoded as PNG.
    #[error("cannot encode the picture as PNG: {0}")]
    Encode(#[from] image::ImageError),
}
