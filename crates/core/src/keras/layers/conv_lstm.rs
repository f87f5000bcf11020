//! The convolutional recurrent layer.

use super::arguments::{or, required};
use super::convolutional::check_window;
use super::core::fraction;
use super::declare::{Rules, layer};
use super::spec::{COUNT, FormKind};
use super::{Applied, WeightSpec};
use crate::keras::activation::Activation;
use crate::keras::constraint::Constraint;
use crate::keras::field::{DataFormat, Padding};
use crate::keras::initializer::Initializer;
use crate::keras::regularizer::Regularizer;
use crate::keras::shape::{Window, known};

layer! {
    /// An LSTM whose products are convolutions (Shi et al. 2015); input `[batch, steps, rows, columns, in]`, gates i, f, c, o; kernel `[rows, columns, in, 4 * filters]`, recurrent kernel `[rows, columns, filters, 4 * filters]`.
    ConvLSTM2D, "Recurrent", "Long short-term memory for sequences of images, such as films";
    form {
        filters: COUNT, "Filters", "Number of filters, which is the number of output channels";
        kernel_size: FormKind::Sizes(2), "Kernel size",
            "Height and width of the window, e.g. (3, 3) or 3 for both";
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
        /// How Keras arranges the loop; the results are the same.
        unroll: bool = or(false),
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

impl ConvLSTM2D {
    /// The window that slides over the input of each step.
    fn window(&self) -> Window<2> {
        Window {
            what: "kernel",
            size: self.kernel_size,
            strides: self.strides,
            dilation: self.dilation_rate,
            padding: self.padding,
            data_format: self.data_format,
        }
    }
}

impl Rules for ConvLSTM2D {
    fn check(&self) -> Result<(), String> {
        if self.unroll {
            return Err("unroll=True is not possible for a convolutional recurrent layer; remove it".into());
        }
        if self.data_format == DataFormat::ChannelsFirst
            && [self.activation, self.recurrent_activation].contains(&Activation::Softmax)
        {
            return Err(
                "softmax is taken along the last axis, which data_format='channels_first' makes the columns: this is not supported; \
                 choose another activation, or data_format='channels_last'"
                    .into(),
            );
        }
        fraction("dropout", self.dropout)?;
        fraction("recurrent_dropout", self.recurrent_dropout)?;
        check_window(&self.window())
    }

    fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String> {
        let Some((steps, image)) = input.split_first().filter(|(_, image)| image.len() == 3) else {
            return Err(match self.data_format {
                DataFormat::ChannelsLast => "needs 4 axes (steps, rows, columns, channels)",
                DataFormat::ChannelsFirst => "needs 4 axes (steps, channels, rows, columns)",
            }
            .to_owned()
                + "; a Reshape layer before it can make them");
        };
        let window = self.window();
        let (sizes, channels) = window.slide(image)?;
        let channels = known(channels, "channels")?;
        let width = self.filters.saturating_mul(4);
        let kernel = |inputs: usize| [&self.kernel_size[..], &[inputs, width]].concat();
        let mut weights = vec![
            WeightSpec::new("kernel", kernel(channels), &self.kernel_initializer)
                .regularized(self.kernel_regularizer)
                .constrained(self.kernel_constraint.as_ref()),
            WeightSpec::new("recurrent_kernel", kernel(self.filters), &self.recurrent_initializer)
                .regularized(self.recurrent_regularizer)
                .constrained(self.recurrent_constraint.as_ref()),
        ];
        if self.use_bias {
            let forget = self.filters..self.filters.saturating_mul(2);
            let bias = WeightSpec {
                ones: self.unit_forget_bias.then_some(forget),
                ..WeightSpec::new("bias", [width], &self.bias_initializer)
            };
            weights.push(
                bias.regularized(self.bias_regularizer)
                    .constrained(self.bias_constraint.as_ref()),
            );
        }
        let mut output = window.join(sizes, Some(self.filters));
        if self.return_sequences {
            output.insert(0, *steps);
        }
        Ok(Applied { output, weights })
    }
}
