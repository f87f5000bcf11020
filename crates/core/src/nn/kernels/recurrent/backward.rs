//! The way back: blocks of rows, each through all of its steps from the last to the first, then the trunk.

use super::distinct::Embedded;
use super::layer::{
    Call, Cell, Gradients, Input, Layer, Needs, OutputGradients, RecurrentError, Weights, check, check_gradients,
};
use super::packed::Packed;
use super::plan::{Block, Plan};
use super::product::padded;
use super::projection::Batch;
use super::step::Backward;
use super::walk::{SavedBlock, TOGETHER, Walk, deal, saved_blocks, saved_widths};
use super::{Saved, add};
use crate::nn::kernels::embedding::scatter;
use crate::nn::kernels::simd::Isa;
use crate::nn::threads::{Aligned, begun_in_order, with_flushed_denormals};

/// Numbers that the partial sums of all threads may hold together.
const MOST_IN_SUMS: usize = 1 << 22;

/// Partial sums at most, which is also how many threads can be at work.
const MOST_SUMS: usize = 32;

/// Computes a layer's gradients on one instruction set.
pub(super) fn backward_on(
    isa: Isa,
    layer: &Layer,
    weights: &Weights<'_>,
    call: &Call<'_>,
    mut saved: Saved,
    above: &OutputGradients<'_>,
    needs: Needs,
) -> Result<Gradients, RecurrentError> {
    check(layer, weights, call)?;
    check_gradients(layer, call, above)?;
    let per_step: usize = saved_widths(layer).iter().sum();
    let same_batch = saved.plan.shared.len() == call.batch && saved.plan.steps == call.steps;
    if !same_batch || saved.memory.len() != saved.plan.total * per_step {
        return Err(RecurrentError::Saved);
    }
    if let (Some(x), Input::Ids { ids, table }) = (saved.embeddings.take(), call.input) {
        let values = Call {
            input: Input::Values(&x),
            ..*call
        };
        let mut gradients = with_flushed_denormals(|| run(isa, layer, weights, &values, saved, above, needs));
        if let Some(dx) = gradients.input {
            let input_dim = table.len().checked_div(layer.features).unwrap_or(0);
            gradients.input = Some(scatter(ids, call.steps, &dx, input_dim, layer.features)?);
        }
        return Ok(gradients);
    }
    Ok(with_flushed_denormals(|| {
        run(isa, layer, weights, call, saved, above, needs)
    }))
}

/// Sums over steps, for the weights.
struct Sums {
    /// `[features, columns]`, padded.
    kernel: Vec<f32>,
    /// `[units, columns]`, padded.
    recurrent: Vec<f32>,
    /// All that a step keeps, summed.
    kept: Vec<f32>,
}

impl Sums {
    fn new(walk: &Walk<'_>, needs: Needs) -> Self {
        let rows = |n: usize, stride: usize| vec![0.0; if needs.weights { n * stride } else { 0 }];
        Self {
            kernel: rows(
                if walk.has_values() { walk.layer.features } else { 0 },
                walk.input.stride(),
            ),
            recurrent: rows(walk.layer.units, walk.recurrent.stride()),
            kept: rows(1, walk.layer.kept()),
        }
    }

    fn add(&mut self, other: &Self) {
        add(&mut self.kernel, &other.kernel);
        add(&mut self.recurrent, &other.recurrent);
        add(&mut self.kept, &other.kept);
    }
}

/// A block on its way back.
struct Job<'x> {
    index: usize,
    saved: SavedBlock<'x>,
    /// The gradients of its rows' inputs, if they are asked for.
    dx: Vec<&'x mut [f32]>,
}

