//! Gradients for the input, patch by patch: all filters of a place are summed in registers before they are added.

use super::slopes::open;
use super::{Pooled, Sparse};
use crate::nn::kernels::conv::field::Run;
use crate::nn::kernels::nonzeros::{Lists, add_run, bits};
use crate::nn::kernels::simd::{Simd, Work, run};
use crate::nn::threads::{with_list, with_scratch};

/// Adds one row's gradient for the input to `dx`, a whole field; `kernel` is `[filters, patch]`.
pub fn add(plan: &Sparse, kernel: &[f32], pooled: Pooled, dx: &mut [f32]) {
    assert_eq!(dx.len(), plan.field.len());
    assert!(kernel.len() >= plan.taps.len() * plan.filters);
    let stride = plan.stride();
    let (values, lists) = (plan.pooled * stride, plan.pooled * stride + plan.isa.lanes());
    with_scratch(2 * values + 2 * lists + stride, |room| {
        let (open, room) = room.split_at_mut(2 * values);
        let (lists, starts) = room.split_at_mut(2 * lists);
        with_list(|ends| {
            run(
                plan.isa,
                InputPatches {
                    plan,
                    kernel,
                    pooled,
                    stride,
                    open,
                    lists,
                    starts,
                    ends,
                    dx,
                },
            );
        });
    });
}

/// [`add`], its checks done.
struct InputPatches<'a> {
    plan: &'a Sparse,
    kernel: &'a [f32],
    pooled: Pooled<'a>,
    /// Values to a window: whole vectors of filters.
    stride: usize,
    /// Room for gradients and winners, `[windows, stride]` each.
    open: &'a mut [f32],
    /// Room for the lists of all cells of all windows.
    lists: &'a mut [f32],
    /// Room for where each filter's kernel begins.
    starts: &'a mut [f32],
    /// Where each list ends, and the next begins: empty.
    ends: &'a mut Vec<usize>,
    dx: &'a mut [f32],
}

impl Work for InputPatches<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Sparse {
            filters, cells, pooled, ..
        } = *self.plan;
        let (stride, patch_len) = (self.stride, self.plan.taps.len());
        for (filter, start) in self.starts.iter_mut().enumerate() {
            *start = bits(filter.min(filters) * patch_len);
        }
        let (slopes, winners) = self.open.split_at_mut(pooled * stride);
        let open = open(s, self.pooled, filters, stride, slopes, winners);
        let (slopes, places) = self.lists.split_at_mut(self.lists.len() / 2);
        let mut lists = Lists { values: slopes, places };
        let mut end = 0;
        for window in 0..pooled {
            for cell in 0..cells {
                for filter in (0..stride).step_by(S::LANES) {
                    let at = window * stride + filter;
                    // SAFETY: windows are whole vectors.
                    let (slope, winner, start) = unsafe {
                        (
                            s.load(open.slopes.as_ptr().add(at)),
                            s.load(open.winners.as_ptr().add(at)),
                            s.load(self.starts.as_ptr().add(filter)),
                        )
                    };
                    end = lists.push(s, end, s.equal(winner, s.splat(cell as f32)), slope, start);
                }
                self.ends.push(end);
            }
        }
        // Run by run, so that the kernel's part of it stays in the innermost cache.
        let mut at = 0;
        for Run { offset, len } in &self.plan.field.runs {
            let mut begin = 0;
            for (end, place) in self.ends.iter().zip(&self.plan.places) {
                if begin < *end {
                    // SAFETY: the patch at `place` lies in the field, as `dx` is; the runs fill a filter's kernel.
                    unsafe {
                        let dx = self.dx.as_mut_ptr().add(place + offset);
                        add_run(
                            s,
                            self.kernel.as_ptr().add(at),
                            &lists.list(begin..*end).each(),
                            dx,
                            *len,
                        );
                    }
                }
                begin = *end;
            }
            at += len;
        }
    }
}
