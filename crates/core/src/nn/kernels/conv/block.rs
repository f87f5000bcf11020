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

/// `max_pool(relu(conv(x) + bias))`.
pub struct ConvBlock {
    conv: ConvGeometry,
    pool: Window,
    /// The kernel made ready for the forward pass, and for the input's gradient.
    ready: Kept<Ready>,
    by_filter: Kept<Aligned>,
    /// What the backward pass needs of the geometry alone.
    sparse: Kept<Sparse>,
}

/// A kernel, and where pooling windows lie.
struct Ready {
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

    /// Values of one row of the output.
    #[must_use]
    pub fn output_len(&self) -> usize {
        self.pool.output_cells() * self.conv.filters
    }

    /// The output, `[batch, pooling windows.., filters]`.
    ///
    /// # Panics
    /// When a slice does not fit the geometry: the layers check their shapes before.
    #[must_use]
    pub fn output(&self, x: &[f32], kernel: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let forward = Forward::new(self, x, kernel, bias);
        let work = |chunk: usize, y: Unset<f32>| forward.chunk(chunk, y, None);
        // SAFETY: `chunk` writes all of its chunk.
        unsafe { threads::build_unset(forward.len, forward.chunk_len, forward.cost, work) }
    }

    /// [`Self::output`] and what the backward pass needs.
    ///
    /// # Panics
    /// As [`Self::output`].
    #[must_use]
    pub fn forward(&self, x: &[f32], kernel: &[f32], bias: Option<&[f32]>) -> (Vec<f32>, Winners) {
        let forward = Forward::new(self, x, kernel, bias);
        let (len, chunk_len) = (forward.len, forward.chunk_len);
        let work = |chunk: usize, y: Unset<f32>, winners: Unset<u8>| forward.chunk(chunk, y, Some(winners));
        // SAFETY: `chunk` writes all of its chunks.
        let (y, winners) = unsafe { threads::build_pair_unset((len, len), (chunk_len, chunk_len), forward.cost, work) };
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
        let sparse = self.sparse.get([&[], &[]], || Sparse::new(conv, &self.pool));
        let (patch_len, kernel_len, filters) = (conv.patch_len(), conv.kernel_len(), conv.filters);
        let pooled = |row: usize| {
            let at = row * output_len..(row + 1) * output_len;
            Pooled {
                dy: &dy[at.clone()],
                winners: &winners.0[at],
            }
        };
        let mut gradients = ConvGradients::default();
        // First what reads the input: parts of it are still in the cache, and its gradient is next read by the layer before.
        if needs[1] || needs[2] {
            let groups = threads::reduction_groups(rows, kernel_len);
            let mut sums = threads::sum_groups(kernel_len + filters, groups, conv.cost(rows), |group, sums| {
                let (dk, db) = sums.split_at_mut(kernel_len);
                // Backwards, as the last rows were touched last.
                let rows = threads::group_rows(rows, groups, groups - 1 - group);
                for row in rows.clone().rev() {
                    let (before, x) = x[..(row + 1) * input_len].split_at(row * input_len);
                    let ahead = if row > rows.start {
                        &before[before.len() - input_len..]
                    } else {
                        &[]
                    };
                    sparse.parameters(x, ahead, pooled(row), dk, db);
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
        if needs[0] {
            let by_filter = self.by_filter.get([kernel, &[]], || {
                let mut by_filter = Aligned::zeroed(kernel_len + sparse.read_behind_kernel());
                transpose(kernel, patch_len, filters, &mut by_filter[..kernel_len]);
                by_filter
            });
            let work = |row: usize, dx: Unset<f32>| sparse.input(&by_filter, pooled(row), dx);
            // SAFETY: `input` writes all of its row.
            gradients.input = Some(unsafe { threads::build_unset(rows * input_len, input_len, conv.cost(rows), work) });
        }
        gradients
    }

    /// Whether lines of the convolution belong to one line of pooling windows each, so that they can be pooled as soon as they are
    /// computed.
    fn bands(&self) -> bool {
        let pool = &self.pool;
        pool.input[0] == 1 && pool.kernel[0] == 1 && pool.dilation[1] == 1 && pool.strides[1] >= pool.kernel[1]
    }
}

/// A block's forward for a batch.
struct Forward<'a> {
    block: &'a ConvBlock,
    x: &'a [f32],
    ready: Arc<Ready>,
    /// Values of the output, and of the part that is computed together: whole rows.
    len: usize,
    chunk_len: usize,
    /// Multiply-adds.
    cost: usize,
}

impl<'a> Forward<'a> {
    fn new(block: &'a ConvBlock, x: &'a [f32], kernel: &[f32], bias: Option<&[f32]>) -> Self {
        let (conv, output_len) = (&block.conv, block.output_len());
        let rows = ConvGeometry::rows(x, conv.input_len());
        conv.check_kernel(kernel);
        let ready = block.ready.get([kernel, bias.unwrap_or(&[])], || {
            let plan = Plan::new(conv, kernel, bias);
            let pooling = MaxPooling::behind_relu(&block.pool, conv.filters);
            let quads = match &plan {
                Plan::Direct(prepared) => pooling.quads().and_then(|windows| prepared.quads(&windows)),
                Plan::Winograd(_) => None,
            };
            Ready { plan, pooling, quads }
        });
        Self {
            block,
            x,
            len: rows * output_len,
            chunk_len: ready.plan.chunk_rows(conv, rows, output_len) * output_len,
            cost: conv.cost(rows),
            ready,
        }
    }

    /// Writes the outputs of a chunk, whole rows, and their winning cells if they are asked for.
    fn chunk(&self, chunk: usize, y: Unset<f32>, winners: Option<Unset<u8>>) {
        let (conv, output_len) = (&self.block.conv, self.block.output_len());
        let (input_len, rows) = (conv.input_len(), y.len() / output_len);
        let (x, ahead) = rows_from(
            self.x,
            chunk * self.chunk_len / output_len * input_len,
            rows * input_len,
        );
        if let (Plan::Direct(prepared), Some(quads)) = (&self.ready.plan, &self.ready.quads) {
            let mut winners = winners;
            for (row, (x, y)) in x.chunks_exact(input_len).zip(y.chunks_exact(output_len)).enumerate() {
                let row = row * output_len..(row + 1) * output_len;
                let winners = winners.as_mut().map(|winners| winners.part(row));
                prepared.pooled(x, quads, y, winners);
            }
            return;
        }
        match winners {
            Some(winners) => self.with_winners(x, ahead, y, winners),
            None => with_room(y.len(), |room: &mut [u8]| {
                self.with_winners(x, ahead, y, Unset::replacing(room));
            }),
        }
    }

    /// [`Self::chunk`] of what is not pooled in registers.
    fn with_winners(&self, x: &[f32], ahead: &[f32], y: Unset<f32>, winners: Unset<u8>) {
        let (conv, output_len) = (&self.block.conv, self.block.output_len());
        let outputs = y.chunks_exact(output_len).zip(winners.chunks_exact(output_len));
        match &self.ready.plan {
            Plan::Direct(prepared) if self.block.bands() => {
                for (x, (y, winners)) in x.chunks_exact(conv.input_len()).zip(outputs) {
                    self.in_bands(prepared, x, y, winners);
                }
            }
            plan => with_scratch(x.len() / conv.input_len() * conv.output_len(), |full| {
                plan.forward(x, ahead, Unset::replacing(full));
                for (full, (y, winners)) in full.chunks_exact(conv.output_len()).zip(outputs) {
                    self.ready.pooling.pool(0, full, 0, y, winners);
                }
            }),
        }
    }

    /// One row of the batch, one line of pooling windows at a time.
    fn in_bands(&self, prepared: &Prepared, x: &[f32], y: Unset<f32>, winners: Unset<u8>) {
        let (pool, filters) = (&self.block.pool, self.block.conv.filters);
        let line = pool.output[2] * filters;
        prepared.with_fields(x, 1, &[0], |laid| {
            with_scratch(pool.kernel[1] * pool.input[2] * filters, |band| {
                let lines = y.chunks_exact(line).zip(winners.chunks_exact(line));
                for (height, (y, winners)) in lines.enumerate() {
                    let (cells, top) = pool.real_cells(1, height);
                    let windows = top * pool.input[2]..(top + cells.len()) * pool.input[2];
                    let band = &mut band[..windows.len() * filters];
                    prepared.windows(&laid, windows.clone(), Unset::replacing(band));
                    self.ready
                        .pooling
                        .pool(height * pool.output[2], band, windows.start, y, winners);
                }
            });
        });
    }
}
