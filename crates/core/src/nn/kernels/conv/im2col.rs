//! Convolution as products with blocks of patches: serves every geometry.
//!
//! All functions work on the calling thread, on whole rows of a batch. A block of patches `[windows, patch]` is copied together
//! (im2col) and multiplied, or the product's rows are added back into the patches' places (col2im). A 1x1 kernel with stride 1 needs
//! neither: the input is its own matrix of patches.

use std::ops::Range;

use super::ConvGeometry;
use crate::nn::kernels::gemm::{Matrix, MatrixMut, Mode, multiply};
use crate::nn::threads::with_scratch;

/// Values of a block of patches: half of a small L2 cache.
const BLOCK_VALUES: usize = 64 << 10;

/// `y = patches(x) kernel + bias` for the rows in `x`.
pub fn forward(geometry: &ConvGeometry, x: &[f32], kernel: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    let filters = geometry.filters;
    let kernel = Matrix::new(kernel, geometry.patch_len(), filters);
    let mode = if let Some(bias) = bias {
        y.chunks_exact_mut(filters).for_each(|y| y.copy_from_slice(bias));
        Mode::Accumulate
    } else {
        Mode::Overwrite
    };
    for_each_block(geometry, x, |patches, outputs| {
        let rows = outputs.len() / filters;
        multiply(patches, kernel, MatrixMut::new(&mut y[outputs], rows, filters), mode);
    });
}

/// Adds `patches(x)ᵀ dy` to `dk`, for the rows in `x` and `dy`.
pub fn backward_kernel(geometry: &ConvGeometry, x: &[f32], dy: &[f32], dk: &mut [f32]) {
    let (patch_len, filters) = (geometry.patch_len(), geometry.filters);
    for_each_block(geometry, x, |patches, outputs| {
        let rows = outputs.len() / filters;
        let dy = Matrix::new(&dy[outputs], rows, filters);
        multiply(
            patches.transposed(),
            dy,
            MatrixMut::new(dk, patch_len, filters),
            Mode::Accumulate,
        );
    });
}

/// Adds the gradient for the input, `dy kernelᵀ` in the patches' places, to `dx`, for the rows in `dy`.
pub fn backward_input(geometry: &ConvGeometry, kernel: &[f32], dy: &[f32], dx: &mut [f32]) {
    let (patch_len, filters) = (geometry.patch_len(), geometry.filters);
    let kernel = Matrix::new(kernel, patch_len, filters).transposed();
    if is_its_own_patches(geometry) {
        let rows = dy.len() / filters;
        return multiply(
            Matrix::new(dy, rows, filters),
            kernel,
            MatrixMut::new(dx, rows, patch_len),
            Mode::Accumulate,
        );
    }
    let (windows, block) = (geometry.window.output_cells(), block_windows(geometry));
    with_scratch(block * patch_len, |patches| {
        let rows = dy.chunks_exact(geometry.output_len());
        for (dy, dx) in rows.zip(dx.chunks_exact_mut(geometry.input_len())) {
            for start in (0..windows).step_by(block) {
                let count = block.min(windows - start);
                let patches = &mut patches[..count * patch_len];
                let dy = Matrix::new(&dy[start * filters..][..count * filters], count, filters);
                multiply(dy, kernel, MatrixMut::new(patches, count, patch_len), Mode::Overwrite);
                for (window, patch) in (start..).zip(patches.chunks_exact(patch_len)) {
                    for_each_run(geometry, window, |at, place, len| {
                        let (dx, patch) = (&mut dx[place..place + len], &patch[at..at + len]);
                        dx.iter_mut()
                            .zip(patch)
                            .for_each(|(sum, slope): (&mut f32, _)| *sum += slope);
                    });
                }
            }
        }
    });
}

/// Calls `visit(patches, outputs)` for blocks of windows over all rows of `x`; `outputs` is where their outputs lie in `y` or `dy`.
fn for_each_block(geometry: &ConvGeometry, x: &[f32], mut visit: impl FnMut(Matrix, Range<usize>)) {
    let (patch_len, filters) = (geometry.patch_len(), geometry.filters);
    if is_its_own_patches(geometry) {
        let cells = x.len() / patch_len;
        return visit(Matrix::new(x, cells, patch_len), 0..cells * filters);
    }
    let (windows, input_len) = (geometry.window.output_cells(), geometry.input_len());
    let (total, block) = (x.len() / input_len * windows, block_windows(geometry));
    with_scratch(block * patch_len, |patches| {
        for start in (0..total).step_by(block) {
            let count = block.min(total - start);
            let patches = &mut patches[..count * patch_len];
            for (window, patch) in (start..).zip(patches.chunks_exact_mut(patch_len)) {
                let x = &x[window / windows * input_len..][..input_len];
                if !geometry.window.is_inside() {
                    patch.fill(0.0);
                }
                for_each_run(geometry, window % windows, |at, place, len| {
                    patch[at..at + len].copy_from_slice(&x[place..place + len]);
                });
            }
            visit(
                Matrix::new(patches, count, patch_len),
                start * filters..(start + count) * filters,
            );
        }
    });
}

/// Windows in one block of patches.
fn block_windows(geometry: &ConvGeometry) -> usize {
    (BLOCK_VALUES / geometry.patch_len()).max(1)
}

/// Whether the input, read as `[cells, channels]`, is the matrix of patches.
fn is_its_own_patches(geometry: &ConvGeometry) -> bool {
    let window = &geometry.window;
    window.kernel_cells() == 1 && window.strides == [1; 3] && window.is_inside()
}

/// Calls `visit(at, place, len)` for each run of values that are neighbours both in the patch of `window` (from `at`) and in the input
/// (from `place`): the real cells along the width, or single cells under dilation.
fn for_each_run(geometry: &ConvGeometry, window: usize, mut visit: impl FnMut(usize, usize, usize)) {
    let (w, channels) = (&geometry.window, geometry.channels);
    let output = w.output_at(window);
    let [(depths, front), (heights, top), (widths, left)] = [0, 1, 2].map(|axis| w.real_cells(axis, output[axis]));
    for (d, kd) in depths.enumerate() {
        let depth = front + d * w.dilation[0];
        for (h, kh) in heights.clone().enumerate() {
            let height = top + h * w.dilation[1];
            let at = ((kd * w.kernel[1] + kh) * w.kernel[2] + widths.start) * channels;
            let place = ((depth * w.input[1] + height) * w.input[2] + left) * channels;
            if w.dilation[2] == 1 {
                visit(at, place, widths.len() * channels);
            } else {
                for cell in 0..widths.len() {
                    visit(at + cell * channels, place + cell * w.dilation[2] * channels, channels);
                }
            }
        }
    }
}
