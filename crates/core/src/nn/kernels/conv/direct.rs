//! Convolution straight from the input: a product with the matrix of patches that is never made.
//!
//! The forward pass is a product in register tiles of `windows x vectors of filters`. A product's inner loop needs, for each value of
//! a patch, that value of every window in the tile, and the kernel's row of filters; the first are read from the input where they
//! are (see [`Field`]), the second is the kernel's own layout. So nothing is copied but the kernel, once a batch, into blocks as wide
//! as a tile. The kernel's gradient is the same with the roles turned: tiles of `values of a patch x vectors of filters`, summed over
//! windows.
//!
//! The input's gradient at stride 1 is itself a convolution, of `dy`, with the kernel turned around in every axis and filters and
//! channels swapped: `dx[i] = sum_k dy[i + pad - k dilation] kernel[k]ᵀ`.

use super::ConvGeometry;
use super::field::{Field, Run};
use crate::nn::kernels::simd::{Isa, Simd, Work, run};
use crate::nn::kernels::window::Window;
use crate::nn::threads::with_scratch;

/// Windows that are worth a loop over blocks of filters; smaller rows of a batch are taken together.
const WINDOWS_AT_ONCE: usize = 48;
/// Windows between two visits to the kernel's gradient, so that `x` and `dy` stay in the cache while all tiles read them.
const WINDOWS_PER_PASS: usize = 256;

/// A kernel (and bias) in blocks as wide as the register tiles, and where its windows lie: made once for a batch.
pub struct Prepared {
    isa: Isa,
    field: Field,
    filters: usize,
    blocks: Vec<Block>,
    /// `[patch, width]` for each block, filled up with zeros.
    kernel: Vec<f32>,
    /// The bias of all blocks.
    bias: Vec<f32>,
    skips_zeros: bool,
}

/// Filters that are computed together.
#[derive(Clone, Copy)]
struct Block {
    vectors: usize,
    first: usize,
    kernel_at: usize,
    bias_at: usize,
}

/// Cuts `filters` into blocks of up to four vectors with many registers, up to two with few.
fn blocks(isa: Isa, filters: usize, patch_len: usize) -> Vec<Block> {
    let lanes = isa.lanes();
    let widest = if isa == Isa::Avx512 { 4 } else { 2 };
    let (mut blocks, mut first, mut vector) = (Vec::new(), 0, 0);
    while first < filters {
        let left = (filters - first).div_ceil(lanes);
        let vectors = if left >= widest { widest } else { left.min(2) };
        let (kernel_at, bias_at) = (vector * lanes * patch_len, vector * lanes);
        blocks.push(Block {
            vectors,
            first,
            kernel_at,
            bias_at,
        });
        first += vectors * lanes;
        vector += vectors;
    }
    blocks
}

impl Prepared {
    /// Prepares a kernel `[patch, filters]` and bias for a batch, for the instruction set of the calling thread.
    pub fn new(geometry: &ConvGeometry, kernel: &[f32], bias: Option<&[f32]>) -> Self {
        /// Short patches are wholly zero in pictures' empty surroundings; long ones, deeper in a network, hardly ever.
        const SHORT_PATCH: usize = 64;
        let isa = Isa::current();
        let (patch_len, filters) = (geometry.patch_len(), geometry.filters);
        let blocks = blocks(isa, filters, patch_len);
        let padded = blocks.iter().map(|block| block.vectors * isa.lanes()).sum::<usize>();
        let mut packed = vec![0.0; padded * patch_len];
        let mut packed_bias = vec![0.0; padded];
        for block in &blocks {
            let width = block.vectors * isa.lanes();
            let real = width.min(filters - block.first);
            let rows = packed[block.kernel_at..].chunks_exact_mut(width);
            for (to, from) in rows.zip(kernel.chunks_exact(filters)) {
                to[..real].copy_from_slice(&from[block.first..][..real]);
            }
            if let Some(bias) = bias {
                packed_bias[block.bias_at..][..real].copy_from_slice(&bias[block.first..][..real]);
            }
        }
        let field = Field::new(geometry);
        let skips_zeros = patch_len <= SHORT_PATCH;
        Self {
            isa,
            field,
            filters,
            blocks,
            kernel: packed,
            bias: packed_bias,
            skips_zeros,
        }
    }

