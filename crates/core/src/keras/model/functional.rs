//! Functional models: graphs of layers, and their JSON in the dialects of Keras.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::graph::{self, Fault};
use super::{MAX_LAYERS, Model, ModelClass, ModelError, Node, check_names};
use crate::keras::layers::{AutoNames, Layer, LayerError, LayerKind, MaskRule};
use crate::keras::literal::quoted;

/// A layer with the layers whose outputs it takes, by index in the order in which they were made.
pub type Connected = (Layer, Vec<usize>);

impl Model {
    /// A graph of layers in any order; `inputs` and `outputs` are indices of `layers`.
    ///
    /// # Errors
    ///
    /// Two layers have the same name, the connections make a circle, a layer leads to no output or is connected to nothing, or the
    /// inputs are not the model's `Input` layers.
    pub fn functional(
        name: impl Into<String>,
        layers: Vec<Connected>,
        inputs: &[usize],
        outputs: &[usize],
    ) -> Result<Self, ModelError> {
        if layers.len() > MAX_LAYERS {
            return Err(ModelError::Format(format!(
                "the model has {} layers; at most {MAX_LAYERS} are read",
                layers.len()
            )));
        }
        check_names(layers.iter().map(|(layer, _)| layer))?;
        let fault = |index: usize, problem: String| {
            let layer = &layers[index].0;
            ModelError::layer(
                index,
                layer.kind.class_name(),
                Some(&layer.name),
                LayerError::Conflict(problem),
            )
        };
        for (what, chosen) in [("input", inputs), ("output", outputs)] {
            if chosen.is_empty() {
                return Err(ModelError::Format(format!(
                    "the model has no {what}; name at least one layer in {what}_layers"
                )));
            }
            if let Some(&twice) = (1..chosen.len()).find_map(|at| chosen[..at].iter().find(|&&one| one == chosen[at])) {
                return Err(fault(twice, format!("it is named twice in {what}_layers")));
            }
        }
        for (index, (layer, before)) in layers.iter().enumerate() {
            let is_input = matches!(layer.kind, LayerKind::InputLayer(_));
            match (is_input, inputs.contains(&index)) {
                (true, false) => {
                    return Err(fault(
                        index,
                        "it is an input of the model, but not in input_layers".into(),
                    ));
                }
                (false, true) => {
                    return Err(fault(index, "only Input layers can be in input_layers".into()));
                }
                (true, true) if !before.is_empty() => {
                    return Err(fault(
                        index,
                        "an Input layer begins the model; it takes no layer's output".into(),
                    ));
                }
                (false, false) if before.is_empty() => {
                    return Err(fault(index, "it is connected to no layer before it".into()));
                }
                _ => {}
            }
        }
        let connections: Vec<Vec<usize>> = layers.iter().map(|(_, before)| before.clone()).collect();
        let order = graph::ordered(&connections, outputs).map_err(|found| match found {
            Fault::Cycle(index) => fault(
                index,
                "its connections run in a circle: it takes, directly or through others, its own output".into(),
            ),
            Fault::Loose(index) => fault(
                index,
                "its output leads to none of the model's; connect it, name it in output_layers, or remove it".into(),
            ),
        })?;
        let mut places = vec![0; order.len()];
        for (place, &index) in order.iter().enumerate() {
            places[index] = place;
        }
        let moved = |indices: &[usize]| indices.iter().map(|&index| places[index]).collect::<Vec<_>>();
        let (inputs, outputs) = (moved(inputs), moved(outputs));
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
        for (what, chosen, table) in [
            ("inputs", &self.inputs, "features"),
            ("outputs", &self.outputs, "targets"),
        ] {
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
            let mask = node.inputs.iter().find_map(|&before| masked_by[before]);
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
        let name = |index: &usize| self.nodes[*index].layer.name.as_str();
        let layers: Vec<Value> = self
            .nodes
            .iter()
            .map(|Node { layer, inputs, .. }| {
                let connections: Vec<Value> = inputs.iter().map(|index| json!([name(index), 0, 0, {}])).collect();
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
        let ends = |indices: &[usize]| {
            indices
                .iter()
                .map(|index| json!([name(index), 0, 0]))
                .collect::<Value>()
        };
        json!({
            "name": self.name,
            "layers": layers,
            "input_layers": ends(&self.inputs),
            "output_layers": ends(&self.outputs),
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
        let find = |name: &String| {
            by_name.get(name.as_str()).copied().ok_or_else(|| {
                ModelError::Format(format!("it connects a layer {} that it does not have", quoted(name)))
            })
        };
        let connections = connections
            .iter()
            .map(|names| names.iter().map(find).collect())
            .collect::<Result<Vec<Vec<usize>>, _>>()?;
        let ends = |key: &str| {
            let layers = config.get(key).and_then(tensors).unwrap_or_default();
            layers.iter().map(find).collect::<Result<Vec<usize>, _>>()
        };
        let (inputs, outputs) = (ends("input_layers")?, ends("output_layers")?);
        let name = config.get("name").and_then(Value::as_str).unwrap_or("model_1");
        let name = name.to_owned();
        Self::functional(name, layers.into_iter().zip(connections).collect(), &inputs, &outputs)
    }
}

/// The names of the layers that a layer takes, from its `inbound_nodes`: one node, as no layer is used twice.
fn inbound(nodes: &Value) -> Result<Vec<String>, String> {
    let malformed = || "its inbound_nodes are not what Keras writes".to_owned();
    match nodes.as_array().ok_or_else(malformed)?.as_slice() {
        [] => Ok(Vec::new()),
        [Value::Object(node)] => {
            // Keras 3: the arguments of the call.
            let kwargs = node.get("kwargs").and_then(Value::as_object);
            let set = |value: &&Value| !matches!(value, Value::Null | Value::Bool(false));
            if kwargs.is_some_and(|kwargs| kwargs.values().any(|value| set(&value))) {
                return Err("it is called with arguments of its own, which is not supported".into());
            }
            let Some(Value::Array(arguments)) = node.get("args") else {
                return Err(malformed());
            };
            match arguments.as_slice() {
                [Value::Array(several)] => several.iter().map(keras_tensor).collect::<Option<_>>(),
                several => several.iter().map(keras_tensor).collect(),
            }
            .ok_or_else(|| "it takes something that is not the only output of a layer used once".to_owned())
        }
        [node] => tensors(node)
            .ok_or_else(|| "it takes something that is not the only output of a layer used once".to_owned()),
        several => Err(format!(
            "it is used {} times; layers that are shared are not supported",
            several.len()
        )),
    }
}

/// The layer that a tensor of Keras 3 comes from.
fn keras_tensor(value: &Value) -> Option<String> {
    history(value.get("config")?.get("keras_history")?)
}

/// The layers in a list of `[name, node, tensor]`, or in one such.
fn tensors(value: &Value) -> Option<Vec<String>> {
    match value.as_array()?.as_slice() {
        [Value::String(_), ..] => Some(vec![history(value)?]),
        several => several.iter().map(history).collect(),
    }
}

/// The layer of `[name, node, tensor]` or `[name, node, tensor, {arguments}]`; `None` unless it is the layer's first use and output,
/// without arguments.
fn history(value: &Value) -> Option<String> {
    let (name, rest) = value.as_array()?.split_first()?;
    let plain = match rest {
        [node, tensor] => node == 0 && tensor == 0,
        [node, tensor, Value::Object(arguments)] => {
            node == 0
                && tensor == 0
                && arguments
                    .values()
                    .all(|value| matches!(value, Value::Null | Value::Bool(false)))
        }
        _ => false,
    };
    name.as_str().filter(|_| plain).map(str::to_owned)
}
