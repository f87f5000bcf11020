//! States of a recurrent layer as outputs. A stage has one result: a layer that returns its states puts them behind its output, row by
//! row, and a [`Part`] for each output takes it out again.

use std::ops::Range;
use std::sync::Arc;

use burn::backend::DispatchTensor;

use super::conv::with_batch;
use super::reshape::PermuteKernel;
use crate::Result;
use crate::nn::layer::{Flow, Layer, Pass};
use crate::nn::operation::{self, Gradients, Kernel, Output, Saved, View};

/// Several tensors of `batch` rows as one, `[batch, numbers]`, each row's numbers one behind the other.
pub(super) fn packed(batch: usize, parts: &[&[f32]]) -> Output {
    let row: usize = parts.iter().map(|part| part.len() / batch.max(1)).sum();
    let mut values = Vec::with_capacity(batch * row);
    for index in 0..batch {
        for part in parts {
            let width = part.len() / batch;
            values.extend_from_slice(&part[index * width..][..width]);
        }
    }
    Output::new(values, vec![batch, row])
}

/// Takes apart what [`packed`] put together: the parts have so many numbers a row.
pub(super) fn unpacked<const N: usize>(values: &[f32], widths: [usize; N]) -> [Vec<f32>; N] {
    let row: usize = widths.iter().sum();
    let mut begin = 0;
    widths.map(|width| {
        let range = begin..begin + width;
        begin += width;
        taken(values, row, &range)
    })
}

/// A range of each row of `row` numbers.
fn taken(values: &[f32], row: usize, range: &Range<usize>) -> Vec<f32> {
    let mut part = Vec::with_capacity(values.len() / row.max(1) * range.len());
    for row in values.chunks_exact(row.max(1)) {
        part.extend_from_slice(&row[range.clone()]);
    }
    part
}

/// One of the outputs of a layer that returns its states.
#[derive(Debug)]
pub(super) struct Part {
    /// Where it lies in each row.
    pub range: Range<usize>,
    /// The shape of a row, as it lies there.
    pub shape: Vec<usize>,
    /// The order of its axes, the batch's included, if it is another in the model.
    pub axes: Option<Vec<usize>>,
    /// Whether the layer's mask is for it.
    pub keeps_mask: bool,
}

impl Layer for Part {
    fn forward(&self, inputs: &[Flow], _: &[DispatchTensor], _: &mut Pass) -> Result<Flow> {
        let kernel = PartKernel {
            range: self.range.clone(),
            shape: self.shape.clone(),
        };
        let mut tensor = operation::apply(Arc::new(kernel), vec![inputs[0].tensor.clone()])?;
        if let Some(axes) = &self.axes {
            tensor = operation::apply(Arc::new(PermuteKernel(axes.clone())), vec![tensor])?;
        }
        Ok(Flow {
            tensor,
            mask: inputs[0].mask.clone().filter(|_| self.keeps_mask),
        })
    }
}

/// A range of each row in a shape of its own.
#[derive(Debug)]
struct PartKernel {
    range: Range<usize>,
    shape: Vec<usize>,
}

impl Kernel for PartKernel {
    fn forward(&self, inputs: &[View<'_>], _: bool) -> Result<Output> {
        let [batch, row] = [inputs[0].shape[0], inputs[0].shape[1]];
        let values = taken(inputs[0].values, row, &self.range);
        Ok(Output::new(values, with_batch(batch, &self.shape)))
    }

    fn backward(&self, inputs: &[View<'_>], _: &Saved, dy: View<'_>, _: &[bool]) -> Result<Gradients> {
        let mut dx = vec![0.0; inputs[0].values.len()];
        let rows = dx.chunks_exact_mut(inputs[0].shape[1].max(1));
        for (dx, dy) in rows.zip(dy.values.chunks_exact(self.range.len().max(1))) {
            dx[self.range.clone()].copy_from_slice(dy);
        }
        Ok(vec![Some(dx)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_apart_again() {
        let (y, h) = ([1.0, 2.0, 3.0, 4.0], [5.0, 6.0]);
        let packed = packed(2, &[&y, &h]);
        assert_eq!(
            (packed.values, packed.shape),
            (vec![1.0, 2.0, 5.0, 3.0, 4.0, 6.0], vec![2, 3])
        );
        assert_eq!(
            unpacked(&[1.0, 2.0, 5.0, 3.0, 4.0, 6.0], [2, 1]),
            [y.to_vec(), h.to_vec()]
        );
    }

    #[test]
    fn the_gradient_of_a_part_goes_where_the_part_was() {
        let kernel = PartKernel {
            range: 1..3,
            shape: vec![2, 1],
        };
        let x = View {
            values: &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            shape: &[2, 3],
        };
        let part = kernel.forward(&[x], true).unwrap();
        assert_eq!((part.values, part.shape), (vec![2.0, 3.0, 5.0, 6.0], vec![2, 2, 1]));
        let dy = View {
            values: &[7.0, 8.0, 9.0, 10.0],
            shape: &[2, 2, 1],
        };
        let gradients = kernel.backward(&[x], &part.saved, dy, &[true]).unwrap();
        assert_eq!(gradients, [Some(vec![0.0, 7.0, 8.0, 0.0, 9.0, 10.0])]);
    }
}
