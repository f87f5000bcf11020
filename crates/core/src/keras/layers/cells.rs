//! Cells: what a recurrent layer does in one step. Keras keeps them to build recurrent layers with; alone in a model they compute
//! nothing, in Keras as here. They are declared so that a form that has one gets a helpful answer.

use super::Applied;
use super::arguments::{or, required};
use super::declare::{Rules, layer};
use super::spec::{COUNT, FormKind};
use crate::keras::activation::Activation;
use crate::keras::constraint::Constraint;
use crate::keras::field::{DataFormat, Padding};
use crate::keras::initializer::Initializer;
use crate::keras::regularizer::Regularizer;

/// A cell is refused, with the layer that is meant.
macro_rules! cell {
    ($Name:ident, $layer:literal) => {
        impl $Name {
            const REFUSED: &str = concat!(
                "a cell computes one step of a recurrent layer and cannot stand alone in a model; choose ",
                $layer,
                " instead"
            );
        }

        impl Rules for $Name {
            fn check(&self) -> Result<(), String> {
                Err(Self::REFUSED.into())
            }

            fn apply(&self, _: &[Option<usize>]) -> Result<Applied, String> {
                Err(Self::REFUSED.into())
            }
        }
    };
}

layer! {
    /// One step of a [`ConvLSTM2D`](super::ConvLSTM2D).
    ConvLSTM2DCell, "Recurrent", "One step of a ConvLSTM2D; not a layer of its own, choose ConvLSTM2D instead";
    form {
        filters: COUNT, "Filters", "Number of filters, which is the number of output channels";
        kernel_size: FormKind::Sizes(2), "Kernel size",
            "Height and width of the window, e.g. (3, 3) or 3 for both";
    }
    kwargs: true;
    config {
        /// Number of output channels.
        filters: usize = required(),
        /// Size of the window.
        kernel_size: [usize; 2] = required(),
        /// How far the window moves from one output to the next.
        strides: [usize; 2] = or([1, 1]),
        /// What happens at the borders.
        padding: Padding = or(Padding::Valid),
        /// Where the channels are.
        data_format: DataFormat = or(DataFormat::ChannelsLast),
        /// How far apart the points of the window are.
        dilation_rate: [usize; 2] = or([1, 1]),
        /// Applied to the state.
        activation: Activation = or(Activation::Tanh),
        /// Applied to the gates.
        recurrent_activation: Activation = or(Activation::HardSigmoid),
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
cell!(ConvLSTM2DCell, "ConvLSTM2D");

layer! {
    /// One step of a [`SimpleRNN`](super::SimpleRNN).
    SimpleRNNCell, "Recurrent", "One step of a SimpleRNN; not a layer of its own, choose SimpleRNN instead";
    form {
        units: COUNT, "Units", "Size of the state, which is the number of outputs";
    }
    kwargs: true;
    config {
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
cell!(SimpleRNNCell, "SimpleRNN");

layer! {
    /// One step of a [`GRU`](super::GRU).
    GRUCell, "Recurrent", "One step of a GRU; not a layer of its own, choose GRU instead";
    form {
        units: COUNT, "Units", "Size of the state, which is the number of outputs";
    }
    kwargs: true;
    config {
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
cell!(GRUCell, "GRU");

layer! {
    /// One step of an [`LSTM`](super::LSTM).
    LSTMCell, "Recurrent", "One step of an LSTM; not a layer of its own, choose LSTM instead";
    form {
        units: COUNT, "Units", "Size of the state, which is the number of outputs";
    }
    kwargs: true;
    config {
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
cell!(LSTMCell, "LSTM");
