//! From a Keras model to the stages of a network.

use std::ops::Range;
use std::sync::Arc;

use super::activation::activated;
use super::batch_norm::BatchNorm;
use super::conv::{ConvBlockKernel, ConvKernel};
use super::dense::DenseKernel;
use super::dropout::Dropout;
use super::embedding::Embedding;
use super::pool::{PoolKernel, Pooling};
use super::recurrent::Recurrent;
use super::reshape::Reshape;
use super::{Identity, Simple, activation, recurrent};
use crate::keras::activation::Activation;
use crate::keras::field::{DataFormat, Padding};
use crate::keras::initializer::Initializer;
use crate::keras::layers::{Layer as Description, LayerKind};
use crate::keras::model::Model;
use crate::keras::regularizer::Regularizer;
use crate::keras::shape::{Shape, WeightSpec};
use crate::nn::kernels::conv::{ConvBlock, ConvGeometry};
use crate::nn::kernels::pool::PoolGeometry;
use crate::nn::kernels::window::{self, Window};
use crate::nn::layer::Layer;
use crate::nn::network::Stage;
use crate::nn::operation::Kernel;
use crate::nn::weight::Weight;
use crate::{Error, Result};

/// A model's stages, and what it says of their weights.
pub(in crate::nn) struct Built {
    pub stages: Vec<Stage>,
    /// The weights, still without values, and how they begin.
    pub weights: Vec<(Weight, Start)>,
    /// The name of each layer of the model and its weights' numbers, layers without weights too.
    pub layers: Vec<(String, Range<usize>)>,
    /// The shape of one row of the output.
    pub output_shape: Vec<usize>,
    /// The activation that closes the network, left out of the stages.
    pub closing: Option<Activation>,
    /// Whether the output is sequences of which a mask leaves steps out.
    pub masked_output: bool,
    /// How many different ids an embedding that reads the network's input knows, and that layer's title.
    pub ids: Option<(usize, String)>,
}

/// How a weight begins.
pub(in crate::nn) struct Start {
    pub initializer: Initializer,
    /// Entries that begin at 1 whatever the initialiser says.
    pub ones: Option<Range<usize>>,
}

/// A layer of the model in its place.
struct Place<'a> {
    number: usize,
    layer: &'a Description,
    inputs: &'a [usize],
    weights: Range<usize>,
    input: Vec<usize>,
    output: Vec<usize>,
}

impl Place<'_> {
    fn title(&self) -> String {
        format!(
            "{} ({} '{}')",
            self.number,
            self.layer.kind.class_name(),
            self.layer.name
        )
    }
}

/// Builds the stages of `model` for rows of `input_shape`.
///
/// # Errors
/// When the shapes do not fit the layers, or a layer cannot be run.
pub(in crate::nn) fn build(model: &Model, input_shape: &[usize]) -> Result<Built> {
    let input: Shape = input_shape.iter().copied().map(Some).collect();
    let shapes = model.shapes(Some(&input))?;
    let mut weights = Vec::new();
    let mut places = Vec::with_capacity(shapes.len());
    for (index, (node, shapes)) in model.nodes.iter().zip(&shapes).enumerate() {
        let first = weights.len();
        weights.extend(shapes.weights.iter().map(|spec| weight(&node.layer.name, spec)));
        places.push(Place {
            number: index + 1,
            layer: &node.layer,
            inputs: &node.inputs,
            weights: first..weights.len(),
            input: known(shapes.inputs.first().unwrap_or(&input), &node.layer.name)?,
            output: known(&shapes.output, &node.layer.name)?,
        });
    }
    let output_shape = places
        .last()
        .map_or_else(|| input_shape.to_vec(), |place| place.output.clone());
    let closing = places.last().and_then(|place| closing(&place.layer.kind));
    let mut built = Built {
        stages: Vec::with_capacity(places.len()),
        weights,
        layers: places
            .iter()
            .map(|place| (place.layer.name.clone(), place.weights.clone()))
            .collect(),
        output_shape,
        closing,
        masked_output: false,
        ids: None,
    };
    let mut masked = false;
    let mut raw_input = true;
    let mut index = 0;
    while index < places.len() {
        let place = &places[index];
        let last = index + 1 == places.len();
        if let LayerKind::Embedding(embedding) = &place.layer.kind {
            if !raw_input {
                return Err(Error::Input(format!(
                    "layer {}: an Embedding layer reads whole numbers and so has to come first; only Reshape and Flatten may \
                     stand before it",
                    place.title()
                )));
            }
            built.ids = Some((embedding.input_dim, place.title()));
            masked |= embedding.mask_zero;
        }
        raw_input &= matches!(place.layer.kind, LayerKind::Reshape(_) | LayerKind::Flatten(_));
        masked &= hands_mask_on(&place.layer.kind);
        let next = places
            .get(index + 1)
            .filter(|next| next.inputs == [index] || next.inputs.is_empty());
        let (layer, span) = match next.and_then(|next| fused(place, next, index + 2 == places.len())) {
            Some(layer) => (layer, 2),
            None => (stage(place, last && built.closing.is_some())?, 1),
        };
        let end = &places[index + span - 1];
        if span == 2 {
            masked &= hands_mask_on(&end.layer.kind);
        }
        built.stages.push(Stage {
            title: end.title(),
            layer,
            inputs: built.stages.len().checked_sub(1).into_iter().collect(),
            weights: place.weights.start..end.weights.end,
            activity: activity(&end.layer.kind),
        });
        index += span;
    }
    built.masked_output = masked && built.output_shape.len() > 1;
    Ok(built)
}

