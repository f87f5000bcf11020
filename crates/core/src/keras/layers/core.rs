//! Core layers.

use super::arguments::{or, required};
use super::declare::{Rules, layer};
use super::spec::{COUNT, FRACTION, FormKind};
use super::{Applied, WeightSpec};
use crate::keras::activation::Activation as Function;
use crate::keras::constraint::Constraint;
use crate::keras::field::{DataFormat, Number};
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
        target_shape: FormKind::Shape, "Target shape",
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

layer! {
    /// The axes in another order.
    Permute, "Core", "Puts the axes of its input into another order";
    form {
        dims: FormKind::Shape, "Dimensions", "The new order of the axes, counted from 1 without the batch, e.g. (2, 1) swaps the two";
    }
    kwargs: false;
    config {
        /// The old axis at each new place, counted from 1 without the batch axis.
        dims: Vec<usize> = required(),
    }
}

impl Rules for Permute {
    fn check(&self) -> Result<(), String> {
        let mut sorted = self.dims.clone();
        sorted.sort_unstable();
        if sorted.iter().copied().eq(1..=self.dims.len()) {
            return Ok(());
        }
        Err(format!(
            "dims={}: expected each axis from 1 to {} once; the batch is not counted",
            crate::keras::field::Field::to_json(&self.dims),
            self.dims.len()
        ))
    }

    fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String> {
        if input.len() != self.dims.len() {
            return Err(format!(
                "dims={} orders {} axes, it has {}",
                crate::keras::field::Field::to_json(&self.dims),
                self.dims.len(),
                input.len()
            ));
        }
        let output: Shape = self.dims.iter().map(|&axis| input[axis - 1]).collect();
        Ok(Applied::output(output))
    }
}

layer! {
    /// The same row at every step: `[features]` becomes `[n, features]`.
    RepeatVector, "Core", "Makes a sequence that has its input at every step";
    form {
        n: COUNT, "Repetitions", "Number of steps";
    }
    kwargs: false;
    config {
        /// Number of steps.
        n: usize = required(),
    }
}

impl Rules for RepeatVector {
    fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String> {
        match input {
            [features] => Ok(Applied::output([Some(self.n), *features])),
            _ => Err("needs 1 axis (features,); a Flatten layer before it can make one".into()),
        }
    }
}

layer! {
    /// Adds a penalty on its inputs to the loss; the inputs go on as they are.
    ActivityRegularization, "Core", "Adds a penalty on the size of its inputs to the loss";
    form {
        l1: FormKind::Float { min: Some(0.0), max: None }, "L1", "Weight of the sum of the inputs' sizes";
        l2: FormKind::Float { min: Some(0.0), max: None }, "L2", "Weight of the sum of the inputs' squares";
    }
    kwargs: false;
    config {
        /// Weight of the sum of absolute values.
        l1: Number = or(Number::Float(0.0)),
        /// Weight of the sum of squares.
        l2: Number = or(Number::Float(0.0)),
    }
}

impl Rules for ActivityRegularization {
    fn check(&self) -> Result<(), String> {
        for (name, weight) in [("l1", self.l1), ("l2", self.l2)] {
            if weight.get() < 0.0 {
                return Err(format!("{name}={weight}: must not be negative"));
            }
        }
        Ok(())
    }

    fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String> {
        Ok(Applied::output(input))
    }
}

layer! {
    /// Masks the steps whose features all are `mask_value`: the layers behind leave them out. Input `[batch, steps, features]`.
    Masking, "Core", "Makes the layers behind it leave out the steps of a sequence that are filled up with one value";
    form {
        mask_value: FormKind::Float { min: None, max: None }, "Mask value", "Steps that have nothing but this value are left out";
    }
    kwargs: false;
    config {
        /// Steps that have nothing but this value are left out.
        mask_value: Number = or(Number::Float(0.0)),
    }
}

impl Rules for Masking {
    fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String> {
        if input.len() < 2 {
            return Err("needs 2 axes (steps, features); a Reshape layer before it can make them".into());
        }
        Ok(Applied::output(input))
    }
}
