//! Batch normalisation over one axis of a tensor seen as `[outer, channels, inner]`.
//!
//! With `m` values a channel, mean `u` and variance `v` over them, and `s = 1 / sqrt(v + epsilon)`:
//!
//! ```text
//! y     = gamma * x^ + beta,   x^ = (x - u) s
//! dbeta = sum dy               dgamma = sum dy x^
//! dx    = gamma s (dy - dbeta / m - x^ dgamma / m)
//! ```
//!
//! Sums are taken in f64 over blocks of fixed size, in order, so they do not depend on the number of threads.

use std::ops::Range;

use rayon::prelude::*;

/// How a tensor's axes fall around the normalised one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axes {
    /// The product of the axes before it, the batch among them.
    pub outer: usize,
    /// Its own size.
    pub channels: usize,
    /// The product of the axes behind it.
    pub inner: usize,
}

impl Axes {
    /// Splits `shape` around `axis`.
    #[must_use]
    pub fn around(shape: &[usize], axis: usize) -> Self {
        Self {
            outer: shape[..axis].iter().product(),
            channels: shape[axis],
            inner: shape[axis + 1..].iter().product(),
        }
    }

    /// Values a channel.
    #[must_use]
    pub fn count(self) -> usize {
        self.outer * self.inner
    }

    /// Calls `visit(index, channel)` for each value: counting along spares two divisions a value.
    fn for_each(self, values: Range<usize>, mut visit: impl FnMut(usize, usize)) {
        let inner = self.inner.max(1);
        let mut channel = values.start / inner % self.channels.max(1);
        let mut place = values.start % inner;
        for index in values {
            visit(index, channel);
            place += 1;
            if place == inner {
                place = 0;
                channel += 1;
                if channel == self.channels {
                    channel = 0;
                }
            }
        }
    }
}

/// Values summed by one thread at a time.
const BLOCK: usize = 1 << 14;

/// Mean and (biased) variance of each channel of `x`.
#[must_use]
pub fn moments(x: &[f32], axes: Axes) -> (Vec<f32>, Vec<f32>) {
    let count = axes.count().max(1) as f64;
    let mean: Vec<f64> = sums(x.len(), axes, |i, _| f64::from(x[i]))
        .iter()
        .map(|sum| sum / count)
        .collect();
    let squares = sums(x.len(), axes, |i, c| (f64::from(x[i]) - mean[c]).powi(2));
    (
        mean.iter().map(|&u| u as f32).collect(),
        squares.iter().map(|sum| (sum / count) as f32).collect(),
    )
}

/// `(x - mean) * scale * gamma + beta` with `scale = 1 / sqrt(variance + epsilon)`.
#[must_use]
pub fn normalize(
    x: &[f32],
    axes: Axes,
    (mean, variance): (&[f32], &[f32]),
    (gamma, beta): (Option<&[f32]>, Option<&[f32]>),
    epsilon: f32,
) -> Vec<f32> {
    let factor: Vec<f32> = (0..axes.channels)
        .map(|c| gamma.map_or(1.0, |gamma| gamma[c]) / (variance[c] + epsilon).sqrt())
        .collect();
    let shift: Vec<f32> = (0..axes.channels)
        .map(|c| beta.map_or(0.0, |beta| beta[c]) - mean[c] * factor[c])
        .collect();
    map(x.len(), axes, |i, c| x[i] * factor[c] + shift[c])
}

/// The gradients of [`normalize`].
pub struct Gradients {
    /// With respect to `x`.
    pub x: Vec<f32>,
    /// With respect to `gamma`.
    pub gamma: Vec<f32>,
    /// With respect to `beta`.
    pub beta: Vec<f32>,
}

/// The gradients of [`normalize`]; `batch_statistics` says that mean and variance are those of `x` itself and depend on it.
#[must_use]
pub fn backward(
    x: &[f32],
    dy: &[f32],
    axes: Axes,
    (mean, variance): (&[f32], &[f32]),
    gamma: Option<&[f32]>,
    epsilon: f32,
    batch_statistics: bool,
) -> Gradients {
    let scale: Vec<f32> = variance.iter().map(|v| 1.0 / (v + epsilon).sqrt()).collect();
    let beta = sums(x.len(), axes, |i, _| f64::from(dy[i]));
    let dgamma = sums(x.len(), axes, |i, c| {
        f64::from(dy[i]) * f64::from((x[i] - mean[c]) * scale[c])
    });
    let count = axes.count().max(1) as f64;
    let averages: Vec<(f32, f32)> = beta
        .iter()
        .zip(&dgamma)
        .map(|(beta, gamma)| {
            if batch_statistics {
                ((beta / count) as f32, (gamma / count) as f32)
            } else {
                (0.0, 0.0)
            }
        })
        .collect();
    let dx = map(x.len(), axes, |i, c| {
        let normalized = (x[i] - mean[c]) * scale[c];
        gamma.map_or(1.0, |gamma| gamma[c]) * scale[c] * (dy[i] - averages[c].0 - normalized * averages[c].1)
    });
    let narrow = |sums: Vec<f64>| sums.into_iter().map(|sum| sum as f32).collect();
    Gradients {
        x: dx,
        gamma: narrow(dgamma),
        beta: narrow(beta),
    }
}

