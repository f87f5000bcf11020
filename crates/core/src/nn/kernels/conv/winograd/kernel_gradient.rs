//! The kernel's gradient by tiles. Vectors run over channels in the input's transformation and over filters everywhere else.

use std::ops::Range;

use super::transforms::{at_points, both_ways, from_points, scaled};
use super::{CACHED, GAP, IN_GRADIENT, TILES, Tile, Tiling};
use crate::nn::kernels::conv::ConvGeometry;
use crate::nn::kernels::conv::tile::{Block, blocks, store};
use crate::nn::kernels::simd::{Simd, Work, run};
use crate::nn::threads::with_scratch;

/// The tiles of a row, and blocks of filters: made once for a batch.
pub struct WinogradGradient {
    tiling: Tiling,
    /// All filters of the convolution, and those whose gradient this is.
    filters: usize,
    part: Range<usize>,
    /// Blocks of the part.
    blocks: Vec<Block>,
    /// The part's filters in whole vectors.
    stride: usize,
}

impl WinogradGradient {
    /// Prepares for a batch and the kernel's values of some filters, for the instruction set of the calling thread.
    pub fn new(geometry: &ConvGeometry, part: Range<usize>) -> Self {
        let tiling = Tiling::new(geometry, Tile::of(geometry, IN_GRADIENT));
        let blocks = blocks(tiling.isa, part.len(), geometry.channels);
        let stride = blocks.iter().map(|block| block.vectors).sum::<usize>() * tiling.isa.lanes();
        Self {
            tiling,
            filters: geometry.filters,
            part,
            blocks,
            stride,
        }
    }

    /// The filters whose gradient this is.
    pub fn part(&self) -> Range<usize> {
        self.part.clone()
    }

    /// Adds `patches(x)ᵀ dy` to `dk` `[height, width, channels, filters of the part]`, for some rows of the batch.
    pub fn add(&self, x: &[f32], dy: &[f32], dk: &mut [f32]) {
        let Self { tiling, stride, .. } = self;
        let (cells, channels) = (tiling.tile.cells, tiling.channels);
        let rows = dy.len() / (tiling.output[0] * tiling.output[1] * self.filters);
        assert_eq!(dk.len(), cells * cells * channels * self.part.len());
        let total = rows * tiling.of_row();
        let sums_len = tiling.tile.places() * (channels * stride + GAP);
        // The sums are visited for all of them: more at once if they lie in an outer cache.
        let fewest = if sums_len > CACHED { 3 * TILES } else { 2 * TILES };
        let at_once = tiling.at_once(*stride, fewest, total);
        let [inputs, slopes] = [tiling.stride(), *stride].map(|len| tiling.tile.places() * (at_once * len + GAP));
        tiling.with_fields(x, rows, |fields| {
            with_scratch(sums_len + inputs + slopes, |scratch| {
                let (sums, scratch) = scratch.split_at_mut(sums_len);
                let (inputs, slopes) = scratch.split_at_mut(inputs);
                for first in (0..total).step_by(at_once) {
                    let work = Tiles {
                        plan: self,
                        fields,
                        dy,
                        range: first..(first + at_once).min(total),
                        inputs,
                        slopes,
                        sums,
                    };
                    run(tiling.isa, work);
                }
                let plan = self;
                run(tiling.isa, TransformSums { plan, sums, dk });
            });
        });
    }
}

/// The tiles `range` of all rows in `fields` and `dy`, whose transformations fit into the scratch.
struct Tiles<'a> {
    plan: &'a WinogradGradient,
    fields: &'a [f32],
    dy: &'a [f32],
    range: Range<usize>,
    /// `[place, tile, channels]`, here and below with a [`GAP`] behind each place.
    inputs: &'a mut [f32],
    /// `[place, block, tile, vectors]`.
    slopes: &'a mut [f32],
    /// `[place, block, channels, vectors]`.
    sums: &'a mut [f32],
}

impl Work for Tiles<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        self.plan
            .tiling
            .transform(s, self.fields, self.range.clone(), self.inputs);
        match (self.plan.tiling.tile.side, self.plan.tiling.tile.cells) {
            (8, 3) => self.transform_slopes::<S, 8, 6>(s),
            (8, _) => self.transform_slopes::<S, 8, 4>(s),
            (_, 3) => self.transform_slopes::<S, 6, 4>(s),
            _ => self.transform_slopes::<S, 6, 2>(s),
        }
        for place in 0..self.plan.tiling.tile.places() {
            for block in &self.plan.blocks {
                match (block.vectors, S::ACCUMULATORS >= 24) {
                    (4, _) => self.multiply::<S, 6, 4>(s, place, *block),
                    (2, true) => self.multiply::<S, 12, 2>(s, place, *block),
                    (2, false) => self.multiply::<S, 6, 2>(s, place, *block),
                    _ => self.multiply::<S, 12, 1>(s, place, *block),
                }
            }
        }
    }
}

