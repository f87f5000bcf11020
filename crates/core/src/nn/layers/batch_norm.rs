//! Batch normalisation.

use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::DispatchTensor;

use crate::Result;
use crate::nn::kernels::batch_norm::{self, Axes, Normalization};
use crate::nn::layer::{Flow, Layer, Pass};
use crate::nn::operation::{self, Gradients, Kernel, Output, Saved, View};

/// Normalises by the batch's own statistics or by given ones. Inputs are `x`, and `gamma` and `beta` where the layer has them.
#[derive(Debug)]
struct BatchNormKernel {
    axis: usize,
    epsilon: f32,
    has_gamma: bool,
    has_beta: bool,
    rectified: bool,
    /// The moving averages; none in training, where the batch's own are taken.
    fixed: Option<(Vec<f32>, Vec<f32>)>,
    /// Where the batch's statistics are left for the layer.
    seen: Arc<Mutex<(Vec<f32>, Vec<f32>)>>,
}

impl BatchNormKernel {
    fn normalization<'a>(&self, inputs: &[View<'a>], (mean, variance): &'a (Vec<f32>, Vec<f32>)) -> Normalization<'a> {
        Normalization {
            axes: Axes::around(inputs[0].shape, self.axis),
            mean,
            variance,
            gamma: self.has_gamma.then(|| inputs[1].values),
            beta: self.has_beta.then(|| inputs[inputs.len() - 1].values),
            epsilon: self.epsilon,
            rectified: self.rectified,
        }
    }
}

impl Kernel for BatchNormKernel {
    fn forward(&self, inputs: &[View<'_>], _: bool) -> Result<Output> {
        let x = inputs[0];
        let of_batch = || batch_norm::moments(x.values, Axes::around(x.shape, self.axis));
        let statistics = self.fixed.clone().unwrap_or_else(of_batch);
        let y = self.normalization(inputs, &statistics).forward(x.values);
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone_from(&statistics);
        Ok(Output::saving(y, x.shape.to_vec(), statistics))
    }

    fn backward(&self, inputs: &[View<'_>], saved: &Saved, dy: View<'_>, needs: &[bool]) -> Result<Gradients> {
        let statistics = operation::saved_as::<(Vec<f32>, Vec<f32>)>(saved)?;
        let gradients =
            self.normalization(inputs, statistics)
                .backward(inputs[0].values, dy.values, self.fixed.is_none());
        let mut all = vec![Some(gradients.x)];
        if self.has_gamma {
            all.push(Some(gradients.gamma));
        }
        if self.has_beta {
            all.push(Some(gradients.beta));
        }
        all.iter_mut()
            .zip(needs)
            .filter(|(_, needed)| !**needed)
            .for_each(|(gradient, _)| *gradient = None);
        Ok(all)
    }
}

/// A batch normalisation layer at work. Its weights are gamma, beta (where it has them), moving mean and moving variance.
#[derive(Debug)]
pub(super) struct BatchNorm {
    /// The normalised axis, counted with the batch.
    pub axis: usize,
    pub momentum: f32,
    pub epsilon: f32,
    pub has_gamma: bool,
    pub has_beta: bool,
    /// Whether the relu behind it is computed with it.
    pub rectified: bool,
    /// The number of its first weight in the model.
    pub first_weight: usize,
}

impl Layer for BatchNorm {
    fn takes_pieces(&self) -> bool {
        // It looks at the whole batch.
        false
    }

    fn forward(&self, inputs: &[Flow], weights: &[DispatchTensor], pass: &mut Pass) -> Result<Flow> {
        let trained = usize::from(self.has_gamma) + usize::from(self.has_beta);
        let moving = [
            operation::values(&weights[trained])?,
            operation::values(&weights[trained + 1])?,
        ];
        let seen = Arc::new(Mutex::default());
        let kernel = BatchNormKernel {
            axis: self.axis,
            epsilon: self.epsilon,
            has_gamma: self.has_gamma,
            has_beta: self.has_beta,
            rectified: self.rectified,
            fixed: (!pass.training).then(|| (moving[0].clone(), moving[1].clone())),
            seen: Arc::clone(&seen),
        };
        let tensors = std::iter::once(&inputs[0].tensor)
            .chain(&weights[..trained])
            .cloned()
            .collect();
        let tensor = operation::apply(Arc::new(kernel), tensors)?;
        if pass.training {
            let (mean, mut variance) = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
            let shape = inputs[0].shape();
            let count = Axes::around(&shape, self.axis).count();
            // Keras's fused kernel, which it takes for pictures, keeps the unbiased estimate in the moving variance.
            if shape.len() == 4 && count > 1 {
                let unbiased = count as f32 / (count - 1) as f32;
                for v in &mut variance {
                    *v *= unbiased;
                }
            }
            for (index, (moving, now)) in moving.into_iter().zip([mean, variance]).enumerate() {
                let blend = |(old, new): (f32, f32)| old * self.momentum + new * (1.0 - self.momentum);
                let values = moving.into_iter().zip(now).map(blend).collect();
                pass.updates.push((self.first_weight + trained + index, values));
            }
        }
        Ok(Flow {
            tensor,
            mask: inputs[0].mask.clone(),
        })
    }
}
