//! Convolution, bias, relu and max-pooling in one kernel.
//!
//! Behind max-pooling and relu most of the convolution's gradient is zero: of each pooling window only the winner has one, and that
//! only if it is positive. So the forward pass keeps nothing but the winner's cell for each pooled value, one byte, and the backward
//! pass never needs the convolution's output.

use super::{ConvGeometry, im2col};
use crate::nn::kernels::window::Window;
use crate::nn::threads::{self, with_scratch};

/// The winner's place of a window whose maximum relu has cut off: no gradient passes.
const CLOSED: u8 = u8::MAX;

/// `max_pool(relu(conv(x) + bias))`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvBlock {
    conv: ConvGeometry,
    pool: Window,
}

/// What the backward pass of a [`ConvBlock`] needs of the forward pass: the winning cell of each pooling window, one byte for each
/// value of the output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Winners(pub(super) Vec<u8>);

/// Gradients of a [`ConvBlock`], those that were asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConvGradients {
    /// For the input, `[batch, depth, height, width, channels]`.
    pub input: Option<Vec<f32>>,
    /// For the kernel, `[depth, height, width, channels, filters]`.
    pub kernel: Option<Vec<f32>>,
    /// For the bias, `[filters]`.
    pub bias: Option<Vec<f32>>,
}

impl ConvBlock {
    /// The block of a convolution and the pooling of its output; none where the pooling is not of that output or its windows have 255
    /// cells or more, which the separate kernels serve.
    #[must_use]
    pub fn new(conv: ConvGeometry, pool: Window) -> Option<Self> {
        (pool.input == conv.window.output && pool.kernel_cells() < usize::from(CLOSED)).then_some(Self { conv, pool })
    }

    /// Values of one row of the output.
    #[must_use]
    pub fn output_len(&self) -> usize {
        self.pool.output_cells() * self.conv.filters
    }

    /// The output, `[batch, pooling windows.., filters]`, and what the backward pass needs.
    ///
    /// # Panics
    /// When a slice does not fit the geometry: the layers check their shapes before.
    #[must_use]
    pub fn forward(&self, x: &[f32], kernel: &[f32], bias: Option<&[f32]>) -> (Vec<f32>, Winners) {
        let (conv, output_len) = (&self.conv, self.output_len());
        let rows = ConvGeometry::rows(x, conv.input_len());
        conv.check_kernel(kernel);
        let len = (rows * output_len, rows * output_len);
        let (y, winners) = threads::build_pair(len, (output_len, output_len), conv.cost(rows), |row, y, winners| {
            let x = &x[row * conv.input_len()..][..conv.input_len()];
            with_scratch(conv.output_len(), |full| {
                im2col::forward(conv, x, kernel, bias, full);
                self.pool_row(full, y, winners);
            });
        });
        (y, Winners(winners))
    }

    /// The gradients for input, kernel and bias from the one for the output, `dy`; each only if `needs` asks for it.
    ///
    /// # Panics
    /// When a slice does not fit the geometry.
    #[must_use]
    pub fn backward(
        &self,
        x: &[f32],
        kernel: &[f32],
        winners: &Winners,
        dy: &[f32],
        needs: [bool; 3],
    ) -> ConvGradients {
        let (conv, output_len) = (&self.conv, self.output_len());
        let (input_len, kernel_len) = (conv.input_len(), conv.kernel_len());
        let rows = ConvGeometry::rows(dy, output_len);
        assert!(
            winners.0.len() == dy.len() && x.len() == rows * input_len,
            "{rows} rows"
        );
        conv.check_kernel(kernel);
        let with_full = |row: usize, work: &mut dyn FnMut(&[f32])| {
            with_scratch(conv.output_len(), |full| {
                let at = row * output_len..(row + 1) * output_len;
                self.unpool_row(&dy[at.clone()], &winners.0[at], full);
                work(full);
            });
        };
        let cost = conv.cost(rows);
        let input = needs[0].then(|| {
            threads::build(rows * input_len, input_len, cost, |row, dx| {
                with_full(row, &mut |full| im2col::backward_input(conv, kernel, full, dx));
            })
        });
        let kernel = needs[1].then(|| {
            let groups = threads::reduction_groups(rows, kernel_len);
            threads::sum_groups(kernel_len, groups, cost, |group, dk| {
                for row in threads::group_rows(rows, groups, group) {
                    let x = &x[row * input_len..][..input_len];
                    with_full(row, &mut |full| im2col::backward_kernel(conv, x, full, dk));
                }
            })
        });
        let bias = needs[2].then(|| self.backward_bias(winners, dy));
        ConvGradients { input, kernel, bias }
    }

    /// The sum of the gradients that pass relu, for each filter.
    fn backward_bias(&self, winners: &Winners, dy: &[f32]) -> Vec<f32> {
        let (filters, output_len) = (self.conv.filters, self.output_len());
        let rows = dy.len() / output_len;
        let groups = threads::reduction_groups(rows, filters);
        threads::sum_groups(filters, groups, dy.len(), |group, db| {
            let rows = threads::group_rows(rows, groups, group);
            let mut partial = vec![0.0; filters];
            for row in rows {
                partial.fill(0.0);
                let at = row * output_len..(row + 1) * output_len;
                let windows = dy[at.clone()]
                    .chunks_exact(filters)
                    .zip(winners.0[at].chunks_exact(filters));
                for (dy, winners) in windows {
                    for ((sum, slope), winner) in partial.iter_mut().zip(dy).zip(winners) {
                        *sum += if *winner == CLOSED { 0.0 } else { *slope };
                    }
                }
                db.iter_mut().zip(&partial).for_each(|(sum, value)| *sum += value);
            }
        })
    }

    /// Relu and pooling of one row of the convolution's output, `full`.
    fn pool_row(&self, full: &[f32], y: &mut [f32], winners: &mut [u8]) {
        let filters = self.conv.filters;
        let outputs = y.chunks_exact_mut(filters).zip(winners.chunks_exact_mut(filters));
        for (index, (best, winners)) in outputs.enumerate() {
            best.fill(0.0);
            winners.fill(CLOSED);
            self.pool.for_each_cell(self.pool.output_at(index), |cell, place| {
                let values = &full[place * filters..][..filters];
                #[expect(clippy::cast_possible_truncation, reason = "the window has fewer than 255 cells")]
                let cell = cell as u8;
                for ((best, winner), value) in best.iter_mut().zip(winners.iter_mut()).zip(values) {
                    let better = *value > *best || value.is_nan();
                    *best = if better { *value } else { *best };
                    *winner = if better { cell } else { *winner };
                }
            });
        }
    }

    /// The gradient of one row of the convolution's output.
    fn unpool_row(&self, dy: &[f32], winners: &[u8], full: &mut [f32]) {
        let filters = self.conv.filters;
        full.fill(0.0);
        let mut places = vec![0; self.pool.kernel_cells()];
        for (index, (dy, winners)) in dy.chunks_exact(filters).zip(winners.chunks_exact(filters)).enumerate() {
            self.pool
                .for_each_cell(self.pool.output_at(index), |cell, place| places[cell] = place * filters);
            for (filter, (slope, winner)) in dy.iter().zip(winners).enumerate() {
                if *winner != CLOSED {
                    full[places[usize::from(*winner)] + filter] += slope;
                }
            }
        }
    }
}
