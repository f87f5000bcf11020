//! `keras_model_config`: the architecture of a model, from the form to Keras's model JSON.

mod functional;

use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::galaxy::inputs;
use crate::galaxy::output::Outputs;
use crate::galaxy::text::unescape;
use crate::keras::field::Field;
use crate::keras::layers::{AutoNames, Layer};
use crate::keras::literal::Literal;
use crate::keras::model::{Model, ModelError};
use crate::keras::shape::Shape;
use crate::keras::summary::summary;
use crate::{Error, Result};

/// The file in the working directory that becomes the output dataset.
pub const OUTPUT: &str = "model.json";

/// The form as Galaxy hands it over.
#[derive(Debug, Deserialize)]
struct Form {
    model_selection: ModelSelection,
}

#[derive(Debug, Deserialize)]
struct ModelSelection {
    model_type: String,
    /// Text such as `(784, )`, empty when the model should take any input.
    #[serde(default)]
    input_shape: Value,
    #[serde(default)]
    layers: Vec<LayerEntry>,
    /// Numbers of the layers that are a functional model's inputs, as text: `[1, 5]`.
    #[serde(default)]
    input_layers: Value,
    /// Numbers of the layers whose outputs are a functional model's.
    #[serde(default)]
    output_layers: Value,
}

#[derive(Debug, Deserialize)]
struct LayerEntry {
    layer_selection: Map<String, Value>,
}

/// Reads the form from `inputs`, writes [`OUTPUT`] into `output_dir`, and returns the model's summary table.
///
/// # Errors
///
/// The form cannot be read, a layer is wrong or does not fit its input, or the output cannot be written. No output appears then.
pub fn run(inputs: &Path, output_dir: &Path) -> Result<String> {
    let form: Form = inputs::read(inputs)?;
    // Everything is checked before anything is written.
    let model = model(&form.model_selection)?;
    model.check_masks()?;
    let model = model.built()?;
    let table = summary(&model)? + &losses(&model);
    let mut outputs = Outputs::in_dir(output_dir);
    outputs.write(OUTPUT, |file| file.write_all(model.to_json().as_bytes()))?;
    outputs.commit()?;
    Ok(table)
}

fn model(form: &ModelSelection) -> Result<Model> {
    let functional = match form.model_type.as_str() {
        "sequential" => false,
        "functional" => true,
        other => {
            let other = crate::keras::literal::quoted(other);
            return Err(Error::Input(format!(
                "unknown model type {other}; expected 'sequential' or 'functional'"
            )));
        }
    };
    if form.layers.is_empty() {
        return Err(Error::Input("the model has no layers; add at least one".into()));
    }
    if functional {
        return functional::model(&form.layers, &form.input_layers, &form.output_layers);
    }
    let input_shape = input_shape(&form.input_shape)?;
    let mut names = AutoNames::default();
    let mut layers = Vec::with_capacity(form.layers.len());
    for (index, entry) in form.layers.iter().enumerate() {
        let input_shape = input_shape.as_ref().filter(|_| index == 0);
        layers.push(layer(index, &entry.layer_selection, input_shape, &mut names)?);
    }
    Ok(Model::sequential("sequential_1", layers)?)
}

/// A line for each layer with parameters that Keras does not keep in a model configuration.
fn losses(model: &Model) -> String {
    let mut text = String::new();
    for node in model.nodes.iter().filter(|node| !node.layer.lost.is_empty()) {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "Note: layer {}, {} '{}': Keras does not keep {} in a model configuration, so it has no effect",
            node.number,
            node.layer.kind.class_name(),
            node.layer.name,
            node.layer.lost.join(" and ")
        );
    }
    text
}

/// The input shape without the batch axis; `None` when the field is empty.
fn input_shape(value: &Value) -> Result<Option<Shape>> {
    let shape = match value {
        Value::Null => return Ok(None),
        Value::String(text) if matches!(text.trim(), "" | "None") => return Ok(None),
        Value::String(text) => Shape::from_text(&unescape(text)),
        value => Shape::from_literal(&Literal::from_json(value)),
    };
    shape.map(Some).map_err(|problem| {
        Error::Input(format!(
            "input_shape: {problem}; write the shape without the batch as a tuple, e.g. (784, )"
        ))
    })
}

/// One layer from its case of the form: the type, its fields, and `kwargs`.
fn layer(index: usize, form: &Map<String, Value>, input_shape: Option<&Shape>, names: &mut AutoNames) -> Result<Layer> {
    let Some(Value::String(layer_type)) = form.get("layer_type") else {
        return Err(Error::Input(format!("layer {}: it has no layer_type", index + 1)));
    };
    let kwargs = match form.get("kwargs") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) if text.trim() == "None" => String::new(),
        Some(Value::String(text)) => unescape(text),
        Some(_) => return Err(Error::Input(format!("layer {}: kwargs is not a text", index + 1))),
    };
    // Galaxy's own bookkeeping (`__current_case__`) is found in what was saved with a workflow.
    let fields = form
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "layer_type" | "kwargs") && !name.starts_with("__"))
        .map(|(name, value)| (name.clone(), unescaped(value)))
        .collect();
    Layer::from_form(layer_type, &fields, &kwargs, input_shape, names)
        .map_err(|error| ModelError::layer(index, layer_type, None, error).into())
}

fn unescaped(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(unescape(text)),
        value => value.clone(),
    }
}

#[cfg(test)]
#[path = "keras_model_config_tests.rs"]
mod tests;
