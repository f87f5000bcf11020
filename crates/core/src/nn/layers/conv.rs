//! Convolutions of every kind, alone and together with the pooling behind them.

use crate::Result;
use crate::nn::kernels::axes::permute;
use crate::nn::kernels::conv::{
    self, BlockWeights, ConvBlock, ConvGeometry, ConvGradients, ConvPair, PairNeeds, Passed, Winners,
};
use crate::nn::kernels::conv_transpose::{self, TransposedGeometry};
use crate::nn::kernels::dense::{self, DenseShape};
use crate::nn::kernels::depthwise::{self, DepthwiseGeometry};
use crate::nn::kernels::local;
use crate::nn::operation::{self, Gradients, Kernel, Output, Saved, View};

/// The ways to slide learned filters over an input.
#[derive(Clone, Copy, Debug)]
pub(super) enum Convolution {
    /// Every filter sees all channels: kernel `[window.., channels, filters]`.
    Full(ConvGeometry),
    /// Each channel has filters of its own: kernel `[window.., channels, multiplier]`.
    Depthwise(DepthwiseGeometry),
    /// The way back from a convolution: kernel `[window.., filters, channels]`.
    Transposed(TransposedGeometry),
    /// Each window has filters of its own: kernel `[windows, patch, filters]`.
    Local {
        geometry: ConvGeometry,
        /// Whether the weights are as Keras has them when channels come first: a patch in the kernel channel by channel and not cell
        /// by cell, and the bias `[filters, windows]`, though its shape says the contrary.
        by_channel: bool,
    },
}

/// A convolution: inputs are `x` `[batch, space.., channels]`, the kernel and, if there is one, the bias.
#[derive(Debug)]
pub(super) struct ConvKernel {
    pub convolution: Convolution,
    /// The result's shape without the batch.
    pub output: Vec<usize>,
}

pub(super) fn with_batch(batch: usize, shape: &[usize]) -> Vec<usize> {
    std::iter::once(batch).chain(shape.iter().copied()).collect()
}

/// The kernel of a locally connected layer with the cells and the channels of each patch in each other's place.
fn patch_turned(geometry: &ConvGeometry, kernel: &[f32], from_channels: bool) -> Vec<f32> {
    let (cells, channels) = (geometry.window.kernel_cells(), geometry.channels);
    let (first, second) = if from_channels {
        (channels, cells)
    } else {
        (cells, channels)
    };
    let shape = [geometry.window.output_cells(), first, second, geometry.filters];
    permute(kernel, &shape, &[0, 2, 1, 3])
}

/// The bias of a locally connected layer with filters and windows in each other's place.
fn bias_turned(geometry: &ConvGeometry, bias: &[f32], from_filters: bool) -> Vec<f32> {
    let (windows, filters) = (geometry.window.output_cells(), geometry.filters);
    let shape = if from_filters {
        [filters, windows]
    } else {
        [windows, filters]
    };
    permute(bias, &shape, &[1, 0])
}

impl Convolution {
    fn forward(&self, x: &[f32], kernel: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        match self {
            Self::Full(geometry) => conv::forward(geometry, x, kernel, bias),
            Self::Depthwise(geometry) => depthwise::forward(geometry, x, kernel, bias),
            Self::Transposed(geometry) => conv_transpose::forward(geometry, x, kernel, bias),
            Self::Local { geometry, by_channel } => {
                if *by_channel {
                    let bias = bias.map(|bias| bias_turned(geometry, bias, true));
                    local::forward(geometry, x, &patch_turned(geometry, kernel, true), bias.as_deref())
                } else {
                    local::forward(geometry, x, kernel, bias)
                }
            }
        }
    }

    fn backward_input(&self, kernel: &[f32], dy: &[f32]) -> Vec<f32> {
        match self {
            Self::Full(geometry) => conv::backward_input(geometry, kernel, dy),
            Self::Depthwise(geometry) => depthwise::backward_input(geometry, kernel, dy),
            Self::Transposed(geometry) => conv_transpose::backward_input(geometry, kernel, dy),
            Self::Local { geometry, by_channel } => {
                if *by_channel {
                    local::backward_input(geometry, &patch_turned(geometry, kernel, true), dy)
                } else {
                    local::backward_input(geometry, kernel, dy)
                }
            }
        }
    }

