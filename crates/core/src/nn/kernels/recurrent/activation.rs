//! What a gate's sum passes through, and back.
//!
//! The activations that recurrent layers use by default are computed on vectors, the others as everywhere:
//!
//! - `2^x` is `2^n * 2^f` with whole `n` and `|f| <= 1/2`, the second factor by a polynomial of degree 5 (relative error 9.2e-8);
//! - `sigmoid(x) = 1 / (1 + e^-x)` is then within 1e-7 of the true value, and
//! - `tanh(x) = (1 - e^-2x) / (1 + e^-2x)` within 2e-7.

use super::lanes::Lanes;
use crate::keras::activation::Activation;
use crate::nn::kernels::activation;
use crate::nn::kernels::simd::{Isa, Simd, Work, run};

/// Replaces one gate's sums, `[units]`, by their activations.
pub(super) fn apply(activation: Activation, isa: Isa, x: &mut [f32]) {
    match activation {
        Activation::Tanh | Activation::Sigmoid | Activation::HardSigmoid | Activation::Relu => {
            run(isa, Apply { activation, x });
        }
        _ => {
            let units = x.len();
            activation::forward(activation, x, units);
        }
    }
}

/// Turns the gradient `d` of one gate's activations `y` into the gradient of its sums.
pub(super) fn backward(activation: Activation, y: &[f32], d: &mut [f32]) {
    activation::backward(activation, y, d, y.len());
}

/// `2^x`, for `x` from -126 to 126; beyond, the value there.
#[inline(always)]
fn exp2<S: Simd>(s: S, x: S::Vector) -> S::Vector {
    #[expect(
        clippy::approx_constant,
        reason = "the best polynomial's slope at 0 is near ln 2, and not it"
    )]
    const COEFFICIENTS: [f32; 6] = [
        1.0,
        0.693_147,
        0.240_222_42,
        0.055_507_336,
        0.009_671_513,
        0.001_326_472_7,
    ];
    // A NaN stays one.
    let x = s.max(s.splat(-126.0), s.min(s.splat(126.0), x));
    let n = s.round(x);
    let f = s.sub(x, n);
    let mut sum = s.splat(COEFFICIENTS[5]);
    for &coefficient in COEFFICIENTS[..5].iter().rev() {
        sum = s.mul_add(sum, f, s.splat(coefficient));
    }
    s.scale(sum, n)
}

/// `1 / (1 + e^-x)`
#[inline(always)]
pub(super) fn sigmoid<S: Simd>(s: S, x: S::Vector) -> S::Vector {
    let e = exp2(s, s.mul(x, s.splat(-std::f32::consts::LOG2_E)));
    s.reciprocal(s.add(s.splat(1.0), e))
}

/// `(1 - e^-2x) / (1 + e^-2x)`
#[inline(always)]
pub(super) fn tanh<S: Simd>(s: S, x: S::Vector) -> S::Vector {
    let e = exp2(s, s.mul(x, s.splat(-2.0 * std::f32::consts::LOG2_E)));
    s.mul(s.sub(s.splat(1.0), e), s.reciprocal(s.add(s.splat(1.0), e)))
}

struct Apply<'a> {
    activation: Activation,
    x: &'a mut [f32],
}

impl Apply<'_> {
    #[inline(always)]
    fn at<S: Simd, const PART: bool>(&mut self, s: S, at: usize) {
        let x = s.read::<PART>(self.x, at);
        let y = match self.activation {
            Activation::Tanh => tanh(s, x),
            Activation::Sigmoid => sigmoid(s, x),
            Activation::HardSigmoid => s.max(
                s.splat(0.0),
                s.min(s.splat(1.0), s.mul_add(x, s.splat(0.2), s.splat(0.5))),
            ),
            _ => s.max(s.splat(0.0), x),
        };
        s.write::<PART>(self.x, at, y);
    }
}

