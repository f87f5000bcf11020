//! Functional models: graphs of layers, and their JSON in the dialects of Keras.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::graph::{self, Fault};
use super::{LayerOutput, MAX_LAYERS, Model, ModelClass, ModelError, Node, check_names};
use crate::keras::layers::{AutoNames, Layer, LayerError, LayerKind, MaskRule};
use crate::keras::literal::quoted;

/// A layer with the outputs that it takes, layers by index in the order in which they were made.
pub type Connected = (Layer, Vec<LayerOutput>);

impl Model {
    /// A graph of layers in any order; `inputs` and what the layers and `outputs` take are indices of `layers`.
    ///
    /// # Errors
    ///
    /// Two layers have the same name, the connections make a circle, a layer leads to no output or is connected to nothing, or the
    /// inputs are not the model's `Input` layers.
    pub fn functional(
        name: impl Into<String>,
        layers: Vec<Connected>,
        inputs: &[usize],
        outputs: &[LayerOutput],
    ) -> Result<Self, ModelError> {
        if layers.len() > MAX_LAYERS {
            return Err(ModelError::Format(format!(
                "the model has {} layers; at most {MAX_LAYERS} are read",
                layers.len()
            )));
        }
        check_names(layers.iter().map(|(layer, _)| layer))?;
        check_ends(&layers, inputs, outputs)?;
        check_beginnings(&layers, inputs)?;
        let of = |taken: &[LayerOutput]| taken.iter().map(|taken| taken.layer).collect::<Vec<_>>();
        let connections: Vec<Vec<usize>> = layers.iter().map(|(_, before)| of(before)).collect();
        let order = graph::ordered(&connections, &of(outputs)).map_err(|found| {
            let (index, problem) = match found {
                Fault::Cycle(index) => (
                    index,
                    "its connections run in a circle: it takes, directly or through others, its own output",
                ),
                Fault::Loose(index) => (
                    index,
                    "its output leads to none of the model's; connect it, name it in output_layers, or remove it",
                ),
            };
            ModelError::conflict(index, &layers[index].0, problem)
        })?;
        let mut places = vec![0; order.len()];
        for (place, &index) in order.iter().enumerate() {
            places[index] = place;
        }
        let moved = |taken: &[LayerOutput]| -> Vec<LayerOutput> {
            let moved = |&LayerOutput { layer, output }| LayerOutput {
                layer: places[layer],
                output,
            };
            taken.iter().map(moved).collect()
        };
        let inputs = inputs.iter().map(|&index| places[index]).collect();
        let outputs = moved(outputs);
        let mut nodes: Vec<Node> = layers
            .into_iter()
            .enumerate()
            .map(|(index, (layer, before))| Node {
                layer,
                inputs: moved(&before),
                number: index + 1,
            })
            .collect();
        nodes.sort_by_key(|node| places[node.number - 1]);
        let taken = nodes.iter().flat_map(|node| &node.inputs).chain(&outputs);
        for taken in taken {
            let node = &nodes[taken.layer];
            if taken.output >= node.layer.kind.outputs() {
                return Err(node.lacks(taken.output));
            }
        }
        Ok(Self {
            name: name.into(),
            class: ModelClass::Functional,
            nodes,
            inputs,
            outputs,
        })
    }

    /// Checks that the model can be fed from one table and give one: its training data are one array for one input, and one for one
    /// output.
    ///
    /// # Errors
    ///
    /// It has several inputs or outputs.
    pub fn check_one_input_and_output(&self) -> Result<(), ModelError> {
        let outputs: Vec<usize> = self.outputs.iter().map(|taken| taken.layer).collect();
        for (what, chosen, table) in [("inputs", &self.inputs, "features"), ("outputs", &outputs, "targets")] {
            if chosen.len() > 1 {
                let names: Vec<String> = chosen
                    .iter()
                    .map(|&index| quoted(&self.nodes[index].layer.name))
                    .collect();
                return Err(ModelError::Unsupported(format!(
                    "the model has {} {what} ({}), but there is one table of {table}: only a model with one input and one output \
                     can be trained or asked here",
                    chosen.len(),
                    names.join(", ")
                )));
            }
        }
        Ok(())
    }

