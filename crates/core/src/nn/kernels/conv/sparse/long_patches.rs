//! Kernel gradients of long patches: filter by filter, a sum of some patches that stays in registers over a whole row of the batch.

use super::slopes::open;
use super::{Ahead, Left, Live, Pooled, Sparse};
use crate::nn::kernels::conv::field::{Field, Run};
use crate::nn::kernels::gemm::transpose_with;
use crate::nn::kernels::nonzeros::{Chosen, List, Lists, add_run, bits};
use crate::nn::kernels::simd::{Simd, Work, run};
use crate::nn::threads::{group_rows, with_list, with_scratch};

/// Places of patches are kept in the lower bits; those above say in which runs of a patch there is anything live. A number of which just
/// one of them is set is not zero, and no denormal.
const PLACE_BITS: u32 = 23;

/// The bit of a run.
fn bit(run: usize) -> f32 {
    f32::from_bits(1 << (PLACE_BITS as usize + run))
}

/// Whether runs of patches can be left out.
pub fn can_leave_out(field: &Field) -> bool {
    const MOST_RUNS: usize = 8;
    let alike = field.runs.iter().all(|run| run.len == field.runs[0].len);
    alike && field.runs.len() <= MOST_RUNS && field.len() < 1 << PLACE_BITS
}

/// Adds one row's gradients for the kernel, `[filters, patch]`, to `dk`, and those for the bias to `db`; see [`Left`] for what is left out.
pub fn add(
    plan: &Sparse,
    field: &[f32],
    ahead: Ahead,
    pooled: Pooled,
    left: Option<Left>,
    dk: &mut [f32],
    db: &mut [f32],
) {
    assert_eq!(field.len(), plan.field.len());
    assert!(dk.len() == plan.taps.len() * plan.filters && db.len() == plan.filters);
    assert!(
        left.as_ref()
            .is_none_or(|left| left.live.reach.len() == plan.places.len())
    );
    let (runs, stride) = (plan.field.runs.len(), plan.stride());
    let (values, list) = (plan.pooled * stride, plan.pooled + plan.isa.lanes());
    with_scratch(5 * values + 2 * list + runs * stride, |room| {
        let (by_window, room) = room.split_at_mut(3 * values);
        let (by_filter, room) = room.split_at_mut(2 * values);
        let (list, sums) = room.split_at_mut(2 * list);
        sums.fill(0.0);
        with_list(|chosen| {
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
                    chosen,
                    live: left.as_ref().map(|left| left.live),
                    left_out: sums,
                    dk,
                    db,
                },
            );
        });
        let of_runs = left
            .into_iter()
            .flat_map(|left| left.sums.chunks_exact_mut(plan.filters));
        for (total, sums) in of_runs.zip(sums.chunks_exact(stride)) {
            for (total, sum) in total.iter_mut().zip(sums) {
                *total += sum;
            }
        }
    });
}

/// [`add`], its checks done.
struct LongPatches<'a> {
    plan: &'a Sparse,
    field: &'a [f32],
    ahead: Ahead<'a>,
    pooled: Pooled<'a>,
    /// Values to a window: whole vectors of filters.
    stride: usize,
    /// Room for gradients, winners and places, `[windows, stride]` each.
    by_window: &'a mut [f32],
    /// Room for gradients and places, `[stride, windows]` each.
    by_filter: &'a mut [f32],
    /// Room for one filter's list, if nothing is left out.
    list: &'a mut [f32],
    /// For each run of a filter's patch and each window a bit, whether it is added, if something is left out: empty.
    chosen: &'a mut Vec<u64>,
    /// What is left out, if anything is, and room for its slopes, `[runs, stride]`: zeros.
    live: Option<Live<'a>>,
    left_out: &'a mut [f32],
    dk: &'a mut [f32],
    db: &'a mut [f32],
}

impl Work for LongPatches<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        self.turn(s);
        let Sparse { taps, filters, .. } = self.plan;
        let dk = std::mem::take(&mut self.dk);
        for (filter, dk) in dk.chunks_exact_mut(taps.len()).enumerate().take(*filters) {
            self.ahead
                .prefetch(s, group_rows(self.ahead.places(), *filters, filter));
            if self.live.is_some() {
                self.live_runs(s, filter, dk);
            } else {
                self.all_runs(s, filter, dk);
            }
        }
    }
}

