//! Pooling.

use std::sync::Arc;

use burn::backend::DispatchTensor;

use crate::Result;
use crate::nn::kernels::pool::{self, ArgMax, PoolGeometry};
use crate::nn::layer::{Flow, Layer, Mask, Pass};
use crate::nn::operation::{self, Gradients, Kernel, Output, Saved, View};

/// What a pooling makes of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pooling {
    Max,
    Average,
}

/// Pooling of `x` `[batch, space.., channels]`.
#[derive(Debug)]
pub(super) struct PoolKernel {
    pub pooling: Pooling,
    pub geometry: PoolGeometry,
    /// The result's shape without the batch.
    pub output: Vec<usize>,
}

impl Kernel for PoolKernel {
    fn forward(&self, inputs: &[View<'_>], _: bool) -> Result<Output> {
        let x = inputs[0];
        let shape = std::iter::once(x.shape[0]).chain(self.output.iter().copied()).collect();
        Ok(match self.pooling {
            Pooling::Max => {
                let (y, found) = pool::max_forward(&self.geometry, x.values);
                Output::saving(y, shape, found)
            }
            Pooling::Average => Output::new(pool::average_forward(&self.geometry, x.values), shape),
        })
    }

    fn backward(&self, _: &[View<'_>], saved: &Saved, dy: View<'_>, _: &[bool]) -> Result<Gradients> {
        let dx = match self.pooling {
            Pooling::Max => pool::max_backward(&self.geometry, operation::saved_as::<ArgMax>(saved)?, dy.values),
            Pooling::Average => pool::average_backward(&self.geometry, dy.values),
        };
        Ok(vec![Some(dx)])
    }
}

/// The mean over the steps of `x` `[batch, steps, channels]` that a mask leaves; zeros for a row without any.
#[derive(Debug)]
struct MaskedAverageKernel(Arc<Mask>);

impl MaskedAverageKernel {
    /// For each row, one over the number of its steps that count.
    fn shares(&self) -> impl Iterator<Item = (&[bool], f32)> {
        self.0.keep.chunks_exact(self.0.steps().max(1)).map(|keep| {
            let count = keep.iter().filter(|&&keep| keep).count();
            (keep, 1.0 / count.max(1) as f32)
        })
    }
}

impl Kernel for MaskedAverageKernel {
    fn forward(&self, inputs: &[View<'_>], _: bool) -> Result<Output> {
        let (batch, steps, channels) = sequence(inputs[0]);
        let mut y = vec![0.0; batch * channels];
        let rows = inputs[0]
            .values
            .chunks_exact(steps * channels)
            .zip(y.chunks_exact_mut(channels));
        for ((keep, share), (x, y)) in self.shares().zip(rows) {
            for (x, _) in x.chunks_exact(channels).zip(keep).filter(|(_, keep)| **keep) {
                y.iter_mut().zip(x).for_each(|(y, x)| *y += share * x);
            }
        }
        Ok(Output::new(y, vec![batch, channels]))
    }

    fn backward(&self, inputs: &[View<'_>], _: &Saved, dy: View<'_>, _: &[bool]) -> Result<Gradients> {
        let (_, steps, channels) = sequence(inputs[0]);
        let mut dx = vec![0.0; inputs[0].values.len()];
        let rows = dx
            .chunks_exact_mut(steps * channels)
            .zip(dy.values.chunks_exact(channels));
        for ((keep, share), (dx, dy)) in self.shares().zip(rows) {
            for (dx, _) in dx.chunks_exact_mut(channels).zip(keep).filter(|(_, keep)| **keep) {
                dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx = share * dy);
            }
        }
        Ok(vec![Some(dx)])
    }
}

/// Batch, steps and channels of a sequence.
fn sequence(x: View<'_>) -> (usize, usize, usize) {
    (x.shape[0], x.shape[1], x.shape[2])
}

/// Global average pooling over steps, which leaves masked ones out.
#[derive(Debug)]
pub(super) struct MaskedAverage {
    /// The pooling where nothing is masked.
    pub plain: Box<dyn Layer>,
}

impl Layer for MaskedAverage {
    fn forward(&self, inputs: &[Flow], weights: &[DispatchTensor], pass: &mut Pass) -> Result<Flow> {
        match &inputs[0].mask {
            Some(mask) => {
                let kernel = Arc::new(MaskedAverageKernel(Arc::clone(mask)));
                Ok(Flow::unmasked(operation::apply(
                    kernel,
                    vec![inputs[0].tensor.clone()],
                )?))
            }
            None => self.plain.forward(inputs, weights, pass),
        }
    }
}