    /// Checks that every layer that is given a masked sequence can leave the masked steps out, as Keras 2.3.1 does.
    ///
    /// # Errors
    ///
    /// One cannot; the error names it and the layer that masks.
    pub fn check_masks(&self) -> Result<(), ModelError> {
        // For each node the one whose mask it hands on.
        let mut masked_by: Vec<Option<usize>> = Vec::with_capacity(self.nodes.len());
        for (index, node) in self.nodes.iter().enumerate() {
            // States have no steps that could be left out.
            let inputs = node.layer.kind.masked_inputs(&node.inputs);
            let mut outputs = inputs.iter().filter(|taken| taken.output == 0);
            let mask = outputs.find_map(|taken| masked_by[taken.layer]);
            masked_by.push(match (node.layer.kind.mask_rule(), mask) {
                (MaskRule::Makes, _) => Some(index),
                (MaskRule::Keeps, mask) => mask,
                (MaskRule::Uses, _) | (MaskRule::Refuses, None) => None,
                (MaskRule::Refuses, Some(maker)) => {
                    let maker = &self.nodes[maker];
                    return Err(self.complaint(
                        index,
                        LayerError::Conflict(format!(
                            "it cannot leave out the steps that layer {}, {} {}, masks; put a recurrent layer or \
                             GlobalAveragePooling1D between them, or do without the mask",
                            maker.number,
                            maker.layer.kind.class_name(),
                            quoted(&maker.layer.name)
                        )),
                    ));
                }
            });
        }
        Ok(())
    }

    /// The error of the node at `index`.
    pub(super) fn complaint(&self, index: usize, error: LayerError) -> ModelError {
        let node = &self.nodes[index];
        ModelError::layer(
            node.number - 1,
            node.layer.kind.class_name(),
            Some(&node.layer.name),
            error,
        )
    }

    /// The `config` of a functional model as Keras 2.3.1 writes it.
    pub(super) fn functional_config(&self) -> Value {
        let name = |index: usize| self.nodes[index].layer.name.as_str();
        let layers: Vec<Value> = self
            .nodes
            .iter()
            .map(|Node { layer, inputs, .. }| {
                let connections: Vec<Value> = inputs
                    .iter()
                    .map(|taken| json!([name(taken.layer), 0, taken.output, {}]))
                    .collect();
                let connections = if connections.is_empty() {
                    vec![]
                } else {
                    vec![connections]
                };
                json!({
                    "name": layer.name,
                    "class_name": layer.kind.class_name(),
                    "config": layer.to_config(),
                    "inbound_nodes": connections,
                })
            })
            .collect();
        json!({
            "name": self.name,
            "layers": layers,
            "input_layers": self.inputs.iter().map(|&index| json!([name(index), 0, 0])).collect::<Value>(),
            "output_layers": self.outputs.iter().map(|taken| json!([name(taken.layer), 0, taken.output])).collect::<Value>(),
        })
    }

    /// Reads the `config` of a functional model, in the dialects of Keras 2 and 3.
    pub(super) fn functional_from(config: &Map<String, Value>) -> Result<Self, ModelError> {
        let Some(Value::Array(entries)) = config.get("layers") else {
            return Err(ModelError::Format("its config has no list of layers".into()));
        };
        let mut names = AutoNames::default();
        let mut layers = Vec::new();
        let mut connections = Vec::new();
        for (index, entry) in entries.iter().take(MAX_LAYERS + 1).enumerate() {
            let (Some(class_name), Some(Value::Object(config))) =
                (entry.get("class_name").and_then(Value::as_str), entry.get("config"))
            else {
                return Err(ModelError::Format(format!(
                    "layer {} has no class_name or no config",
                    index + 1
                )));
            };
            let name = config.get("name").or_else(|| entry.get("name")).and_then(Value::as_str);
            let complaint = |error| ModelError::layer(index, class_name, name, error);
            if matches!(class_name, "Sequential" | "Model" | "Functional") {
                return Err(complaint(LayerError::Conflict(
                    "a model inside a model is not supported; give its layers themselves".into(),
                )));
            }
            let mut config = config.clone();
            config.remove("build_config");
            if let (false, Some(name)) = (config.contains_key("name"), name) {
                config.insert("name".into(), name.into());
            }
            layers.push(Layer::from_config(class_name, &config, &mut names).map_err(complaint)?);
            let nodes = entry.get("inbound_nodes").cloned().unwrap_or_else(|| json!([]));
            connections.push(inbound(&nodes).map_err(|problem| complaint(LayerError::Conflict(problem)))?);
        }
        let by_name: HashMap<&str, usize> = layers
            .iter()
            .enumerate()
            .map(|(index, layer)| (layer.name.as_str(), index))
            .collect();
        let find = |(name, output): &Named| {
            let layer = by_name.get(name.as_str()).copied().ok_or_else(|| {
                ModelError::Format(format!("it connects a layer {} that it does not have", quoted(name)))
            })?;
            Ok(LayerOutput { layer, output: *output })
        };
        let connections = connections
            .iter()
            .map(|names| names.iter().map(find).collect())
            .collect::<Result<Vec<Vec<LayerOutput>>, ModelError>>()?;
        let ends = |key: &str| {
            let layers = config.get(key).and_then(tensors).unwrap_or_default();
            layers
                .iter()
                .map(find)
                .collect::<Result<Vec<LayerOutput>, ModelError>>()
        };
        let (inputs, outputs) = (ends("input_layers")?, ends("output_layers")?);
        let inputs: Vec<usize> = inputs.into_iter().map(|taken| taken.layer).collect();
        let name = config.get("name").and_then(Value::as_str).unwrap_or("model_1");
        let name = name.to_owned();
        Self::functional(name, layers.into_iter().zip(connections).collect(), &inputs, &outputs)
    }
}

