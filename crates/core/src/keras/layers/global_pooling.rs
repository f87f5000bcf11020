//! Pooling over everything but the channels.

use super::Applied;
use super::arguments::or;
use super::declare::{Rules, layer};
use super::spec::FormKind;
use crate::keras::field::DataFormat;
use crate::keras::shape::split_channels;

/// The rules of the global poolings.
macro_rules! global_pooling {
    ($Name:ident, $axes:literal) => {
        impl Rules for $Name {
            fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String> {
                let (_, channels) = split_channels::<$axes>(input, self.data_format)?;
                Ok(Applied::output([channels]))
            }
        }
    };
}

layer! {
    /// The largest of each channel over all steps.
    GlobalMaxPooling1D, "Pooling", "Keeps the largest value of each channel over the whole sequence";
    form { data_format: FormKind::Select(DataFormat::NAMES), "Data format", "Where the channel axis of the input is"; }
    kwargs: false;
    config {
        /// Where the channels are.
        data_format: DataFormat = or(DataFormat::ChannelsLast),
    }
}
global_pooling!(GlobalMaxPooling1D, 1);

layer! {
    /// The mean of each channel over all steps.
    GlobalAveragePooling1D, "Pooling", "Takes the mean of each channel over the whole sequence";
    form { data_format: FormKind::Select(DataFormat::NAMES), "Data format", "Where the channel axis of the input is"; }
    kwargs: false;
    config {
        /// Where the channels are.
        data_format: DataFormat = or(DataFormat::ChannelsLast),
    }
}
global_pooling!(GlobalAveragePooling1D, 1);

layer! {
    /// The largest of each channel over all rows and columns.
    GlobalMaxPooling2D, "Pooling", "Keeps the largest value of each channel over the whole image";
    form { data_format: FormKind::Select(DataFormat::NAMES), "Data format", "Where the channel axis of the input is"; }
    kwargs: false;
    config {
        /// Where the channels are.
        data_format: DataFormat = or(DataFormat::ChannelsLast),
    }
}
global_pooling!(GlobalMaxPooling2D, 2);

layer! {
    /// The mean of each channel over all rows and columns.
    GlobalAveragePooling2D, "Pooling", "Takes the mean of each channel over the whole image";
    form { data_format: FormKind::Select(DataFormat::NAMES), "Data format", "Where the channel axis of the input is"; }
    kwargs: false;
    config {
        /// Where the channels are.
        data_format: DataFormat = or(DataFormat::ChannelsLast),
    }
}
global_pooling!(GlobalAveragePooling2D, 2);

layer! {
    /// The largest of each channel over all planes, rows and columns.
    GlobalMaxPooling3D, "Pooling", "Keeps the largest value of each channel over the whole volume";
    form {
        data_format: FormKind::Select(DataFormat::NAMES), "Data format", "Where the channel axis of the input is";
    }
    kwargs: false;
    config {
        /// Where the channels are.
        data_format: DataFormat = or(DataFormat::ChannelsLast),
    }
}
global_pooling!(GlobalMaxPooling3D, 3);

layer! {
    /// The mean of each channel over all planes, rows and columns.
    GlobalAveragePooling3D, "Pooling", "Takes the mean of each channel over the whole volume";
    form {
        data_format: FormKind::Select(DataFormat::NAMES), "Data format", "Where the channel axis of the input is";
    }
    kwargs: false;
    config {
        /// Where the channels are.
        data_format: DataFormat = or(DataFormat::ChannelsLast),
    }
}
global_pooling!(GlobalAveragePooling3D, 3);
