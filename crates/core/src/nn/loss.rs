//! A loss as the last operation on the tape.

use std::sync::Arc;

use super::kernels::loss::LossFunction;
use super::operation::{self, Gradients, Kernel, Output, Saved, View};
use crate::Result;

/// The mean loss of a batch against its truth: one input, `[batch, .., width]`, and a result of one value.
#[derive(Debug)]
pub(super) struct LossKernel {
    pub function: LossFunction,
    pub truth: Arc<Vec<f32>>,
}

impl Kernel for LossKernel {
    fn forward(&self, inputs: &[View<'_>], save: bool) -> Result<Output> {
        let predicted = inputs[0];
        let width = predicted.shape.last().copied().unwrap_or(1);
        let mut gradient = vec![0.0; if save { predicted.values.len() } else { 0 }];
        let mean = self
            .function
            .mean(&self.truth, predicted.values, width, save.then_some(&mut gradient[..]));
        Ok(Output::saving(vec![mean as f32], vec![1], gradient))
    }

    fn backward(&self, _: &[View<'_>], saved: &Saved, dy: View<'_>, _: &[bool]) -> Result<Gradients> {
        let gradient = operation::saved_as::<Vec<f32>>(saved)?;
        Ok(vec![Some(gradient.iter().map(|g| g * dy.values[0]).collect())])
    }
}
