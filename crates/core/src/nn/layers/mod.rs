//! Keras's layers at work: each file turns a kind of layer into kernels on the tape, [`build()`] a whole model.

mod activation;
pub(super) mod activity;
mod batch_norm;
mod build;
mod conv;
mod conv_lstm;
mod cudnn;
mod dense;
mod dropout;
mod embedding;
mod masking;
mod merge;
mod pool;
mod rectifier;
mod recurrent;
mod reshape;
mod resize;
mod states;

use std::sync::Arc;

use burn::backend::DispatchTensor;

pub(super) use self::build::build;
use super::layer::{Flow, Layer, Pass};
use super::operation::{self, Kernel};
use super::weight::Weight;
use crate::Result;
use crate::keras::activation::Activation;

/// The kernel of an activation.
pub(super) fn activation(activation: Activation) -> Arc<dyn Kernel> {
    Arc::new(activation::ActivationKernel(activation))
}

/// A layer that is one kernel over its input and its weights, in that order.
#[derive(Debug)]
struct Simple {
    kernel: Arc<dyn Kernel>,
    /// Whether the input's channels come first: they are moved last before the kernel, and the result's back behind it.
    channels_first: bool,
    /// Whether the input's mask is handed on.
    keeps_mask: bool,
}

impl Layer for Simple {
    fn forward(&self, inputs: &[Flow], weights: &[DispatchTensor], _: &mut Pass) -> Result<Flow> {
        let mut x = inputs[0].tensor.clone();
        if self.channels_first {
            x = reshape::move_channels(x, inputs[0].shape().len(), true);
        }
        let tensors = std::iter::once(x).chain(weights.iter().cloned()).collect();
        let mut flow = Flow::unmasked(operation::apply(Arc::clone(&self.kernel), tensors)?);
        let rank = flow.shape().len();
        if self.channels_first && rank > 2 {
            flow.tensor = reshape::move_channels(flow.tensor, rank, false);
        }
        flow.mask = inputs[0].mask.clone().filter(|_| self.keeps_mask);
        Ok(flow)
    }
}

/// A layer with a kernel behind it, which keeps the mask.
#[derive(Debug)]
struct Followed {
    layer: Box<dyn Layer>,
    kernel: Arc<dyn Kernel>,
}

impl Layer for Followed {
    fn forward(&self, inputs: &[Flow], weights: &[DispatchTensor], pass: &mut Pass) -> Result<Flow> {
        let flow = self.layer.forward(inputs, weights, pass)?;
        Ok(Flow {
            tensor: operation::apply(Arc::clone(&self.kernel), vec![flow.tensor])?,
            mask: flow.mask,
        })
    }

    fn takes_pieces(&self) -> bool {
        self.layer.takes_pieces()
    }

    fn working_bytes(&self, rows: usize, input: &[usize], weights: &[&Weight], training: bool) -> usize {
        self.layer.working_bytes(rows, input, weights, training)
    }
}

/// A layer that changes nothing (a linear activation, dropout at rate 0).
#[derive(Debug)]
struct Identity;

impl Layer for Identity {
    fn forward(&self, inputs: &[Flow], _: &[DispatchTensor], _: &mut Pass) -> Result<Flow> {
        Ok(inputs[0].clone())
    }
}
