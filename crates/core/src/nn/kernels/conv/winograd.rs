//! 3x3 convolutions of pictures at a quarter of the multiplications: Winograd's F(4x4, 3x3).
//!
//! After Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2016). A tile of 4x4 outputs needs 6x6 inputs `d`. With the
//! kernel `g` of one channel and filter,
//!
//! ```text
//! outputs = Aᵀ ( (G g Gᵀ) * (Bᵀ d B) ) A        * element by element
//!
//!      |4  0 -5  0  1  0|       | 1/4    0     0  |
//!      |0 -4 -4  1  1  0|       |-1/6  -1/6  -1/6 |        |1  1  1  1  1  0|
//! Bᵀ = |0  4 -4 -1  1  0|   G = |-1/6   1/6  -1/6 |   Aᵀ = |0  1 -1  2 -2  0|
//!      |0 -2 -1  2  1  0|       | 1/24  1/12  1/6 |        |0  1  1  4  4  0|
//!      |0  2 -1 -2  1  0|       | 1/24 -1/12  1/6 |        |0  1 -1  8 -8  1|
//!      |0  4  0 -5  0  1|       |  0     0     1  |
//! ```
//!
//! The products of the 36 places, summed over channels, are 36 products of matrices `[tiles, channels] x [channels, filters]`: 36
//! multiply-adds for 16 outputs instead of 144. The transformations only add and shift scales; they cost a few percent once there are
//! some sixteen channels and filters. Rounding grows with the scales: outputs are off by some 2e-6 of the largest.
//!
//! Vectors run over channels in the input's transformation and over filters in the output's.

use super::ConvGeometry;
use super::field::{Field, Run};
use super::tile::{load_up_to, product, store};
use crate::nn::kernels::simd::{Isa, Simd, Work, run};
use crate::nn::threads::{Aligned, with_scratch};

/// Outputs along each axis of a tile.
const OUT: usize = 4;
/// Inputs along each axis of a tile.
const IN: usize = 6;
/// Places of a transformed tile.
const PLACES: usize = IN * IN;

/// Tiles that are multiplied together.
const TILES: usize = 12;

/// A transformed kernel and the tiles of a row: made once for a batch.
pub struct Winograd {
    isa: Isa,
    field: Field,
    channels: usize,
    filters: usize,
    output: [usize; 2],
    tiles: [usize; 2],
    /// Values from one line of the field to the next.
    line: usize,
    /// Vectors of filters in a register tile, and register tiles.
    vectors: usize,
    blocks: usize,
    /// `[place, block, channels, vectors]`.
    kernel: Aligned,
    /// Filled up with zeros to whole blocks.
    bias: Aligned,
}

/// Whether a convolution is of the kind that is computed here, and large enough to gain.
pub fn suits(geometry: &ConvGeometry) -> bool {
    const FEWEST: usize = 16;
    let w = &geometry.window;
    w.kernel == [1, 3, 3]
        && w.strides == [1; 3]
        && w.dilation == [1; 3]
        && w.input[0] == 1
        && geometry.channels >= FEWEST
        && geometry.filters >= FEWEST
        && w.output[1] >= OUT
        && w.output[2] >= OUT
}

impl Winograd {
    /// Transforms a kernel `[3, 3, channels, filters]` for a batch, for the instruction set of the calling thread.
    pub fn new(geometry: &ConvGeometry, kernel: &[f32], bias: Option<&[f32]>) -> Self {
        let isa = Isa::current();
        let ConvGeometry {
            window,
            channels,
            filters,
        } = *geometry;
        let output = [window.output[1], window.output[2]];
        let tiles = output.map(|length| length.div_ceil(OUT));
        let field = Field::with_dims(geometry, [1, tiles[0] * OUT + IN - OUT, tiles[1] * OUT + IN - OUT]);
        let line = (tiles[1] * OUT + IN - OUT) * channels;
        let vectors = if filters > isa.lanes() { 2 } else { 1 };
        let width = vectors * isa.lanes();
        let blocks = filters.div_ceil(width);
        let mut padded_bias = Aligned::zeroed(blocks * width);
        if let Some(bias) = bias {
            padded_bias[..filters].copy_from_slice(bias);
        }
        let mut transformed = Aligned::zeroed(PLACES * blocks * width * channels);
        run(
            isa,
            TransformKernel {
                kernel,
                channels,
                filters,
                width,
                blocks,
                transformed: &mut transformed,
            },
        );
        Self {
            isa,
            field,
            channels,
            filters,
            output,
            tiles,
            line,
            vectors,
            blocks,
            kernel: transformed,
            bias: padded_bias,
        }
    }

