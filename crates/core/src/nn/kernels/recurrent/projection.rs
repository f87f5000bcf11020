//! A kernel's product with the input or with the state, and its gradients, with or without dropout in between.
//!
//! With factors `m` (dropout) of its own for each gate, or one for all, a projection is `z = (m * a) W + b`. Back:
//! `da = m * (dz W^T)` and `dW = (m * a)^T dz`. Columns that share their factors are computed together: they are a [`Part`].

use std::ops::Range;

use super::packed::{Packed, Right};
use super::product::{Left, Product, Start, padded};
use crate::nn::kernels::simd::Isa;

/// Columns of a kernel that are multiplied in one go.
#[derive(Clone, Debug)]
pub(super) struct Cut {
    /// Columns of the kernel.
    pub(super) columns: Range<usize>,
    /// Where their gradients begin in what a step keeps.
    pub(super) kept: usize,
}

struct Part {
    cut: Cut,
    /// Which of the dropout masks, if any.
    mask: usize,
    forward: Packed,
    /// The transpose.
    backward: Packed,
}

/// A kernel `[inputs, columns]`, ready to be multiplied with.
pub(super) struct Projection<'a> {
    isa: Isa,
    inputs: usize,
    columns: usize,
    parts: Vec<Part>,
    /// Padded.
    bias: Option<Vec<f32>>,
    /// `[masks, batch, inputs]`
    masks: Option<&'a [f32]>,
    batch: usize,
}

/// The rows that a product is for: their numbers, and which rows of the batch they are.
#[derive(Clone, Copy)]
pub(super) struct Batch<'a> {
    /// One behind another, `stride` apart.
    pub(super) values: &'a [f32],
    pub(super) stride: usize,
    /// The row of the batch for each, which chooses the dropout factors.
    pub(super) rows: &'a [usize],
    /// What will be wanted behind the product.
    ahead: &'a [&'a [f32]],
}

impl<'a> Batch<'a> {
    /// `rows.len()` rows of numbers, `stride` apart.
    pub(super) fn new(values: &'a [f32], stride: usize, rows: &'a [usize]) -> Self {
        Self {
            values,
            stride,
            rows,
            ahead: &[],
        }
    }

    /// The same, with what will be wanted next.
    pub(super) fn ahead(self, ahead: &'a [&'a [f32]]) -> Self {
        Self { ahead, ..self }
    }
}

/// What a projection is made from.
pub(super) struct Source<'a> {
    pub(super) isa: Isa,
    /// `[inputs, columns]`
    pub(super) kernel: &'a [f32],
    pub(super) inputs: usize,
    pub(super) columns: usize,
    /// The bias of all columns.
    pub(super) bias: Option<&'a [f32]>,
    /// `[batch, inputs]` or `[gates, batch, inputs]`
    pub(super) masks: Option<&'a [f32]>,
    pub(super) batch: usize,
    /// Width of a gate.
    pub(super) units: usize,
}

impl<'a> Projection<'a> {
    /// `cuts` are the columns that belong to this product; with masks of each gate's own they are cut further, to single gates.
    pub(super) fn new(source: &Source<'a>, cuts: &[Cut], training: bool) -> Self {
        let Source {
            isa,
            kernel,
            inputs,
            columns,
            bias,
            masks,
            batch,
            units,
        } = *source;
        let per_gate = masks.is_some_and(|masks| masks.len() > batch * inputs);
        let mut parts = Vec::new();
        for cut in cuts {
            let width = if per_gate { units } else { cut.columns.len() };
            for start in cut.columns.clone().step_by(width.max(1)) {
                let kept = cut.kept + start - cut.columns.start;
                let from = kernel.get(start..).unwrap_or_default();
                let backward = if training {
                    Packed::transposed(isa, from, columns, width, inputs)
                } else {
                    Packed::default()
                };
                parts.push(Part {
                    cut: Cut {
                        columns: start..start + width,
                        kept,
                    },
                    mask: if per_gate { start / units } else { 0 },
                    forward: Packed::new(isa, from, columns, inputs, width),
                    backward,
                });
            }
        }
        let bias = bias.map(|bias| {
            let mut bias = bias.to_vec();
            bias.resize(padded(columns), 0.0);
            bias
        });
        Self {
            isa,
            inputs,
            columns,
            parts,
            bias,
            masks,
            batch,
        }
    }

