//! From a step's saved `tool_state`, where everything is text, to the inputs JSON that a tool reads.
//!
//! The shape is Galaxy's for `<inputs data_style="paths"/>` under profiles from 20.05 on: parameters in the form's order, a
//! conditional's selector behind its case's parameters, multiple selections as lists, column numbers always as lists, datasets as paths.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value};

use super::wrapper::{Choice, Input, Param, ParamKind};

/// Datasets by the path of the input that takes them: `input_options|infile1`, `layers_0|weights`.
pub type Connected = BTreeMap<String, PathBuf>;

/// Types a step's state by the wrapper's form, fills in defaults and puts the connected datasets' paths in.
pub fn typed(inputs: &[Input], state: &Map<String, Value>, connected: &Connected) -> Result<Value> {
    let mut typing = Typing {
        connected,
        used: Vec::new(),
    };
    let params = typing.group(inputs, Some(state), "", &[])?;
    if let Some(unused) = connected.keys().find(|path| !typing.used.contains(path)) {
        bail!("the connection to {unused} has no data input in the wrapper's form");
    }
    Ok(Value::Object(params))
}

struct Typing<'a> {
    connected: &'a Connected,
    used: Vec<&'a String>,
}

/// Keys of a state that are Galaxy's own.
fn is_galaxys_own(key: &str) -> bool {
    key.starts_with("__") || key == "chromInfo" || key.contains("|__identifier__")
}

fn joined(prefix: &str, name: &str) -> String {
    if prefix.is_empty() {
        name.to_owned()
    } else {
        format!("{prefix}|{name}")
    }
}

