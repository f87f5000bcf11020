//! Where the original form is broken: what its fields are called and mean here, so that a workflow saved with it means what its author
//! meant.

use serde_json::{Map, Value, json};

use super::LayerError;
use crate::keras::literal::Literal;

/// The fields of a layer as the form gives them, with Keras's names and with objects where the form has groups of fields.
///
/// `aliases` are the form's names of parameters and Keras's.
///
/// # Errors
///
/// The fields of a constraint are malformed.
pub(super) fn translated(
    class_name: &str,
    fields: &Map<String, Value>,
    aliases: &[(&str, &str)],
) -> Result<Map<String, Value>, LayerError> {
    let mut translated = Map::new();
    for (name, value) in fields {
        let name = match aliases.iter().find(|(shown, _)| shown == name) {
            Some((_, name)) if !fields.contains_key(*name) => name,
            // A newer form's name of the second field that the first one called `max_value` as well.
            _ if class_name == "ReLU" && name == "threshold_max_value" => "threshold",
            _ => name.as_str(),
        };
        let value = match value {
            // The original form has two fields of this name, of which the second, 0 unless changed, was meant as the threshold. A
            // maximum of 0 would make a layer that gives nothing but zeros.
            value if class_name == "ReLU" && name == "max_value" && number(value) == Some(0.0) => continue,
            Value::Object(group) if group.contains_key("constraint_type") => constraint(name, group)?,
            value => value.clone(),
        };
        translated.insert(name.to_owned(), value);
    }
    Ok(translated)
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_f64(),
    }
}

/// A constraint as Keras writes it, from its group of fields.
fn constraint(name: &str, group: &Map<String, Value>) -> Result<Value, LayerError> {
    let kind = group.get("constraint_type").and_then(Value::as_str).unwrap_or_default();
    if matches!(kind, "" | "None") {
        return Ok(Value::Null);
    }
    let mut config = Map::new();
    let options = group.get("constraint_options").and_then(Value::as_object);
    for (option, value) in options.into_iter().flatten() {
        if option.starts_with("__") {
            continue;
        }
        // Both names of the rate: the newer form's, which Keras does not know.
        let option = if option == "rate_max_value" { "rate" } else { option };
        let value = match value {
            Value::Null => continue,
            Value::String(text) if matches!(text.trim(), "" | "None") => continue,
            Value::String(text) => literal_value(text).ok_or_else(|| LayerError::Argument {
                name: format!("{name}'s {option}"),
                value: crate::keras::literal::quoted(text),
                problem: "expected a number or a list of integers".into(),
            })?,
            value => value.clone(),
        };
        config.insert(option.to_owned(), value);
    }
    Ok(json!({"class_name": kind, "config": config}))
}

/// A number or a list of numbers as JSON.
fn literal_value(text: &str) -> Option<Value> {
    let scalar = |literal: &Literal| match literal {
        Literal::Int(value) => Some(Value::from(*value)),
        Literal::Float(value) => Some(Value::from(*value)),
        _ => None,
    };
    let literal = Literal::parse(text).ok()?;
    match literal.items() {
        Some(items) => items.iter().map(scalar).collect(),
        None => scalar(&literal),
    }
}
