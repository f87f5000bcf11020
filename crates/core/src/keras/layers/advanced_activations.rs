//! Activations with parameters, as layers.

use super::arguments::or;
use super::declare::{Rules, layer};
use super::merge::axis_without_batch;
use super::spec::FormKind;
use super::{Applied, WeightSpec};
use crate::keras::constraint::Constraint;
use crate::keras::field::{Axis, Single};
use crate::keras::initializer::{self, Initializer};
use crate::keras::regularizer::Regularizer;
use crate::keras::shape::known;

/// The rules of a layer that leaves the shape as it is; `$check` is what else is to be checked.
macro_rules! same_shape {
    ($Name:ident, $check:expr) => {
        impl Rules for $Name {
            fn check(&self) -> Result<(), String> {
                let check: fn(&Self) -> Result<(), String> = $check;
                check(self)
            }

            fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String> {
                Ok(Applied::output(input))
            }
        }
    };
}

fn not_negative(name: &str, value: Single) -> Result<(), String> {
    if value.0 < 0.0 {
        Err(format!("{name}={value}: must not be negative"))
    } else {
        Ok(())
    }
}

layer! {
    /// `x` if `x >= 0`, else `alpha * x`.
    LeakyReLU, "Advanced activations", "Keeps what is positive and makes what is negative smaller";
    form {
        alpha: FormKind::Float { min: Some(0.0), max: None }, "Alpha", "Factor of what is negative";
    }
    kwargs: false;
    config {
        /// Factor of what is negative.
        alpha: Single = or(Single(0.3)),
    }
}
same_shape!(LeakyReLU, |layer| not_negative("alpha", layer.alpha));

layer! {
    /// `x` if `x >= 0`, else `alpha * x` with a learned alpha for each entry.
    PReLU, "Advanced activations", "Keeps what is positive and multiplies what is negative by a learned factor";
    form {
        alpha_initializer: FormKind::Select(initializer::NAMES), "Alpha initializer", "How the factors start";
        alpha_regularizer["(0. , 0.)"]: FormKind::Text, "Alpha regularizer",
            "Penalty on the factors, (l1, l2): the weights of their sizes and of their squares; zeros for none";
        alpha_constraint: FormKind::Constraint, "Alpha constraint", "Condition that the factors are made to fulfil";
        shared_axes: FormKind::Text, "Shared axes",
            "Axes along which the factor is the same, counted with the batch as axis 0, e.g. (1, 2) for one factor a channel; empty: none";
    }
    kwargs: false;
    config {
        /// How the factors start.
        alpha_initializer: Initializer = or(Initializer::Zeros),
        /// Penalty on the factors.
        alpha_regularizer: Option<Regularizer> = or(None),
        /// Condition on the factors.
        alpha_constraint: Option<Constraint> = or(None),
        /// The axes along which the factor is the same, counted with the batch axis.
        shared_axes: Option<Vec<i64>> = or(None),
    }
}

impl Rules for PReLU {
    fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String> {
        let mut alpha: Vec<Option<usize>> = input.to_vec();
        for &axis in self.shared_axes.iter().flatten() {
            // Keras counts shared axes from the front only.
            let axis = Some(axis)
                .filter(|&axis| axis > 0)
                .and_then(|axis| axis_without_batch(axis, input.len()))
                .ok_or_else(|| {
                    format!(
                        "shared_axes: {axis} is not one of its axes 1 to {}; the batch is axis 0",
                        input.len()
                    )
                })?;
            alpha[axis] = Some(1);
        }
        let alpha = alpha
            .into_iter()
            .map(|size| known(size, "entries along each axis that is not shared"))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Applied {
            output: input.to_vec(),
            weights: vec![
                WeightSpec::new("alpha", alpha, &self.alpha_initializer)
                    .regularized(self.alpha_regularizer)
                    .constrained(self.alpha_constraint.as_ref()),
            ],
        })
    }
}

layer! {
    /// `x` if `x >= 0`, else `alpha * (exp(x) - 1)`.
    ELU, "Advanced activations", "Keeps what is positive; what is negative goes smoothly towards -alpha";
    form {
        alpha: FormKind::Float { min: None, max: None }, "Alpha", "How far down it goes";
    }
    kwargs: false;
    config {
        /// How far down it goes.
        alpha: Single = or(Single(1.0)),
    }
}
same_shape!(ELU, |_| Ok(()));

layer! {
    /// `x` if `x > theta`, else 0.
    ThresholdedReLU, "Advanced activations", "Keeps what is above a threshold and sets the rest to zero";
    form {
        theta: FormKind::Float { min: None, max: None }, "Theta", "The threshold; not negative";
    }
    kwargs: false;
    config {
        /// The threshold.
        theta: Single = or(Single(1.0)),
    }
}
same_shape!(ThresholdedReLU, |layer| not_negative("theta", layer.theta));

layer! {
    /// `exp(x_i) / sum_j exp(x_j)` along an axis.
    Softmax, "Advanced activations", "Turns numbers into probabilities that sum up to 1";
    form {
        axis: FormKind::Integer { min: None }, "Axis", "The axis along which they sum up to 1, counted with the batch as axis 0; -1 is the last";
    }
    kwargs: false;
    config {
        /// The axis along which the outputs sum up to 1, counted with the batch axis; negative from the end.
        axis: Axis = or(Axis(-1)),
    }
}

impl Rules for Softmax {
    fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String> {
        match axis_without_batch(self.axis.0, input.len()) {
            Some(_) => Ok(Applied::output(input)),
            None => Err(format!(
                "axis={} is not one of its axes; the batch is axis 0, -1 is the last",
                self.axis.0
            )),
        }
    }
}

layer! {
    /// `max_value` if `x >= max_value`, `x` if `x >= threshold`, else `negative_slope * (x - threshold)`.
    ReLU, "Advanced activations", "Keeps what is above a threshold up to a maximum";
    form {
        max_value: FormKind::Float { min: Some(0.0), max: None }, "Maximum", "Larger values become this one; empty or 0: no maximum";
        negative_slope: FormKind::Float { min: Some(0.0), max: None }, "Negative slope", "Factor of what is below the threshold";
        threshold: FormKind::Float { min: None, max: None }, "Threshold", "What is below it is cut off";
    }
    kwargs: false;
    config {
        /// Larger values become this one.
        max_value: Option<Single> = or(None),
        /// Factor of what is below the threshold.
        negative_slope: Single = or(Single(0.0)),
        /// What is below it is cut off.
        threshold: Single = or(Single(0.0)),
    }
}
same_shape!(ReLU, |layer| {
    layer
        .max_value
        .map_or(Ok(()), |value| not_negative("max_value", value))?;
    not_negative("negative_slope", layer.negative_slope)
});
