//! Dropout: in training each value is dropped at the layer's rate and the others are scaled up to make good for it.

use std::sync::Arc;

use crate::Result;
use crate::nn::layer::{Flow, Layer, Pass};
use crate::nn::operation::{self, Gradients, Kernel, Output, Saved, View};
use crate::nn::random;
use burn::backend::DispatchTensor;
use rand_chacha::ChaCha8Rng;

/// Multiplication with constants.
#[derive(Debug)]
struct Scale(Vec<f32>);

impl Kernel for Scale {
    fn forward(&self, inputs: &[View<'_>], _: bool) -> Result<Output> {
        let y = inputs[0]
            .values
            .iter()
            .zip(&self.0)
            .map(|(x, factor)| x * factor)
            .collect();
        Ok(Output::new(y, inputs[0].shape.to_vec()))
    }

    fn backward(&self, _: &[View<'_>], _: &Saved, dy: View<'_>, _: &[bool]) -> Result<Gradients> {
        Ok(vec![Some(
            dy.values.iter().zip(&self.0).map(|(dy, factor)| dy * factor).collect(),
        )])
    }
}

/// `len` factors, each 0 with probability `rate` and `1 / (1 - rate)` otherwise.
pub(super) fn factors(len: usize, rate: f32, generator: &mut ChaCha8Rng) -> Vec<f32> {
    let kept = 1.0 / (1.0 - rate);
    (0..len)
        .map(|_| if random::uniform(generator) < rate { 0.0 } else { kept })
        .collect()
}

/// A dropout layer at work.
#[derive(Debug)]
pub(super) struct Dropout {
    /// Its number in the model, which gives it a random stream of its own.
    pub number: usize,
    pub rate: f32,
    pub seed: Option<u64>,
    /// Keras's `noise_shape`, the batch axis first: along axes of size 1 the same is dropped everywhere. `None` takes the input's size.
    pub noise_shape: Option<Vec<Option<usize>>>,
}

impl Layer for Dropout {
    fn forward(&self, inputs: &[Flow], _: &[DispatchTensor], pass: &mut Pass) -> Result<Flow> {
        let input = inputs[0].clone();
        if !pass.training || self.rate == 0.0 {
            return Ok(input);
        }
        let mut generator = pass.random(self.number, self.seed);
        let shape = input.shape();
        let factors = match &self.noise_shape {
            None => factors(shape.iter().product(), self.rate, &mut generator),
            Some(noise) => {
                let noise: Vec<usize> = shape
                    .iter()
                    .zip(noise)
                    .map(|(&size, noise)| noise.unwrap_or(size))
                    .collect();
                broadcast(
                    &factors(noise.iter().product(), self.rate, &mut generator),
                    &noise,
                    &shape,
                )
            }
        };
        Ok(Flow {
            tensor: operation::apply(Arc::new(Scale(factors)), vec![input.tensor])?,
            mask: input.mask,
        })
    }
}

/// Repeats values of shape `from` along its axes of size 1 to the shape `to`.
fn broadcast(values: &[f32], from: &[usize], to: &[usize]) -> Vec<f32> {
    (0..to.iter().product())
        .map(|index: usize| {
            let (mut rest, mut source, mut stride) = (index, 0, 1);
            for (&from, &to) in from.iter().zip(to).rev() {
                if from != 1 {
                    source += rest % to * stride;
                }
                rest /= to;
                stride *= from;
            }
            values[source]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::random::{Seed, Stream};

    #[test]
    fn the_rate_is_kept_and_the_sum_made_good() {
        let drawn = factors(100_000, 0.3, &mut Seed(5).stream(Stream::Split));
        let dropped = drawn.iter().filter(|&&factor| factor == 0.0).count();
        assert!((29_000..31_000).contains(&dropped), "{dropped}");
        let mean = drawn.iter().map(|&factor| f64::from(factor)).sum::<f64>() / 100_000.0;
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
    }

    #[test]
    fn noise_of_size_one_is_repeated() {
        assert_eq!(broadcast(&[1.0, 2.0], &[2, 1], &[2, 3]), [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
        assert_eq!(
            broadcast(&[1.0, 2.0, 3.0], &[1, 3], &[2, 3]),
            [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]
        );
    }
}
