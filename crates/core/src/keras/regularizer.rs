//! Penalties on weights or outputs that are added to the loss.

use serde_json::{Value, json};

use crate::keras::field::Field;
use crate::keras::literal::Literal;
use crate::keras::object::{Object, literal_of_text};

/// Keras's factor when `l1()`, `l2()` or `l1_l2()` is given none.
const DEFAULT_FACTOR: f64 = 0.01;

/// `l1 * sum(|w|) + l2 * sum(w^2)`. Keras keeps both factors as 32-bit floats and writes them so.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Regularizer {
    /// Factor of the sum of absolute values.
    pub l1: f32,
    /// Factor of the sum of squares.
    pub l2: f32,
}

impl Field for Regularizer {
    fn expected() -> String {
        "a regularizer such as 'l2', l2(0.01), l1_l2(0.01, 0.02) or (l1, l2)".into()
    }

    fn from_literal(literal: &Literal) -> Result<Self, String> {
        if let Some(factors) = literal.items() {
            return match factors {
                [l1, l2] => Self::new(f64::from_literal(l1)?, f64::from_literal(l2)?),
                _ => Err(format!("expected {}", Self::expected())),
            };
        }
        let mut object = Object::read(literal, "regularizer")?;
        match object.name() {
            "l1" | "L1" => {
                let factor = one_factor(&mut object, "l1")?;
                Self::new(factor, 0.0)
            }
            "l2" | "L2" => {
                let factor = one_factor(&mut object, "l2")?;
                Self::new(0.0, factor)
            }
            // The function has defaults, the class has none.
            name @ ("l1_l2" | "L1L2") => {
                let default = if name == "l1_l2" { DEFAULT_FACTOR } else { 0.0 };
                object.bind(&["l1", "l2"])?;
                Self::new(object.take("l1", default)?, object.take("l2", default)?)
            }
            _ => Err(object.unknown(&["l1", "l2", "l1_l2"])),
        }
    }

    fn from_text(text: &str) -> Result<Self, String> {
        Self::from_literal(&literal_of_text(text)?)
    }

    /// The forms write "none" as `(0. , 0.)`.
    fn from_optional_text(text: &str) -> Result<Option<Self>, String> {
        let literal = literal_of_text(text)?;
        let regularizer = Self::from_literal(&literal)?;
        let none = literal.items().is_some() && regularizer == Self { l1: 0.0, l2: 0.0 };
        Ok(Some(regularizer).filter(|_| !none))
    }

    fn to_json(&self) -> Value {
        json!({"class_name": "L1L2", "config": {"l1": f64::from(self.l1), "l2": f64::from(self.l2)}})
    }
}

impl Regularizer {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "Keras rounds the factors to 32 bits, and so do we"
    )]
    fn new(l1: f64, l2: f64) -> Result<Self, String> {
        let (l1, l2) = (l1 as f32, l2 as f32);
        if l1 < 0.0 || l2 < 0.0 || !l1.is_finite() || !l2.is_finite() {
            return Err("a regularizer's factors must not be negative".into());
        }
        Ok(Self { l1, l2 })
    }
}

/// The factor of `l2(l=0.01)` in Keras 2.3.1, `L2(l2=0.01)` in newer ones.
fn one_factor(object: &mut Object, name: &str) -> Result<f64, String> {
    match object.bind(&[name]) {
        Ok(()) => object.take(name, DEFAULT_FACTOR),
        Err(problem) => {
            object.bind(&["l"]).map_err(|_| problem)?;
            object.take("l", DEFAULT_FACTOR)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keras::json;

    fn read(text: &str) -> Result<Regularizer, String> {
        Regularizer::from_literal(&Literal::parse(text).map_err(|error| error.to_string())?)
    }

    #[test]
    fn factors_are_written_as_32_bit_floats() {
        // keras.regularizers.serialize(l1_l2(0.1, 0.2)) in Keras 2.3.1
        let text = json::to_string(&read("l1_l2(0.1, 0.2)").unwrap().to_json()["config"]);
        assert_eq!(
            text,
            "{\n  \"l1\": 0.10000000149011612,\n  \"l2\": 0.20000000298023224\n}"
        );
    }

    #[test]
    fn every_spelling_means_the_same() {
        let expected = Regularizer { l1: 0.0, l2: 0.25 };
        for text in [
            "l2(0.25)",
            "l2(l=0.25)",
            "L2(l2=0.25)",
            "keras.regularizers.l2(0.25)",
            "regularizers.l1_l2(l1=0, l2=.25)",
            "L1L2(l2=0.25)",
            "(0., 0.25)",
            "{'class_name': 'L2', 'config': {'l2': 0.25}}",
            "{'class_name': 'L1L2', 'config': {'l1': 0.0, 'l2': 0.25}, 'module': 'keras.regularizers'}",
        ] {
            assert_eq!(read(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_bare_name_has_kerass_defaults() {
        assert_eq!(read("'l1'"), Ok(Regularizer { l1: 0.01, l2: 0.0 }));
        assert_eq!(read("'l1_l2'"), Ok(Regularizer { l1: 0.01, l2: 0.01 }));
        assert_eq!(read("'L1L2'"), Ok(Regularizer { l1: 0.0, l2: 0.0 }));
        assert_eq!(Regularizer::from_text("l2"), Ok(Regularizer { l1: 0.0, l2: 0.01 }));
        assert_eq!(
            Regularizer::from_text("(0. , 0.)"),
            Ok(Regularizer { l1: 0.0, l2: 0.0 })
        );
    }

    #[test]
    fn mistakes_are_explained() {
        assert_eq!(
            read("'l3'").unwrap_err(),
            "unknown regularizer 'l3'; did you mean 'l1' or 'l2'?"
        );
        assert_eq!(
            read("l2(-1)").unwrap_err(),
            "a regularizer's factors must not be negative"
        );
        assert_eq!(read("l2('x')").unwrap_err(), "l2's l2='x': expected a number");
        assert_eq!(read("l2(0.1, 0.2)").unwrap_err(), "l2 takes at most 1 arguments");
    }
}
