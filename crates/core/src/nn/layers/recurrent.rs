//! Recurrent layers, alone and together with the embedding before them.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::DispatchTensor;

use super::cudnn::{self, Packing};
use super::dropout;
use super::embedding::Embedding;
use super::states;
use crate::keras::activation::Activation;
use crate::keras::layers::LayerKind;
use crate::nn::kernels::recurrent::{self, Call, Cell, Input, Needs, OutputGradients, States, Weights};
use crate::nn::layer::{Flow, Layer, Mask, Pass};
use crate::nn::operation::{self, Gradients, Kernel, Output, Saved, View};
use crate::nn::weight::Weight;
use crate::{Error, Result};

/// The states between two batches of a stateful layer: `[batch, units]` each.
#[derive(Clone, Debug)]
struct Kept {
    h: Vec<f32>,
    c: Option<Vec<f32>>,
}

/// A recurrent layer at work.
#[derive(Debug)]
#[expect(clippy::struct_field_names, reason = "`recurrent_dropout` is Keras's name")]
pub(super) struct Recurrent {
    layer: recurrent::Layer,
    number: usize,
    dropout: f32,
    recurrent_dropout: f32,
    /// Whether each gate has dropout factors of its own (Keras's `implementation=1`).
    factors_a_gate: bool,
    /// How the weights of a layer for graphics cards are kept.
    packing: Option<Packing>,
    /// Whether equal first steps of rows come from equal inputs and may be computed once.
    share_prefix: bool,
    /// The embedding that is looked up in the same operation.
    embedding: Option<Embedding>,
    /// For a stateful layer, the states that the last batch ended with.
    kept: Option<Arc<Mutex<Option<Kept>>>>,
    /// Whether its result has the last states behind each row's output.
    returns_state: bool,
}

/// The recurrent layer that `kind` describes for inputs of `features`; none if it is not recurrent.
pub(super) fn layer(kind: &LayerKind, features: usize) -> Option<recurrent::Layer> {
    let (cell, units, return_sequences, go_backwards) = match kind {
        LayerKind::SimpleRNN(l) => (
            Cell::Simple {
                activation: l.activation,
            },
            l.units,
            l.return_sequences,
            l.go_backwards,
        ),
        LayerKind::GRU(l) => {
            let cell = Cell::Gru {
                activation: l.activation,
                recurrent_activation: l.recurrent_activation,
                reset_after: l.reset_after,
            };
            (cell, l.units, l.return_sequences, l.go_backwards)
        }
        LayerKind::LSTM(l) => {
            let cell = Cell::Lstm {
                activation: l.activation,
                recurrent_activation: l.recurrent_activation,
            };
            (cell, l.units, l.return_sequences, l.go_backwards)
        }
        LayerKind::CuDNNGRU(l) => {
            let cell = Cell::Gru {
                activation: Activation::Tanh,
                recurrent_activation: Activation::Sigmoid,
                reset_after: true,
            };
            (cell, l.units, l.return_sequences, l.go_backwards)
        }
        LayerKind::CuDNNLSTM(l) => {
            let cell = Cell::Lstm {
                activation: Activation::Tanh,
                recurrent_activation: Activation::Sigmoid,
            };
            (cell, l.units, l.return_sequences, l.go_backwards)
        }
        _ => return None,
    };
    Some(recurrent::Layer {
        cell,
        features,
        units,
        return_sequences,
        go_backwards,
    })
}

impl Recurrent {
    /// The layer at work; none if `kind` is not recurrent.
    pub(super) fn of(layer: recurrent::Layer, kind: &LayerKind, number: usize, share_prefix: bool) -> Option<Self> {
        let (dropout, recurrent_dropout, stateful, factors_a_gate) = match kind {
            LayerKind::SimpleRNN(l) => (l.dropout, l.recurrent_dropout, l.stateful, false),
            LayerKind::GRU(l) => (l.dropout, l.recurrent_dropout, l.stateful, l.implementation == 1),
            LayerKind::LSTM(l) => (l.dropout, l.recurrent_dropout, l.stateful, l.implementation == 1),
            LayerKind::CuDNNGRU(l) => (0.0, 0.0, l.stateful, false),
            LayerKind::CuDNNLSTM(l) => (0.0, 0.0, l.stateful, false),
            _ => return None,
        };
        Some(Self {
            layer,
            number,
            dropout: dropout as f32,
            recurrent_dropout: recurrent_dropout as f32,
            factors_a_gate,
            packing: match kind {
                LayerKind::CuDNNGRU(_) => Some(Packing { adds_biases: false }),
                LayerKind::CuDNNLSTM(_) => Some(Packing { adds_biases: true }),
                _ => None,
            },
            share_prefix,
            embedding: None,
            kept: stateful.then(Arc::default),
            returns_state: kind.states().is_some_and(|states| states.returned),
        })
    }

