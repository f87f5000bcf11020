//! Words repeat: what an embedding adds to the gates is computed once for each distinct id of a batch.
//!
//! With `E` the distinct ids' embeddings, `P = E K + b` is all that forward needs of input and kernel: a step reads its id's row of
//! `P`. Back, the gates' gradients are first summed by id, `dP`; then `dK = E^T dP` and `dE = dP K^T`. Both are the sums that the
//! products with each step's own embedding would give, in another order.

use std::ops::Range;

use rayon::prelude::*;

use super::lanes::Lanes;
use super::layer::{Layer, RecurrentError};
use super::packed::Packed;
use super::plan::Plan;
use super::product::padded;
use super::projection::{Batch, Projection};
use crate::nn::kernels::embedding::index;
use crate::nn::kernels::simd::{Isa, Simd, Work, run};
use crate::nn::threads::{Aligned, begun_in_order, with_flushed_denormals};

/// Distinct ids that are computed together.
const TOGETHER: usize = 64;

/// Into how many sums of its own the kernel's gradient is cut at most.
const MOST_SUMS: usize = 16;

/// The distinct ids of a batch, and where they are used.
#[derive(Debug)]
pub(super) struct Distinct {
    /// The ids, in the order in which the plan meets them.
    ids: Vec<u32>,
    /// For each step of the plan, the position of its id in `ids`.
    pub(super) slots: Vec<u32>,
}

impl Distinct {
    /// Looks through `ids`, `[batch, steps]`.
    pub(super) fn new(
        layer: &Layer,
        plan: &Plan,
        ids: &[f32],
        steps: usize,
        input_dim: usize,
    ) -> Result<Self, RecurrentError> {
        const UNSEEN: u32 = u32::MAX;
        let mut slot_of = vec![UNSEEN; input_dim];
        let mut found = Self {
            ids: Vec::new(),
            slots: Vec::with_capacity(plan.total),
        };
        for block in plan.all() {
            for (step, &active) in block.active.iter().enumerate() {
                for (r, &row) in block.rows[..active].iter().enumerate() {
                    let at = row * steps + time(layer, steps, block.position(r, step));
                    let id = index(ids, at, steps, input_dim)?;
                    let slot = &mut slot_of[id as usize];
                    if *slot == UNSEEN {
                        *slot = u32::try_from(found.ids.len()).unwrap_or(UNSEEN);
                        found.ids.push(id);
                    }
                    found.slots.push(*slot);
                }
            }
        }
        Ok(found)
    }

    /// `P = E K + b`, rows [`Projection::stride`] apart.
    pub(super) fn project(&self, projection: &Projection<'_>, table: &[f32], features: usize) -> Aligned {
        let stride = projection.stride();
        let mut projected = Aligned::zeroed(self.ids.len() * stride);
        projected
            .par_chunks_mut(TOGETHER * stride)
            .zip(self.ids.par_chunks(TOGETHER))
            .for_each(|(projected, ids)| {
                with_flushed_denormals(|| {
                    let embeddings = embeddings(ids, table, features);
                    let rows = vec![0; ids.len()];
                    let batch = Batch::new(&embeddings, features, &rows);
                    projection.forward(batch, projected, &mut Vec::new());
                });
            });
        projected
    }

    /// `dK`, padded, and `dE` scattered to the table's rows, each only if asked for. `gradients` are the blocks' gates' gradients in
    /// the plan's order, and `trunk` computes the trunk's: one thread does while the others sum the ids that do not appear there.
    pub(super) fn gradients<'g>(
        &self,
        input: &Embedded<'_>,
        gradients: &[&'g [f32]],
        trunk: impl FnOnce() -> &'g [f32] + Send,
        needs: (bool, bool),
    ) -> (Option<Vec<f32>>, Option<Vec<f32>>) {
        let (features, kept) = (input.layer.features, input.layer.kept());
        let in_blocks: usize = gradients.iter().map(|block| block.len() / kept.max(1)).sum();
        let (block_slots, trunk_slots) = self.slots.split_at(in_blocks);
        let in_blocks = Uses::new(self.ids.len(), block_slots, gradients, kept);
        let chunks = self.ids.len().div_ceil(TOGETHER);
        let sums = chunks.min(MOST_SUMS);
        let slots_of = |sum: usize| {
            let end = self.ids.len().min(chunks * (sum + 1) / sums * TOGETHER);
            chunks * sum / sums * TOGETHER..end
        };
        let all_sums = |which: Vec<usize>, uses: &[&Uses<'_>]| -> Vec<(Vec<f32>, Vec<f32>)> {
            begun_in_order(which, |sum| {
                with_flushed_denormals(|| self.one_sum(input, slots_of(sum), uses, needs))
            })
        };
        // Ids that only the trunk has come last.
        let first_in_trunk = trunk_slots.iter().min().map_or(self.ids.len(), |&slot| slot as usize);
        let (apart, behind) = (0..sums).partition(|&sum| slots_of(sum).end <= first_in_trunk);
        let (trunk, mut parts) = rayon::join(trunk, || all_sums(apart, &[&in_blocks]));
        let in_trunk = Uses::new(self.ids.len(), trunk_slots, &[trunk], kept);
        parts.extend(all_sums(behind, &[&in_blocks, &in_trunk]));
        let mut dk = needs.0.then(|| vec![0.0; features * input.projection.stride()]);
        let mut table_gradient = needs.1.then(|| vec![0.0; input.table.len()]);
        if let Some(dk) = &mut dk {
            for (part, _) in &parts {
                super::add(dk, part);
            }
        }
        if let Some(gradient) = &mut table_gradient {
            let de = parts.iter().flat_map(|(_, de)| de.chunks_exact(features.max(1)));
            for (&id, de) in self.ids.iter().zip(de) {
                let at = id as usize * features;
                gradient[at..at + features].copy_from_slice(de);
            }
        }
        (dk, table_gradient)
    }

