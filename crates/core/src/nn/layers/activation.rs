//! Activations, alone or behind another kernel.

use std::sync::Arc;

use crate::keras::activation::Activation;
use crate::nn::kernels::activation;
use crate::nn::operation::{Gradients, Kernel, Output, Saved, View};
use crate::{Error, Result};

/// An activation of its one input.
#[derive(Debug)]
pub(super) struct ActivationKernel(pub Activation);

/// The width of the rows that softmax looks at.
fn width(shape: &[usize]) -> usize {
    shape.last().copied().unwrap_or(1)
}

impl Kernel for ActivationKernel {
    fn wants_result(&self) -> bool {
        true
    }

    fn forward(&self, inputs: &[View<'_>], _: bool) -> Result<Output> {
        let y = activation::applied(self.0, inputs[0].values, width(inputs[0].shape));
        Ok(Output::new(y, inputs[0].shape.to_vec()))
    }

    fn backward(&self, inputs: &[View<'_>], _: &Saved, dy: View<'_>, _: &[bool]) -> Result<Gradients> {
        let y = inputs[1].values;
        Ok(vec![Some(activation::gradient(self.0, y, dy.values, width(dy.shape)))])
    }
}

/// A kernel with an activation behind it, in one operation.
#[derive(Debug)]
struct Activated {
    kernel: Arc<dyn Kernel>,
    activation: Activation,
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
    fn wants_result(&self) -> bool {
        true
    }

    fn forward(&self, inputs: &[View<'_>], save: bool) -> Result<Output> {
        let mut output = self.kernel.forward(inputs, save)?;
        activation::forward(self.activation, &mut output.values, width(&output.shape));
        Ok(output)
    }

    fn backward(&self, inputs: &[View<'_>], saved: &Saved, dy: View<'_>, needs: &[bool]) -> Result<Gradients> {
        let Some((y, inputs)) = inputs.split_last() else {
            return Err(Error::Internal("an activation's result was not kept".into()));
        };
        let dz = activation::gradient(self.activation, y.values, dy.values, width(dy.shape));
        let dz = View {
            values: &dz,
            shape: dy.shape,
        };
        self.kernel.backward(inputs, saved, dz, needs)
    }
}
