//! Transposed convolutions, which make images and volumes larger.

use super::arguments::{or, required};
use super::declare::{Rules, layer};
use super::spec::{COUNT, FormKind};
use super::{Applied, WeightSpec};
use crate::keras::activation::Activation;
use crate::keras::constraint::Constraint;
use crate::keras::field::{DataFormat, Padded, Padding};
use crate::keras::initializer::Initializer;
use crate::keras::regularizer::Regularizer;
use crate::keras::shape::{Shape, known, split_channels};

/// The size that a transposed convolution makes of `size`; Keras's `deconv_length`. `None` if nothing remains.
fn widened(
    size: usize,
    stride: usize,
    kernel: usize,
    dilation: usize,
    padding: Padding,
    extra: Option<usize>,
) -> Option<usize> {
    let kernel = (kernel - 1).saturating_mul(dilation).saturating_add(1);
    let moved = |times: usize| times.saturating_mul(stride);
    match (extra, padding) {
        (None, Padding::Valid | Padding::Causal) => Some(moved(size).saturating_add(kernel.saturating_sub(stride))),
        (None, Padding::Same) => Some(moved(size)),
        (Some(extra), padding) => {
            let cut = if padding == Padding::Same { kernel / 2 * 2 } else { 0 };
            moved(size.checked_sub(1)?)
                .saturating_add(kernel)
                .saturating_add(extra)
                .checked_sub(cut)
        }
    }
    .filter(|&size| size > 0)
}

/// The rules of the transposed convolutions; `$dilation` says how far apart the points of the window are.
macro_rules! transposed {
    ($Name:ident, $axes:literal, $dilation:expr) => {
        impl Rules for $Name {
            fn check(&self) -> Result<(), String> {
                let dilation: fn(&Self) -> [usize; $axes] = $dilation;
                if self.strides.iter().any(|&stride| stride > 1) && dilation(self).iter().any(|&rate| rate > 1) {
                    return Err(
                        "strides above 1 and dilation_rate above 1 cannot be combined; set one of them to 1".into(),
                    );
                }
                // Keras's own kernel for it spreads the window alike along both axes.
                if dilation(self).windows(2).any(|pair| pair[0] != pair[1]) {
                    return Err(
                        "dilation_rate must be the same along both axes of a transposed convolution, e.g. 2".into(),
                    );
                }
                if self.padding == Padding::Causal {
                    return Err("padding='causal' is for Conv1D only; expected 'valid' or 'same'".into());
                }
                if let Some(Padded(extra)) = self.output_padding
                    && extra
                        .iter()
                        .zip(&self.strides)
                        .any(|(extra, stride)| extra >= stride)
                {
                    return Err("output_padding must be less than strides along each axis".into());
                }
                Ok(())
            }

            fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String> {
                let (sizes, channels) = split_channels::<$axes>(input, self.data_format)?;
                let channels = known(channels, "channels")?;
                let dilation: fn(&Self) -> [usize; $axes] = $dilation;
                let dilation = dilation(self);
                let mut output: Shape = Vec::with_capacity($axes + 1);
                for axis in 0..$axes {
                    let extra = self.output_padding.map(|Padded(extra)| extra[axis]);
                    output.push(match sizes[axis] {
                        None => None,
                        Some(size) => Some(
                            widened(
                                size,
                                self.strides[axis],
                                self.kernel_size[axis],
                                dilation[axis],
                                self.padding,
                                extra,
                            )
                            .ok_or("nothing would be left of it; use padding='valid' or no output_padding")?,
                        ),
                    });
                }
                match self.data_format {
                    DataFormat::ChannelsLast => output.push(Some(self.filters)),
                    DataFormat::ChannelsFirst => output.insert(0, Some(self.filters)),
                }
                // Input and output have changed their places: `[window..., filters, in]`.
                let kernel = [&self.kernel_size[..], &[self.filters, channels]].concat();
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
                Ok(Applied { output, weights })
            }
        }
    };
}

layer! {
    /// The transpose of a convolution over rows and columns; kernel `[rows, columns, filters, in]`.
    Conv2DTranspose, "Convolutional", "The way back from a convolution: makes an image larger with learned filters";
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
        /// What is added to one side of each axis of the output; less than the strides.
        output_padding: Option<Padded<2>> = or(None),
    }
}
transposed!(Conv2DTranspose, 2, |layer| layer.dilation_rate);

layer! {
    /// The transpose of a convolution over planes, rows and columns; kernel `[planes, rows, columns, filters, in]`.
    Conv3DTranspose, "Convolutional", "The way back from a convolution: makes a volume larger with learned filters";
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
        /// What is added to one side of each axis of the output; less than the strides.
        output_padding: Option<Padded<3>> = or(None),
    }
}
transposed!(Conv3DTranspose, 3, |_| [1; 3]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_keras_s_deconv_length() {
        // keras.utils.conv_utils.deconv_length(dim, stride, kernel, padding, output_padding, dilation), Keras 2.3.1
        let (valid, same) = (Padding::Valid, Padding::Same);
        let cases = [
            ((4, 1, 3, 1, valid, None), 6),
            ((4, 2, 3, 1, valid, None), 9),
            ((4, 3, 2, 1, valid, None), 12),
            ((4, 2, 3, 1, same, None), 8),
            ((4, 1, 3, 2, valid, None), 8),
            ((4, 2, 3, 1, same, Some(0)), 7),
            ((4, 2, 3, 1, same, Some(1)), 8),
            ((4, 3, 4, 1, valid, Some(2)), 15),
        ];
        for ((size, stride, kernel, dilation, padding, extra), expected) in cases {
            assert_eq!(widened(size, stride, kernel, dilation, padding, extra), Some(expected));
        }
        assert_eq!(widened(1, 1, 2, 1, same, Some(0)), None);
    }
}
