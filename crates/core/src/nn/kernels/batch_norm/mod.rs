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
//! With a relu behind it, `y = max(0, y)`, and backward takes for `dy` what relu lets through: where `y`, computed again from `x` in the
//! same way, is above 0. Neither it nor the gradient in between is ever written to memory.
//!
//! Sums are taken in f64 over blocks of fixed size, in order, so they do not depend on the number of threads. The variance is taken
//! around the channel's first value, `v = mean (x - x0)^2 - (mean (x - x0))^2`, in one pass: with a value of the channel itself as the
//! origin nothing is lost to a mean far from zero.

mod walk;

use self::walk::{map, sums};
use super::activation::{relu, relu_gradient};

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
}

/// Mean and (biased) variance of each channel of `x`.
#[must_use]
pub fn moments(x: &[f32], axes: Axes) -> (Vec<f32>, Vec<f32>) {
    let count = axes.count().max(1) as f64;
    let origin: Vec<f32> = (0..axes.channels)
        .map(|c| x.get(c * axes.inner).copied().filter(|x| x.is_finite()).unwrap_or(0.0))
        .collect();
    let [near, square] = sums((x, x), axes, [origin.clone()], |x, _, [origin]| {
        let off = f64::from(x) - f64::from(origin);
        (off, off * off)
    });
    let off = near.iter().map(|sum| sum / count);
    let mean = off
        .clone()
        .zip(&origin)
        .map(|(off, origin)| (f64::from(*origin) + off) as f32);
    // Rounding may leave less than nothing; NaN stays.
    let variance = square.iter().zip(off.clone()).map(|(square, off)| {
        let variance = square / count - off * off;
        if variance < 0.0 { 0.0 } else { variance as f32 }
    });
    (mean.collect(), variance.collect())
}

/// The normalisation of a tensor by statistics that are known.
#[derive(Clone, Copy, Debug)]
pub struct Normalization<'a> {
    /// The tensor's axes.
    pub axes: Axes,
    /// The mean of each channel.
    pub mean: &'a [f32],
    /// The variance of each channel.
    pub variance: &'a [f32],
    /// What each channel is multiplied by; 1 if absent.
    pub gamma: Option<&'a [f32]>,
    /// What is then added; 0 if absent.
    pub beta: Option<&'a [f32]>,
    /// What is added to the variance.
    pub epsilon: f32,
    /// Whether a relu comes behind it.
    pub rectified: bool,
}

impl Normalization<'_> {
    /// `(x - mean) * scale * gamma + beta` with `scale = 1 / sqrt(variance + epsilon)`.
    #[must_use]
    pub fn forward(&self, x: &[f32]) -> Vec<f32> {
        let line = self.line();
        if self.rectified {
            map((x, x), self.axes, line, |x, _, line| relu(on_line(x, line)))
        } else {
            map((x, x), self.axes, line, |x, _, line| on_line(x, line))
        }
    }

    /// The factor and the shift that `x` takes in each channel.
    fn line(&self) -> [Vec<f32>; 2] {
        let factor: Vec<f32> = (0..self.axes.channels)
            .map(|c| self.gamma.map_or(1.0, |gamma| gamma[c]) / (self.variance[c] + self.epsilon).sqrt())
            .collect();
        let shift = (0..self.axes.channels)
            .map(|c| self.beta.map_or(0.0, |beta| beta[c]) - self.mean[c] * factor[c])
            .collect();
        [factor, shift]
    }

    /// The gradients of [`Normalization::forward`]; `batch_statistics` says that mean and variance are those of `x` itself and depend on
    /// it.
    #[must_use]
    pub fn backward(&self, x: &[f32], dy: &[f32], batch_statistics: bool) -> Gradients {
        let Self { axes, mean, .. } = *self;
        let [factor, shift] = self.line();
        let sum = |x: f32, dy: f32, mean: f32| {
            let (x, dy, mean) = (f64::from(x), f64::from(dy), f64::from(mean));
            (dy, dy * (x - mean))
        };
        let [beta, along] = if self.rectified {
            let numbers = [mean.to_vec(), factor.clone(), shift.clone()];
            sums((x, dy), axes, numbers, |x, dy, [mean, factor, shift]| {
                sum(x, relu_gradient(on_line(x, [factor, shift]), dy), mean)
            })
        } else {
            sums((x, dy), axes, [mean.to_vec()], |x, dy, [mean]| sum(x, dy, mean))
        };
        let scale: Vec<f32> = self.variance.iter().map(|v| 1.0 / (v + self.epsilon).sqrt()).collect();
        let gamma: Vec<f64> = along.iter().zip(&scale).map(|(sum, s)| sum * f64::from(*s)).collect();
        let count = axes.count().max(1) as f64;
        let average = |sums: &[f64]| -> Vec<f32> {
            let share = if batch_statistics { 1.0 / count } else { 0.0 };
            sums.iter().map(|sum| (sum * share) as f32).collect()
        };
        // dx = factor (dy - mean of dy - slope (x - mean)), with the slope of x^ in x taken into the average of dgamma.
        let slope: Vec<f32> = average(&gamma)
            .iter()
            .zip(&scale)
            .map(|(average, s)| average * s)
            .collect();
        let dx =
            |x: f32, dy: f32, [factor, average, slope, mean]: [f32; 4]| factor * (dy - average - (x - mean) * slope);
        let average = average(&beta);
        let x = if self.rectified {
            let numbers = [factor, average, slope, mean.to_vec(), shift];
            map(
                (x, dy),
                axes,
                numbers,
                |x, dy, [factor, average, slope, mean, shift]| {
                    let dy = relu_gradient(on_line(x, [factor, shift]), dy);
                    dx(x, dy, [factor, average, slope, mean])
                },
            )
        } else {
            map((x, dy), axes, [factor, average, slope, mean.to_vec()], dx)
        };
        let narrow = |sums: Vec<f64>| sums.into_iter().map(|sum| sum as f32).collect();
        Gradients {
            x,
            gamma: narrow(gamma),
            beta: narrow(beta),
        }
    }
}

