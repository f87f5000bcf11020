//! What of a product stays in registers: a tile of its result, or some rows of its last few columns.

use crate::nn::kernels::simd::Simd;

/// Rows of a tile of `C`; its vectors side by side are as many as the registers then hold.
pub(super) const TILE: usize = 6;

/// Rows of B whose numbers of one column lie in one vector, where that has few columns.
pub(super) const QUAD: usize = 4;

/// Columns that a vector of quads holds at most.
const MOST_FEW: usize = 4;

/// A tile of `C`, up to [`TILE`] rows of up to a panel's vectors.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    /// The tile's first row of A, and from row to row and column to column of it.
    pub(super) a: *const f32,
    pub(super) a_row: usize,
    pub(super) a_column: usize,
    /// Columns of A, rows of the panel.
    pub(super) k: usize,
    pub(super) panel: *const f32,
    pub(super) panel_row: usize,
    /// What the sums begin with, and from row to row of it; zeros if absent.
    pub(super) start: Option<(*const f32, usize)>,
    /// Where the tile begins in C, and from row to row of that.
    pub(super) c: *mut f32,
    pub(super) stride: usize,
}

impl Tile {
    /// Computes `rows` rows of `vectors` vectors.
    ///
    /// # Safety
    /// A must hold that many rows of `k` numbers, the panel `k` rows of that many vectors, C and the start that many rows of vectors.
    #[inline(always)]
    pub(super) unsafe fn any<S: Simd>(self, s: S, rows: usize, vectors: usize) {
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
                panel = panel.wrapping_add(self.panel_row);
            }
            for (r, row) in sums.iter().enumerate() {
                for (j, &sum) in row.iter().enumerate() {
                    s.store(self.c.add(r * self.stride + j * S::LANES), sum);
                }
            }
        }
    }
}

/// The columns that would leave three quarters of a vector empty, or more: each lane sums one column over every fourth row of B, and
/// the four lanes of a column are added at last. So a vector multiplies four rows of B at once.
#[derive(Clone, Copy)]
pub(super) struct Few<'a> {
    /// The first row of A, and from row to row.
    pub(super) a: *const f32,
    pub(super) a_row: usize,
    /// Of all rows of B.
    pub(super) quads: &'a [f32],
    /// Columns.
    pub(super) count: usize,
}

impl Few<'_> {
    /// The sums of up to [`TILE`] rows.
    ///
    /// # Safety
    /// A must hold `rows` rows of as many numbers as B has rows.
    #[inline(always)]
    pub(super) unsafe fn any<S: Simd>(self, s: S, rows: usize) -> [[f32; MOST_FEW]; TILE] {
        // SAFETY: the caller vouches for the rows.
        unsafe {
            match rows {
                1 => self.compute::<S, 1>(s),
                2 => self.compute::<S, 2>(s),
                3 => self.compute::<S, 3>(s),
                4 => self.compute::<S, 4>(s),
                5 => self.compute::<S, 5>(s),
                6 => self.compute::<S, 6>(s),
                _ => unreachable!("a tile has 1 to {} rows", TILE),
            }
        }
    }

    /// # Safety
    /// A must hold `R` rows of as many numbers as B has rows.
    #[inline(always)]
    unsafe fn compute<S: Simd, const R: usize>(self, s: S) -> [[f32; MOST_FEW]; TILE] {
        let mut sums = [s.splat(0.0); R];
        for (quad, vector) in self.quads.chunks_exact(S::LANES).enumerate() {
            for (r, sum) in sums.iter_mut().enumerate() {
                // SAFETY: the caller vouches for A, and the chunk is a vector.
                let (factors, b) = unsafe {
                    (
                        s.load_quad(self.a.add(r * self.a_row + quad * QUAD)),
                        s.load(vector.as_ptr()),
                    )
                };
                *sum = s.mul_add(factors, b, *sum);
            }
        }
        let mut results = [[0.0; MOST_FEW]; TILE];
        for (results, sum) in results.iter_mut().zip(sums) {
            let mut lanes = [0.0; QUAD * MOST_FEW];
            // SAFETY: no vector has more lanes.
            unsafe { s.store(lanes.as_mut_ptr(), sum) }
            for (result, quad) in results.iter_mut().zip(lanes.chunks_exact(QUAD)).take(self.count) {
                *result = (quad[0] + quad[1]) + (quad[2] + quad[3]);
            }
        }
        results
    }
}
