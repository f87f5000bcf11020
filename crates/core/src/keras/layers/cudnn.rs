//! The recurrent layers that Keras runs on graphics cards only. Here they run anywhere, as their plain equivalents: `CuDNNGRU` as a GRU
//! that resets after the product, `CuDNNLSTM` as an LSTM. Their bias comes in two parts, for the input and for the state.

use super::arguments::{or, required};
use super::declare::{Rules, layer};
use super::spec::COUNT;
use super::{Applied, WeightSpec};
use crate::keras::constraint::Constraint;
use crate::keras::initializer::Initializer;
use crate::keras::regularizer::Regularizer;
use crate::keras::shape::known;

/// The rules of both; `$gates` is how many times the units the weights are wide, `$ones` the biases that start at one.
macro_rules! cudnn {
    ($Name:ident, gates: $gates:literal, ones: $ones:expr) => {
        impl Rules for $Name {
            fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String> {
                let [steps, features] = input else {
                    return Err(super::recurrent::NOT_A_SEQUENCE.into());
                };
                let features = known(*features, "features")?;
                let width = self.units.saturating_mul($gates);
                let ones: fn(&Self) -> Option<std::ops::Range<usize>> = $ones;
                let bias = WeightSpec {
                    ones: ones(self),
                    ..WeightSpec::new("bias", [width.saturating_mul(2)], &self.bias_initializer)
                };
                let weights = vec![
                    WeightSpec::new("kernel", [features, width], &self.kernel_initializer)
                        .regularized(self.kernel_regularizer)
                        .constrained(self.kernel_constraint.as_ref()),
                    WeightSpec::new(
                        "recurrent_kernel",
                        [self.units, width],
                        &self.recurrent_initializer,
                    )
                    .regularized(self.recurrent_regularizer)
                    .constrained(self.recurrent_constraint.as_ref()),
                    bias.regularized(self.bias_regularizer)
                        .constrained(self.bias_constraint.as_ref()),
                ];
                let output = if self.return_sequences {
                    vec![*steps, Some(self.units)]
                } else {
                    vec![Some(self.units)]
                };
                Ok(Applied { output, weights })
            }
        }
    };
}

layer! {
    /// A [`GRU`](super::GRU) with `reset_after=True`; bias `[6 * units]`: z, r, h for the input, then for the state.
    CuDNNGRU, "Recurrent", "A gated recurrent unit as graphics cards run it; here it runs as a GRU";
    form {
        units: COUNT, "Units", "Size of the state, which is the number of outputs";
    }
    kwargs: true;
    config {
        /// Whether the output has every step or the last one only.
        return_sequences: bool = or(false),
        /// Whether the last states are outputs too, behind the first.
        return_state: bool = or(false),
        /// Whether the sequence is read from its end.
        go_backwards: bool = or(false),
        /// Whether a batch starts with the state that the batch before it left.
        stateful: bool = or(false),
        /// Size of the state, which is the number of outputs.
        units: usize = required(),
        /// How the kernel starts.
        kernel_initializer: Initializer = or(Initializer::glorot_uniform()),
        /// How the recurrent kernel starts.
        recurrent_initializer: Initializer = or(Initializer::orthogonal()),
        /// How the bias starts.
        bias_initializer: Initializer = or(Initializer::Zeros),
        /// Penalty on the kernel.
        kernel_regularizer: Option<Regularizer> = or(None),
        /// Penalty on the recurrent kernel.
        recurrent_regularizer: Option<Regularizer> = or(None),
        /// Penalty on the bias.
        bias_regularizer: Option<Regularizer> = or(None),
        /// Penalty on the outputs.
        activity_regularizer: Option<Regularizer> = or(None),
        /// Condition on the kernel.
        kernel_constraint: Option<Constraint> = or(None),
        /// Condition on the recurrent kernel.
        recurrent_constraint: Option<Constraint> = or(None),
        /// Condition on the bias.
        bias_constraint: Option<Constraint> = or(None),
    }
}
cudnn!(CuDNNGRU, gates: 3, ones: |_| None);

layer! {
    /// An [`LSTM`](super::LSTM); bias `[8 * units]`: i, f, c, o for the input, then for the state.
    CuDNNLSTM, "Recurrent", "Long short-term memory as graphics cards run it; here it runs as an LSTM";
    form {
        units: COUNT, "Units", "Size of the state, which is the number of outputs";
    }
    kwargs: true;
    config {
        /// Whether the output has every step or the last one only.
        return_sequences: bool = or(false),
        /// Whether the last states are outputs too, behind the first.
        return_state: bool = or(false),
        /// Whether the sequence is read from its end.
        go_backwards: bool = or(false),
        /// Whether a batch starts with the state that the batch before it left.
        stateful: bool = or(false),
        /// Size of the state, which is the number of outputs.
        units: usize = required(),
        /// How the kernel starts.
        kernel_initializer: Initializer = or(Initializer::glorot_uniform()),
        /// How the recurrent kernel starts.
        recurrent_initializer: Initializer = or(Initializer::orthogonal()),
        /// How the bias starts.
        bias_initializer: Initializer = or(Initializer::Zeros),
        /// Whether the forget gate's bias starts at one.
        unit_forget_bias: bool = or(true),
        /// Penalty on the kernel.
        kernel_regularizer: Option<Regularizer> = or(None),
        /// Penalty on the recurrent kernel.
        recurrent_regularizer: Option<Regularizer> = or(None),
        /// Penalty on the bias.
        bias_regularizer: Option<Regularizer> = or(None),
        /// Penalty on the outputs.
        activity_regularizer: Option<Regularizer> = or(None),
        /// Condition on the kernel.
        kernel_constraint: Option<Constraint> = or(None),
        /// Condition on the recurrent kernel.
        recurrent_constraint: Option<Constraint> = or(None),
        /// Condition on the bias.
        bias_constraint: Option<Constraint> = or(None),
    }
}
cudnn!(CuDNNLSTM, gates: 4, ones: |layer| {
    // The forget gate of the bias for the state.
    let start = layer.units.saturating_mul(5);
    layer.unit_forget_bias.then(|| start..start.saturating_add(layer.units))
});
