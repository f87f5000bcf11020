//! Convolution over one to three dimensions, channels last: `x` `[batch, depth, height, width, channels]`, kernel
//! `[depth, height, width, channels, filters]` as Keras keeps it, `y` `[batch, windows.., filters]`.
//!
//! In this layout the kernel already is the matrix `[patch, filters]` that patches of the input are multiplied with, so
//! `y = patches(x) k + b`, the kernel's gradient is `patches(x)ᵀ dy`, and the input's is `dy kᵀ` added back into the patches' places.
//! No buffer of patches for a batch is ever made: [`direct`] reads them where they are, in the input.
//!
//! | | forward | input's gradient | kernel's gradient |
//! |---|---|---|---|
//! | 3x3 or 5x5, stride 1, 16 channels and filters or more | [`winograd`] | [`transposed`], [`winograd`] | [`winograd`] |
//! | stride 1 | [`direct`] | [`transposed`], [`direct`] | [`kernel_gradient`] |
//! | any other | [`direct`] | [`col2im`] | [`kernel_gradient`] |
//! | with relu and max-pooling behind it ([`ConvBlock`]) | as above | [`sparse`] | [`sparse`] |
//! | two of these, one behind the other ([`ConvPair`]) | as above, a few rows at a time | [`sparse`], row by row | [`sparse`] |

mod block;
mod col2im;
mod direct;
mod field;
mod kept;
mod kernel_gradient;
mod pair;
mod plan;
mod sparse;
pub(in crate::nn::kernels) mod tile;
mod transposed;
mod winograd;

pub use block::{BlockWeights, ConvBlock, ConvGradients, Winners};
pub use pair::{ConvPair, PairNeeds, Passed};

use self::plan::{GradientPlan, Plan};
use super::bias::sum_cells;
use super::window::{Padding, Window, WindowError};
use crate::nn::threads::{self, Unset};

/// Chunks of work that a batch is cut into at least, to feed many threads.
const FEWEST_CHUNKS: usize = 8;
/// The same where each chunk rearranges a large kernel.
const FEWEST_LARGE_CHUNKS: usize = 4;

/// A convolution of an input with `channels` channels by `filters` filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvGeometry {
    /// Where the kernel's windows lie.
    pub window: Window,
    /// The input's last axis.
    pub channels: usize,
    /// The output's last axis.
    pub filters: usize,
}

impl ConvGeometry {
    /// A convolution over an input of one to three axes (batch and channels left out); `kernel`, `strides` and `dilation` have one
    /// entry an axis.
    ///
    /// # Errors
    /// When the lists differ in length, hold a zero, or the kernel is larger than its input.
    pub fn new(
        input: &[usize],
        channels: usize,
        kernel: &[usize],
        filters: usize,
        strides: &[usize],
        dilation: &[usize],
        padding: Padding,
    ) -> Result<Self, WindowError> {
        let window = Window::new(input, kernel, strides, dilation, padding)?;
        for (what, size) in [("the channels", channels), ("the filters", filters)] {
            if size == 0 {
                return Err(WindowError::Zero {
                    what,
                    axis: input.len() + 1,
                });
            }
        }
        Ok(Self {
            window,
            channels,
            filters,
        })
    }

    /// Values of one row of the batch.
    #[must_use]
    pub fn input_len(&self) -> usize {
        self.window.input_cells() * self.channels
    }

    /// Values of one row of the output.
    #[must_use]
    pub fn output_len(&self) -> usize {
        self.window.output_cells() * self.filters
    }

    /// Values under one window.
    #[must_use]
    pub fn patch_len(&self) -> usize {
        self.window.kernel_cells() * self.channels
    }

    /// Values of the kernel.
    #[must_use]
    pub fn kernel_len(&self) -> usize {
        self.patch_len() * self.filters
    }

    /// Multiply-adds of a batch.
    fn cost(&self, rows: usize) -> usize {
        rows * self.output_len() * self.patch_len()
    }

    /// How many rows of a batch make one chunk of work, with results of `result` values each: some 100 microseconds and no more results
    /// than stay near from being zeroed to being written, but not less than [`FEWEST_CHUNKS`].
    fn chunk_rows(&self, rows: usize, result: usize) -> usize {
        const CHUNK_COST: usize = 1 << 24;
        const NEAR: usize = 64 << 10;
        (CHUNK_COST / self.cost(1))
            .min(NEAR / result.max(1))
            .clamp(1, 64)
            .min(rows.div_ceil(FEWEST_CHUNKS))
            .max(1)
    }

    /// Whether the kernel is so large that to read it takes as long as to multiply some windows with it.
    fn is_large(&self) -> bool {
        const LARGE: usize = 1 << 16;
        self.kernel_len() >= LARGE
    }

    /// How many rows have the windows that a [large](Self::is_large) kernel should be read for at once.
    fn rows_of_few_windows(&self) -> usize {
        const WINDOWS: usize = 128;
        WINDOWS.div_ceil(self.window.output_cells().max(1))
    }