impl Typing<'_> {
    /// `known` are the keys of `state` that the caller has dealt with.
    fn group(
        &mut self,
        inputs: &[Input],
        state: Option<&Map<String, Value>>,
        prefix: &str,
        known: &[&str],
    ) -> Result<Map<String, Value>> {
        if let Some(state) = state {
            let names: Vec<&str> = inputs.iter().map(Input::name).chain(known.iter().copied()).collect();
            if let Some(key) = state
                .keys()
                .find(|key| !is_galaxys_own(key) && !names.contains(&key.as_str()))
            {
                bail!(
                    "the saved state has {}, which the wrapper's form does not have",
                    joined(prefix, key)
                );
            }
        }
        let mut typed = Map::new();
        for input in inputs {
            let path = joined(prefix, input.name());
            let saved = state.and_then(|state| state.get(input.name()));
            let value = self.input(input, saved, &path)?;
            typed.insert(input.name().to_owned(), value);
        }
        Ok(typed)
    }

    fn input(&mut self, input: &Input, saved: Option<&Value>, path: &str) -> Result<Value> {
        match input {
            Input::Param(param) => self
                .param(param, saved, path)
                .with_context(|| format!("parameter {path}")),
            Input::Section { inputs, .. } => {
                let state = saved.map(|value| object(value, path)).transpose()?;
                Ok(Value::Object(self.group(inputs, state.as_ref(), path, &[])?))
            }
            Input::Repeat { min, max, inputs, .. } => {
                let saved = saved.map(|value| list(value, path)).transpose()?.unwrap_or_default();
                let count = saved.len().max(*min);
                ensure!(
                    max.is_none_or(|max| count <= max),
                    "{path} has {count} entries, the form allows {}",
                    max.unwrap_or_default()
                );
                let mut entries = Vec::with_capacity(count);
                for number in 0..count {
                    let entry = format!("{path}_{number}");
                    let state = saved.get(number).map(|value| object(value, &entry)).transpose()?;
                    entries.push(Value::Object(self.group(inputs, state.as_ref(), &entry, &[])?));
                }
                Ok(Value::Array(entries))
            }
            Input::Conditional { test, cases, .. } => {
                let state = saved.map(|value| object(value, path)).transpose()?;
                let selector = joined(path, &test.name);
                let chosen = self
                    .param(test, state.as_ref().and_then(|state| state.get(&test.name)), &selector)
                    .with_context(|| format!("parameter {selector}"))?;
                let wanted = selector_text(test, &chosen);
                let (_, inputs) = cases
                    .iter()
                    .find(|(value, _)| *value == wanted)
                    .with_context(|| format!("{selector} is {wanted:?}, for which the form has no case"))?;
                let mut typed = self.group(inputs, state.as_ref(), path, &[&test.name])?;
                typed.insert(test.name.clone(), chosen);
                Ok(Value::Object(typed))
            }
        }
    }

    fn param(&mut self, param: &Param, saved: Option<&Value>, path: &str) -> Result<Value> {
        if let ParamKind::Data = param.kind {
            return match self.connected.get_key_value(path) {
                Some((key, dataset)) => {
                    self.used.push(key);
                    Ok(Value::from(
                        dataset.to_str().context("the dataset's path is not valid UTF-8")?,
                    ))
                }
                None if param.optional => Ok(Value::Null),
                None => bail!("no dataset is connected"),
            };
        }
        if let Some(class) = saved.and_then(|value| value.get("__class__")).and_then(Value::as_str) {
            bail!("its value comes when the workflow runs ({class}), which is not supported");
        }
        match &param.kind {
            ParamKind::Data => bail!("no dataset is connected"),
            ParamKind::Text { default, sanitizer } => {
                let text = match saved {
                    None => default.clone(),
                    Some(value) => scalar_text(value)?,
                };
                Ok(match text {
                    Some(text) => Value::from(sanitizer.sanitize(&text)),
                    None if param.optional => Value::Null,
                    None => Value::from(""),
                })
            }
            ParamKind::Integer { default, min, max } => {
                let number = match filled(saved)? {
                    Field::Missing => *default,
                    Field::Empty => None,
                    Field::Text(text) => Some(text.parse().with_context(|| format!("{text:?} is not an integer"))?),
                };
                in_range(number, *min, *max)?;
                or_empty(number.map(Value::from), param)
            }
            ParamKind::Float { default, min, max } => {
                let number: Option<f64> = match filled(saved)? {
                    Field::Missing => *default,
                    Field::Empty => None,
                    Field::Text(text) => Some(text.parse().with_context(|| format!("{text:?} is not a number"))?),
                };
                ensure!(number.is_none_or(f64::is_finite), "the number is not finite");
                in_range(number, *min, *max)?;
                or_empty(number.map(Value::from), param)
            }
            ParamKind::Boolean {
                checked,
                truevalue,
                falsevalue,
            } => match filled(saved)? {
                Field::Missing => Ok(Value::from(*checked)),
                Field::Empty => Ok(Value::from(false)),
                Field::Text(text) if text.eq_ignore_ascii_case("true") || text == *truevalue => Ok(Value::from(true)),
                Field::Text(text) if text.eq_ignore_ascii_case("false") || text == *falsevalue => {
                    Ok(Value::from(false))
                }
                Field::Text(text) => bail!("{text:?} is neither true nor false"),
            },
            ParamKind::Select {
                options,
                multiple: true,
            } => choices(options.as_deref(), saved, param.optional),
            ParamKind::Select {
                options,
                multiple: false,
            } => choice(options.as_deref(), saved, param.optional),
            ParamKind::DataColumn { default } => columns(default.as_deref(), saved, param.optional),
        }
    }
}

impl Input {
    /// The key in the state and in the inputs JSON.
    pub fn name(&self) -> &str {
        match self {
            Input::Param(param) => &param.name,
            Input::Section { name, .. } | Input::Repeat { name, .. } | Input::Conditional { name, .. } => name,
        }
    }
}

/// Groups of older workflows are JSON texts inside the JSON.
fn object(value: &Value, path: &str) -> Result<Map<String, Value>> {
    let decoded = match value {
        Value::String(text) => serde_json::from_str(text).with_context(|| format!("the saved {path} is not JSON"))?,
        other => other.clone(),
    };
    match decoded {
        Value::Object(map) => Ok(map),
        _ => bail!("the saved {path} is not an object"),
    }
}

fn list(value: &Value, path: &str) -> Result<Vec<Value>> {
    let decoded = match value {
        Value::String(text) => serde_json::from_str(text).with_context(|| format!("the saved {path} is not JSON"))?,
        other => other.clone(),
    };
    match decoded {
        Value::Array(items) => Ok(items),
        _ => bail!("the saved {path} is not a list"),
    }
}

/// A saved value as text; `None` for null.
fn scalar_text(value: &Value) -> Result<Option<String>> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        Value::Bool(_) | Value::Number(_) => Ok(Some(value.to_string())),
        Value::Array(_) | Value::Object(_) => bail!("the saved value is not a single value: {value}"),
    }
}

enum Field {
    /// Not in the saved state: the form's default counts.
    Missing,
    /// Saved as empty on purpose.
    Empty,
    Text(String),
}

