//! Conditions that weights are made to fulfil after each update.

use serde_json::{Value, json};

use crate::keras::field::{Field, Number, mismatch};
use crate::keras::literal::Literal;
use crate::keras::object::{Object, literal_of_text};

/// A weight constraint; norms are Euclidean, taken over `axis`.
#[derive(Debug, Clone, PartialEq)]
pub enum Constraint {
    /// Scales vectors down to a norm of at most `max_value`.
    MaxNorm {
        /// The largest norm.
        max_value: Number,
        /// The axes over which norms are taken.
        axis: Axes,
    },
    /// Sets negative weights to zero.
    NonNeg,
    /// Scales vectors to norm 1.
    UnitNorm {
        /// The axes over which norms are taken.
        axis: Axes,
    },
    /// Moves norms into `min_value..=max_value`.
    MinMaxNorm {
        /// The smallest norm.
        min_value: Number,
        /// The largest norm.
        max_value: Number,
        /// 1 moves all the way at once, less only that part of it.
        rate: Number,
        /// The axes over which norms are taken.
        axis: Axes,
    },
}

/// One axis or several, written back as given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Axes {
    /// `0`
    One(i64),
    /// `[0, 1, 2]`
    Many(Vec<i64>),
}

impl Axes {
    /// The axes, whichever way they were given.
    #[must_use]
    pub fn as_slice(&self) -> &[i64] {
        match self {
            Self::One(axis) => std::slice::from_ref(axis),
            Self::Many(axes) => axes,
        }
    }
}

impl Field for Axes {
    fn expected() -> String {
        "an integer or a list of integers".into()
    }

    fn from_literal(literal: &Literal) -> Result<Self, String> {
        match literal.items() {
            Some(items) => items
                .iter()
                .map(i64::from_literal)
                .collect::<Result<_, _>>()
                .map(Self::Many)
                .map_err(|_| mismatch::<Self>()),
            None => i64::from_literal(literal)
                .map(Self::One)
                .map_err(|_| mismatch::<Self>()),
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::One(axis) => Value::from(*axis),
            Self::Many(axes) => Value::from(axes.as_slice()),
        }
    }
}

const NAMES: &[&str] = &[
    "max_norm",
    "non_neg",
    "unit_norm",
    "min_max_norm",
    "MaxNorm",
    "NonNeg",
    "UnitNorm",
    "MinMaxNorm",
];

impl Field for Constraint {
    fn expected() -> String {
        "a constraint such as 'non_neg', max_norm(2.) or unit_norm(axis=0)".into()
    }

    fn from_literal(literal: &Literal) -> Result<Self, String> {
        let mut object = Object::read(literal, "constraint")?;
        let axis = Axes::One(0);
        match object.name() {
            "max_norm" | "MaxNorm" | "maxnorm" => {
                object.bind(&["max_value", "axis"])?;
                Ok(Self::MaxNorm {
                    max_value: norm(&mut object, "max_value", Number::Int(2))?,
                    axis: object.take("axis", axis)?,
                })
            }
            "non_neg" | "NonNeg" | "nonneg" => {
                object.bind(&[])?;
                Ok(Self::NonNeg)
            }
            "unit_norm" | "UnitNorm" | "unitnorm" => {
                object.bind(&["axis"])?;
                Ok(Self::UnitNorm {
                    axis: object.take("axis", axis)?,
                })
            }
            "min_max_norm" | "MinMaxNorm" => {
                object.bind(&["min_value", "max_value", "rate", "axis"])?;
                Ok(Self::MinMaxNorm {
                    min_value: norm(&mut object, "min_value", Number::Float(0.0))?,
                    max_value: norm(&mut object, "max_value", Number::Float(1.0))?,
                    rate: norm(&mut object, "rate", Number::Float(1.0))?,
                    axis: object.take("axis", axis)?,
                })
            }
            _ => Err(object.unknown(NAMES)),
        }
    }

    fn from_text(text: &str) -> Result<Self, String> {
        Self::from_literal(&literal_of_text(text)?)
    }

    fn to_json(&self) -> Value {
        match self {
            Self::MaxNorm { max_value, axis } => {
                json!({"class_name": "MaxNorm", "config": {"max_value": max_value.to_json(), "axis": axis.to_json()}})
            }
            Self::NonNeg => json!({"class_name": "NonNeg", "config": {}}),
            Self::UnitNorm { axis } => json!({"class_name": "UnitNorm", "config": {"axis": axis.to_json()}}),
            Self::MinMaxNorm {
                min_value,
                max_value,
                rate,
                axis,
            } => json!({
                "class_name": "MinMaxNorm",
                "config": {
                    "min_value": min_value.to_json(),
                    "max_value": max_value.to_json(),
                    "rate": rate.to_json(),
                    "axis": axis.to_json(),
                }
            }),
        }
    }
}

fn norm(object: &mut Object, name: &str, default: Number) -> Result<Number, String> {
    let value = object.take(name, default)?;
    if value.get() < 0.0 {
        Err(format!("{name} must not be negative"))
    } else {
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Result<String, String> {
        let literal = Literal::parse(text).map_err(|error| error.to_string())?;
        Constraint::from_literal(&literal).map(|constraint| constraint.to_json().to_string())
    }

    #[test]
    fn defaults_are_written_as_keras_writes_them() {
        // keras.constraints.serialize in Keras 2.3.1
        let cases = [
            (
                "'max_norm'",
                r#"{"class_name":"MaxNorm","config":{"max_value":2,"axis":0}}"#,
            ),
            ("'non_neg'", r#"{"class_name":"NonNeg","config":{}}"#),
            ("'unit_norm'", r#"{"class_name":"UnitNorm","config":{"axis":0}}"#),
            (
                "'min_max_norm'",
                r#"{"class_name":"MinMaxNorm","config":{"min_value":0.0,"max_value":1.0,"rate":1.0,"axis":0}}"#,
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(written(text).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn calls_keep_the_numbers_as_written() {
        let expected = r#"{"class_name":"MaxNorm","config":{"max_value":3.0,"axis":[0,1,2]}}"#;
        assert_eq!(
            written("keras.constraints.max_norm(3., axis=[0, 1, 2])").as_deref(),
            Ok(expected)
        );
        assert_eq!(
            written(r#"{"class_name":"MaxNorm","config":{"max_value":3.0,"axis":[0,1,2]}}"#).as_deref(),
            Ok(expected)
        );
    }

    #[test]
    fn mistakes_are_explained() {
        assert_eq!(
            written("'max_nrm'").unwrap_err(),
            "unknown constraint 'max_nrm'; did you mean 'max_norm', 'MaxNorm' or 'min_max_norm'?"
        );
        assert_eq!(written("non_neg(1)").unwrap_err(), "non_neg takes at most 0 arguments");
        assert_eq!(
            written("max_norm(max=2)").unwrap_err(),
            "max_norm has no argument 'max'; did you mean 'max_value'?"
        );
        assert_eq!(written("max_norm(-2)").unwrap_err(), "max_value must not be negative");
    }
}
