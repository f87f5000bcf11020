//! Kernel gradients of long patches: filter by filter, a sum of some patches that stays in registers over a whole row of the batch.

use super::slopes::open;
use super::{Pooled, Sparse};
use crate::nn::kernels::conv::field::Run;
use crate::nn::kernels::gemm::transpose_with;
use crate::nn::kernels::nonzeros::{Lists, add_run, bits};
use crate::nn::kernels::simd::{Simd, Work, run};
use crate::nn::threads::{group_rows, with_scratch};

/// Adds one row's gradients for the kernel, `[filters, patch]`, to `dk`, and those for the bias to `db`; `ahead` will be wanted next.
pub fn add(plan: &Sparse, field: &[f32], ahead: &[f32], pooled: Pooled, dk: &mut [f32], db: &mut [f32]) {
    assert_eq!(field.len(), plan.field.len());
    assert!(dk.len() == plan.taps.len() * plan.filters && db.len() == plan.filters);
    let stride = plan.stride();
    let (values, list) = (plan.pooled * stride, plan.pooled + plan.isa.lanes());
    with_scratch(5 * values + 2 * list, |room| {
        let (by_window, room) = room.split_at_mut(3 * values);
        let (by_filter, list) = room.split_at_mut(2 * values);
        run(
            plan.isa,
            LongPatches {
                plan,
                field,
                ahead,
                pooled,
                stride,
                by_window,
                by_filter,
                list,
                dk,
                db,
            },
        );
    });
}

/// [`add`], its checks done.
struct LongPatches<'a> {
    plan: &'a Sparse,
    field: &'a [f32],
    /// What will be wanted next: brought into the cache meanwhile.
    ahead: &'a [f32],
    pooled: Pooled<'a>,
    /// Values to a window: whole vectors of filters.
    stride: usize,
    /// Room for gradients, winners and places, `[windows, stride]` each.
    by_window: &'a mut [f32],
    /// Room for gradients and places, `[stride, windows]` each.
    by_filter: &'a mut [f32],
    /// Room for one filter's list.
    list: &'a mut [f32],
    dk: &'a mut [f32],
    db: &'a mut [f32],
}

impl Work for LongPatches<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        self.turn(s);
        let Sparse {
            taps, pooled, filters, ..
        } = self.plan;
        let (slopes, places) = self.by_filter.split_at(self.stride * pooled);
        let (to_slopes, to_places) = self.list.split_at_mut(self.list.len() / 2);
        let mut lists = Lists {
            values: to_slopes,
            places: to_places,
        };
        let (zero, one) = (s.splat(0.0), s.splat(1.0));
        for (filter, dk) in self.dk.chunks_exact_mut(taps.len()).enumerate().take(*filters) {
            s.prefetch_all(&self.ahead[group_rows(self.ahead.len(), *filters, filter)]);
            let mut end = 0;
            for window in (0..*pooled).step_by(S::LANES) {
                let (at, left) = (filter * pooled + window, pooled - window);
                // SAFETY: `left` values are left of the filter's; what is not loaded is zero, and not chosen.
                let (slope, place) = unsafe {
                    let of_filter = |values: &[f32]| s.load_up_to(values.as_ptr().add(at), left);
                    (of_filter(slopes), of_filter(places))
                };
                // Instruction sets here compare for equality alone.
                let is_zero = s.select(s.equal(slope, zero), one, zero);
                end = lists.push(s, end, s.equal(is_zero, zero), slope, place);
            }
            let list = lists.list(0..end);
            let mut at = 0;
            for Run { offset, len } in &self.plan.field.runs {
                // SAFETY: all patches lie in the field, whose length was checked, and their runs fill `dk`.
                unsafe {
                    add_run(s, self.field.as_ptr().add(*offset), list, dk.as_mut_ptr().add(at), *len);
                }
                at += len;
            }
        }
    }
}

impl LongPatches<'_> {
    /// Writes gradients and the places of their patches filter by filter, and adds those for the bias.
    #[inline(always)]
    fn turn<S: Simd>(&mut self, s: S) {
        let Sparse {
            pooled, filters, cells, ..
        } = *self.plan;
        let (stride, values) = (self.stride, pooled * self.stride);
        let (slopes, others) = self.by_window.split_at_mut(values);
        let (winners, places) = others.split_at_mut(values);
        let open = open(s, self.pooled, filters, stride, slopes, winners);
        for (window, of_cells) in self.plan.places.chunks_exact(cells).enumerate() {
            for filter in (0..stride).step_by(S::LANES) {
                let at = window * stride + filter;
                // SAFETY: windows are whole vectors.
                unsafe {
                    let winner = s.load(open.winners.as_ptr().add(at));
                    let mut place = s.splat(0.0);
                    for (cell, of_cell) in of_cells.iter().enumerate() {
                        let won = s.equal(winner, s.splat(cell as f32));
                        place = s.select(won, s.splat(bits(*of_cell)), place);
                    }
                    s.store(places.as_mut_ptr().add(at), place);
                }
            }
            for (db, slope) in self.db.iter_mut().zip(&open.slopes[window * stride..]) {
                *db += slope;
            }
        }
        let (to_slopes, to_places) = self.by_filter.split_at_mut(values);
        transpose_with(s, open.slopes, pooled, stride, to_slopes);
        transpose_with(s, places, pooled, stride, to_places);
    }
}