    /// `y = patches(x) kernel + bias` for the rows in `x`.
    pub fn forward(&self, x: &[f32], y: &mut [f32]) {
        let windows = self.field.offsets.len();
        let (output_len, rows) = (windows * self.filters, y.len() / (windows * self.filters));
        let input_len = x.len() / rows;
        let at_once = WINDOWS_AT_ONCE.div_ceil(windows).min(rows);
        for (x, y) in x.chunks(at_once * input_len).zip(y.chunks_mut(at_once * output_len)) {
            self.with_fields(x, y.len() / output_len, |fields, offsets| {
                self.windows(fields, offsets, y);
            });
        }
    }

    /// Pads rows if they need it, and calls `work(fields, offsets)` with the offsets of the windows of all of them.
    pub fn with_fields(&self, x: &[f32], rows: usize, work: impl FnOnce(&[f32], &[usize])) {
        let field = &self.field;
        let with_offsets = |fields: &[f32]| {
            if rows == 1 {
                return work(fields, &field.offsets);
            }
            let starts = (0..rows).map(|row| row * field.len());
            let offsets: Vec<usize> = starts
                .flat_map(|start| field.offsets.iter().map(move |at| start + at))
                .collect();
            work(fields, &offsets);
        };
        if field.is_input() {
            return with_offsets(x);
        }
        with_scratch(rows * field.len(), |fields| {
            field.fill(x, fields);
            with_offsets(fields);
        });
    }

    /// The outputs `[offsets, filters]` of the windows at `offsets` of `fields`.
    pub fn windows(&self, fields: &[f32], offsets: &[usize], y: &mut [f32]) {
        assert_eq!(y.len(), offsets.len() * self.filters);
        let reach = self.field.runs.last().map_or(0, |run| run.offset + run.len);
        assert!(
            offsets.iter().all(|offset| offset + reach <= fields.len()),
            "windows lie in their field"
        );
        run(
            self.isa,
            Forward {
                prepared: self,
                fields,
                offsets,
                y,
            },
        );
    }
}

/// [`Prepared::windows`], its checks done.
struct Forward<'a> {
    prepared: &'a Prepared,
    fields: &'a [f32],
    offsets: &'a [usize],
    y: &'a mut [f32],
}

impl Work for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        for block in &self.prepared.blocks {
            match (block.vectors, S::ACCUMULATORS >= 24) {
                (4, _) => self.block::<S, 6, 3, 4>(s, *block),
                (2, true) => self.block::<S, 12, 6, 2>(s, *block),
                (2, false) => self.block::<S, 6, 3, 2>(s, *block),
                _ => self.block::<S, 12, 6, 1>(s, *block),
            }
        }
    }
}

impl Forward<'_> {
    /// One block of filters of all windows, `P` windows by `V` vectors at a time, or `HALF` for the last few.
    #[inline(always)]
    fn block<S: Simd, const P: usize, const HALF: usize, const V: usize>(&mut self, s: S, block: Block) {
        let mut window = 0;
        while window < self.offsets.len() {
            if self.offsets.len() - window > HALF {
                self.tile::<S, P, V>(s, block, window);
                window += P;
            } else {
                self.tile::<S, HALF, V>(s, block, window);
                window += HALF;
            }
        }
    }

    /// Up to `P` windows from `window` on.
    #[inline(always)]
    fn tile<S: Simd, const P: usize, const V: usize>(&mut self, s: S, block: Block, window: usize) {
        let Prepared {
            field,
            filters,
            kernel,
            bias,
            skips_zeros,
            ..
        } = self.prepared;
        let offsets = &self.offsets[window..];
        let fields = self.fields.as_ptr();
        // SAFETY: `windows` has checked that every window lies in `fields` and that `y` has `filters` values for each; `kernel` and
        // `bias` hold `V` whole vectors for each value of the patch from the block's place on, as `Prepared::new` made them.
        unsafe {
            let mut from = [fields; P];
            for (p, from) in from.iter_mut().enumerate() {
                // The last tile repeats its last window, which is not stored again.
                *from = fields.add(offsets[p.min(offsets.len() - 1)]);
            }
            let mut sums = [[s.splat(0.0); V]; P];
            for v in 0..V {
                let bias = s.load(bias.as_ptr().add(block.bias_at + v * S::LANES));
                for sums in &mut sums {
                    sums[v] = bias;
                }
            }
            if !skips_zeros || any_non_zero(s, &from, &field.runs) {
                product(s, &from, &field.runs, kernel.as_ptr().add(block.kernel_at), &mut sums);
            }
            for (p, sums) in sums.iter().enumerate().take(offsets.len()) {
                let y = self.y.as_mut_ptr().add((window + p) * filters + block.first);
                store(s, y, filters - block.first, sums);
            }
        }
    }
}

