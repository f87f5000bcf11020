//! Keras's losses over rows of targets and predictions: the mean over all rows, and its gradient.
//!
//! A loss sees either what the network puts out or, for the cross-entropies behind a closing softmax or sigmoid, the logits before
//! it: as Keras does, because `log(softmax(z))` is exact where the logarithm of a rounded probability is not.

use super::activation::{sigmoid, softmax};
use crate::keras::activation::Activation;
use crate::keras::loss::Loss;

/// Keras's fuzz factor, `K.epsilon()`.
const EPSILON: f64 = 1e-7;
/// One less Keras's fuzz factor, as the f32 that Keras makes of it.
const ALMOST_ONE: f64 = (1.0_f32 - 1e-7_f32) as f64;

/// A loss, and what it is shown of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LossFunction {
    /// The loss.
    pub loss: Loss,
    /// The closing activation when the predictions handed over are the logits before it.
    pub logits_of: Option<Activation>,
}

impl LossFunction {
    /// The loss of a network that closes with `closing`: from logits where Keras takes them.
    #[must_use]
    pub fn behind(loss: Loss, closing: Option<Activation>) -> Self {
        let from_logits = matches!(
            (loss, closing),
            (
                Loss::CategoricalCrossentropy | Loss::SparseCategoricalCrossentropy,
                Some(Activation::Softmax)
            ) | (Loss::BinaryCrossentropy, Some(Activation::Sigmoid))
        );
        Self {
            loss,
            logits_of: closing.filter(|_| from_logits),
        }
    }

    /// The mean loss over the rows of `predicted` (`width` values each); `truth` has one class index a row for the sparse loss and
    /// `width` values otherwise. With `gradient`, the derivative with respect to `predicted` is written there.
    #[must_use]
    pub fn mean(self, truth: &[f32], predicted: &[f32], width: usize, mut gradient: Option<&mut [f32]>) -> f64 {
        let rows = predicted.len() / width.max(1);
        if rows == 0 {
            return 0.0;
        }
        let truth_width = truth.len() / rows;
        // Labels 0 and 1 become -1 and 1 for the hinge losses, when there are no others.
        let hinge =
            matches!(self.loss, Loss::Hinge | Loss::SquaredHinge) && truth.iter().all(|&t| t == 0.0 || t == 1.0);
        let mut row_truth = vec![0.0; truth_width];
        let mut row_predicted = vec![0.0; width];
        let mut row_gradient = vec![0.0; width];
        let mut sum = 0.0;
        for row in 0..rows {
            for (to, &from) in row_truth.iter_mut().zip(&truth[row * truth_width..]) {
                *to = if hinge {
                    2.0 * f64::from(from) - 1.0
                } else {
                    f64::from(from)
                };
            }
            for (to, &from) in row_predicted.iter_mut().zip(&predicted[row * width..]) {
                *to = f64::from(from);
            }
            sum += self.row(&row_truth, &row_predicted, &mut row_gradient);
            if let Some(gradient) = gradient.as_deref_mut() {
                for (to, from) in gradient[row * width..(row + 1) * width].iter_mut().zip(&row_gradient) {
                    *to = (from / rows as f64) as f32;
                }
            }
        }
        sum / rows as f64
    }

