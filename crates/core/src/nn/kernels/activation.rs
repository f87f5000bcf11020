//! Keras's activations, each with its derivative written in terms of its *result*: a layer that applies one keeps only what
//! it hands on anyway.

use super::elementwise::{Cost, map, map_pairs, update, update_with};
use crate::keras::activation::Activation;

/// Selu's scale below 0 (Klambauer et al. 2017), to the digits that Keras uses.
pub const SELU_ALPHA: f32 = 1.673_263_2;
/// Selu's scale of all values.
pub const SELU_SCALE: f32 = 1.050_701;

/// Applies `activation` to rows of `width` values (only softmax looks at a row as a whole).
pub fn forward(activation: Activation, values: &mut [f32], width: usize) {
    if activation != Activation::Linear && with_value(activation, Values(&mut *values)).is_none() {
        values.chunks_exact_mut(width.max(1)).for_each(softmax);
    }
}

/// [`forward`] into a vector of its own.
#[must_use]
pub fn applied(activation: Activation, values: &[f32], width: usize) -> Vec<f32> {
    with_value(activation, Copied(values)).unwrap_or_else(|| {
        let mut y = values.to_vec();
        y.chunks_exact_mut(width.max(1)).for_each(softmax);
        y
    })
}

/// What is done with an activation's function.
trait WithValue {
    type Output;

    fn with(self, cost: Cost, f: impl Fn(f32) -> f32 + Sync) -> Self::Output;
}

struct Values<'a>(&'a mut [f32]);

impl WithValue for Values<'_> {
    type Output = ();

    fn with(self, cost: Cost, f: impl Fn(f32) -> f32 + Sync) {
        update(self.0, cost, f);
    }
}

struct Copied<'a>(&'a [f32]);

impl WithValue for Copied<'_> {
    type Output = Vec<f32>;

    fn with(self, cost: Cost, f: impl Fn(f32) -> f32 + Sync) -> Vec<f32> {
        map(self.0, cost, f)
    }
}

/// Those that look at each value by itself; none for softmax, which looks at a row as a whole.
fn with_value<W: WithValue>(activation: Activation, work: W) -> Option<W::Output> {
    use Cost::{Arithmetic, Function};
    Some(match activation {
        Activation::Softmax => return None,
        Activation::Linear => work.with(Arithmetic, |x| x),
        Activation::Elu => work.with(Function, elu),
        Activation::Selu => work.with(Function, |x| {
            if x > 0.0 {
                SELU_SCALE * x
            } else {
                SELU_SCALE * SELU_ALPHA * x.exp_m1()
            }
        }),
        Activation::Softplus => work.with(Function, softplus),
        Activation::Softsign => work.with(Arithmetic, |x| x / (1.0 + x.abs())),
        Activation::Relu => work.with(Arithmetic, relu),
        Activation::Tanh => work.with(Function, f32::tanh),
        Activation::Sigmoid => work.with(Function, sigmoid),
        Activation::HardSigmoid => work.with(Arithmetic, |x| (0.2 * x + 0.5).clamp(0.0, 1.0)),
        Activation::Exponential => work.with(Function, f32::exp),
    })
}

/// Turns the gradient with respect to the activation's result `y` into the one with respect to its argument, in place in `dy`.
pub fn backward(activation: Activation, y: &[f32], dy: &mut [f32], width: usize) {
    if activation == Activation::Linear || with_slope(activation, InPlace { y, dy: &mut *dy }).is_some() {
        return;
    }
    softmax_backward(y, dy, width);
}

/// [`backward`] into a vector of its own, which spares a copy of `dy`.
#[must_use]
pub fn gradient(activation: Activation, y: &[f32], dy: &[f32], width: usize) -> Vec<f32> {
    with_slope(activation, Apart { y, dy }).unwrap_or_else(|| {
        let mut dx = dy.to_vec();
        softmax_backward(y, &mut dx, width);
        dx
    })
}

