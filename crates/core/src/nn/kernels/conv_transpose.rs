//! Transposed convolution over one to three dimensions, channels last: what a convolution's gradient does to its input, as a layer.
//!
//! The layer is the convolution from its output to its input read backwards (Dumoulin and Visin 2016): `y` is that convolution's
//! gradient for its input, the gradient for `x` is its forward, and the kernel's gradient is its own with `x` and `y` in each other's
//! place. The kernel `[window.., filters, channels]` is in Keras already laid out for that convolution.

use super::conv::{self, ConvGeometry};
use super::window::{Padding, Window, WindowError};

/// A transposed convolution, as the convolution that leads from its output back to its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransposedGeometry {
    back: ConvGeometry,
}

/// The axes of a transposed convolution, one entry an axis.
#[derive(Clone, Copy, Debug)]
pub struct TransposedAxes<'a> {
    /// Sizes of the input.
    pub input: &'a [usize],
    /// Sizes of the output.
    pub output: &'a [usize],
    /// Sizes of the kernel.
    pub kernel: &'a [usize],
    /// Steps from one input's window in the output to the next.
    pub strides: &'a [usize],
    /// Steps from one cell of a window to the next.
    pub dilation: &'a [usize],
}

impl TransposedGeometry {
    /// A transposed convolution of `channels` channels to `filters`; none if `axes.output` does not lead back to `axes.input`.
    ///
    /// # Errors
    /// When the lists differ in length, hold a zero, or a window is larger than the output.
    pub fn new(
        axes: TransposedAxes<'_>,
        channels: usize,
        filters: usize,
        padding: Padding,
    ) -> Result<Option<Self>, WindowError> {
        let TransposedAxes {
            input,
            output,
            kernel,
            strides,
            dilation,
        } = axes;
        let back = ConvGeometry::new(output, filters, kernel, channels, strides, dilation, padding)?;
        let fits = back.window.output == Window::global(input)?.input;
        Ok(fits.then_some(Self { back }))
    }
}

/// `y`, `[batch, output.., filters]`.
///
/// # Panics
/// When a slice does not fit `geometry`: the layers check their shapes before.
#[must_use]
pub fn forward(geometry: &TransposedGeometry, x: &[f32], kernel: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
    let mut y = conv::backward_input(&geometry.back, kernel, x);
    if let Some(bias) = bias {
        for y in y.chunks_exact_mut(bias.len()) {
            y.iter_mut().zip(bias).for_each(|(y, bias): (&mut f32, _)| *y += bias);
        }
    }
    y
}

/// The gradient for the input, `[batch, input.., channels]`.
///
/// # Panics
/// When a slice does not fit `geometry`.
#[must_use]
pub fn backward_input(geometry: &TransposedGeometry, kernel: &[f32], dy: &[f32]) -> Vec<f32> {
    conv::forward(&geometry.back, dy, kernel, None)
}

/// The gradient for the kernel, `[window.., filters, channels]`.
///
/// # Panics
/// When a slice does not fit `geometry`, or `x` and `dy` have not the same rows.
#[must_use]
pub fn backward_kernel(geometry: &TransposedGeometry, x: &[f32], dy: &[f32]) -> Vec<f32> {
    conv::backward_kernel(&geometry.back, dy, x)
}

/// The gradient for the bias, `[filters]`.
///
/// # Panics
/// When `dy` is not whole rows of `geometry`.
#[must_use]
pub fn backward_bias(geometry: &TransposedGeometry, dy: &[f32]) -> Vec<f32> {
    super::bias::sum_cells(dy, geometry.back.channels)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{assert_close, assert_slopes, values};
    use super::*;

    /// Each value of the input spread over its window in the output.
    fn naive(g: &TransposedGeometry, x: &[f32], kernel: &[f32], bias: &[f32]) -> Vec<f64> {
        let (window, filters, channels) = (&g.back.window, g.back.channels, g.back.filters);
        let mut y = Vec::new();
        for x in x.chunks_exact(g.back.output_len()) {
            let mut row: Vec<f64> = (0..g.back.input_len())
                .map(|at| f64::from(bias[at % filters]))
                .collect();
            for (cell, x) in x.chunks_exact(channels).enumerate() {
                window.for_each_cell(window.output_at(cell), |tap, place| {
                    for filter in 0..filters {
                        for (channel, x) in x.iter().enumerate() {
                            let weight = kernel[(tap * filters + filter) * channels + channel];
                            row[place * filters + filter] += f64::from(*x) * f64::from(weight);
                        }
                    }
                });
            }
            y.extend(row);
        }
        y
    }

    fn geometries() -> impl Strategy<Value = TransposedGeometry> {
        // Input, kernel, stride, and what is added behind the output.
        let axes = prop::collection::vec((1_usize..6, 1_usize..4, 1_usize..4, 0_usize..3), 1..4);
        (axes, 1_usize..6, 1_usize..6, any::<bool>()).prop_filter_map(
            "does not fit",
            |(axes, channels, filters, same)| {
                let column = |of: fn(&(usize, usize, usize, usize)) -> usize| axes.iter().map(of).collect::<Vec<_>>();
                let whole = |&(input, kernel, stride, more): &(usize, usize, usize, usize)| {
                    let whole = if same {
                        input * stride
                    } else {
                        (input - 1) * stride + kernel
                    };
                    whole + more.min(stride - 1)
                };
                let output: Vec<usize> = axes.iter().map(whole).collect();
                let axes = TransposedAxes {
                    input: &column(|a| a.0),
                    output: &output,
                    kernel: &column(|a| a.1),
                    strides: &column(|a| a.2),
                    dilation: &vec![1; output.len()],
                };
                let padding = if same { Padding::Same } else { Padding::Valid };
                TransposedGeometry::new(axes, channels, filters, padding).ok().flatten()
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn each_value_is_spread_over_its_window(g in geometries(), batch in 1_usize..3) {
            let (x, kernel) = (values(batch * g.back.output_len(), 1), values(g.back.kernel_len(), 2));
            let (bias, dy) = (values(g.back.channels, 3), values(batch * g.back.input_len(), 4));
            assert_close(&forward(&g, &x, &kernel, Some(&bias)), &naive(&g, &x, &kernel, &bias), 1e-5);
            let none = vec![0.0; bias.len()];
            assert_close(&forward(&g, &x, &kernel, None), &naive(&g, &x, &kernel, &none), 1e-5);
            assert_slopes(&backward_input(&g, &kernel, &dy), &x, &dy, |x| naive(&g, x, &kernel, &bias));
            assert_slopes(&backward_kernel(&g, &x, &dy), &kernel, &dy, |kernel| naive(&g, &x, kernel, &bias));
            assert_slopes(&backward_bias(&g, &dy), &bias, &dy, |bias| naive(&g, &x, &kernel, bias));
        }
    }

    #[test]
    fn an_output_that_does_not_lead_back_is_seen() {
        let axes = TransposedAxes {
            input: &[4],
            output: &[12],
            kernel: &[3],
            strides: &[2],
            dilation: &[1],
        };
        assert_eq!(TransposedGeometry::new(axes, 1, 1, Padding::Same), Ok(None));
    }
}
