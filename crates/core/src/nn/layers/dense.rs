//! Dense layers.

use crate::Result;
use crate::nn::kernels::dense::{self, DenseShape};
use crate::nn::operation::{Gradients, Kernel, Output, Saved, View};

/// `x w + b` over the last axis of `x`: inputs are `x`, the kernel `[inputs, units]` and, if there is one, the bias `[units]`.
#[derive(Debug)]
pub(super) struct DenseKernel;

fn shape(x: View<'_>, w: View<'_>) -> DenseShape {
    let (inputs, units) = (w.shape[0], w.shape[1]);
    DenseShape {
        rows: x.values.len() / inputs.max(1),
        inputs,
        units,
    }
}

impl Kernel for DenseKernel {
    fn forward(&self, inputs: &[View<'_>], _: bool) -> Result<Output> {
        let (x, w) = (inputs[0], inputs[1]);
        let shape = shape(x, w);
        let y = dense::forward(shape, x.values, w.values, inputs.get(2).map(|bias| bias.values));
        let mut y_shape = x.shape.to_vec();
        y_shape.pop();
        y_shape.push(shape.units);
        Ok(Output::new(y, y_shape))
    }

    fn backward(&self, inputs: &[View<'_>], _: &Saved, dy: View<'_>, needs: &[bool]) -> Result<Gradients> {
        let shape = shape(inputs[0], inputs[1]);
        let gradient = |index: usize| match index {
            0 => dense::backward_input(shape, inputs[1].values, dy.values),
            1 => dense::backward_weights(shape, inputs[0].values, dy.values),
            _ => dense::backward_bias(shape, dy.values),
        };
        Ok(needs
            .iter()
            .enumerate()
            .map(|(index, &needed)| needed.then(|| gradient(index)))
            .collect())
    }
}
