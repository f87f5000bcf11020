//! Convolutions, alone and together with the pooling behind them.

use crate::Result;
use crate::nn::kernels::conv::{self, ConvBlock, ConvGeometry, Winners};
use crate::nn::operation::{self, Gradients, Kernel, Output, Saved, View};

/// A convolution: inputs are `x` `[batch, space.., channels]`, the kernel `[window.., channels, filters]` and, if there is one, the
/// bias `[filters]`.
#[derive(Debug)]
pub(super) struct ConvKernel {
    pub geometry: ConvGeometry,
    /// The result's shape without the batch.
    pub output: Vec<usize>,
}

fn with_batch(batch: usize, shape: &[usize]) -> Vec<usize> {
    std::iter::once(batch).chain(shape.iter().copied()).collect()
}

impl Kernel for ConvKernel {
    fn forward(&self, inputs: &[View<'_>], _: bool) -> Result<Output> {
        let bias = inputs.get(2).map(|bias| bias.values);
        let y = conv::forward(&self.geometry, inputs[0].values, inputs[1].values, bias);
        Ok(Output::new(y, with_batch(inputs[0].shape[0], &self.output)))
    }

    fn backward(&self, inputs: &[View<'_>], _: &Saved, dy: View<'_>, needs: &[bool]) -> Result<Gradients> {
        let gradient = |index: usize| match index {
            0 => conv::backward_input(&self.geometry, inputs[1].values, dy.values),
            1 => conv::backward_kernel(&self.geometry, inputs[0].values, dy.values),
            _ => conv::backward_bias(&self.geometry, dy.values),
        };
        Ok(needs
            .iter()
            .enumerate()
            .map(|(index, &needed)| needed.then(|| gradient(index)))
            .collect())
    }
}

/// A convolution, relu and max-pooling in one: inputs as of [`ConvKernel`].
#[derive(Debug)]
pub(super) struct ConvBlockKernel {
    pub block: ConvBlock,
    /// The pooled result's shape without the batch.
    pub output: Vec<usize>,
}

impl Kernel for ConvBlockKernel {
    fn forward(&self, inputs: &[View<'_>], _: bool) -> Result<Output> {
        let bias = inputs.get(2).map(|bias| bias.values);
        let (y, winners) = self.block.forward(inputs[0].values, inputs[1].values, bias);
        Ok(Output::saving(y, with_batch(inputs[0].shape[0], &self.output), winners))
    }

    fn backward(&self, inputs: &[View<'_>], saved: &Saved, dy: View<'_>, needs: &[bool]) -> Result<Gradients> {
        let winners = operation::saved_as::<Winners>(saved)?;
        let wanted = std::array::from_fn(|index| needs.get(index).copied().unwrap_or(false));
        let gradients = self
            .block
            .backward(inputs[0].values, inputs[1].values, winners, dy.values, wanted);
        let mut all = vec![gradients.input, gradients.kernel, gradients.bias];
        all.truncate(needs.len());
        Ok(all)
    }
}
