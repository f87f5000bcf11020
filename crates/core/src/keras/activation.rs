//! Activation functions.

use crate::keras::field::{name_field, names};

names! {
    /// An activation function, by Keras's name; formulas as in Keras 2.3.1.
    Activation, "activation" {
        /// `x`
        Linear = "linear",
        /// `exp(x_i) / sum_j exp(x_j)` over the last axis.
        Softmax = "softmax",
        /// `x` if `x > 0`, else `exp(x) - 1`
        Elu = "elu",
        /// `1.0507 * elu(x)` with alpha 1.6733, to more digits.
        Selu = "selu",
        /// `ln(exp(x) + 1)`
        Softplus = "softplus",
        /// `x / (|x| + 1)`
        Softsign = "softsign",
        /// `max(x, 0)`
        Relu = "relu",
        /// `tanh(x)`
        Tanh = "tanh",
        /// `1 / (1 + exp(-x))`
        Sigmoid = "sigmoid",
        /// `0.2 x + 0.5`, cut to 0..1
        HardSigmoid = "hard_sigmoid",
        /// `exp(x)`
        Exponential = "exponential",
    }
}
// `activation=None` means none.
name_field!(Activation, none = Activation::Linear);
