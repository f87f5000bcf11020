//! 3x3 and 5x5 convolutions of pictures at a sixth to a third of the multiplications: Winograd's F(4x4, 3x3), F(6x6, 3x3), F(2x2, 5x5)
//! and F(4x4, 5x5).
//!
//! After Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2016). A tile of `m` by `m` outputs of an `r` by `r` kernel
//! needs `m + r - 1`, here 6 or 8, by as many inputs `d`. With the kernel `g` of one channel and filter,
//!
//! ```text
//! outputs = Aᵀ ( (G g Gᵀ) * (Bᵀ d B) ) A        * element by element
//! ```
//!
//! `A x` is the polynomial with coefficients `x` at the points 0, 1, -1, 2, -2, (for tiles of 8) 1/2, -1/2, and at infinity, where it is
//! its last coefficient. Two polynomials are multiplied by multiplying their values; the way back from values to coefficients is
//! Lagrange's, and transposed it turns the product into the correlation that is wanted. So a row of `Bᵀ` holds the coefficients of
//! `M(t) / (t - p)`, with `M` the product of `t - p` over all points but infinity, whose row is `M` itself; and `G x` is `A x` with the
//! value at each point divided by `M'(p)`. For tiles of 6, for example,
//!
//! ```text
//!      |4  0 -5  0  1  0|
//!      |0 -4 -4  1  1  0|
//! Bᵀ = |0  4 -4 -1  1  0|      G x: A x times 1/4, -1/6, -1/6, 1/24, 1/24 and 1
//!      |0 -2 -1  2  1  0|
//!      |0  2 -1 -2  1  0|
//!      |0  4  0 -5  0  1|
//! ```
//!
//! The products of the 36 or 64 places, summed over channels, are as many products of matrices
//! `[tiles, channels] x [channels, filters]`:
//!
//! | | multiply-adds for an output | by tiles of 6 | of 8 |
//! |---|---|---|---|
//! | 3x3 | 9 | 36 / 16 = 2.25 | 64 / 36 = 1.78 |
//! | 5x5 | 25 | 36 / 4 = 9 | 64 / 16 = 4 |
//!
//! Tiles that reach beyond the output compute what nobody needs, so which tiles have fewer multiply-adds hangs on its size
//! ([`Tiling`]). The transformations only add and shift scales; they cost a few percent once there are some sixteen channels and
//! filters. Rounding grows with the scales: outputs and gradients are off by 2e-6 to 9e-6 of the largest with tiles of 6, and by not
//! twice as much with those of 8.
//!
//! Everything here is linear in `d` and in `g`, so the kernel's gradient is the same read from right to left ([`WinogradGradient`]):
//!
//! ```text
//! dg = Gᵀ ( sum over tiles of (A dy Aᵀ) * (Bᵀ d B) ) G
//! ```
//!
//! Again products of matrices, `[channels, tiles] x [tiles, filters]`, and as many multiplications fewer.

mod forward;
mod kernel_gradient;
mod large_gradient;
mod transforms;

pub use self::forward::Winograd;
pub use self::kernel_gradient::WinogradGradient;
pub use self::large_gradient::{by_filters, suits_parts};

use self::transforms::{both_ways, input_transform};
use super::ConvGeometry;
use super::field::Field;
use crate::nn::kernels::simd::{Isa, Simd};
use crate::nn::threads::with_scratch;

/// Tiles that are multiplied together.
const TILES: usize = 12;
/// Values of transformed tiles that stay in a core's cache beside the kernel.
const CACHED: usize = 96 << 10;
/// Values left out behind the tiles of each place: a cache line, so that a tile's places do not all fall on a few sets of the innermost
/// cache.
const GAP: usize = 16;

/// A tile of `side` by `side` inputs under a kernel of `cells` by `cells`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tile {
    side: usize,
    cells: usize,
}

/// What large tiles have to leave of the products of small ones to be worth it, as a fraction.
type Worth = (usize, usize);
/// In the forward pass.
const IN_FORWARD: Worth = (9, 10);
/// For the kernel's gradient, whose sums are visited at every place.
const IN_GRADIENT: Worth = (2, 3);

impl Tile {
    /// Of the sides that the transformations are made for, small and large.
    const SIDES: [usize; 2] = [6, 8];

