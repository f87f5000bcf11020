//! The matrix product that everything recurrent stands on: `C[m, n] (+)= A[m, k] * B[k, n]` with `B` packed into panels.
//!
//! A tile of `C` (six rows, four vectors) stays in registers while `k` runs; a panel of `B` (`k` rows of up to four vectors, 25 kB for
//! 100 units) stays in the first-level cache while the row tiles pass over it; a matrix that is multiplied with once is read where it
//! lies. `A` is read number by number through two strides, so that the same code multiplies with a transpose: the weight gradient
//! `A^T * dG` is a product whose rows lie one number apart.
//!
//! Each number of `C` is summed over `k` in an order that hangs on its column alone, whatever the tile it falls in, so a row's result
//! does not depend on which rows were computed beside it.

use super::packed::Right;
use super::tile::{Few, TILE, Tile};
use crate::nn::kernels::simd::{Isa, Simd, Work, run};
use crate::nn::threads::group_rows;

/// Rows of `C` are this much longer than their numbers need at most: products write whole vectors.
pub(super) const PADDING: usize = 16;

/// The length of a row of at least `n` numbers that products may write to at any column below `n`.
pub(super) fn padded(n: usize) -> usize {
    n.next_multiple_of(16) + PADDING
}

/// The left side: number `(i, j)` is `values[i * row + j * column]`.
#[derive(Clone, Copy)]
pub(super) struct Left<'a> {
    pub(super) values: &'a [f32],
    pub(super) row: usize,
    pub(super) column: usize,
}

impl<'a> Left<'a> {
    /// Rows one behind another, `stride` numbers apart.
    pub(super) fn rows(values: &'a [f32], stride: usize) -> Self {
        Self {
            values,
            row: stride,
            column: 1,
        }
    }

    /// The transpose of such rows.
    pub(super) fn transposed(values: &'a [f32], stride: usize) -> Self {
        Self {
            values,
            row: 1,
            column: stride,
        }
    }
}

/// What a product begins with.
#[derive(Clone, Copy)]
pub(super) enum Start<'a> {
    /// Nothing.
    Zero,
    /// The same row everywhere: a bias, padded as [`padded`] says.
    Row(&'a [f32]),
    /// What `C` holds.
    Sum,
}

/// `C[m, n] (+)= A[m, k] * B[k, n]`, to be computed.
pub(super) struct Product<'a> {
    /// Rows of `A` and `C`.
    pub(super) m: usize,
    pub(super) a: Left<'a>,
    pub(super) b: Right<'a>,
    pub(super) start: Start<'a>,
    /// Row `i` begins at `c[i * stride]` and is overwritten up to the next whole vector.
    pub(super) c: &'a mut [f32],
    pub(super) stride: usize,
    /// What will be wanted next: brought into the cache meanwhile.
    pub(super) ahead: &'a [&'a [f32]],
}

impl Product<'_> {
    /// Computes it.
    pub(super) fn compute(self, isa: Isa) {
        let Self { m, a, b, stride, .. } = self;
        let columns = b.panels.columns + b.few;
        if m == 0 || columns == 0 {
            return;
        }
        let left = (m - 1) * a.row + b.k.saturating_sub(1) * a.column;
        assert!(b.k == 0 || left < a.values.len(), "the left side holds m x k numbers");
        let room = (m - 1) * stride + columns <= self.c.len();
        assert!(
            room && (m == 1 || columns <= stride),
            "the result has room for whole vectors"
        );
        assert!(b.few == 0 || a.column == 1, "packed to be multiplied with rows");
        if let Start::Row(row) = self.start {
            assert!(columns <= row.len(), "the bias has room for whole vectors");
        }
        run(isa, self);
    }
}