fn filled(saved: Option<&Value>) -> Result<Field> {
    let Some(value) = saved else {
        return Ok(Field::Missing);
    };
    Ok(match scalar_text(value)? {
        None => Field::Empty,
        Some(text) if text.trim().is_empty() => Field::Empty,
        Some(text) => Field::Text(text.trim().to_owned()),
    })
}

fn or_empty(value: Option<Value>, param: &Param) -> Result<Value> {
    match value {
        Some(value) => Ok(value),
        None if param.optional => Ok(Value::Null),
        None => bail!("it is empty, but the form wants a value"),
    }
}

fn in_range<T: PartialOrd + std::fmt::Display + Copy>(number: Option<T>, min: Option<T>, max: Option<T>) -> Result<()> {
    let Some(number) = number else { return Ok(()) };
    ensure!(
        min.is_none_or(|min| number >= min),
        "{number} is below the form's smallest, {}",
        min.unwrap_or(number)
    );
    ensure!(
        max.is_none_or(|max| number <= max),
        "{number} is above the form's largest, {}",
        max.unwrap_or(number)
    );
    Ok(())
}

fn selector_text(test: &Param, chosen: &Value) -> String {
    match (&test.kind, chosen) {
        (ParamKind::Boolean { truevalue, .. }, Value::Bool(true)) => truevalue.clone(),
        (ParamKind::Boolean { falsevalue, .. }, Value::Bool(false)) => falsevalue.clone(),
        (_, Value::String(value)) => value.clone(),
        (_, other) => other.to_string(),
    }
}

fn known(options: Option<&[Choice]>, value: &str) -> Result<()> {
    if let Some(options) = options
        && !options.iter().any(|option| option.value == value)
    {
        let values: Vec<&str> = options.iter().map(|option| option.value.as_str()).collect();
        bail!("{value:?} is none of the form's options: {}", values.join(", "));
    }
    Ok(())
}

fn choice(options: Option<&[Choice]>, saved: Option<&Value>, optional: bool) -> Result<Value> {
    let chosen = if let Some(value) = saved {
        scalar_text(value)?
    } else {
        let options = options.unwrap_or_default();
        let first = if optional { None } else { options.first() };
        options
            .iter()
            .find(|option| option.selected)
            .or(first)
            .map(|option| option.value.clone())
    };
    match chosen {
        Some(value) => {
            known(options, &value)?;
            Ok(Value::from(value))
        }
        None if optional => Ok(Value::Null),
        None => bail!("nothing is chosen"),
    }
}

fn choices(options: Option<&[Choice]>, saved: Option<&Value>, optional: bool) -> Result<Value> {
    let chosen: Option<Vec<String>> = match saved {
        None => {
            let selected = options.unwrap_or_default().iter().filter(|option| option.selected);
            Some(selected.map(|option| option.value.clone()).collect())
        }
        Some(Value::Null) => None,
        Some(Value::Array(items)) => Some(
            items
                .iter()
                .filter_map(|item| scalar_text(item).transpose())
                .collect::<Result<_>>()?,
        ),
        Some(value) => scalar_text(value)?.filter(|text| text != "None").map(|text| {
            text.split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
                .collect()
        }),
    };
    match chosen {
        Some(chosen) if !chosen.is_empty() => {
            for value in &chosen {
                known(options, value)?;
            }
            Ok(Value::from(chosen))
        }
        _ if optional => Ok(Value::Null),
        _ => bail!("nothing is chosen"),
    }
}

/// Column numbers, 1-based.
fn columns(default: Option<&str>, saved: Option<&Value>, optional: bool) -> Result<Value> {
    let texts: Vec<String> = match saved {
        None => default.into_iter().map(str::to_owned).collect(),
        Some(Value::Array(items)) => items
            .iter()
            .filter_map(|item| scalar_text(item).transpose())
            .collect::<Result<_>>()?,
        Some(value) => scalar_text(value)?.into_iter().collect(),
    };
    let numbers: Vec<u64> = texts
        .iter()
        .flat_map(|text| text.split(','))
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(|text| {
            text.trim_start_matches('c')
                .parse()
                .with_context(|| format!("{text:?} is not a column number"))
        })
        .collect::<Result<_>>()?;
    ensure!(optional || !numbers.is_empty(), "no column is chosen");
    ensure!(!numbers.contains(&0), "columns count from 1");
    Ok(if numbers.is_empty() {
        Value::Null
    } else {
        Value::from(numbers)
    })
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