/// Adds to `sums[p][v]` the product of the patch at `from[p]` with the `v`-th vector of each row of `kernel`.
///
/// # Safety
/// The runs of every patch can be read, and `kernel` has `V` vectors for each value of a patch.
#[inline(always)]
pub unsafe fn product<S: Simd, const P: usize, const V: usize>(
    s: S,
    from: &[*const f32; P],
    runs: &[Run],
    mut kernel: *const f32,
    sums: &mut [[S::Vector; V]; P],
) {
    let mut acc = *sums;
    for run in runs {
        let mut from = *from;
        for from in &mut from {
            // SAFETY: the run is inside the patch.
            *from = unsafe { from.add(run.offset) };
        }
        for value in 0..run.len {
            // SAFETY: `value` is inside the run, and each value of a patch has its `V` vectors in `kernel`.
            unsafe {
                let mut row = [s.splat(0.0); V];
                for (v, row) in row.iter_mut().enumerate() {
                    *row = s.load(kernel.add(v * S::LANES));
                }
                kernel = kernel.add(V * S::LANES);
                for p in 0..P {
                    let x = s.splat(*from[p].add(value));
                    for v in 0..V {
                        acc[p][v] = s.mul_add(x, row[v], acc[p][v]);
                    }
                }
            }
        }
    }
    *sums = acc;
}

/// Whether any value of the patches is not zero.
///
/// # Safety
/// The runs of every patch can be read.
#[inline(always)]
unsafe fn any_non_zero<S: Simd, const P: usize>(s: S, from: &[*const f32; P], runs: &[Run]) -> bool {
    for run in runs {
        for from in from {
            let mut at = 0;
            while at < run.len {
                // SAFETY: `at` and the values that are read from there lie inside the run.
                let vector = unsafe { load_up_to(s, from.add(run.offset + at), run.len - at) };
                if s.any_non_zero(vector) {
                    return true;
                }
                at += S::LANES;
            }
        }
    }
    false
}

/// A vector of `left` values, then zeros, or of as many as it has lanes.
///
/// # Safety
/// That many can be read.
#[inline(always)]
pub unsafe fn load_up_to<S: Simd>(s: S, from: *const f32, left: usize) -> S::Vector {
    // SAFETY: as the caller vouches.
    unsafe {
        if left >= S::LANES {
            s.load(from)
        } else {
            s.load_first(from, left)
        }
    }
}

/// Writes the first `left` values of some vectors, or all.
///
/// # Safety
/// That many can be written.
#[inline(always)]
pub unsafe fn store<S: Simd, const V: usize>(s: S, to: *mut f32, left: usize, vectors: &[S::Vector; V]) {
    for (v, vector) in vectors.iter().enumerate() {
        let at = v * S::LANES;
        // SAFETY: at most `left` values from `to` on are written.
        unsafe {
            if left >= at + S::LANES {
                s.store(to.add(at), *vector);
            } else if left > at {
                s.store_first(to.add(at), left - at, *vector);
            }
        }
    }
}

/// Where windows and patches lie for [`backward_kernel`]: made once for a batch.
pub struct PreparedBackward {
    isa: Isa,
    field: Field,
    taps: Vec<usize>,
    filters: usize,
}

impl PreparedBackward {
    /// Prepares for a batch, for the instruction set of the calling thread.
    pub fn new(geometry: &ConvGeometry) -> Self {
        let field = Field::new(geometry);
        Self {
            isa: Isa::current(),
            taps: field.taps(),
            field,
            filters: geometry.filters,
        }
    }

    /// Adds `patches(x)ᵀ dy` to `dk` `[patch, filters]`, for one row of the batch.
    pub fn backward_kernel(&self, x: &[f32], dy: &[f32], dk: &mut [f32]) {
        let field = &self.field;
        assert!(dk.len() == self.taps.len() * self.filters && dy.len() == field.offsets.len() * self.filters);
        let mut work = |field: &[f32], dy: &[f32], stride: usize| {
            run(
                self.isa,
                BackwardKernel {
                    prepared: self,
                    field,
                    dy,
                    stride,
                    dk,
                },
            );
        };
        let lanes = self.isa.lanes();
        let mut with_whole_vectors = |field: &[f32]| {
            if self.filters.is_multiple_of(lanes) {
                return work(field, dy, self.filters);
            }
            let stride = self.filters.next_multiple_of(lanes);
            with_scratch(stride * self.field.offsets.len(), |padded| {
                for (to, from) in padded.chunks_exact_mut(stride).zip(dy.chunks_exact(self.filters)) {
                    to[..self.filters].copy_from_slice(from);
                    to[self.filters..].fill(0.0);
                }
                work(field, padded, stride);
            });
        };
        if field.is_input() {
            assert_eq!(x.len(), field.len());
            return with_whole_vectors(x);
        }
        with_scratch(field.len(), |padded| {
            field.fill(x, padded);
            with_whole_vectors(padded);
        });
    }
}

