//! A Keras model as a running network: its layers in order, its weights, forward and training steps on Burn.

use std::ops::Range;
use std::sync::Arc;

use burn::backend::ops::FloatTensorOps;
use burn::backend::{Dispatch, DispatchTensor, TensorData};
use burn::tensor::{Device, Gradients, Tensor};

use super::initialize::initialize;
use super::kernels::elementwise;
use super::kernels::loss::{self, LossFunction};
use super::layer::{Flow, Layer, Pass};
use super::layers::{self, activity::ActivityKernel};
use super::loss::LossKernel;
use super::operation;
use super::random::Seed;
use super::weight::{self, Weight};
use crate::keras::activation::Activation;
use crate::keras::loss::Loss;
use crate::keras::model::Model;
use crate::keras::regularizer::Regularizer;
use crate::keras::weights::{self, LayerWeights};
use crate::{Error, Result};

/// Where values come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The network's input.
    Input,
    /// What a stage puts out, by its number.
    Stage(usize),
}

/// A layer in its place.
#[derive(Debug)]
pub(super) struct Stage {
    /// The layer's number in the model, from 1, its class and its name: `2 (Conv2D 'conv2d_1')`.
    pub title: String,
    pub layer: Box<dyn Layer>,
    /// What it takes; all stages among it come before.
    pub inputs: Vec<Source>,
    /// Its weights' numbers.
    pub weights: Vec<usize>,
    /// The penalty on what it puts out.
    pub activity: Option<Regularizer>,
    /// The shape of one row of its result.
    pub output: Vec<usize>,
    /// The same, one part behind the other, where the layer leaves out what is in between. The first takes what the stage takes, and each
    /// other the result of the one before.
    pub parts: Vec<Stage>,
}

impl Stage {
    /// The shapes of one row of what lies between its parts, which only training keeps.
    pub fn between(&self) -> impl Iterator<Item = &[usize]> {
        let parts = self.parts.split_last().map_or(&[][..], |(_, before)| before);
        parts.iter().map(|part| part.output.as_slice())
    }
}

/// A network ready to run.
#[derive(Debug)]
pub struct Network {
    device: Device,
    stages: Vec<Stage>,
    output: Source,
    weights: Vec<Weight>,
    /// The name of each layer of the model and its weights' numbers, layers without weights too.
    layers: Vec<(String, Range<usize>)>,
    input_shape: Vec<usize>,
    output_shape: Vec<usize>,
    /// The activation that closes the network: left out of the stages, so that a loss can have the logits before it.
    closing: Option<Activation>,
    masked_output: bool,
    /// How many different ids an embedding that reads the network's input knows, and that layer's title.
    ids: Option<(usize, String)>,
}

/// Sees each stage's result.
type Watch<'a, 'w> = &'w mut dyn FnMut(&'a Stage, &Flow) -> Result<()>;

/// What one training step found.
#[derive(Debug, Default)]
pub struct Trained {
    /// The batch's loss, penalties included.
    pub loss: f64,
    /// What the network predicted, `[batch, output..]`.
    pub predicted: Vec<f32>,
    /// The gradient of the loss for each weight tensor; none for those that training does not change.
    pub gradients: Vec<Option<Vec<f32>>>,
    /// The gradient of the loss for each value of the input, if the pass tracks it.
    pub input: Option<Vec<f32>>,
    /// New values of weights that the forward itself changes (moving averages), by their number.
    pub updates: Vec<(usize, Vec<f32>)>,
}

/// What one run put out before the closing activation, and the penalties on activities.
struct Run {
    output: DispatchTensor,
    penalties: Vec<DispatchTensor>,
}

impl Network {
    /// Builds the network of a model for rows of `input_shape`, its weights drawn from `seed`.
    ///
    /// # Errors
    /// When the shapes do not fit the layers, or a layer cannot be run.
    pub fn new(model: &Model, input_shape: &[usize], seed: Seed, device: &Device) -> Result<Self> {
        let built = layers::build(model, input_shape)?;
        let weights = built
            .weights
            .into_iter()
            .enumerate()
            .map(|(index, (mut weight, start))| {
                weight.values = initialize(&start.initializer, &weight.shape, index, seed);
                if let Some(entries) = start.ones.and_then(|ones| weight.values.get_mut(ones)) {
                    entries.fill(1.0);
                }
                weight
            })
            .collect();
        Ok(Self {
            device: device.clone(),
            stages: built.stages,
            output: built.output,
            weights,
            layers: built.layers,
            input_shape: input_shape.to_vec(),
            output_shape: built.output_shape,
            closing: built.closing,
            masked_output: built.masked_output,
            ids: built.ids,
        })
    }