    /// What the ids at `slots` add to `dK`, padded, and their rows of `dE`; either is empty if not asked for.
    fn one_sum(
        &self,
        input: &Embedded<'_>,
        slots: Range<usize>,
        uses: &[&Uses<'_>],
        needs: (bool, bool),
    ) -> (Vec<f32>, Vec<f32>) {
        let Embedded { layer, projection, .. } = *input;
        let (features, columns) = (layer.features, layer.columns());
        let stride = padded(features);
        let mut dk = vec![0.0; if needs.0 { features * projection.stride() } else { 0 }];
        let mut de_all = Vec::new();
        let (mut dp, mut de) = (Vec::new(), vec![0.0; TOGETHER * stride]);
        let mut memory = (Packed::default(), Vec::new());
        for first in slots.clone().step_by(TOGETHER) {
            let slots = first..slots.end.min(first + TOGETHER);
            let rows = vec![0; slots.len()];
            dp.clear();
            dp.resize(slots.len() * columns, 0.0);
            for uses in uses {
                uses.sum(input.isa, slots.clone(), &mut dp);
            }
            let dp = Batch::new(&dp, columns, &rows);
            if needs.0 {
                let embeddings = embeddings(&self.ids[slots.clone()], input.table, features);
                let e = Batch::new(&embeddings, features, &rows);
                projection.weight_gradient(e, dp, &mut dk, &mut memory);
            }
            if needs.1 {
                projection.input_gradient(dp, false, &mut de, &mut memory.1);
                for de in de.chunks_exact(stride).take(slots.len()) {
                    de_all.extend_from_slice(&de[..features]);
                }
            }
        }
        (dk, de_all)
    }
}

/// A layer whose input is embedded ids.
pub(super) struct Embedded<'a> {
    pub(super) isa: Isa,
    pub(super) layer: &'a Layer,
    pub(super) projection: &'a Projection<'a>,
    /// The embeddings, `[input_dim, features]`.
    pub(super) table: &'a [f32],
}

/// The time of a position in the order of walking.
pub(super) fn time(layer: &Layer, steps: usize, position: usize) -> usize {
    if layer.go_backwards {
        steps - 1 - position
    } else {
        position
    }
}

fn embeddings(ids: &[u32], table: &[f32], features: usize) -> Vec<f32> {
    let mut rows = Vec::with_capacity(ids.len() * features);
    for &id in ids {
        rows.extend_from_slice(&table[id as usize * features..(id as usize + 1) * features]);
    }
    rows
}

/// For each distinct id, the gradients of the steps that use it, in the plan's order.
struct Uses<'a> {
    /// Where each id's uses begin, and at last their number.
    starts: Vec<usize>,
    rows: Vec<&'a [f32]>,
}

impl<'a> Uses<'a> {
    /// `slots` of `ids` ids, and the gradients of the steps they belong to, `kept` numbers each.
    fn new(ids: usize, slots: &[u32], gradients: &[&'a [f32]], kept: usize) -> Self {
        let mut starts = vec![0; ids + 1];
        for &slot in slots {
            starts[slot as usize + 1] += 1;
        }
        for slot in 1..starts.len() {
            starts[slot] += starts[slot - 1];
        }
        let mut next = starts.clone();
        let mut rows: Vec<&[f32]> = vec![&[]; slots.len()];
        let steps = gradients.iter().flat_map(|block| block.chunks_exact(kept.max(1)));
        for (&slot, step) in slots.iter().zip(steps) {
            rows[next[slot as usize]] = step;
            next[slot as usize] += 1;
        }
        Self { starts, rows }
    }

    /// Adds the gradients of the ids at `slots` to `sums`, as many numbers for each.
    fn sum(&self, isa: Isa, slots: Range<usize>, sums: &mut [f32]) {
        let columns = sums.len() / slots.len().max(1);
        for (slot, sum) in slots.zip(sums.chunks_exact_mut(columns.max(1))) {
            run(
                isa,
                SumRows {
                    rows: &self.rows[self.starts[slot]..],
                    count: self.starts[slot + 1] - self.starts[slot],
                    sum,
                },
            );
        }
    }
}

/// Adds rows up, bringing those behind into the cache: each use of an id lies somewhere else.
struct SumRows<'a> {
    /// The rows to add, and those that will be added next.
    rows: &'a [&'a [f32]],
    count: usize,
    sum: &'a mut [f32],
}

impl Work for SumRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        /// Rows to look ahead: each is some 25 cache lines.
        const AHEAD: usize = 2;
        let whole = self.sum.len() / S::LANES * S::LANES;
        for (at, row) in self.rows[..self.count].iter().enumerate() {
            if let Some(next) = self.rows.get(at + AHEAD) {
                s.prefetch_all(&next[..self.sum.len()]);
            }
            let row = &row[..self.sum.len()];
            for j in (0..whole).step_by(S::LANES) {
                let sum = s.add(s.read::<false>(self.sum, j), s.read::<false>(row, j));
                s.write::<false>(self.sum, j, sum);
            }
            if whole < row.len() {
                let sum = s.add(s.read::<true>(self.sum, whole), s.read::<true>(row, whole));
                s.write::<true>(self.sum, whole, sum);
            }
        }
    }
}
