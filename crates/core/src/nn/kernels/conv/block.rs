//! Convolution, bias, relu and max-pooling in one kernel.
//!
//! Behind max-pooling and relu most of the convolution's gradient is zero: of each pooling window only the winner has one, and that
//! only if it is positive. So the forward pass keeps nothing but the winner's cell for each pooled value, one byte, and the backward
//! pass works from the non-zeros ([`sparse`](super::sparse)); the convolution's own output never leaves the cache.

use std::sync::Arc;

use super::direct::{Prepared, Quads};
use super::kept::Kept;
use super::plan::Plan;
use super::sparse::{Pooled, Sparse};
use super::{ConvGeometry, rows_from};
use crate::nn::kernels::gemm::transpose;
use crate::nn::kernels::max_pool::{CLOSED, MaxPooling};
use crate::nn::kernels::window::Window;
use crate::nn::threads::{self, Aligned, Unset, with_room, with_scratch};

/// What a [`ConvBlock`] has learned.
#[derive(Clone, Copy, Debug)]
pub struct BlockWeights<'a> {
    /// `[depth, height, width, channels, filters]`.
    pub kernel: &'a [f32],
    /// `[filters]`, if there is one.
    pub bias: Option<&'a [f32]>,
}

/// `max_pool(relu(conv(x) + bias))`.
pub struct ConvBlock {
    pub(super) conv: ConvGeometry,
    pub(super) pool: Window,
    /// The kernel made ready for the forward pass, and for the input's gradient.
    ready: Kept<Ready>,
    by_filter: Kept<Aligned>,
    /// What the backward pass needs of the geometry alone.
    sparse: Kept<Sparse>,
}

/// A kernel, and where pooling windows lie.
pub(super) struct Ready {
    plan: Plan,
    pooling: MaxPooling,
    /// What is pooled in registers, if it can be.
    quads: Option<Quads>,
}

