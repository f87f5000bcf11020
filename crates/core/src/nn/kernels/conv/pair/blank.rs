//! Where pictures are empty, between two blocks.
//!
//! The surroundings of a picture are zeros. A place of the first block's output all of whose windows see nothing else is blank: it has
//! the same values in all rows, `v = relu(bias)`. More than half of the digits' places are. What the second block's gradients owe to
//! blank places is not computed place by place, but for all of them at once from sums of slopes. With `S[tap, filter]` the sum of the
//! slopes of all windows whose `tap` lies on a blank place,
//!
//! ```text
//! dkernel2[tap, channel, filter] += v[channel] S[tap, filter]
//! dbias1[channel]                += (bias[channel] > 0) sum over tap, filter of kernel2[tap, channel, filter] S[tap, filter]
//! ```
//!
//! and the first block's kernel owes nothing to them, whose patches are zeros. The second's kernel gradient is summed run by run
//! ([`Left`](super::super::sparse::Left)), and leaves a run out if all of its places are blank, so `S` is kept by run for it.
//!
//! `S` by tap is a kernel gradient itself, of a convolution with one channel: of the picture that is one where a place is blank.

use super::super::ConvGeometry;
use super::super::block::ConvBlock;
use super::super::sparse::{OfBias, Pooled, Sparse};
use crate::nn::threads::with_scratch;

/// How the blank places between two blocks are counted: made once.
pub struct Blank {
    marks: Sparse,
    /// A mark for each of the second block's pooling windows: to look for zeros would take longer than they take.
    all: Vec<bool>,
    /// Places between the blocks.
    places: usize,
    /// The second block's: values of a place, filters, cells of its kernel, and runs of its patches.
    channels: usize,
    filters: usize,
    taps: usize,
    runs: usize,
}

/// Sums of slopes over blank places.
pub struct Slopes<'a> {
    /// By run, `[runs, filters]`.
    pub by_run: &'a mut [f32],
    /// By tap, `[taps, filters]`.
    by_tap: &'a mut [f32],
    /// By filter.
    all: &'a mut [f32],
}

impl Blank {
    /// None where the first block does not look for empty windows, or the second cannot leave out places.
    pub fn new(second: &ConvBlock, sparse: [&Sparse; 2]) -> Option<Self> {
        let conv = &second.conv;
        let one_channel = ConvGeometry { channels: 1, ..*conv };
        let marks = Sparse::new(&one_channel, &second.pool);
        let suits = sparse[0].keeps_layout() && sparse[1].can_leave_out() && marks.keeps_layout();
        suits.then(|| Self {
            marks,
            all: vec![true; second.pool.output_cells()],
            places: conv.window.input_cells(),
            channels: conv.channels,
            filters: conv.filters,
            taps: conv.window.kernel_cells(),
            runs: sparse[1].runs().count(),
        })
    }

    /// Places between the blocks.
    pub fn places(&self) -> usize {
        self.places
    }

    /// Values of [`Slopes`].
    pub fn len(&self) -> usize {
        (self.runs + self.taps + 1) * self.filters
    }

    /// Sums side by side in `values`.
    pub fn slopes<'a>(&self, values: &'a mut [f32]) -> Slopes<'a> {
        let (by_run, values) = values.split_at_mut(self.runs * self.filters);
        let (by_tap, all) = values.split_at_mut(self.taps * self.filters);
        Slopes { by_run, by_tap, all }
    }

    /// Whether enough places are blank, those that are not `live`, to be worth leaving out.
    pub fn pays(&self, live: &[bool]) -> bool {
        /// One place in so many.
        const FEWEST: usize = 8;
        live.iter().filter(|live| !**live).count() * FEWEST >= self.places
    }

    /// Adds the second block's slopes over all places that are not live, by tap.
    pub fn add(&self, live: &[bool], pooled: Pooled, to: &mut Slopes) {
        with_scratch(self.places, |blank| {
            for (blank, live) in blank.iter_mut().zip(live) {
                *blank = if *live { 0.0 } else { 1.0 };
            }
            self.marks
                .parameters_of(&self.all, OfBias::Filled, blank, pooled, to.by_tap, to.all);
        });
    }

    /// Adds what all blank places come to: to the second's kernel gradient `dk`, `[filters, patch]` as its `kernel` is, and to `db`, the
    /// first's for its `bias`.
    pub fn add_all(
        &self,
        second: &Sparse,
        slopes: &Slopes,
        kernel: &[f32],
        bias: &[f32],
        dk: &mut [f32],
        db: &mut [f32],
    ) {
        if slopes.by_tap.iter().all(|slope| *slope == 0.0) && slopes.by_run.iter().all(|slope| *slope == 0.0) {
            return;
        }
        let patch_len = self.taps * self.channels;
        let values: Vec<f32> = bias.iter().map(|bias| bias.max(0.0)).collect();
        let mut between = vec![0.0; self.channels];
        let of_filters = dk.chunks_exact_mut(patch_len).zip(kernel.chunks_exact(patch_len));
        for (filter, (dk, kernel)) in of_filters.enumerate().take(self.filters) {
            for (run, slope) in second.runs().zip(slopes.by_run[filter..].iter().step_by(self.filters)) {
                for of_place in dk[run].chunks_exact_mut(self.channels) {
                    add(*slope, &values, of_place);
                }
            }
            let by_tap = slopes.by_tap[filter..].iter().step_by(self.filters);
            for (of_tap, slope) in kernel.chunks_exact(self.channels).zip(by_tap) {
                add(*slope, of_tap, &mut between);
            }
        }
        for ((db, slope), bias) in db.iter_mut().zip(between).zip(bias) {
            if *bias > 0.0 {
                *db += slope;
            }
        }
    }
}

/// `to += factor * values`.
fn add(factor: f32, values: &[f32], to: &mut [f32]) {
    for (to, value) in to.iter_mut().zip(values) {
        *to += factor * value;
    }
}