impl Tiles<'_> {
    /// `A dy Aᵀ` of every tile and filter.
    #[inline(always)]
    fn transform_slopes<S: Simd, const IN: usize, const OUT: usize>(&mut self, s: S) {
        let WinogradGradient {
            tiling,
            filters,
            part,
            blocks,
            stride,
        } = self.plan;
        let [height, width] = tiling.output;
        let tiles = self.range.len();
        let place_stride = tiles * stride + GAP;
        let rows = self.range.end.div_ceil(tiling.of_row());
        assert!(part.end <= *filters && self.dy.len() >= rows * height * width * filters);
        assert!(self.slopes.len() >= IN * IN * place_stride);
        for block in blocks {
            let wide = block.vectors * S::LANES;
            let last = (block.first + wide).min(part.len());
            for (at, tile) in self.range.clone().enumerate() {
                let (row, top, left) = tiling.place(tile);
                let (top, left) = (top * OUT, left * OUT);
                let mut filter = block.first;
                while filter < last {
                    let to = block.first * tiles + at * wide + filter - block.first;
                    both_ways(
                        s,
                        #[inline(always)]
                        |down: usize, across: usize| {
                            if top + down >= height || left + across >= width {
                                return s.splat(0.0);
                            }
                            let window = (row * height + top + down) * width + left + across;
                            let at = window * filters + part.start + filter;
                            // SAFETY: only gradients of outputs that exist are read, and of these only filters of the part.
                            unsafe { s.load_up_to(self.dy.as_ptr().add(at), part.len() - filter) }
                        },
                        #[inline(always)]
                        |values: &[_; OUT]| at_points::<S, OUT, IN>(s, values),
                        #[inline(always)]
                        |row: usize, column: usize, value| {
                            let at = to + (row * IN + column) * place_stride;
                            // SAFETY: `slopes` has room for all places of these tiles in whole blocks.
                            unsafe { s.store(self.slopes.as_mut_ptr().add(at), value) };
                        },
                    );
                    filter += S::LANES;
                }
            }
        }
    }

    /// Adds to the sums of a place and a block of filters, `P` channels at a time.
    #[inline(always)]
    fn multiply<S: Simd, const P: usize, const V: usize>(&mut self, s: S, place: usize, block: Block) {
        let WinogradGradient { tiling, stride, .. } = self.plan;
        let (tiles, channels, wide) = (self.range.len(), tiling.channels, V * S::LANES);
        let input_stride = tiling.stride();
        let [inputs, slopes] = [input_stride, *stride].map(|stride| place * (tiles * stride + GAP));
        for first in (0..channels).step_by(P) {
            // SAFETY: channels beyond the last repeat it and are not stored; inputs and slopes have all places of all tiles, and the
            // sums a whole block for each channel of each place.
            unsafe {
                let from = self.inputs.as_ptr().add(inputs);
                let mut dy = self.slopes.as_ptr().add(slopes + block.first * tiles);
                let to = place * (channels * stride + GAP) + block.kernel_at + first * wide;
                let to = self.sums.as_mut_ptr().add(to);
                let mut sums = [[s.splat(0.0); V]; P];
                let mut at = [0; P];
                for (p, at) in at.iter_mut().enumerate() {
                    *at = (first + p).min(channels - 1);
                }
                for tile in 0..tiles {
                    let from = from.add(tile * input_stride);
                    let mut row = [s.splat(0.0); V];
                    for (v, row) in row.iter_mut().enumerate() {
                        *row = s.load(dy.add(v * S::LANES));
                    }
                    dy = dy.add(wide);
                    for p in 0..P {
                        let x = s.splat(*from.add(at[p]));
                        for v in 0..V {
                            sums[p][v] = s.mul_add(x, row[v], sums[p][v]);
                        }
                    }
                }
                for (p, sums) in sums.iter().enumerate().take(channels - first) {
                    for (v, sum) in sums.iter().enumerate() {
                        let to = to.add(p * wide + v * S::LANES);
                        // The first tiles find what others left in the scratch.
                        let before = if self.range.start == 0 {
                            s.splat(0.0)
                        } else {
                            s.load(to.cast_const())
                        };
                        s.store(to, s.add(before, *sum));
                    }
                }
            }
        }
    }
}

/// Adds `Gᵀ sums G` to the kernel's gradient.
struct TransformSums<'a> {
    plan: &'a WinogradGradient,
    sums: &'a [f32],
    dk: &'a mut [f32],
}

impl Work for TransformSums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match (self.plan.tiling.tile.side, self.plan.tiling.tile.cells) {
            (8, 3) => self.transform::<S, 8, 3>(s),
            (8, _) => self.transform::<S, 8, 5>(s),
            (_, 3) => self.transform::<S, 6, 3>(s),
            _ => self.transform::<S, 6, 5>(s),
        }
    }
}

impl TransformSums<'_> {
    #[inline(always)]
    fn transform<S: Simd, const IN: usize, const CELLS: usize>(self, s: S) {
        let WinogradGradient {
            tiling,
            part,
            blocks,
            stride,
            ..
        } = self.plan;
        let (channels, filters) = (tiling.channels, part.len());
        let place_stride = channels * stride + GAP;
        assert!(self.sums.len() == IN * IN * place_stride && self.dk.len() == CELLS * CELLS * channels * filters);
        for block in blocks {
            let wide = block.vectors * S::LANES;
            let last = (block.first + wide).min(filters);
            for channel in 0..channels {
                for filter in (block.first..last).step_by(S::LANES) {
                    let from = block.kernel_at + channel * wide + filter - block.first;
                    both_ways(
                        s,
                        #[inline(always)]
                        |row: usize, column: usize| {
                            let at = from + (row * IN + column) * place_stride;
                            // SAFETY: the sums have a whole block for each channel of each place.
                            unsafe { s.load(self.sums.as_ptr().add(at)) }
                        },
                        #[inline(always)]
                        |places: &[_; IN]| from_points::<S, CELLS, IN>(s, &scaled(s, *places)),
                        #[inline(always)]
                        |row: usize, column: usize, cell| {
                            let at = ((row * CELLS + column) * channels + channel) * filters + filter;
                            // SAFETY: only filters that exist are read and written.
                            unsafe {
                                let to = self.dk.as_mut_ptr().add(at);
                                let before = s.load_up_to(to.cast_const(), filters - filter);
                                store(s, to, filters - filter, &[s.add(before, cell)]);
                            }
                        },
                    );
                }
            }
        }
    }
}
