//! Dropout and noise: what training does to values at random.

use std::sync::Arc;

use crate::Result;
use crate::nn::kernels::elementwise::{Cost, map_pairs};
use crate::nn::kernels::{activation, axes};
use crate::nn::layer::{Flow, Layer, Pass};
use crate::nn::operation::{self, Gradients, Kernel, Output, Saved, View};
use crate::nn::random;
use burn::backend::DispatchTensor;
use rand_chacha::ChaCha8Rng;

/// Multiplication with constants.
#[derive(Debug)]
pub(super) struct Scale(pub Vec<f32>);

impl Kernel for Scale {
    fn forward(&self, inputs: &[View<'_>], _: bool) -> Result<Output> {
        let y = map_pairs(inputs[0].values, &self.0, Cost::Arithmetic, |x, factor| x * factor);
        Ok(Output::new(y, inputs[0].shape.to_vec()))
    }

    fn backward(&self, _: &[View<'_>], _: &Saved, dy: View<'_>, _: &[bool]) -> Result<Gradients> {
        let dx = map_pairs(dy.values, &self.0, Cost::Arithmetic, |dy, factor| dy * factor);
        Ok(vec![Some(dx)])
    }
}

/// Addition of constants.
#[derive(Debug)]
struct Shift(Vec<f32>);

impl Kernel for Shift {
    fn forward(&self, inputs: &[View<'_>], _: bool) -> Result<Output> {
        let y = map_pairs(inputs[0].values, &self.0, Cost::Arithmetic, |x, shift| x + shift);
        Ok(Output::new(y, inputs[0].shape.to_vec()))
    }

    fn backward(&self, _: &[View<'_>], _: &Saved, dy: View<'_>, _: &[bool]) -> Result<Gradients> {
        Ok(vec![Some(dy.values.to_vec())])
    }
}

/// `len` factors, each 0 with probability `rate` and `1 / (1 - rate)` otherwise.
pub(super) fn factors(len: usize, rate: f32, generator: &mut ChaCha8Rng) -> Vec<f32> {
    let kept = 1.0 / (1.0 - rate);
    // A product and not a choice: which of the two is drawn cannot be foreseen, and the loop becomes one of vectors.
    random::uniforms(len, generator, move |drawn| kept * f32::from(u8::from(drawn >= rate)))
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
    fn takes_pieces(&self) -> bool {
        // The same may have to be dropped in all rows.
        self.noise_shape.is_none()
    }

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
                axes::broadcast(
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

/// What a noise layer does to values in training.
#[derive(Clone, Copy, Debug)]
pub(super) enum Noise {
    /// Adds numbers of the normal distribution with this standard deviation.
    Added(f32),
    /// Multiplies with numbers of the normal distribution around 1 that vary as much as dropout at this rate does.
    Multiplied(f32),
    /// Puts what values of selu go to far below 0 in the place of some, at this rate, then scales and shifts all so that mean and
    /// variance stay (Klambauer et al. 2017).
    Alpha(f32),
}

/// A noise layer at work.
#[derive(Debug)]
pub(super) struct NoiseLayer {
    /// Its number in the model, which gives it a random stream of its own.
    pub number: usize,
    pub noise: Noise,
}

impl NoiseLayer {
    /// What values are multiplied with, and what is added then.
    fn draw(&self, len: usize, generator: &mut ChaCha8Rng) -> (Option<Vec<f32>>, Option<Vec<f32>>) {
        let mut normal = |mean: f32, deviation: f32| {
            let mut draw = |_| mean + deviation * random::normal(generator) as f32;
            (0..len).map(&mut draw).collect()
        };
        match self.noise {
            Noise::Added(deviation) => (None, Some(normal(0.0, deviation))),
            Noise::Multiplied(rate) => (Some(normal(1.0, (rate / (1.0 - rate)).sqrt())), None),
            Noise::Alpha(rate) => {
                let floor = -activation::SELU_ALPHA * activation::SELU_SCALE;
                let scale = ((1.0 - rate) * (1.0 + rate * floor * floor)).sqrt().recip();
                let shift = -scale * floor * rate;
                let kept: Vec<bool> = (0..len).map(|_| random::uniform(generator) >= rate).collect();
                let of = |kept: f32, dropped: f32| move |is: &bool| if *is { kept } else { dropped };
                (
                    Some(kept.iter().map(of(scale, 0.0)).collect()),
                    Some(kept.iter().map(of(shift, scale * floor + shift)).collect()),
                )
            }
        }
    }
}

impl Layer for NoiseLayer {
    fn forward(&self, inputs: &[Flow], _: &[DispatchTensor], pass: &mut Pass) -> Result<Flow> {
        let mut flow = inputs[0].clone();
        let (Noise::Added(size) | Noise::Multiplied(size) | Noise::Alpha(size)) = self.noise;
        if !pass.training || size == 0.0 {
            return Ok(flow);
        }
        let len = flow.shape().iter().product();
        let (factors, shifts) = self.draw(len, &mut pass.random(self.number, None));
        if let Some(factors) = factors {
            flow.tensor = operation::apply(Arc::new(Scale(factors)), vec![flow.tensor])?;
        }
        if let Some(shifts) = shifts {
            flow.tensor = operation::apply(Arc::new(Shift(shifts)), vec![flow.tensor])?;
        }
        Ok(flow)
    }
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

    fn drawn(noise: Noise) -> (Option<Vec<f32>>, Option<Vec<f32>>) {
        NoiseLayer { number: 1, noise }.draw(200_000, &mut Seed(6).stream(Stream::Split))
    }

    fn mean_and_variance(values: impl Iterator<Item = f32> + Clone) -> (f64, f64) {
        let count = values.clone().count() as f64;
        let mean = values.clone().map(f64::from).sum::<f64>() / count;
        (mean, values.map(|x| (f64::from(x) - mean).powi(2)).sum::<f64>() / count)
    }

    #[test]
    fn gaussian_noise_varies_as_asked_for() {
        let (factors, shifts) = drawn(Noise::Added(0.5));
        let (mean, variance) = mean_and_variance(shifts.unwrap().into_iter());
        assert!(
            factors.is_none() && mean.abs() < 0.01 && (variance - 0.25).abs() < 0.01,
            "{mean} {variance}"
        );
        let (factors, shifts) = drawn(Noise::Multiplied(0.2));
        let (mean, variance) = mean_and_variance(factors.unwrap().into_iter());
        assert!(
            shifts.is_none() && (mean - 1.0).abs() < 0.01 && (variance - 0.25).abs() < 0.01,
            "{mean} {variance}"
        );
    }

    #[test]
    fn alpha_dropout_keeps_mean_and_variance() {
        let (factors, shifts) = drawn(Noise::Alpha(0.3));
        let (factors, shifts) = (factors.unwrap(), shifts.unwrap());
        let dropped = factors.iter().filter(|&&factor| factor == 0.0).count();
        assert!((58_000..62_000).contains(&dropped), "{dropped}");
        let mut generator = Seed(9).stream(Stream::Split);
        let x: Vec<f32> = factors.iter().map(|_| random::normal(&mut generator) as f32).collect();
        let y = x
            .iter()
            .zip(&factors)
            .zip(&shifts)
            .map(|((x, factor), shift)| x * factor + shift);
        let (mean, variance) = mean_and_variance(y);
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
    }
}
