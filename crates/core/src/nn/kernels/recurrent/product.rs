//! The matrix product that everything recurrent stands on: `C[m, n] (+)= A[m, k] * B[k, n]` with `B` packed into panels.
//!
//! A tile of `C` (six rows, four vectors) stays in registers while `k` runs; a panel of `B` (`k` rows of up to four vectors, 25 kB for
//! 100 units) stays in the first-level cache while the row tiles pass over it. `A` is read number by number through two strides, so
//! that the same code multiplies with a transpose: the weight gradient `A^T * dG` is a product whose rows lie one number apart.
//!
//! Each number of `C` is summed over `k` in ascending order whatever the tile it falls in, so a row's result does not depend on which
//! rows were computed beside it.

use crate::nn::kernels::simd::{Isa, Simd, Work, run};

/// Rows of `C` are this much longer than their numbers need at most: products write whole vectors.
pub(super) const PADDING: usize = 16;

/// Rows of a tile of `C`; its vectors side by side are as many as the registers then hold.
const TILE: usize = 6;

/// Numbers in a cache line.
const LINE: usize = 16;

/// The length of a row of at least `n` numbers that products may write to at any column below `n`.
pub(super) fn padded(n: usize) -> usize {
    n.next_multiple_of(16) + PADDING
}

/// A matrix `[k, n]`, cut into panels of whole vectors and padded with zeros.
#[derive(Debug, Default)]
pub(super) struct Packed {
    k: usize,
    n: usize,
    /// Columns of the panels together.
    columns: usize,
    panels: usize,
    lanes: usize,
    values: Vec<f32>,
    /// Where the panels begin in `values`: at a cache line, as a vector that straddles two takes twice the time to load.
    first: usize,
}

impl Packed {
    /// Packs `k` rows of `n` numbers for `isa`; row `i` begins at `from[i * stride]`.
    pub(super) fn new(isa: Isa, from: &[f32], stride: usize, k: usize, n: usize) -> Self {
        let mut packed = Self::default();
        packed.fill(isa, from, stride, k, n);
        packed
    }

    /// Packs the transpose of `n` rows of `k` numbers.
    pub(super) fn transposed(isa: Isa, from: &[f32], stride: usize, k: usize, n: usize) -> Self {
        let mut rows = vec![0.0; k * n];
        for (column, row) in from.chunks(stride).take(n).enumerate() {
            for (i, &value) in row[..k].iter().enumerate() {
                rows[i * n + column] = value;
            }
        }
        Self::new(isa, &rows, n, k, n)
    }

    /// [`Packed::new`] into memory that is there already.
    pub(super) fn fill(&mut self, isa: Isa, from: &[f32], stride: usize, k: usize, n: usize) {
        let (panel, lanes) = (isa.accumulators() / TILE, isa.lanes());
        let vectors = n.div_ceil(lanes);
        *self = Self {
            k,
            n,
            columns: vectors * lanes,
            panels: vectors.div_ceil(panel),
            lanes,
            values: std::mem::take(&mut self.values),
            first: 0,
        };
        let needed = k * self.columns + LINE;
        if self.values.len() < needed {
            self.values = vec![0.0; needed];
        }
        self.first = self.values.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
        for index in 0..self.panels {
            let (start, width) = self.panel(index);
            let real = width.min(n - start);
            let from_line = self.first;
            let panel = &mut self.values[from_line + start * k..from_line + (start + width) * k];
            for (i, row) in panel.chunks_exact_mut(width).enumerate() {
                let begin = i * stride + start;
                row[..real].copy_from_slice(&from[begin..begin + real]);
                row[real..].fill(0.0);
            }
        }
    }