    /// The loss of one row, and its derivative with respect to each prediction.
    fn row(self, t: &[f64], p: &[f64], gradient: &mut [f64]) -> f64 {
        match (self.loss, self.logits_of) {
            (Loss::MeanSquaredError, _) => each(t, p, gradient, |t, p| ((p - t).powi(2), 2.0 * (p - t))),
            (Loss::MeanAbsoluteError, _) => each(t, p, gradient, |t, p| ((p - t).abs(), sign(p - t))),
            (Loss::MeanAbsolutePercentageError, _) => each(t, p, gradient, |t, p| {
                let scale = 100.0 / t.abs().max(EPSILON);
                (scale * (t - p).abs(), scale * sign(p - t))
            }),
            (Loss::MeanSquaredLogarithmicError, _) => each(t, p, gradient, |t, p| {
                let difference = p.max(EPSILON).ln_1p() - t.max(EPSILON).ln_1p();
                (
                    difference.powi(2),
                    if p >= EPSILON {
                        2.0 * difference / (1.0 + p)
                    } else {
                        0.0
                    },
                )
            }),
            (Loss::SquaredHinge, _) => each(t, p, gradient, |t, p| {
                let margin = (1.0 - t * p).max(0.0);
                (margin.powi(2), -2.0 * t * margin)
            }),
            (Loss::Hinge, _) => each(t, p, gradient, |t, p| {
                let margin = 1.0 - t * p;
                (margin.max(0.0), if margin >= 0.0 { -t } else { 0.0 })
            }),
            (Loss::Logcosh, _) => each(t, p, gradient, |t, p| {
                let x = p - t;
                (x + softplus(-2.0 * x) - std::f64::consts::LN_2, x.tanh())
            }),
            (Loss::Poisson, _) => each(t, p, gradient, |t, p| {
                (p - t * (p + EPSILON).ln(), 1.0 - t / (p + EPSILON))
            }),
            (Loss::BinaryCrossentropy, Some(_)) => each(t, p, gradient, |t, z| {
                (
                    z.max(0.0) - z * t + (-z.abs()).exp().ln_1p(),
                    1.0 / (1.0 + (-z).exp()) - t,
                )
            }),
            (Loss::BinaryCrossentropy, None) => each(t, p, gradient, |t, p| {
                let (q, inside) = clip(p, EPSILON, ALMOST_ONE);
                let value = -(t * (q + EPSILON).ln() + (1.0 - t) * (1.0 - q + EPSILON).ln());
                (value, inside * ((1.0 - t) / (1.0 - q + EPSILON) - t / (q + EPSILON)))
            }),
            (Loss::CategoricalHinge, _) => categorical_hinge(t, p, gradient),
            (Loss::CategoricalCrossentropy, Some(_)) => softmax_crossentropy(t, p, gradient),
            (Loss::CategoricalCrossentropy, None) => categorical_crossentropy(t, p, gradient),
            (Loss::SparseCategoricalCrossentropy, logits) => {
                // One class index stands for its one-hot row.
                let class = t[0] as usize;
                let one_hot: Vec<f64> = (0..p.len()).map(|i| f64::from(u8::from(i == class))).collect();
                if logits.is_some() {
                    return softmax_crossentropy(&one_hot, p, gradient);
                }
                let (clipped, inside): (Vec<_>, Vec<_>) = p.iter().map(|&p| clip(p, EPSILON, ALMOST_ONE)).unzip();
                let logs: Vec<f64> = clipped.iter().map(|p| p.ln()).collect();
                let value = softmax_crossentropy(&one_hot, &logs, gradient);
                gradient
                    .iter_mut()
                    .zip(clipped.iter().zip(inside))
                    .for_each(|(g, (p, inside))| *g *= inside / p);
                value
            }
            (Loss::KullbackLeiblerDivergence, _) => {
                let mut sum = 0.0;
                for ((g, &t), &p) in gradient.iter_mut().zip(t).zip(p) {
                    let (t, _) = clip(t, EPSILON, 1.0);
                    let (q, inside) = clip(p, EPSILON, 1.0);
                    sum += t * (t / q).ln();
                    *g = -inside * t / q;
                }
                sum
            }
            (Loss::CosineProximity, _) => cosine_proximity(t, p, gradient),
        }
    }
}

/// Applies the closing activation to logits, to get what the network predicts.
pub fn close(activation: Activation, values: &mut [f32], width: usize) {
    match activation {
        Activation::Sigmoid => values.iter_mut().for_each(|z| *z = sigmoid(*z)),
        Activation::Softmax => values.chunks_exact_mut(width.max(1)).for_each(softmax),
        other => super::activation::forward(other, values, width),
    }
}

/// The mean over a row of an element-wise loss.
fn each(t: &[f64], p: &[f64], gradient: &mut [f64], f: impl Fn(f64, f64) -> (f64, f64)) -> f64 {
    let scale = 1.0 / p.len() as f64;
    let mut sum = 0.0;
    for ((g, &t), &p) in gradient.iter_mut().zip(t).zip(p) {
        let (value, slope) = f(t, p);
        sum += value;
        *g = slope * scale;
    }
    sum * scale
}

/// The value held to the bounds, and 1 where it was inside them (the derivative of holding it there).
fn clip(x: f64, low: f64, high: f64) -> (f64, f64) {
    (x.clamp(low, high), f64::from(u8::from(x >= low && x <= high)))
}

/// -1, 0 or 1; zero has none, unlike [`f64::signum`].
fn sign(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x.signum() }
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// `-sum t log softmax(z)`; its derivative is `softmax(z) * sum t - t`.
fn softmax_crossentropy(t: &[f64], z: &[f64], gradient: &mut [f64]) -> f64 {
    let largest = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = z.iter().map(|z| (z - largest).exp()).sum();
    let log_sum = largest + sum.ln();
    let mass: f64 = t.iter().sum();
    for ((g, &t), &z) in gradient.iter_mut().zip(t).zip(z) {
        *g = (z - log_sum).exp() * mass - t;
    }
    t.iter()
        .zip(z)
        .filter(|(t, _)| **t != 0.0)
        .map(|(t, z)| t * (log_sum - z))
        .sum()
}

/// `-sum t log(clip(p / sum p))`: Keras scales the probabilities to sum to one before it takes the logarithm.
fn categorical_crossentropy(t: &[f64], p: &[f64], gradient: &mut [f64]) -> f64 {
    let sum: f64 = p.iter().sum();
    let mut value = 0.0;
    // With q = p / sum: d/dp_j = (g_j - sum_i g_i q_i) / sum, where g_i = dL/dq_i.
    for ((g, &t), &p) in gradient.iter_mut().zip(t).zip(p) {
        let (q, inside) = clip(p / sum, EPSILON, ALMOST_ONE);
        value -= t * q.ln();
        *g = -inside * t / q;
    }
    let along: f64 = gradient.iter().zip(p).map(|(g, p)| g * p / sum).sum();
    for g in gradient {
        *g = (*g - along) / sum;
    }
    value
}