fn run(
    isa: Isa,
    layer: &Layer,
    weights: &Weights<'_>,
    call: &Call<'_>,
    saved: Saved,
    above: &OutputGradients<'_>,
    needs: Needs,
) -> Gradients {
    let Call { batch, steps, .. } = *call;
    let (units, features) = (layer.units, layer.features);
    let Saved {
        plan,
        mut memory,
        distinct,
        ..
    } = saved;
    let walk = Walk::new(isa, layer, weights, call, true);
    let mut blocks = saved_blocks(layer, &plan, &mut memory);
    blocks.truncate(plan.blocks.len());
    let width = if needs.input && walk.has_values() {
        steps * features
    } else {
        0
    };
    let mut dx = vec![0.0; batch * width];
    let (mut total, ended) =
        back_through_blocks(&walk, &plan, blocks, deal(&mut dx, width, &plan.blocks), above, needs);

    let (dh, dc) = first_states(&walk, &plan, &ended, above);
    let mut blocks = saved_blocks(layer, &plan, &mut memory);
    let trunk_saved = blocks.split_off(plan.blocks.len()).pop().unwrap_or_default();
    let back_through_trunk = || {
        let mut saved = trunk_saved;
        if let Some(trunk) = &plan.trunk {
            let arrived = arrivals(&walk, &plan, trunk, &dh, &dc, above);
            let dx = dx.chunks_exact_mut(width.max(1)).nth(trunk.rows[0]);
            let arrive = |_: usize, step: usize, dh: &mut [f32], dc: &mut [f32]| {
                let behind = (step + 1) * units..(step + 2) * units;
                add(dh, &arrived.0[behind.clone()]);
                add(dc, arrived.1.get(behind).unwrap_or_default());
            };
            let dx = dx.into_iter().collect();
            with_flushed_denormals(|| back_through(&walk, trunk, &mut saved, dx, arrive, needs, &mut total));
        }
        let kept: &[f32] = saved.kept;
        kept
    };

    let mut gradients = Gradients::default();
    match (&distinct, call.input) {
        (Some(distinct), Input::Ids { table, .. }) if needs.weights || needs.input => {
            let kept: Vec<&[f32]> = blocks.iter().map(|block| &*block.kept).collect();
            let wanted = (needs.weights, needs.input);
            let input = Embedded {
                isa,
                layer,
                projection: &walk.input,
                table,
            };
            let (kernel, table) = distinct.gradients(&input, &kept, back_through_trunk, wanted);
            total.kernel = kernel.unwrap_or_default();
            gradients.input = table;
        }
        _ => {
            back_through_trunk();
        }
    }
    if needs.input && walk.has_values() {
        gradients.input = Some(dx);
    }
    if needs.weights {
        let columns = layer.columns();
        let unpadded = |sums: &[f32]| -> Vec<f32> {
            sums.chunks_exact(padded(columns))
                .flat_map(|row| &row[..columns])
                .copied()
                .collect()
        };
        gradients.kernel = Some(unpadded(&total.kernel));
        gradients.recurrent_kernel = Some(unpadded(&total.recurrent));
        gradients.bias = Some(bias_gradient(layer, &total.kept));
    }
    if needs.initial && call.initial.is_some() {
        gradients.h = Some(dh);
        gradients.c = layer.cell.has_carry().then_some(dc);
    }
    gradients
}

/// All blocks of the batch's rows: the sums over their steps, and the gradients of the states they began with.
fn back_through_blocks<'x>(
    walk: &Walk<'_>,
    plan: &Plan,
    blocks: Vec<SavedBlock<'x>>,
    dx: Vec<Vec<&'x mut [f32]>>,
    above: &OutputGradients<'_>,
    needs: Needs,
) -> (Sums, Vec<Ended>) {
    let values = if walk.has_values() { walk.layer.features } else { 0 };
    let size = (walk.layer.units + values) * walk.recurrent.stride();
    let sums = (MOST_IN_SUMS / size.max(1))
        .clamp(1, MOST_SUMS)
        .min(blocks.len().max(1));
    // Dealt out in turn: long and short blocks come to each sum alike.
    let mut groups: Vec<Vec<Job<'_>>> = (0..sums).map(|_| Vec::new()).collect();
    for (index, (saved, dx)) in blocks.into_iter().zip(dx).enumerate() {
        groups[index % sums].push(Job { index, saved, dx });
    }
    let back = |jobs: Vec<Job<'_>>| {
        let mut sums = Sums::new(walk, needs);
        let back_one = |job| from_above(walk, plan, job, above, needs, &mut sums);
        let ended: Vec<Ended> = jobs.into_iter().map(back_one).collect();
        (sums, ended)
    };
    let done = begun_in_order(groups, |jobs| with_flushed_denormals(|| back(jobs)));
    let mut total = Sums::new(walk, needs);
    let mut all: Vec<Ended> = Vec::new();
    for (sums, ended) in done {
        total.add(&sums);
        all.extend(ended);
    }
    (total, all)
}

/// The bias adds to the gates' sums; GRU's second row adds to what became `q`.
fn bias_gradient(layer: &Layer, kept: &[f32]) -> Vec<f32> {
    let mut bias = kept[..layer.columns()].to_vec();
    if let Cell::Gru { reset_after: true, .. } = layer.cell {
        bias.extend_from_slice(&kept[..2 * layer.units]);
        bias.extend_from_slice(&kept[3 * layer.units..]);
    }
    bias
}

/// A block that has come back to its first step.
struct Ended {
    index: usize,
    /// Gradients of the states it began with, `[rows, units]`.
    dh: Vec<f32>,
    dc: Vec<f32>,
}

