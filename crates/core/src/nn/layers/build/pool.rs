//! Pooling.

use std::sync::Arc;

use super::super::pool::{MaskedAverage, PoolKernel, Pooling};
use super::sizes::{channels_last, padding, split};
use super::{Place, simple};
use crate::keras::field::{DataFormat, Padding};
use crate::keras::layers::LayerKind;
use crate::nn::kernels::pool::PoolGeometry;
use crate::nn::kernels::window::Window;
use crate::nn::layer::Layer;
use crate::{Error, Result};

/// What is pooled: everything but the channels, or windows of a size.
enum Pooled<'a> {
    All,
    Windows {
        size: &'a [usize],
        strides: &'a [usize],
        padding: Padding,
    },
}

macro_rules! windows {
    ($pooling:expr, $layer:expr) => {
        (
            $pooling,
            $layer.data_format,
            Pooled::Windows {
                size: &$layer.pool_size,
                strides: &$layer.strides,
                padding: $layer.padding,
            },
        )
    };
}

fn pooled(kind: &LayerKind) -> Option<(Pooling, DataFormat, Pooled<'_>)> {
    use Pooling::{Average, Max};
    Some(match kind {
        LayerKind::MaxPooling1D(layer) => windows!(Max, layer),
        LayerKind::MaxPooling2D(layer) => windows!(Max, layer),
        LayerKind::MaxPooling3D(layer) => windows!(Max, layer),
        LayerKind::AveragePooling1D(layer) => windows!(Average, layer),
        LayerKind::AveragePooling2D(layer) => windows!(Average, layer),
        LayerKind::AveragePooling3D(layer) => windows!(Average, layer),
        LayerKind::GlobalMaxPooling1D(layer) => (Max, layer.data_format, Pooled::All),
        LayerKind::GlobalMaxPooling2D(layer) => (Max, layer.data_format, Pooled::All),
        LayerKind::GlobalMaxPooling3D(layer) => (Max, layer.data_format, Pooled::All),
        LayerKind::GlobalAveragePooling1D(layer) => (Average, layer.data_format, Pooled::All),
        LayerKind::GlobalAveragePooling2D(layer) => (Average, layer.data_format, Pooled::All),
        LayerKind::GlobalAveragePooling3D(layer) => (Average, layer.data_format, Pooled::All),
        _ => return None,
    })
}

/// Where the windows of a pooling layer lie.
pub(super) fn window(place: &Place<'_>) -> Result<Window> {
    let (_, data_format, pooled) =
        pooled(&place.layer.kind).ok_or_else(|| Error::Internal(format!("layer {} is no pooling", place.title())))?;
    let (sizes, _) = split(place.input(), data_format);
    let window = match pooled {
        Pooled::All => Window::global(&sizes),
        Pooled::Windows {
            size,
            strides,
            padding: border,
        } => Window::new(&sizes, size, strides, &vec![1; sizes.len()], padding(border)),
    };
    window.map_err(|error| place.refused(&error))
}

/// The stage of a layer of this family, if it is one.
pub(super) fn stage(place: &Place<'_>) -> Result<Option<Box<dyn Layer>>> {
    let Some((pooling, data_format, _)) = pooled(&place.layer.kind) else {
        return Ok(None);
    };
    let (_, channels) = split(place.input(), data_format);
    let geometry = PoolGeometry {
        window: window(place)?,
        channels,
    };
    let output = channels_last(&place.output, data_format);
    let kernel = PoolKernel {
        pooling,
        geometry,
        output,
    };
    let plain = simple(Arc::new(kernel), data_format, false);
    Ok(Some(match place.layer.kind {
        LayerKind::GlobalAveragePooling1D(_) => Box::new(MaskedAverage { plain }),
        _ => plain,
    }))
}
