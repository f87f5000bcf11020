//! Products with a matrix of which much is zero, by what is not.
//!
//! Behind a relu half of all values are zero, behind dropout more, and of pictures, word counts or one-hot columns most. So are the
//! gradients there. A row of `c = a b` is a sum of rows of `b`, and those that are taken zero times can be left out:
//!
//! ```text
//! c[i] = Σ a[i, k] b[k]          for the k with a[i, k] != 0
//! ```
//!
//! The non-zeros of some rows of `a` are listed. Then a panel of `b`, a few vectors wide and as many rows high as the first-level cache
//! holds, stays there while all lists pass, each with the row's sums in registers. Where `b` is the one with zeros, `cᵀ = bᵀ aᵀ` is
//! computed and turned.
//!
//! A row of `b` that is left out is not looked at: should it hold an infinity or NaN, the plain product would have NaN there, and this
//! one has not.

use std::ops::Range;

use super::transpose::transpose_part;
use super::{Matrix, Target};
use crate::nn::kernels::nonzeros::{Lists, add_rows, bits};
use crate::nn::kernels::simd::{Isa, Simd, Work, run};
use crate::nn::threads::{self, group_rows, with_list, with_scratch};

/// Values of a row of `a` that are listed at once: the lists of a tile, its sums and a panel take about a second-level cache.
const INNER: usize = 256;
/// Rows of a panel that stay in the first-level cache.
const BLOCK: usize = 64;
/// Vectors of a panel's row: at 16 lanes a block is 32 kB, of which half is looked at in a row's turn.
const VECTORS: usize = 8;

/// Pieces of rows are read with gaps between them, which the processor does not foresee: so many rows ahead they are asked for.
const AHEAD: usize = 8;
/// Values left out behind the rows of a left side that is turned: a cache line, so that they do not all begin on a few sets of the
/// innermost cache.
const GAP: usize = 16;

/// Into how many tiles a result is cut downwards and across: into large ones, as the right side is copied for each that lies below
/// another, and the left side listed for each beside another; and into some at least, to feed threads.
fn tiles(rows: usize, columns: usize) -> (usize, usize) {
    const MOST: (usize, usize) = (256, 512);
    const FEWEST_TILES: usize = 4;
    const NARROW: usize = 128;
    let (mut down, mut across) = (rows.div_ceil(MOST.0), columns.div_ceil(MOST.1));
    while down * across < FEWEST_TILES {
        if rows.div_ceil(down) > NARROW {
            down *= 2;
        } else if columns.div_ceil(across) > NARROW {
            across *= 2;
        } else {
            break;
        }
    }
    (down, across)
}

/// The share of zeros in a matrix, judged by some of its rows.
fn zeros(matrix: &Matrix) -> f32 {
    /// Rows that are looked at.
    const SAMPLE: usize = 32;
    let (rows, columns, stride) = if matrix.column_stride == 1 {
        (matrix.rows, matrix.columns, matrix.row_stride)
    } else {
        (matrix.columns, matrix.rows, matrix.column_stride)
    };
    let sample = rows.min(SAMPLE);
    let zeros = |part| {
        let row = group_rows(rows, sample, part).start * stride;
        matrix.data[row..row + columns]
            .iter()
            .filter(|value| **value == 0.0)
            .count()
    };
    let found: usize = (0..sample).map(zeros).sum();
    found as f32 / (sample * columns).max(1) as f32
}

/// A product that leaves out the zeros of its left side.
pub(super) struct Sparse<'a> {
    /// `[rows, inner]`, with zeros.
    pub left: Matrix<'a>,
    /// `[inner, columns]`.
    pub right: Matrix<'a>,
    /// What is added to each row of what is written.
    pub onto: Option<&'a [f32]>,
    /// Whether the result is written as `[columns, rows]`.
    pub turned: bool,
}

impl<'a> Sparse<'a> {
    /// `a b`, or with `onto` added to each row, by the non-zeros of one side; None where the plain product is as fast.
    pub fn of(a: Matrix<'a>, b: Matrix<'a>, onto: Option<&'a [f32]>) -> Option<Self> {
        /// The share of zeros from which on leaving them out gains more than it costs to list what is left.
        const WORTH: f32 = 0.35;
        /// Of smaller products it takes as long to copy, to list and to write.
        const FEWEST: usize = 192;
        const NARROWEST: usize = 64;
        let large = |rows: usize, columns: usize| rows >= FEWEST && a.columns >= FEWEST && columns >= NARROWEST;
        if !large(a.rows, b.columns) && !large(b.columns, a.rows) {
            return None;
        }
        let (of_a, of_b) = (zeros(&a), zeros(&b));
        let turned = of_a < of_b;
        let (left, right) = if turned {
            (b.transposed(), a.transposed())
        } else {
            (a, b)
        };
        (of_a.max(of_b) >= WORTH && large(left.rows, right.columns)).then_some(Self {
            left,
            right,
            onto,
            turned,
        })
    }