fn known(shape: &Shape, name: &str) -> Result<Vec<usize>> {
    shape.iter().copied().collect::<Option<Vec<usize>>>().ok_or_else(|| {
        Error::Input(format!(
            "layer '{name}': the size of its data is not known; give the model an input_shape without None"
        ))
    })
}

fn weight(layer: &str, spec: &WeightSpec) -> (Weight, Start) {
    let weight = Weight {
        name: format!("{layer}/{}:0", spec.name),
        shape: spec.shape.clone(),
        values: Vec::new(),
        trainable: spec.trainable,
        regularizer: spec.regularizer,
        constraint: spec.constraint.clone(),
    };
    (
        weight,
        Start {
            initializer: spec.initializer.clone(),
            ones: spec.ones.clone(),
        },
    )
}

/// The activation that a closing layer ends with, where a loss may want the logits before it. A penalty on the layer's activity sees
/// what comes behind the activation, so then it stays in.
fn closing(kind: &LayerKind) -> Option<Activation> {
    let closing = match kind {
        LayerKind::Dense(dense) if dense.activity_regularizer.is_none() => dense.activation,
        LayerKind::Activation(layer) => layer.activation,
        _ => return None,
    };
    matches!(closing, Activation::Softmax | Activation::Sigmoid).then_some(closing)
}

/// Whether a layer hands the mask of its input on, as in Keras.
fn hands_mask_on(kind: &LayerKind) -> bool {
    match kind {
        LayerKind::Dense(_)
        | LayerKind::Activation(_)
        | LayerKind::Dropout(_)
        | LayerKind::Embedding(_)
        | LayerKind::BatchNormalization(_) => true,
        LayerKind::SimpleRNN(layer) => layer.return_sequences,
        LayerKind::GRU(layer) => layer.return_sequences,
        LayerKind::LSTM(layer) => layer.return_sequences,
        _ => false,
    }
}

/// The penalty on what a layer puts out.
fn activity(kind: &LayerKind) -> Option<Regularizer> {
    match kind {
        LayerKind::Dense(layer) => layer.activity_regularizer,
        LayerKind::Conv1D(layer) => layer.activity_regularizer,
        LayerKind::Conv2D(layer) => layer.activity_regularizer,
        LayerKind::Embedding(layer) => layer.activity_regularizer,
        LayerKind::SimpleRNN(layer) => layer.activity_regularizer,
        LayerKind::GRU(layer) => layer.activity_regularizer,
        LayerKind::LSTM(layer) => layer.activity_regularizer,
        _ => None,
    }
}

/// One layer where two follow each other that are faster together.
fn fused(first: &Place<'_>, second: &Place<'_>, second_is_last: bool) -> Option<Box<dyn Layer>> {
    match (&first.layer.kind, &second.layer.kind) {
        (LayerKind::Conv2D(conv), LayerKind::MaxPooling2D(pool))
            if conv.activation == Activation::Relu
                && conv.activity_regularizer.is_none()
                && conv.data_format == DataFormat::ChannelsLast
                && pool.data_format == DataFormat::ChannelsLast =>
        {
            let geometry = convolution(first).ok()?;
            let pool = pooling_window(second).ok()?;
            let block = ConvBlock::new(geometry, pool)?;
            let kernel = ConvBlockKernel {
                block,
                output: second.output.clone(),
            };
            Some(simple(Arc::new(kernel), DataFormat::ChannelsLast, false))
        }
        (LayerKind::Embedding(embedding), _) if embedding.activity_regularizer.is_none() && !second_is_last => {
            let layer = recurrent::layer(&second.layer.kind, embedding.output_dim)?;
            if first.input.len() != 1 {
                return None;
            }
            let embedding = Embedding {
                mask_zero: embedding.mask_zero,
            };
            Some(Box::new(
                Recurrent::of(layer, &second.layer.kind, second.number, true)?.behind(embedding),
            ))
        }
        _ => None,
    }
}

