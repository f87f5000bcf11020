//! Depthwise convolution over one to three dimensions, channels last: each channel has filters of its own.
//!
//! `x` `[batch, depth, height, width, channels]`, kernel `[depth, height, width, channels, multiplier]` as Keras keeps it, `y`
//! `[batch, windows.., channels * multiplier]`. The output's channel `c * multiplier + m` is channel `c` of the input under filter `m`.
//!
//! No sum runs over channels, so there is no product of matrices in it. What is left is long lines along the width, all channels side
//! by side, each the sum of a few shifted lines of the input times a kernel that repeats with the channels: see [`field`] for how
//! strides and multipliers become such lines, and [`lines`] for the loops.

mod field;
mod lines;
#[cfg(test)]
mod tests;

use self::field::Field;
use self::lines::{Forward, InputGradient, KernelGradient, Periodic};
use super::bias::sum_cells;
use super::simd::{Isa, run};
use super::window::{Padding, Window, WindowError};
use crate::nn::threads;

/// A depthwise convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthwiseGeometry {
    /// Where the kernel's windows lie.
    pub window: Window,
    /// The input's last axis.
    pub channels: usize,
    /// Filters of each channel.
    pub multiplier: usize,
}

impl DepthwiseGeometry {
    /// A depthwise convolution over an input of one to three axes (batch and channels left out); `kernel`, `strides` and `dilation`
    /// have one entry an axis.
    ///
    /// # Errors
    /// When the lists differ in length, hold a zero, or the kernel is larger than its input.
    pub fn new(
        input: &[usize],
        channels: usize,
        kernel: &[usize],
        multiplier: usize,
        strides: &[usize],
        dilation: &[usize],
        padding: Padding,
    ) -> Result<Self, WindowError> {
        let window = Window::new(input, kernel, strides, dilation, padding)?;
        for (what, size) in [("the channels", channels), ("the depth multiplier", multiplier)] {
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
            multiplier,
        })
    }

    /// The output's last axis.
    #[must_use]
    pub fn filters(&self) -> usize {
        self.channels * self.multiplier
    }

    /// Values of one row of the batch.
    #[must_use]
    pub fn input_len(&self) -> usize {
        self.window.input_cells() * self.channels
    }

    /// Values of one row of the output.
    #[must_use]
    pub fn output_len(&self) -> usize {
        self.window.output_cells() * self.filters()
    }

    /// Values of the kernel.
    #[must_use]
    pub fn kernel_len(&self) -> usize {
        self.window.kernel_cells() * self.filters()
    }

    /// Multiply-adds of a batch.
    fn cost(&self, rows: usize) -> usize {
        rows * self.output_len() * self.window.kernel_cells()
    }

    /// How many rows of a batch make one chunk of work.
    fn chunk_rows(&self, rows: usize) -> usize {
        const CHUNK_COST: usize = 1 << 20;
        (CHUNK_COST / self.cost(1)).clamp(1, 64).min(rows.div_ceil(8)).max(1)
    }

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

/// `y`, `[batch, windows.., channels * multiplier]`; a bias has one value for each of its channels.
///
/// # Panics
/// When a slice does not fit `geometry`: the layers check their shapes before.
#[must_use]
pub fn forward(geometry: &DepthwiseGeometry, x: &[f32], kernel: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
    let (input_len, output_len) = (geometry.input_len(), geometry.output_len());
    let rows = DepthwiseGeometry::rows(x, input_len);
    geometry.check_kernel(kernel);
    assert!(
        bias.is_none_or(|bias| bias.len() == geometry.filters()),
        "a bias of {} values",
        geometry.filters()
    );
    let isa = Isa::current();
    let field = Field::new(geometry);
    let kernel = Periodic::new(isa, &field, kernel, bias);
    let chunk_rows = geometry.chunk_rows(rows);
    threads::build(
        rows * output_len,
        chunk_rows * output_len,
        geometry.cost(rows),
        |chunk, y| {
            let x = &x[chunk * chunk_rows * input_len..];
            for (x, y) in x.chunks_exact(input_len).zip(y.chunks_exact_mut(output_len)) {
                field.with_filled(x, |values| {
                    run(
                        isa,
                        Forward {
                            field: &field,
                            kernel: &kernel,
                            values,
                            y,
                        },
                    );
                });
            }
        },
    )
}

/// The gradient for the input, `[batch, depth, height, width, channels]`.
///
/// # Panics
/// When a slice does not fit `geometry`.
#[must_use]
pub fn backward_input(geometry: &DepthwiseGeometry, kernel: &[f32], dy: &[f32]) -> Vec<f32> {
    let (input_len, output_len) = (geometry.input_len(), geometry.output_len());
    let rows = DepthwiseGeometry::rows(dy, output_len);
    geometry.check_kernel(kernel);
    let isa = Isa::current();
    let field = Field::new(geometry);
    let kernel = Periodic::new(isa, &field, kernel, None);
    let chunk_rows = geometry.chunk_rows(rows);
    threads::build(
        rows * input_len,
        chunk_rows * input_len,
        geometry.cost(rows),
        |chunk, dx| {
            let dy = &dy[chunk * chunk_rows * output_len..];
            for (dy, dx) in dy.chunks_exact(output_len).zip(dx.chunks_exact_mut(input_len)) {
                field.with_zeroed(|slopes| {
                    run(
                        isa,
                        InputGradient {
                            field: &field,
                            kernel: &kernel,
                            dy,
                            slopes,
                        },
                    );
                    field.gather(slopes, dx);
                });
            }
        },
    )
}

/// The gradient for the kernel, `[depth, height, width, channels, multiplier]`.
///
/// # Panics
/// When a slice does not fit `geometry`, or `x` and `dy` have not the same rows.
#[must_use]
pub fn backward_kernel(geometry: &DepthwiseGeometry, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let (input_len, output_len) = (geometry.input_len(), geometry.output_len());
    let rows = DepthwiseGeometry::rows(dy, output_len);
    assert_eq!(x.len(), rows * input_len, "an input of {rows} rows");
    let isa = Isa::current();
    let field = Field::new(geometry);
    let len = Periodic::len(isa, &field);
    let groups = threads::reduction_groups(rows, len);
    let sum = threads::sum_groups(len, groups, geometry.cost(rows), |group, sum| {
        for row in threads::group_rows(rows, groups, group) {
            field.with_filled(&x[row * input_len..][..input_len], |values| {
                run(
                    isa,
                    KernelGradient {
                        field: &field,
                        values,
                        dy: &dy[row * output_len..][..output_len],
                        sum: &mut *sum,
                    },
                );
            });
        }
    });
    Periodic::fold(&field, &sum)
}

/// The gradient for the bias: the sum of `dy` over the batch and all windows, `[channels * multiplier]`.
///
/// # Panics
/// When `dy` is not whole rows of `geometry`.
#[must_use]
pub fn backward_bias(geometry: &DepthwiseGeometry, dy: &[f32]) -> Vec<f32> {
    let _ = DepthwiseGeometry::rows(dy, geometry.output_len());
    sum_cells(dy, geometry.filters())
}
