//! How much memory a network needs, before anything is computed.
//!
//! Counted is what grows with the batch (each layer's result and its gradient, and what layers keep for their backward) and what grows with
//! the weights (their values, the copy on the device, gradients, partial sums of these). Buffers of threads, and small kernels that are
//! kept in another order, are some megabytes and not counted. The estimate is an upper bound that is rarely more than half again too large.

use super::layer::MOST_PIECES;
use super::network::{Network, Stage};

const VALUE: usize = size_of::<f32>();
/// Partial sums of gradients take no more than this: see [`threads::reduction_groups`](super::threads::reduction_groups).
const MOST_PARTIAL_SUMS: usize = 16 << 20;
/// Partial sums of one weight.
const GROUPS: usize = 32;

impl Network {
    /// Bytes for one batch of `rows` rows, in training or in a mere forward.
    #[must_use]
    pub fn batch_bytes(&self, rows: usize, training: bool) -> usize {
        let values = |shape: &[usize]| {
            shape
                .iter()
                .product::<usize>()
                .saturating_mul(rows)
                .saturating_mul(VALUE)
        };
        let input = values(self.input_shape());
        let stage = |stage: &Stage| {
            let from = self.input_of(stage);
            let working = stage.layer.working_bytes(rows, from, &self.weights_of(stage), training);
            (values(from), values(&stage.output), working)
        };
        let stages = self.stages().iter().map(stage);
        if training {
            // Of what is between parts no gradient is kept.
            let between = self.stages().iter().flat_map(Stage::between).map(values);
            let input = between.fold(input, usize::saturating_add);
            // Results stay for the backward; gradients go as soon as they have been used, but are counted: two are alive, and copies.
            stages.fold(input, |sum, (_, output, working)| {
                sum.saturating_add(output.saturating_mul(2)).saturating_add(working)
            })
        } else {
            let peak = stages.map(|(from, output, working)| from.saturating_add(output).saturating_add(working));
            peak.fold(input, usize::max)
        }
    }

    /// Bytes for the weights; in training with all that is made of them.
    #[must_use]
    pub fn weight_bytes(&self, training: bool) -> usize {
        /// The values, and the copy on the device.
        const HELD: usize = 2;
        /// A gradient, and up to three values that an optimiser remembers.
        const LEARNING: usize = 4;
        let lengths = || self.weights().iter().map(|weight| weight.values.len());
        let bytes = |values: usize, copies: usize| values.saturating_mul(copies).saturating_mul(VALUE);
        let held = bytes(lengths().sum(), HELD);
        if !training {
            return held;
        }
        let largest = lengths().max().unwrap_or(0);
        let partial_sums = bytes(largest, GROUPS).min(MOST_PARTIAL_SUMS.max(bytes(largest, 1)));
        held.saturating_add(bytes(lengths().sum(), LEARNING))
            .saturating_add(partial_sums)
    }

    /// Into pieces of how many rows a batch of `rows` is best cut, in training or in a mere forward: a piece's results then stay in one
    /// core's cache from layer to layer and back. All rows at once where that would change a result or gain nothing, else, as far as
    /// whole rows allow, an even number of pieces, so that two threads come to an end together.
    ///
    /// The cut follows from shapes alone, never from the machine, as it decides the order in which gradients are added.
    #[must_use]
    pub fn piece_rows(&self, rows: usize, training: bool) -> usize {
        /// Bytes of results that a core's cache holds.
        const CACHED: usize = 2 << 20;
        /// Of fewer rows a piece is not worth what it costs beside its rows.
        const FEWEST: usize = 32;
        if !self.stages().iter().all(|stage| stage.layer.takes_pieces()) {
            return rows;
        }
        let bytes = |shape: &[usize]| shape.iter().product::<usize>() * VALUE;
        let results = |stage: &Stage| {
            let between: usize = stage.between().filter(|_| training).map(bytes).sum();
            bytes(&stage.output) + between
        };
        let row: usize = self.stages().iter().map(results).sum();
        let most = (CACHED / row.max(1))
            .max(FEWEST)
            .max(self.weight_bytes(training) / row.max(1));
        let pieces = match rows.div_ceil(most) {
            0 | 1 => 1,
            pieces => pieces.next_multiple_of(2).min(MOST_PIECES),
        };
        rows.div_ceil(pieces).max(1)
    }

    /// The most rows, up to `most` and at least one, whose forward stays within `bytes`.
    #[must_use]
    pub fn rows_within(&self, bytes: usize, most: usize) -> usize {
        let mut rows = most.max(1);
        while rows > 1 && self.batch_bytes(rows, false) > bytes {
            rows /= 2;
        }
        rows
    }
}
