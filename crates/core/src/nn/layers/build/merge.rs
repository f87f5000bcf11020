//! Layers of several inputs.

use std::sync::Arc;

use super::super::merge::{ConcatenateKernel, DotKernel, ElementwiseKernel, MaskMerge, MergeLayer};
use super::Place;
use crate::keras::layers::{LayerKind, axis_without_batch};
use crate::keras::shape::Shape;
use crate::nn::kernels::merge::{Dot, Merge};
use crate::nn::layer::Layer;
use crate::{Error, Result};

/// The stage of a layer of this family, if it is one.
pub(super) fn stage(place: &Place<'_>) -> Result<Option<Box<dyn Layer>>> {
    let elementwise = |merge, mean| MergeLayer {
        kernel: Arc::new(ElementwiseKernel(merge)),
        masks: MaskMerge::All,
        mean,
    };
    Ok(Some(Box::new(match &place.layer.kind {
        LayerKind::Add(_) => elementwise(Merge::Add, false),
        LayerKind::Subtract(_) => elementwise(Merge::Subtract, false),
        LayerKind::Multiply(_) => elementwise(Merge::Multiply, false),
        LayerKind::Average(_) => elementwise(Merge::Add, true),
        LayerKind::Maximum(_) => elementwise(Merge::Maximum, false),
        LayerKind::Minimum(_) => elementwise(Merge::Minimum, false),
        LayerKind::Concatenate(layer) => {
            let axis = axis_without_batch(layer.axis, place.input().len())
                .ok_or_else(|| Error::Internal(format!("axis {} of {}", layer.axis, place.title())))?;
            MergeLayer {
                kernel: Arc::new(ConcatenateKernel(axis + 1)),
                masks: MaskMerge::Along(axis + 1),
                mean: false,
            }
        }
        LayerKind::Dot(layer) => {
            let [a, b] = &place.inputs[..] else {
                return Err(place.refused(&"takes exactly 2 inputs"));
            };
            let known = |shape: &[usize]| -> Shape { shape.iter().copied().map(Some).collect() };
            let axes = layer
                .summed([&known(a), &known(b)])
                .map_err(|error| place.refused(&error))?;
            MergeLayer {
                kernel: Arc::new(DotKernel {
                    dot: Dot {
                        shapes: [a.clone(), b.clone()],
                        axes,
                        normalize: layer.normalize,
                    },
                    output: place.output.clone(),
                }),
                masks: MaskMerge::Drop,
                mean: false,
            }
        }
        _ => return Ok(None),
    })))
}
