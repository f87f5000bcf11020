//! How weights start.

use serde_json::{Value, json};

use crate::keras::field::{Field, Number, name_field, names};
use crate::keras::literal::Literal;
use crate::keras::object::{Object, literal_of_text};

/// A weight initializer, as Keras 2.3.1 serialises it: the Glorot, He and `LeCun` ones are kinds of variance scaling.
#[derive(Debug, Clone, PartialEq)]
pub enum Initializer {
    /// All 0.
    Zeros,
    /// All 1.
    Ones,
    /// All `value`.
    Constant {
        /// The value.
        value: Number,
    },
    /// Normal distribution.
    RandomNormal {
        /// Its mean.
        mean: Number,
        /// Its standard deviation.
        stddev: Number,
        /// The seed of this weight's own random stream, if any.
        seed: Option<i64>,
    },
    /// Uniform distribution over `minval..maxval`.
    RandomUniform {
        /// Lower end.
        minval: Number,
        /// Upper end.
        maxval: Number,
        /// The seed of this weight's own random stream, if any.
        seed: Option<i64>,
    },
    /// Normal distribution without what lies more than two standard deviations from the mean.
    TruncatedNormal {
        /// Its mean before truncation.
        mean: Number,
        /// Its standard deviation before truncation.
        stddev: Number,
        /// The seed of this weight's own random stream, if any.
        seed: Option<i64>,
    },
    /// Variance `scale / n`, n being the number of inputs, outputs or their mean.
    VarianceScaling {
        /// The variance's numerator.
        scale: Number,
        /// What n is.
        mode: FanMode,
        /// The distribution.
        distribution: Distribution,
        /// The seed of this weight's own random stream, if any.
        seed: Option<i64>,
    },
    /// A random orthogonal matrix times `gain`.
    Orthogonal {
        /// Factor of the matrix.
        gain: Number,
        /// The seed of this weight's own random stream, if any.
        seed: Option<i64>,
    },
    /// The identity matrix times `gain`.
    Identity {
        /// Factor of the matrix.
        gain: Number,
    },
}

names! {
    /// What a variance is divided by.
    FanMode, "mode" {
        /// The number of inputs of a unit.
        FanIn = "fan_in",
        /// The number of outputs of a unit.
        FanOut = "fan_out",
        /// The mean of both.
        FanAvg = "fan_avg",
    }
}
name_field!(FanMode);

names! {
    /// The distribution of a variance scaling initializer.
    Distribution, "distribution" {
        /// Normal, cut at two standard deviations and widened by 1 / 0.87962566103423978 to have the variance nevertheless.
        Normal = "normal",
        /// Uniform between plus and minus the square root of three times the variance.
        Uniform = "uniform",
        /// Normal, not cut (newer Keras only).
        UntruncatedNormal = "untruncated_normal",
    }
}

impl Field for Distribution {
    fn expected() -> String {
        crate::keras::field::one_of(Self::NAMES)
    }

    fn from_literal(literal: &Literal) -> Result<Self, String> {
        match literal {
            // Newer Keras says what `normal` always was.
            Literal::Str(name) if name == "truncated_normal" => Ok(Self::Normal),
            Literal::Str(name) => Self::from_name(name),
            _ => Err(crate::keras::field::mismatch::<Self>()),
        }
    }

    fn to_json(&self) -> Value {
        Value::from(self.name())
    }
}

/// The forms' names of the initializers, in order.
pub const NAMES: &[&str] = &[
    "zeros",
    "ones",
    "constant",
    "random_normal",
    "random_uniform",
    "truncated_normal",
    "orthogonal",
    "identity",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
];

impl Initializer {
    /// `glorot_uniform`, the default of kernels.
    #[must_use]
    pub fn glorot_uniform() -> Self {
        Self::scaling(1.0, FanMode::FanAvg, Distribution::Uniform, None)
    }

    /// `orthogonal`, the default of recurrent kernels.
    #[must_use]
    pub fn orthogonal() -> Self {
        Self::Orthogonal {
            gain: Number::Float(1.0),
            seed: None,
        }
    }