/// A block of the batch's rows, whose gradients come from the layer's output.
fn from_above(
    walk: &Walk<'_>,
    plan: &Plan,
    mut job: Job<'_>,
    above: &OutputGradients<'_>,
    needs: Needs,
    sums: &mut Sums,
) -> Ended {
    let block = &plan.blocks[job.index];
    let units = walk.layer.units;
    let row_of = |values: &'_ [f32], row: usize| row * units..((row + 1) * units).min(values.len());
    let arrive = |r: usize, step: usize, dh: &mut [f32], dc: &mut [f32]| {
        let row = block.rows[r];
        if walk.layer.return_sequences {
            for position in block.outputs(r, step) {
                add(dh, &above.y[row_of(above.y, row * walk.call.steps + position)]);
            }
        }
        // The row's last step: it is not among the active ones of the next.
        if block.active.get(step + 1).is_none_or(|&n| r >= n) {
            if !walk.layer.return_sequences {
                add(dh, &above.y[row_of(above.y, row)]);
            }
            if let Some(h) = above.h {
                add(dh, &h[row_of(h, row)]);
            }
            if let Some(c) = above.c {
                add(dc, &c[row_of(c, row)]);
            }
        }
    };
    let ended = back_through(walk, block, &mut job.saved, job.dx, arrive, needs, sums);
    Ended {
        index: job.index,
        ..ended
    }
}

/// Walks a block back. `arrive(row, step, dh, dc)` adds the gradients that reach the states behind a step from outside.
fn back_through(
    walk: &Walk<'_>,
    block: &Block,
    saved: &mut SavedBlock<'_>,
    mut dx: Vec<&mut [f32]>,
    arrive: impl Fn(usize, usize, &mut [f32], &mut [f32]),
    needs: Needs,
    sums: &mut Sums,
) -> Ended {
    let units = walk.layer.units;
    let carry = if walk.layer.cell.has_carry() { units } else { 0 };
    let kept_width = walk.layer.kept();
    let stride = padded(units);
    let most = block.rows.len();
    let mut dh = Aligned::zeroed(most * stride);
    let mut dc = vec![0.0; most * carry];
    let mut scratch = [Vec::new(), Vec::new()];
    let mut memory = Memory::default();
    let mut end = block.active.len();
    for (step, &n) in block.active.iter().enumerate().rev() {
        for r in 0..n {
            let dh = &mut dh[r * stride..r * stride + units];
            arrive(r, step, dh, &mut dc[r * carry..(r + 1) * carry]);
        }
        let tokens = block.before[step]..block.before[step] + n;
        let before = if carry > 0 { &*saved.c } else { &*saved.h };
        let (earlier, kept) = saved.kept[..tokens.end * kept_width].split_at_mut(tokens.start * kept_width);
        let ahead: Vec<&[f32]> = earlier.rchunks(kept_width).take(n).collect();
        let mut back = Backward {
            n,
            units,
            kept,
            kept_width,
            before: &before[tokens.start * units..tokens.end * units],
            dh: &mut dh[..n * stride],
            dh_stride: stride,
            dc: &mut dc[..n * carry],
        };
        walk.backward(&mut back, &block.rows[..n], &ahead, &mut scratch);
        walk.drop_state(&mut dh, stride, &block.rows[..n]);
        if step == 0 || block.before[end] - block.before[step - 1] > TOGETHER {
            memory.sum_steps(walk, block, step..end, saved, &mut dx, needs, sums);
            end = step;
        }
    }
    let dh = dh.chunks_exact(stride).flat_map(|dh| &dh[..units]).copied().collect();
    Ended { index: 0, dh, dc }
}

/// Working memory of the sums over steps.
#[derive(Default)]
struct Memory {
    rows: Vec<usize>,
    x: Vec<f32>,
    dx: Vec<f32>,
    product: (Packed, Vec<f32>),
}