    /// The shape of one row of the input.
    #[must_use]
    pub fn input_shape(&self) -> &[usize] {
        &self.input_shape
    }

    /// The shape of one row of the output.
    #[must_use]
    pub fn output_shape(&self) -> &[usize] {
        &self.output_shape
    }

    /// The size of the output's last axis.
    #[must_use]
    pub fn output_width(&self) -> usize {
        self.output_shape.last().copied().unwrap_or(1)
    }

    /// The activation that closes the network, if softmax or sigmoid.
    #[must_use]
    pub fn closing(&self) -> Option<Activation> {
        self.closing
    }

    /// Whether the output is sequences of which a mask leaves steps out.
    #[must_use]
    pub fn masked_output(&self) -> bool {
        self.masked_output
    }

    /// The weights by layer, as a weights file holds them.
    #[must_use]
    pub fn to_layer_weights(&self) -> Vec<LayerWeights> {
        let weight = |weight: &Weight| weights::Weight {
            name: weight.name.clone(),
            shape: weight.shape.clone(),
            values: weight.values.clone(),
        };
        let layer = |(name, range): &(String, Range<usize>)| LayerWeights {
            layer: name.clone(),
            weights: self.weights[range.clone()].iter().map(weight).collect(),
        };
        self.layers.iter().map(layer).collect()
    }

    /// Takes all weights from a weights file, layer by layer in its order.
    ///
    /// # Errors
    /// When the file is of another model: the message names the layer and both shapes.
    pub fn load(&mut self, file: Vec<LayerWeights>) -> Result<()> {
        let shapes = |range: &Range<usize>| self.weights[range.clone()].iter().map(|w| w.shape.clone()).collect();
        let model: Vec<_> = self
            .layers
            .iter()
            .map(|(name, range)| (name.clone(), shapes(range)))
            .collect();
        let values = weights::assign(&model, file)?.into_iter().flatten();
        for (weight, values) in self.weights.iter_mut().zip(values) {
            weight.values = values;
        }
        Ok(())
    }

    /// When the input is ids for an embedding: how many different ids it knows (0 up to one less), and the layer's title.
    #[must_use]
    pub fn ids(&self) -> Option<(usize, &str)> {
        self.ids.as_ref().map(|(count, title)| (*count, title.as_str()))
    }

    /// All weights, in Keras's order.
    #[must_use]
    pub fn weights(&self) -> &[Weight] {
        &self.weights
    }

    /// The layers at work, in the order in which they are computed.
    pub(super) fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// The weights of a stage.
    pub(super) fn weights_of(&self, stage: &Stage) -> Vec<&Weight> {
        stage.weights.iter().map(|&weight| &self.weights[weight]).collect()
    }

    /// The shape of one row of a stage's first input.
    pub(super) fn input_of(&self, stage: &Stage) -> &[usize] {
        match stage.inputs.first() {
            Some(Source::Stage(from)) => &self.stages[*from].output,
            Some(Source::Input) | None => &self.input_shape,
        }
    }

    /// All weights, to change their values.
    pub fn weights_mut(&mut self) -> &mut [Weight] {
        &mut self.weights
    }

    /// Each layer's name and the numbers of its weights, layers without weights too.
    #[must_use]
    pub fn layers(&self) -> &[(String, Range<usize>)] {
        &self.layers
    }

