//! Layers that only see the same values in another shape, or in another order.

use burn::backend::ops::FloatTensorOps;
use burn::backend::{Dispatch, DispatchTensor, Shape};

use crate::Result;
use crate::nn::kernels::axes::{inverse, permute};
use crate::nn::layer::{Flow, Layer, Pass};
use crate::nn::operation::{Gradients, Kernel, Output, Saved, View};

/// The values of each row in a new shape (`Flatten`, `Reshape`).
#[derive(Debug)]
pub(super) struct Reshape {
    /// The shape without the batch.
    pub output: Vec<usize>,
    /// Whether the channels come first in the input and are moved last before (`Flatten` with `channels_first`).
    pub channels_first: bool,
}

impl Layer for Reshape {
    fn forward(&self, inputs: &[Flow], _: &[DispatchTensor], _: &mut Pass) -> Result<Flow> {
        let shape = inputs[0].shape();
        let mut tensor = inputs[0].tensor.clone();
        if self.channels_first && shape.len() > 2 {
            let axes: Vec<usize> = std::iter::once(0)
                .chain(2..shape.len())
                .chain(std::iter::once(1))
                .collect();
            tensor = Dispatch::float_permute(tensor, &axes);
        }
        let output: Vec<usize> = std::iter::once(shape[0]).chain(self.output.iter().copied()).collect();
        Ok(Flow::unmasked(Dispatch::float_reshape(tensor, Shape::from(output))))
    }
}

/// Moves the second axis last, or the last axis second: how a layer with `channels_first` data uses kernels that are channels last.
pub(super) fn move_channels(tensor: DispatchTensor, rank: usize, to_last: bool) -> DispatchTensor {
    let axes: Vec<usize> = if to_last {
        std::iter::once(0).chain(2..rank).chain(std::iter::once(1)).collect()
    } else {
        [0, rank - 1].into_iter().chain(1..rank - 1).collect()
    };
    Dispatch::float_permute(tensor, &axes)
}

/// The axes in another order: axis `i` of the result is axis `axes[i]` of the input, both counted with the batch.
#[derive(Debug)]
pub(super) struct PermuteKernel(pub Vec<usize>);

impl Kernel for PermuteKernel {
    fn forward(&self, inputs: &[View<'_>], _: bool) -> Result<Output> {
        let shape = self.0.iter().map(|&axis| inputs[0].shape[axis]).collect();
        Ok(Output::new(permute(inputs[0].values, inputs[0].shape, &self.0), shape))
    }

    fn backward(&self, _: &[View<'_>], _: &Saved, dy: View<'_>, _: &[bool]) -> Result<Gradients> {
        Ok(vec![Some(permute(dy.values, dy.shape, &inverse(&self.0)))])
    }
}