    /// Writes all of the result, on the pool's threads.
    ///
    /// # Safety
    /// The sides chain, `onto` is as long as a row of the target, and the target has room for the whole result, which no one else reads
    /// or writes meanwhile.
    pub unsafe fn write(&self, target: &Target) {
        let isa = Isa::current();
        let (rows, inner, columns) = (self.left.rows, self.left.columns, self.right.columns);
        let (down, across) = tiles(rows, columns);
        threads::each(down * across, rows * inner * columns, |index| {
            let rows = group_rows(rows, down, index / across);
            let columns = group_rows(columns, across, index % across);
            let (inner, stride) = (inner.min(INNER), columns.len().next_multiple_of(isa.lanes()));
            // Whole vectors, and one behind each list.
            let list = (rows.len() * inner + isa.lanes()).next_multiple_of(isa.lanes());
            let panel = inner * VECTORS * isa.lanes();
            let turned = rows.len() * (inner + GAP);
            with_scratch(rows.len() * stride + 2 * list + panel + turned, |room| {
                let (sums, room) = room.split_at_mut(rows.len() * stride);
                let (values, room) = room.split_at_mut(list);
                let (places, room) = room.split_at_mut(list);
                let (panel, turned) = room.split_at_mut(panel);
                with_list(|ends| {
                    let tile = Tile {
                        product: self,
                        rows,
                        columns,
                        target,
                        stride,
                        sums,
                        values,
                        places,
                        ends,
                        panel,
                        turned,
                    };
                    run(isa, tile);
                });
            });
        });
    }
}

/// A part of the result, computed by one thread.
struct Tile<'a> {
    product: &'a Sparse<'a>,
    rows: Range<usize>,
    columns: Range<usize>,
    target: &'a Target,
    /// Values between the beginnings of two rows of `sums`: whole vectors.
    stride: usize,
    /// `[rows, stride]`.
    sums: &'a mut [f32],
    /// The non-zeros, block by block and there row by row.
    values: &'a mut [f32],
    /// For each non-zero where its row of the panel begins in its block.
    places: &'a mut [f32],
    /// Where the list of each row of each block ends, behind where the first begins.
    ends: &'a mut Vec<usize>,
    /// Room for some columns of the right side, `[inner, VECTORS]`.
    panel: &'a mut [f32],
    /// Room for some rows of a left side that lies in columns.
    turned: &'a mut [f32],
}

impl Work for Tile<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        self.sums.fill(0.0);
        let (inner, vectors) = (self.product.left.columns, self.stride / S::LANES);
        let panels = vectors.div_ceil(VECTORS);
        for first in (0..inner).step_by(INNER) {
            let inner = first..(first + INNER).min(inner);
            self.list(s, inner.clone());
            for panel in 0..panels {
                let vectors = group_rows(vectors, panels, panel);
                self.pack(s, inner.clone(), vectors.clone());
                match vectors.len() {
                    1 => self.add::<S, 1>(s, inner.len(), vectors.start),
                    2 => self.add::<S, 2>(s, inner.len(), vectors.start),
                    3 => self.add::<S, 3>(s, inner.len(), vectors.start),
                    4 => self.add::<S, 4>(s, inner.len(), vectors.start),
                    5 => self.add::<S, 5>(s, inner.len(), vectors.start),
                    6 => self.add::<S, 6>(s, inner.len(), vectors.start),
                    7 => self.add::<S, 7>(s, inner.len(), vectors.start),
                    _ => self.add::<S, VECTORS>(s, inner.len(), vectors.start),
                }
            }
        }
        self.write(s);
    }
}

