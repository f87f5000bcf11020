//! Recurrent layers.

use super::arguments::{or, required};
use super::core::fraction;
use super::declare::{Rules, layer};
use super::spec::COUNT;
use super::{Applied, WeightSpec};
use crate::keras::activation::Activation;
use crate::keras::constraint::Constraint;
use crate::keras::initializer::Initializer;
use crate::keras::regularizer::Regularizer;
use crate::keras::shape::known;

/// The rules that recurrent layers share; `$gates` is how many times the units the weights are wide, `$bias` the bias weight and
/// `$check` what else is to be checked.
macro_rules! recurrent {
    ($Name:ident, gates: $gates:literal, bias: $bias:expr, check: $check:expr) => {
        impl Rules for $Name {
            fn check(&self) -> Result<(), String> {
                fraction("dropout", self.dropout)?;
                fraction("recurrent_dropout", self.recurrent_dropout)?;
                let check: fn(&Self) -> Result<(), String> = $check;
                check(self)
            }

            fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String> {
                let [steps, features] = input else {
                    return Err(NOT_A_SEQUENCE.into());
                };
                let features = known(*features, "features")?;
                if self.unroll && steps.is_none() {
                    return Err("unroll=True needs to know the number of steps; give it in the input shape".into());
                }
                let width = self.units.saturating_mul($gates);
                let mut weights = vec![
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
                ];
                if self.use_bias {
                    let bias: fn(&Self, usize) -> WeightSpec = $bias;
                    weights.push(
                        bias(self, width)
                            .regularized(self.bias_regularizer)
                            .constrained(self.bias_constraint.as_ref()),
                    );
                }
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

/// What is said of an input that is no sequence.
pub(super) const NOT_A_SEQUENCE: &str = "needs 2 axes (steps, features); an Embedding or a Reshape layer before it can make them, or \
                                         return_sequences=True in a recurrent layer before it";

fn check_implementation(implementation: usize) -> Result<(), String> {
    match implementation {
        1 | 2 => Ok(()),
        other => Err(format!("implementation={other}: expected 1 or 2")),
    }
}

layer! {
    /// `state = activation(input . kernel + state . recurrent_kernel + bias)`, step by step.
    SimpleRNN, "Recurrent", "A simple recurrent layer: its output is fed back as input of the next step";
    form { units: COUNT, "Units", "Size of the state, which is the number of outputs"; }
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
        /// How Keras arranges the loop; the results are the same.
        unroll: bool = or(false),
        /// Size of the state, which is the number of outputs.
        units: usize = required(),
        /// Applied to the state.
        activation: Activation = or(Activation::Tanh),
        /// Whether a bias is added.
        use_bias: bool = or(true),
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
        /// Part of the inputs that is dropped in training.
        dropout: f64 = or(0.0),
        /// Part of the state that is dropped in training.
        recurrent_dropout: f64 = or(0.0),
    }
}
recurrent!(
    SimpleRNN,
    gates: 1,
    bias: |layer, width| WeightSpec::new("bias", [width], &layer.bias_initializer),
    check: |_| Ok(())
);

layer! {
    /// Gated recurrent unit (Cho et al. 2014); gates in the order z (update), r (reset), h (candidate).
    GRU, "Recurrent", "A gated recurrent unit: a recurrent layer that learns what to keep from step to step";
    form { units: COUNT, "Units", "Size of the state, which is the number of outputs"; }
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
        /// How Keras arranges the loop; the results are the same.
        unroll: bool = or(false),
        /// Size of the state, which is the number of outputs.
        units: usize = required(),
        /// Applied to the state.
        activation: Activation = or(Activation::Tanh),
        /// Applied to the gates.
        recurrent_activation: Activation = or(Activation::Sigmoid),
        /// Whether a bias is added.
        use_bias: bool = or(true),
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
        /// Part of the inputs that is dropped in training.
        dropout: f64 = or(0.0),
        /// Part of the state that is dropped in training.
        recurrent_dropout: f64 = or(0.0),
        /// 1 or 2: how Keras arranges the products; the results are the same.
        implementation: usize = or(2),
        /// Whether the reset gate acts after the recurrent product (then there are two biases) or before it.
        reset_after: bool = or(false),
    }
}
recurrent!(
    GRU,
    gates: 3,
    bias: |layer, width| {
        // Reset after the product: one bias for the input, one for the state.
        let shape = if layer.reset_after { vec![2, width] } else { vec![width] };
        WeightSpec::new("bias", shape, &layer.bias_initializer)
    },
    check: |layer| check_implementation(layer.implementation)
);

layer! {
    /// Long short-term memory (Hochreiter and Schmidhuber 1997); gates in the order i (input), f (forget), c (cell), o (output).
    LSTM, "Recurrent", "Long short-term memory: a recurrent layer that remembers over many steps";
    form { units: COUNT, "Units", "Size of the state, which is the number of outputs"; }
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
        /// How Keras arranges the loop; the results are the same.
        unroll: bool = or(false),
        /// Size of the state, which is the number of outputs.
        units: usize = required(),
        /// Applied to the state.
        activation: Activation = or(Activation::Tanh),
        /// Applied to the gates.
        recurrent_activation: Activation = or(Activation::Sigmoid),
        /// Whether a bias is added.
        use_bias: bool = or(true),
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
        /// Part of the inputs that is dropped in training.
        dropout: f64 = or(0.0),
        /// Part of the state that is dropped in training.
        recurrent_dropout: f64 = or(0.0),
        /// 1 or 2: how Keras arranges the products; the results are the same.
        implementation: usize = or(2),
    }
}
recurrent!(
    LSTM,
    gates: 4,
    bias: |layer, width| {
        let ones = layer.unit_forget_bias.then(|| layer.units..layer.units.saturating_mul(2));
        WeightSpec { ones, ..WeightSpec::new("bias", [width], &layer.bias_initializer) }
    },
    check: |layer| check_implementation(layer.implementation)
);
