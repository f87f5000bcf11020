//! Noise that is added in training.

use super::Applied;
use super::arguments::required;
use super::core::fraction;
use super::declare::{Rules, layer};
use super::spec::{FRACTION, FormKind};
use crate::keras::field::Number;

/// Noise leaves the shape as it is; `$check` is what is to be checked.
macro_rules! noise {
    ($Name:ident, $check:expr) => {
        impl Rules for $Name {
            fn check(&self) -> Result<(), String> {
                let check: fn(&Self) -> Result<(), String> = $check;
                check(self)
            }

            fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String> {
                Ok(Applied::output(input))
            }
        }
    };
}

layer! {
    /// In training, adds normally distributed noise with mean 0.
    GaussianNoise, "Noise", "Adds random numbers to its inputs during training, against overfitting";
    form {
        stddev: FormKind::Float { min: Some(0.0), max: None }, "Standard deviation", "How large the noise is";
    }
    kwargs: false;
    config {
        /// The noise's standard deviation.
        stddev: Number = required(),
    }
}
noise!(GaussianNoise, |layer| {
    if layer.stddev.get() < 0.0 {
        return Err(format!("stddev={}: must not be negative", layer.stddev));
    }
    Ok(())
});

layer! {
    /// In training, multiplies by normally distributed noise with mean 1 and variance `rate / (1 - rate)`.
    GaussianDropout, "Noise", "Multiplies its inputs by random numbers around 1 during training, against overfitting";
    form {
        rate: FRACTION, "Rate", "How large the noise is, as the part that Dropout would drop: from 0 to less than 1";
    }
    kwargs: false;
    config {
        /// The part that dropout with the same noise would drop, `0 <= rate < 1`.
        rate: Number = required(),
    }
}
noise!(GaussianDropout, |layer| fraction("rate", layer.rate.get()));

layer! {
    /// Dropout for SELU networks: in training, a random part becomes the negative saturation value, and mean and variance stay.
    AlphaDropout, "Noise", "Dropout that keeps mean and variance, for networks with selu activations";
    form {
        rate: FRACTION, "Rate", "Part of the inputs to drop, from 0 to less than 1";
    }
    kwargs: true;
    lost {
        noise_shape: Option<Vec<Option<usize>>> = None,
        seed: Option<i64> = None,
    }
    config {
        /// Part of the inputs that is dropped, `0 <= rate < 1`.
        rate: Number = required(),
    }
}
noise!(AlphaDropout, |layer| fraction("rate", layer.rate.get()));
