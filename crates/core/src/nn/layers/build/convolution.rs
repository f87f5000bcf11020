//! Convolutions of every kind.

use std::sync::Arc;

use super::super::activation::activated;
use super::super::conv::{ConvKernel, Convolution, SeparableKernel};
use super::super::{Followed, activation};
use super::sizes::{channels_last, padding, split};
use super::{Place, simple};
use crate::keras::activation::Activation;
use crate::keras::field::{DataFormat, Padding};
use crate::keras::layers::LayerKind;
use crate::nn::kernels::conv::ConvGeometry;
use crate::nn::kernels::conv_transpose::{TransposedAxes, TransposedGeometry};
use crate::nn::kernels::depthwise::DepthwiseGeometry;
use crate::nn::kernels::window::WindowError;
use crate::nn::layer::Layer;
use crate::nn::operation::Kernel;
use crate::{Error, Result};

/// What all convolutions have, one entry an axis.
struct Sliding<'a> {
    data_format: DataFormat,
    kernel: &'a [usize],
    strides: &'a [usize],
    dilation: &'a [usize],
    padding: Padding,
    activation: Activation,
}

macro_rules! sliding {
    ($layer:expr) => {
        sliding!($layer, dilation: &$layer.dilation_rate, format: $layer.data_format)
    };
    ($layer:expr, dilation: $dilation:expr, format: $format:expr) => {
        Sliding {
            data_format: $format,
            kernel: &$layer.kernel_size,
            strides: &$layer.strides,
            dilation: $dilation,
            padding: $layer.padding,
            activation: $layer.activation,
        }
    };
}

fn sliding(kind: &LayerKind) -> Option<Sliding<'_>> {
    Some(match kind {
        LayerKind::Conv1D(layer) => sliding!(layer),
        LayerKind::Conv2D(layer) => sliding!(layer),
        LayerKind::Conv3D(layer) => sliding!(layer),
        LayerKind::SeparableConv1D(layer) => sliding!(layer),
        LayerKind::SeparableConv2D(layer) => sliding!(layer),
        LayerKind::DepthwiseConv2D(layer) => sliding!(layer),
        LayerKind::Conv2DTranspose(layer) => sliding!(layer),
        LayerKind::Conv3DTranspose(layer) => sliding!(layer, dilation: &[1; 3], format: layer.data_format),
        LayerKind::LocallyConnected1D(layer) => sliding!(layer, dilation: &[1], format: DataFormat::ChannelsLast),
        LayerKind::LocallyConnected2D(layer) => sliding!(layer, dilation: &[1; 2], format: layer.data_format),
        _ => return None,
    })
}

impl Sliding<'_> {
    fn full(&self, input: &[usize], filters: usize) -> Result<ConvGeometry, WindowError> {
        let (sizes, channels) = split(input, self.data_format);
        ConvGeometry::new(
            &sizes,
            channels,
            self.kernel,
            filters,
            self.strides,
            self.dilation,
            padding(self.padding),
        )
    }

    fn depthwise(&self, input: &[usize], multiplier: usize) -> Result<DepthwiseGeometry, WindowError> {
        let (sizes, channels) = split(input, self.data_format);
        DepthwiseGeometry::new(
            &sizes,
            channels,
            self.kernel,
            multiplier,
            self.strides,
            self.dilation,
            padding(self.padding),
        )
    }

    /// The kernel as a layer, with the activation behind it. Softmax looks at Keras's last axis, which is not that of the channels when
    /// they come first: then it waits until they are back in their place.
    fn layer(&self, kernel: impl Kernel + 'static) -> Box<dyn Layer> {
        if self.activation == Activation::Softmax && self.data_format == DataFormat::ChannelsFirst {
            return Box::new(Followed {
                layer: simple(Arc::new(kernel), self.data_format, false),
                kernel: activation(self.activation),
            });
        }
        simple(activated(kernel, self.activation), self.data_format, false)
    }

    fn transposed(&self, place: &Place<'_>) -> Result<TransposedGeometry> {
        let (input, channels) = split(place.input(), self.data_format);
        let (output, filters) = split(&place.output, self.data_format);
        let axes = TransposedAxes {
            input: &input,
            output: &output,
            kernel: self.kernel,
            strides: self.strides,
            dilation: self.dilation,
        };
        let geometry = TransposedGeometry::new(axes, channels, filters, padding(self.padding))
            .map_err(|error| place.refused(&error))?;
        geometry.ok_or_else(|| {
            Error::Input(format!(
                "layer {}: no convolution leads from the output's sizes {output:?} back to the input's {input:?}; choose another \
                 output_padding",
                place.title()
            ))
        })
    }
}

/// The geometry of a layer whose filters see all channels.
pub(super) fn full(place: &Place<'_>) -> Result<ConvGeometry> {
    let filters = match &place.layer.kind {
        LayerKind::Conv1D(layer) => layer.filters,
        LayerKind::Conv2D(layer) => layer.filters,
        LayerKind::Conv3D(layer) => layer.filters,
        LayerKind::LocallyConnected1D(layer) => layer.filters,
        LayerKind::LocallyConnected2D(layer) => layer.filters,
        _ => return Err(Error::Internal(format!("layer {} is no convolution", place.title()))),
    };
    sliding(&place.layer.kind)
        .ok_or_else(|| Error::Internal(format!("layer {} slides nothing", place.title())))?
        .full(place.input(), filters)
        .map_err(|error| place.refused(&error))
}

/// The stage of a layer of this family, if it is one.
pub(super) fn stage(place: &Place<'_>) -> Result<Option<Box<dyn Layer>>> {
    let Some(sliding) = sliding(&place.layer.kind) else {
        return Ok(None);
    };
    let output = channels_last(&place.output, sliding.data_format);
    let depthwise = |multiplier| {
        sliding
            .depthwise(place.input(), multiplier)
            .map_err(|error| place.refused(&error))
    };
    let separable = |multiplier| -> Result<Box<dyn Layer>> {
        let kernel = SeparableKernel {
            geometry: depthwise(multiplier)?,
            output: output.clone(),
        };
        Ok(sliding.layer(kernel))
    };
    let convolution = match &place.layer.kind {
        LayerKind::SeparableConv1D(layer) => return separable(layer.depth_multiplier).map(Some),
        LayerKind::SeparableConv2D(layer) => return separable(layer.depth_multiplier).map(Some),
        LayerKind::DepthwiseConv2D(layer) => Convolution::Depthwise(depthwise(layer.depth_multiplier)?),
        LayerKind::Conv2DTranspose(_) | LayerKind::Conv3DTranspose(_) => {
            Convolution::Transposed(sliding.transposed(place)?)
        }
        LayerKind::LocallyConnected1D(_) | LayerKind::LocallyConnected2D(_) => Convolution::Local {
            geometry: full(place)?,
            by_channel: sliding.data_format == DataFormat::ChannelsFirst,
        },
        _ => Convolution::Full(full(place)?),
    };
    let kernel = ConvKernel {
        convolution,
        output: output.clone(),
    };
    Ok(Some(sliding.layer(kernel)))
}
