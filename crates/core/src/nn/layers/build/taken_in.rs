//! Activations in layers of their own, where the layer before can do them itself.
//!
//! `Conv2D`, then `Activation('relu')` or `ReLU()` is how many models say `Conv2D(activation='relu')`. They compute the same, but the last
//! is one kernel, and may become one with the pooling behind it.

use std::borrow::Cow;

use crate::keras::activation::Activation;
use crate::keras::layers::{self, LayerKind};
use crate::keras::model::{LayerOutput, Model};

/// `model` with the work of such layers in the layers before them. In their places are still layers, which do nothing. One that closes the
/// model stays what it is, as a loss may want what comes before it.
pub(super) fn with_activations_taken_in(model: &Model) -> Cow<'_, Model> {
    let mut changed = Cow::Borrowed(model);
    for (index, node) in model.nodes.iter().enumerate() {
        let (Some(activation), [before]) = (alone(&node.layer.kind), &node.inputs[..]) else {
            continue;
        };
        let is_output = model.outputs.iter().any(|output| output.layer == index);
        // What overflows in an exponential is said to be of its layer, and not of the one before.
        let stays = matches!(activation, Activation::Linear | Activation::Exponential);
        if is_output || stays || !goes_nowhere_else(model, before.layer) {
            continue;
        }
        let mut taker = model.nodes[before.layer].layer.kind.clone();
        if let Some(own) = free_activation(&mut taker) {
            *own = activation;
            let nodes = &mut changed.to_mut().nodes;
            nodes[before.layer].layer.kind = taker;
            nodes[index].layer.kind = LayerKind::Activation(layers::Activation {
                activation: Activation::Linear,
            });
        }
    }
    changed
}

/// The activation that a layer is, and nothing else.
pub(super) fn alone(kind: &LayerKind) -> Option<Activation> {
    match kind {
        LayerKind::Activation(layer) => Some(layer.activation),
        LayerKind::ReLU(layer) => {
            let plain = layer.max_value.is_none() && layer.negative_slope.0 == 0.0 && layer.threshold.0 == 0.0;
            plain.then_some(Activation::Relu)
        }
        _ => None,
    }
}

/// Whether what a layer puts out is taken once and is not the model's.
fn goes_nowhere_else(model: &Model, layer: usize) -> bool {
    let takes = |output: &&LayerOutput| output.layer == layer;
    let inside = model.nodes.iter().flat_map(|node| &node.inputs).filter(takes).count();
    inside == 1 && model.outputs.iter().find(takes).is_none()
}

/// The activation of a layer that has none yet, and no penalty on what it puts out, which is that before the next layer's activation.
fn free_activation(kind: &mut LayerKind) -> Option<&mut Activation> {
    macro_rules! of {
        ($($class:ident)+) => {
            match kind {
                $(LayerKind::$class(layer) if layer.activity_regularizer.is_none() => &mut layer.activation,)+
                _ => return None,
            }
        };
    }
    let activation = of!(
        Dense Conv1D Conv2D Conv3D SeparableConv1D SeparableConv2D DepthwiseConv2D Conv2DTranspose Conv3DTranspose LocallyConnected1D
        LocallyConnected2D
    );
    (*activation == Activation::Linear).then_some(activation)
}