impl Work for Apply<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let whole = self.x.len() / S::LANES * S::LANES;
        for at in (0..whole).step_by(S::LANES) {
            self.at::<S, false>(s, at);
        }
        if whole < self.x.len() {
            self.at::<S, true>(s, whole);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "numbers made for a test are small"
    )]

    use super::*;

    pub(in crate::nn::kernels::recurrent) const ALL: [Activation; 11] = [
        Activation::Linear,
        Activation::Softmax,
        Activation::Elu,
        Activation::Selu,
        Activation::Softplus,
        Activation::Softsign,
        Activation::Relu,
        Activation::Tanh,
        Activation::Sigmoid,
        Activation::HardSigmoid,
        Activation::Exponential,
    ];

    /// The definitions, in f64.
    pub(in crate::nn::kernels::recurrent) fn reference(activation: Activation, x: &[f64]) -> Vec<f64> {
        let sum: f64 = x.iter().map(|x| x.exp()).sum();
        x.iter()
            .map(|&x| match activation {
                Activation::Linear => x,
                Activation::Softmax => x.exp() / sum,
                Activation::Elu => {
                    if x < 0.0 {
                        x.exp() - 1.0
                    } else {
                        x
                    }
                }
                Activation::Selu => {
                    1.050_700_987_355_480_5
                        * if x < 0.0 {
                            1.673_263_242_354_377_2 * (x.exp() - 1.0)
                        } else {
                            x
                        }
                }
                Activation::Softplus => (1.0 + x.exp()).ln(),
                Activation::Softsign => x / (1.0 + x.abs()),
                Activation::Relu => x.max(0.0),
                Activation::Tanh => x.tanh(),
                Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
                Activation::HardSigmoid => (0.2 * x + 0.5).clamp(0.0, 1.0),
                Activation::Exponential => x.exp(),
            })
            .collect()
    }

    #[test]
    fn every_activation_is_its_definition() {
        let x: Vec<f32> = (0..37).map(|i| (i as f32 - 18.2) * 0.31).collect();
        let wide: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
        for isa in Isa::available() {
            for activation in ALL {
                let mut y = x.clone();
                apply(activation, isa, &mut y);
                for (y, expected) in y.iter().zip(reference(activation, &wide)) {
                    let error = (f64::from(*y) - expected).abs() / expected.abs().max(1.0);
                    assert!(error < 3e-7, "{activation:?} on {isa:?}: {y} for {expected}");
                }
            }
        }
    }

    #[test]
    fn sigmoid_and_tanh_are_exact_to_two_ten_millionths_everywhere() {
        let mut x: Vec<f32> = (-400_000..400_000).map(|i| i as f32 * 2.5e-4).collect();
        x.extend([1e-30, -1e-30, 1e30, -1e30, f32::INFINITY, f32::NEG_INFINITY]);
        for isa in Isa::available() {
            let (mut sigmoid, mut tanh) = (x.clone(), x.clone());
            apply(Activation::Sigmoid, isa, &mut sigmoid);
            apply(Activation::Tanh, isa, &mut tanh);
            for ((&x, &sigmoid), &tanh) in x.iter().zip(&sigmoid).zip(&tanh) {
                let x = f64::from(x);
                assert!(
                    (f64::from(sigmoid) - 1.0 / (1.0 + (-x).exp())).abs() < 1e-7,
                    "sigmoid({x}) on {isa:?}"
                );
                assert!((f64::from(tanh) - x.tanh()).abs() < 2e-7, "tanh({x}) on {isa:?}");
            }
        }
    }

    #[test]
    fn a_nan_stays_a_nan() {
        for isa in Isa::available() {
            for activation in ALL {
                let mut y = [f32::NAN; 3];
                apply(activation, isa, &mut y);
                assert!(y[0].is_nan(), "{activation:?} on {isa:?}");
            }
        }
    }

    #[test]
    fn slopes_agree_with_finite_differences() {
        let x: Vec<f64> = (0..9).map(|i| (f64::from(i) - 3.9) * 0.77).collect();
        let weights: Vec<f64> = (0..9).map(|i| 1.0 - 0.3 * f64::from(i)).collect();
        for activation in ALL {
            let loss = |x: &[f64]| -> f64 { reference(activation, x).iter().zip(&weights).map(|(y, w)| y * w).sum() };
            let y: Vec<f32> = reference(activation, &x).iter().map(|&y| y as f32).collect();
            let mut d: Vec<f32> = weights.iter().map(|&w| w as f32).collect();
            backward(activation, &y, &mut d);
            for i in 0..x.len() {
                let (mut up, mut down) = (x.clone(), x.clone());
                up[i] += 1e-5;
                down[i] -= 1e-5;
                let slope = (loss(&up) - loss(&down)) / 2e-5;
                assert!(
                    (f64::from(d[i]) - slope).abs() < 1e-5 * slope.abs().max(1.0),
                    "{activation:?} at {}",
                    x[i]
                );
            }
        }
    }
}
