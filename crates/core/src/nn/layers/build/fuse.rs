//! Layers that are faster together.

use std::sync::Arc;

use super::super::conv::{ConvBlockKernel, ConvPairKernel};
use super::super::embedding::Embedding;
use super::super::recurrent::{self, Recurrent};
use super::{Place, convolution, elementwise, pool, simple, taken_in};
use crate::keras::activation::Activation;
use crate::keras::field::DataFormat;
use crate::keras::layers::LayerKind;
use crate::nn::kernels::conv::{ConvBlock, ConvPair};
use crate::nn::layer::Layer;

/// The layer that alone takes the output of the one at `index`, and nothing else; those that do nothing are passed over.
fn partner(places: &[Place<'_>], index: usize, last: usize) -> Option<usize> {
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

/// Layers that are one.
pub(super) struct Together {
    pub layer: Box<dyn Layer>,
    /// Their places.
    pub places: Vec<usize>,
    /// The same in parts that show what is in between, each with its places; none if the layer is no more than one part.
    pub parts: Vec<(Box<dyn Layer>, Vec<usize>)>,
}

/// The layers from `index` on that are faster together, if there are such.
pub(super) fn together(places: &[Place<'_>], index: usize, last: usize) -> Option<Together> {
    let next = partner(places, index, last)?;
    if let Some(pair) = conv_pair(places, index, next, last) {
        return Some(pair);
    }
    Some(Together {
        layer: fused(&places[index], &places[next], next == last)?,
        places: vec![index, next],
        parts: Vec::new(),
    })
}

/// The convolution at `index` and the pooling behind it together with the next two layers, if these are the same.
fn conv_pair(places: &[Place<'_>], index: usize, pool: usize, last: usize) -> Option<Together> {
    let conv = partner(places, pool, last)?;
    let all = [index, pool, conv, partner(places, conv, last)?];
    let [first, first_pool, second, second_pool] = all.map(|place| &places[place]);
    let kernel = ConvPairKernel {
        pair: ConvPair::new(block(first, first_pool)?, block(second, second_pool)?)?,
        of_first: first.weights.len(),
        output: second_pool.output.clone(),
    };
    Some(Together {
        layer: simple(Arc::new(kernel), DataFormat::ChannelsLast, false),
        places: all.into(),
        parts: vec![
            (fused(first, first_pool, false)?, all[..2].into()),
            (fused(second, second_pool, false)?, all[2..].into()),
        ],
    })
}

/// The block of a convolution and the pooling behind it, if they are of the kinds that make one.
fn block(conv: &Place<'_>, pool: &Place<'_>) -> Option<ConvBlock> {
    match (&conv.layer.kind, &pool.layer.kind) {
        (LayerKind::Conv2D(layer), LayerKind::MaxPooling2D(pooling))
            if layer.activation == Activation::Relu
                && layer.activity_regularizer.is_none()
                && layer.data_format == DataFormat::ChannelsLast
                && pooling.data_format == DataFormat::ChannelsLast =>
        {
            ConvBlock::new(convolution::full(conv).ok()?, pool::window(pool).ok()?)
        }
        _ => None,
    }
}

/// One layer where two follow each other that are faster together.
fn fused(first: &Place<'_>, second: &Place<'_>, second_is_last: bool) -> Option<Box<dyn Layer>> {
    match (&first.layer.kind, &second.layer.kind) {
        (LayerKind::Conv2D(_), _) => {
            let kernel = ConvBlockKernel {
                block: block(first, second)?,
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