fn softmax_backward(y: &[f32], dy: &mut [f32], width: usize) {
    let width = width.max(1);
    for (y, dy) in y.chunks_exact(width).zip(dy.chunks_exact_mut(width)) {
        let along: f32 = y.iter().zip(&*dy).map(|(y, dy)| y * dy).sum();
        dy.iter_mut().zip(y).for_each(|(dy, y)| *dy = y * (*dy - along));
    }
}

/// What is done with an activation's derivative.
trait WithSlope {
    type Output;

    /// `f(y, dy)` is the gradient with respect to the argument.
    fn with(self, f: impl Fn(f32, f32) -> f32 + Sync) -> Self::Output;
}

struct InPlace<'a> {
    y: &'a [f32],
    dy: &'a mut [f32],
}

impl WithSlope for InPlace<'_> {
    type Output = ();

    fn with(self, f: impl Fn(f32, f32) -> f32 + Sync) {
        update_with(self.dy, self.y, Cost::Arithmetic, |dy, y| f(y, dy));
    }
}

struct Apart<'a> {
    y: &'a [f32],
    dy: &'a [f32],
}

impl WithSlope for Apart<'_> {
    type Output = Vec<f32>;

    fn with(self, f: impl Fn(f32, f32) -> f32 + Sync) -> Vec<f32> {
        map_pairs(self.y, self.dy, Cost::Arithmetic, f)
    }
}

/// The derivatives of those that look at each value by itself; none for softmax, which looks at a row as a whole.
fn with_slope<W: WithSlope>(activation: Activation, work: W) -> Option<W::Output> {
    Some(match activation {
        Activation::Softmax => return None,
        Activation::Linear => work.with(|_, dy| dy),
        Activation::Elu => work.with(|y, dy| dy * if y > 0.0 { 1.0 } else { y + 1.0 }),
        // At 0 exactly the slope is that of the positive side, as in TensorFlow.
        Activation::Selu => work.with(|y, dy| {
            let slope = if y < 0.0 {
                y + SELU_SCALE * SELU_ALPHA
            } else {
                SELU_SCALE
            };
            dy * slope
        }),
        Activation::Softplus => work.with(|y, dy| dy * -(-y).exp_m1()),
        Activation::Softsign => work.with(|y, dy| dy * (1.0 - y.abs()).powi(2)),
        Activation::Relu => work.with(relu_gradient),
        Activation::Tanh => work.with(|y, dy| dy * (1.0 - y * y)),
        Activation::Sigmoid => work.with(|y, dy| dy * (y * (1.0 - y))),
        Activation::HardSigmoid => work.with(|y, dy| dy * if y > 0.0 && y < 1.0 { 0.2 } else { 0.0 }),
        Activation::Exponential => work.with(|y, dy| dy * y),
    })
}

/// `x` above 0, else a product with zero, and not zero: NaN stays NaN.
#[inline(always)]
pub(super) fn relu(x: f32) -> f32 {
    if x > 0.0 { x } else { 0.0 * x }
}

/// The gradient of relu's argument from that of its result: `y` is either of the two. A product with zero would let an infinite gradient
/// through as NaN; a select does not.
#[inline(always)]
pub(super) fn relu_gradient(y: f32, dy: f32) -> f32 {
    if y > 0.0 { dy } else { 0.0 }
}

fn elu(x: f32) -> f32 {
    if x > 0.0 { x } else { x.exp_m1() }
}

/// `ln(1 + e^x)` without overflow.
fn softplus(x: f32) -> f32 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// `1 / (1 + e^-x)` without overflow.
#[must_use]
pub fn sigmoid(x: f32) -> f32 {
    let e = (-x.abs()).exp();
    if x >= 0.0 { 1.0 / (1.0 + e) } else { e / (1.0 + e) }
}

/// Softmax of one row in place, shifted by its maximum so that nothing overflows.
pub fn softmax(row: &mut [f32]) {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for x in row.iter_mut() {
        *x = (*x - largest).exp();
        sum += *x;
    }
    for x in row {
        *x /= sum;
    }
}

