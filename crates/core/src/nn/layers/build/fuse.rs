//! Layers that are faster together.

use std::sync::Arc;

use super::super::conv::ConvBlockKernel;
use super::super::embedding::Embedding;
use super::super::recurrent::{self, Recurrent};
use super::{Place, convolution, elementwise, pool, simple, taken_in};
use crate::keras::activation::Activation;
use crate::keras::field::DataFormat;
use crate::keras::layers::LayerKind;
use crate::nn::kernels::conv::ConvBlock;
use crate::nn::layer::Layer;

/// The layer that alone takes the output of the one at `index`, and nothing else; those that do nothing are passed over.
pub(super) fn partner(places: &[Place<'_>], index: usize, last: usize) -> Option<usize> {
    match places[index].consumers[..] {
        [next] if index != last && places[next].sources.len() == 1 => {
            if next != last && places[next].does_nothing() {
                partner(places, next, last)
            } else {
                Some(next)
            }
        }
        _ => None,
    }
}

/// One layer where two follow each other that are faster together.
pub(super) fn fused(first: &Place<'_>, second: &Place<'_>, second_is_last: bool) -> Option<Box<dyn Layer>> {
    match (&first.layer.kind, &second.layer.kind) {
        (LayerKind::Conv2D(conv), LayerKind::MaxPooling2D(pool))
            if conv.activation == Activation::Relu
                && conv.activity_regularizer.is_none()
                && conv.data_format == DataFormat::ChannelsLast
                && pool.data_format == DataFormat::ChannelsLast =>
        {
            let geometry = convolution::full(first).ok()?;
            let pool = pool::window(second).ok()?;
            let block = ConvBlock::new(geometry, pool)?;
            let kernel = ConvBlockKernel {
                block,
                output: second.output.clone(),
            };
            Some(simple(Arc::new(kernel), DataFormat::ChannelsLast, false))
        }
        (LayerKind::Embedding(embedding), _) if embedding.activity_regularizer.is_none() && !second_is_last => {
            let layer = recurrent::layer(&second.layer.kind, embedding.output_dim)?;
            if first.input().len() != 1 {
                return None;
            }
            let embedding = Embedding {
                mask_zero: embedding.mask_zero,
            };
            Some(Box::new(
                Recurrent::of(layer, &second.layer.kind, second.number, true)?.behind(embedding),
            ))
        }
        (LayerKind::BatchNormalization(norm), next) if taken_in::alone(next) == Some(Activation::Relu) => {
            Some(Box::new(elementwise::batch_norm(first, norm, true).ok()?))
        }
        _ => None,
    }
}
