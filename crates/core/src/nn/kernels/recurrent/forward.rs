//! The way forward: blocks of rows, each through all of its steps.

use std::collections::VecDeque;
use std::sync::mpsc::sync_channel;

use super::Saved;
use super::distinct::Distinct;
use super::layer::{Call, Input, Layer, Output, RecurrentError, Weights, check};
use super::memory::Memory;
use super::plan::{Block, Plan};
use super::projection::Batch;
use super::step::{Forward, Projected};
use super::walk::{SavedBlock, TOGETHER, Walk, deal, saved_blocks, saved_widths};
use crate::nn::kernels::embedding::gather;
use crate::nn::kernels::simd::Isa;
use crate::nn::threads::{Aligned, begun_in_order, with_flushed_denormals};

/// Computes a layer on one instruction set.
pub(super) fn forward_on(
    isa: Isa,
    layer: &Layer,
    weights: &Weights<'_>,
    call: &Call<'_>,
    training: bool,
) -> Result<Output, RecurrentError> {
    check(layer, weights, call)?;
    if let (Input::Ids { ids, table }, Some(_)) = (call.input, call.dropout) {
        // Dropout makes the embedding of an id another one in each row.
        let x = gather(ids, call.steps, table, layer.features)?;
        let values = Call {
            input: Input::Values(&x),
            ..*call
        };
        let mut output = with_flushed_denormals(|| run(isa, layer, weights, &values, training))?;
        if let Some(saved) = &mut output.saved {
            saved.embeddings = Some(x);
        }
        return Ok(output);
    }
    with_flushed_denormals(|| run(isa, layer, weights, call, training))
}

/// The states of the trunk after each number of steps, `[steps + 1, units]`.
#[derive(Default)]
struct Trace {
    h: Vec<f32>,
    c: Vec<f32>,
}

/// A block at its end.
#[derive(Default)]
struct Walked {
    h: Vec<f32>,
    c: Vec<f32>,
}

/// Some rows of `states`, `width` numbers each.
fn rows_of(states: &[f32], rows: &[usize], width: usize) -> Vec<f32> {
    let of = |row: &usize| &states[row * width..(row + 1) * width];
    rows.iter().flat_map(of).copied().collect()
}

/// The input's projections, if they are made for the whole batch.
type Words<'a> = Option<(&'a Distinct, &'a [f32])>;

fn run(
    isa: Isa,
    layer: &Layer,
    weights: &Weights<'_>,
    call: &Call<'_>,
    training: bool,
) -> Result<Output, RecurrentError> {
    let Call { batch, steps, .. } = *call;
    let units = layer.units;
    let plan = Plan::new(layer, call);
    let walk = Walk::new(isa, layer, weights, call, false);
    let mut distinct = None;
    let mut projected = Aligned::default();
    if let Input::Ids { ids, table } = call.input {
        let input_dim = table.len().checked_div(layer.features).unwrap_or(0);
        let found = Distinct::new(layer, &plan, ids, steps, input_dim)?;
        projected = found.project(&walk.input, table, layer.features);
        distinct = Some(found);
    }
    let words: Words<'_> = distinct.as_ref().map(|distinct| (distinct, &*projected));

    let carry = if layer.cell.has_carry() { units } else { 0 };
    let per_step: usize = saved_widths(layer).iter().sum();
    let mut memory = Memory::take(if training { plan.total * per_step } else { 0 });
    let saved = saved_blocks(layer, &plan, &mut memory);

    let mut h = vec![0.0; batch * units];
    let mut c = vec![0.0; batch * carry];
    if let Some(initial) = call.initial {
        h.copy_from_slice(initial.h);
        c.copy_from_slice(initial.c.unwrap_or_default());
    }
    let width = if layer.return_sequences { steps * units } else { 0 };
    let mut y = vec![0.0; batch * if layer.return_sequences { width } else { units }];
    let outputs = deal(if width == 0 { &mut [] } else { &mut y }, width, &plan.blocks);

    let (walked, trace) = walk_all(&walk, &plan, words, (&h, &c), saved, outputs);
    if plan.trunk.is_some() {
        for (row, &shared) in plan.shared.iter().enumerate() {
            h[row * units..(row + 1) * units].copy_from_slice(&trace.h[shared * units..(shared + 1) * units]);
            c[row * carry..(row + 1) * carry].copy_from_slice(&trace.c[shared * carry..(shared + 1) * carry]);
            if layer.return_sequences {
                let own = row * width..row * width + shared * units;
                y[own].copy_from_slice(&trace.h[units..(shared + 1) * units]);
            }
        }
    }
    for (block, walked) in plan.blocks.iter().zip(&walked) {
        for (r, &row) in block.rows.iter().enumerate() {
            h[row * units..(row + 1) * units].copy_from_slice(&walked.h[r * units..(r + 1) * units]);
            c[row * carry..(row + 1) * carry].copy_from_slice(&walked.c[r * carry..(r + 1) * carry]);
        }
    }
    if !layer.return_sequences {
        y.copy_from_slice(&h);
        for row in &plan.idle {
            y[row * units..(row + 1) * units].fill(0.0);
        }
    }
    let saved = training.then_some(Saved {
        plan,
        memory,
        distinct,
        embeddings: None,
    });
    Ok(Output {
        y,
        h,
        c: layer.cell.has_carry().then_some(c),
        saved,
    })
}