/// Sums `f(index, channel)` a channel, block by block in order.
fn sums(len: usize, axes: Axes, f: impl Fn(usize, usize) -> f64 + Sync) -> Vec<f64> {
    let blocks: Vec<Vec<f64>> = (0..len.div_ceil(BLOCK))
        .into_par_iter()
        .map(|block| {
            let mut sums = vec![0.0; axes.channels];
            axes.for_each(block * BLOCK..((block + 1) * BLOCK).min(len), |i, c| sums[c] += f(i, c));
            sums
        })
        .collect();
    let mut total = vec![0.0; axes.channels];
    for block in blocks {
        total.iter_mut().zip(block).for_each(|(total, sum)| *total += sum);
    }
    total
}

fn map(len: usize, axes: Axes, f: impl Fn(usize, usize) -> f32 + Sync) -> Vec<f32> {
    let mut y = vec![0.0; len];
    y.par_chunks_mut(BLOCK).enumerate().for_each(|(block, chunk)| {
        let first = block * BLOCK;
        axes.for_each(first..first + chunk.len(), |i, c| chunk[i - first] = f(i, c));
    });
    y
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: [f32; 12] = [1.0, -2.0, 0.5, 3.0, 2.0, 0.0, -1.0, 4.0, 1.5, -0.5, 2.5, 0.25];

    #[test]
    fn each_channel_ends_with_mean_beta_and_deviation_gamma() {
        for (shape, axis) in [(&[4, 3][..], 1), (&[2, 3, 2], 1), (&[2, 2, 3], 2)] {
            let axes = Axes::around(shape, axis);
            let (mean, variance) = moments(&X, axes);
            let y = normalize(
                &X,
                axes,
                (&mean, &variance),
                (Some(&[2.0, 1.0, 3.0]), Some(&[0.5, 0.0, -1.0])),
                0.0,
            );
            let (mean, variance) = moments(&y, axes);
            for c in 0..3 {
                assert!((mean[c] - [0.5, 0.0, -1.0][c]).abs() < 1e-6);
                assert!((variance[c].sqrt() - [2.0, 1.0, 3.0][c]).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        let dy: Vec<f32> = (0..12_u8).map(|i| f32::from(i % 5) * 0.3 - 0.5).collect();
        let gamma = [1.5, -0.5, 2.0];
        let beta = [0.1, 0.2, 0.3];
        for (shape, axis) in [(&[4, 3][..], 1), (&[2, 3, 2], 1)] {
            let axes = Axes::around(shape, axis);
            let loss = |x: &[f32], gamma: &[f32]| -> f64 {
                let (mean, variance) = moments(x, axes);
                let y = normalize(x, axes, (&mean, &variance), (Some(gamma), Some(&beta)), 1e-3);
                y.iter().zip(&dy).map(|(y, dy)| f64::from(*y) * f64::from(*dy)).sum()
            };
            let (mean, variance) = moments(&X, axes);
            let gradients = backward(&X, &dy, axes, (&mean, &variance), Some(&gamma), 1e-3, true);
            for i in 0..12 {
                let (mut up, mut down) = (X, X);
                up[i] += 1e-2;
                down[i] -= 1e-2;
                let expected = (loss(&up, &gamma) - loss(&down, &gamma)) / 2e-2;
                assert!(
                    (f64::from(gradients.x[i]) - expected).abs() < 1e-3,
                    "{} is not {expected}",
                    gradients.x[i]
                );
            }
            for c in 0..3 {
                let (mut up, mut down) = (gamma, gamma);
                up[c] += 1e-2;
                down[c] -= 1e-2;
                let expected = (loss(&X, &up) - loss(&X, &down)) / 2e-2;
                assert!((f64::from(gradients.gamma[c]) - expected).abs() < 1e-3);
            }
        }
    }
}
