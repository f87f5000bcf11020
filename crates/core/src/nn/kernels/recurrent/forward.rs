//! The way forward: blocks of rows, each through all of its steps.

use rayon::prelude::*;

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
use crate::nn::threads::with_flushed_denormals;

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
struct Trace {
    h: Vec<f32>,
    c: Vec<f32>,
}

/// A block at its end.
struct Walked {
    h: Vec<f32>,
    c: Vec<f32>,
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
    let mut projected = Vec::new();
    if let Input::Ids { ids, table } = call.input {
        let input_dim = table.len().checked_div(layer.features).unwrap_or(0);
        let found = Distinct::new(layer, &plan, ids, steps, input_dim)?;
        projected = found.project(&walk.input, table, layer.features);
        distinct = Some(found);
    }
    let words: Words<'_> = distinct.as_ref().map(|distinct| (distinct, projected.as_slice()));

    let carry = if layer.cell.has_carry() { units } else { 0 };
    let mut trace = Trace {
        h: vec![0.0; units],
        c: vec![0.0; carry],
    };
    let per_step: usize = saved_widths(layer).iter().sum();
    let mut memory = Memory::take(if training { plan.total * per_step } else { 0 });
    let mut saved = saved_blocks(layer, &plan, &mut memory);
    if let (Some(trunk), Some(saved)) = (&plan.trunk, saved.get_mut(plan.blocks.len())) {
        let start = (vec![0.0; units], vec![0.0; carry]);
        walk_block(&walk, trunk, words, start, saved, &mut [], Some(&mut trace));
    }

    let mut h = vec![0.0; batch * units];
    let mut c = vec![0.0; batch * carry];
    match call.initial {
        Some(initial) => {
            h.copy_from_slice(initial.h);
            c.copy_from_slice(initial.c.unwrap_or_default());
        }
        None => {
            for (row, &shared) in plan.shared.iter().enumerate().filter(|(_, shared)| **shared > 0) {
                h[row * units..(row + 1) * units].copy_from_slice(&trace.h[shared * units..(shared + 1) * units]);
                c[row * carry..(row + 1) * carry].copy_from_slice(&trace.c[shared * carry..(shared + 1) * carry]);
            }
        }
    }

    let width = if layer.return_sequences { steps * units } else { 0 };
    let mut y = vec![0.0; batch * if layer.return_sequences { width } else { units }];
    if layer.return_sequences {
        for (row, &shared) in plan.shared.iter().enumerate() {
            let own = row * width..row * width + shared * units;
            y[own].copy_from_slice(&trace.h[units..(shared + 1) * units]);
        }
    }
    let start = |block: &Block| {
        let rows = |states: &[f32], width: usize| {
            block
                .rows
                .iter()
                .flat_map(|row| &states[row * width..(row + 1) * width])
                .copied()
                .collect::<Vec<f32>>()
        };
        (rows(&h, units), rows(&c, carry))
    };
    let mut outputs = deal(if width == 0 { &mut [] } else { &mut y }, width, &plan.blocks);
    let jobs = plan.blocks.par_iter().with_max_len(1).zip(&mut outputs).zip(&mut saved);
    let walk_one = |((block, y), saved): ((&Block, &mut Vec<&mut [f32]>), &mut SavedBlock<'_>)| {
        with_flushed_denormals(|| walk_block(&walk, block, words, start(block), saved, y, None))
    };
    let walked: Vec<Walked> = jobs.map(walk_one).collect();

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

/// Walks a block from its states before the first step to those after the last.
fn walk_block(
    walk: &Walk<'_>,
    block: &Block,
    words: Words<'_>,
    start: (Vec<f32>, Vec<f32>),
    saved: &mut SavedBlock<'_>,
    y: &mut [&mut [f32]],
    mut trace: Option<&mut Trace>,
) -> Walked {
    let (mut h, mut c) = start;
    let units = walk.layer.units;
    let carry = if c.is_empty() { 0 } else { units };
    let (columns, kept_width) = (walk.layer.columns(), walk.layer.kept());
    let most = block.rows.len();
    let z_stride = walk.recurrent.stride();
    let x_stride = walk.input.stride();
    let mut z = vec![0.0; most * z_stride];
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
        if let Some(trace) = trace.as_deref_mut() {
            trace.h.extend_from_slice(&h);
            trace.c.extend_from_slice(&c);
        }
    }
    Walked { h, c }
}
