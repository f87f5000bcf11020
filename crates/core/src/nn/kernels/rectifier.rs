//! The activations that are layers of their own, each bent at one place: the leaky and clipped forms of relu, elu with a factor,
//! and relu with a learned slope. And softmax along any axis.

use super::activation::softmax;

/// A function of each value by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rectifier {
    /// `x` above 0, else `alpha x`.
    Leaky {
        /// The slope below 0.
        alpha: f32,
    },
    /// `x` above 0, else `alpha (e^x - 1)`.
    Elu {
        /// What it goes to far below 0, less the sign.
        alpha: f32,
    },
    /// `x` above `theta`, else 0.
    Thresholded {
        /// Where it begins.
        theta: f32,
    },
    /// `max_value` from there on, `x` from `threshold` on, else `negative_slope (x - threshold)`.
    Relu {
        /// The largest result.
        max_value: Option<f32>,
        /// The slope below the threshold.
        negative_slope: f32,
        /// Where it begins.
        threshold: f32,
    },
}

impl Rectifier {
    /// The function's value at `x`.
    #[must_use]
    pub fn value(self, x: f32) -> f32 {
        match self {
            Self::Leaky { alpha } => {
                if x > 0.0 {
                    x
                } else {
                    alpha * x
                }
            }
            Self::Elu { alpha } => {
                if x > 0.0 {
                    x
                } else {
                    alpha * x.exp_m1()
                }
            }
            // By a factor and not by choice: NaN stays NaN, as in Keras.
            Self::Thresholded { theta } => x * f32::from(x > theta),
            Self::Relu {
                max_value,
                negative_slope,
                threshold,
            } => {
                if x.is_nan() {
                    x
                } else if x > threshold {
                    max_value.map_or(x, |most| x.max(0.0).min(most))
                } else if negative_slope == 0.0 {
                    0.0
                } else {
                    negative_slope * (x - threshold)
                }
            }
        }
    }

    /// Its slope at `x`; where it is bent, the one that Keras takes.
    #[must_use]
    pub fn slope(self, x: f32) -> f32 {
        match self {
            Self::Leaky { alpha } => {
                if x > 0.0 {
                    1.0
                } else {
                    alpha
                }
            }
            Self::Elu { alpha } => {
                if x > 0.0 {
                    1.0
                } else {
                    alpha * x.exp()
                }
            }
            Self::Thresholded { theta } => f32::from(x > theta),
            Self::Relu {
                max_value,
                negative_slope,
                threshold,
            } => {
                if x > threshold {
                    f32::from(max_value.is_none_or(|most| (0.0..most).contains(&x)))
                } else {
                    negative_slope
                }
            }
        }
    }

    /// The function of each value.
    #[must_use]
    pub fn forward(self, x: &[f32]) -> Vec<f32> {
        x.iter().map(|x| self.value(*x)).collect()
    }

    /// The gradient for each value.
    #[must_use]
    pub fn backward(self, x: &[f32], dy: &[f32]) -> Vec<f32> {
        let slope = |(x, dy): (&f32, &f32)| {
            let slope = self.slope(*x);
            // A product with zero would let an infinite gradient through as NaN.
            if slope == 0.0 { 0.0 } else { slope * dy }
        };
        x.iter().zip(dy).map(slope).collect()
    }
}

/// `x` above 0, else `alpha x`, where each value of a row has an `alpha` of its own.
#[must_use]
pub fn learned_forward(x: &[f32], alpha: &[f32]) -> Vec<f32> {
    let rows = x.chunks_exact(alpha.len().max(1));
    rows.flat_map(|x| x.iter().zip(alpha))
        .map(|(&x, alpha)| if x > 0.0 { x } else { alpha * x })
        .collect()
}

/// The gradients for `x` and for `alpha`.
#[must_use]
pub fn learned_backward(x: &[f32], alpha: &[f32], dy: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let row_len = alpha.len().max(1);
    let mut dx = Vec::with_capacity(x.len());
    let mut slopes = vec![0.0_f64; alpha.len()];
    for (x, dy) in x.chunks_exact(row_len).zip(dy.chunks_exact(row_len)) {
        for (((x, dy), alpha), slope) in x.iter().zip(dy).zip(alpha).zip(&mut slopes) {
            // At 0 both of Keras's two relus are flat.
            dx.push(match x.partial_cmp(&0.0) {
                Some(std::cmp::Ordering::Greater) => *dy,
                Some(std::cmp::Ordering::Less) => alpha * dy,
                _ => 0.0,
            });
            *slope += f64::from(x.min(0.0) * dy);
        }
    }
    (dx, slopes.into_iter().map(|slope| slope as f32).collect())
}