    /// The rows in `values`, each of `row_len`.
    fn rows(values: &[f32], row_len: usize) -> usize {
        assert!(
            values.len().is_multiple_of(row_len),
            "{} values are no rows of {row_len}",
            values.len()
        );
        values.len() / row_len
    }

    fn check_kernel(&self, kernel: &[f32]) {
        assert_eq!(
            kernel.len(),
            self.kernel_len(),
            "a kernel of {} values",
            self.kernel_len()
        );
    }
}

/// `len` values from `first` on, and as many behind them, if there are so many.
fn rows_from(x: &[f32], first: usize, len: usize) -> (&[f32], &[f32]) {
    let (rows, behind) = x[first..].split_at(len);
    (rows, &behind[..behind.len().min(len)])
}

/// `y = patches(x) kernel + bias`, `[batch, windows.., filters]`.
///
/// # Panics
/// When a slice does not fit `geometry`: the layers check their shapes before.
#[must_use]
pub fn forward(geometry: &ConvGeometry, x: &[f32], kernel: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
    let (input_len, output_len) = (geometry.input_len(), geometry.output_len());
    let rows = ConvGeometry::rows(x, input_len);
    geometry.check_kernel(kernel);
    let plan = Plan::new(geometry, kernel, bias);
    let chunk_rows = plan.chunk_rows(geometry, rows, output_len);
    let work = |chunk: usize, y: Unset<f32>| {
        let (x, ahead) = rows_from(x, chunk * chunk_rows * input_len, y.len() / output_len * input_len);
        plan.forward(x, ahead, y);
    };
    // SAFETY: chunks are whole rows, of which every plan writes all windows.
    unsafe { threads::build_unset(rows * output_len, chunk_rows * output_len, geometry.cost(rows), work) }
}

/// The gradient for the input, `[batch, depth, height, width, channels]`.
///
/// # Panics
/// When a slice does not fit `geometry`.
#[must_use]
pub fn backward_input(geometry: &ConvGeometry, kernel: &[f32], dy: &[f32]) -> Vec<f32> {
    let (input_len, output_len) = (geometry.input_len(), geometry.output_len());
    let rows = ConvGeometry::rows(dy, output_len);
    geometry.check_kernel(kernel);
    if let Some(of_dy) = transposed::geometry_of(geometry) {
        return forward(&of_dy, dy, &transposed::kernel_of(geometry, kernel), None);
    }
    if col2im::are_few_windows(geometry, rows) {
        return col2im::backward_input_of_few_windows(geometry, kernel, dy);
    }
    let mut chunk_rows = geometry.chunk_rows(rows, input_len);
    if geometry.is_large() {
        chunk_rows = chunk_rows.max(geometry.rows_of_few_windows().min(rows.div_ceil(FEWEST_LARGE_CHUNKS)));
    }
    threads::build(
        rows * input_len,
        chunk_rows * input_len,
        geometry.cost(rows),
        |chunk, dx| {
            let dy = &dy[chunk * chunk_rows * output_len..][..dx.len() / input_len * output_len];
            col2im::backward_input(geometry, kernel, dy, dx);
        },
    )
}

/// The gradient for the kernel, `[depth, height, width, channels, filters]`.
///
/// # Panics
/// When a slice does not fit `geometry`, or `x` and `dy` have not the same rows.
#[must_use]
pub fn backward_kernel(geometry: &ConvGeometry, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let (input_len, output_len) = (geometry.input_len(), geometry.output_len());
    let rows = ConvGeometry::rows(dy, output_len);
    assert_eq!(x.len(), rows * input_len, "an input of {rows} rows");
    if winograd::suits_parts(geometry, rows) {
        return winograd::by_filters(geometry, rows, x, dy);
    }
    let groups = threads::reduction_groups(rows, geometry.kernel_len());
    let plan = GradientPlan::new(geometry, rows / groups);
    if let Some((direct, taps)) = plan.in_parts(geometry) {
        let filters = geometry.filters;
        let work = |part: usize, dk: &mut [f32]| direct.add(geometry, x, dy, part * taps, dk);
        return threads::build(geometry.kernel_len(), taps * filters, geometry.cost(rows), work);
    }
    threads::sum_groups(geometry.kernel_len(), groups, geometry.cost(rows), |group, dk| {
        let rows = threads::group_rows(rows, groups, group);
        let x = &x[rows.start * input_len..rows.end * input_len];
        let dy = &dy[rows.start * output_len..rows.end * output_len];
        plan.add(geometry, x, dy, dk);
    })
}

/// The gradient for the bias: the sum of `dy` over the batch and all windows, `[filters]`.
///
/// # Panics
/// When `dy` is not whole rows of `geometry`.
#[must_use]
pub fn backward_bias(geometry: &ConvGeometry, dy: &[f32]) -> Vec<f32> {
    ConvGeometry::rows(dy, geometry.output_len());
    sum_cells(dy, geometry.filters)
}

#[cfg(test)]
mod tests;