/// Walks all blocks and the trunk. One thread walks the trunk, before all else; a block begins when the trunk has passed the states
/// that its rows begin with. Without a trunk those are `states`, `[batch, units]`.
fn walk_all<'a>(
    walk: &'a Walk<'_>,
    plan: &'a Plan,
    words: Words<'a>,
    states: (&[f32], &[f32]),
    mut saved: Vec<SavedBlock<'a>>,
    outputs: Vec<Vec<&'a mut [f32]>>,
) -> (Vec<Walked>, Trace) {
    let units = walk.layer.units;
    let carry = if walk.layer.cell.has_carry() { units } else { 0 };
    let mut trace = Trace::default();
    let trunk_saved = saved.split_off(plan.blocks.len()).pop();
    let mut leaving = VecDeque::new();
    let mut tasks: Vec<Box<dyn FnOnce() -> Walked + Send + '_>> = Vec::new();
    for ((block, mut y), mut saved) in plan.blocks.iter().zip(outputs).zip(saved) {
        let (ready, start) = sync_channel(1);
        if plan.trunk.is_some() {
            let last = block.rows.iter().map(|&row| plan.shared[row]).max().unwrap_or(0);
            leaving.push_back((last, block, ready));
        } else {
            // The channel has room for them, and its other end is still here.
            let _ = ready.send((
                rows_of(states.0, &block.rows, units),
                rows_of(states.1, &block.rows, carry),
            ));
        }
        tasks.push(Box::new(move || {
            // Nothing comes if whoever walks the trunk panics, which ends all of this.
            let Ok(start) = start.recv() else {
                return Walked::default();
            };
            walk_block(walk, block, words, start, &mut saved, &mut y, |_, _| {})
        }));
    }
    if let (Some(trunk), Some(mut saved)) = (&plan.trunk, trunk_saved) {
        let start = (vec![0.0; units], vec![0.0; carry]);
        let trace = &mut trace;
        let mut passed = move |h: &[f32], c: &[f32]| {
            trace.h.extend_from_slice(h);
            trace.c.extend_from_slice(c);
            let passed = trace.h.len() / units - 1;
            while leaving.front().is_some_and(|(last, ..)| *last <= passed)
                && let Some((_, block, ready)) = leaving.pop_front()
            {
                let left: Vec<usize> = block.rows.iter().map(|&row| plan.shared[row]).collect();
                let _ = ready.send((rows_of(&trace.h, &left, units), rows_of(&trace.c, &left, carry)));
            }
        };
        tasks.insert(
            0,
            Box::new(move || {
                passed(&start.0, &start.1);
                walk_block(walk, trunk, words, start, &mut saved, &mut [], passed)
            }),
        );
    }
    let mut walked = begun_in_order(tasks, with_flushed_denormals);
    let blocks = walked.split_off(walked.len() - plan.blocks.len());
    (blocks, trace)
}

