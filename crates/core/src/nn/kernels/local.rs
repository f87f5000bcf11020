//! Locally connected layers over one or two dimensions, channels last: a convolution whose filters are others at each window.
//!
//! `x` `[batch, height, width, channels]`, kernel `[windows, patch, filters]`, bias `[windows, filters]`, `y`
//! `[batch, windows.., filters]`. Each window is a product of its own, `[batch, patch] x [patch, filters]`, of the patches of all rows
//! of the batch; the windows are spread over the threads.

use super::conv::ConvGeometry;
use super::gemm::{Matrix, MatrixMut, Mode, multiply};
use crate::nn::threads::{self, with_scratch};

/// Values of the kernel.
#[must_use]
pub fn kernel_len(geometry: &ConvGeometry) -> usize {
    geometry.window.output_cells() * geometry.kernel_len()
}

/// The sizes of a batch.
#[derive(Clone, Copy)]
struct Sizes {
    batch: usize,
    windows: usize,
    patch: usize,
    filters: usize,
}

impl Sizes {
    fn new(geometry: &ConvGeometry, values: &[f32], row_len: usize, kernel: Option<&[f32]>) -> Self {
        assert!(
            values.len().is_multiple_of(row_len),
            "{} values are no rows of {row_len}",
            values.len()
        );
        assert!(
            kernel.is_none_or(|kernel| kernel.len() == kernel_len(geometry)),
            "a kernel of {} values",
            kernel_len(geometry)
        );
        Self {
            batch: values.len() / row_len,
            windows: geometry.window.output_cells(),
            patch: geometry.patch_len(),
            filters: geometry.filters,
        }
    }

    fn cost(&self) -> usize {
        self.batch * self.windows * self.patch * self.filters
    }

    /// Windows that make one chunk of work.
    fn chunk(&self) -> usize {
        const CHUNK_COST: usize = 1 << 18;
        (CHUNK_COST / (self.batch * self.patch * self.filters).max(1)).clamp(1, self.windows.max(1))
    }
}

/// `y`, `[batch, windows.., filters]`.
///
/// # Panics
/// When a slice does not fit `geometry`: the layers check their shapes before.
#[must_use]
pub fn forward(geometry: &ConvGeometry, x: &[f32], kernel: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
    let sizes = Sizes::new(geometry, x, geometry.input_len(), Some(kernel));
    let Sizes {
        batch, patch, filters, ..
    } = sizes;
    let (block, chunk) = (batch * filters, sizes.chunk());
    // Window by window first, `[windows, batch, filters]`.
    let by_window = threads::build(sizes.windows * block, chunk * block, sizes.cost(), |index, y| {
        with_scratch(batch * patch, |patches| {
            for (window, y) in (index * chunk..).zip(y.chunks_exact_mut(block.max(1))) {
                gather(geometry, x, window, patches);
                let mode = if let Some(bias) = bias {
                    let bias = &bias[window * filters..][..filters];
                    y.chunks_exact_mut(filters).for_each(|y| y.copy_from_slice(bias));
                    Mode::Accumulate
                } else {
                    Mode::Overwrite
                };
                multiply(
                    Matrix::new(patches, batch, patch),
                    Matrix::new(&kernel[window * patch * filters..][..patch * filters], patch, filters),
                    MatrixMut::new(y, batch, filters),
                    mode,
                );
            }
        });
    });
    swap(&by_window, sizes.windows, batch, filters)
}

/// The gradient for the input, `[batch, height, width, channels]`.
///
/// # Panics
/// When a slice does not fit `geometry`.
#[must_use]
pub fn backward_input(geometry: &ConvGeometry, kernel: &[f32], dy: &[f32]) -> Vec<f32> {
    let sizes = Sizes::new(geometry, dy, geometry.output_len(), Some(kernel));
    let Sizes {
        batch, patch, filters, ..
    } = sizes;
    let dy = swap(dy, batch, sizes.windows, filters);
    let (block, chunk) = (batch * patch, sizes.chunk());
    let patches = threads::build(sizes.windows * block, chunk * block, sizes.cost(), |index, patches| {
        for (window, patches) in (index * chunk..).zip(patches.chunks_exact_mut(block.max(1))) {
            multiply(
                Matrix::new(&dy[window * batch * filters..][..batch * filters], batch, filters),
                Matrix::new(&kernel[window * patch * filters..][..patch * filters], patch, filters).transposed(),
                MatrixMut::new(patches, batch, patch),
                Mode::Overwrite,
            );
        }
    });
    let input_len = geometry.input_len();
    threads::build(batch * input_len, input_len, patches.len(), |row, dx| {
        for window in 0..sizes.windows {
            let patch = &patches[(window * batch + row) * patch..][..patch];
            let channels = geometry.channels;
            geometry
                .window
                .for_each_cell(geometry.window.output_at(window), |cell, place| {
                    let slopes = &patch[cell * channels..][..channels];
                    dx[place * channels..][..channels]
                        .iter_mut()
                        .zip(slopes)
                        .for_each(|(sum, slope): (&mut f32, _)| *sum += slope);
                });
        }
    })
}