    /// The same, looking its input up in an embedding.
    pub(super) fn behind(self, embedding: Embedding) -> Self {
        Self {
            embedding: Some(embedding),
            ..self
        }
    }
}

impl Layer for Recurrent {
    fn takes_pieces(&self) -> bool {
        // Rows share steps and ids, and a stateful layer goes on with the rows' states.
        false
    }

    fn forward(&self, inputs: &[Flow], weights: &[DispatchTensor], pass: &mut Pass) -> Result<Flow> {
        let batch = inputs[0].shape()[0];
        let gates = if self.factors_a_gate {
            self.layer.cell.gates()
        } else {
            1
        };
        let mut generator = pass.random(self.number, None);
        let mut factors = |rate: f32, width: usize| {
            (pass.training && rate > 0.0).then(|| dropout::factors(gates * batch * width, rate, &mut generator))
        };
        let mask = match &self.embedding {
            Some(embedding) => embedding.mask(&inputs[0])?,
            None => inputs[0].mask.clone(),
        };
        let given = &inputs[1..];
        // States that another layer hands over go before those of the last batch.
        let initial = self
            .kept
            .as_ref()
            .filter(|_| given.is_empty())
            .and_then(|kept| kept.lock().unwrap_or_else(PoisonError::into_inner).clone());
        let kernel = RecurrentKernel {
            layer: self.layer,
            looks_up: self.embedding.is_some(),
            packing: self.packing,
            dropout: factors(self.dropout, self.layer.features),
            recurrent_dropout: factors(self.recurrent_dropout, self.layer.units),
            mask: mask.clone(),
            initial: initial.filter(|kept| kept.h.len() == batch * self.layer.units),
            share_prefix: self.share_prefix && !pass.tracks_input,
            kept: self.kept.clone(),
            given: given.len(),
            returns_state: self.returns_state,
        };
        let given = given.iter().map(|flow| &flow.tensor);
        let tensors = std::iter::once(&inputs[0].tensor)
            .chain(weights)
            .chain(given)
            .cloned()
            .collect();
        Ok(Flow {
            tensor: operation::apply(Arc::new(kernel), tensors)?,
            mask: mask.filter(|_| self.layer.return_sequences),
        })
    }

    fn working_bytes(&self, rows: usize, input: &[usize], weights: &[&Weight], training: bool) -> usize {
        let steps = input.first().copied().unwrap_or(1);
        let embeddings = self
            .embedding
            .as_ref()
            .and_then(|_| weights.first()?.shape.first().copied());
        recurrent::working_bytes(&self.layer, rows, steps, embeddings, training)
    }
}

/// One batch of a recurrent layer. Inputs are `x` `[batch, steps, features]`, or ids `[batch, steps]` and embeddings
/// `[input_dim, features]`; then kernel, recurrent kernel and, if there is one, bias; then the states to begin from, if they are given,
/// `[batch, units]` each.
#[derive(Debug)]
struct RecurrentKernel {
    layer: recurrent::Layer,
    looks_up: bool,
    packing: Option<Packing>,
    dropout: Option<Vec<f32>>,
    recurrent_dropout: Option<Vec<f32>>,
    mask: Option<Arc<Mask>>,
    initial: Option<Kept>,
    share_prefix: bool,
    kept: Option<Arc<Mutex<Option<Kept>>>>,
    /// How many states to begin from are among the inputs.
    given: usize,
    returns_state: bool,
}

impl RecurrentKernel {
    /// Where the weights lie among the inputs.
    fn weights(&self, inputs: usize) -> Range<usize> {
        (if self.looks_up { 2 } else { 1 })..inputs - self.given
    }

