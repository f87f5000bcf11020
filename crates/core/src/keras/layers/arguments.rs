//! A layer's arguments before they are typed: from the form and its `kwargs`, or from a model configuration.

use serde_json::{Map, Value};

use super::LayerError;
use crate::keras::field::Field;
use crate::keras::literal::{Literal, parse_keywords, quoted};
use crate::keras::suggest::did_you_mean;

/// What a parameter is when it is not given.
pub enum Absent<T> {
    /// There is no sensible value: an error.
    Required,
    /// Keras's default.
    Value(T),
    /// The value of another parameter, which has this default itself.
    SameAs(&'static str, T),
}

/// Spells [`Absent::Required`] in a layer's declaration.
pub fn required<T>() -> Absent<T> {
    Absent::Required
}

/// Spells [`Absent::Value`] in a layer's declaration.
pub fn or<T>(value: T) -> Absent<T> {
    Absent::Value(value)
}

/// Spells [`Absent::SameAs`] in a layer's declaration.
pub fn same_as<T>(name: &'static str, default: T) -> Absent<T> {
    Absent::SameAs(name, default)
}

#[derive(Debug, Clone)]
enum Argument {
    /// The text of a form field.
    Text(String),
    /// A value from `kwargs`, a number or boolean of the form, or a value from a configuration.
    Literal(Literal),
}

/// Named arguments of one layer.
#[derive(Debug, Clone, Default)]
pub struct Arguments {
    entries: Vec<(String, Argument)>,
    from_config: bool,
}

/// Keys that newer Keras writes and 2.3.1 does not know: ignorable as long as they say what 2.3.1 does anyway. Any key with `null`,
/// "not set", is ignorable as well.
const NEWER_KEYS: &[(&str, &str)] = &[
    ("groups", "1"),
    ("ragged", "False"),
    ("sparse", "False"),
    ("optional", "False"),
    ("synchronized", "False"),
    ("renorm", "False"),
    ("time_major", "False"),
    ("zero_output_for_mask", "False"),
    ("keepdims", "False"),
    ("autocast", "True"),
    ("use_cudnn", "'auto'"),
    ("implementation", "1"),
];

/// Keys that newer Keras writes though the layer has no use for them: of separable convolutions, and of a batch normalisation without
/// `renorm`.
const IDLE_KEYS: &[&str] = &["kernel_initializer", "renorm_momentum"];

impl Arguments {
    /// Arguments from the fields of the form and the text of its `kwargs` field, which override the fields.
    ///
    /// As in the original, an empty field or the text `None` means "not given".
    ///
    /// # Errors
    ///
    /// `kwargs` is malformed.
    pub fn from_form(fields: &Map<String, Value>, kwargs: &str) -> Result<Self, LayerError> {
        let mut entries = Vec::new();
        for (name, value) in fields {
            let argument = match value {
                Value::Null => continue,
                Value::String(text) if matches!(text.trim(), "" | "None") => continue,
                Value::String(text) => Argument::Text(text.clone()),
                value => Argument::Literal(Literal::from_json(value)),
            };
            entries.push((name.clone(), argument));
        }
        let keywords = parse_keywords(kwargs).map_err(LayerError::Kwargs)?;
        for (name, value) in keywords {
            entries.retain(|(known, _)| *known != name);
            entries.push((name, Argument::Literal(value)));
        }
        Ok(Self {
            entries,
            from_config: false,
        })
    }

    /// Arguments from the `config` object of a model configuration.
    #[must_use]
    pub fn from_config(config: &Map<String, Value>) -> Self {
        let entries = config
            .iter()
            .map(|(name, value)| (name.clone(), Argument::Literal(Literal::from_json(value))))
            .collect();
        Self {
            entries,
            from_config: true,
        }
    }

    /// Whether they come from a model configuration and not from the form.
    #[must_use]
    pub fn is_from_config(&self) -> bool {
        self.from_config
    }

    /// Whether `name` is given.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|(known, _)| known == name)
    }

    /// Gives `name` this value unless it has one.
    pub fn set_default(&mut self, name: &str, value: Literal) {
        if !self.has(name) {
            self.entries.push((name.to_owned(), Argument::Literal(value)));
        }
    }

    /// Refuses names that are neither in `fields` nor in `general`.
    ///
    /// # Errors
    ///
    /// There is such a name; the error lists near ones.
    pub fn check_names(&self, fields: &[&str], general: &[&str]) -> Result<(), LayerError> {
        for (name, value) in &self.entries {
            if fields.contains(&name.as_str()) || general.contains(&name.as_str()) {
                continue;
            }
            if self.from_config {
                let Argument::Literal(value) = value else { continue };
                match NEWER_KEYS.iter().find(|(key, _)| key == name) {
                    _ if *value == Literal::None || IDLE_KEYS.contains(&name.as_str()) => continue,
                    Some((_, usual)) if value.to_string() == *usual => continue,
                    Some((_, usual)) => {
                        return Err(LayerError::Argument {
                            name: name.clone(),
                            value: value.to_string(),
                            problem: format!("only {usual} is supported"),
                        });
                    }
                    None => {}
                }
            }
            let known: Vec<&str> = fields.iter().chain(general).copied().collect();
            return Err(LayerError::UnknownArgument {
                name: quoted(name),
                hint: did_you_mean(name, &known),
            });
        }
        Ok(())
    }

    /// The value of `name`.
    ///
    /// # Errors
    ///
    /// It is required and not given, or not what it should be.
    pub fn get<T: Field>(&self, name: &'static str, absent: Absent<T>) -> Result<T, LayerError> {
        let find = |wanted: &str| {
            self.entries
                .iter()
                .find(|(known, _)| known == wanted)
                .map(|(_, argument)| argument)
        };
        let (given, argument) = match (find(name), &absent) {
            // `strides=None` is how Keras itself spells "as the pool size".
            (None | Some(Argument::Literal(Literal::None)), Absent::SameAs(other, _)) => (*other, find(other)),
            (argument, _) => (name, argument),
        };
        let problem = match argument {
            Some(Argument::Text(text)) => T::from_text(text).map_err(|problem| (quoted(text), problem)),
            Some(Argument::Literal(literal)) => {
                T::from_literal(literal).map_err(|problem| (literal.to_string(), problem))
            }
            None => match absent {
                Absent::Value(value) | Absent::SameAs(_, value) => return Ok(value),
                Absent::Required => {
                    return Err(LayerError::Missing {
                        name: given,
                        expected: T::expected(),
                    });
                }
            },
        };
        problem.map_err(|(value, problem)| LayerError::Argument {
            name: given.to_owned(),
            value: shortened(value),
            problem,
        })
    }
}

/// A value as part of an error line.
fn shortened(value: String) -> String {
    if value.chars().count() <= 80 {
        value
    } else {
        value.chars().take(80).chain("...".chars()).collect()
    }
}