/// Softmax along an axis of `size` values that lie `inner` values apart.
#[must_use]
pub fn softmax_forward(x: &[f32], size: usize, inner: usize) -> Vec<f32> {
    let mut y = x.to_vec();
    let mut row = vec![0.0; size];
    for block in y.chunks_exact_mut((size * inner).max(1)) {
        for first in 0..inner {
            row.iter_mut()
                .zip(block[first..].iter().step_by(inner))
                .for_each(|(to, from)| *to = *from);
            softmax(&mut row);
            block[first..]
                .iter_mut()
                .step_by(inner)
                .zip(&row)
                .for_each(|(to, from)| *to = *from);
        }
    }
    y
}

/// The gradient for softmax's argument, from its result `y`.
#[must_use]
pub fn softmax_backward(y: &[f32], dy: &[f32], size: usize, inner: usize) -> Vec<f32> {
    let mut dx = dy.to_vec();
    let block_len = (size * inner).max(1);
    for (y, dx) in y.chunks_exact(block_len).zip(dx.chunks_exact_mut(block_len)) {
        for first in 0..inner {
            let along: f32 = (y[first..].iter().step_by(inner))
                .zip(dx[first..].iter().step_by(inner))
                .map(|(y, dy)| y * dy)
                .sum();
            for (dx, y) in (dx[first..].iter_mut().step_by(inner)).zip(y[first..].iter().step_by(inner)) {
                *dx = y * (*dx - along);
            }
        }
    }
    dx
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, assert_slopes, values};
    use super::*;

    const ALL: [Rectifier; 6] = [
        Rectifier::Leaky { alpha: 0.3 },
        Rectifier::Elu { alpha: 1.7 },
        Rectifier::Thresholded { theta: 0.4 },
        Rectifier::Relu {
            max_value: Some(0.7),
            negative_slope: 0.1,
            threshold: 0.2,
        },
        Rectifier::Relu {
            max_value: None,
            negative_slope: 0.0,
            threshold: 0.0,
        },
        Rectifier::Relu {
            max_value: Some(0.5),
            negative_slope: 0.0,
            threshold: 0.0,
        },
    ];

    /// `keras.layers` of Keras 2.15 at -1, -0.25, 0, 0.25, 0.5, 2.
    #[test]
    fn values_are_those_of_keras() {
        let x = [-1.0, -0.25, 0.0, 0.25, 0.5, 2.0];
        let expected = [
            [-0.3, -0.075, 0.0, 0.25, 0.5, 2.0],
            [-1.074_604_9, -0.376_038_7, 0.0, 0.25, 0.5, 2.0],
            [0.0, 0.0, 0.0, 0.0, 0.5, 2.0],
            [-0.12, -0.045, -0.02, 0.25, 0.5, 0.7],
            [0.0, 0.0, 0.0, 0.25, 0.5, 2.0],
            [0.0, 0.0, 0.0, 0.25, 0.5, 0.5],
        ];
        for (rectifier, expected) in ALL.into_iter().zip(expected) {
            assert_close(&rectifier.forward(&x), &expected, 1e-6);
        }
    }

    #[test]
    fn slopes_agree_with_finite_differences() {
        let (x, dy) = (values(100, 1), values(100, 2));
        for rectifier in ALL {
            assert_slopes(&rectifier.backward(&x, &dy), &x, &dy, |x| {
                rectifier.forward(x).into_iter().map(f64::from).collect()
            });
        }
    }

    #[test]
    fn learned_slopes_are_summed_over_rows() {
        let (x, alpha, dy) = (values(60, 1), values(12, 2), values(60, 3));
        let (dx, dalpha) = learned_backward(&x, &alpha, &dy);
        let wide = |y: Vec<f32>| y.into_iter().map(f64::from).collect();
        assert_slopes(&dx, &x, &dy, |x| wide(learned_forward(x, &alpha)));
        assert_slopes(&dalpha, &alpha, &dy, |alpha| wide(learned_forward(&x, alpha)));
    }

    #[test]
    fn softmax_sums_to_one_along_its_axis() {
        let (x, dy) = (values(2 * 3 * 4, 1), values(2 * 3 * 4, 2));
        let y = softmax_forward(&x, 3, 4);
        for block in y.chunks(12) {
            for first in 0..4 {
                let sum: f32 = block[first..].iter().step_by(4).sum();
                assert!((sum - 1.0).abs() < 1e-6);
            }
        }
        assert_slopes(&softmax_backward(&y, &dy, 3, 4), &x, &dy, |x| {
            softmax_forward(x, 3, 4).into_iter().map(f64::from).collect()
        });
    }
}