    /// The weights as a plain layer has them, where they are kept otherwise.
    fn unpacked(&self, inputs: &[View<'_>]) -> Option<[Vec<f32>; 3]> {
        let packing = self.packing?;
        let [kernel, recurrent_kernel, bias] = &inputs[self.weights(inputs.len())] else {
            return None;
        };
        let units = self.layer.units;
        Some([
            cudnn::plain_kernel(kernel.values, self.layer.features, units),
            cudnn::plain_kernel(recurrent_kernel.values, units, units),
            packing.plain_bias(bias.values),
        ])
    }

    fn call<'a>(&'a self, inputs: &[View<'a>], unpacked: Option<&'a [Vec<f32>; 3]>) -> (Call<'a>, Weights<'a>) {
        let x = inputs[0];
        let (weights, given) = (self.weights(inputs.len()), &inputs[inputs.len() - self.given..]);
        let weights = &inputs[weights];
        let input = if self.looks_up {
            Input::Ids {
                ids: x.values,
                table: inputs[1].values,
            }
        } else {
            Input::Values(x.values)
        };
        let given = given.first().map(|h| States {
            h: h.values,
            c: given.get(1).map(|c| c.values),
        });
        let kept = || {
            self.initial.as_ref().map(|kept| States {
                h: &kept.h,
                c: kept.c.as_deref(),
            })
        };
        let call = Call {
            batch: x.shape[0],
            steps: x.shape[1],
            input,
            initial: given.or_else(kept),
            mask: self.mask.as_ref().map(|mask| &mask.keep[..]),
            dropout: self.dropout.as_deref(),
            recurrent_dropout: self.recurrent_dropout.as_deref(),
            share_prefix: self.share_prefix,
        };
        let weights = match unpacked {
            Some([kernel, recurrent_kernel, bias]) => Weights {
                kernel,
                recurrent_kernel,
                bias: Some(bias),
            },
            None => Weights {
                kernel: weights[0].values,
                recurrent_kernel: weights[1].values,
                bias: weights.get(2).map(|bias| bias.values),
            },
        };
        (call, weights)
    }
}

impl Kernel for RecurrentKernel {
    fn forward(&self, inputs: &[View<'_>], save: bool) -> Result<Output> {
        let unpacked = self.unpacked(inputs);
        let (call, weights) = self.call(inputs, unpacked.as_ref());
        let output = recurrent::forward(&self.layer, &weights, &call, save)?;
        let saved = Mutex::new(output.saved);
        let packed = self.returns_state.then(|| {
            let parts = [Some(&*output.y), Some(&*output.h), output.c.as_deref()];
            states::packed(call.batch, &parts.into_iter().flatten().collect::<Vec<_>>())
        });
        if let Some(kept) = &self.kept {
            *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(Kept {
                h: output.h,
                c: output.c,
            });
        }
        if let Some(packed) = packed {
            return Ok(Output::saving(packed.values, packed.shape, saved));
        }
        let units = self.layer.units;
        let shape = if self.layer.return_sequences {
            vec![call.batch, call.steps, units]
        } else {
            vec![call.batch, units]
        };
        Ok(Output::saving(output.y, shape, saved))
    }

    fn backward(&self, inputs: &[View<'_>], saved: &Saved, dy: View<'_>, needs: &[bool]) -> Result<Gradients> {
        let saved = operation::saved_as::<Mutex<Option<recurrent::Saved>>>(saved)?;
        let saved = saved.lock().unwrap_or_else(PoisonError::into_inner).take();
        let saved = saved.ok_or_else(|| Error::Internal("a recurrent layer's backward ran twice".into()))?;
        let unpacked = self.unpacked(inputs);
        let (call, weights) = self.call(inputs, unpacked.as_ref());
        let of_weights = self.weights(needs.len());
        let needed = Needs {
            input: needs[of_weights.start - 1],
            weights: needs[of_weights.clone()].contains(&true),
            initial: needs[of_weights.end..].contains(&true),
        };
        let apart = self.returns_state.then(|| {
            let (units, carry) = (self.layer.units, self.layer.cell.has_carry());
            let steps = if self.layer.return_sequences { call.steps } else { 1 };
            states::unpacked(dy.values, [steps * units, units, if carry { units } else { 0 }])
        });
        let above = match &apart {
            Some([y, h, c]) => OutputGradients {
                y,
                h: Some(h),
                c: self.layer.cell.has_carry().then_some(c),
            },
            None => OutputGradients {
                y: dy.values,
                h: None,
                c: None,
            },
        };
        let mut gradients = recurrent::backward(&self.layer, &weights, &call, saved, &above, needed)?;
        if let Some(packing) = self.packing {
            let units = self.layer.units;
            gradients.kernel = gradients
                .kernel
                .map(|kernel| cudnn::packed_kernel(&kernel, self.layer.features, units));
            gradients.recurrent_kernel = gradients
                .recurrent_kernel
                .map(|kernel| cudnn::packed_kernel(&kernel, units, units));
            gradients.bias = gradients.bias.map(|bias| packing.bias_gradient(bias));
        }
        let mut all = if self.looks_up { vec![None] } else { Vec::new() };
        all.extend([
            gradients.input,
            gradients.kernel,
            gradients.recurrent_kernel,
            gradients.bias,
        ]);
        all.truncate(of_weights.end);
        all.extend([gradients.h, gradients.c].into_iter().take(self.given));
        Ok(all)
    }
}
