//! `ConvLSTM2D` at work.

use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::DispatchTensor;

use super::conv::with_batch;
use super::dropout;
use super::reshape::{PermuteKernel, move_channels};
use super::states;
use crate::nn::kernels::conv_lstm::{self, Call, Needs, OutputGradients, Weights};
use crate::nn::layer::{Flow, Layer, Pass};
use crate::nn::operation::{self, Gradients, Kernel, Output, Saved, View};
use crate::{Error, Result};

/// Gates, each with dropout factors of its own.
const GATES: usize = 4;

/// State and carry between two batches of a stateful layer, `[batch, rows, columns, filters]` each.
type Kept = [Vec<f32>; 2];

/// A convolutional recurrent layer at work.
#[derive(Debug)]
pub(super) struct ConvLstm {
    pub layer: conv_lstm::Layer,
    /// Its number in the model, which gives it a random stream of its own.
    pub number: usize,
    pub dropout: f32,
    pub recurrent_dropout: f32,
    /// Whether the channels of each step come before its rows and columns.
    pub channels_first: bool,
    /// Rows, columns and filters of a step of the output.
    pub output: [usize; 3],
    /// For a stateful layer, the states that the last batch ended with.
    pub kept: Option<Arc<Mutex<Option<Kept>>>>,
    /// Whether its result has the last state and carry behind each row's output, all of them with the channels last.
    pub returns_state: bool,
}

impl Layer for ConvLstm {
    fn takes_pieces(&self) -> bool {
        // A stateful layer goes on with the rows' states.
        self.kept.is_none()
    }

    fn forward(&self, inputs: &[Flow], weights: &[DispatchTensor], pass: &mut Pass) -> Result<Flow> {
        let batch = inputs[0].shape()[0];
        let mut x = inputs[0].tensor.clone();
        if self.channels_first {
            x = operation::apply(Arc::new(PermuteKernel(vec![0, 1, 3, 4, 2])), vec![x])?;
        }
        let mut generator = pass.random(self.number, None);
        let mut factors = |rate: f32, row: usize| {
            (pass.training && rate > 0.0).then(|| dropout::factors(GATES * batch * row, rate, &mut generator))
        };
        let given: Vec<DispatchTensor> = inputs[1..]
            .iter()
            .map(|state| {
                if self.channels_first {
                    move_channels(state.tensor.clone(), 4, true)
                } else {
                    state.tensor.clone()
                }
            })
            .collect();
        // States that another layer hands over go before those of the last batch.
        let initial = self
            .kept
            .as_ref()
            .filter(|_| given.is_empty())
            .and_then(|kept| kept.lock().unwrap_or_else(PoisonError::into_inner).clone());
        let kernel = ConvLstmKernel {
            layer: self.layer,
            dropout: factors(self.dropout, self.layer.input_len()),
            recurrent_dropout: factors(self.recurrent_dropout, self.layer.state_len()),
            initial: initial.filter(|[h, _]| h.len() == batch * self.layer.state_len()),
            kept: self.kept.clone(),
            output: self.output,
            given: !given.is_empty(),
            returns_state: self.returns_state,
        };
        let tensors = std::iter::once(x).chain(weights.iter().cloned()).chain(given).collect();
        let mut tensor = operation::apply(Arc::new(kernel), tensors)?;
        if self.channels_first && !self.returns_state {
            let axes = channels_first(self.layer.return_sequences);
            tensor = operation::apply(Arc::new(PermuteKernel(axes)), vec![tensor])?;
        }
        Ok(Flow::unmasked(tensor))
    }
}

/// The axes that bring the channels before rows and columns, in sequences or single steps.
pub(super) fn channels_first(sequences: bool) -> Vec<usize> {
    if sequences {
        vec![0, 1, 4, 2, 3]
    } else {
        vec![0, 3, 1, 2]
    }
}

