//! Activations, alone or behind another kernel.

use std::sync::Arc;

use crate::Result;
use crate::keras::activation::Activation;
use crate::nn::kernels::activation;
use crate::nn::operation::{self, Gradients, Kernel, Output, Saved, View};

/// An activation of its one input.
#[derive(Debug)]
pub(super) struct ActivationKernel(pub Activation);

/// The width of the rows that softmax looks at.
fn width(shape: &[usize]) -> usize {
    shape.last().copied().unwrap_or(1)
}

impl Kernel for ActivationKernel {
    fn forward(&self, inputs: &[View<'_>], save: bool) -> Result<Output> {
        let mut y = inputs[0].values.to_vec();
        activation::forward(self.0, &mut y, width(inputs[0].shape));
        let saved = if save { y.clone() } else { Vec::new() };
        Ok(Output::saving(y, inputs[0].shape.to_vec(), saved))
    }

    fn backward(&self, inputs: &[View<'_>], saved: &Saved, dy: View<'_>, _: &[bool]) -> Result<Gradients> {
        let mut dx = dy.values.to_vec();
        let y = operation::saved_as::<Vec<f32>>(saved)?;
        activation::backward(self.0, y, &mut dx, width(inputs[0].shape));
        Ok(vec![Some(dx)])
    }
}

/// A kernel with an activation behind it, in one operation.
#[derive(Debug)]
struct Activated {
    kernel: Arc<dyn Kernel>,
    activation: Activation,
}

/// What the activated kernel saved, and its result.
struct ActivatedState {
    inner: Saved,
    y: Vec<f32>,
}

/// `kernel` with `activation` behind it.
pub(super) fn activated(kernel: impl Kernel + 'static, activation: Activation) -> Arc<dyn Kernel> {
    let kernel: Arc<dyn Kernel> = Arc::new(kernel);
    if activation == Activation::Linear {
        kernel
    } else {
        Arc::new(Activated { kernel, activation })
    }
}

impl Kernel for Activated {
    fn forward(&self, inputs: &[View<'_>], save: bool) -> Result<Output> {
        let Output {
            mut values,
            shape,
            saved,
        } = self.kernel.forward(inputs, save)?;
        activation::forward(self.activation, &mut values, width(&shape));
        let y = if save { values.clone() } else { Vec::new() };
        Ok(Output::saving(values, shape, ActivatedState { inner: saved, y }))
    }

    fn backward(&self, inputs: &[View<'_>], saved: &Saved, dy: View<'_>, needs: &[bool]) -> Result<Gradients> {
        let state = operation::saved_as::<ActivatedState>(saved)?;
        let mut dz = dy.values.to_vec();
        activation::backward(self.activation, &state.y, &mut dz, width(dy.shape));
        self.kernel.backward(
            inputs,
            &state.inner,
            View {
                values: &dz,
                shape: dy.shape,
            },
            needs,
        )
    }
}
