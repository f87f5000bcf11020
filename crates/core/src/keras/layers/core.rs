//! Core layers.

use super::arguments::{or, required};
use super::declare::{Rules, layer};
use super::spec::{COUNT, FRACTION, FormKind};
use super::{Applied, WeightSpec};
use crate::keras::activation::Activation as Function;
use crate::keras::constraint::Constraint;
use crate::keras::field::DataFormat;
use crate::keras::initializer::Initializer;
use crate::keras::regularizer::Regularizer;
use crate::keras::shape::{Shape, known};

layer! {
    /// `activation(input . kernel + bias)` over the last axis.
    Dense, "Core", "A fully connected layer: every output is a weighted sum of all inputs";
    form {
        units: COUNT, "Units", "Number of outputs of the layer";
        activation: FormKind::Select(Function::NAMES), "Activation", "Function applied to each output";
    }
    kwargs: true;
    config {
        /// Number of outputs.
        units: usize = required(),
        /// Applied to the outputs.
        activation: Function = or(Function::Linear),
        /// Whether a bias is added.
        use_bias: bool = or(true),
        /// How the kernel starts.
        kernel_initializer: Initializer = or(Initializer::glorot_uniform()),
        /// How the bias starts.
        bias_initializer: Initializer = or(Initializer::Zeros),
        /// Penalty on the kernel.
        kernel_regularizer: Option<Regularizer> = or(None),
        /// Penalty on the bias.
        bias_regularizer: Option<Regularizer> = or(None),
        /// Penalty on the outputs.
        activity_regularizer: Option<Regularizer> = or(None),
        /// Condition on the kernel.
        kernel_constraint: Option<Constraint> = or(None),
        /// Condition on the bias.
        bias_constraint: Option<Constraint> = or(None),
    }
}

impl Rules for Dense {
    fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String> {
        let Some((features, rest)) = input.split_last() else {
            return Err("needs at least one axis of features".into());
        };
        let features = known(*features, "features")?;
        let mut weights = vec![
            WeightSpec::new("kernel", [features, self.units], &self.kernel_initializer)
                .regularized(self.kernel_regularizer)
                .constrained(self.kernel_constraint.as_ref()),
        ];
        if self.use_bias {
            weights.push(
                WeightSpec::new("bias", [self.units], &self.bias_initializer)
                    .regularized(self.bias_regularizer)
                    .constrained(self.bias_constraint.as_ref()),
            );
        }
        Ok(Applied {
            output: [rest, &[Some(self.units)]].concat(),
            weights,
        })
    }
}

layer! {
    /// An activation function as a layer of its own.
    Activation, "Core", "Applies an activation function";
    form { activation: FormKind::Select(Function::NAMES), "Activation", "Function applied to each input"; }
    kwargs: false;
    config {
        /// The function.
        activation: Function = or(Function::Linear),
    }
}

impl Rules for Activation {
    fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String> {
        if self.activation == Function::Softmax && input.is_empty() {
            return Err("softmax needs at least one axis besides the batch".into());
        }
        Ok(Applied::output(input))
    }
}

layer! {
    /// In training, sets a random part of the inputs to zero and scales the rest up to the same sum.
    Dropout, "Core", "Sets a random part of its inputs to zero during training, against overfitting";
    form { rate: FRACTION, "Rate", "Part of the inputs to drop, from 0 to less than 1"; }
    kwargs: true;
    config {
        /// Part of the inputs that is dropped, `0 <= rate < 1`.
        rate: f64 = required(),
        /// Shape of the mask with the batch axis: 1 where it is the same along the axis, `None` for the input's size.
        noise_shape: Option<Vec<Option<usize>>> = or(None),
        /// Seed of this layer's own random stream, if any.
        seed: Option<i64> = or(None),
    }
}

impl Rules for Dropout {
    fn check(&self) -> Result<(), String> {
        fraction("rate", self.rate)
    }

    fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String> {
        if let Some(noise) = &self.noise_shape {
            let fits = |(noise, size): (&Option<usize>, &Option<usize>)| noise.is_none_or(|n| n == 1) || noise == size;
            if noise.len() != input.len() + 1 || !noise[1..].iter().zip(input).all(fits) {
                return Err(format!(
                    "noise_shape needs {} entries, batch first, each of them 1, None or the input's size",
                    input.len() + 1
                ));
            }
        }
        Ok(Applied::output(input))
    }
}

/// A dropout rate; Keras cuts others to the nearest possible, which nobody means.
pub(super) fn fraction(name: &str, rate: f64) -> Result<(), String> {
    if (0.0..1.0).contains(&rate) {
        Ok(())
    } else {
        Err(format!("{name}={rate}: expected at least 0 and less than 1"))
    }
}

layer! {
    /// All axes but the batch's made one.
    Flatten, "Core", "Makes one long row of each input, whatever its shape";
    form { data_format: FormKind::Select(DataFormat::NAMES), "Data format", "Where the channel axis of the input is"; }
    kwargs: false;
    config {
        /// With channels first, they are moved behind the other axes before flattening.
        data_format: DataFormat = or(DataFormat::ChannelsLast),
    }
}

impl Rules for Flatten {
    fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String> {
        let mut size = 1_usize;
        for axis in input {
            size = size.saturating_mul(known(*axis, "entries along each axis")?);
        }
        Ok(Applied::output([Some(size)]))
    }
}

layer! {
    /// The same numbers in another shape.
    Reshape, "Core", "Gives each input another shape with the same number of entries";
    form {
        target_shape: FormKind::Text, "Target shape",
            "Shape of each output as a tuple, without the batch, e.g. (28, 28, 1); one size may be -1: what is left";
    }
    kwargs: false;
    config {
        /// The new shape without the batch axis; one size may be -1, what is left.
        target_shape: Vec<i64> = required(),
    }
}

impl Rules for Reshape {
    fn check(&self) -> Result<(), String> {
        let inferred = self.target_shape.iter().filter(|size| **size == -1).count();
        if inferred > 1
            || self
                .target_shape
                .iter()
                .any(|&size| size < -1 || size == 0 || size > i64::from(i32::MAX))
        {
            return Err("target_shape needs positive sizes, of which one may be -1".into());
        }
        Ok(())
    }

    fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String> {
        let mut output: Shape = self
            .target_shape
            .iter()
            .map(|&size| usize::try_from(size).ok())
            .collect();
        let given = output
            .iter()
            .flatten()
            .fold(1_usize, |product, &size| product.saturating_mul(size));
        let Some(entries) = input
            .iter()
            .try_fold(1_usize, |product, size| Some(product.saturating_mul((*size)?)))
        else {
            return Ok(Applied::output(output));
        };
        let inferred = output.iter_mut().find(|size| size.is_none());
        let fits = if inferred.is_some() {
            entries.is_multiple_of(given)
        } else {
            entries == given
        };
        if !fits {
            return Err(format!(
                "it has {entries} entries, target_shape={} has {}{given}",
                crate::keras::field::Field::to_json(&self.target_shape),
                if inferred.is_some() { "a multiple of " } else { "" },
            ));
        }
        if let Some(size) = inferred {
            *size = Some(entries / given);
        }
        Ok(Applied::output(output))
    }
}