impl Tile<'_> {
    /// Lists the non-zeros of the left side's columns `inner`.
    #[inline(always)]
    fn list<S: Simd>(&mut self, s: S, inner: Range<usize>) {
        let (left, rows) = (self.product.left, self.rows.clone());
        let (from, stride) = if left.column_stride == 1 {
            let first = rows.start * left.row_stride + inner.start;
            (&left.data[first..], left.row_stride)
        } else {
            let (first, stride) = (inner.start * left.column_stride + rows.start, inner.len() + GAP);
            let (from, to) = (left.data[first..].as_ptr(), self.turned.as_mut_ptr());
            // SAFETY: the part lies in the matrix, and there is room for it.
            unsafe {
                transpose_part(s, (from, left.column_stride), inner.len(), rows.len(), (to, stride));
            };
            (&*self.turned, stride)
        };
        let (zero, one) = (s.splat(0.0), s.splat(1.0));
        let starts: [f32; BLOCK] = std::array::from_fn(|row| bits(row * VECTORS * S::LANES));
        let mut lists = Lists {
            values: self.values,
            places: self.places,
        };
        let mut end = 0;
        self.ends.clear();
        self.ends.push(end);
        for block in (0..inner.len()).step_by(BLOCK) {
            let height = BLOCK.min(inner.len() - block);
            for row in 0..rows.len() {
                ask_ahead(s, from, (row + AHEAD) * stride + block, height);
                for at in (0..height).step_by(S::LANES) {
                    let from = &from[row * stride + block + at..];
                    // SAFETY: `height - at` values are left of the block's row, and a vector of starts at each of its places.
                    let (value, start) = unsafe {
                        (
                            s.load_up_to(from.as_ptr(), height - at),
                            s.load(starts.as_ptr().add(at)),
                        )
                    };
                    // Instruction sets here compare for equality alone.
                    let chosen = s.equal(s.select(s.equal(value, zero), zero, one), one);
                    end = lists.push(s, end, chosen, value, start);
                }
                self.ends.push(end);
            }
        }
    }

    /// Copies rows `inner` of the right side, some vectors wide, side by side.
    #[inline(always)]
    fn pack<S: Simd>(&mut self, s: S, inner: Range<usize>, vectors: Range<usize>) {
        let (right, width) = (self.product.right, vectors.len() * S::LANES);
        let first = self.columns.start + vectors.start * S::LANES;
        let left = self.columns.end - first;
        let stride = VECTORS * S::LANES;
        assert!(self.panel.len() >= inner.len() * stride);
        let to = self.panel.as_mut_ptr();
        if right.column_stride == 1 {
            let from = &right.data[inner.start * right.row_stride + first..];
            for row in 0..inner.len() {
                ask_ahead(s, from, (row + AHEAD) * right.row_stride, width.min(left));
                let from = &from[row * right.row_stride..];
                for at in (0..width).step_by(S::LANES) {
                    // SAFETY: `left - at` values are left of the row, and each row of the panel has room for `VECTORS`.
                    unsafe {
                        let vector = s.load_up_to(from.as_ptr().add(at), left - at);
                        s.store(to.add(row * stride + at), vector);
                    }
                }
            }
        } else {
            let from = right.data[first * right.column_stride + inner.start..].as_ptr();
            let columns = width.min(left);
            // SAFETY: so many columns of the matrix lie one after another, and the panel has room for them; what it holds beyond them goes
            // into sums that are not written.
            unsafe { transpose_part(s, (from, right.column_stride), columns, inner.len(), (to, stride)) };
        }
    }

    /// Adds to the sums, from the vector `first` on, what the lists take of the panel's `inner` rows of `V` vectors.
    #[inline(always)]
    fn add<S: Simd, const V: usize>(&mut self, s: S, inner: usize, first: usize) {
        let rows = self.rows.len();
        assert!(self.panel.len() >= inner * VECTORS * S::LANES && self.sums.len() == rows * self.stride);
        assert!(first + V <= self.stride / S::LANES && self.ends.len() == inner.div_ceil(BLOCK) * rows + 1);
        let lists = Lists {
            values: self.values,
            places: self.places,
        };
        for (number, ends) in self.ends.windows(2).enumerate() {
            let (block, row) = (number / rows, number % rows);
            let panel = self.panel[block * BLOCK * VECTORS * S::LANES..].as_ptr();
            let sums = self.sums[row * self.stride + first * S::LANES..].as_mut_ptr();
            // SAFETY: the list's places are those of rows of the block, of which the panel has `V` vectors, as the sums have from the first
            // on.
            unsafe { add_rows::<S, V, _>(s, panel, lists.list(ends[0]..ends[1]).each(), sums, V * S::LANES) };
        }
    }

    /// Writes the sums into the result.
    #[inline(always)]
    fn write<S: Simd>(self, s: S) {
        let Self {
            product, rows, columns, ..
        } = self;
        for (row, sums) in rows.clone().zip(self.sums.chunks_exact_mut(self.stride)) {
            match product.onto {
                Some(onto) if product.turned => sums.iter_mut().for_each(|sum| *sum += onto[row]),
                Some(onto) => {
                    let onto = &onto[columns.clone()];
                    sums.iter_mut().zip(onto).for_each(|(sum, onto)| *sum += onto);
                }
                None => {}
            }
            if !product.turned {
                let to = self
                    .target
                    .data
                    .wrapping_add(row * self.target.row_stride + columns.start);
                // SAFETY: the row's columns lie in the target, and only this tile writes them.
                unsafe { to.copy_from_nonoverlapping(sums.as_ptr(), columns.len()) };
            }
        }
        if product.turned {
            let to = self
                .target
                .data
                .wrapping_add(columns.start * self.target.row_stride + rows.start);
            // SAFETY: the part lies in the target, and only this tile writes it.
            unsafe {
                transpose_part(
                    s,
                    (self.sums.as_ptr(), self.stride),
                    rows.len(),
                    columns.len(),
                    (to, self.target.row_stride),
                );
            }
        }
    }
}

/// Asks for a row's `len` values that begin at `at`, if there are such.
#[inline(always)]
fn ask_ahead<S: Simd>(s: S, values: &[f32], at: usize, len: usize) {
    if let Some(row) = values.get(at..at + len) {
        s.prefetch_all(row);
    }
}