fn simple(kernel: Arc<dyn Kernel>, data_format: DataFormat, keeps_mask: bool) -> Box<dyn Layer> {
    Box::new(Simple {
        kernel,
        channels_first: data_format == DataFormat::ChannelsFirst,
        keeps_mask,
    })
}

/// The stage of one layer; `open` leaves its activation out.
fn stage(place: &Place<'_>, open: bool) -> Result<Box<dyn Layer>> {
    let activation_of = |activation| if open { Activation::Linear } else { activation };
    let last = DataFormat::ChannelsLast;
    Ok(match &place.layer.kind {
        LayerKind::Dense(layer) => simple(activated(DenseKernel, activation_of(layer.activation)), last, true),
        LayerKind::Activation(layer) => match activation_of(layer.activation) {
            Activation::Linear => Box::new(Identity),
            other => simple(activation(other), last, true),
        },
        LayerKind::Dropout(layer) => Box::new(Dropout {
            number: place.number,
            rate: layer.rate as f32,
            seed: layer.seed.map(i64::cast_unsigned),
            noise_shape: layer.noise_shape.clone(),
        }),
        LayerKind::Flatten(layer) => Box::new(Reshape {
            output: place.output.clone(),
            channels_first: layer.data_format == DataFormat::ChannelsFirst,
        }),
        LayerKind::Reshape(_) => Box::new(Reshape {
            output: place.output.clone(),
            channels_first: false,
        }),
        LayerKind::Conv1D(layer) => simple(
            activated(conv(place, layer.data_format)?, layer.activation),
            layer.data_format,
            false,
        ),
        LayerKind::Conv2D(layer) => simple(
            activated(conv(place, layer.data_format)?, layer.activation),
            layer.data_format,
            false,
        ),
        LayerKind::MaxPooling1D(layer) => pool(place, Pooling::Max, layer.data_format)?,
        LayerKind::MaxPooling2D(layer) => pool(place, Pooling::Max, layer.data_format)?,
        LayerKind::AveragePooling1D(layer) => pool(place, Pooling::Average, layer.data_format)?,
        LayerKind::AveragePooling2D(layer) => pool(place, Pooling::Average, layer.data_format)?,
        LayerKind::GlobalMaxPooling1D(layer) => pool(place, Pooling::Max, layer.data_format)?,
        LayerKind::GlobalMaxPooling2D(layer) => pool(place, Pooling::Max, layer.data_format)?,
        LayerKind::GlobalAveragePooling1D(layer) => Box::new(super::pool::MaskedAverage {
            plain: pool(place, Pooling::Average, layer.data_format)?,
        }),
        LayerKind::GlobalAveragePooling2D(layer) => pool(place, Pooling::Average, layer.data_format)?,
        LayerKind::Embedding(layer) => Box::new(Embedding {
            mask_zero: layer.mask_zero,
        }),
        kind @ (LayerKind::SimpleRNN(_) | LayerKind::GRU(_) | LayerKind::LSTM(_)) => {
            let features = place.input.last().copied().unwrap_or(0);
            let recurrent = recurrent::layer(kind, features)
                .and_then(|layer| Recurrent::of(layer, kind, place.number, place.inputs.is_empty()));
            Box::new(recurrent.ok_or_else(|| Error::Internal(format!("layer {} is not recurrent", place.title())))?)
        }
        LayerKind::BatchNormalization(layer) => {
            let rank = i64::try_from(place.input.len() + 1).unwrap_or(i64::MAX);
            let axis = if layer.axis.0 < 0 {
                layer.axis.0 + rank
            } else {
                layer.axis.0
            };
            Box::new(BatchNorm {
                axis: usize::try_from(axis)
                    .map_err(|_| Error::Internal(format!("axis {axis} of {}", place.title())))?,
                momentum: layer.momentum.get() as f32,
                epsilon: layer.epsilon.get() as f32,
                has_gamma: layer.scale,
                has_beta: layer.center,
                first_weight: place.weights.start,
            })
        }
        LayerKind::InputLayer(_) => Box::new(Identity),
        _ => {
            return Err(Error::Input(format!(
                "layer {}: this type of layer cannot be trained here yet",
                place.title()
            )));
        }
    })
}