    /// The tile that a convolution is best cut into: a small one, unless large ones have fewer products by enough.
    fn of(geometry: &ConvGeometry, (part, whole): Worth) -> Self {
        let cells = geometry.window.kernel[2];
        let [small, large] = Self::SIDES.map(|side| Self { side, cells });
        let products = |tile: Self| tile.tiles(geometry).iter().product::<usize>() * tile.places();
        if whole * products(large) <= part * products(small) {
            large
        } else {
            small
        }
    }

    /// Outputs along each axis.
    const fn outputs(self) -> usize {
        self.side + 1 - self.cells
    }

    /// Places of the transformed tile.
    const fn places(self) -> usize {
        self.side * self.side
    }

    /// Tiles along both axes of a convolution's output.
    fn tiles(self, geometry: &ConvGeometry) -> [usize; 2] {
        let [_, height, width] = geometry.window.output;
        [height, width].map(|length| length.div_ceil(self.outputs()))
    }
}

/// Whether a convolution is of the kind that is computed here, and large enough to gain.
pub fn suits(geometry: &ConvGeometry) -> bool {
    const FEWEST: usize = 16;
    let w = &geometry.window;
    let [depth, height, width] = w.kernel;
    depth == 1
        && height == width
        && matches!(width, 3 | 5)
        && w.strides == [1; 3]
        && w.dilation == [1; 3]
        && w.input[0] == 1
        && geometry.channels >= FEWEST
        && geometry.filters >= FEWEST
        && w.output[1].min(w.output[2]) > Tile::SIDES[0] - width
}

/// Tiles that are worth transforming sums back for, of which there are up to seven times as many as the kernel's values.
const FEWEST_TILES: usize = 16;

/// Whether the kernel's gradient is such too, summed over `rows` rows.
pub fn suits_gradient(geometry: &ConvGeometry, rows: usize) -> bool {
    suits(geometry) && !has_many_sums(geometry) && rows * tiles_of_gradient(geometry) >= FEWEST_TILES
}

/// Whether its sums are too many for each group of rows to visit all of them.
fn has_many_sums(geometry: &ConvGeometry) -> bool {
    const MANY: usize = 1 << 20;
    Tile::of(geometry, IN_GRADIENT).places() * geometry.channels * geometry.filters > MANY
}

/// Tiles of a row for the kernel's gradient.
fn tiles_of_gradient(geometry: &ConvGeometry) -> usize {
    Tile::of(geometry, IN_GRADIENT).tiles(geometry).iter().product()
}

/// The tiles of the rows of a batch, and where their inputs lie.
struct Tiling {
    isa: Isa,
    field: Field,
    channels: usize,
    tile: Tile,
    output: [usize; 2],
    tiles: [usize; 2],
    /// Values from one line of the field to the next.
    line: usize,
}

impl Tiling {
    /// By such tiles, for the instruction set of the calling thread.
    fn new(geometry: &ConvGeometry, tile: Tile) -> Self {
        let [_, height, width] = geometry.window.output;
        let tiles = tile.tiles(geometry);
        let [lines, columns] = tiles.map(|tiles| tiles * tile.outputs() + tile.side - tile.outputs());
        let field = Field::with_dims(geometry, [1, lines, columns]);
        Self {
            isa: Isa::current(),
            line: field.line(),
            field,
            channels: geometry.channels,
            tile,
            output: [height, width],
            tiles,
        }
    }

    /// Tiles of a row.
    fn of_row(&self) -> usize {
        self.tiles[0] * self.tiles[1]
    }

    /// Values of a tile at one place, in whole vectors.
    fn stride(&self) -> usize {
        self.channels.next_multiple_of(self.isa.lanes())
    }

    /// How many of `total` tiles are computed at once, whose transformed inputs and `others` further values for each place are kept.
    fn at_once(&self, others: usize, fewest: usize, total: usize) -> usize {
        let tiles = CACHED / (self.tile.places() * (self.stride() + others)) / TILES * TILES;
        tiles.clamp(fewest, 8 * TILES).min(total)
    }

    /// Calls `work` with the fields of `rows` rows.
    fn with_fields<R>(&self, x: &[f32], rows: usize, work: impl FnOnce(&[f32]) -> R) -> R {
        if self.field.is_input() {
            assert_eq!(x.len(), rows * self.field.len());
            return work(x);
        }
        with_scratch(rows * self.field.len(), |fields| {
            self.field.fill(x, fields);
            work(fields)
        })
    }

