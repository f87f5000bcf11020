//! `ConvLSTM2D`: an LSTM whose products are convolutions (Shi et al. 2015), without the peepholes, as Keras has it.
//!
//! `x` `[batch, steps, height, width, channels]`, kernel `[rows, columns, channels, 4 filters]`, recurrent kernel
//! `[rows, columns, filters, 4 filters]`, bias `[4 filters]`; gates lie in Keras's order i, f, c, o. With `*` for convolutions:
//!
//! ```text
//! z = x * kernel + h * recurrent_kernel + bias      (the second with padding 'same' and stride 1)
//! c = f(z_f) c + f(z_i) g(z_c)      h = f(z_o) g(c)      f the recurrent activation, g the activation
//! ```
//!
//! Steps are walked with their batch side by side, `[steps, batch, ..]`: the input's convolution runs once for all steps, each step has
//! one convolution of the state, and the kernels' gradients are computed once for all steps again.

mod backward;
mod forward;
mod product;
#[cfg(test)]
mod tests;

pub use backward::{Gradients, Needs, OutputGradients, backward};
pub use forward::{Output, Saved, forward};

use super::conv::ConvGeometry;
use super::window::{Padding, Window, WindowError};
use crate::keras::activation::Activation;

/// Gates of the cell.
const GATES: usize = 4;

/// A layer without its weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The convolution of one step of the input, by the filters of one gate.
    input: ConvGeometry,
    /// The convolution of the state, by the filters of one gate.
    state: ConvGeometry,
    /// Of candidate and output.
    pub activation: Activation,
    /// Of the gates.
    pub recurrent_activation: Activation,
    /// Whether every step's output is returned.
    pub return_sequences: bool,
    /// Whether the steps are walked from the last to the first; the sequence returned is then in that order, too.
    pub go_backwards: bool,
}

/// Where the input's windows lie: one entry an axis.
#[derive(Clone, Copy, Debug)]
pub struct Axes<'a> {
    /// Sizes of a step of the input, channels left out.
    pub input: &'a [usize],
    /// Sizes of both kernels' windows.
    pub kernel: &'a [usize],
    /// Steps from one window of the input to the next.
    pub strides: &'a [usize],
    /// Steps from one cell of the input's windows to the next.
    pub dilation: &'a [usize],
    /// What lies beyond the input's edges.
    pub padding: Padding,
}

impl Layer {
    /// A layer of `filters` for steps of `channels` channels, with tanh and the hard sigmoid, that returns its last output.
    ///
    /// # Errors
    /// When the lists differ in length, hold a zero, or the kernel is larger than its input.
    pub fn new(axes: Axes<'_>, channels: usize, filters: usize) -> Result<Self, WindowError> {
        let Axes {
            input,
            kernel,
            strides,
            dilation,
            padding,
        } = axes;
        let input = ConvGeometry::new(input, channels, kernel, filters, strides, dilation, padding)?;
        let window = input.window;
        let state = Window::new(&window.output, &window.kernel, &[1; 3], &[1; 3], Padding::Same)?;
        Ok(Self {
            input,
            state: ConvGeometry {
                window: state,
                channels: filters,
                filters,
            },
            activation: Activation::Tanh,
            recurrent_activation: Activation::HardSigmoid,
            return_sequences: false,
            go_backwards: false,
        })
    }

    /// Output channels.
    #[must_use]
    pub fn filters(&self) -> usize {
        self.input.filters
    }

    /// Values of one step of one row of the input.
    #[must_use]
    pub fn input_len(&self) -> usize {
        self.input.input_len()
    }

    /// Values of one row of a state, and of an output.
    #[must_use]
    pub fn state_len(&self) -> usize {
        self.input.output_len()
    }

    /// The place in the input of the step that is walked at `position`.
    fn time(&self, position: usize, steps: usize) -> usize {
        if self.go_backwards {
            steps - 1 - position
        } else {
            position
        }
    }
}

/// A layer's weights as Keras has them.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// `[rows, columns, channels, 4 filters]`
    pub kernel: &'a [f32],
    /// `[rows, columns, filters, 4 filters]`
    pub recurrent_kernel: &'a [f32],
    /// `[4 filters]`; none when `use_bias` is off.
    pub bias: Option<&'a [f32]>,
}

/// One batch and how to walk it.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Rows.
    pub batch: usize,
    /// Steps of each row.
    pub steps: usize,
    /// `[batch, steps, height, width, channels]`
    pub x: &'a [f32],
    /// State and carry before the first step, `[batch, windows.., filters]` each; zeros when absent.
    pub initial: Option<[&'a [f32]; 2]>,
    /// Factors of the input for each gate, the same at each step: `[4, batch, height, width, channels]`.
    pub dropout: Option<&'a [f32]>,
    /// Factors of the state for each gate where it is convolved: `[4, batch, windows.., filters]`.
    pub recurrent_dropout: Option<&'a [f32]>,
}

impl Call<'_> {
    fn check(&self, layer: &Layer, weights: &Weights<'_>) {
        let (row, state, gates) = (layer.input_len(), layer.state_len(), GATES * layer.filters());
        assert_eq!(self.x.len(), self.batch * self.steps * row, "an input of whole rows");
        let kernels = [
            (weights.kernel, layer.input.patch_len()),
            (weights.recurrent_kernel, layer.state.patch_len()),
        ];
        for (kernel, patch) in kernels {
            assert_eq!(kernel.len(), patch * gates, "a kernel [{patch}, {gates}]");
        }
        assert!(weights.bias.is_none_or(|bias| bias.len() == gates), "a bias of {gates}");
        assert!(
            self.initial
                .is_none_or(|both| both.iter().all(|one| one.len() == self.batch * state))
        );
        assert!(
            self.dropout
                .is_none_or(|factors| factors.len() == GATES * self.batch * row)
        );
        assert!(
            self.recurrent_dropout
                .is_none_or(|factors| factors.len() == GATES * self.batch * state)
        );
    }
}