impl Work for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self {
            m,
            a,
            b,
            start,
            c,
            stride,
            ahead,
        } = self;
        assert_eq!(b.panels.lanes, S::LANES, "packed for another instruction set");
        let tiles = m.div_ceil(TILE);
        let (mut done, all) = (0, tiles * b.panels.count);
        for index in 0..b.panels.count {
            let panel = b.panel(index);
            for tile in 0..tiles {
                let (top, bottom) = (m * tile / tiles, m * (tile + 1) / tiles);
                let job = Tile {
                    // SAFETY: `compute` has checked that all of A, C and the bias lie within their slices.
                    a: unsafe { a.values.as_ptr().add(top * a.row) },
                    a_row: a.row,
                    a_column: a.column,
                    k: b.k,
                    panel: panel.values.as_ptr(),
                    panel_row: panel.stride,
                    start: match start {
                        Start::Zero => None,
                        // SAFETY: as above.
                        Start::Row(row) => Some((unsafe { row.as_ptr().add(panel.first) }, 0)),
                        // SAFETY: as above.
                        Start::Sum => Some((unsafe { c.as_ptr().add(top * stride + panel.first) }, stride)),
                    },
                    // SAFETY: as above.
                    c: unsafe { c.as_mut_ptr().add(top * stride + panel.first) },
                    stride,
                };
                // SAFETY: as above; the panel holds k rows of that many vectors.
                unsafe { job.any(s, bottom - top, panel.vectors) }
                for row in &ahead[group_rows(ahead.len(), all, done)] {
                    s.prefetch_all(row);
                }
                done += 1;
            }
        }
        if b.few > 0 {
            for top in (0..m).step_by(TILE) {
                let few = Few {
                    // SAFETY: as above; rows of A lie number by number.
                    a: unsafe { a.values.as_ptr().add(top * a.row) },
                    a_row: a.row,
                    quads: b.quads(),
                    count: b.few,
                };
                // SAFETY: as above.
                let sums = unsafe { few.any(s, TILE.min(m - top)) };
                for (r, sums) in sums.iter().enumerate().take(m - top) {
                    let at = (top + r) * stride + b.panels.columns;
                    let c = &mut c[at..at + b.few];
                    match start {
                        Start::Zero => c.fill(0.0),
                        Start::Row(row) => c.copy_from_slice(&row[b.panels.columns..b.panels.columns + b.few]),
                        Start::Sum => {}
                    }
                    super::add(c, sums);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::packed::Packed;
    use super::*;

    #[expect(clippy::cast_precision_loss, reason = "24 bits fit")]
    fn noise(n: usize, seed: u32) -> Vec<f32> {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
        (0..n)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn product_agrees_with_the_naive_sum(m in 1_usize..20, k in 0_usize..40, n in 1_usize..150, transposed: bool, seed: u32) {
            let (a, b, bias) = (noise(m * k, seed), noise(k * n, seed ^ 1), noise(n, seed ^ 2));
            let left = if transposed { Left::transposed(&a, m) } else { Left::rows(&a, k) };
            let mut room = Packed::default();
            let mut start = bias.clone();
            start.resize(padded(n), 0.0);
            for isa in Isa::available() {
                let packed = Packed::new(isa, &b, n, k, n);
                let right = if transposed { Right::of_rows(isa, &b, n, k, n, &mut room) } else { packed.right() };
                let stride = padded(n);
                let mut c = vec![f32::NAN; m * stride];
                Product { m, a: left, b: right, start: Start::Row(&start), c: &mut c, stride, ahead: &[] }.compute(isa);
                Product { m, a: left, b: right, start: Start::Sum, c: &mut c, stride, ahead: &[] }.compute(isa);
                for i in 0..m {
                    for j in 0..n {
                        let product: f64 = (0..k)
                            .map(|l| f64::from(a[i * left.row + l * left.column]) * f64::from(b[l * n + j]))
                            .sum();
                        let expected = f64::from(bias[j]) + 2.0 * product;
                        prop_assert!((f64::from(c[i * stride + j]) - expected).abs() < 1e-4, "{isa:?} row {i} column {j}");
                    }
                }
            }
        }

        #[test]
        fn a_row_does_not_depend_on_its_neighbours(m in 2_usize..20, k in 1_usize..40, n in 1_usize..90, seed: u32) {
            let (a, b) = (noise(m * k, seed), noise(k * n, seed ^ 1));
            for isa in Isa::available() {
                let packed = Packed::new(isa, &b, n, k, n);
                let stride = padded(n);
                let (mut all, mut alone) = (vec![0.0; m * stride], vec![0.0; stride]);
                Product { m, a: Left::rows(&a, k), b: packed.right(), start: Start::Zero, c: &mut all, stride, ahead: &[] }.compute(isa);
                for (i, row) in all.chunks(stride).enumerate() {
                    Product { m: 1, a: Left::rows(&a[i * k..], k), b: packed.right(), start: Start::Zero, c: &mut alone, stride, ahead: &[] }.compute(isa);
                    prop_assert_eq!(&row[..n], &alone[..n]);
                }
            }
        }
    }

    #[test]
    fn the_few_columns_behind_whole_vectors_are_multiplied_too() {
        // LSTM of 100, 20 and 2 units, back: their last columns fill a quarter of a vector or less on one instruction set or another.
        for (units, rows) in [(100, 13), (20, 7), (2, 1), (9, 6)] {
            let (m, k, n) = (rows, 4 * units, units);
            let (a, b, bias) = (noise(m * k, 1), noise(k * n, 2), noise(padded(n), 3));
            for isa in Isa::available() {
                let (packed, stride) = (Packed::new(isa, &b, n, k, n), padded(n));
                let mut c = vec![0.0; m * stride];
                for start in [Start::Row(&bias), Start::Sum] {
                    Product {
                        m,
                        a: Left::rows(&a, k),
                        b: packed.right(),
                        start,
                        c: &mut c,
                        stride,
                        ahead: &[],
                    }
                    .compute(isa);
                }
                for i in 0..m {
                    for j in 0..n {
                        let product: f32 = (0..k).map(|l| a[i * k + l] * b[l * n + j]).sum();
                        let difference = c[i * stride + j] - (bias[j] + 2.0 * product);
                        assert!(
                            difference.abs() < 1e-4,
                            "{isa:?}, {units} units, row {i}, column {j}: {difference}"
                        );
                    }
                }
            }
        }
    }
}
