//! The conditions under which a wrapper's output exists: Galaxy writes them as Python expressions.
//!
//! Supported are names, `name['key']`, string and whole-number literals, `True`, `False`, `None`, lists of literals, `==`, `!=`,
//! `in`, `not in`, `not`, `and`, `or` and parentheses. Anything else is an error. Nothing is evaluated but these.

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Whether the expression is true for these parameters.
pub fn holds(expression: &str, params: &Value) -> Result<bool> {
    let evaluated = || {
        let tokens = tokens(expression)?;
        let mut parser = Parser {
            tokens: &tokens,
            at: 0,
            params,
        };
        let value = parser.either()?;
        if let Some(rest) = tokens.get(parser.at) {
            bail!("unexpected {rest}");
        }
        Ok(truth(&value))
    };
    evaluated().with_context(|| format!("output filter {:?} is not understood", expression.trim()))
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Name(String),
    Text(String),
    Number(i64),
    Sign(&'static str),
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => write!(f, "{name}"),
            Self::Text(text) => write!(f, "'{text}'"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Sign(sign) => write!(f, "{sign}"),
        }
    }
}

const SIGNS: [&str; 8] = ["==", "!=", "[", "]", "(", ")", ",", "."];

fn tokens(expression: &str) -> Result<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '\'' || first == '"' {
            let end = rest[1..].find(first).context("a string is never closed")? + 1;
            tokens.push(Token::Text(rest[1..end].to_owned()));
            rest = &rest[end + 1..];
        } else if first.is_ascii_digit() {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            tokens.push(Token::Number(rest[..end].parse()?));
            rest = &rest[end..];
        } else if first.is_ascii_alphabetic() || first == '_' {
            let end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .unwrap_or(rest.len());
            tokens.push(Token::Name(rest[..end].to_owned()));
            rest = &rest[end..];
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            tokens.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        } else {
            bail!("{first:?} is not supported");
        }
        rest = rest.trim_start();
    }
    Ok(tokens)
}

/// Python's notion of true.
fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// Recursive descent, loosest binding first. Both sides of `and` and `or` are always read, since reading has no effects.
struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    params: &'a Value,
}

impl Parser<'_> {
    fn take_sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Sign(s)) if *s == sign);
        self.at += usize::from(found);
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Name(n)) if n == word);
        self.at += usize::from(found);
        found
    }

    fn either(&mut self) -> Result<Value> {
        let mut left = self.both()?;
        while self.take_word("or") {
            let right = self.both()?;
            left = if truth(&left) { left } else { right };
        }
        Ok(left)
    }

    fn both(&mut self) -> Result<Value> {
        let mut left = self.negated()?;
        while self.take_word("and") {
            let right = self.negated()?;
            left = if truth(&left) { right } else { left };
        }
        Ok(left)
    }

    fn negated(&mut self) -> Result<Value> {
        if self.take_word("not") {
            Ok(Value::Bool(!truth(&self.negated()?)))
        } else {
            self.compared()
        }
    }

    fn compared(&mut self) -> Result<Value> {
        let left = self.operand()?;
        let result = if self.take_sign("==") {
            left == self.operand()?
        } else if self.take_sign("!=") {
            left != self.operand()?
        } else if self.take_word("in") {
            contains(&self.operand()?, &left)?
        } else if self.take_word("not") {
            if !self.take_word("in") {
                bail!("\"not\" is followed by something else than \"in\"");
            }
            !contains(&self.operand()?, &left)?
        } else {
            return Ok(left);
        };
        Ok(Value::Bool(result))
    }

    fn operand(&mut self) -> Result<Value> {
        let token = self
            .tokens
            .get(self.at)
            .context("the expression ends too early")?
            .clone();
        self.at += 1;
        match token {
            Token::Text(text) => Ok(Value::String(text)),
            Token::Number(number) => Ok(Value::from(number)),
            Token::Sign("(") => {
                let value = self.either()?;
                if !self.take_sign(")") {
                    bail!("a parenthesis is never closed");
                }
                Ok(value)
            }
            Token::Sign("[") => self.list(),
            Token::Sign(sign) => bail!("unexpected {sign}"),
            Token::Name(name) => match name.as_str() {
                "True" => Ok(Value::Bool(true)),
                "False" => Ok(Value::Bool(false)),
                "None" => Ok(Value::Null),
                _ => self.parameter(&name),
            },
        }
    }

    fn list(&mut self) -> Result<Value> {
        let mut items = Vec::new();
        while !self.take_sign("]") {
            items.push(self.operand()?);
            if !self.take_sign(",") && !matches!(self.tokens.get(self.at), Some(Token::Sign("]"))) {
                bail!("a list is never closed");
            }
        }
        Ok(Value::Array(items))
    }

    fn parameter(&mut self, name: &str) -> Result<Value> {
        let mut value = self
            .params
            .get(name)
            .with_context(|| format!("no parameter {name:?}"))?;
        while self.take_sign("[") {
            let Some(Token::Text(key)) = self.tokens.get(self.at) else {
                bail!("{name} is indexed by something else than a name in quotes");
            };
            self.at += 1;
            if !self.take_sign("]") {
                bail!("{name}[{key:?} is never closed");
            }
            value = value
                .get(key)
                .with_context(|| format!("parameter {name:?} has no {key:?} here"))?;
        }
        Ok(value.clone())
    }
}

/// Python's `in`: an element of a list, or a part of a text. Galaxy's empty multi-select is null and holds nothing.
fn contains(container: &Value, item: &Value) -> Result<bool> {
    match (container, item) {
        (Value::Array(items), item) => Ok(items.contains(item)),
        (Value::String(text), Value::String(part)) => Ok(text.contains(part.as_str())),
        (Value::Null, _) => Ok(false),
        _ => bail!("\"in\" wants a list or a text on its right"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn filter(expression: &str) -> bool {
        let params = json!({
            "save": ["save_estimator"], "none": null,
            "mode": {"kind": "train_model", "get_params": true, "inner": {"n": 3}},
        });
        holds(expression, &params).unwrap()
    }

    #[test]
    fn membership_in_a_multi_select_decides() {
        assert!(filter("'save_estimator' in save"));
        assert!(!filter("'save_prediction' in save"));
        assert!(filter("'save_prediction' not in save"));
        assert!(filter("save"));
    }

    #[test]
    fn an_unchosen_multi_select_holds_nothing() {
        assert!(!filter("none and 'x' in none"));
        assert!(!filter("'x' in none"));
    }

    #[test]
    fn comparisons_join_with_and_or_and_not_by_pythons_precedence() {
        assert!(filter("mode['kind'] == 'train_model' and mode[\"get_params\"]"));
        assert!(filter("mode['inner']['n'] == 3"));
        assert!(filter("False and False or True"));
        assert!(!filter("False and (False or True)"));
        assert!(filter("not mode['kind'] != 'train_model'"));
        assert!(filter("mode['kind'] in ['train_model', 'other']"));
    }

    #[test]
    fn what_is_not_understood_is_an_error_that_quotes_the_filter() {
        for expression in [
            "len(save) > 1",
            "save.count('a')",
            "missing",
            "mode['x'] == 1",
            "'a",
            "save ==",
            "save save",
        ] {
            let error = holds(expression, &json!({"save": [], "mode": {}})).unwrap_err();
            assert!(error.to_string().contains(&format!("{expression:?}")), "{error}");
        }
    }
}
