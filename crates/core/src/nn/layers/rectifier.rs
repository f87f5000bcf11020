//! Activations that are layers of their own.

use crate::Result;
use crate::nn::kernels::axes::{broadcast, sum_repeated};
use crate::nn::kernels::rectifier::{self, Rectifier};
use crate::nn::operation::{self, Gradients, Kernel, Output, Saved, View};

/// A function of each value by itself.
#[derive(Debug)]
pub(super) struct RectifierKernel(pub Rectifier);

impl Kernel for RectifierKernel {
    fn forward(&self, inputs: &[View<'_>], _: bool) -> Result<Output> {
        Ok(Output::new(self.0.forward(inputs[0].values), inputs[0].shape.to_vec()))
    }

    fn backward(&self, inputs: &[View<'_>], _: &Saved, dy: View<'_>, _: &[bool]) -> Result<Gradients> {
        Ok(vec![Some(self.0.backward(inputs[0].values, dy.values))])
    }
}

/// Relu with learned slopes: inputs are `x` and the slopes, of a row's shape or 1 along axes that share them.
#[derive(Debug)]
pub(super) struct LearnedRectifierKernel;

impl Kernel for LearnedRectifierKernel {
    fn forward(&self, inputs: &[View<'_>], _: bool) -> Result<Output> {
        let (x, alpha) = (inputs[0], inputs[1]);
        let alpha = broadcast(alpha.values, alpha.shape, &x.shape[1..]);
        Ok(Output::new(
            rectifier::learned_forward(x.values, &alpha),
            x.shape.to_vec(),
        ))
    }

    fn backward(&self, inputs: &[View<'_>], _: &Saved, dy: View<'_>, _: &[bool]) -> Result<Gradients> {
        let (x, alpha) = (inputs[0], inputs[1]);
        let row = &x.shape[1..];
        let repeated = broadcast(alpha.values, alpha.shape, row);
        let (dx, slopes) = rectifier::learned_backward(x.values, &repeated, dy.values);
        Ok(vec![Some(dx), Some(sum_repeated(&slopes, row, alpha.shape))])
    }
}

/// Softmax along an axis, counted with the batch.
#[derive(Debug)]
pub(super) struct SoftmaxKernel(pub usize);

impl SoftmaxKernel {
    fn sizes(&self, shape: &[usize]) -> (usize, usize) {
        (shape[self.0], shape[self.0 + 1..].iter().product())
    }
}

impl Kernel for SoftmaxKernel {
    fn forward(&self, inputs: &[View<'_>], save: bool) -> Result<Output> {
        let (size, inner) = self.sizes(inputs[0].shape);
        let y = rectifier::softmax_forward(inputs[0].values, size, inner);
        let saved = if save { y.clone() } else { Vec::new() };
        Ok(Output::saving(y, inputs[0].shape.to_vec(), saved))
    }

    fn backward(&self, _: &[View<'_>], saved: &Saved, dy: View<'_>, _: &[bool]) -> Result<Gradients> {
        let (size, inner) = self.sizes(dy.shape);
        let y = operation::saved_as::<Vec<f32>>(saved)?;
        Ok(vec![Some(rectifier::softmax_backward(y, dy.values, size, inner))])
    }
}
