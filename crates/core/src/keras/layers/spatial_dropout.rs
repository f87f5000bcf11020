//! Dropout of whole channels.

use super::Applied;
use super::arguments::{or, required};
use super::core::fraction;
use super::declare::{Rules, layer};
use super::spec::FRACTION;
use crate::keras::field::DataFormat;
use crate::keras::shape::split_channels;

/// The rules of the spatial dropouts, which differ in their number of axes only.
macro_rules! spatial_dropout {
    ($Name:ident, $axes:literal) => {
        impl Rules for $Name {
            fn check(&self) -> Result<(), String> {
                match self.noise_shape {
                    Some(_) => Err("noise_shape is fixed for a spatial dropout: whole channels; leave it out".into()),
                    None => fraction("rate", self.rate),
                }
            }

            fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String> {
                split_channels::<$axes>(input, DataFormat::ChannelsLast)?;
                Ok(Applied::output(input))
            }
        }
    };
}

layer! {
    /// In training, sets random channels to zero along all steps and scales the rest up to the same sum.
    SpatialDropout1D, "Core", "Sets random channels of a sequence to zero during training, against overfitting";
    form {
        rate: FRACTION, "Rate", "Part of the channels to drop, from 0 to less than 1";
    }
    kwargs: false;
    config {
        /// Part of the channels that is dropped, `0 <= rate < 1`.
        rate: f64 = required(),
        /// Not for spatial dropouts: it is whole channels.
        noise_shape: Option<Vec<Option<usize>>> = or(None),
        /// Seed of this layer's own random stream, if any.
        seed: Option<i64> = or(None),
    }
}
spatial_dropout!(SpatialDropout1D, 1);

layer! {
    /// In training, sets random channels to zero along all rows and columns and scales the rest up to the same sum.
    SpatialDropout2D, "Core", "Sets random channels of an image to zero during training, against overfitting";
    form {
        rate: FRACTION, "Rate", "Part of the channels to drop, from 0 to less than 1";
    }
    kwargs: true;
    lost {
        data_format: DataFormat = DataFormat::ChannelsLast,
    }
    config {
        /// Part of the channels that is dropped, `0 <= rate < 1`.
        rate: f64 = required(),
        /// Not for spatial dropouts: it is whole channels.
        noise_shape: Option<Vec<Option<usize>>> = or(None),
        /// Seed of this layer's own random stream, if any.
        seed: Option<i64> = or(None),
    }
}
spatial_dropout!(SpatialDropout2D, 2);

layer! {
    /// In training, sets random channels to zero along all planes, rows and columns and scales the rest up to the same sum.
    SpatialDropout3D, "Core", "Sets random channels of a volume to zero during training, against overfitting";
    form {
        rate: FRACTION, "Rate", "Part of the channels to drop, from 0 to less than 1";
    }
    kwargs: true;
    lost {
        data_format: DataFormat = DataFormat::ChannelsLast,
    }
    config {
        /// Part of the channels that is dropped, `0 <= rate < 1`.
        rate: f64 = required(),
        /// Not for spatial dropouts: it is whole channels.
        noise_shape: Option<Vec<Option<usize>>> = or(None),
        /// Seed of this layer's own random stream, if any.
        seed: Option<i64> = or(None),
    }
}
spatial_dropout!(SpatialDropout3D, 3);
