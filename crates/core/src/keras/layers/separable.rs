//! Convolutions in which each channel has filters of its own.

use super::arguments::{or, required};
use super::convolutional::check_window;
use super::declare::{Rules, layer};
use super::spec::{COUNT, FormKind};
use super::{Applied, WeightSpec};
use crate::keras::activation::Activation;
use crate::keras::constraint::Constraint;
use crate::keras::field::{DataFormat, Padding};
use crate::keras::initializer::Initializer;
use crate::keras::regularizer::Regularizer;
use crate::keras::shape::{Window, known};

/// The rules of the separable convolutions, which differ in their number of axes only.
macro_rules! separable {
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
                let depthwise = [&self.kernel_size[..], &[channels, self.depth_multiplier]].concat();
                let between = channels.saturating_mul(self.depth_multiplier);
                let pointwise = [&[1; $axes][..], &[between, self.filters]].concat();
                let mut weights = vec![
                    WeightSpec::new("depthwise_kernel", depthwise, &self.depthwise_initializer)
                        .regularized(self.depthwise_regularizer)
                        .constrained(self.depthwise_constraint.as_ref()),
                    WeightSpec::new("pointwise_kernel", pointwise, &self.pointwise_initializer)
                        .regularized(self.pointwise_regularizer)
                        .constrained(self.pointwise_constraint.as_ref()),
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
    /// A convolution of each channel by itself, then a mix of the channels; kernels `[steps, in, multiplier]` and `[1, in * multiplier, filters]`.
    SeparableConv1D, "Convolutional", "Slides filters along each channel of a sequence by itself, then mixes the channels: fewer weights than Conv1D";
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
        /// How the bias starts.
        bias_initializer: Initializer = or(Initializer::Zeros),
        /// Penalty on the bias.
        bias_regularizer: Option<Regularizer> = or(None),
        /// Penalty on the outputs.
        activity_regularizer: Option<Regularizer> = or(None),
        /// Condition on the bias.
        bias_constraint: Option<Constraint> = or(None),
        /// Number of outputs of each input channel's own filters.
        depth_multiplier: usize = or(1),
        /// How the depthwise kernel starts.
        depthwise_initializer: Initializer = or(Initializer::glorot_uniform()),
        /// How the pointwise kernel starts.
        pointwise_initializer: Initializer = or(Initializer::glorot_uniform()),
        /// Penalty on the depthwise kernel.
        depthwise_regularizer: Option<Regularizer> = or(None),
        /// Penalty on the pointwise kernel.
        pointwise_regularizer: Option<Regularizer> = or(None),
        /// Condition on the depthwise kernel.
        depthwise_constraint: Option<Constraint> = or(None),
        /// Condition on the pointwise kernel.
        pointwise_constraint: Option<Constraint> = or(None),
    }
}
separable!(SeparableConv1D, 1);

layer! {
    /// A convolution of each channel by itself, then a mix of the channels; kernels `[rows, columns, in, multiplier]` and `[1, 1, in * multiplier, filters]`.
    SeparableConv2D, "Convolutional", "Slides filters over each channel of an image by itself, then mixes the channels: fewer weights than Conv2D";
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
        /// How the bias starts.
        bias_initializer: Initializer = or(Initializer::Zeros),
        /// Penalty on the bias.
        bias_regularizer: Option<Regularizer> = or(None),
        /// Penalty on the outputs.
        activity_regularizer: Option<Regularizer> = or(None),
        /// Condition on the bias.
        bias_constraint: Option<Constraint> = or(None),
        /// Number of outputs of each input channel's own filters.
        depth_multiplier: usize = or(1),
        /// How the depthwise kernel starts.
        depthwise_initializer: Initializer = or(Initializer::glorot_uniform()),
        /// How the pointwise kernel starts.
        pointwise_initializer: Initializer = or(Initializer::glorot_uniform()),
        /// Penalty on the depthwise kernel.
        depthwise_regularizer: Option<Regularizer> = or(None),
        /// Penalty on the pointwise kernel.
        pointwise_regularizer: Option<Regularizer> = or(None),
        /// Condition on the depthwise kernel.
        depthwise_constraint: Option<Constraint> = or(None),
        /// Condition on the pointwise kernel.
        pointwise_constraint: Option<Constraint> = or(None),
    }
}
separable!(SeparableConv2D, 2);

layer! {
    /// A convolution of each channel by itself; kernel `[rows, columns, in, multiplier]`.
    DepthwiseConv2D, "Convolutional", "Slides filters over each channel of an image by itself, without mixing the channels";
    form {
        kernel_size: FormKind::Sizes(2), "Kernel size",
            "Height and width of the window, e.g. (3, 3) or 3 for both";
        activation: FormKind::Select(Activation::NAMES), "Activation", "Function applied to each output";
    }
    kwargs: true;
    config {
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
        /// How the bias starts.
        bias_initializer: Initializer = or(Initializer::Zeros),
        /// Penalty on the bias.
        bias_regularizer: Option<Regularizer> = or(None),
        /// Penalty on the outputs.
        activity_regularizer: Option<Regularizer> = or(None),
        /// Condition on the bias.
        bias_constraint: Option<Constraint> = or(None),
        /// Number of outputs of each input channel's own filters.
        depth_multiplier: usize = or(1),
        /// How the depthwise kernel starts.
        depthwise_initializer: Initializer = or(Initializer::glorot_uniform()),
        /// Penalty on the depthwise kernel.
        depthwise_regularizer: Option<Regularizer> = or(None),
        /// Condition on the depthwise kernel.
        depthwise_constraint: Option<Constraint> = or(None),
    }
}

impl DepthwiseConv2D {
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

impl Rules for DepthwiseConv2D {
    fn check(&self) -> Result<(), String> {
        check_window(&self.window())
    }

    fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String> {
        let window = self.window();
        let (sizes, channels) = window.slide(input)?;
        let channels = known(channels, "channels")?;
        let outputs = channels.saturating_mul(self.depth_multiplier);
        let kernel = [&self.kernel_size[..], &[channels, self.depth_multiplier]].concat();
        let mut weights = vec![
            WeightSpec::new("depthwise_kernel", kernel, &self.depthwise_initializer)
                .regularized(self.depthwise_regularizer)
                .constrained(self.depthwise_constraint.as_ref()),
        ];
        if self.use_bias {
            weights.push(
                WeightSpec::new("bias", [outputs], &self.bias_initializer)
                    .regularized(self.bias_regularizer)
                    .constrained(self.bias_constraint.as_ref()),
            );
        }
        Ok(Applied {
            output: window.join(sizes, Some(outputs)),
            weights,
        })
    }
}
