//! What forward and backward share: the layer's kernels made ready, and the steps' inputs.

use super::distinct::time;
use super::gru::Gru;
use super::layer::{Call, Cell, Input, Layer, Weights};
use super::lstm::Lstm;
use super::plan::{Block, Plan};
use super::projection::{Batch, Cut, Projection, Source};
use super::{simple, step};
use crate::nn::kernels::simd::Isa;

/// Steps whose products are computed in one go: their gates fit the second-level cache.
pub(super) const TOGETHER: usize = 128;

/// A layer made ready for a call.
pub(super) struct Walk<'a> {
    pub(super) isa: Isa,
    pub(super) layer: &'a Layer,
    pub(super) call: &'a Call<'a>,
    /// `x K + b`
    pub(super) input: Projection<'a>,
    /// `h U`, for GRU with `reset_after` `h U + b_s`.
    pub(super) recurrent: Projection<'a>,
    /// For GRU with the reset gate before: the candidate's columns of `U`, which are no part of `recurrent`.
    pub(super) candidate: Option<Projection<'a>>,
    /// For GRU with one factor for all gates, `[batch, units]`: it drops the state itself, also where that is carried on.
    dropped: Option<&'a [f32]>,
}

/// What is kept of a block for the way back; empty without training.
#[derive(Debug, Default)]
pub(super) struct SavedBlock<'m> {
    /// `[steps of the block, kept]`
    pub(super) kept: &'m mut [f32],
    /// The state before each step, `[steps of the block, units]`.
    pub(super) h: &'m mut [f32],
    /// The carry before each step.
    pub(super) c: &'m mut [f32],
}

/// Numbers that each step keeps for the way back: the gates, the state, the carry.
pub(super) fn saved_widths(layer: &Layer) -> [usize; 3] {
    [
        layer.kept(),
        layer.units,
        if layer.cell.has_carry() { layer.units } else { 0 },
    ]
}

/// The memory of a plan's blocks, the trunk last; empty slices when there is none. The gates of all steps lie in front, one behind
/// another, so that each step's begin at a cache line if the first's do and a step's fill whole lines.
pub(super) fn saved_blocks<'m>(layer: &Layer, plan: &Plan, mut memory: &'m mut [f32]) -> Vec<SavedBlock<'m>> {
    let widths = saved_widths(layer);
    // All is empty when there is none.
    let mut parts = widths.map(|width| memory.split_off_mut(..plan.total * width).unwrap_or_default());
    let block = |block: &Block| {
        let [kept, h, c] = &mut parts;
        let [kept_len, h_len, c_len] = widths.map(|width| block.total() * width);
        SavedBlock {
            kept: kept.split_off_mut(..kept_len).unwrap_or_default(),
            h: h.split_off_mut(..h_len).unwrap_or_default(),
            c: c.split_off_mut(..c_len).unwrap_or_default(),
        }
    };
    plan.all().map(block).collect()
}

impl<'a> Walk<'a> {
    pub(super) fn new(isa: Isa, layer: &'a Layer, weights: &Weights<'a>, call: &'a Call<'a>, training: bool) -> Self {
        let (units, columns) = (layer.units, layer.columns());
        let bias_row = |row: usize| {
            weights
                .bias
                .and_then(|bias| bias.get(row * columns..(row + 1) * columns))
        };
        let input = Source {
            isa,
            kernel: weights.kernel,
            inputs: layer.features,
            columns,
            bias: bias_row(0),
            masks: call.dropout,
            batch: call.batch,
            units,
        };
        let (masks, dropped) = match (layer.cell, call.recurrent_dropout) {
            (Cell::Gru { .. }, Some(factors)) if factors.len() == call.batch * units => (None, Some(factors)),
            (_, factors) => (factors, None),
        };
        let state = Source {
            kernel: weights.recurrent_kernel,
            inputs: units,
            bias: if layer.cell.bias_rows() == 2 { bias_row(1) } else { None },
            masks,
            ..input
        };
        let all = Cut {
            columns: 0..columns,
            kept: 0,
        };
        let (gates, candidate) = match layer.cell {
            Cell::Simple { .. } | Cell::Lstm { .. } => (vec![all.clone()], None),
            Cell::Gru { reset_after, .. } => {
                let gates = Cut {
                    columns: 0..2 * units,
                    kept: 0,
                };
                let candidate = |slot: usize| Cut {
                    columns: 2 * units..columns,
                    kept: slot * units,
                };
                if reset_after {
                    (vec![gates, candidate(3)], None)
                } else {
                    (vec![gates], Some(candidate(2)))
                }
            }
        };
        Self {
            isa,
            layer,
            call,
            input: Projection::new(&input, &[all], training),
            recurrent: Projection::new(&state, &gates, training),
            candidate: candidate.map(|cut| Projection::new(&state, &[cut], training)),
            dropped,
        }
    }