/// What a value is normalised to.
#[inline(always)]
fn on_line(x: f32, [factor, shift]: [f32; 2]) -> f32 {
    x * factor + shift
}

/// The gradients of a [`Normalization`].
pub struct Gradients {
    /// With respect to `x`.
    pub x: Vec<f32>,
    /// With respect to `gamma`.
    pub gamma: Vec<f32>,
    /// With respect to `beta`.
    pub beta: Vec<f32>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::activation;
    use super::super::testing::{assert_close, assert_slopes, values};
    use super::*;
    use crate::keras::activation::Activation;
    use crate::nn::kernels::simd::Isa;
    use crate::nn::threads;

    const X: [f32; 12] = [1.0, -2.0, 0.5, 3.0, 2.0, 0.0, -1.0, 4.0, 1.5, -0.5, 2.5, 0.25];

    fn by<'a>(
        (mean, variance): (&'a [f32], &'a [f32]),
        axes: Axes,
        gamma: Option<&'a [f32]>,
        beta: Option<&'a [f32]>,
    ) -> Normalization<'a> {
        Normalization {
            axes,
            mean,
            variance,
            gamma,
            beta,
            epsilon: 1e-3,
            rectified: false,
        }
    }

    #[test]
    fn each_channel_ends_with_mean_beta_and_deviation_gamma() {
        for (shape, axis) in [(&[4, 3][..], 1), (&[2, 3, 2], 1), (&[2, 2, 3], 2)] {
            let axes = Axes::around(shape, axis);
            let (mean, variance) = moments(&X, axes);
            let norm = Normalization {
                epsilon: 0.0,
                ..by(
                    (&mean, &variance),
                    axes,
                    Some(&[2.0, 1.0, 3.0]),
                    Some(&[0.5, 0.0, -1.0]),
                )
            };
            let y = norm.forward(&X);
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
                let y = by((&mean, &variance), axes, Some(gamma), Some(&beta)).forward(x);
                y.iter().zip(&dy).map(|(y, dy)| f64::from(*y) * f64::from(*dy)).sum()
            };
            let (mean, variance) = moments(&X, axes);
            let gradients = by((&mean, &variance), axes, Some(&gamma), None).backward(&X, &dy, true);
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

    /// What the module's page says, value by value.
    fn naive(x: &[f32], axes: Axes, gamma: &[f32], beta: &[f32]) -> Vec<f64> {
        let channel = |index: usize| index / axes.inner % axes.channels;
        let count = axes.count() as f64;
        let mean_of = |f: &dyn Fn(usize) -> f64| {
            let mut sums = vec![0.0; axes.channels];
            (0..x.len()).for_each(|i| sums[channel(i)] += f(i) / count);
            sums
        };
        let mean = mean_of(&|i| f64::from(x[i]));
        let variance = mean_of(&|i| (f64::from(x[i]) - mean[channel(i)]).powi(2));
        let y = |i: usize| {
            let c = channel(i);
            (f64::from(x[i]) - mean[c]) / (variance[c] + 1e-3).sqrt() * f64::from(gamma[c]) + f64::from(beta[c])
        };
        (0..x.len()).map(y).collect()
    }

    /// Axes, and values for `x`, `dy`, `gamma` and `beta`; long lines are few.
    fn case(outer: usize, channels: usize, inner: usize) -> (Axes, [Vec<f32>; 4]) {
        let (outer, channels) = if inner > 1000 {
            (2, channels % 3 + 1)
        } else {
            (outer, channels)
        };
        let axes = Axes { outer, channels, inner };
        let len = axes.count() * channels;
        let numbers = [(len, 1), (len, 2), (channels, 3), (channels, 4)];
        (axes, numbers.map(|(len, seed)| values(len, seed)))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn all_layouts_agree_with_the_plain_formula(
            outer in 1_usize..40, channels in 1_usize..70, inner in prop_oneof![1_usize..2, 1_usize..90, 3000_usize..5000],
        ) {
            let (axes, [x, dy, gamma, beta]) = case(outer, channels, inner);
            for isa in Isa::available() {
                isa.hold(|| {
                    let (mean, variance) = moments(&x, axes);
                    let norm = by((&mean, &variance), axes, Some(&gamma), Some(&beta));
                    let y = norm.forward(&x);
                    assert_close(&y, &naive(&x, axes, &gamma, &beta), 2e-6);
                    let gradients = norm.backward(&x, &dy, true);
                    assert_slopes(&gradients.gamma, &gamma, &dy, |gamma| naive(&x, axes, gamma, &beta));
                    assert_slopes(&gradients.beta, &beta, &dy, |beta| naive(&x, axes, &gamma, beta));
                });
            }
        }

        #[test]
        fn with_a_relu_the_bytes_are_those_of_both_one_after_the_other(
            outer in 1_usize..40, channels in 1_usize..70, inner in prop_oneof![1_usize..2, 1_usize..90, 3000_usize..5000],
            has_gamma: bool, has_beta: bool, of_batch: bool,
        ) {
            let (axes, [x, dy, gamma, beta]) = case(outer, channels, inner);
            for isa in Isa::available() {
                isa.hold(|| {
                    let (mean, variance) = moments(&x, axes);
                    let alone = by((&mean, &variance), axes, has_gamma.then_some(&gamma), has_beta.then_some(&beta));
                    let together = Normalization { rectified: true, ..alone };
                    let y = activation::applied(Activation::Relu, &alone.forward(&x), 1);
                    assert_eq!(together.forward(&x), y);
                    let through = activation::gradient(Activation::Relu, &y, &dy, 1);
                    let (want, got) = (alone.backward(&x, &through, of_batch), together.backward(&x, &dy, of_batch));
                    assert_eq!((got.x, got.gamma, got.beta), (want.x, want.gamma, want.beta));
                });
            }
        }

        #[test]
        fn the_input_s_gradient_is_the_slope(outer in 2_usize..20, channels in 1_usize..5, inner in 1_usize..9) {
            let axes = Axes { outer, channels, inner };
            let len = axes.count() * channels;
            let (x, dy) = (values(len, 1), values(len, 2));
            let (gamma, beta) = (values(channels, 3), values(channels, 4));
            let (mean, variance) = moments(&x, axes);
            let gradients = by((&mean, &variance), axes, Some(&gamma), Some(&beta)).backward(&x, &dy, true);
            // Few values normalised make steep, bent slopes, which finite differences follow only so far.
            if outer * inner > 8 {
                assert_slopes(&gradients.x, &x, &dy, |x| naive(x, axes, &gamma, &beta));
            }
        }
    }

    #[test]
    fn a_nan_passes_the_relu_and_its_gradient_does_not() {
        let axes = Axes {
            outer: 2,
            channels: 1,
            inner: 1,
        };
        let norm = Normalization {
            rectified: true,
            ..by((&[0.0], &[1.0]), axes, None, None)
        };
        assert!(norm.forward(&[f32::NAN, 1.0])[0].is_nan());
        let gradients = norm.backward(&[f32::NAN, 1.0], &[1.0, 1.0], false);
        assert_eq!(gradients.beta, [1.0]);
    }

    #[test]
    fn a_mean_far_from_zero_costs_the_variance_nothing() {
        let x: Vec<f32> = (0..1000_u16).map(|i| 1.0e6 + f32::from(i % 2)).collect();
        let axes = Axes {
            outer: 1000,
            channels: 1,
            inner: 1,
        };
        let (mean, variance) = moments(&x, axes);
        assert!(
            (mean[0] - 1_000_000.5).abs() < 0.1 && (variance[0] - 0.25).abs() < 1e-6,
            "{mean:?} {variance:?}"
        );
    }

    #[test]
    fn the_bytes_are_the_same_on_any_number_of_threads() {
        for axes in [
            Axes {
                outer: 20_000,
                channels: 13,
                inner: 1,
            },
            Axes {
                outer: 30,
                channels: 3,
                inner: 3000,
            },
        ] {
            let len = axes.count() * axes.channels;
            let (x, dy) = (values(len, 1), values(len, 2));
            let run = || {
                let (mean, variance) = moments(&x, axes);
                let gradients = by((&mean, &variance), axes, None, None).backward(&x, &dy, true);
                [mean, variance, gradients.x, gradients.gamma, gradients.beta]
            };
            let alone = threads::pool(1).unwrap().install(run);
            for count in [2, 7] {
                assert_eq!(threads::pool(count).unwrap().install(run), alone);
            }
        }
    }
}
