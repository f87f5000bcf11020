//! A network's weights: their values, and the penalties and conditions that training puts on them.

use crate::keras::constraint::{Axes, Constraint};
use crate::keras::regularizer::Regularizer;

/// One weight tensor of a network.
#[derive(Clone, Debug)]
pub struct Weight {
    /// Keras's name: `dense_1/kernel:0`.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values in row-major order.
    pub values: Vec<f32>,
    /// Whether training changes it by its gradient.
    pub trainable: bool,
    /// The penalty that its size adds to the loss.
    pub regularizer: Option<Regularizer>,
    /// The condition it is made to fulfil after each step.
    pub constraint: Option<Constraint>,
}

/// `l1 sum |w| + l2 sum w^2`.
#[must_use]
pub fn penalty(regularizer: Regularizer, values: &[f32]) -> f64 {
    let (absolute, square) = values.iter().fold((0.0, 0.0), |(absolute, square), &w| {
        let w = f64::from(w);
        (absolute + w.abs(), square + w * w)
    });
    f64::from(regularizer.l1) * absolute + f64::from(regularizer.l2) * square
}

/// Adds the derivative of [`penalty`], `scale` times, to `gradient`.
pub fn add_penalty_gradient(regularizer: Regularizer, values: &[f32], scale: f32, gradient: &mut [f32]) {
    for (gradient, &w) in gradient.iter_mut().zip(values) {
        let sign = if w == 0.0 { 0.0 } else { w.signum() };
        *gradient += scale * (regularizer.l1 * sign + 2.0 * regularizer.l2 * w);
    }
}

/// Makes weights of `shape` fulfil a constraint.
pub fn constrain(constraint: &Constraint, shape: &[usize], values: &mut [f32]) {
    // Keras's fuzz factor, which keeps a zero norm from being divided by.
    const EPSILON: f64 = 1e-7;
    match constraint {
        Constraint::NonNeg => values.iter_mut().for_each(|w| *w = w.max(0.0)),
        Constraint::MaxNorm { max_value, axis } => {
            scale_by_norm(shape, axis, values, |norm| {
                norm.clamp(0.0, max_value.get()) / (EPSILON + norm)
            });
        }
        Constraint::UnitNorm { axis } => scale_by_norm(shape, axis, values, |norm| 1.0 / (EPSILON + norm)),
        Constraint::MinMaxNorm {
            min_value,
            max_value,
            rate,
            axis,
        } => {
            let rate = rate.get();
            scale_by_norm(shape, axis, values, |norm| {
                // Not `clamp`: a minimum above the maximum must not panic; Keras then takes the minimum.
                let wanted = norm.min(max_value.get()).max(min_value.get());
                (rate * wanted + (1.0 - rate) * norm) / (EPSILON + norm)
            });
        }
    }
}

/// Multiplies each vector along `axes` by `factor` of its Euclidean norm.
fn scale_by_norm(shape: &[usize], axes: &Axes, values: &mut [f32], factor: impl Fn(f64) -> f64) {
    let rank = i64::try_from(shape.len()).unwrap_or(i64::MAX);
    let along: Vec<bool> = (0..rank)
        .map(|axis| axes.as_slice().iter().any(|&a| a == axis || a + rank == axis))
        .collect();
    // The vector that a value belongs to is numbered by its indices on the other axes.
    let vector = |index: usize| {
        let (mut rest, mut number, mut stride) = (index, 0, 1);
        for (&size, &along) in shape.iter().zip(&along).rev() {
            if !along {
                number += rest % size * stride;
                stride *= size;
            }
            rest /= size;
        }
        number
    };
    let vectors: usize = shape
        .iter()
        .zip(&along)
        .filter(|(_, along)| !**along)
        .map(|(size, _)| size)
        .product();
    let mut squares = vec![0.0; vectors];
    for (index, &w) in values.iter().enumerate() {
        squares[vector(index)] += f64::from(w).powi(2);
    }
    let factors: Vec<f64> = squares.into_iter().map(|square| factor(square.sqrt())).collect();
    for (index, w) in values.iter_mut().enumerate() {
        *w = (f64::from(*w) * factors[vector(index)]) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keras::field::Number;

    fn close(values: &[f32], expected: &[f32]) {
        assert!(
            values.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6),
            "{values:?} is not {expected:?}"
        );
    }

    #[test]
    fn norms_are_taken_along_the_constraint_s_axis() {
        let mut values = [3.0, 0.3, 4.0, 0.4];
        constrain(
            &Constraint::MaxNorm {
                max_value: Number::Int(1),
                axis: Axes::One(0),
            },
            &[2, 2],
            &mut values,
        );
        close(&values, &[0.6, 0.3, 0.8, 0.4]);
        let mut values = [3.0, 4.0, 0.3, 0.4];
        constrain(&Constraint::UnitNorm { axis: Axes::One(-1) }, &[2, 2], &mut values);
        close(&values, &[0.6, 0.8, 0.6, 0.8]);
        let mut values = [3.0, 4.0, 0.0, 12.0];
        constrain(
            &Constraint::UnitNorm {
                axis: Axes::Many(vec![0, 1]),
            },
            &[2, 2],
            &mut values,
        );
        close(&values, &[3.0 / 13.0, 4.0 / 13.0, 0.0, 12.0 / 13.0]);
    }

    #[test]
    fn min_max_norm_moves_by_its_rate() {
        let constraint = Constraint::MinMaxNorm {
            min_value: Number::Int(0),
            max_value: Number::Int(1),
            rate: Number::Float(0.5),
            axis: Axes::One(0),
        };
        let mut values = [3.0, 4.0];
        constrain(&constraint, &[2, 1], &mut values);
        close(&values, &[1.8, 2.4]);
    }

    #[test]
    fn the_penalty_s_gradient_is_its_derivative() {
        let regularizer = Regularizer { l1: 0.5, l2: 0.25 };
        assert!((penalty(regularizer, &[1.0, -2.0]) - (1.5 + 1.25)).abs() < 1e-9);
        let mut gradient = [1.0, 1.0, 1.0];
        add_penalty_gradient(regularizer, &[1.0, -2.0, 0.0], 1.0, &mut gradient);
        close(&gradient, &[2.0, -0.5, 1.0]);
    }
}