/// Sizes of the axes between batch and channels, and the channels, wherever these are.
fn split(shape: &[usize], data_format: DataFormat) -> (Vec<usize>, usize) {
    match data_format {
        DataFormat::ChannelsLast => (shape[..shape.len() - 1].to_vec(), shape[shape.len() - 1]),
        DataFormat::ChannelsFirst => (shape[1..].to_vec(), shape[0]),
    }
}

/// A shape with the channels moved last.
fn channels_last(shape: &[usize], data_format: DataFormat) -> Vec<usize> {
    // What global pooling leaves has no axis but the channels.
    if shape.len() < 2 {
        return shape.to_vec();
    }
    let (mut sizes, channels) = split(shape, data_format);
    sizes.push(channels);
    sizes
}

fn padding(padding: Padding) -> window::Padding {
    match padding {
        Padding::Valid => window::Padding::Valid,
        Padding::Same => window::Padding::Same,
        Padding::Causal => window::Padding::Causal,
    }
}

fn no_window(place: &Place<'_>, error: &impl std::fmt::Display) -> Error {
    Error::Input(format!("layer {}: {error}", place.title()))
}

fn convolution(place: &Place<'_>) -> Result<ConvGeometry> {
    let (format, kernel, filters, strides, dilation, border): (_, &[usize], _, &[usize], &[usize], _) =
        match &place.layer.kind {
            LayerKind::Conv1D(l) => (
                l.data_format,
                &l.kernel_size,
                l.filters,
                &l.strides,
                &l.dilation_rate,
                l.padding,
            ),
            LayerKind::Conv2D(l) => (
                l.data_format,
                &l.kernel_size,
                l.filters,
                &l.strides,
                &l.dilation_rate,
                l.padding,
            ),
            _ => return Err(Error::Internal(format!("layer {} is no convolution", place.title()))),
        };
    let (sizes, channels) = split(&place.input, format);
    ConvGeometry::new(&sizes, channels, kernel, filters, strides, dilation, padding(border))
        .map_err(|error| no_window(place, &error))
}

fn conv(place: &Place<'_>, data_format: DataFormat) -> Result<ConvKernel> {
    Ok(ConvKernel {
        geometry: convolution(place)?,
        output: channels_last(&place.output, data_format),
    })
}

fn pooling_window(place: &Place<'_>) -> Result<Window> {
    let windowed = |size: &[usize], strides: &[usize], border, format| {
        let (sizes, _) = split(&place.input, format);
        Window::new(&sizes, size, strides, &vec![1; sizes.len()], padding(border))
    };
    let window = match &place.layer.kind {
        LayerKind::MaxPooling1D(l) => windowed(&l.pool_size, &l.strides, l.padding, l.data_format),
        LayerKind::MaxPooling2D(l) => windowed(&l.pool_size, &l.strides, l.padding, l.data_format),
        LayerKind::AveragePooling1D(l) => windowed(&l.pool_size, &l.strides, l.padding, l.data_format),
        LayerKind::AveragePooling2D(l) => windowed(&l.pool_size, &l.strides, l.padding, l.data_format),
        LayerKind::GlobalMaxPooling1D(l) => Window::global(&split(&place.input, l.data_format).0),
        LayerKind::GlobalMaxPooling2D(l) => Window::global(&split(&place.input, l.data_format).0),
        LayerKind::GlobalAveragePooling1D(l) => Window::global(&split(&place.input, l.data_format).0),
        LayerKind::GlobalAveragePooling2D(l) => Window::global(&split(&place.input, l.data_format).0),
        _ => return Err(Error::Internal(format!("layer {} is no pooling", place.title()))),
    };
    window.map_err(|error| no_window(place, &error))
}

fn pool(place: &Place<'_>, pooling: Pooling, data_format: DataFormat) -> Result<Box<dyn Layer>> {
    let (_, channels) = split(&place.input, data_format);
    let geometry = PoolGeometry {
        window: pooling_window(place)?,
        channels,
    };
    let output = channels_last(&place.output, data_format);
    Ok(simple(
        Arc::new(PoolKernel {
            pooling,
            geometry,
            output,
        }),
        data_format,
        false,
    ))
}