    /// Drops what the whole state loses before a step, and on the way back the same of its gradient: `stride` numbers for each of `rows`.
    pub(super) fn drop_state(&self, states: &mut [f32], stride: usize, rows: &[usize]) {
        let Some(factors) = self.dropped else { return };
        let units = self.layer.units;
        for (state, &row) in states.chunks_exact_mut(stride.max(1)).zip(rows) {
            for (state, factor) in state.iter_mut().zip(&factors[row * units..(row + 1) * units]) {
                *state *= factor;
            }
        }
    }

    /// One step forward; `ahead` is what it will read and write behind the state's product.
    pub(super) fn forward(
        &self,
        step: &mut step::Forward<'_>,
        rows: &[usize],
        ahead: &[&[f32]],
        scratch: &mut Vec<f32>,
    ) {
        let h = Batch::new(step.h, step.units, rows).ahead(ahead);
        self.recurrent.forward(h, step.z, scratch);
        match self.layer.cell {
            Cell::Simple { activation } => simple::forward(activation, self.isa, step),
            Cell::Gru {
                activation,
                recurrent_activation,
                ..
            } => {
                self.gru(activation, recurrent_activation)
                    .forward(self.isa, step, rows, scratch);
            }
            Cell::Lstm {
                activation,
                recurrent_activation,
            } => {
                Lstm {
                    activation,
                    recurrent_activation,
                }
                .forward(self.isa, step);
            }
        }
    }

    /// One step back, to the gates' sums and the states before; `ahead` is what the step before it kept.
    pub(super) fn backward(
        &self,
        step: &mut step::Backward<'_>,
        rows: &[usize],
        ahead: &[&[f32]],
        scratch: &mut [Vec<f32>; 2],
    ) {
        let [first, second] = scratch;
        let mut add = false;
        match self.layer.cell {
            Cell::Simple { activation } => simple::backward(activation, step),
            Cell::Gru {
                activation,
                recurrent_activation,
                ..
            } => {
                self.gru(activation, recurrent_activation)
                    .backward(self.isa, step, rows, first, second);
                add = true;
            }
            Cell::Lstm {
                activation,
                recurrent_activation,
            } => {
                Lstm {
                    activation,
                    recurrent_activation,
                }
                .backward(self.isa, step);
            }
        }
        let dz = Batch::new(step.kept, step.kept_width, rows).ahead(ahead);
        self.recurrent.input_gradient(dz, add, step.dh, second);
    }

    fn gru(&self, activation: super::Activation, recurrent_activation: super::Activation) -> Gru<'_> {
        Gru {
            activation,
            recurrent_activation,
            candidate: self.candidate.as_ref(),
        }
    }

    /// The time of step `step` of a block's row `r`.
    pub(super) fn time(&self, block: &Block, r: usize, step: usize) -> usize {
        time(self.layer, self.call.steps, block.position(r, step))
    }

    /// The inputs of a block's steps `from..to` one behind another, and their rows in the batch.
    pub(super) fn collect(&self, block: &Block, from: usize, to: usize, x: &mut Vec<f32>, rows: &mut Vec<usize>) {
        let features = self.layer.features;
        x.clear();
        rows.clear();
        for step in from..to {
            for (r, &row) in block.rows[..block.active[step]].iter().enumerate() {
                rows.push(row);
                if let Input::Values(values) = self.call.input {
                    let at = (row * self.call.steps + self.time(block, r, step)) * features;
                    x.extend_from_slice(&values[at..at + features]);
                }
            }
        }
    }

    /// Whether inputs are values, whose products each block computes for itself.
    pub(super) fn has_values(&self) -> bool {
        matches!(self.call.input, Input::Values(_))
    }
}

/// Deals out the rows of `values`, `width` numbers each, to the blocks they belong to; none when there are no values.
pub(super) fn deal<'v>(values: &'v mut [f32], width: usize, blocks: &[Block]) -> Vec<Vec<&'v mut [f32]>> {
    let mut rows: Vec<Option<&mut [f32]>> = values.chunks_exact_mut(width.max(1)).map(Some).collect();
    let mut take = |&row: &usize| rows.get_mut(row).and_then(Option::take);
    blocks
        .iter()
        .map(|block| block.rows.iter().filter_map(&mut take).collect())
        .collect()
}
