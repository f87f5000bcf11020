//! Python literals and keyword arguments, read without evaluating anything.
//!
//! The layer form has free text fields (`kernel_size`, `kwargs`, ...) into which people write Python: `(2, 2)`, `padding='same'`,
//! `kernel_regularizer=l2(0.01)`. This is a small recursive-descent parser for exactly that: numbers, text, `True`, `False`, `None`,
//! tuples, lists, dicts, and calls, which stay names with arguments until somebody with a closed vocabulary resolves them.
//! Depth and length are limited, so that no text can exhaust the stack.

use std::fmt;

use serde_json::Value;

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

struct Parser<'a> {
    text: &'a str,
    chars: Vec<char>,
    at: usize,
}

type Arguments = (Vec<Literal>, Vec<(String, Literal)>);

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Self, LiteralError> {
        let chars: Vec<char> = text.chars().take(MAX_LENGTH + 1).collect();
        let parser = Self { text, at: 0, chars };
        if parser.chars.len() > MAX_LENGTH {
            return Err(parser.error(MAX_LENGTH, format!("longer than {MAX_LENGTH} characters")));
        }
        Ok(parser)
    }

    fn error(&self, at: usize, problem: impl Into<String>) -> LiteralError {
        // The text is part of a one-line message: control characters are shown as escapes.
        let shown = Literal::Str(shortened(self.text, 80)).to_string();
        let text = if self.text.chars().any(char::is_control) {
            shown[1..shown.len() - 1].to_owned()
        } else {
            shortened(self.text, 80)
        };
        LiteralError {
            text,
            column: at + 1,
            problem: problem.into(),
        }
    }

    fn expected(&self, what: &str) -> LiteralError {
        let found = match self.peek() {
            Some(c) => Literal::Str(c.to_string()).to_string(),
            None => "the end".to_owned(),
        };
        self.error(self.at, format!("expected {what}, found {found}"))
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    /// Skips blanks, then `wanted` if it is next.
    fn accept(&mut self, wanted: char) -> bool {
        self.blanks();
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn end(&mut self) -> Result<(), LiteralError> {
        self.blanks();
        if self.at < self.chars.len() {
            Err(self.expected("nothing more"))
        } else {
            Ok(())
        }
    }

    fn value(&mut self, depth: usize) -> Result<Literal, LiteralError> {
        self.blanks();
        if depth > MAX_DEPTH {
            return Err(self.error(self.at, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        match self.peek() {
            Some('(') => {
                self.at += 1;
                let (mut items, comma) = self.sequence(')', depth + 1)?;
                match items.len() {
                    // Parentheses alone do not make a tuple.
                    1 if !comma => Ok(items.remove(0)),
                    _ => Ok(Literal::Tuple(items)),
                }
            }
            Some('[') => {
                self.at += 1;
                Ok(Literal::List(self.sequence(']', depth + 1)?.0))
            }
            Some('{') => {
                self.at += 1;
                self.dict(depth + 1)
            }
            Some(quote @ ('\'' | '"')) => {
                self.at += 1;
                self.string(quote)
            }
            Some(c) if c.is_ascii_digit() || matches!(c, '+' | '-' | '.') => self.number(),
            Some(c) if c.is_alphabetic() || c == '_' => self.name_or_call(depth),
            _ => Err(self.expected("a value")),
        }
    }

    fn sequence(&mut self, close: char, depth: usize) -> Result<(Vec<Literal>, bool), LiteralError> {
        let (mut items, mut comma) = (Vec::new(), false);
        loop {
            if self.accept(close) {
                return Ok((items, comma));
            }
            if !items.is_empty() && !comma {
                return Err(self.expected(&format!("',' or '{close}'")));
            }
            items.push(self.value(depth)?);
            comma = self.accept(',');
        }
    }

    fn dict(&mut self, depth: usize) -> Result<Literal, LiteralError> {
        let (mut entries, mut comma) = (Vec::new(), true);
        loop {
            if self.accept('}') {
                return Ok(Literal::Dict(entries));
            }
            if !comma {
                return Err(self.expected("',' or '}'"));
            }
            let key = self.value(depth)?;
            if !self.accept(':') {
                return Err(self.expected("':'"));
            }
            entries.push((key, self.value(depth)?));
            comma = self.accept(',');
        }
    }

    /// The arguments of a call up to `close`, or, without one, keyword arguments up to the end of the text.
    fn arguments(&mut self, close: Option<char>, depth: usize) -> Result<Arguments, LiteralError> {
        let (mut args, mut kwargs): Arguments = (Vec::new(), Vec::new());
        let mut comma = true;
        loop {
            self.blanks();
            if close.is_none() && self.at == self.chars.len() || close.is_some_and(|close| self.accept(close)) {
                return Ok((args, kwargs));
            }
            if !comma {
                return Err(self.expected(if close.is_some() { "',' or ')'" } else { "','" }));
            }
            let start = self.at;
            if let Some(key) = self.keyword() {
                if kwargs.iter().any(|(known, _)| *known == key) {
                    return Err(self.error(start, format!("{key} is given twice")));
                }
                kwargs.push((key, self.value(depth)?));
            } else if close.is_some() && kwargs.is_empty() {
                args.push(self.value(depth)?);
            } else {
                return Err(self.expected("a keyword argument such as padding='same'"));
            }
            comma = self.accept(',');
        }
    }

    /// `name =`, if that is what comes next; otherwise nothing is consumed.
    fn keyword(&mut self) -> Option<String> {
        let start = self.at;
        let name = self.identifier();
        if !name.is_empty() && self.accept('=') {
            return Some(name);
        }
        self.at = start;
        None
    }

    fn identifier(&mut self) -> String {
        let start = self.at;
        while self.peek().is_some_and(|c| {
            c == '_'
                || if self.at == start {
                    c.is_alphabetic()
                } else {
                    c.is_alphanumeric()
                }
        }) {
            self.at += 1;
        }
        self.chars[start..self.at].iter().collect()
    }

    fn name_or_call(&mut self, depth: usize) -> Result<Literal, LiteralError> {
        let start = self.at;
        let mut name = self.identifier();
        while self.peek() == Some('.') {
            self.at += 1;
            let part = self.identifier();
            if part.is_empty() {
                return Err(self.expected("a name"));
            }
            name = name + "." + &part;
        }
        match name.as_str() {
            "None" => return Ok(Literal::None),
            "True" => return Ok(Literal::Bool(true)),
            "False" => return Ok(Literal::Bool(false)),
            _ => {}
        }
        if self.accept('(') {
            let (args, kwargs) = self.arguments(Some(')'), depth + 1)?;
            return Ok(Literal::Call { name, args, kwargs });
        }
        // Galaxy replaces characters that a field does not allow by X, quotes among them.
        let inner = name
            .strip_prefix('X')
            .and_then(|name| name.strip_suffix('X'))
            .filter(|inner| !inner.is_empty());
        Err(self.error(
            start,
            match inner {
                Some(inner) => format!("{name} is not a value; were its quotes lost? write '{inner}' in single quotes"),
                None => format!("{} is not a value; text needs quotes, '{0}'", shortened(&name, 60)),
            },
        ))
    }

    fn number(&mut self) -> Result<Literal, LiteralError> {
        let start = self.at;
        let mut text = String::new();
        if let Some(sign @ ('+' | '-')) = self.peek() {
            text.push(sign);
            self.at += 1;
            self.blanks();
        }
        let before = self.digits(&mut text);
        let mut float = false;
        let mut after = 0;
        if self.peek() == Some('.') {
            float = true;
            text.push('.');
            self.at += 1;
            after = self.digits(&mut text);
        }
        if before + after == 0 {
            return Err(self.expected("a number"));
        }
        if matches!(self.peek(), Some('e' | 'E')) {
            float = true;
            text.push('e');
            self.at += 1;
            if let Some(sign @ ('+' | '-')) = self.peek() {
                text.push(sign);
                self.at += 1;
            }
            if self.digits(&mut text) == 0 {
                return Err(self.expected("the exponent's digits"));
            }
        }
        if self.peek().is_some_and(|c| c.is_alphanumeric() || c == '_') {
            return Err(self.expected("the end of the number"));
        }
        if float {
            return match text.parse::<f64>() {
                Ok(value) if value.is_finite() => Ok(Literal::Float(value)),
                _ => Err(self.error(start, "the number is too large")),
            };
        }
        text.parse()
            .map(Literal::Int)
            .map_err(|_| self.error(start, "the number is too large"))
    }

    /// Digits, with Python's single underscores between them left out.
    fn digits(&mut self, text: &mut String) -> usize {
        let mut count = 0;
        while let Some(c) = self.peek() {
            let separator = c == '_'
                && count > 0
                && self.chars[self.at - 1] != '_'
                && self.chars.get(self.at + 1).is_some_and(char::is_ascii_digit);
            if c.is_ascii_digit() {
                text.push(c);
                count += 1;
            } else if !separator {
                break;
            }
            self.at += 1;
        }
        count
    }

    fn string(&mut self, quote: char) -> Result<Literal, LiteralError> {
        let start = self.at - 1;
        let mut text = String::new();
        loop {
            let Some(c) = self.peek() else {
                return Err(self.error(start, format!("the text has no closing {quote}")));
            };
            self.at += 1;
            match c {
                c if c == quote => return Ok(Literal::Str(text)),
                '\\' => self.escape(&mut text)?,
                c => text.push(c),
            }
        }
    }

    fn escape(&mut self, text: &mut String) -> Result<(), LiteralError> {
        let Some(c) = self.peek() else { return Ok(()) };
        self.at += 1;
        let plain = match c {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'v' => '\u{b}',
            '\\' | '\'' | '"' => c,
            'x' => self.code_point(2)?,
            'u' => self.code_point(4)?,
            'U' => self.code_point(8)?,
            c => {
                // As Python: an unknown escape stays as it is.
                text.push('\\');
                c
            }
        };
        text.push(plain);
        Ok(())
    }

    fn code_point(&mut self, digits: usize) -> Result<char, LiteralError> {
        let mut code = 0_u32;
        for _ in 0..digits {
            match self.peek().and_then(|c| c.to_digit(16)) {
                Some(digit) => code = code.wrapping_mul(16).wrapping_add(digit),
                None => return Err(self.expected(&format!("{digits} hexadecimal digits"))),
            }
            self.at += 1;
        }
        char::from_u32(code).ok_or_else(|| self.error(self.at - digits, "not a character"))
    }
}

#[cfg(test)]
#[path = "literal_tests.rs"]
mod tests;