    fn backward_kernel(&self, x: &[f32], dy: &[f32]) -> Vec<f32> {
        match self {
            Self::Full(geometry) => conv::backward_kernel(geometry, x, dy),
            Self::Depthwise(geometry) => depthwise::backward_kernel(geometry, x, dy),
            Self::Transposed(geometry) => conv_transpose::backward_kernel(geometry, x, dy),
            Self::Local { geometry, by_channel } => {
                let gradient = local::backward_kernel(geometry, x, dy);
                if *by_channel {
                    patch_turned(geometry, &gradient, false)
                } else {
                    gradient
                }
            }
        }
    }

    fn backward_bias(&self, dy: &[f32]) -> Vec<f32> {
        match self {
            Self::Full(geometry) => conv::backward_bias(geometry, dy),
            Self::Depthwise(geometry) => depthwise::backward_bias(geometry, dy),
            Self::Transposed(geometry) => conv_transpose::backward_bias(geometry, dy),
            Self::Local { geometry, by_channel } => {
                let gradient = local::backward_bias(geometry, dy);
                if *by_channel {
                    bias_turned(geometry, &gradient, false)
                } else {
                    gradient
                }
            }
        }
    }
}

impl Kernel for ConvKernel {
    fn forward(&self, inputs: &[View<'_>], _: bool) -> Result<Output> {
        let bias = inputs.get(2).map(|bias| bias.values);
        let y = self.convolution.forward(inputs[0].values, inputs[1].values, bias);
        Ok(Output::new(y, with_batch(inputs[0].shape[0], &self.output)))
    }

    fn backward(&self, inputs: &[View<'_>], _: &Saved, dy: View<'_>, needs: &[bool]) -> Result<Gradients> {
        let gradient = |index: usize| match index {
            0 => self.convolution.backward_input(inputs[1].values, dy.values),
            1 => self.convolution.backward_kernel(inputs[0].values, dy.values),
            _ => self.convolution.backward_bias(dy.values),
        };
        Ok(needs
            .iter()
            .enumerate()
            .map(|(index, &needed)| needed.then(|| gradient(index)))
            .collect())
    }
}

/// A separable convolution: inputs are `x` `[batch, space.., channels]`, the depthwise kernel `[window.., channels, multiplier]`, the
/// pointwise kernel `[1.., channels * multiplier, filters]` and, if there is one, the bias `[filters]`.
#[derive(Debug)]
pub(super) struct SeparableKernel {
    pub geometry: DepthwiseGeometry,
    /// The result's shape without the batch.
    pub output: Vec<usize>,
}

impl SeparableKernel {
    fn mixing(&self, rows: usize, pointwise: View<'_>) -> DenseShape {
        let inputs = self.geometry.filters();
        DenseShape {
            rows: rows * self.geometry.window.output_cells(),
            inputs,
            units: pointwise.values.len() / inputs,
        }
    }
}

impl Kernel for SeparableKernel {
    fn forward(&self, inputs: &[View<'_>], save: bool) -> Result<Output> {
        let (x, kernel, pointwise) = (inputs[0], inputs[1], inputs[2]);
        let between = depthwise::forward(&self.geometry, x.values, kernel.values, None);
        let bias = inputs.get(3).map(|bias| bias.values);
        let y = dense::forward(self.mixing(x.shape[0], pointwise), &between, pointwise.values, bias);
        let saved = if save { between } else { Vec::new() };
        Ok(Output::saving(y, with_batch(x.shape[0], &self.output), saved))
    }

    fn backward(&self, inputs: &[View<'_>], saved: &Saved, dy: View<'_>, needs: &[bool]) -> Result<Gradients> {
        let (x, kernel, pointwise) = (inputs[0], inputs[1], inputs[2]);
        let between = operation::saved_as::<Vec<f32>>(saved)?;
        let mixing = self.mixing(x.shape[0], pointwise);
        let needs = |index: usize| needs.get(index).copied().unwrap_or(false);
        let dbetween = (needs(0) || needs(1)).then(|| dense::backward_input(mixing, pointwise.values, dy.values));
        let dbetween = dbetween.as_deref();
        let mut gradients = vec![
            dbetween
                .filter(|_| needs(0))
                .map(|slopes| depthwise::backward_input(&self.geometry, kernel.values, slopes)),
            dbetween
                .filter(|_| needs(1))
                .map(|slopes| depthwise::backward_kernel(&self.geometry, x.values, slopes)),
            needs(2).then(|| dense::backward_weights(mixing, between, dy.values)),
            needs(3).then(|| dense::backward_bias(mixing, dy.values)),
        ];
        gradients.truncate(inputs.len());
        Ok(gradients)
    }
}

/// A full convolution, relu and max-pooling in one: inputs as of [`ConvKernel`].
#[derive(Debug)]
pub(super) struct ConvBlockKernel {
    pub block: ConvBlock,
    /// The pooled result's shape without the batch.
    pub output: Vec<usize>,
}

/// A kernel and the bias behind it, if there is one.
fn block_weights<'a>(inputs: &[View<'a>]) -> BlockWeights<'a> {
    BlockWeights {
        kernel: inputs[0].values,
        bias: inputs.get(1).map(|bias| bias.values),
    }
}

impl Kernel for ConvBlockKernel {
    fn forward(&self, inputs: &[View<'_>], save: bool) -> Result<Output> {
        let (x, weights) = (inputs[0], block_weights(&inputs[1..]));
        let shape = with_batch(x.shape[0], &self.output);
        if !save {
            return Ok(Output::new(self.block.output(x.values, weights), shape));
        }
        let (y, winners) = self.block.forward(x.values, weights);
        Ok(Output::saving(y, shape, winners))
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

/// Two convolutions, each with relu and max-pooling behind it, in one: inputs are `x` `[batch, space.., channels]`, and of each the kernel
/// and, if there is one, the bias.
#[derive(Debug)]
pub(super) struct ConvPairKernel {
    pub pair: ConvPair,
    /// Weights of the first convolution: 1 or 2.
    pub of_first: usize,
    /// The second pooled result's shape without the batch.
    pub output: Vec<usize>,
}

impl ConvPairKernel {
    fn weights<'a>(&self, inputs: &[View<'a>]) -> [BlockWeights<'a>; 2] {
        let (first, second) = inputs[1..].split_at(self.of_first);
        [block_weights(first), block_weights(second)]
    }
}

impl Kernel for ConvPairKernel {
    fn forward(&self, inputs: &[View<'_>], save: bool) -> Result<Output> {
        let (x, weights) = (inputs[0], self.weights(inputs));
        let shape = with_batch(x.shape[0], &self.output);
        if !save {
            return Ok(Output::new(self.pair.output(x.values, weights), shape));
        }
        let (y, passed) = self.pair.forward(x.values, weights);
        Ok(Output::saving(y, shape, passed))
    }

    fn backward(&self, inputs: &[View<'_>], saved: &Saved, dy: View<'_>, needs: &[bool]) -> Result<Gradients> {
        let passed = operation::saved_as::<Passed>(saved)?;
        let (of_first, of_second) = needs.split_at(1 + self.of_first);
        let needed = |needs: &[bool], index: usize| needs.get(index).copied().unwrap_or(false);
        let asked = PairNeeds {
            first: std::array::from_fn(|index| needed(of_first, index)),
            second: std::array::from_fn(|index| needed(of_second, index)),
        };
        let gradients = self
            .pair
            .backward(inputs[0].values, self.weights(inputs), passed, dy.values, asked);
        let [first, second] = gradients.map(|ConvGradients { input, kernel, bias }| [input, kernel, bias]);
        let first = first.into_iter().take(of_first.len());
        let second = second.into_iter().skip(1).take(of_second.len());
        Ok(first.chain(second).collect())
    }
}