/// The gradient for the kernel, `[windows, patch, filters]`.
///
/// # Panics
/// When a slice does not fit `geometry`, or `x` and `dy` have not the same rows.
#[must_use]
pub fn backward_kernel(geometry: &ConvGeometry, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let sizes = Sizes::new(geometry, dy, geometry.output_len(), None);
    let Sizes {
        batch, patch, filters, ..
    } = sizes;
    assert_eq!(x.len(), batch * geometry.input_len(), "an input of {batch} rows");
    let dy = swap(dy, batch, sizes.windows, filters);
    let (block, chunk) = (patch * filters, sizes.chunk());
    threads::build(sizes.windows * block, chunk * block, sizes.cost(), |index, dk| {
        with_scratch(batch * patch, |patches| {
            for (window, dk) in (index * chunk..).zip(dk.chunks_exact_mut(block)) {
                gather(geometry, x, window, patches);
                multiply(
                    Matrix::new(patches, batch, patch).transposed(),
                    Matrix::new(&dy[window * batch * filters..][..batch * filters], batch, filters),
                    MatrixMut::new(dk, patch, filters),
                    Mode::Overwrite,
                );
            }
        });
    })
}

/// The gradient for the bias, the sum over the batch: `[windows, filters]`.
///
/// # Panics
/// When `dy` is not whole rows of `geometry`.
#[must_use]
pub fn backward_bias(geometry: &ConvGeometry, dy: &[f32]) -> Vec<f32> {
    super::bias::sum_cells(dy, geometry.output_len())
}

/// The patches `[batch, patch]` under one window, with zeros beyond the edges.
fn gather(geometry: &ConvGeometry, x: &[f32], window: usize, patches: &mut [f32]) {
    let channels = geometry.channels;
    let rows = x.chunks_exact(geometry.input_len());
    for (x, patch) in rows.zip(patches.chunks_exact_mut(geometry.patch_len())) {
        if !geometry.window.is_inside() {
            patch.fill(0.0);
        }
        geometry
            .window
            .for_each_cell(geometry.window.output_at(window), |cell, place| {
                patch[cell * channels..][..channels].copy_from_slice(&x[place * channels..][..channels]);
            });
    }
}

/// `[b, a, run]` of `[a, b, run]`.
fn swap(values: &[f32], a: usize, b: usize, run: usize) -> Vec<f32> {
    super::axes::permute(values, &[a, b, run], &[1, 0, 2])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{assert_close, assert_slopes, values};
    use super::super::window::Padding;
    use super::*;

    fn naive(g: &ConvGeometry, x: &[f32], kernel: &[f32], bias: &[f32]) -> Vec<f64> {
        let (channels, filters, patch) = (g.channels, g.filters, g.patch_len());
        let mut y = Vec::new();
        for x in x.chunks_exact(g.input_len()) {
            for window in 0..g.window.output_cells() {
                let bias = &bias[window * filters..][..filters];
                let mut sums: Vec<f64> = bias.iter().map(|bias| f64::from(*bias)).collect();
                g.window.for_each_cell(g.window.output_at(window), |cell, place| {
                    for channel in 0..channels {
                        let at = (window * patch + cell * channels + channel) * filters;
                        for (filter, sum) in sums.iter_mut().enumerate() {
                            *sum += f64::from(x[place * channels + channel]) * f64::from(kernel[at + filter]);
                        }
                    }
                });
                y.extend(sums);
            }
        }
        y
    }

    fn geometries() -> impl Strategy<Value = ConvGeometry> {
        let axes = prop::collection::vec((1_usize..8, 1_usize..4, 1_usize..3), 1..3);
        let padding = prop_oneof![Just(Padding::Valid), Just(Padding::Same)];
        (axes, 1_usize..5, 1_usize..9, padding).prop_filter_map("does not fit", |(axes, channels, filters, padding)| {
            let column = |of: fn(&(usize, usize, usize)) -> usize| axes.iter().map(of).collect::<Vec<_>>();
            ConvGeometry::new(
                &column(|a| a.0),
                channels,
                &column(|a| a.1),
                filters,
                &column(|a| a.2),
                &vec![1; axes.len()],
                padding,
            )
            .ok()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_locally_connected_layer_agrees_with_plain_loops(g in geometries(), batch in 1_usize..4) {
            let (x, kernel) = (values(batch * g.input_len(), 1), values(kernel_len(&g), 2));
            let (bias, dy) = (values(g.output_len(), 3), values(batch * g.output_len(), 4));
            let none = vec![0.0; g.output_len()];
            assert_close(&forward(&g, &x, &kernel, Some(&bias)), &naive(&g, &x, &kernel, &bias), 1e-5);
            assert_close(&forward(&g, &x, &kernel, None), &naive(&g, &x, &kernel, &none), 1e-5);
            assert_slopes(&backward_input(&g, &kernel, &dy), &x, &dy, |x| naive(&g, x, &kernel, &bias));
            assert_slopes(&backward_kernel(&g, &x, &dy), &kernel, &dy, |kernel| naive(&g, &x, kernel, &bias));
            assert_slopes(&backward_bias(&g, &dy), &bias, &dy, |bias| naive(&g, &x, &kernel, bias));
        }
    }

    #[test]
    fn the_bytes_are_the_same_on_any_number_of_threads() {
        let g = ConvGeometry::new(&[12, 12], 4, &[3, 3], 8, &[1, 1], &[1, 1], Padding::Valid).unwrap();
        let (x, kernel) = (values(20 * g.input_len(), 1), values(kernel_len(&g), 2));
        let dy = values(20 * g.output_len(), 3);
        let run = || {
            [
                forward(&g, &x, &kernel, None),
                backward_input(&g, &kernel, &dy),
                backward_kernel(&g, &x, &dy),
            ]
        };
        let alone = threads::pool(1).unwrap().install(run);
        for count in [2, 7] {
            assert_eq!(threads::pool(count).unwrap().install(run), alone);
        }
    }
}
