//! Python literals and keyword arguments, read without evaluating anything.
//!
//! The layer form has free text fields (`kernel_size`, `kwargs`, ...) into which people write Python: `(2, 2)`, `padding='same'`,
//! `kernel_regularizer=l2(0.01)`. This is a small recursive-descent parser for exactly that: numbers, text, `True`, `False`, `None`,
//! tuples, lists, dicts, and calls, which stay names with arguments until somebody with a closed vocabulary resolves them.
//! Depth and length are limited, so that no text can exhaust the stack.

mod parser;

use std::fmt;

use serde_json::Value;

use self::parser::Parser;

/// Texts longer than this many characters are refused.
pub const MAX_LENGTH: usize = 20_000;
/// Values nested deeper than this are refused.
pub const MAX_DEPTH: usize = 32;

/// A Python value as it was written.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// `None`
    None,
    /// `True` or `False`
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A finite floating point number.
    Float(f64),
    /// A text.
    Str(String),
    /// `(1, 2)`
    Tuple(Vec<Literal>),
    /// `[1, 2]`
    List(Vec<Literal>),
    /// `{'a': 1}`
    Dict(Vec<(Literal, Literal)>),
    /// `keras.regularizers.l2(0.01)`: the dotted name, positional and keyword arguments. Nothing is called.
    Call {
        /// The dotted name as written.
        name: String,
        /// Positional arguments.
        args: Vec<Literal>,
        /// Keyword arguments in the order written.
        kwargs: Vec<(String, Literal)>,
    },
}

/// Where and why a text is not what the parser reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot read `{text}`: {problem} at column {column}")]
pub struct LiteralError {
    /// The text, shortened when it is long.
    pub text: String,
    /// Column of the offending character, counted from 1.
    pub column: usize,
    /// What was expected and what was found.
    pub problem: String,
}

impl Literal {
    /// Reads one Python literal; blanks around it are allowed.
    ///
    /// # Errors
    ///
    /// The text is not exactly one literal: the error names the column and what was expected there.
    pub fn parse(text: &str) -> Result<Self, LiteralError> {
        let mut parser = Parser::new(text)?;
        let value = parser.value(0)?;
        parser.end()?;
        Ok(value)
    }

    /// The same value read from JSON: arrays become lists, objects dicts.
    ///
    /// Integers beyond 64 bits become floats, which the fields that want integers then refuse.
    #[must_use]
    pub fn from_json(value: &Value) -> Self {
        match value {
            Value::Null => Self::None,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => match number.as_i64() {
                Some(value) => Self::Int(value),
                None => Self::Float(number.as_f64().unwrap_or(f64::MAX)),
            },
            Value::String(text) => Self::Str(text.clone()),
            Value::Array(items) => Self::List(items.iter().map(Self::from_json).collect()),
            Value::Object(entries) => Self::Dict(
                entries
                    .iter()
                    .map(|(key, value)| (Self::Str(key.clone()), Self::from_json(value)))
                    .collect(),
            ),
        }
    }

    /// The value as JSON, where tuples become arrays; none for calls and what is made of them, and for dicts with other keys than texts.
    #[must_use]
    pub fn to_json(&self) -> Option<Value> {
        Some(match self {
            Self::None => Value::Null,
            Self::Bool(value) => Value::from(*value),
            Self::Int(value) => Value::from(*value),
            Self::Float(value) => Value::from(*value),
            Self::Str(text) => Value::from(text.as_str()),
            Self::Tuple(items) | Self::List(items) => items.iter().map(Self::to_json).collect::<Option<_>>()?,
            Self::Dict(entries) => entries
                .iter()
                .map(|(key, value)| match key {
                    Self::Str(key) => Some((key.clone(), value.to_json()?)),
                    _ => None,
                })
                .collect::<Option<_>>()?,
            Self::Call { .. } => return None,
        })
    }

    /// The items of a tuple or a list.
    #[must_use]
    pub fn items(&self) -> Option<&[Self]> {
        match self {
            Self::Tuple(items) | Self::List(items) => Some(items),
            _ => None,
        }
    }
}

/// Reads keyword arguments as in a Python call: `strides=2, padding='same'`.
///
/// An empty text has none; a trailing comma is allowed.
///
/// # Errors
///
/// The text is malformed, or a keyword is given twice.
pub fn parse_keywords(text: &str) -> Result<Vec<(String, Literal)>, LiteralError> {
    let mut parser = Parser::new(text)?;
    let (args, kwargs) = parser.arguments(None, 0)?;
    debug_assert!(args.is_empty(), "positional arguments are refused outside calls");
    Ok(kwargs)
}

/// A text in Python's quotes, shortened to fit an error line.
#[must_use]
pub fn quoted(text: &str) -> String {
    Literal::Str(shortened(text, 60)).to_string()
}

fn shortened(text: &str, length: usize) -> String {
    let mut chars = text.chars();
    let head: String = chars.by_ref().take(length).collect();
    if chars.next().is_some() { head + "..." } else { head }
}

/// Python's `repr` of a finite float: the shortest digits that read back the same, `1.0`, `1e-07`, `1e+16`.
#[must_use]
pub fn float_repr(value: f64) -> String {
    if !value.is_finite() {
        return if value.is_nan() {
            "NaN".into()
        } else {
            format!("{}Infinity", if value < 0.0 { "-" } else { "" })
        };
    }
    let scientific = format!("{value:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = format!("{value}");
        if plain.contains('.') { plain } else { plain + ".0" }
    } else {
        format!(
            "{mantissa}e{}{:02}",
            if exponent < 0 { '-' } else { '+' },
            exponent.abs()
        )
    }
}

impl fmt::Display for Literal {
    /// As Python's `repr` would write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Bool(true) => f.write_str("True"),
            Self::Bool(false) => f.write_str("False"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => f.write_str(&float_repr(*value)),
            Self::Str(text) => write_text(f, text),
            Self::Tuple(items) => {
                f.write_str("(")?;
                write_list(f, items)?;
                f.write_str(if items.len() == 1 { ",)" } else { ")" })
            }
            Self::List(items) => {
                f.write_str("[")?;
                write_list(f, items)?;
                f.write_str("]")
            }
            Self::Dict(entries) => {
                f.write_str("{")?;
                for (index, (key, value)) in entries.iter().enumerate() {
                    write!(f, "{}{key}: {value}", if index > 0 { ", " } else { "" })?;
                }
                f.write_str("}")
            }
            Self::Call { name, args, kwargs } => {
                write!(f, "{name}(")?;
                write_list(f, args)?;
                for (index, (key, value)) in kwargs.iter().enumerate() {
                    write!(
                        f,
                        "{}{key}={value}",
                        if index > 0 || !args.is_empty() { ", " } else { "" }
                    )?;
                }
                f.write_str(")")
            }
        }
    }
}

fn write_list(f: &mut fmt::Formatter<'_>, items: &[Literal]) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if index > 0 { ", " } else { "" })?;
    }
    Ok(())
}

fn write_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("'")?;
    for c in text.chars() {
        match c {
            '\'' => f.write_str("\\'")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("'")
}

#[cfg(test)]
mod tests;