impl LongPatches<'_> {
    /// Adds one filter's gradient for the kernel to `dk`.
    #[inline(always)]
    fn all_runs<S: Simd>(&mut self, s: S, filter: usize, dk: &mut [f32]) {
        let pooled = self.plan.pooled;
        let (slopes, places) = self.by_filter.split_at(self.stride * pooled);
        let (values, to_places) = self.list.split_at_mut(self.list.len() / 2);
        let mut lists = Lists {
            values,
            places: to_places,
        };
        let (zero, one) = (s.splat(0.0), s.splat(1.0));
        let mut end = 0;
        for window in (0..pooled).step_by(S::LANES) {
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
        let mut at = 0;
        for Run { offset, len } in &self.plan.field.runs {
            let each = lists.list(0..end).each();
            // SAFETY: all patches lie in the field, whose length was checked, and their runs fill `dk`.
            unsafe {
                add_run(
                    s,
                    self.field.as_ptr().add(*offset),
                    &each,
                    dk.as_mut_ptr().add(at),
                    *len,
                );
            }
            at += len;
        }
    }

    /// [`Self::all_runs`] without the runs that have nothing live.
    #[inline(always)]
    fn live_runs<S: Simd>(&mut self, s: S, filter: usize, dk: &mut [f32]) {
        let (pooled, runs) = (self.plan.pooled, &self.plan.field.runs);
        let (slopes, places) = self.by_filter.split_at(self.stride * pooled);
        let words = pooled.div_ceil(u64::BITS as usize);
        self.chosen.clear();
        self.chosen.resize(runs.len() * words, 0);
        for window in (0..pooled).step_by(S::LANES) {
            // SAFETY: so many places are left of the filter's; what is not loaded has no bits.
            let place = unsafe { s.load_up_to(places.as_ptr().add(filter * pooled + window), pooled - window) };
            let (word, shift) = (window / u64::BITS as usize, window % u64::BITS as usize);
            for (run, chosen) in self.chosen.chunks_exact_mut(words).enumerate() {
                let bit = s.splat(bit(run));
                chosen[word] |= u64::from(s.bits(s.equal(s.and(place, bit), bit))) << shift;
            }
        }
        let list = List {
            values: &slopes[filter * pooled..][..pooled],
            places: &places[filter * pooled..][..pooled],
        };
        let mut at = 0;
        for (Run { offset, len }, chosen) in runs.iter().zip(self.chosen.chunks_exact(words)) {
            let each = Chosen::new(list, (1 << PLACE_BITS) - 1, chosen);
            // SAFETY: as above.
            unsafe {
                add_run(
                    s,
                    self.field.as_ptr().add(*offset),
                    &each,
                    dk.as_mut_ptr().add(at),
                    *len,
                );
            }
            at += len;
        }
    }

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
                // SAFETY: windows are whole vectors, and so are the sums of a run.
                unsafe {
                    let winner = s.load(open.winners.as_ptr().add(at));
                    let mut place = s.splat(0.0);
                    for (cell, of_cell) in of_cells.iter().enumerate() {
                        let reach = self
                            .live
                            .map_or(0, |live| usize::from(live.reach[window * cells + cell]));
                        let won = s.equal(winner, s.splat(cell as f32));
                        place = s.select(won, s.splat(bits(of_cell | reach << PLACE_BITS)), place);
                    }
                    s.store(places.as_mut_ptr().add(at), place);
                    if self.live.is_some() {
                        let slope = s.load(open.slopes.as_ptr().add(at));
                        for (run, sums) in self.left_out.chunks_exact_mut(stride).enumerate() {
                            let (sum, bit) = (sums.as_mut_ptr().add(filter), s.splat(bit(run)));
                            let added = s.equal(s.and(place, bit), bit);
                            s.store(sum, s.add(s.load(sum), s.select(added, s.splat(0.0), slope)));
                        }
                    }
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