    /// `y = patches(x) kernel + bias` for the rows in `x`.
    pub fn forward(&self, x: &[f32], y: &mut [f32]) {
        /// Values of transformed tiles that stay in a core's cache beside the kernel.
        const CACHED: usize = 96 << 10;
        let rows = y.len() / (self.output[0] * self.output[1] * self.filters);
        let lanes = self.isa.lanes();
        let (inputs, outputs) = (
            self.channels.next_multiple_of(lanes),
            self.blocks * self.vectors * lanes,
        );
        let total = rows * self.tiles[0] * self.tiles[1];
        // Whole register tiles of tiles.
        let at_once = CACHED / (PLACES * (inputs + outputs)) / TILES * TILES;
        let at_once = at_once.clamp(TILES, 8 * TILES).min(total);
        let mut multiply = |fields: &[f32]| {
            with_scratch(PLACES * at_once * (inputs + outputs), |scratch| {
                let (transformed, products) = scratch.split_at_mut(PLACES * at_once * inputs);
                for first in (0..total).step_by(at_once) {
                    let range = first..(first + at_once).min(total);
                    run(
                        self.isa,
                        Tiles {
                            plan: self,
                            fields,
                            y: &mut *y,
                            range,
                            transformed,
                            products,
                        },
                    );
                }
            });
        };
        if self.field.is_input() {
            return multiply(x);
        }
        with_scratch(rows * self.field.len(), |fields| {
            self.field.fill(x, fields);
            multiply(fields);
        });
    }

    /// The row of the batch, and the tile's place along both axes.
    #[inline(always)]
    fn place(&self, tile: usize) -> (usize, usize, usize) {
        let [down, across] = self.tiles;
        (tile / (down * across), tile / across % down, tile % across)
    }
}

/// `G g Gᵀ` of all channels and filters.
struct TransformKernel<'a> {
    kernel: &'a [f32],
    channels: usize,
    filters: usize,
    width: usize,
    blocks: usize,
    transformed: &'a mut [f32],
}

impl Work for TransformKernel<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        const CELLS: usize = 3;
        let Self {
            channels,
            filters,
            width,
            blocks,
            ..
        } = self;
        assert!(self.kernel.len() == CELLS * CELLS * channels * filters && blocks * width >= filters);
        assert!(self.transformed.len() == PLACES * blocks * width * channels);
        for channel in 0..channels {
            let mut filter = 0;
            while filter < filters {
                // SAFETY: the kernel has nine cells of `channels` by `filters`; `transformed` has whole vectors of filters for each
                // place, block and channel.
                unsafe {
                    let g = self.kernel.as_ptr().add(channel * filters + filter);
                    let mut half = [[s.splat(0.0); CELLS]; IN];
                    for column in 0..CELLS {
                        let mut cells = [s.splat(0.0); CELLS];
                        for (row, cell) in cells.iter_mut().enumerate() {
                            let at = (row * CELLS + column) * channels * filters;
                            *cell = load_up_to(s, g.add(at), filters - filter);
                        }
                        let places = kernel_transform(s, &cells);
                        for (half, place) in half.iter_mut().zip(places) {
                            half[column] = place;
                        }
                    }
                    let to = self.transformed.as_mut_ptr();
                    let to = to.add((filter / width * channels + channel) * width + filter % width);
                    for (row, half) in half.iter().enumerate() {
                        for (column, place) in kernel_transform(s, half).into_iter().enumerate() {
                            s.store(to.add((row * IN + column) * blocks * channels * width), place);
                        }
                    }
                }
                filter += S::LANES;
            }
        }
    }
}

/// The tiles `range` of all rows in `fields`, whose transformed inputs and products fit into the scratch.
struct Tiles<'a> {
    plan: &'a Winograd,
    fields: &'a [f32],
    y: &'a mut [f32],
    range: std::ops::Range<usize>,
    transformed: &'a mut [f32],
    products: &'a mut [f32],
}