/// [`PreparedBackward::backward_kernel`] with `dy` in rows of whole vectors, every `stride` values.
struct BackwardKernel<'a> {
    prepared: &'a PreparedBackward,
    field: &'a [f32],
    dy: &'a [f32],
    stride: usize,
    dk: &'a mut [f32],
}

impl Work for BackwardKernel<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let offsets = &self.prepared.field.offsets;
        let blocks = blocks(self.prepared.isa, self.prepared.filters, 0);
        for (pass, windows) in offsets.chunks(WINDOWS_PER_PASS).enumerate() {
            for block in &blocks {
                let first_window = pass * WINDOWS_PER_PASS;
                match (block.vectors, S::ACCUMULATORS >= 24) {
                    (4, _) => self.block::<S, 6, 4>(s, *block, first_window, windows),
                    (2, true) => self.block::<S, 12, 2>(s, *block, first_window, windows),
                    (2, false) => self.block::<S, 6, 2>(s, *block, first_window, windows),
                    _ => self.block::<S, 12, 1>(s, *block, first_window, windows),
                }
            }
        }
    }
}

impl BackwardKernel<'_> {
    /// One block of filters of all values of the patch, summed over some windows.
    #[inline(always)]
    fn block<S: Simd, const P: usize, const V: usize>(&mut self, s: S, block: Block, first: usize, windows: &[usize]) {
        let filters = self.prepared.filters;
        let field = self.field.as_ptr();
        for (tile, taps) in self.prepared.taps.chunks(P).enumerate() {
            // SAFETY: `Field` lays all windows and their taps into the field, which is as long as it says; `dy` has `stride` values,
            // whole vectors, for each window; `dk` has `filters` values for each tap.
            unsafe {
                let mut from = [field; P];
                for (p, from) in from.iter_mut().enumerate() {
                    *from = field.add(taps[p.min(taps.len() - 1)]);
                }
                let mut sums = [[s.splat(0.0); V]; P];
                let mut dy = self.dy.as_ptr().add(first * self.stride + block.first);
                for offset in windows {
                    let mut row = [s.splat(0.0); V];
                    for (v, row) in row.iter_mut().enumerate() {
                        *row = s.load(dy.add(v * S::LANES));
                    }
                    dy = dy.wrapping_add(self.stride);
                    for p in 0..P {
                        let x = s.splat(*from[p].add(*offset));
                        for v in 0..V {
                            sums[p][v] = s.mul_add(x, row[v], sums[p][v]);
                        }
                    }
                }
                for (p, sums) in sums.iter().enumerate().take(taps.len()) {
                    let dk = self.dk.as_mut_ptr().add((tile * P + p) * filters + block.first);
                    let left = filters - block.first;
                    let mut total = *sums;
                    for (v, total) in total.iter_mut().enumerate() {
                        if left > v * S::LANES {
                            let before = load_up_to(s, dk.add(v * S::LANES).cast_const(), left - v * S::LANES);
                            *total = s.add(before, *total);
                        }
                    }
                    store(s, dk, left, &total);
                }
            }
        }
    }
}

/// The convolution of `dy` that gives the input's gradient; none unless all strides are 1.
pub fn transposed(geometry: &ConvGeometry) -> Option<ConvGeometry> {
    let w = &geometry.window;
    if w.strides != [1; 3] {
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
pub fn transposed_kernel(geometry: &ConvGeometry, kernel: &[f32]) -> Vec<f32> {
    let (channels, filters) = (geometry.channels, geometry.filters);
    let mut turned = vec![0.0; kernel.len()];
    let cells = kernel.chunks_exact(channels * filters).rev();
    for (to, from) in turned.chunks_exact_mut(channels * filters).zip(cells) {
        for (channel, from) in from.chunks_exact(filters).enumerate() {
            for (filter, value) in from.iter().enumerate() {
                to[filter * channels + channel] = *value;
            }
        }
    }
    turned
}
