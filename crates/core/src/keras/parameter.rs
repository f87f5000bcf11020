//! Reading the values of a form's section one by one, in every shape that Galaxy writes them: a number may come as a number or as
//! text, and an optional field that was left empty as `null`, `""` or `"None"`.

use serde_json::{Map, Value};

use super::suggest::did_you_mean;
use crate::galaxy::inputs::{Flag, MultiSelect, OptionalInteger, OptionalNumber, from_value};

/// A name or value that is not part of Keras's vocabulary.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// A name outside a closed vocabulary: an optimiser, a loss, a metric, a callback.
    #[error("unknown {what} '{name}'{hint}")]
    Unknown {
        /// What the name should have been: "loss", "optimizer".
        what: &'static str,
        /// The name as it was given.
        name: String,
        /// `"; did you mean ...?"`, or all known names.
        hint: String,
    },
    /// A parameter that its owner does not have.
    #[error("{owner} has no parameter '{name}'{hint}")]
    NoSuchParameter {
        /// Who was given the parameter: "optimizer Adam".
        owner: String,
        /// The parameter's name as it was given.
        name: String,
        /// `"; did you mean ...?"`, or all known names.
        hint: String,
    },
    /// A value that its parameter cannot take.
    #[error("{owner}: {name} is {value}, but it must be {expected}")]
    Value {
        /// Who was given the parameter.
        owner: String,
        /// The parameter.
        name: String,
        /// The value as JSON.
        value: String,
        /// What it may be: "a number from 0 to 1".
        expected: &'static str,
    },
    /// A parameter that has no default was left out.
    #[error("{owner}: {name} is missing")]
    Missing {
        /// Whose parameter it is.
        owner: String,
        /// The parameter.
        name: String,
    },
}

impl ParameterError {
    /// An unknown `what` of this name, with the near ones among `known`.
    #[must_use]
    pub fn unknown(what: &'static str, name: &str, known: &[&str]) -> Self {
        Self::Unknown {
            what,
            name: name.to_owned(),
            hint: format!("; {}", did_you_mean(name, known)),
        }
    }
}

/// Which numbers a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// Any finite number.
    Finite,
    /// Zero or more.
    NotNegative,
    /// Zero or less.
    NotPositive,
    /// More than zero.
    Positive,
    /// From 0 to 1, both included.
    Unit,
    /// From 0, included, to 1, excluded.
    BelowOne,
}

impl Range {
    fn holds(self, value: f64) -> bool {
        value.is_finite()
            && match self {
                Self::Finite => true,
                Self::NotNegative => value >= 0.0,
                Self::NotPositive => value <= 0.0,
                Self::Positive => value > 0.0,
                Self::Unit => (0.0..=1.0).contains(&value),
                Self::BelowOne => (0.0..1.0).contains(&value),
            }
    }

    fn describe(self) -> &'static str {
        match self {
            Self::Finite => "a finite number",
            Self::NotNegative => "a number that is not negative",
            Self::NotPositive => "a number that is not above 0",
            Self::Positive => "a number greater than 0",
            Self::Unit => "a number from 0 to 1",
            Self::BelowOne => "a number from 0 to less than 1",
        }
    }
}

/// The values of one section of a form. Every parameter that is read is ticked off; [`Self::finish`] refuses what is left over.
#[derive(Debug)]
pub struct Parameters<'a> {
    owner: String,
    values: &'a Map<String, Value>,
    known: Vec<&'static str>,
}

impl<'a> Parameters<'a> {
    /// The values of `owner` ("optimizer Adam"), which errors name.
    #[must_use]
    pub fn new(owner: impl Into<String>, values: &'a Map<String, Value>) -> Self {
        Self {
            owner: owner.into(),
            values,
            known: Vec::new(),
        }
    }

    /// Whether the form has this field at all, filled in or not.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// The value of a field, `None` when it is absent or was left empty.
    pub fn value(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.push(name);
        self.values.get(name).filter(|value| !is_empty(value))
    }