impl Work for Tiles<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        self.transform(s);
        match (self.plan.vectors, S::ACCUMULATORS >= 24) {
            (2, true) => self.multiply::<S, 12, 6, 2>(s),
            (2, false) => self.multiply::<S, 6, 3, 2>(s),
            _ => self.multiply::<S, 12, 6, 1>(s),
        }
        self.transform_back(s);
    }
}

impl Tiles<'_> {
    /// `Bᵀ d B` of every tile and channel, to `[place, tile, channels]`.
    #[inline(always)]
    fn transform<S: Simd>(&mut self, s: S) {
        let Winograd {
            channels, line, field, ..
        } = self.plan;
        let stride = channels.next_multiple_of(S::LANES);
        let place_stride = self.range.len() * stride;
        let factors = [2.0, -2.0, 4.0, -4.0, -5.0].map(|value| s.splat(value));
        for (at, tile) in self.range.clone().enumerate() {
            let (row, top, left) = self.plan.place(tile);
            let from = row * field.len() + top * OUT * line + left * OUT * channels;
            let mut channel = 0;
            while channel < *channels {
                // SAFETY: the field has six lines of six cells from each tile's first on, and reading ends with the cell's channels;
                // `transformed` has room for all places of these tiles in whole vectors.
                unsafe {
                    let d = self.fields.as_ptr().add(from + channel);
                    let mut half = [[s.splat(0.0); IN]; IN];
                    for column in 0..IN {
                        let mut cells = [s.splat(0.0); IN];
                        for (height, cell) in cells.iter_mut().enumerate() {
                            *cell = load_up_to(s, d.add(height * line + column * channels), channels - channel);
                        }
                        let places = input_transform(s, &cells, &factors);
                        for (half, place) in half.iter_mut().zip(places) {
                            half[column] = place;
                        }
                    }
                    let to = self.transformed.as_mut_ptr().add(at * stride + channel);
                    for (height, half) in half.iter().enumerate() {
                        let places = input_transform(s, half, &factors);
                        for (column, place) in places.iter().enumerate() {
                            s.store(to.add((height * IN + column) * place_stride), *place);
                        }
                    }
                }
                channel += S::LANES;
            }
        }
    }

    /// The 36 products, `[place, tile, filters]` in whole vectors.
    #[inline(always)]
    fn multiply<S: Simd, const P: usize, const HALF: usize, const V: usize>(&mut self, s: S) {
        let tiles = self.range.len();
        for place in 0..PLACES {
            for block in 0..self.plan.blocks {
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
        let Winograd {
            channels,
            blocks,
            kernel,
            ..
        } = self.plan;
        let (width, tiles) = (V * S::LANES, self.range.len());
        let (input_stride, output_stride) = (channels.next_multiple_of(S::LANES), blocks * width);
        // SAFETY: tiles beyond the last repeat it and are not stored; the scratch holds all places of all tiles, in whole vectors,
        // and `kernel` has `V` vectors for each channel of each place and block.
        unsafe {
            let mut from = [self.transformed.as_ptr(); P];
            for (p, from) in from.iter_mut().enumerate() {
                *from = from.add((place * tiles + (tile + p).min(tiles - 1)) * input_stride);
            }
            let mut sums = [[s.splat(0.0); V]; P];
            let kernel = kernel.as_ptr().add((place * blocks + block) * channels * width);
            product(
                s,
                &from,
                &[Run {
                    offset: 0,
                    len: *channels,
                }],
                kernel,
                &mut sums,
            );
            for (p, sums) in sums.iter().enumerate().take(tiles - tile) {
                let to = self
                    .products
                    .as_mut_ptr()
                    .add((place * tiles + tile + p) * output_stride + block * width);
                store(s, to, width, sums);
            }
        }
    }

    /// `Aᵀ m A + bias` of every tile and filter, to the outputs that exist.
    #[inline(always)]
    fn transform_back<S: Simd>(&mut self, s: S) {
        let Winograd {
            filters,
            output: [height, width],
            blocks,
            vectors,
            bias,
            ..
        } = self.plan;
        let stride = blocks * vectors * S::LANES;
        let place_stride = self.range.len() * stride;
        let [two, four, eight] = [2.0, 4.0, 8.0].map(|value| s.splat(value));
        for (at, tile) in self.range.clone().enumerate() {
            let (row, top, left) = self.plan.place(tile);
            let (top, left) = (top * OUT, left * OUT);
            let mut filter = 0;
            while filter < *filters {
                // SAFETY: `products` and `bias` have whole vectors up to the last filter; only outputs inside `y` are written, and of
                // these only the filters that exist.
                unsafe {
                    let m = self.products.as_ptr().add(at * stride + filter);
                    let mut half = [[s.splat(0.0); IN]; OUT];
                    for column in 0..IN {
                        let mut places = [s.splat(0.0); IN];
                        for (height, place) in places.iter_mut().enumerate() {
                            *place = s.load(m.add((height * IN + column) * place_stride));
                        }
                        let sums = output_transform(s, &places, two, four, eight);
                        for (half, sum) in half.iter_mut().zip(sums) {
                            half[column] = sum;
                        }
                    }
                    let bias = s.load(bias.as_ptr().add(filter));
                    for (down, half) in half.iter().enumerate().take(height - top) {
                        let sums = output_transform(s, half, two, four, eight);
                        for (across, sum) in sums.iter().enumerate().take(width - left) {
                            let window = (row * height + top + down) * width + left + across;
                            let to = self.y.as_mut_ptr().add(window * filters + filter);
                            store(s, to, filters - filter, &[s.add(*sum, bias)]);
                        }
                    }
                }
                filter += S::LANES;
            }
        }
    }
}

/// `G g` of one column.
#[inline(always)]
fn kernel_transform<S: Simd>(s: S, g: &[S::Vector; 3]) -> [S::Vector; IN] {
    let [g0, g1, g2] = *g;
    let [quarter, sixth, twelfth, twenty_fourth] = [4.0, 6.0, 12.0, 24.0].map(|value: f32| s.splat(1.0 / value));
    let (even, odd) = (s.mul(sixth, s.add(g0, g2)), s.mul(sixth, g1));
    let (far, far_odd) = (s.mul_add(twenty_fourth, g0, s.mul(sixth, g2)), s.mul(twelfth, g1));
    let zero = s.splat(0.0);
    [
        s.mul(quarter, g0),
        s.sub(zero, s.add(even, odd)),
        s.sub(odd, even),
        s.add(far, far_odd),
        s.sub(far, far_odd),
        g2,
    ]
}

/// `Bᵀ d` of one column.
#[inline(always)]
fn input_transform<S: Simd>(s: S, d: &[S::Vector; IN], factors: &[S::Vector; 5]) -> [S::Vector; IN] {
    let [d0, d1, d2, d3, d4, d5] = *d;
    let [two, minus_two, four, minus_four, minus_five] = *factors;
    // Pairs of rows share their even and odd parts.
    let even = s.mul_add(minus_four, d2, d4);
    let odd = s.mul_add(minus_four, d1, d3);
    let (near, far) = (s.sub(d4, d2), s.sub(d3, d1));
    [
        s.mul_add(four, d0, s.mul_add(minus_five, d2, d4)),
        s.add(even, odd),
        s.sub(even, odd),
        s.mul_add(two, far, near),
        s.mul_add(minus_two, far, near),
        s.mul_add(four, d1, s.mul_add(minus_five, d3, d5)),
    ]
}

/// `Aᵀ m` of one column.
#[inline(always)]
fn output_transform<S: Simd>(
    s: S,
    m: &[S::Vector; IN],
    two: S::Vector,
    four: S::Vector,
    eight: S::Vector,
) -> [S::Vector; OUT] {
    let [m0, m1, m2, m3, m4, m5] = *m;
    let (near, near_off) = (s.add(m1, m2), s.sub(m1, m2));
    let (far, far_off) = (s.add(m3, m4), s.sub(m3, m4));
    [
        s.add(s.add(m0, near), far),
        s.mul_add(two, far_off, near_off),
        s.mul_add(four, far, near),
        s.add(s.mul_add(eight, far_off, near_off), m5),
    ]
}