/// Checks that the model has inputs and outputs, and none twice.
fn check_ends(layers: &[Connected], inputs: &[usize], outputs: &[LayerOutput]) -> Result<(), ModelError> {
    let inputs: Vec<LayerOutput> = inputs.iter().copied().map(LayerOutput::first).collect();
    for (what, chosen) in [("input", &*inputs), ("output", outputs)] {
        if chosen.is_empty() {
            return Err(ModelError::Format(format!(
                "the model has no {what}; name at least one layer in {what}_layers"
            )));
        }
        if let Some(twice) = (1..chosen.len()).find_map(|at| chosen[..at].iter().find(|&&one| one == chosen[at])) {
            let problem = format!("it is named twice in {what}_layers");
            return Err(ModelError::conflict(twice.layer, &layers[twice.layer].0, problem));
        }
    }
    Ok(())
}

/// Checks that `Input` layers and no others begin the model.
fn check_beginnings(layers: &[Connected], inputs: &[usize]) -> Result<(), ModelError> {
    for (index, (layer, before)) in layers.iter().enumerate() {
        let is_input = matches!(layer.kind, LayerKind::InputLayer(_));
        let problem = match (is_input, inputs.contains(&index)) {
            (true, false) => "it is an input of the model, but not in input_layers",
            (false, true) => "only Input layers can be in input_layers",
            (true, true) if !before.is_empty() => "an Input layer begins the model; it takes no layer's output",
            (false, false) if before.is_empty() => "it is connected to no layer before it",
            _ => continue,
        };
        return Err(ModelError::conflict(index, layer, problem));
    }
    Ok(())
}

/// The name of a layer and which of its outputs is meant.
type Named = (String, usize);

/// What a layer takes, from its `inbound_nodes`: one node, as no layer is used twice.
fn inbound(nodes: &Value) -> Result<Vec<Named>, String> {
    let malformed = || "its inbound_nodes are not what Keras writes".to_owned();
    match nodes.as_array().ok_or_else(malformed)?.as_slice() {
        [] => Ok(Vec::new()),
        [Value::Object(node)] => {
            // Keras 3: the arguments of the call; the states that a recurrent layer begins from have a name.
            let mut states: &[Value] = &[];
            for (name, value) in node.get("kwargs").and_then(Value::as_object).into_iter().flatten() {
                match (name.as_str(), value) {
                    (_, Value::Null | Value::Bool(false)) => {}
                    ("initial_state", Value::Array(several)) => states = several,
                    ("initial_state", one) => states = std::slice::from_ref(one),
                    _ => return Err("it is called with arguments of its own, which is not supported".into()),
                }
            }
            let Some(Value::Array(arguments)) = node.get("args") else {
                return Err(malformed());
            };
            let taken = match arguments.as_slice() {
                [Value::Array(several)] => several,
                several => several,
            };
            let taken = taken.iter().chain(states).map(keras_tensor).collect::<Option<_>>();
            taken.ok_or_else(|| FOREIGN.to_owned())
        }
        [node] => tensors(node).ok_or_else(|| FOREIGN.to_owned()),
        several => Err(format!(
            "it is used {} times; layers that are shared are not supported",
            several.len()
        )),
    }
}

/// What is said of a connection that is not to an output of a layer of the model.
const FOREIGN: &str = "it takes something that is not the output of a layer used once";

/// The layer that a tensor of Keras 3 comes from.
fn keras_tensor(value: &Value) -> Option<Named> {
    history(value.get("config")?.get("keras_history")?)
}

/// The layers in a list of `[name, node, tensor]`, or in one such.
fn tensors(value: &Value) -> Option<Vec<Named>> {
    match value.as_array()?.as_slice() {
        [Value::String(_), ..] => Some(vec![history(value)?]),
        several => several.iter().map(history).collect(),
    }
}

/// The layer and output of `[name, node, tensor]` or `[name, node, tensor, {arguments}]`; `None` unless it is the layer's first use,
/// without arguments.
fn history(value: &Value) -> Option<Named> {
    let (name, rest) = value.as_array()?.split_first()?;
    let (node, tensor) = match rest {
        [node, tensor] => (node, tensor),
        [node, tensor, Value::Object(arguments)]
            if arguments
                .values()
                .all(|value| matches!(value, Value::Null | Value::Bool(false))) =>
        {
            (node, tensor)
        }
        _ => return None,
    };
    let tensor = usize::try_from(tensor.as_u64()?).ok()?;
    (node == 0).then_some((name.as_str()?.to_owned(), tensor))
}
