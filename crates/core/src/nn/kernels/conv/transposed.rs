//! The input's gradient at stride 1 is itself a convolution: of `dy`, with the kernel turned around in every axis and filters and
//! channels swapped, `dx[i] = sum_k dy[i + pad - k dilation] kernel[k]ᵀ`.

use super::ConvGeometry;
use crate::nn::kernels::gemm::transpose;
use crate::nn::kernels::window::Window;
use crate::nn::threads::{self, COST_OF_A_VALUE};

/// The convolution of `dy` that gives the input's gradient; none unless all strides are 1 and there are some channels.
pub fn geometry_of(geometry: &ConvGeometry) -> Option<ConvGeometry> {
    /// Channels become the filters of the convolution: with fewer, most lanes of a vector would have nothing to do.
    const FEWEST_CHANNELS: usize = 4;
    let w = &geometry.window;
    if w.strides != [1; 3] || geometry.channels < FEWEST_CHANNELS {
        return None;
    }
    let span = |axis: usize| (w.kernel[axis] - 1) * w.dilation[axis];
    // Padding beyond the kernel's span would mean cropping `dy`.
    if (0..3).any(|axis| w.pad_before[axis] > span(axis)) {
        return None;
    }
    let pad_before = [0, 1, 2].map(|axis| span(axis) - w.pad_before[axis]);
    let window = Window {
        input: w.output,
        output: w.input,
        pad_before,
        ..*w
    };
    Some(ConvGeometry {
        window,
        channels: geometry.filters,
        filters: geometry.channels,
    })
}

/// The kernel of that convolution: turned around in every axis, `[cells, filters, channels]`.
pub fn kernel_of(geometry: &ConvGeometry, kernel: &[f32]) -> Vec<f32> {
    let (channels, filters) = (geometry.channels, geometry.filters);
    let cell_len = channels * filters;
    let cells = geometry.window.kernel_cells();
    threads::build(kernel.len(), cell_len, kernel.len() * COST_OF_A_VALUE, |cell, to| {
        let from = &kernel[(cells - 1 - cell) * cell_len..][..cell_len];
        transpose(from, channels, filters, to);
    })
}