    /// `uniform`, the default of embeddings.
    #[must_use]
    pub fn uniform() -> Self {
        Self::RandomUniform {
            minval: Number::Float(-0.05),
            maxval: Number::Float(0.05),
            seed: None,
        }
    }

    fn scaling(scale: f64, mode: FanMode, distribution: Distribution, seed: Option<i64>) -> Self {
        Self::VarianceScaling {
            scale: Number::Float(scale),
            mode,
            distribution,
            seed,
        }
    }

    /// Counts the seed up, if there is one.
    pub fn advance_seed(&mut self, by: i64) {
        match self {
            Self::RandomNormal { seed, .. }
            | Self::RandomUniform { seed, .. }
            | Self::TruncatedNormal { seed, .. }
            | Self::VarianceScaling { seed, .. }
            | Self::Orthogonal { seed, .. } => *seed = seed.map(|seed| seed.saturating_add(by)),
            Self::Zeros | Self::Ones | Self::Constant { .. } | Self::Identity { .. } => {}
        }
    }

    /// The number of inputs and outputs of a unit for a weight of this shape, as Keras counts them for variance scaling.
    ///
    /// Matrices are `[in, out]`, convolution kernels `[window..., in, out]`; other shapes count the square root of their size.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "weights have far fewer than 2^53 numbers")]
    pub fn fans(shape: &[usize]) -> (f64, f64) {
        match shape {
            [window @ .., fan_in, fan_out] if window.len() <= 3 => {
                let window: f64 = window.iter().map(|&size| size as f64).product();
                (*fan_in as f64 * window, *fan_out as f64 * window)
            }
            _ => {
                let size: f64 = shape.iter().map(|&size| size as f64).product();
                (size.sqrt(), size.sqrt())
            }
        }
    }
}

impl Field for Initializer {
    fn expected() -> String {
        "an initializer such as 'he_normal' or RandomNormal(stddev=0.01)".into()
    }

    fn from_literal(literal: &Literal) -> Result<Self, String> {
        use Distribution::{Normal, Uniform};
        use FanMode::{FanAvg, FanIn};
        let mut object = Object::read(literal, "initializer")?;
        let (zero, small, one) = (Number::Float(0.0), Number::Float(0.05), Number::Float(1.0));
        // Function names and, from Keras 2.10 on, class names of the same thing.
        match object.name().to_owned().as_str() {
            "glorot_uniform" | "GlorotUniform" => scaled(object, 1.0, FanAvg, Uniform),
            "glorot_normal" | "GlorotNormal" => scaled(object, 1.0, FanAvg, Normal),
            "he_uniform" | "HeUniform" => scaled(object, 2.0, FanIn, Uniform),
            "he_normal" | "HeNormal" => scaled(object, 2.0, FanIn, Normal),
            "lecun_uniform" | "LecunUniform" => scaled(object, 1.0, FanIn, Uniform),
            "lecun_normal" | "LecunNormal" => scaled(object, 1.0, FanIn, Normal),
            "zeros" | "zero" | "Zeros" | "Zero" => object.bind(&[]).map(|()| Self::Zeros),
            "ones" | "one" | "Ones" | "One" => object.bind(&[]).map(|()| Self::Ones),
            "constant" | "Constant" => {
                object.bind(&["value"])?;
                Ok(Self::Constant {
                    value: object.take("value", Number::Int(0))?,
                })
            }
            "random_normal" | "normal" | "RandomNormal" => {
                object.bind(&["mean", "stddev", "seed"])?;
                Ok(Self::RandomNormal {
                    mean: object.take("mean", zero)?,
                    stddev: stddev(&mut object, small)?,
                    seed: object.take("seed", None)?,
                })
            }
            "random_uniform" | "uniform" | "RandomUniform" => {
                object.bind(&["minval", "maxval", "seed"])?;
                let minval = object.take("minval", Number::Float(-0.05))?;
                let maxval = object.take("maxval", small)?;
                if minval.get() > maxval.get() {
                    return Err(format!("minval {minval} is above maxval {maxval}"));
                }
                Ok(Self::RandomUniform {
                    minval,
                    maxval,
                    seed: object.take("seed", None)?,
                })
            }
            "truncated_normal" | "TruncatedNormal" => {
                object.bind(&["mean", "stddev", "seed"])?;
                Ok(Self::TruncatedNormal {
                    mean: object.take("mean", zero)?,
                    stddev: stddev(&mut object, small)?,
                    seed: object.take("seed", None)?,
                })
            }
            "VarianceScaling" | "variance_scaling" => {
                object.bind(&["scale", "mode", "distribution", "seed"])?;
                let scale = object.take("scale", one)?;
                if scale.get() <= 0.0 {
                    return Err(format!("scale {scale} must be positive"));
                }
                Ok(Self::VarianceScaling {
                    scale,
                    mode: object.take("mode", FanIn)?,
                    distribution: object.take("distribution", Normal)?,
                    seed: object.take("seed", None)?,
                })
            }
            "orthogonal" | "Orthogonal" | "OrthogonalInitializer" => {
                object.bind(&["gain", "seed"])?;
                Ok(Self::Orthogonal {
                    gain: object.take("gain", one)?,
                    seed: object.take("seed", None)?,
                })
            }
            "identity" | "Identity" | "IdentityInitializer" => {
                object.bind(&["gain"])?;
                Ok(Self::Identity {
                    gain: object.take("gain", one)?,
                })
            }
            _ => Err(object.unknown(NAMES)),
        }
    }

