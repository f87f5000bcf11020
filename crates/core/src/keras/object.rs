//! Keras objects inside parameters: `l2(0.01)`, `'glorot_uniform'`, `{"class_name": "L1L2", "config": {...}}`.

use crate::keras::field::Field;
use crate::keras::literal::{Literal, quoted};

/// A class or function name with its arguments, still to be resolved against a closed vocabulary.
#[derive(Debug)]
pub struct Object {
    name: String,
    what: &'static str,
    positional: Vec<Literal>,
    named: Vec<(String, Literal)>,
    /// Whether it comes from a configuration, to which newer versions of Keras add what 2.3.1 does not know.
    configured: bool,
}

impl Object {
    /// Reads a bare name, a call, or Keras's `{"class_name": ..., "config": ...}`; `what` says what it should be.
    ///
    /// # Errors
    ///
    /// The literal is none of these.
    pub fn read(literal: &Literal, what: &'static str) -> Result<Self, String> {
        let new = |name: &str| Self {
            name: name.to_owned(),
            what,
            positional: Vec::new(),
            named: Vec::new(),
            configured: false,
        };
        match literal {
            Literal::Str(name) => Ok(new(name)),
            Literal::Call { name, args, kwargs } => Ok(Self {
                // `keras.regularizers.l2` and `regularizers.l2` are `l2`.
                positional: args.clone(),
                named: kwargs.clone(),
                ..new(name.rsplit('.').next().unwrap_or(name))
            }),
            Literal::Dict(entries) => {
                let entry = |wanted: &str| {
                    entries
                        .iter()
                        .find(|(key, _)| matches!(key, Literal::Str(key) if key == wanted))
                        .map(|(_, value)| value)
                };
                let Some(Literal::Str(name)) = entry("class_name") else {
                    return Err(format!("the {what} has no class_name"));
                };
                let named = match entry("config") {
                    None | Some(Literal::None) => Vec::new(),
                    Some(Literal::Dict(config)) => config
                        .iter()
                        .map(|(key, value)| match key {
                            Literal::Str(key) => Ok((key.clone(), value.clone())),
                            _ => Err(format!("the {what}'s config is malformed")),
                        })
                        .collect::<Result<_, _>>()?,
                    Some(_) => return Err(format!("the {what}'s config is malformed")),
                };
                Ok(Self {
                    named,
                    configured: true,
                    ..new(name)
                })
            }
            _ => Err(format!(
                "expected a {what}: its name in quotes or a call such as name(value)"
            )),
        }
    }

    /// The name without the modules before it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives positional arguments their names; names that are not among `parameters` are refused.
    ///
    /// # Errors
    ///
    /// Too many, unknown or doubled arguments.
    pub fn bind(&mut self, parameters: &[&str]) -> Result<(), String> {
        if self.configured {
            // What is not set says what 2.3.1 does anyway.
            self.named
                .retain(|(name, value)| *value != Literal::None || parameters.contains(&name.as_str()));
        }
        if self.positional.len() > parameters.len() {
            return Err(format!("{} takes at most {} arguments", self.name, parameters.len()));
        }
        for (parameter, value) in parameters.iter().zip(std::mem::take(&mut self.positional)) {
            if self.named.iter().any(|(name, _)| name == parameter) {
                return Err(format!("{} got {parameter} twice", self.name));
            }
            self.named.push(((*parameter).to_owned(), value));
        }
        match self.named.iter().find(|(name, _)| !parameters.contains(&name.as_str())) {
            Some((name, _)) if parameters.is_empty() => Err(format!("{} takes no arguments, found {name}", self.name)),
            Some((name, _)) => Err(format!(
                "{} has no argument {}; {}",
                self.name,
                quoted(name),
                crate::keras::suggest::did_you_mean(name, parameters)
            )),
            None => Ok(()),
        }
    }

    /// Takes the argument `name`, or its default.
    ///
    /// # Errors
    ///
    /// The argument's value is of the wrong type.
    pub fn take<T: Field>(&mut self, name: &str, default: T) -> Result<T, String> {
        match self.named.iter().position(|(known, _)| known == name) {
            Some(index) => {
                let value = self.named.remove(index).1;
                T::from_literal(&value).map_err(|problem| format!("{}'s {name}={value}: {problem}", self.name))
            }
            None => Ok(default),
        }
    }

    /// The error for a name that is not in the vocabulary.
    #[must_use]
    pub fn unknown(&self, known: &[&str]) -> String {
        format!(
            "unknown {} {}; {}",
            self.what,
            quoted(&self.name),
            crate::keras::suggest::did_you_mean(&self.name, known)
        )
    }
}

/// A form text that may be a bare name or a Python literal: names need no quotes there.
///
/// # Errors
///
/// The text is neither.
pub fn literal_of_text(text: &str) -> Result<Literal, String> {
    let text = text.trim();
    if !text.is_empty()
        && text.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !text.starts_with(|c: char| c.is_ascii_digit())
    {
        return Ok(Literal::Str(text.to_owned()));
    }
    Literal::parse(text).map_err(|error| error.to_string())
}
