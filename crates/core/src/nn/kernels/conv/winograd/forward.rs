//! A convolution by tiles. Vectors run over channels in the input's transformation and over filters in the output's.

use std::ops::Range;

use super::transforms::{at_points, both_ways, from_points, scaled};
use super::{CACHED, GAP, IN_FORWARD, TILES, Tile, Tiling};
use crate::nn::kernels::conv::field::Run;
use crate::nn::kernels::conv::tile::{product, store};
use crate::nn::kernels::conv::{ConvGeometry, FEWEST_CHUNKS};
use crate::nn::kernels::simd::{Simd, Work, run};
use crate::nn::threads::{Aligned, COST_OF_A_VALUE, Unset, group_rows, with_scratch};

/// A transformed kernel and the tiles of a row: made once for a batch.
pub struct Winograd {
    tiling: Tiling,
    filters: usize,
    /// Vectors of filters in a register tile, and register tiles.
    vectors: usize,
    blocks: usize,
    /// `[block, place, channels, vectors]`, with a [`GAP`] behind each place.
    kernel: Aligned,
    /// Filled up with zeros to whole blocks.
    bias: Aligned,
}

impl Winograd {
    /// Transforms a kernel `[height, width, channels, filters]` for a batch, for the instruction set of the calling thread.
    pub fn new(geometry: &ConvGeometry, kernel: &[f32], bias: Option<&[f32]>) -> Self {
        let tiling = Tiling::new(geometry, Tile::of(geometry, IN_FORWARD));
        let (isa, channels, filters) = (tiling.isa, geometry.channels, geometry.filters);
        let vectors = if filters > isa.lanes() { 2 } else { 1 };
        let width = vectors * isa.lanes();
        let blocks = filters.div_ceil(width);
        let mut padded_bias = Aligned::zeroed(blocks * width);
        if let Some(bias) = bias {
            padded_bias[..filters].copy_from_slice(bias);
        }
        let block_len = tiling.tile.places() * (channels * width + GAP);
        let cost = blocks * block_len * COST_OF_A_VALUE;
        let work = |block: usize, transformed: Unset<f32>| {
            let first = block * width;
            let work = TransformKernel {
                tiling: &tiling,
                kernel,
                filters,
                block: first..first + width,
                transformed,
            };
            run(isa, work);
        };
        // SAFETY: the transformation writes a whole block, filters that do not exist and gaps as zeros.
        let kernel = unsafe { Aligned::build_unset(blocks * block_len, block_len, cost, work) };
        Self {
            tiling,
            filters,
            vectors,
            blocks,
            kernel,
            bias: padded_bias,
        }
    }

    /// Writes `y = patches(x) kernel + bias` for the rows in `x`; `ahead` will be wanted next.
    pub fn forward(&self, x: &[f32], ahead: &[f32], mut y: Unset<f32>) {
        let Self { tiling, filters, .. } = self;
        let rows = y.len() / (tiling.output[0] * tiling.output[1] * filters);
        let (inputs, outputs) = (tiling.stride(), self.blocks * self.vectors * tiling.isa.lanes());
        let total = rows * tiling.of_row();
        let at_once = tiling.at_once(outputs, self.fewest_tiles(), total);
        let [inputs, outputs] = [inputs, outputs].map(|len| tiling.tile.places() * (at_once * len + GAP));
        tiling.with_fields(x, rows, |fields| {
            with_scratch(inputs + outputs, |scratch| {
                let (transformed, products) = scratch.split_at_mut(inputs);
                for first in (0..total).step_by(at_once) {
                    let range = first..(first + at_once).min(total);
                    let next = range.end..(range.end + at_once).min(total);
                    let ahead = if next.is_empty() {
                        ahead
                    } else if tiling.field.is_input() {
                        // Tiles lie in the rows as they are counted, but for the order within a line of them.
                        &x[x.len() * next.start / total..x.len() * next.end / total]
                    } else {
                        &[]
                    };
                    let work = Tiles {
                        plan: self,
                        fields,
                        y: y.reborrow(),
                        range,
                        ahead,
                        transformed,
                        products,
                    };
                    run(tiling.isa, work);
                }
            });
        });
    }

