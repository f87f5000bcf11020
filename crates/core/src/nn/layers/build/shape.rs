//! Layers that reorder, cut, pad or repeat.

use std::sync::Arc;

use super::super::reshape::{PermuteKernel, Reshape};
use super::super::resize::{Resize, ResizeKernel};
use super::sizes::{channels_last, split, three};
use super::{Place, simple};
use crate::Result;
use crate::keras::field::{DataFormat, Interpolation, Margins};
use crate::keras::layers::LayerKind;
use crate::nn::kernels::resize::{Bilinear, Frame, Repeat};
use crate::nn::layer::Layer;

/// The stage of a layer of this family, if it is one.
pub(super) fn stage(place: &Place<'_>) -> Result<Option<Box<dyn Layer>>> {
    let last = DataFormat::ChannelsLast;
    Ok(Some(match &place.layer.kind {
        LayerKind::Flatten(layer) => Box::new(Reshape {
            output: place.output.clone(),
            channels_first: layer.data_format == DataFormat::ChannelsFirst,
        }),
        LayerKind::Reshape(_) => Box::new(Reshape {
            output: place.output.clone(),
            channels_first: false,
        }),
        LayerKind::Permute(layer) => {
            let axes = std::iter::once(0).chain(layer.dims.iter().copied()).collect();
            simple(Arc::new(PermuteKernel(axes)), last, false)
        }
        LayerKind::RepeatVector(layer) => {
            let repeat = Repeat {
                input: [1; 3],
                times: [1, 1, layer.n],
                cell: place.input().iter().product(),
            };
            resized(place, Resize::Repeat(repeat), last)
        }
        LayerKind::Cropping1D(layer) => cropped(place, &layer.cropping, last),
        LayerKind::Cropping2D(layer) => cropped(place, &layer.cropping, layer.data_format),
        LayerKind::Cropping3D(layer) => cropped(place, &layer.cropping, layer.data_format),
        LayerKind::ZeroPadding1D(layer) => padded(place, &layer.padding, last),
        LayerKind::ZeroPadding2D(layer) => padded(place, &layer.padding, layer.data_format),
        LayerKind::ZeroPadding3D(layer) => padded(place, &layer.padding, layer.data_format),
        LayerKind::UpSampling1D(layer) => repeated(place, &[layer.size], last),
        LayerKind::UpSampling2D(layer) => match layer.interpolation {
            Interpolation::Nearest => repeated(place, &layer.size, layer.data_format),
            Interpolation::Bilinear => {
                let (sizes, cell) = split(place.input(), layer.data_format);
                let bilinear = Bilinear {
                    input: [sizes[0], sizes[1]],
                    times: layer.size,
                    cell,
                };
                resized(place, Resize::Bilinear(bilinear), layer.data_format)
            }
        },
        LayerKind::UpSampling3D(layer) => repeated(place, &layer.size, layer.data_format),
        _ => return Ok(None),
    }))
}

fn resized(place: &Place<'_>, resize: Resize, data_format: DataFormat) -> Box<dyn Layer> {
    let output = channels_last(&place.output, data_format);
    simple(Arc::new(ResizeKernel { resize, output }), data_format, false)
}

/// A picture inside a larger one, from the shapes of one row of either.
fn frame<const N: usize>(outer: &[usize], inner: &[usize], margins: &Margins<N>, data_format: DataFormat) -> Frame {
    let (outer, cell) = split(outer, data_format);
    let (inner, _) = split(inner, data_format);
    let before: Vec<usize> = margins.0.iter().map(|[before, _]| *before).collect();
    Frame {
        outer: three(&outer, 1),
        inner: three(&inner, 1),
        before: three(&before, 0),
        cell,
    }
}

fn cropped<const N: usize>(place: &Place<'_>, margins: &Margins<N>, data_format: DataFormat) -> Box<dyn Layer> {
    let frame = frame(place.input(), &place.output, margins, data_format);
    resized(place, Resize::Crop(frame), data_format)
}

fn padded<const N: usize>(place: &Place<'_>, margins: &Margins<N>, data_format: DataFormat) -> Box<dyn Layer> {
    let frame = frame(&place.output, place.input(), margins, data_format);
    resized(place, Resize::Pad(frame), data_format)
}

fn repeated(place: &Place<'_>, times: &[usize], data_format: DataFormat) -> Box<dyn Layer> {
    let (sizes, cell) = split(place.input(), data_format);
    let repeat = Repeat {
        input: three(&sizes, 1),
        times: three(times, 1),
        cell,
    };
    resized(place, Resize::Repeat(repeat), data_format)
}