#[cfg(test)]
mod tests {
    use std::f32::consts::LN_2;

    use super::*;

    /// Values of `keras.activations` (Keras 2.15) at -2, -0.5, 0, 0.5, 3.
    #[test]
    fn values_are_those_of_keras() {
        let x = [-2.0, -0.5, 0.0, 0.5, 3.0];
        let cases: [(Activation, [f32; 5]); 10] = [
            (Activation::Linear, x),
            (Activation::Elu, [-0.864_664_7, -0.393_469_34, 0.0, 0.5, 3.0]),
            (
                Activation::Selu,
                [-1.520_166_6, -0.691_758_16, 0.0, 0.525_350_5, 3.152_103],
            ),
            (
                Activation::Softplus,
                [0.126_928_01, 0.474_077, LN_2, 0.974_077, 3.048_587_3],
            ),
            (
                Activation::Softsign,
                [-0.666_666_7, -0.333_333_34, 0.0, 0.333_333_34, 0.75],
            ),
            (Activation::Relu, [0.0, 0.0, 0.0, 0.5, 3.0]),
            (
                Activation::Tanh,
                [-0.964_027_6, -0.462_117_17, 0.0, 0.462_117_17, 0.995_054_8],
            ),
            (
                Activation::Sigmoid,
                [0.119_202_92, 0.377_540_68, 0.5, 0.622_459_35, 0.952_574_1],
            ),
            (Activation::HardSigmoid, [0.1, 0.4, 0.5, 0.6, 1.0]),
            (
                Activation::Exponential,
                [0.135_335_28, 0.606_530_67, 1.0, 1.648_721_3, 20.085_537],
            ),
        ];
        for (activation, expected) in cases {
            let mut y = x;
            forward(activation, &mut y, 5);
            for (y, expected) in y.iter().zip(expected) {
                assert!(
                    (y - expected).abs() <= 2e-6 * expected.abs().max(1.0),
                    "{activation:?}: {y} is not {expected}"
                );
            }
        }
    }

    #[test]
    fn selu_s_slope_at_zero_is_that_of_its_positive_side() {
        let mut dx = [1.0];
        backward(Activation::Selu, &[0.0], &mut dx, 1);
        assert_eq!(dx, [SELU_SCALE]);
    }

    #[test]
    fn softmax_survives_large_arguments() {
        let mut y = [1000.0, 1000.0, -1000.0];
        forward(Activation::Softmax, &mut y, 3);
        assert_eq!(y, [0.5, 0.5, 0.0]);
    }

    #[test]
    fn derivatives_agree_with_finite_differences() {
        let x = [-2.3_f32, -0.4, 0.3, 0.9, 1.7, -1.1];
        let dy = [0.7_f32, -1.3, 0.2, 1.1, -0.6, 0.5];
        for activation in Activation::NAMES
            .iter()
            .map(|name| Activation::from_name(name).expect("a known name"))
        {
            let loss = |x: &[f32]| {
                let mut y = x.to_vec();
                forward(activation, &mut y, 3);
                y.iter().zip(&dy).map(|(y, dy)| f64::from(y * dy)).sum::<f64>()
            };
            let mut y = x.to_vec();
            forward(activation, &mut y, 3);
            let mut dx = dy;
            backward(activation, &y, &mut dx, 3);
            assert_eq!(gradient(activation, &y, &dy, 3), dx);
            for i in 0..x.len() {
                let (mut up, mut down) = (x, x);
                up[i] += 1e-2;
                down[i] -= 1e-2;
                let expected = (loss(&up) - loss(&down)) / 2e-2;
                assert!(
                    (f64::from(dx[i]) - expected).abs() < 2e-3,
                    "{activation:?} at {}: {} is not {expected}",
                    x[i],
                    dx[i]
                );
            }
        }
    }
}
