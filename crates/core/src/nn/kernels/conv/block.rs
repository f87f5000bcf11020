//! Convolution, bias, relu and max-pooling in one kernel.
//!
//! Behind max-pooling and relu most of the convolution's gradient is zero: of each pooling window only the winner has one, and that
//! only if it is positive. So the forward pass keeps nothing but the winner's cell for each pooled value, one byte, and the backward
//! pass works from the non-zeros ([`sparse`](super::sparse)); the convolution's own output never leaves the cache.

use super::ConvGeometry;
use super::direct::Prepared;
use super::plan::Plan;
use super::sparse::{Pooled, Sparse};
use crate::nn::kernels::gemm::transpose;
use crate::nn::kernels::max_pool::{CLOSED, MaxPooling};
use crate::nn::kernels::window::Window;
use crate::nn::threads::{self, Aligned, Unset, with_scratch};

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
        let (conv, input_len, output_len) = (&self.conv, self.conv.input_len(), self.output_len());
        let rows = ConvGeometry::rows(x, input_len);
        conv.check_kernel(kernel);
        let plan = Plan::new(conv, kernel, bias);
        let pooling = MaxPooling::behind_relu(&self.pool, conv.filters);
        let quads = match &plan {
            Plan::Direct(prepared) => pooling.quads().map(|windows| prepared.quads(&windows)),
            Plan::Winograd(_) => None,
        };
        let chunk_rows = plan.chunk_rows(conv, rows, output_len);
        let (len, chunk_len) = (rows * output_len, chunk_rows * output_len);
        let work = |chunk: usize, y: Unset<f32>, winners: Unset<u8>| {
            let x = &x[chunk * chunk_rows * input_len..][..y.len() / output_len * input_len];
            let outputs = y.chunks_exact(output_len).zip(winners.chunks_exact(output_len));
            match (&plan, &quads, self.bands()) {
                (Plan::Direct(prepared), Some(quads), _) => {
                    for (x, (y, winners)) in x.chunks_exact(input_len).zip(outputs) {
                        prepared.with_fields(x, 1, |laid| prepared.pooled(&laid, quads, y, winners));
                    }
                }
                (Plan::Direct(prepared), None, true) => {
                    for (x, (y, winners)) in x.chunks_exact(input_len).zip(outputs) {
                        self.forward_in_bands(prepared, &pooling, x, y, winners);
                    }
                }
                _ => with_scratch(x.len() / input_len * conv.output_len(), |full| {
                    plan.forward(x, Unset::replacing(full));
                    for (full, (y, winners)) in full.chunks_exact(conv.output_len()).zip(outputs) {
                        pooling.pool(0, full, 0, y, winners);
                    }
                }),
            }
        };
        // SAFETY: chunks are whole rows, of which each of the three ways writes all pooling windows.
        let (y, winners) =
            unsafe { threads::build_pair_unset((len, len), (chunk_len, chunk_len), conv.cost(rows), work) };
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
        let (conv, output_len, input_len) = (&self.conv, self.output_len(), self.conv.input_len());
        let rows = ConvGeometry::rows(dy, output_len);
        assert!(
            winners.0.len() == dy.len() && x.len() == rows * input_len,
            "{rows} rows"
        );
        conv.check_kernel(kernel);
        let sparse = Sparse::new(conv, &self.pool);
        let (patch_len, kernel_len, filters) = (conv.patch_len(), conv.kernel_len(), conv.filters);
        let pooled = |row: usize| {
            let at = row * output_len..(row + 1) * output_len;
            Pooled {
                dy: &dy[at.clone()],
                winners: &winners.0[at],
            }
        };
        let mut gradients = ConvGradients::default();
        if needs[0] {
            let mut by_filter = Aligned::zeroed(kernel_len);
            transpose(kernel, patch_len, filters, &mut by_filter);
            gradients.input = Some(threads::build(
                rows * input_len,
                input_len,
                conv.cost(rows),
                |row, dx| {
                    sparse.input(&by_filter, pooled(row), dx);
                },
            ));
        }
        if needs[1] || needs[2] {
            let groups = threads::reduction_groups(rows, kernel_len);
            let mut sums = threads::sum_groups(kernel_len + filters, groups, conv.cost(rows), |group, sums| {
                let (dk, db) = sums.split_at_mut(kernel_len);
                for row in threads::group_rows(rows, groups, group) {
                    sparse.parameters(&x[row * input_len..][..input_len], pooled(row), dk, db);
                }
            });
            let bias = sums.split_off(kernel_len);
            gradients.bias = needs[2].then_some(bias);
            gradients.kernel = needs[1].then(|| {
                if sparse.keeps_layout() {
                    return sums;
                }
                let mut kernel = vec![0.0; kernel_len];
                transpose(&sums, filters, patch_len, &mut kernel);
                kernel
            });
        }
        gradients
    }

    /// Whether lines of the convolution belong to one line of pooling windows each, so that they can be pooled as soon as they are
    /// computed.
    fn bands(&self) -> bool {
        let pool = &self.pool;
        pool.input[0] == 1 && pool.kernel[0] == 1 && pool.dilation[1] == 1 && pool.strides[1] >= pool.kernel[1]
    }

    /// One row of the batch, one line of pooling windows at a time.
    fn forward_in_bands(
        &self,
        prepared: &Prepared,
        pooling: &MaxPooling,
        x: &[f32],
        y: Unset<f32>,
        winners: Unset<u8>,
    ) {
        let (pool, filters) = (&self.pool, self.conv.filters);
        let line = pool.output[2] * filters;
        prepared.with_fields(x, 1, |laid| {
            with_scratch(pool.kernel[1] * pool.input[2] * filters, |band| {
                let lines = y.chunks_exact(line).zip(winners.chunks_exact(line));
                for (height, (y, winners)) in lines.enumerate() {
                    let (cells, top) = pool.real_cells(1, height);
                    let windows = top * pool.input[2]..(top + cells.len()) * pool.input[2];
                    let band = &mut band[..windows.len() * filters];
                    prepared.windows(&laid, windows.clone(), Unset::replacing(band));
                    pooling.pool(height * pool.output[2], band, windows.start, y, winners);
                }
            });
        });
    }
}
