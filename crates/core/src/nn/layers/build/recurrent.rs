//! Recurrent layers.

use std::sync::Arc;

use super::super::conv_lstm::{ConvLstm, channels_first};
use super::super::recurrent::{self, Recurrent};
use super::super::states::Part;
use super::Place;
use super::sizes::{channels_last, padding, split};
use crate::keras::field::DataFormat;
use crate::keras::layers::{ConvLSTM2D, LayerKind};
use crate::nn::kernels::conv_lstm;
use crate::nn::layer::Layer;
use crate::{Error, Result};

/// The stage of a layer of this family, if it is one.
pub(super) fn stage(place: &Place<'_>) -> Result<Option<Box<dyn Layer>>> {
    let kind = &place.layer.kind;
    if let LayerKind::ConvLSTM2D(layer) = kind {
        return conv_lstm(place, layer).map(Some);
    }
    let features = place.input().last().copied().unwrap_or(0);
    let Some(layer) = recurrent::layer(kind, features) else {
        return Ok(None);
    };
    let recurrent = Recurrent::of(layer, kind, place.number, place.reads_input);
    let recurrent = recurrent.ok_or_else(|| Error::Internal(format!("layer {} is not recurrent", place.title())))?;
    Ok(Some(Box::new(recurrent)))
}

/// The outputs of a layer that returns its states, as they lie in its stage's rows; none for every other layer.
pub(super) fn parts(place: &Place<'_>) -> Vec<Part> {
    let Some(states) = place.layer.kind.states().filter(|states| states.returned) else {
        return Vec::new();
    };
    let format = match &place.layer.kind {
        LayerKind::ConvLSTM2D(layer) => layer.data_format,
        _ => DataFormat::ChannelsLast,
    };
    let mut begin = 0;
    place
        .outputs()
        .enumerate()
        .map(|(index, output)| {
            let range = begin..begin + output.iter().product::<usize>();
            begin = range.end;
            let sequences = index == 0 && states.sequences;
            let (steps, step) = output.split_at(usize::from(sequences));
            let first = format == DataFormat::ChannelsFirst;
            Part {
                range,
                shape: [steps, &channels_last(step, format)].concat(),
                axes: first.then(|| channels_first(sequences)),
                keeps_mask: sequences,
            }
        })
        .collect()
}

fn conv_lstm(place: &Place<'_>, layer: &ConvLSTM2D) -> Result<Box<dyn Layer>> {
    let (sizes, channels) = split(&place.input()[1..], layer.data_format);
    let axes = conv_lstm::Axes {
        input: &sizes,
        kernel: &layer.kernel_size,
        strides: &layer.strides,
        dilation: &layer.dilation_rate,
        padding: padding(layer.padding),
    };
    let mut kernel = conv_lstm::Layer::new(axes, channels, layer.filters).map_err(|error| place.refused(&error))?;
    let step = &place.output[usize::from(layer.return_sequences)..];
    let output = channels_last(step, layer.data_format);
    kernel.activation = layer.activation;
    kernel.recurrent_activation = layer.recurrent_activation;
    kernel.return_sequences = layer.return_sequences;
    kernel.go_backwards = layer.go_backwards;
    Ok(Box::new(ConvLstm {
        layer: kernel,
        number: place.number,
        dropout: layer.dropout as f32,
        recurrent_dropout: layer.recurrent_dropout as f32,
        channels_first: layer.data_format == DataFormat::ChannelsFirst,
        output: [output[0], output[1], output[2]],
        kept: layer.stateful.then(Arc::default),
        returns_state: layer.return_state,
    }))
}