/// One batch. Inputs are `x` `[batch, steps, rows, columns, channels]`, kernel, recurrent kernel and, if there is one, bias; then state
/// and carry to begin from, if they are given, `[batch, rows, columns, filters]` each.
#[derive(Debug)]
struct ConvLstmKernel {
    layer: conv_lstm::Layer,
    dropout: Option<Vec<f32>>,
    recurrent_dropout: Option<Vec<f32>>,
    initial: Option<Kept>,
    kept: Option<Arc<Mutex<Option<Kept>>>>,
    output: [usize; 3],
    /// Whether the states to begin from are the last two inputs.
    given: bool,
    returns_state: bool,
}

impl ConvLstmKernel {
    fn call<'a>(&'a self, inputs: &[View<'a>]) -> (Call<'a>, Weights<'a>) {
        let (inputs, given) = inputs.split_at(inputs.len() - if self.given { 2 } else { 0 });
        let kept = self.initial.as_ref().map(|[h, c]| [&h[..], &c[..]]);
        let call = Call {
            batch: inputs[0].shape[0],
            steps: inputs[0].shape[1],
            x: inputs[0].values,
            initial: if let [h, c] = given {
                Some([h.values, c.values])
            } else {
                kept
            },
            dropout: self.dropout.as_deref(),
            recurrent_dropout: self.recurrent_dropout.as_deref(),
        };
        let weights = Weights {
            kernel: inputs[1].values,
            recurrent_kernel: inputs[2].values,
            bias: inputs.get(3).map(|bias| bias.values),
        };
        (call, weights)
    }
}

impl Kernel for ConvLstmKernel {
    fn forward(&self, inputs: &[View<'_>], save: bool) -> Result<Output> {
        let (call, weights) = self.call(inputs);
        let output = conv_lstm::forward(&self.layer, &weights, &call, save);
        let saved = Mutex::new(output.saved);
        let packed = self
            .returns_state
            .then(|| states::packed(call.batch, &[&output.y, &output.h, &output.c]));
        if let Some(kept) = &self.kept {
            *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some([output.h, output.c]);
        }
        if let Some(packed) = packed {
            return Ok(Output::saving(packed.values, packed.shape, saved));
        }
        let mut shape = with_batch(call.batch, &self.output);
        if self.layer.return_sequences {
            shape.insert(1, call.steps);
        }
        Ok(Output::saving(output.y, shape, saved))
    }

    fn backward(&self, inputs: &[View<'_>], saved: &Saved, dy: View<'_>, needs: &[bool]) -> Result<Gradients> {
        let saved = operation::saved_as::<Mutex<Option<conv_lstm::Saved>>>(saved)?;
        let saved = saved.lock().unwrap_or_else(PoisonError::into_inner).take();
        let saved = saved.ok_or_else(|| Error::Internal("a recurrent layer's backward ran twice".into()))?;
        let (call, weights) = self.call(inputs);
        let weights_end = needs.len() - if self.given { 2 } else { 0 };
        let needed = Needs {
            input: needs[0],
            weights: needs[1..weights_end].contains(&true),
            initial: needs[weights_end..].contains(&true),
        };
        let apart = self.returns_state.then(|| {
            let state = self.layer.state_len();
            let steps = if self.layer.return_sequences { call.steps } else { 1 };
            states::unpacked(dy.values, [steps * state, state, state])
        });
        let above = OutputGradients {
            y: apart.as_ref().map_or(dy.values, |[y, ..]| y),
            last: apart.as_ref().map(|[_, h, c]| [&h[..], &c[..]]),
        };
        let gradients = conv_lstm::backward(&self.layer, &weights, &call, saved, &above, needed);
        let mut all = vec![
            gradients.input,
            gradients.kernel,
            gradients.recurrent_kernel,
            gradients.bias,
        ];
        all.truncate(weights_end);
        if self.given {
            let [h, c] = gradients.initial.map_or([None, None], |initial| initial.map(Some));
            all.extend([h, c]);
        }
        Ok(all)
    }
}
