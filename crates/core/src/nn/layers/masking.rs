//! Masking: steps that hold nothing but one value are left out by the layers behind.

use std::sync::Arc;

use burn::backend::DispatchTensor;

use super::dropout::Scale;
use crate::Result;
use crate::nn::layer::{Flow, Layer, Mask, Pass};
use crate::nn::operation;

/// A masking layer at work: steps all of whose values are `value` do not count, and become zero.
#[derive(Debug)]
pub(super) struct Masking {
    pub value: f32,
}

impl Layer for Masking {
    fn forward(&self, inputs: &[Flow], _: &[DispatchTensor], _: &mut Pass) -> Result<Flow> {
        let mut shape = inputs[0].shape();
        let values = operation::values(&inputs[0].tensor)?;
        let width = shape.pop().unwrap_or(1);
        let steps = values.chunks_exact(width.max(1));
        let keep: Vec<bool> = steps.map(|step| step.iter().any(|x| *x != self.value)).collect();
        let factor = |keep: &bool| std::iter::repeat_n(f32::from(*keep), width);
        let scale = Scale(keep.iter().flat_map(factor).collect());
        Ok(Flow {
            tensor: operation::apply(Arc::new(scale), vec![inputs[0].tensor.clone()])?,
            mask: Some(Arc::new(Mask { shape, keep })),
        })
    }
}