impl Memory {
    /// Adds some steps' shares to the weights' gradients, and computes their inputs' gradients.
    #[expect(
        clippy::too_many_arguments,
        reason = "one step of `back_through`, on all of what it holds"
    )]
    fn sum_steps(
        &mut self,
        walk: &Walk<'_>,
        block: &Block,
        steps: std::ops::Range<usize>,
        saved: &SavedBlock<'_>,
        dx: &mut [&mut [f32]],
        needs: Needs,
        sums: &mut Sums,
    ) {
        let (units, features, kept_width) = (walk.layer.units, walk.layer.features, walk.layer.kept());
        let tokens = block.before[steps.start]..block.before[steps.end];
        walk.collect(block, steps.start, steps.end, &mut self.x, &mut self.rows);
        let kept = &saved.kept[tokens.start * kept_width..tokens.end * kept_width];
        let dz = Batch::new(kept, kept_width, &self.rows);
        if needs.weights {
            let h = Batch::new(&saved.h[tokens.start * units..tokens.end * units], units, &self.rows);
            walk.recurrent
                .weight_gradient(h, dz, &mut sums.recurrent, &mut self.product);
            if let Some(candidate) = &walk.candidate {
                let p = Batch::new(&kept[3 * units..], kept_width, &self.rows);
                candidate.weight_gradient(p, dz, &mut sums.recurrent, &mut self.product);
            }
            if walk.has_values() {
                let x = Batch::new(&self.x, features, &self.rows);
                walk.input.weight_gradient(x, dz, &mut sums.kernel, &mut self.product);
            }
            add_rows(&mut sums.kept, kept);
        }
        if dx.is_empty() || !walk.has_values() {
            return;
        }
        let stride = padded(features);
        self.dx.resize(self.dx.len().max(self.rows.len() * stride), 0.0);
        walk.input.input_gradient(dz, false, &mut self.dx, &mut self.product.1);
        let mut from = self.dx.chunks_exact(stride);
        for step in steps {
            for (r, (dx, from)) in dx[..block.active[step]].iter_mut().zip(&mut from).enumerate() {
                let at = walk.time(block, r, step) * features;
                dx[at..at + features].copy_from_slice(&from[..features]);
            }
        }
    }
}

/// Adds `rows`, each as long as `sums`: four at a time, which reads and writes the sums a quarter as often.
fn add_rows(sums: &mut [f32], rows: &[f32]) {
    let width = sums.len().max(1);
    let fours = rows.chunks_exact(4 * width);
    for row in fours.remainder().chunks_exact(width) {
        add(sums, row);
    }
    for four in fours {
        let (front, back) = four.split_at(2 * width);
        let ((a, b), (c, d)) = (front.split_at(width), back.split_at(width));
        for ((((sum, a), b), c), d) in sums.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *sum += (a + b) + (c + d);
        }
    }
}

/// The gradients of the states that each row of the batch began its own steps with, `[batch, units]`.
fn first_states(walk: &Walk<'_>, plan: &Plan, ended: &[Ended], above: &OutputGradients<'_>) -> (Vec<f32>, Vec<f32>) {
    let units = walk.layer.units;
    let carry = if walk.layer.cell.has_carry() { units } else { 0 };
    // Rows without steps of their own pass on what comes to their last state.
    let mut dh = above
        .h
        .map_or_else(|| vec![0.0; walk.call.batch * units], <[f32]>::to_vec);
    let mut dc = above
        .c
        .map_or_else(|| vec![0.0; walk.call.batch * carry], <[f32]>::to_vec);
    if !walk.layer.return_sequences {
        for (row, _) in plan.shared.iter().enumerate().filter(|(_, shared)| **shared > 0) {
            add(
                &mut dh[row * units..(row + 1) * units],
                &above.y[row * units..(row + 1) * units],
            );
        }
    }
    for ended in ended {
        for (r, &row) in plan.blocks[ended.index].rows.iter().enumerate() {
            dh[row * units..(row + 1) * units].copy_from_slice(&ended.dh[r * units..(r + 1) * units]);
            dc[row * carry..(row + 1) * carry].copy_from_slice(&ended.dc[r * carry..(r + 1) * carry]);
        }
    }
    (dh, dc)
}

/// What reaches the trunk's states after each number of steps, `[steps + 1, units]`: from the rows that leave it there, and from the
/// outputs of all rows that are still on it. Added in the order of the batch.
fn arrivals(
    walk: &Walk<'_>,
    plan: &Plan,
    trunk: &Block,
    dh: &[f32],
    dc: &[f32],
    above: &OutputGradients<'_>,
) -> (Vec<f32>, Vec<f32>) {
    let units = walk.layer.units;
    let carry = if walk.layer.cell.has_carry() { units } else { 0 };
    let mut h = vec![0.0; (trunk.total() + 1) * units];
    let mut c = vec![0.0; (trunk.total() + 1) * carry];
    for (row, &shared) in plan.shared.iter().enumerate().filter(|(_, shared)| **shared > 0) {
        add(
            &mut h[shared * units..(shared + 1) * units],
            &dh[row * units..(row + 1) * units],
        );
        add(
            &mut c[shared * carry..(shared + 1) * carry],
            &dc[row * carry..(row + 1) * carry],
        );
        if walk.layer.return_sequences {
            let first = row * walk.call.steps * units;
            add(
                &mut h[units..(shared + 1) * units],
                &above.y[first..first + shared * units],
            );
        }
    }
    (h, c)
}