    /// How many of `rows` rows should be computed together, about `wanted` and not more than `most`: so many that tiles are multiplied in
    /// whole register tiles, to a sixteenth, and enough of them.
    pub fn chunk_rows(&self, rows: usize, wanted: usize, most: usize) -> usize {
        let tiles = self.tiling.of_row();
        let chunks = if self.beyond_caches() { 1 } else { FEWEST_CHUNKS };
        let enough = self.fewest_tiles().div_ceil(tiles).min(rows.div_ceil(chunks));
        let wanted = wanted.max(enough).min(most);
        let multiplied = |rows: usize| (rows * tiles).next_multiple_of(TILES / 2);
        let cost = |chunk: usize| rows / chunk * multiplied(chunk) + multiplied(rows % chunk);
        let sixteenths = |chunk: usize| 16 * cost(chunk) / (rows * tiles).max(1);
        (1..=most.min(3 * wanted))
            .min_by_key(|chunk| (sixteenths(*chunk), chunk.abs_diff(wanted)))
            .unwrap_or(1)
    }

    /// Tiles that should be multiplied at once: the more, the farther the cache that the kernel comes from each time.
    fn fewest_tiles(&self) -> usize {
        match self.kernel.len() {
            _ if self.beyond_caches() => 4 * TILES,
            CACHED.. => 3 * TILES,
            _ => TILES,
        }
    }

    /// Whether the kernel has to come from beyond a core's own caches.
    fn beyond_caches(&self) -> bool {
        const OUTER: usize = 1 << 19;
        self.kernel.len() > OUTER
    }
}

/// `G g Gᵀ` of all channels and the filters of one block, to `[place, channels, vectors]` with a [`GAP`] behind each place.
struct TransformKernel<'a> {
    tiling: &'a Tiling,
    kernel: &'a [f32],
    filters: usize,
    /// Whole vectors, of which the last may reach beyond the filters.
    block: Range<usize>,
    transformed: Unset<'a, f32>,
}

impl Work for TransformKernel<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match (self.tiling.tile.side, self.tiling.tile.cells) {
            (8, 3) => self.transform::<S, 8, 3>(s),
            (8, _) => self.transform::<S, 8, 5>(s),
            (_, 3) => self.transform::<S, 6, 3>(s),
            _ => self.transform::<S, 6, 5>(s),
        }
    }
}

impl TransformKernel<'_> {
    #[inline(always)]
    fn transform<S: Simd, const IN: usize, const CELLS: usize>(mut self, s: S) {
        /// So many channels ahead the memory that is written is asked for: up to 64 places are written in turn, more than the processor
        /// foresees.
        const AHEAD: usize = 4;
        let (channels, filters, width) = (self.tiling.channels, self.filters, self.block.len());
        assert!(self.kernel.len() == CELLS * CELLS * channels * filters && width.is_multiple_of(S::LANES));
        let place_stride = channels * width + GAP;
        assert!(self.transformed.len() == IN * IN * place_stride);
        for channel in 0..channels {
            for filter in self.block.clone().step_by(S::LANES) {
                let left = filters.saturating_sub(filter);
                let to = channel * width + filter - self.block.start;
                both_ways(
                    s,
                    #[inline(always)]
                    |row: usize, column: usize| {
                        if left == 0 {
                            return s.splat(0.0);
                        }
                        let at = ((row * CELLS + column) * channels + channel) * filters + filter;
                        // SAFETY: the kernel has all its cells of `channels` by `filters`, of which `filter` is one.
                        unsafe { s.load_up_to(self.kernel.as_ptr().add(at), left) }
                    },
                    #[inline(always)]
                    |values: &[_; CELLS]| scaled::<S, IN>(s, at_points(s, values)),
                    #[inline(always)]
                    |row: usize, column: usize, value| {
                        let at = to + (row * IN + column) * place_stride;
                        s.prefetch(self.transformed.as_mut_ptr().wrapping_add(at + AHEAD * width));
                        // SAFETY: `transformed` has whole vectors of filters for each place and channel.
                        unsafe { s.store(self.transformed.as_mut_ptr().add(at), value) };
                    },
                );
            }
        }
        for mut place in self.transformed.chunks_exact(place_stride) {
            place.part(channels * width..place_stride).zeroed();
        }
    }
}

/// The tiles `range` of all rows in `fields`, whose transformed inputs and products fit into the scratch.
struct Tiles<'a> {
    plan: &'a Winograd,
    fields: &'a [f32],
    y: Unset<'a, f32>,
    range: Range<usize>,
    /// What will be wanted next: brought into the cache meanwhile.
    ahead: &'a [f32],
    transformed: &'a mut [f32],
    products: &'a mut [f32],
}

