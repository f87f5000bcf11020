//! Normalization layers.

use super::arguments::or;
use super::declare::{Rules, layer};
use super::{Applied, WeightSpec};
use crate::keras::constraint::Constraint;
use crate::keras::field::{Axis, Number};
use crate::keras::initializer::Initializer;
use crate::keras::regularizer::Regularizer;
use crate::keras::shape::known;

layer! {
    /// `gamma * (input - mean) / sqrt(variance + epsilon) + beta`, mean and variance over all axes but one: of the batch in training,
    /// moving averages of them otherwise.
    BatchNormalization, "Normalization", "Shifts and scales its inputs to mean 0 and variance 1, batch by batch";
    form {}
    kwargs: true;
    config {
        /// The axis that keeps its own mean and variance, counted with the batch axis.
        axis: Axis = or(Axis(-1)),
        /// How much of the moving averages remains after a batch.
        momentum: Number = or(Number::Float(0.99)),
        /// Added to the variance.
        epsilon: Number = or(Number::Float(0.001)),
        /// Whether there is a learned shift, beta.
        center: bool = or(true),
        /// Whether there is a learned scale, gamma.
        scale: bool = or(true),
        /// How beta starts.
        beta_initializer: Initializer = or(Initializer::Zeros),
        /// How gamma starts.
        gamma_initializer: Initializer = or(Initializer::Ones),
        /// How the moving mean starts.
        moving_mean_initializer: Initializer = or(Initializer::Zeros),
        /// How the moving variance starts.
        moving_variance_initializer: Initializer = or(Initializer::Ones),
        /// Penalty on beta.
        beta_regularizer: Option<Regularizer> = or(None),
        /// Penalty on gamma.
        gamma_regularizer: Option<Regularizer> = or(None),
        /// Condition on beta.
        beta_constraint: Option<Constraint> = or(None),
        /// Condition on gamma.
        gamma_constraint: Option<Constraint> = or(None),
    }
}

impl BatchNormalization {
    /// The index of the kept axis in a shape without the batch axis; `None` if there is no such axis.
    #[must_use]
    pub fn feature_axis(&self, rank: usize) -> Option<usize> {
        let axis = match usize::try_from(self.axis.0) {
            Ok(axis) => axis.checked_sub(1)?,
            Err(_) => rank.checked_sub(usize::try_from(self.axis.0.checked_neg()?).ok()?)?,
        };
        (axis < rank).then_some(axis)
    }
}

impl Rules for BatchNormalization {
    fn check(&self) -> Result<(), String> {
        if !(0.0..=1.0).contains(&self.momentum.get()) {
            return Err(format!("momentum={}: expected a number from 0 to 1", self.momentum));
        }
        if self.epsilon.get() < 0.0 {
            return Err(format!("epsilon={}: must not be negative", self.epsilon));
        }
        Ok(())
    }

    fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String> {
        let Some(axis) = self.feature_axis(input.len()) else {
            return Err(format!(
                "axis={} is not one of its axes; the batch is axis 0, -1 is the last",
                self.axis.0
            ));
        };
        let features = known(input[axis], "features along its axis")?;
        let mut weights = Vec::new();
        if self.scale {
            weights.push(
                WeightSpec::new("gamma", [features], &self.gamma_initializer)
                    .regularized(self.gamma_regularizer)
                    .constrained(self.gamma_constraint.as_ref()),
            );
        }
        if self.center {
            weights.push(
                WeightSpec::new("beta", [features], &self.beta_initializer)
                    .regularized(self.beta_regularizer)
                    .constrained(self.beta_constraint.as_ref()),
            );
        }
        for (name, initializer) in [
            ("moving_mean", &self.moving_mean_initializer),
            ("moving_variance", &self.moving_variance_initializer),
        ] {
            weights.push(WeightSpec {
                trainable: false,
                ..WeightSpec::new(name, [features], initializer)
            });
        }
        Ok(Applied {
            output: input.to_vec(),
            weights,
        })
    }
}
