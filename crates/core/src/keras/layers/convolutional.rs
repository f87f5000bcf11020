//! Convolutional layers.

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

/// Strides and dilation exclude each other, and only sequences have a direction in time.
pub(super) fn check_window<const N: usize>(window: &Window<N>) -> Result<(), String> {
    if window.strides.iter().any(|&stride| stride > 1) && window.dilation.iter().any(|&rate| rate > 1) {
        return Err("strides above 1 and dilation_rate above 1 cannot be combined; set one of them to 1".into());
    }
    match window.padding {
        Padding::Causal if N > 1 => Err("padding='causal' is for Conv1D only; expected 'valid' or 'same'".into()),
        Padding::Causal if window.data_format == DataFormat::ChannelsFirst => {
            Err("padding='causal' needs data_format='channels_last'".into())
        }
        _ => Ok(()),
    }
}

/// The rules of the convolutions, which differ in their number of axes only.
macro_rules! convolution {
    ($Name:ident, $axes:literal) => {
        impl $Name {
            fn window(&self) -> Window<$axes> {
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

        impl Rules for $Name {
            fn check(&self) -> Result<(), String> {
                check_window(&self.window())
            }

            fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String> {
                let window = self.window();
                let (sizes, channels) = window.slide(input)?;
                let channels = known(channels, "channels")?;
                let kernel = [&self.kernel_size[..], &[channels, self.filters]].concat();
                let mut weights = vec![
                    WeightSpec::new("kernel", kernel, &self.kernel_initializer)
                        .regularized(self.kernel_regularizer)
                        .constrained(self.kernel_constraint.as_ref()),
                ];
                if self.use_bias {
                    weights.push(
                        WeightSpec::new("bias", [self.filters], &self.bias_initializer)
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
    /// Convolution over steps; kernel `[steps, in, filters]`.
    Conv1D, "Convolutional", "Slides learned filters along the steps of a sequence";
    form {
        filters: COUNT, "Filters", "Number of filters, which is the number of output channels";
        kernel_size: FormKind::Sizes(1), "Kernel size",
            "Length of the window, e.g. 3";
        activation: FormKind::Select(Activation::NAMES), "Activation", "Function applied to each output";
    }
    kwargs: true;
    config {
        /// Number of output channels.
        filters: usize = required(),
        /// Size of the window.
        kernel_size: [usize; 1] = required(),
        /// How far the window moves from one output to the next.
        strides: [usize; 1] = or([1]),
        /// What happens at the borders.
        padding: Padding = or(Padding::Valid),
        /// Where the channels are.
        data_format: DataFormat = or(DataFormat::ChannelsLast),
        /// How far apart the points of the window are.
        dilation_rate: [usize; 1] = or([1]),
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
convolution!(Conv1D, 1);

layer! {
    /// Convolution over rows and columns; kernel `[rows, columns, in, filters]`.
    Conv2D, "Convolutional", "Slides learned filters over an image";
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
        /// How far apart the points of the window are.
        dilation_rate: [usize; 2] = or([1, 1]),
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
convolution!(Conv2D, 2);

layer! {
    /// Convolution over planes, rows and columns; kernel `[planes, rows, columns, in, filters]`.
    Conv3D, "Convolutional", "Slides learned filters over a volume, such as a stack of images";
    form {
        filters: COUNT, "Filters", "Number of filters, which is the number of output channels";
        kernel_size: FormKind::Sizes(3), "Kernel size",
            "Depth, height and width of the window, e.g. (3, 3, 3) or 3 for each";
        activation: FormKind::Select(Activation::NAMES), "Activation", "Function applied to each output";
    }
    kwargs: true;
    config {
        /// Number of output channels.
        filters: usize = required(),
        /// Size of the window.
        kernel_size: [usize; 3] = required(),
        /// How far the window moves from one output to the next.
        strides: [usize; 3] = or([1, 1, 1]),
        /// What happens at the borders.
        padding: Padding = or(Padding::Valid),
        /// Where the channels are.
        data_format: DataFormat = or(DataFormat::ChannelsLast),
        /// How far apart the points of the window are.
        dilation_rate: [usize; 3] = or([1, 1, 1]),
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
convolution!(Conv3D, 3);