impl std::fmt::Debug for ConvBlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { conv, pool, .. } = self;
        f.debug_struct("ConvBlock")
            .field("conv", conv)
            .field("pool", pool)
            .finish_non_exhaustive()
    }
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
        (pool.input == conv.window.output && pool.kernel_cells() < usize::from(CLOSED)).then(|| Self {
            conv,
            pool,
            ready: Kept::new(),
            by_filter: Kept::new(),
            sparse: Kept::new(),
        })
    }

    /// Whether it takes what `before` puts out.
    pub(super) fn takes(&self, before: &Self) -> bool {
        self.conv.window.input == before.pool.output && self.conv.channels == before.conv.filters
    }

    /// Values of one row of the input.
    pub(super) fn input_len(&self) -> usize {
        self.conv.input_len()
    }

    /// Values of one row of the output.
    #[must_use]
    pub fn output_len(&self) -> usize {
        self.pool.output_cells() * self.conv.filters
    }

    /// Values of the kernel and of the bias.
    pub(super) fn weights_len(&self) -> usize {
        self.conv.kernel_len() + self.conv.filters
    }

    /// Multiply-adds of a batch.
    pub(super) fn cost(&self, rows: usize) -> usize {
        self.conv.cost(rows)
    }

    /// The output, `[batch, pooling windows.., filters]`.
    ///
    /// # Panics
    /// When a slice does not fit the geometry: the layers check their shapes before.
    #[must_use]
    pub fn output(&self, x: &[f32], weights: BlockWeights) -> Vec<f32> {
        let forward = Forward::new(self, x, weights);
        let work = |chunk: usize, y: Unset<f32>| forward.chunk(chunk, y, None);
        // SAFETY: `chunk` writes all of its chunk.
        unsafe { threads::build_unset(forward.len, forward.chunk_len, self.cost(forward.rows), work) }
    }

    /// [`Self::output`] and what the backward pass needs.
    ///
    /// # Panics
    /// As [`Self::output`].
    #[must_use]
    pub fn forward(&self, x: &[f32], weights: BlockWeights) -> (Vec<f32>, Winners) {
        let forward = Forward::new(self, x, weights);
        let (len, chunk_len, cost) = (forward.len, forward.chunk_len, self.cost(forward.rows));
        let work = |chunk: usize, y: Unset<f32>, winners: Unset<u8>| forward.chunk(chunk, y, Some(winners));
        // SAFETY: `chunk` writes all of its chunks.
        let (y, winners) = unsafe { threads::build_pair_unset((len, len), (chunk_len, chunk_len), cost, work) };
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
        let sparse = self.sparse();
        let pooled = |row: usize| self.pooled(&dy[row * output_len..][..output_len], winners, row);
        let mut gradients = ConvGradients::default();
        // First what reads the input: parts of it are still in the cache, and its gradient is next read by the layer before.
        if needs[1] || needs[2] {
            let groups = threads::reduction_groups(rows, conv.kernel_len());
            let sums = threads::sum_groups(self.weights_len(), groups, conv.cost(rows), |group, sums| {
                // Backwards, as the last rows were touched last.
                let rows = threads::group_rows(rows, groups, groups - 1 - group);
                for row in rows.clone().rev() {
                    let (row_of_x, ahead) = row_and_before(x, input_len, row, rows.start);
                    let (dk, db) = sums.split_at_mut(conv.kernel_len());
                    sparse.parameters(row_of_x, sparse.ahead(ahead, None), pooled(row), dk, db);
                }
            });
            gradients = self.weight_gradients(&sparse, sums, [needs[1], needs[2]]);
        }
        if needs[0] {
            let by_filter = self.by_filter(&sparse, kernel);
            let work = |row: usize, dx: Unset<f32>| sparse.input(&by_filter, pooled(row), None, dx);
            // SAFETY: `input` writes all of its row.
            gradients.input = Some(unsafe { threads::build_unset(rows * input_len, input_len, conv.cost(rows), work) });
        }
        gradients
    }

    /// What the backward pass needs of the geometry alone.
    pub(super) fn sparse(&self) -> Arc<Sparse> {
        self.sparse.get([&[], &[]], || Sparse::new(&self.conv, &self.pool))
    }

    /// The kernel as the input's gradient wants it.
    pub(super) fn by_filter(&self, sparse: &Sparse, kernel: &[f32]) -> Arc<Aligned> {
        self.by_filter.get([kernel, &[]], || {
            let mut by_filter = Aligned::zeroed(kernel.len() + sparse.read_behind_kernel());
            let to = &mut by_filter[..kernel.len()];
            transpose(kernel, self.conv.patch_len(), self.conv.filters, to);
            by_filter
        })
    }

    /// One row's gradients `dy`, and the winners of that row of a batch.
    pub(super) fn pooled<'a>(&self, dy: &'a [f32], winners: &'a Winners, row: usize) -> Pooled<'a> {
        let winners = &winners.0[row * self.output_len()..][..self.output_len()];
        Pooled { dy, winners }
    }

    /// The gradients for kernel and bias, if they are needed, from the sums over a batch.
    pub(super) fn weight_gradients(&self, sparse: &Sparse, mut sums: Vec<f32>, needs: [bool; 2]) -> ConvGradients {
        let bias = sums.split_off(self.conv.kernel_len());
        let as_kernel = || {
            if sparse.keeps_layout() {
                return sums;
            }
            let mut kernel = vec![0.0; sums.len()];
            transpose(&sums, self.conv.filters, self.conv.patch_len(), &mut kernel);
            kernel
        };
        ConvGradients {
            input: None,
            kernel: needs[0].then(as_kernel),
            bias: needs[1].then_some(bias),
        }
    }

    /// The kernel and bias made ready for the forward pass.
    pub(super) fn ready(&self, weights: BlockWeights) -> Arc<Ready> {
        let BlockWeights { kernel, bias } = weights;
        self.conv.check_kernel(kernel);
        self.ready.get([kernel, bias.unwrap_or(&[])], || {
            let plan = Plan::new(&self.conv, kernel, bias);
            let pooling = MaxPooling::behind_relu(&self.pool, self.conv.filters);
            let quads = match &plan {
                Plan::Direct(prepared) => pooling.quads().and_then(|windows| prepared.quads(&windows)),
                Plan::Winograd(_) => None,
            };
            Ready { plan, pooling, quads }
        })
    }

    /// How many of `rows` rows are best computed together, if for each as many as `values` values are to stay near.
    pub(super) fn rows_at_once(&self, ready: &Ready, rows: usize, values: usize) -> usize {
        ready.plan.chunk_rows(&self.conv, rows, values)
    }

    /// Writes the outputs of the rows in `x`, and their winning cells if they are asked for, on the calling thread; `ahead` will be wanted
    /// next.
    pub(super) fn rows(&self, ready: &Ready, x: &[f32], ahead: &[f32], y: Unset<f32>, winners: Option<Unset<u8>>) {
        let (input_len, output_len) = (self.input_len(), self.output_len());
        if let (Plan::Direct(prepared), Some(quads)) = (&ready.plan, &ready.quads) {
            let mut winners = winners;
            for (row, (x, y)) in x.chunks_exact(input_len).zip(y.chunks_exact(output_len)).enumerate() {
                let row = row * output_len..(row + 1) * output_len;
                let winners = winners.as_mut().map(|winners| winners.part(row));
                prepared.pooled(x, quads, y, winners);
            }
            return;
        }
        match winners {
            Some(winners) => self.with_winners(ready, x, ahead, y, winners),
            None => with_room(y.len(), |room: &mut [u8]| {
                self.with_winners(ready, x, ahead, y, Unset::replacing(room));
            }),
        }
    }

    /// [`Self::rows`] of what is not pooled in registers.
    fn with_winners(&self, ready: &Ready, x: &[f32], ahead: &[f32], y: Unset<f32>, winners: Unset<u8>) {
        let (conv, output_len) = (&self.conv, self.output_len());
        let outputs = y.chunks_exact(output_len).zip(winners.chunks_exact(output_len));
        match &ready.plan {
            Plan::Direct(prepared) if self.bands() => {
                for (x, (y, winners)) in x.chunks_exact(conv.input_len()).zip(outputs) {
                    self.in_bands(prepared, &ready.pooling, x, y, winners);
                }
            }
            plan => with_scratch(x.len() / conv.input_len() * conv.output_len(), |full| {
                plan.forward(x, ahead, Unset::replacing(full));
                for (full, (y, winners)) in full.chunks_exact(conv.output_len()).zip(outputs) {
                    ready.pooling.pool(0, full, 0, y, winners);
                }
            }),
        }
    }

    /// One row of the batch, one line of pooling windows at a time.
    fn in_bands(&self, prepared: &Prepared, pooling: &MaxPooling, x: &[f32], y: Unset<f32>, winners: Unset<u8>) {
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

    /// Whether lines of the convolution belong to one line of pooling windows each, so that they can be pooled as soon as they are
    /// computed.
    fn bands(&self) -> bool {
        let pool = &self.pool;
        pool.input[0] == 1 && pool.kernel[0] == 1 && pool.dilation[1] == 1 && pool.strides[1] >= pool.kernel[1]
    }
}

