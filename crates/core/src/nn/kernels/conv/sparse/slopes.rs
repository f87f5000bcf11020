//! The gradients of one row's pooled values side by side with their winning cells.

use super::Pooled;
use crate::nn::kernels::max_pool::CLOSED;
use crate::nn::kernels::simd::{MOST_LANES, Simd};

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
