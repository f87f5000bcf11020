//! Locally connected layers: convolutions whose filters are different at every place.

use super::arguments::{or, required};
use super::declare::{Rules, layer};
use super::spec::{COUNT, FormKind};
use super::{Applied, WeightSpec};
use crate::keras::activation::Activation;
use crate::keras::constraint::Constraint;
use crate::keras::field::{DataFormat, Padding};
use crate::keras::initializer::Initializer;
use crate::keras::regularizer::Regularizer;
use crate::keras::shape::{Window, known};

/// The rules of the locally connected layers; `$data_format` says where the channels are.
macro_rules! locally_connected {
    ($Name:ident, $axes:literal, $data_format:expr) => {
        impl Rules for $Name {
            fn check(&self) -> Result<(), String> {
                match self.padding {
                    Padding::Valid => Ok(()),
                    _ => Err("only padding='valid' is possible for a locally connected layer".into()),
                }
            }

            fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String> {
                let data_format: fn(&Self) -> DataFormat = $data_format;
                let window = Window {
                    what: "kernel",
                    size: self.kernel_size,
                    strides: self.strides,
                    dilation: [1; $axes],
                    padding: self.padding,
                    data_format: data_format(self),
                };
                let (sizes, channels) = window.slide(input)?;
                let channels = known(channels, "channels")?;
                let places = sizes
                    .iter()
                    .map(|size| known(*size, "places along each axis, as each has weights of its own"))
                    .collect::<Result<Vec<_>, _>>()?;
                let covered = self
                    .kernel_size
                    .iter()
                    .fold(channels, |product, &size| product.saturating_mul(size));
                let number = places
                    .iter()
                    .fold(1_usize, |product, &size| product.saturating_mul(size));
                let mut weights = vec![
                    WeightSpec::new(
                        "kernel",
                        [number, covered, self.filters],
                        &self.kernel_initializer,
                    )
                    .regularized(self.kernel_regularizer)
                    .constrained(self.kernel_constraint.as_ref()),
                ];
                if self.use_bias {
                    let bias = [&places[..], &[self.filters]].concat();
                    weights.push(
                        WeightSpec::new("bias", bias, &self.bias_initializer)
                            .regularized(self.bias_regularizer)
                            .constrained(self.bias_constraint.as_ref()),
                    );
                }
                Ok(Applied {
                    output: window.join(sizes, Some(self.filters)),
                    weights,
                })
            }
        }
    };
}

layer! {
    /// A convolution over steps with a kernel for each output step: `[steps out, window * in, filters]`, bias `[steps out, filters]`.
    LocallyConnected1D, "Locally_connected", "Like Conv1D, but with filters of its own at every place of the sequence";
    form {
        filters: COUNT, "Filters", "Number of filters, which is the number of output channels";
        kernel_size: FormKind::Sizes(1), "Kernel size",
            "Length of the window, e.g. 3";
        activation: FormKind::Select(Activation::NAMES), "Activation", "Function applied to each output";
    }
    kwargs: true;
    lost {
        data_format: DataFormat = DataFormat::ChannelsLast,
    }
    config {
        /// Number of output channels.
        filters: usize = required(),
        /// Size of the window.
        kernel_size: [usize; 1] = required(),
        /// How far the window moves from one output to the next.
        strides: [usize; 1] = or([1]),
        /// What happens at the borders.
        padding: Padding = or(Padding::Valid),
        /// Applied to the outputs.
        activation: Activation = or(Activation::Linear),
        /// Whether a bias is added to each output channel.
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
locally_connected!(LocallyConnected1D, 1, |_| DataFormat::ChannelsLast);

layer! {
    /// A convolution over rows and columns with a kernel for each output place: `[places, window * in, filters]`, bias `[rows out, columns out, filters]`.
    LocallyConnected2D, "Locally_connected", "Like Conv2D, but with filters of its own at every place of the image";
    form {
        filters: COUNT, "Filters", "Number of filters, which is the number of output channels";
        kernel_size: FormKind::Sizes(2), "Kernel size",
            "Height and width of the window, e.g. (3, 3) or 3 for both";
        activation: FormKind::Select(Activation::NAMES), "Activation", "Function applied to each output";
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
        /// Applied to the outputs.
        activation: Activation = or(Activation::Linear),
        /// Whether a bias is added to each output channel.
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
locally_connected!(LocallyConnected2D, 2, |layer| layer.data_format);