    /// A number, or `None` when the field is absent or was left empty.
    ///
    /// # Errors
    /// When the value is not a number, or outside `range`.
    pub fn optional_number(&mut self, name: &'static str, range: Range) -> Result<Option<f64>, ParameterError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        match from_value(value) {
            Ok(OptionalNumber(Some(number))) if range.holds(number) => Ok(Some(number)),
            _ => Err(self.refuse(name, value, range.describe())),
        }
    }

    /// A number, or `default` when the field is absent or was left empty.
    ///
    /// # Errors
    /// When the value is not a number, or outside `range`.
    pub fn number(&mut self, name: &'static str, default: f64, range: Range) -> Result<f64, ParameterError> {
        Ok(self.optional_number(name, range)?.unwrap_or(default))
    }

    /// A whole number that is at least `least`, or `None` when the field is absent or was left empty.
    ///
    /// # Errors
    /// When the value is not a whole number, or less than `least`.
    pub fn optional_count(&mut self, name: &'static str, least: u32) -> Result<Option<u32>, ParameterError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        match from_value(value) {
            Ok(OptionalInteger(Some(number))) if number >= i64::from(least) && u32::try_from(number).is_ok() => {
                Ok(u32::try_from(number).ok())
            }
            _ => Err(self.refuse(
                name,
                value,
                if least == 0 {
                    "a whole number that is not negative"
                } else {
                    "a whole number of at least 1"
                },
            )),
        }
    }

    /// A switch, or `default` when the field is absent or was left empty.
    ///
    /// # Errors
    /// When the value is neither true nor false.
    pub fn switch(&mut self, name: &'static str, default: bool) -> Result<bool, ParameterError> {
        let Some(value) = self.value(name) else {
            return Ok(default);
        };
        match from_value(value) {
            Ok(Flag(on)) => Ok(on),
            Err(_) => Err(self.refuse(name, value, "true or false")),
        }
    }

    /// A text, or `None` when the field is absent or was left empty.
    ///
    /// # Errors
    /// When the value is not a text.
    pub fn text(&mut self, name: &'static str) -> Result<Option<&'a str>, ParameterError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(value) => Err(self.refuse(name, value, "a text")),
        }
    }

    /// A section inside this one, or `None` when it is absent.
    ///
    /// # Errors
    /// When the value is not an object.
    pub fn section(&mut self, name: &'static str) -> Result<Option<&'a Map<String, Value>>, ParameterError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Object(section)) => Ok(Some(section)),
            Some(value) => Err(self.refuse(name, value, "a section of the form, a JSON object")),
        }
    }

    /// The error for a value that the parameter cannot take.
    #[must_use]
    pub fn refuse(&self, name: &str, value: &Value, expected: &'static str) -> ParameterError {
        ParameterError::Value {
            owner: self.owner.clone(),
            name: name.to_owned(),
            value: shorten(&value.to_string()),
            expected,
        }
    }

    /// The error for a parameter without default that was left out.
    #[must_use]
    pub fn missing(&self, name: &str) -> ParameterError {
        ParameterError::Missing {
            owner: self.owner.clone(),
            name: name.to_owned(),
        }
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// When the section holds a parameter that nobody asked for.
    pub fn finish(self) -> Result<(), ParameterError> {
        match self
            .values
            .keys()
            .find(|name| !self.known.contains(&name.as_str()) && !name.starts_with("__"))
        {
            None => Ok(()),
            Some(name) => Err(ParameterError::NoSuchParameter {
                hint: format!("; {}", did_you_mean(name, &self.known)),
                owner: self.owner,
                name: name.clone(),
            }),
        }
    }
}

/// Whether a field was left empty, in any of the ways that Galaxy writes that.
#[must_use]
pub fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty() || text == "None",
        _ => false,
    }
}

/// A multi-select's values: a list, or a comma-joined text in older profiles; nothing chosen may be `null`, `[]`, `""` or `"None"`.
///
/// # Errors
/// When the value has another shape.
pub fn choices(owner: &str, name: &str, value: Option<&Value>) -> Result<Vec<String>, ParameterError> {
    let Some(value) = value else {
        return Ok(Vec::new());
    };
    match from_value(value) {
        Ok(MultiSelect(chosen)) => Ok(chosen),
        Err(_) => Err(ParameterError::Value {
            owner: owner.to_owned(),
            name: name.to_owned(),
            value: shorten(&value.to_string()),
            expected: "a list of names or a text with commas between them",
        }),
    }
}

/// Long values are cut, so that an error stays one readable line.
fn shorten(text: &str) -> String {
    const LIMIT: usize = 60;
    if text.chars().count() <= LIMIT {
        return text.to_owned();
    }
    let head: String = text.chars().take(LIMIT).collect();
    format!("{head}...")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: &Value) -> &Map<String, Value> {
        value.as_object().expect("an object")
    }

    #[test]
    fn empty_fields_take_their_default() {
        let form = json!({"a": null, "b": "", "c": "None", "d": 0.25, "e": "1e-3"});
        let mut fields = Parameters::new("form", object(&form));
        for name in ["a", "b", "c", "absent"] {
            assert_eq!(fields.number(name, 0.5, Range::Finite), Ok(0.5), "{name}");
        }
        assert_eq!(fields.number("d", 0.5, Range::Finite), Ok(0.25));
        assert_eq!(fields.number("e", 0.5, Range::Finite), Ok(1e-3));
        fields.finish().expect("nothing left over");
    }

    #[test]
    fn leftover_parameters_are_refused_with_the_near_one() {
        let form = json!({"beta1": 0.9});
        let mut fields = Parameters::new("optimizer Adam", object(&form));
        fields.number("beta_1", 0.9, Range::BelowOne).expect("default");
        assert_eq!(
            fields.finish().expect_err("beta1").to_string(),
            "optimizer Adam has no parameter 'beta1'; did you mean 'beta_1'?"
        );
    }

    #[test]
    fn numbers_out_of_range_say_what_is_allowed() {
        let form = json!({"rho": 1.5, "epochs": 0, "on": "maybe"});
        let mut fields = Parameters::new("form", object(&form));
        assert_eq!(
            fields.number("rho", 0.9, Range::Unit).expect_err("rho").to_string(),
            "form: rho is 1.5, but it must be a number from 0 to 1"
        );
        assert_eq!(
            fields.optional_count("epochs", 1).expect_err("epochs").to_string(),
            "form: epochs is 0, but it must be a whole number of at least 1"
        );
        assert_eq!(
            fields.switch("on", true).expect_err("on").to_string(),
            "form: on is \"maybe\", but it must be true or false"
        );
    }

    #[test]
    fn multi_selects_come_as_text_or_list() {
        let read = |value: Value| choices("form", "metrics", Some(&value)).expect("valid");
        assert_eq!(read(json!("acc,mse")), ["acc", "mse"]);
        assert_eq!(read(json!(["acc", "mse"])), ["acc", "mse"]);
        for nothing in [json!(null), json!("None"), json!([]), json!("")] {
            assert!(read(nothing).is_empty());
        }
        assert!(choices("form", "metrics", Some(&json!(3))).is_err());
    }
}