    /// Numbers from one row of results to the next.
    pub(super) fn stride(&self) -> usize {
        padded(self.columns)
    }

    /// `z = (m * a) W + b`, rows [`Projection::stride`] apart.
    pub(super) fn forward(&self, a: Batch<'_>, z: &mut [f32], scratch: &mut Vec<f32>) {
        let stride = self.stride();
        let mut ahead = a.ahead;
        for part in &self.parts {
            let first = part.cut.columns.start;
            let start = self
                .bias
                .as_ref()
                .map_or(Start::Zero, |bias| Start::Row(&bias[first..]));
            let left = self.masked(part, a, scratch);
            let (m, c) = (a.rows.len(), &mut z[first..]);
            Product {
                m,
                a: left,
                b: part.forward.right(),
                start,
                c,
                stride,
                ahead,
            }
            .compute(self.isa);
            ahead = &[];
        }
    }

    /// `da (+)= m * (dz W^T)`: `dz` lies in kept rows, the result's rows are `padded(inputs)` apart.
    pub(super) fn input_gradient(&self, dz: Batch<'_>, add: bool, da: &mut [f32], scratch: &mut Vec<f32>) {
        let stride = padded(self.inputs);
        let m = dz.rows.len();
        let (mut add, mut ahead) = (add, dz.ahead);
        for part in &self.parts {
            let b = part.backward.right();
            let a = Left::rows(&dz.values[part.cut.kept..], dz.stride);
            if self.masks.is_none() {
                let start = if add { Start::Sum } else { Start::Zero };
                Product {
                    m,
                    a,
                    b,
                    start,
                    c: da,
                    stride,
                    ahead,
                }
                .compute(self.isa);
            } else {
                scratch.resize(m * stride, 0.0);
                Product {
                    m,
                    a,
                    b,
                    start: Start::Zero,
                    c: scratch,
                    stride,
                    ahead,
                }
                .compute(self.isa);
                for ((da, part_da), &row) in da
                    .chunks_exact_mut(stride)
                    .zip(scratch.chunks_exact(stride))
                    .zip(dz.rows)
                {
                    let mask = self.mask(part, row);
                    for ((da, &part_da), &m) in da.iter_mut().zip(part_da).zip(mask) {
                        *da = if add { *da + m * part_da } else { m * part_da };
                    }
                }
            }
            (add, ahead) = (true, &[]);
        }
    }

    /// `dW += (m * a)^T dz`, the result's rows [`Projection::stride`] apart.
    pub(super) fn weight_gradient(&self, a: Batch<'_>, dz: Batch<'_>, dw: &mut [f32], memory: &mut (Packed, Vec<f32>)) {
        let (packed, scratch) = memory;
        let n = dz.rows.len();
        for part in &self.parts {
            let (gates, width) = (&dz.values[part.cut.kept..], part.cut.columns.len());
            let b = Right::of_rows(self.isa, gates, dz.stride, n, width, packed);
            let left = self.masked(part, a, scratch);
            let product = Product {
                m: self.inputs,
                a: Left::transposed(left.values, left.row),
                b,
                start: Start::Sum,
                c: &mut dw[part.cut.columns.start..],
                stride: self.stride(),
                ahead: &[],
            };
            product.compute(self.isa);
        }
    }

    /// The dropout factors of one row of the batch.
    fn mask(&self, part: &Part, row: usize) -> &[f32] {
        self.masks.map_or(&[], |masks| {
            let at = (part.mask * self.batch + row) * self.inputs;
            &masks[at..at + self.inputs]
        })
    }

    fn masked<'b>(&self, part: &Part, a: Batch<'b>, scratch: &'b mut Vec<f32>) -> Left<'b> {
        if self.masks.is_none() {
            return Left::rows(a.values, a.stride);
        }
        scratch.clear();
        for (&row, a) in a.rows.iter().zip(a.values.chunks(a.stride)) {
            scratch.extend(a.iter().zip(self.mask(part, row)).map(|(a, m)| a * m));
        }
        Left::rows(scratch, self.inputs)
    }
}
