//! Kernel gradients of short patches behind max-pooling, each lane masked to the cell that its maximum came from: where
//! [`lookup`](super::lookup) does not reach.

use super::{Row, Sparse};
use crate::nn::kernels::conv::tile::store;
use crate::nn::kernels::max_pool::CLOSED;
use crate::nn::kernels::simd::{Simd, Work, run};

/// Values of a short patch whose sums are in registers together.
const TAPS: usize = 9;

/// Adds one row's gradients for the kernel, `[patch, filters]`, to `dk`, and those for the bias to `db`.
pub(super) fn add(plan: &Sparse, row: &Row, dk: &mut [f32], db: &mut [f32]) {
    assert_eq!(row.field.len(), plan.field.len());
    assert!(dk.len() == plan.taps.len() * plan.filters && db.len() == plan.filters);
    assert!(row.stride >= plan.stride() && row.pooled.dy.len() == plan.pooled * row.stride);
    assert_eq!(row.pooled.winners.len(), row.pooled.dy.len());
    let exist = |windows: &[usize]| windows.iter().all(|window| *window < plan.pooled);
    assert!(exist(row.filled) && row.of_bias.is_none_or(exist));
    run(plan.isa, ShortPatches { plan, row, dk, db });
}

/// Sums over windows for vectors of filters, each lane masked to its winner's cell.
struct ShortPatches<'a> {
    plan: &'a Sparse,
    row: &'a Row<'a>,
    dk: &'a mut [f32],
    db: &'a mut [f32],
}

impl Work for ShortPatches<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let Sparse { filters, cells, .. } = *self.plan;
        let filled = self.row.filled;
        let mut filter = 0;
        while filter < filters {
            if filters - filter >= 4 * S::LANES {
                self.bias::<S, 4>(s, filter);
                filter += 4 * S::LANES;
            } else {
                self.bias::<S, 1>(s, filter);
                filter += S::LANES;
            }
        }
        filter = 0;
        while filter < filters {
            let left = filters - filter;
            // SAFETY: `dy` and `winners` have `stride` values, whole vectors, for each window; windows and taps lie in the field, whose
            // length was checked; `dk` and `db` have `left` values from `filter` on.
            unsafe {
                for (block, taps) in self.plan.taps.chunks(TAPS).enumerate() {
                    // The last block repeats its last tap, which is not stored again.
                    let mut from = [self.row.field.as_ptr(); TAPS];
                    for (tap, from) in from.iter_mut().enumerate() {
                        *from = from.add(taps[tap.min(taps.len() - 1)]);
                    }
                    let mut sums = [s.splat(0.0); TAPS];
                    for window in filled {
                        let (slope, winner) = self.load(s, *window, filter);
                        let places = self.plan.places.as_ptr().add(window * cells);
                        let mut number = s.splat(0.0);
                        for cell in 0..cells {
                            let place = *places.add(cell);
                            let slope = s.select(s.equal(winner, number), slope, s.splat(0.0));
                            number = s.add(number, s.splat(1.0));
                            for tap in 0..TAPS {
                                sums[tap] = s.mul_add(slope, s.splat(*from[tap].add(place)), sums[tap]);
                            }
                        }
                    }
                    for (tap, sum) in sums.iter().enumerate().take(taps.len()) {
                        let dk = self.dk.as_mut_ptr().add((block * TAPS + tap) * filters + filter);
                        store(s, dk, left, &[s.add(s.load_up_to(dk, left), *sum)]);
                    }
                }
            }
            filter += S::LANES;
        }
    }
}

impl ShortPatches<'_> {
    /// Gradients of the bias for `V` vectors of filters: memory is walked through in its order, before the taps jump about in it.
    #[inline(always)]
    fn bias<S: Simd, const V: usize>(&mut self, s: S, filter: usize) {
        let mut sums = [s.splat(0.0); V];
        // SAFETY: `dy` and `winners` have whole vectors for each window; only filters that exist are written.
        unsafe {
            for window in self.row.of_bias.unwrap_or(self.row.filled) {
                for (v, sum) in sums.iter_mut().enumerate() {
                    let (slope, winner) = self.load(s, *window, filter + v * S::LANES);
                    let closed = s.equal(winner, s.splat(f32::from(CLOSED)));
                    *sum = s.add(*sum, s.select(closed, s.splat(0.0), slope));
                }
            }
            for (v, sum) in sums.iter().enumerate() {
                let filter = filter + v * S::LANES;
                let (db, left) = (self.db.as_mut_ptr().add(filter), self.plan.filters - filter);
                store(s, db, left, &[s.add(s.load_up_to(db, left), *sum)]);
            }
        }
    }

    /// The gradients and winners of a window, for a vector of filters.
    ///
    /// # Safety
    /// The window and the vector exist.
    #[inline(always)]
    unsafe fn load<S: Simd>(&self, s: S, window: usize, filter: usize) -> (S::Vector, S::Vector) {
        let at = window * self.row.stride + filter;
        // SAFETY: as the caller vouches; rows of `stride` values are whole vectors.
        unsafe {
            (
                s.load(self.row.pooled.dy.as_ptr().add(at)),
                s.load_bytes(self.row.pooled.winners.as_ptr().add(at)),
            )
        }
    }
}
