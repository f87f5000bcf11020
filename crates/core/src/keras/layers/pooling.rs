//! Pooling layers.

use super::Applied;
use super::arguments::{or, same_as};
use super::declare::{Rules, layer};
use super::spec::{COUNT, FormKind};
use crate::keras::field::{DataFormat, Padding};
use crate::keras::shape::Window;

/// The rules of the poolings, which differ in their number of axes only.
macro_rules! pooling {
    ($Name:ident, $axes:literal) => {
        impl Rules for $Name {
            fn check(&self) -> Result<(), String> {
                match self.padding {
                    Padding::Causal => Err("padding='causal' is for Conv1D only; expected 'valid' or 'same'".into()),
                    _ => Ok(()),
                }
            }

            fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String> {
                let window = Window {
                    what: "pooling window",
                    size: self.pool_size,
                    strides: self.strides,
                    dilation: [1; $axes],
                    padding: self.padding,
                    data_format: self.data_format,
                };
                let (sizes, channels) = window.slide(input)?;
                Ok(Applied::output(window.join(sizes, channels)))
            }
        }
    };
}

layer! {
    /// The largest of each window of steps.
    MaxPooling1D, "Pooling", "Keeps the largest value of each window of a sequence";
    form {
        pool_size: COUNT, "Pool size", "Length of the window";
        strides: COUNT, "Strides", "Steps from one window to the next; empty: the pool size";
    }
    kwargs: true;
    config {
        /// How far the window moves from one output to the next.
        strides: [usize; 1] = same_as("pool_size", [2]),
        /// Size of the window.
        pool_size: [usize; 1] = or([2]),
        /// What happens at the borders.
        padding: Padding = or(Padding::Valid),
        /// Where the channels are.
        data_format: DataFormat = or(DataFormat::ChannelsLast),
    }
}
pooling!(MaxPooling1D, 1);

layer! {
    /// The largest of each window of rows and columns.
    MaxPooling2D, "Pooling", "Keeps the largest value of each window of an image";
    form {
        pool_size: FormKind::Sizes(2), "Pool size", "Height and width of the window as a tuple, e.g. (2, 2)";
        strides: FormKind::Sizes(2), "Strides", "Rows and columns from one window to the next; empty: the pool size";
    }
    kwargs: true;
    config {
        /// Size of the window.
        pool_size: [usize; 2] = or([2, 2]),
        /// What happens at the borders.
        padding: Padding = or(Padding::Valid),
        /// How far the window moves from one output to the next.
        strides: [usize; 2] = same_as("pool_size", [2, 2]),
        /// Where the channels are.
        data_format: DataFormat = or(DataFormat::ChannelsLast),
    }
}
pooling!(MaxPooling2D, 2);

layer! {
    /// The mean of each window of steps.
    AveragePooling1D, "Pooling", "Takes the mean of each window of a sequence";
    form {
        pool_size: COUNT, "Pool size", "Length of the window";
        strides: COUNT, "Strides", "Steps from one window to the next; empty: the pool size";
    }
    kwargs: true;
    config {
        /// How far the window moves from one output to the next.
        strides: [usize; 1] = same_as("pool_size", [2]),
        /// Size of the window.
        pool_size: [usize; 1] = or([2]),
        /// What happens at the borders.
        padding: Padding = or(Padding::Valid),
        /// Where the channels are.
        data_format: DataFormat = or(DataFormat::ChannelsLast),
    }
}
pooling!(AveragePooling1D, 1);

layer! {
    /// The mean of each window of rows and columns.
    AveragePooling2D, "Pooling", "Takes the mean of each window of an image";
    form {
        pool_size: FormKind::Sizes(2), "Pool size", "Height and width of the window as a tuple, e.g. (2, 2)";
        strides: FormKind::Sizes(2), "Strides", "Rows and columns from one window to the next; empty: the pool size";
    }
    kwargs: true;
    config {
        /// Size of the window.
        pool_size: [usize; 2] = or([2, 2]),
        /// What happens at the borders.
        padding: Padding = or(Padding::Valid),
        /// How far the window moves from one output to the next.
        strides: [usize; 2] = same_as("pool_size", [2, 2]),
        /// Where the channels are.
        data_format: DataFormat = or(DataFormat::ChannelsLast),
    }
}
pooling!(AveragePooling2D, 2);

layer! {
    /// The largest of each window of planes, rows and columns.
    MaxPooling3D, "Pooling", "Keeps the largest value of each window of a volume";
    form {
        pool_size: FormKind::Sizes(3), "Pool size", "Depth, height and width of the window as a tuple, e.g. (2, 2, 2)";
        strides: FormKind::Sizes(3), "Strides", "Planes, rows and columns from one window to the next; empty: the pool size";
    }
    kwargs: true;
    config {
        /// Size of the window.
        pool_size: [usize; 3] = or([2, 2, 2]),
        /// What happens at the borders.
        padding: Padding = or(Padding::Valid),
        /// How far the window moves from one output to the next.
        strides: [usize; 3] = same_as("pool_size", [2, 2, 2]),
        /// Where the channels are.
        data_format: DataFormat = or(DataFormat::ChannelsLast),
    }
}
pooling!(MaxPooling3D, 3);

layer! {
    /// The mean of each window of planes, rows and columns.
    AveragePooling3D, "Pooling", "Takes the mean of each window of a volume";
    form {
        pool_size: FormKind::Sizes(3), "Pool size", "Depth, height and width of the window as a tuple, e.g. (2, 2, 2)";
        strides: FormKind::Sizes(3), "Strides", "Planes, rows and columns from one window to the next; empty: the pool size";
    }
    kwargs: true;
    config {
        /// Size of the window.
        pool_size: [usize; 3] = or([2, 2, 2]),
        /// What happens at the borders.
        padding: Padding = or(Padding::Valid),
        /// How far the window moves from one output to the next.
        strides: [usize; 3] = same_as("pool_size", [2, 2, 2]),
        /// Where the channels are.
        data_format: DataFormat = or(DataFormat::ChannelsLast),
    }
}
pooling!(AveragePooling3D, 3);
