//! `Activation` layers that the layer before can do itself.
//!
//! `Conv2D`, then `Activation('relu')` is how many models say `Conv2D(activation='relu')`. They compute the same, but the second is one
//! kernel, and may become one with the pooling behind it.

use std::borrow::Cow;

use crate::keras::activation::Activation;
use crate::keras::layers::LayerKind;
use crate::keras::model::{LayerOutput, Model};

/// `model` with the work of such `Activation` layers in the layers before them. They themselves are still there, in their places, and do
/// nothing. One that closes the model stays what it is, as a loss may want what comes before it.
pub(super) fn with_activations_taken_in(model: &Model) -> Cow<'_, Model> {
    let mut changed = Cow::Borrowed(model);
    for (index, node) in model.nodes.iter().enumerate() {
        let (LayerKind::Activation(layer), [before]) = (&node.layer.kind, &node.inputs[..]) else {
            continue;
        };
        let is_output = model.outputs.iter().any(|output| output.layer == index);
        if is_output || layer.activation == Activation::Linear || !goes_nowhere_else(model, before.layer) {
            continue;
        }
        let mut taker = model.nodes[before.layer].layer.kind.clone();
        if let Some(own) = free_activation(&mut taker) {
            *own = layer.activation;
            let nodes = &mut changed.to_mut().nodes;
            nodes[before.layer].layer.kind = taker;
            if let LayerKind::Activation(layer) = &mut nodes[index].layer.kind {
                layer.activation = Activation::Linear;
            }
        }
    }
    changed
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