/// A row of a batch, and the one before it from row `first` on: what is wanted next, if the last rows come first.
fn row_and_before(x: &[f32], len: usize, row: usize, first: usize) -> (&[f32], &[f32]) {
    let (before, x) = x[first * len..(row + 1) * len].split_at((row - first) * len);
    (x, &before[before.len().saturating_sub(len)..])
}

/// A block's forward for a batch.
struct Forward<'a> {
    block: &'a ConvBlock,
    x: &'a [f32],
    ready: Arc<Ready>,
    rows: usize,
    /// Values of the output, and of the part that is computed together: whole rows.
    len: usize,
    chunk_len: usize,
}

impl<'a> Forward<'a> {
    fn new(block: &'a ConvBlock, x: &'a [f32], weights: BlockWeights) -> Self {
        let output_len = block.output_len();
        let rows = ConvGeometry::rows(x, block.input_len());
        let ready = block.ready(weights);
        Self {
            block,
            x,
            rows,
            len: rows * output_len,
            chunk_len: block.rows_at_once(&ready, rows, output_len) * output_len,
            ready,
        }
    }

    /// Writes the outputs of a chunk, whole rows, and their winning cells if they are asked for.
    fn chunk(&self, chunk: usize, y: Unset<f32>, winners: Option<Unset<u8>>) {
        let (input_len, output_len) = (self.block.input_len(), self.block.output_len());
        let first = chunk * self.chunk_len / output_len;
        let (x, ahead) = rows_from(self.x, first * input_len, y.len() / output_len * input_len);
        self.block.rows(&self.ready, x, ahead, y, winners);
    }
}