    /// The row of the batch, and the tile's place along both axes.
    #[inline(always)]
    fn place(&self, tile: usize) -> (usize, usize, usize) {
        let [down, across] = self.tiles;
        (tile / (down * across), tile / across % down, tile % across)
    }

    /// `Bᵀ d B` of the tiles `range` and every channel, to `[place, tile, channels]` with a [`GAP`] behind each place.
    #[inline(always)]
    fn transform<S: Simd>(&self, s: S, fields: &[f32], range: std::ops::Range<usize>, to: &mut [f32]) {
        match self.tile.side {
            8 => self.transform_tiles::<S, 8>(s, fields, range, to),
            _ => self.transform_tiles::<S, 6>(s, fields, range, to),
        }
    }

    #[inline(always)]
    fn transform_tiles<S: Simd, const IN: usize>(
        &self,
        s: S,
        fields: &[f32],
        range: std::ops::Range<usize>,
        to: &mut [f32],
    ) {
        let Self { channels, line, .. } = *self;
        let stride = self.stride();
        let place_stride = range.len() * stride + GAP;
        assert!(range.end.div_ceil(self.of_row()) * self.field.len() <= fields.len());
        assert!(self.tile.side == IN && to.len() >= IN * IN * place_stride && stride.is_multiple_of(S::LANES));
        let out = self.tile.outputs();
        for (at, tile) in range.enumerate() {
            let (row, top, left) = self.place(tile);
            let from = row * self.field.len() + top * out * line + left * out * channels;
            let mut channel = 0;
            while channel < channels {
                both_ways(
                    s,
                    #[inline(always)]
                    |height: usize, column: usize| {
                        let at = from + channel + height * line + column * channels;
                        // SAFETY: the field has `IN` lines of `IN` cells from each tile's first on, and reading ends with the
                        // cell's channels.
                        unsafe { s.load_up_to(fields.as_ptr().add(at), channels - channel) }
                    },
                    #[inline(always)]
                    |values: &[_; IN]| input_transform(s, values),
                    #[inline(always)]
                    |height: usize, column: usize, value| {
                        let at = at * stride + channel + (height * IN + column) * place_stride;
                        // SAFETY: `to` has room for all places of these tiles in whole vectors.
                        unsafe { s.store(to.as_mut_ptr().add(at), value) };
                    },
                );
                channel += S::LANES;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::kernels::window::Padding;

    #[test]
    fn tiles_are_large_where_that_saves_a_tenth_of_the_products() {
        let geometry = |length: usize, cells: usize| {
            ConvGeometry::new(&[length; 2], 16, &[cells; 2], 16, &[1; 2], &[1; 2], Padding::Same).unwrap()
        };
        let side = |length, cells| Tile::of(&geometry(length, cells), IN_FORWARD).side;
        // 14 is four tiles of 4 or three of 6; 28 is seven or five.
        assert_eq!(
            [4, 6, 8, 12, 14, 16, 28, 32].map(|length| side(length, 3)),
            [6, 8, 6, 8, 6, 6, 6, 6]
        );
        assert_eq!([2, 3, 5, 28].map(|length| side(length, 5)), [6, 8, 8, 8]);
        assert_eq!(
            [3, 5].map(|cells| Tile::of(&geometry(12, cells), IN_GRADIENT).side),
            [6, 8]
        );
    }

    #[test]
    fn chunks_have_as_many_rows_as_fill_register_tiles() {
        let chunk_rows = |length: usize, rows: usize, wanted: usize, most: usize| {
            let g = ConvGeometry::new(&[length; 2], 64, &[3; 2], 32, &[1; 2], &[1; 2], Padding::Same).unwrap();
            Winograd::new(&g, &vec![0.0; g.kernel_len()], None).chunk_rows(rows, wanted, most)
        };
        // Four tiles a row, three rows to a register tile of twelve.
        assert_eq!(
            [(31, 4), (32, 4), (16, 2), (8, 1)].map(|(rows, wanted)| chunk_rows(12, rows, wanted, rows)),
            [3, 3, 3, 3]
        );
        // Not more than a thread's share.
        assert_eq!([4, 2, 1].map(|most| chunk_rows(12, 8 * most, most, most)), [3, 2, 1]);
        // Forty-nine tiles a row: 54 are multiplied, for two rows 102, which is little enough for any chunk.
        assert_eq!([1, 2, 4].map(|wanted| chunk_rows(28, 32, wanted, 32)), [2, 2, 4]);
    }
}
