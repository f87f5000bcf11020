//! The penalty on what a layer puts out.

use crate::Result;
use crate::keras::regularizer::Regularizer;
use crate::nn::operation::{Gradients, Kernel, Output, Saved, View};
use crate::nn::weight;

/// `(l1 sum |y| + l2 sum y^2) / batch`, as Keras shares an activity's penalty among the rows of a batch.
#[derive(Debug)]
pub(in crate::nn) struct ActivityKernel(pub Regularizer);

impl Kernel for ActivityKernel {
    fn forward(&self, inputs: &[View<'_>], _: bool) -> Result<Output> {
        let batch = inputs[0].shape[0].max(1) as f64;
        Ok(Output::new(
            vec![(weight::penalty(self.0, inputs[0].values) / batch) as f32],
            vec![1],
        ))
    }

    fn backward(&self, inputs: &[View<'_>], _: &Saved, dy: View<'_>, _: &[bool]) -> Result<Gradients> {
        let mut gradient = vec![0.0; inputs[0].values.len()];
        let scale = dy.values[0] / inputs[0].shape[0].max(1) as f32;
        weight::add_penalty_gradient(self.0, inputs[0].values, scale, &mut gradient);
        Ok(vec![Some(gradient)])
    }
}
