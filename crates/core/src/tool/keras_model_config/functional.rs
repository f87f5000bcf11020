//! The form of a functional model: layers that say by number whose outputs they take.

use serde_json::Value;

use super::{LayerEntry, layer};
use crate::galaxy::text::unescape;
use crate::keras::layers::{AutoNames, Layer, LayerKind, LayerSpec, catalogue};
use crate::keras::literal::{Literal, quoted};
use crate::keras::model::{LayerOutput, Model, ModelError};
use crate::{Error, Result};

/// The model of the form's layers; `input_layers` and `output_layers` are the form's lists of layer numbers. An empty list stands for
/// every `Input` layer, or every layer whose output no other takes.
pub(super) fn model(entries: &[LayerEntry], input_layers: &Value, output_layers: &Value) -> Result<Model> {
    let mut names = AutoNames::default();
    let mut layers: Vec<(Layer, Vec<usize>)> = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let mut fields = entry.layer_selection.clone();
        let inbound = fields.shift_remove("inbound_nodes");
        let merging = fields.shift_remove("merging_layers");
        let layer = layer(index, &fields, None, &mut names)?;
        let before = connections(index, entries.len(), &layer, inbound.as_ref(), merging.as_ref())?;
        layers.push((layer, before));
    }
    let mut inputs = numbers("input_layers", input_layers, entries.len()).map_err(Error::Input)?;
    if inputs.is_empty() {
        inputs = (0..layers.len())
            .filter(|&index| matches!(layers[index].0.kind, LayerKind::InputLayer(_)))
            .collect();
        if inputs.is_empty() {
            return Err(Error::Input(
                "the model has no input; begin it with an Input layer".into(),
            ));
        }
    }
    let mut outputs = numbers("output_layers", output_layers, entries.len()).map_err(Error::Input)?;
    if outputs.is_empty() {
        let taken = |index: &usize| layers.iter().any(|(_, before)| before.contains(index));
        outputs = (0..layers.len()).filter(|index| !taken(index)).collect();
    }
    if let Some(&several) = outputs.iter().find(|&&index| layers[index].0.kind.outputs() > 1) {
        return Err(ModelError::conflict(
            several,
            &layers[several].0,
            "return_state=True gives it several outputs, and an output of the model is one of them; remove it",
        )
        .into());
    }
    let outputs: Vec<LayerOutput> = outputs.into_iter().map(LayerOutput::first).collect();
    let taken = (0..layers.len())
        .map(|index| taken(index, &layers))
        .collect::<Result<Vec<_>>>()?;
    let layers = layers.into_iter().map(|(layer, _)| layer).zip(taken).collect();
    Ok(Model::functional("model_1", layers, &inputs, &outputs)?)
}

/// The outputs that the layer at `index` takes of the layers before it. Of one that returns its states a recurrent layer takes all:
/// as in Keras, it begins from them.
fn taken(index: usize, layers: &[(Layer, Vec<usize>)]) -> Result<Vec<LayerOutput>> {
    let (layer, before) = &layers[index];
    let Some(&several) = before.iter().find(|&&before| layers[before].0.kind.outputs() > 1) else {
        return Ok(before.iter().copied().map(LayerOutput::first).collect());
    };
    if layer.kind.states().is_none() || before.len() > 1 {
        let other = &layers[several].0;
        return Err(ModelError::conflict(
            index,
            layer,
            format!(
                "it takes the output of layer {}, {} {}, which has several because of return_state=True: only a recurrent layer can \
                 take them, and begins from the states among them; remove return_state=True from layer {}",
                several + 1,
                other.kind.class_name(),
                quoted(&other.name),
                several + 1,
            ),
        )
        .into());
    }
    let outputs = 0..layers[several].0.kind.outputs();
    Ok(outputs.map(|output| LayerOutput { layer: several, output }).collect())
}

/// The layers, by index, whose outputs the layer at `index` takes.
fn connections(
    index: usize,
    number_of_layers: usize,
    layer: &Layer,
    inbound: Option<&Value>,
    merging: Option<&Value>,
) -> Result<Vec<usize>> {
    let class_name = layer.kind.class_name();
    let complaint = |problem: String| Error::from(ModelError::conflict(index, layer, problem));
    if matches!(layer.kind, LayerKind::InputLayer(_)) {
        return Ok(Vec::new());
    }
    let merges = catalogue()
        .iter()
        .any(|spec: &LayerSpec| spec.layer_type == class_name && spec.group == "Merge");
    // Either field serves; the original form leaves out one.
    let given = [merging, inbound]
        .into_iter()
        .flatten()
        .map(|value| {
            numbers(
                if merges { "merging_layers" } else { "inbound_nodes" },
                value,
                number_of_layers,
            )
        })
        .find(|numbers| numbers.as_ref().map_or(true, |numbers| !numbers.is_empty()));
    match given {
        Some(numbers) => numbers.map_err(complaint),
        None if merges => Err(complaint(
            "merging_layers is empty; write the numbers of the layers to merge, e.g. [2, 3]".into(),
        )),
        // The original form has no field for some layers: then the layer before is meant.
        None => index.checked_sub(1).map(|before| vec![before]).ok_or_else(|| {
            complaint("it is connected to no layer before it; begin the model with an Input layer".into())
        }),
    }
}

/// Indices of layers from a list of their numbers, counted from 1, in any of the ways that the form gives one.
fn numbers(name: &str, value: &Value, number_of_layers: usize) -> std::result::Result<Vec<usize>, String> {
    let problem = |shown: String, problem: &str| {
        format!("{name}={shown}: {problem}; write the numbers of layers, counted from 1, e.g. [1, 2]")
    };
    let literal = match value {
        Value::String(text) => {
            let text = unescape(text);
            if matches!(text.trim(), "" | "None") {
                return Ok(Vec::new());
            }
            // Numbers with commas between them, without brackets, are a tuple in Python.
            let bracketed = if text.trim_start().starts_with(['[', '(']) {
                text.clone()
            } else {
                format!("[{text}]")
            };
            Literal::parse(&bracketed).map_err(|_| problem(quoted(&text), "not a list of numbers"))?
        }
        value => Literal::from_json(value),
    };
    let one = std::slice::from_ref(&literal);
    let items = match &literal {
        Literal::None => &[],
        literal => literal.items().unwrap_or(one),
    };
    items
        .iter()
        .map(|item| match item {
            Literal::Int(number) => usize::try_from(*number)
                .ok()
                .filter(|number| (1..=number_of_layers).contains(number))
                .map(|number| number - 1)
                .ok_or_else(|| {
                    problem(
                        literal.to_string(),
                        &format!("there is no layer {number}, only 1 to {number_of_layers}"),
                    )
                }),
            _ => Err(problem(literal.to_string(), "not a list of numbers")),
        })
        .collect()
}