    /// First column and width of a panel: vectors are dealt out evenly, so that no panel is too narrow to be fast.
    fn panel(&self, index: usize) -> (usize, usize) {
        let vectors = self.columns / self.lanes;
        let (start, end) = (vectors * index / self.panels, vectors * (index + 1) / self.panels);
        (start * self.lanes, (end - start) * self.lanes)
    }
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
    pub(super) b: &'a Packed,
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
        if m == 0 || b.n == 0 {
            return;
        }
        let left = (m - 1) * a.row + b.k.saturating_sub(1) * a.column;
        assert!(b.k == 0 || left < a.values.len(), "the left side holds m x k numbers");
        let room = (m - 1) * stride + b.columns <= self.c.len();
        assert!(
            room && (m == 1 || b.columns <= stride),
            "the result has room for whole vectors"
        );
        if let Start::Row(row) = self.start {
            assert!(b.columns <= row.len(), "the bias has room for whole vectors");
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
        assert_eq!(b.lanes, S::LANES, "packed for another instruction set");
        let tiles = m.div_ceil(TILE);
        let (mut done, all) = (0, tiles * b.panels);
        for index in 0..b.panels {
            let (first, width) = b.panel(index);
            let panel = &b.values[b.first + first * b.k..b.first + (first + width) * b.k];
            for tile in 0..tiles {
                let (top, bottom) = (m * tile / tiles, m * (tile + 1) / tiles);
                let job = Tile {
                    // SAFETY: `compute` has checked that all of A, C and the bias lie within their slices.
                    a: unsafe { a.values.as_ptr().add(top * a.row) },
                    a_row: a.row,
                    a_column: a.column,
                    k: b.k,
                    panel: panel.as_ptr(),
                    start: match start {
                        Start::Zero => None,
                        // SAFETY: as above.
                        Start::Row(row) => Some((unsafe { row.as_ptr().add(first) }, 0)),
                        // SAFETY: as above.
                        Start::Sum => Some((unsafe { c.as_ptr().add(top * stride + first) }, stride)),
                    },
                    // SAFETY: as above.
                    c: unsafe { c.as_mut_ptr().add(top * stride + first) },
                    stride,
                };
                // SAFETY: as above; the panel holds k rows of `width` numbers.
                unsafe { job.any(s, bottom - top, width / S::LANES) }
                for row in &ahead[ahead.len() * done / all..ahead.len() * (done + 1) / all] {
                    for line in row.chunks(LINE) {
                        s.prefetch(line.as_ptr());
                    }
                }
                done += 1;
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Tile {
    a: *const f32,
    a_row: usize,
    a_column: usize,
    k: usize,
    panel: *const f32,
    start: Option<(*const f32, usize)>,
    c: *mut f32,
    stride: usize,
}

impl Tile {
    /// Chooses the tile of `rows` rows and `vectors` vectors.
    #[inline(always)]
    unsafe fn any<S: Simd>(self, s: S, rows: usize, vectors: usize) {
        // SAFETY: the caller vouches for the tile's memory. Sizes beyond the instruction set's are never asked for, and compiled
        // out, as the constants are known.
        unsafe {
            match vectors {
                1 => self.rows::<S, 1>(s, rows),
                2 if (S::ACCUMULATORS / TILE) >= 2 => self.rows::<S, 2>(s, rows),
                3 if (S::ACCUMULATORS / TILE) >= 3 => self.rows::<S, 3>(s, rows),
                4 if (S::ACCUMULATORS / TILE) >= 4 => self.rows::<S, 4>(s, rows),
                _ => unreachable!("a panel has 1 to {} vectors", (S::ACCUMULATORS / TILE)),
            }
        }
    }

    #[inline(always)]
    unsafe fn rows<S: Simd, const N: usize>(self, s: S, rows: usize) {
        // SAFETY: as in `any`.
        unsafe {
            match rows {
                1 => self.compute::<S, 1, N>(s),
                2 => self.compute::<S, 2, N>(s),
                3 => self.compute::<S, 3, N>(s),
                4 => self.compute::<S, 4, N>(s),
                5 => self.compute::<S, 5, N>(s),
                6 => self.compute::<S, 6, N>(s),
                _ => unreachable!("a tile has 1 to {} rows", TILE),
            }
        }
    }

    /// # Safety
    /// A must hold `R` rows of `k` numbers, the panel `k` rows of `N` vectors, C and the start `R` rows of `N` vectors.
    #[inline(always)]
    unsafe fn compute<S: Simd, const R: usize, const N: usize>(self, s: S) {
        // SAFETY: the caller vouches for all that is read and written here.
        unsafe {
            let mut sums = [[s.splat(0.0); N]; R];
            if let Some((start, stride)) = self.start {
                for (r, row) in sums.iter_mut().enumerate() {
                    for (j, sum) in row.iter_mut().enumerate() {
                        *sum = s.load(start.add(r * stride + j * S::LANES));
                    }
                }
            }
            let (mut a, mut panel) = (self.a, self.panel);
            for _ in 0..self.k {
                let mut b = [s.splat(0.0); N];
                for (j, b) in b.iter_mut().enumerate() {
                    *b = s.load(panel.add(j * S::LANES));
                }
                for (r, row) in sums.iter_mut().enumerate() {
                    let factor = s.splat(*a.add(r * self.a_row));
                    for (sum, &b) in row.iter_mut().zip(&b) {
                        *sum = s.mul_add(factor, b, *sum);
                    }
                }
                a = a.wrapping_add(self.a_column);
                panel = panel.wrapping_add(N * S::LANES);
            }
            for (r, row) in sums.iter().enumerate() {
                for (j, &sum) in row.iter().enumerate() {
                    s.store(self.c.add(r * self.stride + j * S::LANES), sum);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
            let mut start = bias.clone();
            start.resize(padded(n), 0.0);
            for isa in Isa::available() {
                let packed = Packed::new(isa, &b, n, k, n);
                let stride = padded(n);
                let mut c = vec![f32::NAN; m * stride];
                Product { m, a: left, b: &packed, start: Start::Row(&start), c: &mut c, stride, ahead: &[] }.compute(isa);
                Product { m, a: left, b: &packed, start: Start::Sum, c: &mut c, stride, ahead: &[] }.compute(isa);
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
                Product { m, a: Left::rows(&a, k), b: &packed, start: Start::Zero, c: &mut all, stride, ahead: &[] }.compute(isa);
                for (i, row) in all.chunks(stride).enumerate() {
                    Product { m: 1, a: Left::rows(&a[i * k..], k), b: &packed, start: Start::Zero, c: &mut alone, stride, ahead: &[] }.compute(isa);
                    prop_assert_eq!(&row[..n], &alone[..n]);
                }
            }
        }
    }
}
