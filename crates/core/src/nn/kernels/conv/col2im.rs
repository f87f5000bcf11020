//! The input's gradient as a product whose rows are added back into the patches' places (col2im): serves every geometry.
//!
//! The patches `dy kernelᵀ` are made in blocks of windows that stay in the cache. Needed where the gradient is no convolution itself,
//! which is with strides; a 1x1 kernel with stride 1 is just the product.

use super::ConvGeometry;
use crate::nn::kernels::gemm::{Matrix, MatrixMut, Mode, multiply, product};
use crate::nn::threads::{self, COST_OF_A_VALUE, with_scratch};

/// Values of a block of patches: half of a small L2 cache.
const BLOCK_VALUES: usize = 64 << 10;

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
    let windows = geometry.window.output_cells();
    let block = block_windows(geometry).min(dy.len() / filters).max(1);
    with_scratch(block * patch_len, |patches| {
        for (number, dy) in dy.chunks(block * filters).enumerate() {
            let count = dy.len() / filters;
            let patches = &mut patches[..count * patch_len];
            let dy = Matrix::new(dy, count, filters);
            multiply(dy, kernel, MatrixMut::new(patches, count, patch_len), Mode::Overwrite);
            for (window, patch) in (number * block..).zip(patches.chunks_exact(patch_len)) {
                let dx = &mut dx[window / windows * geometry.input_len()..];
                add_patch(geometry, window % windows, patch, dx);
            }
        }
    });
}

/// Whether `rows` rows have so few windows that a large kernel is best rearranged once for all of them.
pub fn are_few_windows(geometry: &ConvGeometry, rows: usize) -> bool {
    /// Values of their patches: 4 MB.
    const MOST: usize = 1 << 20;
    geometry.is_large() && rows * geometry.window.output_cells() * geometry.patch_len() <= MOST
}

/// The gradient for the input of [few windows](are_few_windows): their patches are made by one product on the pool's threads, then
/// added row by row.
pub fn backward_input_of_few_windows(geometry: &ConvGeometry, kernel: &[f32], dy: &[f32]) -> Vec<f32> {
    let (patch_len, filters, windows) = (geometry.patch_len(), geometry.filters, geometry.window.output_cells());
    let count = dy.len() / filters;
    let kernel = Matrix::new(kernel, patch_len, filters).transposed();
    let patches = product(Matrix::new(dy, count, filters), kernel, None);
    let (input_len, row_len) = (geometry.input_len(), windows * patch_len);
    let cost = patches.len() * COST_OF_A_VALUE;
    threads::build(count / windows * input_len, input_len, cost, |row, dx| {
        let patches = patches[row * row_len..][..row_len].chunks_exact(patch_len);
        for (window, patch) in patches.enumerate() {
            add_patch(geometry, window, patch, dx);
        }
    })
}

/// Adds the gradient for the patch of a window to its places in the row `dx`.
fn add_patch(geometry: &ConvGeometry, window: usize, patch: &[f32], dx: &mut [f32]) {
    for_each_run(geometry, window, |at, place, len| {
        let (dx, patch) = (&mut dx[place..place + len], &patch[at..at + len]);
        dx.iter_mut()
            .zip(patch)
            .for_each(|(sum, slope): (&mut f32, _)| *sum += slope);
    });
}

/// Windows in one block of patches: of a large kernel more, as it is rearranged for each block.
fn block_windows(geometry: &ConvGeometry) -> usize {
    const OF_LARGE: usize = 128;
    let fewest = if geometry.is_large() { OF_LARGE } else { 1 };
    (BLOCK_VALUES / geometry.patch_len()).max(fewest)
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