    fn from_text(text: &str) -> Result<Self, String> {
        Self::from_literal(&literal_of_text(text)?)
    }

    fn to_json(&self) -> Value {
        let (class_name, config) = match self {
            Self::Zeros => ("Zeros", json!({})),
            Self::Ones => ("Ones", json!({})),
            Self::Constant { value } => ("Constant", json!({"value": value.to_json()})),
            Self::RandomNormal { mean, stddev, seed } => (
                "RandomNormal",
                json!({"mean": mean.to_json(), "stddev": stddev.to_json(), "seed": seed}),
            ),
            Self::RandomUniform { minval, maxval, seed } => (
                "RandomUniform",
                json!({"minval": minval.to_json(), "maxval": maxval.to_json(), "seed": seed}),
            ),
            Self::TruncatedNormal { mean, stddev, seed } => (
                "TruncatedNormal",
                json!({"mean": mean.to_json(), "stddev": stddev.to_json(), "seed": seed}),
            ),
            Self::VarianceScaling {
                scale,
                mode,
                distribution,
                seed,
            } => (
                "VarianceScaling",
                json!({"scale": scale.to_json(), "mode": mode.name(), "distribution": distribution.name(), "seed": seed}),
            ),
            Self::Orthogonal { gain, seed } => ("Orthogonal", json!({"gain": gain.to_json(), "seed": seed})),
            Self::Identity { gain } => ("Identity", json!({"gain": gain.to_json()})),
        };
        json!({"class_name": class_name, "config": config})
    }

    fn as_initializer(&mut self) -> Option<&mut Initializer> {
        Some(self)
    }

    /// The form's name if it means the same.
    fn to_python(&self) -> String {
        let named = NAMES.iter().find(|name| Self::from_text(name).as_ref() == Ok(self));
        named.map_or_else(
            || Literal::from_json(&self.to_json()).to_string(),
            |name| format!("'{name}'"),
        )
    }
}

fn scaled(mut object: Object, scale: f64, mode: FanMode, distribution: Distribution) -> Result<Initializer, String> {
    object.bind(&["seed"])?;
    Ok(Initializer::scaling(
        scale,
        mode,
        distribution,
        object.take("seed", None)?,
    ))
}

fn stddev(object: &mut Object, default: Number) -> Result<Number, String> {
    let stddev = object.take("stddev", default)?;
    if stddev.get() < 0.0 {
        Err(format!("stddev {stddev} must not be negative"))
    } else {
        Ok(stddev)
    }
}