    /// What the network makes of rows of input, closing activation included: `[batch, output..]`.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn predict(&self, x: Vec<f32>) -> Result<Vec<f32>> {
        let weights = self.upload(&self.device);
        let run = self.run(self.input(x)?, &weights, &mut Pass::inference())?;
        Ok(self.close(operation::values(&run.output)?))
    }

    /// What the network makes of rows of input, and its loss against their truth, penalties on activities included.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn evaluate(&self, x: Vec<f32>, truth: &[f32], loss: Loss) -> Result<(f64, Vec<f32>)> {
        let weights = self.upload(&self.device);
        let run = self.run(self.input(x)?, &weights, &mut Pass::inference())?;
        let output = operation::values(&run.output)?;
        let function = LossFunction::behind(loss, self.closing);
        let penalties: f64 = run.penalties.iter().map(operation::scalar).sum::<Result<f64>>()?;
        let width = self.output_width();
        let (mean, predicted) = if function.logits_of.is_some() {
            let mean = function.mean(truth, &output, width, None);
            (mean, self.close(output))
        } else {
            let predicted = self.close(output);
            (function.mean(truth, &predicted, width, None), predicted)
        };
        Ok((mean + penalties, predicted))
    }

    /// One training step: forward, loss and gradients. Weights are not changed.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn gradients(&self, x: Vec<f32>, truth: Vec<f32>, loss: Loss, pass: &mut Pass) -> Result<Trained> {
        let device = self.device.clone().autodiff();
        let weights = self.upload(&device);
        let mut input = self.input(x)?;
        if pass.tracks_input {
            input = Tensor::<1>::from_dispatch(input)
                .autodiff()
                .require_grad()
                .into_dispatch();
        }
        let run = self.run(input.clone(), &weights, pass)?;
        let predicted = self.close(operation::values(&run.output)?);
        let function = LossFunction::behind(loss, self.closing);
        let mut output = run.output;
        if let (None, Some(closing)) = (function.logits_of, self.closing) {
            output = operation::apply(layers::activation(closing), vec![output])?;
        }
        let truth = Arc::new(truth);
        let mut total = Tensor::<1>::from_dispatch(operation::apply(
            Arc::new(LossKernel { function, truth }),
            vec![output],
        )?);
        for penalty in run.penalties {
            total = total + Tensor::from_dispatch(penalty);
        }
        let mut loss = operation::scalar(&total.clone().into_dispatch())?;
        let mut tape = total.is_tracked().then(|| total.backward());
        operation::check()?;
        let mut gradients = Vec::with_capacity(weights.len());
        for (weight, tensor) in self.weights.iter().zip(weights) {
            let unreached = || weight.trainable.then(|| vec![0.0; weight.values.len()]);
            let mut gradient = gradient_of(tensor, tape.as_mut())?.or_else(unreached);
            if let Some(regularizer) = weight.regularizer {
                loss += weight::penalty(regularizer, &weight.values);
                if let Some(gradient) = &mut gradient {
                    weight::add_penalty_gradient(regularizer, &weight.values, 1.0, gradient);
                }
            }
            gradients.push(gradient);
        }
        let input = if pass.tracks_input {
            gradient_of(input, tape.as_mut())?
        } else {
            None
        };
        Ok(Trained {
            loss,
            predicted,
            gradients,
            input,
            updates: std::mem::take(&mut pass.updates),
        })
    }

    /// The sum of all penalties on weights.
    #[must_use]
    pub fn weight_penalty(&self) -> f64 {
        let penalty = |w: &Weight| {
            w.regularizer
                .map_or(0.0, |regularizer| weight::penalty(regularizer, &w.values))
        };
        self.weights.iter().map(penalty).sum()
    }

    /// The first layer whose output holds a value that is not finite, for these rows: its title.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn first_not_finite<'a>(&'a self, x: Vec<f32>) -> Result<Option<&'a str>> {
        let weights = self.upload(&self.device);
        let mut found = None;
        let mut watch = |stage: &'a Stage, flow: &Flow| {
            if found.is_none() && operation::values(&flow.tensor)?.iter().any(|value| !value.is_finite()) {
                found = Some(stage.title.as_str());
            }
            Ok(())
        };
        self.run_watched(self.input(x)?, &weights, &mut Pass::inference(), Some(&mut watch))?;
        Ok(found)
    }

    fn close(&self, mut output: Vec<f32>) -> Vec<f32> {
        if let Some(closing) = self.closing {
            loss::close(closing, &mut output, self.output_width());
        }
        output
    }

    fn input(&self, x: Vec<f32>) -> Result<DispatchTensor> {
        let row: usize = self.input_shape.iter().product();
        if row == 0 || !x.len().is_multiple_of(row) {
            return Err(Error::Internal(format!(
                "{} values are no whole number of rows of {row}",
                x.len()
            )));
        }
        let shape: Vec<usize> = std::iter::once(x.len() / row)
            .chain(self.input_shape.iter().copied())
            .collect();
        Ok(tensor(x, &shape, &self.device))
    }

    /// The weights as tensors on `device`: there to be differentiated where training changes them and the device can.
    fn upload(&self, device: &Device) -> Vec<DispatchTensor> {
        let upload = |weight: &Weight| {
            let device = if weight.trainable { device } else { &self.device };
            let uploaded = tensor(elementwise::copy(&weight.values), &weight.shape, device);
            if device.is_autodiff() {
                Tensor::<1>::from_dispatch(uploaded).require_grad().into_dispatch()
            } else {
                uploaded
            }
        };
        self.weights.iter().map(upload).collect()
    }

    fn run(&self, input: DispatchTensor, weights: &[DispatchTensor], pass: &mut Pass) -> Result<Run> {
        self.run_watched(input, weights, pass, None)
    }

    /// Runs all stages; with `watch` part by part, so that it sees what is between them too.
    fn run_watched<'a>(
        &'a self,
        input: DispatchTensor,
        weights: &[DispatchTensor],
        pass: &mut Pass,
        mut watch: Option<Watch<'a, '_>>,
    ) -> Result<Run> {
        let input = Flow::unmasked(input);
        let mut flows: Vec<Option<Flow>> = Vec::with_capacity(self.stages.len());
        let mut penalties = Vec::new();
        let last_use = |of: usize| {
            let uses = |stage: &Stage| stage.inputs.contains(&Source::Stage(of));
            self.stages.iter().rposition(uses)
        };
        for (index, stage) in self.stages.iter().enumerate() {
            let taken = |source: &Source| match *source {
                Source::Input => Some(input.clone()),
                Source::Stage(from) => flows[from].clone(),
            };
            let mut inputs: Vec<Flow> = stage.inputs.iter().filter_map(taken).collect();
            // A result that nobody will look at again is let go before the next one is computed.
            for &source in &stage.inputs {
                if let Source::Stage(from) = source
                    && last_use(from) == Some(index)
                    && self.output != source
                {
                    flows[from] = None;
                }
            }
            let run = |stage: &Stage, inputs: &[Flow], pass: &mut Pass| {
                let weights: Vec<DispatchTensor> = stage.weights.iter().map(|&of| weights[of].clone()).collect();
                stage.layer.forward(inputs, &weights, pass)
            };
            let flow = match &mut watch {
                None => run(stage, &inputs, pass)?,
                Some(watch) => {
                    let (before, last) = stage
                        .parts
                        .split_last()
                        .map_or((&[][..], stage), |(last, before)| (before, last));
                    for part in before {
                        let flow = run(part, &inputs, pass)?;
                        watch(part, &flow)?;
                        inputs = vec![flow];
                    }
                    let flow = run(last, &inputs, pass)?;
                    watch(last, &flow)?;
                    flow
                }
            };
            if let Some(regularizer) = stage.activity {
                penalties.push(operation::apply(
                    Arc::new(ActivityKernel(regularizer)),
                    vec![flow.tensor.clone()],
                )?);
            }
            flows.push(Some(flow));
        }
        let output = match self.output {
            Source::Input => input.tensor,
            Source::Stage(last) => {
                let flow = flows.into_iter().nth(last).flatten();
                flow.ok_or_else(|| Error::Internal("the network's output was let go".into()))?
                    .tensor
            }
        };
        Ok(Run { output, penalties })
    }
}

fn tensor(values: Vec<f32>, shape: &[usize], device: &Device) -> DispatchTensor {
    Dispatch::float_from_data(TensorData::new(values, shape.to_vec()), device.as_dispatch())
}

/// The gradient that the tape holds for a tensor, if any.
fn gradient_of(tensor: DispatchTensor, tape: Option<&mut Gradients>) -> Result<Option<Vec<f32>>> {
    let gradient = tape.and_then(|tape| Tensor::<1>::from_dispatch(tensor).grad_remove(tape));
    gradient
        .map(|gradient| gradient.into_data().try_into_vec::<f32>())
        .transpose()
        .map_err(|error| Error::Internal(format!("a gradient cannot be read: {error:?}")))
}