/// Walks a block from its states before the first step to those after the last; `passed` sees those after each.
fn walk_block(
    walk: &Walk<'_>,
    block: &Block,
    words: Words<'_>,
    start: (Vec<f32>, Vec<f32>),
    saved: &mut SavedBlock<'_>,
    y: &mut [&mut [f32]],
    mut passed: impl FnMut(&[f32], &[f32]),
) -> Walked {
    let (mut h, mut c) = start;
    let units = walk.layer.units;
    let carry = if c.is_empty() { 0 } else { units };
    let (columns, kept_width) = (walk.layer.columns(), walk.layer.kept());
    let most = block.rows.len();
    let z_stride = walk.recurrent.stride();
    let x_stride = walk.input.stride();
    let mut z = Aligned::zeroed(most * z_stride);
    let training = !saved.kept.is_empty();
    let mut unkept = vec![0.0; if training { 0 } else { most * kept_width }];
    let (mut values, mut rows, mut scratch) = (Vec::new(), Vec::new(), Vec::new());
    let mut projected = Vec::new();
    let mut projected_steps = 0..0;
    for (step, &n) in block.active.iter().enumerate() {
        let before = block.before[step];
        let x = if let Some((distinct, table)) = words {
            let at = block.first + before;
            Projected {
                values: table,
                stride: x_stride,
                index: Some(&distinct.slots[at..at + n]),
            }
        } else {
            if step == projected_steps.end {
                let until = before + TOGETHER;
                let end = block
                    .before
                    .partition_point(|&tokens| tokens <= until)
                    .saturating_sub(1)
                    .max(step + 1);
                walk.collect(block, step, end, &mut values, &mut rows);
                projected.resize(projected.len().max(rows.len() * x_stride), 0.0);
                let inputs = Batch::new(&values, walk.layer.features, &rows);
                walk.input.forward(inputs, &mut projected, &mut scratch);
                projected_steps = step..end;
            }
            let at = (before - block.before[projected_steps.start]) * x_stride;
            Projected {
                values: &projected[at..],
                stride: x_stride,
                index: None,
            }
        };
        let mut ahead: Vec<&[f32]> = Vec::with_capacity(2 * n);
        if words.is_some() {
            ahead.extend((0..n).map(|r| x.row(r, columns)));
        }
        walk.drop_state(&mut h, units, &block.rows[..n]);
        let kept = if training {
            let end = before + n;
            saved.h[before * units..end * units].copy_from_slice(&h[..n * units]);
            saved.c[before * carry..end * carry].copy_from_slice(&c[..n * carry]);
            let (now, next) = saved.kept[before * kept_width..].split_at_mut(n * kept_width);
            ahead.extend(next.chunks(kept_width).take(n));
            now
        } else {
            &mut unkept[..n * kept_width]
        };
        let (h_now, c_now) = (&mut h[..n * units], &mut c[..n * carry]);
        let mut forward = Forward {
            n,
            units,
            columns,
            x,
            z: &mut z,
            z_stride,
            kept,
            kept_width,
            h: h_now,
            c: c_now,
        };
        walk.forward(&mut forward, &block.rows[..n], &ahead, &mut scratch);
        for (r, y) in y.iter_mut().enumerate().take(n) {
            for position in block.outputs(r, step) {
                y[position * units..(position + 1) * units].copy_from_slice(&h[r * units..(r + 1) * units]);
            }
        }
        passed(&h, &c);
    }
    Walked { h, c }
}
