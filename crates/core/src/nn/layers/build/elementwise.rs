//! Layers that leave the shape as it is, or change the last axis only: dense ones, activations, dropout, noise, normalisation.

use std::sync::Arc;

use super::super::activation::activated;
use super::super::batch_norm::BatchNorm;
use super::super::dense::DenseKernel;
use super::super::dropout::{Dropout, Noise, NoiseLayer};
use super::super::embedding::Embedding;
use super::super::masking::Masking;
use super::super::rectifier::{LearnedRectifierKernel, RectifierKernel, SoftmaxKernel};
use super::super::{Identity, activation};
use super::{Place, mask, simple};
use crate::keras::activation::Activation;
use crate::keras::field::DataFormat;
use crate::keras::layers::{BatchNormalization, LayerKind, axis_without_batch};
use crate::keras::regularizer::Regularizer;
use crate::nn::kernels::rectifier::Rectifier;
use crate::nn::layer::Layer;
use crate::nn::operation::Kernel;
use crate::{Error, Result};

/// The stage of a layer of this family, if it is one; `open` leaves its activation out.
pub(super) fn stage(place: &Place<'_>, open: bool) -> Result<Option<Box<dyn Layer>>> {
    let activation_of = |activation| if open { Activation::Linear } else { activation };
    let of = |kernel: Arc<dyn Kernel>| simple(kernel, DataFormat::ChannelsLast, mask::keeps(place));
    let rectifier = |rectifier| of(Arc::new(RectifierKernel(rectifier)));
    let dropout = |rate: f64, seed: Option<i64>, noise_shape| {
        Box::new(Dropout {
            number: place.number,
            rate: rate as f32,
            seed: seed.map(i64::cast_unsigned),
            noise_shape,
        })
    };
    let noise = |noise| {
        Box::new(NoiseLayer {
            number: place.number,
            noise,
        })
    };
    Ok(Some(match &place.layer.kind {
        LayerKind::Dense(layer) => of(activated(DenseKernel, activation_of(layer.activation))),
        LayerKind::Activation(layer) => match activation_of(layer.activation) {
            Activation::Linear => Box::new(Identity),
            other => of(activation(other)),
        },
        LayerKind::ActivityRegularization(_) => Box::new(Identity),
        LayerKind::Dropout(layer) => dropout(layer.rate, layer.seed, layer.noise_shape.clone()),
        LayerKind::SpatialDropout1D(layer) => dropout(layer.rate, layer.seed, Some(channels(1))),
        LayerKind::SpatialDropout2D(layer) => dropout(layer.rate, layer.seed, Some(channels(2))),
        LayerKind::SpatialDropout3D(layer) => dropout(layer.rate, layer.seed, Some(channels(3))),
        LayerKind::GaussianNoise(layer) => noise(Noise::Added(layer.stddev.get() as f32)),
        LayerKind::GaussianDropout(layer) => noise(Noise::Multiplied(layer.rate.get() as f32)),
        LayerKind::AlphaDropout(layer) => noise(Noise::Alpha(layer.rate.get() as f32)),
        LayerKind::Masking(layer) => Box::new(Masking {
            value: layer.mask_value.get() as f32,
        }),
        LayerKind::LeakyReLU(layer) => rectifier(Rectifier::Leaky { alpha: layer.alpha.0 }),
        LayerKind::ELU(layer) => rectifier(Rectifier::Elu { alpha: layer.alpha.0 }),
        LayerKind::ThresholdedReLU(layer) => rectifier(Rectifier::Thresholded { theta: layer.theta.0 }),
        LayerKind::ReLU(layer) => rectifier(Rectifier::Relu {
            max_value: layer.max_value.map(|value| value.0),
            negative_slope: layer.negative_slope.0,
            threshold: layer.threshold.0,
        }),
        LayerKind::PReLU(_) => of(Arc::new(LearnedRectifierKernel)),
        LayerKind::Softmax(layer) => {
            let axis = axis_without_batch(layer.axis.0, place.input().len());
            let axis = axis.ok_or_else(|| no_axis(place, layer.axis.0))?;
            of(Arc::new(SoftmaxKernel(axis + 1)))
        }
        LayerKind::Embedding(layer) => Box::new(Embedding {
            mask_zero: layer.mask_zero,
        }),
        LayerKind::BatchNormalization(layer) => Box::new(batch_norm(place, layer, false)?),
        _ => return Ok(None),
    }))
}

/// A batch normalisation, with or without the relu behind it.
pub(super) fn batch_norm(place: &Place<'_>, layer: &BatchNormalization, rectified: bool) -> Result<BatchNorm> {
    let axis = axis_without_batch(layer.axis.0, place.input().len());
    Ok(BatchNorm {
        axis: axis.ok_or_else(|| no_axis(place, layer.axis.0))? + 1,
        momentum: layer.momentum.get() as f32,
        epsilon: layer.epsilon.get() as f32,
        has_gamma: layer.scale,
        has_beta: layer.center,
        rectified,
        first_weight: place.weights.start,
    })
}

/// The noise shape that drops whole channels of an input with so many axes before them.
fn channels(axes: usize) -> Vec<Option<usize>> {
    let repeated = std::iter::repeat_n(Some(1), axes);
    std::iter::once(None).chain(repeated).chain([None]).collect()
}

fn no_axis(place: &Place<'_>, axis: i64) -> Error {
    Error::Internal(format!("axis {axis} of {}", place.title()))
}

/// The penalty on what a layer puts out.
pub(super) fn activity(kind: &LayerKind) -> Option<Regularizer> {
    match kind {
        LayerKind::Dense(layer) => layer.activity_regularizer,
        LayerKind::Conv1D(layer) => layer.activity_regularizer,
        LayerKind::Conv2D(layer) => layer.activity_regularizer,
        LayerKind::Conv3D(layer) => layer.activity_regularizer,
        LayerKind::SeparableConv1D(layer) => layer.activity_regularizer,
        LayerKind::SeparableConv2D(layer) => layer.activity_regularizer,
        LayerKind::DepthwiseConv2D(layer) => layer.activity_regularizer,
        LayerKind::Conv2DTranspose(layer) => layer.activity_regularizer,
        LayerKind::Conv3DTranspose(layer) => layer.activity_regularizer,
        LayerKind::LocallyConnected1D(layer) => layer.activity_regularizer,
        LayerKind::LocallyConnected2D(layer) => layer.activity_regularizer,
        LayerKind::Embedding(layer) => layer.activity_regularizer,
        LayerKind::SimpleRNN(layer) => layer.activity_regularizer,
        LayerKind::GRU(layer) => layer.activity_regularizer,
        LayerKind::LSTM(layer) => layer.activity_regularizer,
        LayerKind::CuDNNGRU(layer) => layer.activity_regularizer,
        LayerKind::CuDNNLSTM(layer) => layer.activity_regularizer,
        LayerKind::ConvLSTM2D(layer) => layer.activity_regularizer,
        LayerKind::ActivityRegularization(layer) => Some(Regularizer {
            l1: layer.l1.get() as f32,
            l2: layer.l2.get() as f32,
        }),
        _ => None,
    }
}