impl Work for Tiles<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        self.plan
            .tiling
            .transform(s, self.fields, self.range.clone(), self.transformed);
        match (self.plan.vectors, S::ACCUMULATORS >= 24) {
            (2, true) => self.multiply::<S, 12, 6, 2>(s),
            (2, false) => self.multiply::<S, 6, 3, 2>(s),
            _ => self.multiply::<S, 12, 6, 1>(s),
        }
        match (self.plan.tiling.tile.side, self.plan.tiling.tile.cells) {
            (8, 3) => self.transform_back::<S, 8, 6>(s),
            (8, _) => self.transform_back::<S, 8, 4>(s),
            (_, 3) => self.transform_back::<S, 6, 4>(s),
            _ => self.transform_back::<S, 6, 2>(s),
        }
    }
}

impl Tiles<'_> {
    /// The products, `[place, tile, filters]` in whole vectors, with a [`GAP`] behind each place.
    #[inline(always)]
    fn multiply<S: Simd, const P: usize, const HALF: usize, const V: usize>(&mut self, s: S) {
        let tiles = self.range.len();
        let (mut done, all) = (0, self.plan.tiling.tile.places() * self.plan.blocks);
        for place in 0..self.plan.tiling.tile.places() {
            for block in 0..self.plan.blocks {
                s.prefetch_all(&self.ahead[group_rows(self.ahead.len(), all, done)]);
                done += 1;
                let mut tile = 0;
                while tile < tiles {
                    if tiles - tile > HALF {
                        self.multiply_tile::<S, P, V>(s, place, block, tile);
                        tile += P;
                    } else {
                        self.multiply_tile::<S, HALF, V>(s, place, block, tile);
                        tile += HALF;
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn multiply_tile<S: Simd, const P: usize, const V: usize>(
        &mut self,
        s: S,
        place: usize,
        block: usize,
        tile: usize,
    ) {
        let Winograd { tiling, blocks, .. } = self.plan;
        let (width, tiles, channels) = (V * S::LANES, self.range.len(), tiling.channels);
        let (input_stride, output_stride) = (tiling.stride(), blocks * width);
        let [inputs, outputs] = [input_stride, output_stride].map(|stride| place * (tiles * stride + GAP));
        // SAFETY: tiles beyond the last repeat it and are not stored; the scratch holds all places of all tiles, in whole vectors,
        // and `kernel` has `V` vectors for each channel of each place and block.
        unsafe {
            let mut from = [self.transformed.as_ptr(); P];
            for (p, from) in from.iter_mut().enumerate() {
                *from = from.add(inputs + (tile + p).min(tiles - 1) * input_stride);
            }
            let mut sums = [[s.splat(0.0); V]; P];
            let kernel = (block * tiling.tile.places() + place) * (channels * width + GAP);
            let kernel = self.plan.kernel.as_ptr().add(kernel);
            let all = Run {
                offset: 0,
                len: channels,
            };
            product(s, &from, &[all], kernel, &mut sums);
            for (p, sums) in sums.iter().enumerate().take(tiles - tile) {
                let to = self
                    .products
                    .as_mut_ptr()
                    .add(outputs + (tile + p) * output_stride + block * width);
                store(s, to, width, sums);
            }
        }
    }

    /// `Aᵀ m A + bias` of every tile and filter, to the outputs that exist.
    #[inline(always)]
    fn transform_back<S: Simd, const IN: usize, const OUT: usize>(&mut self, s: S) {
        let Winograd {
            tiling,
            filters,
            blocks,
            vectors,
            bias,
            ..
        } = self.plan;
        let [height, width] = tiling.output;
        let stride = blocks * vectors * S::LANES;
        let place_stride = self.range.len() * stride + GAP;
        for (at, tile) in self.range.clone().enumerate() {
            let (row, top, left) = tiling.place(tile);
            let (top, left) = (top * OUT, left * OUT);
            let mut filter = 0;
            while filter < *filters {
                // SAFETY: so has `bias`.
                let bias = unsafe { s.load(bias.as_ptr().add(filter)) };
                both_ways(
                    s,
                    #[inline(always)]
                    |row: usize, column: usize| {
                        let at = at * stride + filter + (row * IN + column) * place_stride;
                        // SAFETY: `products` has whole vectors up to the last filter.
                        unsafe { s.load(self.products.as_ptr().add(at)) }
                    },
                    #[inline(always)]
                    |places: &[_; IN]| from_points::<S, OUT, IN>(s, places),
                    #[inline(always)]
                    |down: usize, across: usize, value| {
                        if top + down < height && left + across < width {
                            let window = (row * height + top + down) * width + left + across;
                            // SAFETY: only outputs inside `y` are written, and of these only the filters that exist.
                            unsafe {
                                let to = self.y.as_mut_ptr().add(window * filters + filter);
                                store(s, to, filters - filter, &[s.add(value, bias)]);
                            }
                        }
                    },
                );
                filter += S::LANES;
            }
        }
    }
}