/// `max(0, 1 + max((1 - t) p) - sum(t p))`; ties of the maximum share the gradient, as in `TensorFlow`.
fn categorical_hinge(t: &[f64], p: &[f64], gradient: &mut [f64]) -> f64 {
    let positive: f64 = t.iter().zip(p).map(|(t, p)| t * p).sum();
    let negative = t
        .iter()
        .zip(p)
        .map(|(t, p)| (1.0 - t) * p)
        .fold(f64::NEG_INFINITY, f64::max);
    let is_largest = |t: f64, p: f64| (1.0 - t) * p == negative;
    let ties = t.iter().zip(p).filter(|(t, p)| is_largest(**t, **p)).count() as f64;
    let value = negative - positive + 1.0;
    for ((g, &t), &p) in gradient.iter_mut().zip(t).zip(p) {
        let pull = if is_largest(t, p) { (1.0 - t) / ties } else { 0.0 };
        *g = if value >= 0.0 { pull - t } else { 0.0 };
    }
    value.max(0.0)
}

/// `-sum l2norm(t) l2norm(p)`, with the norms held above `sqrt(1e-12)`.
fn cosine_proximity(t: &[f64], p: &[f64], gradient: &mut [f64]) -> f64 {
    let square = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>();
    let (tt, pp) = (square(t), square(p));
    let (t_scale, p_scale) = (1.0 / tt.max(1e-12).sqrt(), 1.0 / pp.max(1e-12).sqrt());
    let dot: f64 = t.iter().zip(p).map(|(t, p)| t * p).sum::<f64>() * t_scale;
    for ((g, &t), &p) in gradient.iter_mut().zip(t).zip(p) {
        let along = if pp >= 1e-12 { dot * p * p_scale.powi(3) } else { 0.0 };
        *g = along - t * t_scale * p_scale;
    }
    -dot * p_scale
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(loss: Loss, logits_of: Option<Activation>) -> LossFunction {
        LossFunction { loss, logits_of }
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        let truth = [0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
        let sparse = [1.0, 2.0];
        let predicted = [0.2_f32, 0.5, 0.3, 0.61, 0.28, 0.11];
        for loss in Loss::ALL {
            for logits_of in [None, Some(Activation::Softmax)] {
                let function = function(loss, logits_of);
                let truth: &[f32] = if loss == Loss::SparseCategoricalCrossentropy {
                    &sparse
                } else {
                    &truth
                };
                let mut gradient = [0.0; 6];
                let value = function.mean(truth, &predicted, 3, Some(&mut gradient));
                assert!(value.is_finite());
                for i in 0..6 {
                    let (mut up, mut down) = (predicted, predicted);
                    up[i] += 1e-3;
                    down[i] -= 1e-3;
                    let step = f64::from(up[i]) - f64::from(down[i]);
                    let expected = (function.mean(truth, &up, 3, None) - function.mean(truth, &down, 3, None)) / step;
                    // The percentage error divides by 1e-7 where the truth is 0.
                    let tolerance = 1e-4 * expected.abs().max(1.0);
                    let got = f64::from(gradient[i]);
                    assert!(
                        (got - expected).abs() < tolerance,
                        "{loss:?} {logits_of:?} at {i}: {got} is not {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn cross_entropies_take_logits_behind_the_activation_they_belong_to() {
        let behind = |loss, closing| LossFunction::behind(loss, closing).logits_of;
        assert_eq!(
            behind(Loss::CategoricalCrossentropy, Some(Activation::Softmax)),
            Some(Activation::Softmax)
        );
        assert_eq!(
            behind(Loss::BinaryCrossentropy, Some(Activation::Sigmoid)),
            Some(Activation::Sigmoid)
        );
        assert_eq!(behind(Loss::BinaryCrossentropy, Some(Activation::Softmax)), None);
        assert_eq!(behind(Loss::MeanSquaredError, Some(Activation::Sigmoid)), None);
    }

    #[test]
    fn hinge_takes_labels_of_zero_and_one() {
        let hinge = function(Loss::Hinge, None);
        assert!((hinge.mean(&[0.0, 1.0], &[0.5, 0.5], 1, None) - 1.0).abs() < 1e-12);
        assert!((hinge.mean(&[-1.0, 1.0], &[0.5, 0.5], 1, None) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_certain_and_wrong_logit_costs_its_full_size() {
        let crossentropy = function(Loss::BinaryCrossentropy, Some(Activation::Sigmoid));
        assert!((crossentropy.mean(&[1.0], &[-80.0], 1, None) - 80.0).abs() < 1e-9);
    }
}
