//! The non-zero gradients of one row's pooled values: side by side with their winning cells, in lists, and summed from lists.

use super::Pooled;
use crate::nn::kernels::conv::tile::store;
use crate::nn::kernels::max_pool::CLOSED;
use crate::nn::kernels::simd::{MOST_LANES, Simd};

/// Vectors of a long run whose sums are in registers together.
const VECTORS: usize = 12;
/// The same for the rest of a run.
const REST: usize = 4;

/// Gradients and winning cells of each window, in whole vectors of filters.
#[derive(Clone, Copy)]
pub struct Open<'a> {
    /// Zero where no gradient passes.
    pub slopes: &'a [f32],
    /// The winning cell's number, or [`CLOSED`] where the gradient is zero.
    pub winners: &'a [f32],
}

/// Writes `filters` gradients of each window with their winning cells, `stride` to a window.
#[inline(always)]
pub fn open<'a, S: Simd>(
    s: S,
    pooled: Pooled,
    filters: usize,
    stride: usize,
    slopes: &'a mut [f32],
    winners: &'a mut [f32],
) -> Open<'a> {
    let windows = pooled.dy.len() / filters;
    assert!(pooled.dy.len() == windows * filters && pooled.winners.len() == windows * filters);
    assert!(stride.is_multiple_of(S::LANES) && stride >= filters);
    assert!(slopes.len() == windows * stride && winners.len() == windows * stride);
    let (zero, closed) = (s.splat(0.0), s.splat(f32::from(CLOSED)));
    for window in 0..windows {
        for filter in (0..stride).step_by(S::LANES) {
            let left = filters.saturating_sub(filter);
            let (from, to) = (window * filters + filter.min(filters), window * stride + filter);
            // SAFETY: `left` values are left of the window's, and whole vectors of what is written.
            unsafe {
                let slope = s.load_up_to(pooled.dy.as_ptr().add(from), left);
                let winner = if left >= S::LANES {
                    s.load_bytes(pooled.winners.as_ptr().add(from))
                } else {
                    let mut bytes = [CLOSED; MOST_LANES];
                    bytes[..left].copy_from_slice(&pooled.winners[from..from + left]);
                    s.load_bytes(bytes.as_ptr())
                };
                let slope = s.select(s.equal(winner, closed), zero, slope);
                let winner = s.select(s.equal(slope, zero), closed, winner);
                s.store(slopes.as_mut_ptr().add(to), slope);
                s.store(winners.as_mut_ptr().add(to), winner);
            }
        }
    }
    Open { slopes, winners }
}

/// Non-zero gradients, and for each where it applies, bit by bit: a patch in the field, or a filter in the kernel. Bits can be chosen and
/// moved as the gradients are, whatever number they would make.
#[derive(Clone, Copy)]
pub struct List<'a> {
    pub slopes: &'a [f32],
    pub places: &'a [f32],
}

/// Room for lists side by side.
pub struct Lists<'a> {
    pub slopes: &'a mut [f32],
    pub places: &'a mut [f32],
}

impl Lists<'_> {
    /// Writes the chosen of `slopes` and `places` side by side from `at` on, and returns where they end; up to a vector behind that is
    /// written.
    ///
    /// # Panics
    /// When there is no room for a vector.
    #[inline(always)]
    pub fn push<S: Simd>(&mut self, s: S, at: usize, chosen: S::Mask, slopes: S::Vector, places: S::Vector) -> usize {
        let (to_slopes, to_places) = (&mut self.slopes[at..][..S::LANES], &mut self.places[at..][..S::LANES]);
        // SAFETY: both are a vector long.
        unsafe {
            s.store_chosen(to_slopes.as_mut_ptr(), chosen, slopes);
            at + s.store_chosen(to_places.as_mut_ptr(), chosen, places)
        }
    }

    /// The list in `range`.
    pub fn list(&self, range: std::ops::Range<usize>) -> List<'_> {
        List {
            slopes: &self.slopes[range.clone()],
            places: &self.places[range],
        }
    }
}

/// A place as it is kept in lists.
///
/// # Panics
/// Beyond 2^32: one row of a batch, or a kernel, of 16 GB.
pub fn bits(place: usize) -> f32 {
    let place = u32::try_from(place).expect("rows and kernels have fewer than 2^32 values");
    f32::from_bits(place)
}

/// Adds `slopes[i] rows[places[i]]` over a run of `len` values to `sum`.
///
/// # Safety
/// The run can be read from each row and `sum`, and written to `sum`.
#[inline(always)]
pub unsafe fn add_run<S: Simd>(s: S, rows: *const f32, list: List, sum: *mut f32, len: usize) {
    let mut at = 0;
    while at < len {
        // SAFETY: `at` lies inside the run, and `add_rows` stops at its end.
        unsafe {
            if len - at >= VECTORS * S::LANES {
                add_rows::<S, VECTORS>(s, rows.add(at), list, sum.add(at), len - at);
                at += VECTORS * S::LANES;
            } else {
                add_rows::<S, REST>(s, rows.add(at), list, sum.add(at), len - at);
                at += REST * S::LANES;
            }
        }
    }
}

/// [`add_run`] for `V` vectors, of which `left` values exist.
///
/// # Safety
/// `left` values, or `V` vectors if that is less, can be read from each row and `sum`, and written to `sum`.
#[inline(always)]
unsafe fn add_rows<S: Simd, const V: usize>(s: S, rows: *const f32, list: List, sum: *mut f32, left: usize) {
    let each = list.slopes.iter().zip(list.places);
    if left >= V * S::LANES {
        let mut acc = [s.splat(0.0); V];
        // SAFETY: all of the `V` vectors exist.
        unsafe {
            for (v, acc) in acc.iter_mut().enumerate() {
                *acc = s.load(sum.add(v * S::LANES));
            }
            for (slope, place) in each {
                let (slope, row) = (s.splat(*slope), rows.add(place.to_bits() as usize));
                for (v, acc) in acc.iter_mut().enumerate() {
                    *acc = s.mul_add(slope, s.load(row.add(v * S::LANES)), *acc);
                }
            }
            for (v, acc) in acc.iter().enumerate() {
                s.store(sum.add(v * S::LANES), *acc);
            }
        }
        return;
    }
    for v in 0..left.div_ceil(S::LANES) {
        let (at, left) = (v * S::LANES, left - v * S::LANES);
        // SAFETY: only values before `left` are read and written.
        unsafe {
            let mut acc = s.load_up_to(sum.add(at), left);
            for (slope, place) in each.clone() {
                let row = s.load_up_to(rows.add(place.to_bits() as usize + at), left);
                acc = s.mul_add(s.splat(*slope), row, acc);
            }
            store(s, sum.add(at), left, &[acc]);
        }
    }
}
