//! A model: layers and how they are connected, and its JSON in the dialects of Keras.
//!
//! Written is what Keras 2.3.1 writes, byte for byte. Read are the dialects of Keras 2.2 to 2.15 and 3: what they add is ignored as
//! long as it says what 2.3.1 does anyway, and refused otherwise.

mod functional;
mod graph;

use serde_json::{Map, Value, json};

use crate::keras::field::Field;
use crate::keras::json;
use crate::keras::layers::{AutoNames, Layer, LayerError, LayerKind};
use crate::keras::literal::{Literal, quoted};
use crate::keras::shape::{LayerShapes, Shape, display};

/// The version whose dialect is written.
pub const KERAS_VERSION: &str = "2.3.1";
/// More layers than this are refused; the form allows 500.
pub const MAX_LAYERS: usize = 10_000;

/// What Keras calls the model's class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelClass {
    /// A chain of layers.
    Sequential,
    /// A graph of layers.
    Functional,
}

/// One of the tensors that a layer puts out; most layers put out one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LayerOutput {
    /// The layer, by its index.
    pub layer: usize,
    /// Which of its outputs: 0 for its output, from 1 for the states that a recurrent layer returns.
    pub output: usize,
}

impl LayerOutput {
    /// The first, and mostly only, output of a layer.
    #[must_use]
    pub fn first(layer: usize) -> Self {
        Self { layer, output: 0 }
    }
}

/// One layer in the graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The layer.
    pub layer: Layer,
    /// The outputs that it takes, of nodes before it; a node without any takes the model's input.
    pub inputs: Vec<LayerOutput>,
    /// The layer's number in the form or file, counted from 1.
    pub number: usize,
}

impl Node {
    /// What is said when an output is taken that it does not have.
    fn lacks(&self, output: usize) -> ModelError {
        let count = self.layer.kind.outputs();
        ModelError::conflict(
            self.number - 1,
            &self.layer,
            format!("its output {output} is taken (counted from 0), but it has {count}"),
        )
    }
}

/// A model whose layers are valid each by itself; [`Model::shapes`] tells whether they fit together.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Its name: `sequential_1`.
    pub name: String,
    /// Its class.
    pub class: ModelClass,
    /// The layers in an order in which they can be computed.
    pub nodes: Vec<Node>,
    /// The nodes that take the model's inputs.
    pub inputs: Vec<usize>,
    /// The outputs of nodes that are the model's.
    pub outputs: Vec<LayerOutput>,
}

/// What is wrong with a model.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The text is not JSON.
    #[error("not a model configuration: it is not valid JSON ({0})")]
    Json(serde_json::Error),
    /// The JSON is not a model configuration.
    #[error("not a Keras model configuration: {0}")]
    Format(String),
    /// The model is one that Keras knows, but that is not supported.
    #[error("{0}")]
    Unsupported(String),
    /// One layer cannot be made or does not fit.
    #[error("layer {number}, {label}: {error}")]
    Layer {
        /// Its number, counted from 1.
        number: usize,
        /// Its type and, if it has one, its name.
        label: String,
        /// What is wrong.
        error: LayerError,
    },
    /// Two layers have the same name.
    #[error("layers {first} and {second} are both called {name}; every layer needs a name of its own")]
    DoubledName {
        /// Number of the first, counted from 1.
        first: usize,
        /// Number of the second, counted from 1.
        second: usize,
        /// Their name, in quotes.
        name: String,
    },
    /// The input shape is not known.
    #[error("the model has no input shape: give it in the model configuration, e.g. (784,)")]
    NoInputShape,
    /// The data have another shape than the model takes.
    #[error("the model takes inputs of shape {expected}, the data have shape {found}")]
    InputShape {
        /// What the model takes.
        expected: String,
        /// What the data have.
        found: String,
    },
}

impl ModelError {
    /// The error of a layer at `index`, counted from 0; `name` may be unknown yet.
    #[must_use]
    pub fn layer(index: usize, class_name: &str, name: Option<&str>, error: LayerError) -> Self {
        let class_name = if class_name.chars().all(char::is_alphanumeric) && class_name.len() <= 40 {
            class_name.to_owned()
        } else {
            quoted(class_name)
        };
        let label = name.map_or(class_name.clone(), |name| format!("{class_name} {}", quoted(name)));
        Self::Layer {
            number: index + 1,
            label,
            error,
        }
    }
    /// What cannot be done with the layer at `index`, counted from 0.
    #[must_use]
    pub fn conflict(index: usize, layer: &Layer, problem: impl Into<String>) -> Self {
        let error = LayerError::Conflict(problem.into());
        Self::layer(index, layer.kind.class_name(), Some(&layer.name), error)
    }
}

impl Model {
    /// A chain of layers.
    ///
    /// # Errors
    ///
    /// There are no layers, too many, or two of the same name.
    pub fn sequential(name: impl Into<String>, layers: Vec<Layer>) -> Result<Self, ModelError> {
        if layers.is_empty() {
            return Err(ModelError::Format("the model has no layers; add at least one".into()));
        }
        if layers.len() > MAX_LAYERS {
            return Err(ModelError::Format(format!(
                "the model has {} layers; at most {MAX_LAYERS} are read",
                layers.len()
            )));
        }
        check_names(&layers)?;
        if let Some(index) = layers
            .iter()
            .position(|layer| matches!(layer.kind, LayerKind::InputLayer(_)))
        {
            return Err(ModelError::conflict(
                index,
                &layers[index],
                "an input is for functional models; a sequential model has its input shape in a field of its own",
            ));
        }
        if let Some(index) = layers.iter().position(|layer| layer.kind.outputs() > 1) {
            return Err(ModelError::conflict(
                index,
                &layers[index],
                "return_state=True gives it several outputs, of which a sequential model can hand on one only; remove it, or make a \
                 functional model",
            ));
        }
        let outputs = vec![LayerOutput::first(layers.len() - 1)];
        let nodes = layers
            .into_iter()
            .enumerate()
            .map(|(index, layer)| Node {
                layer,
                inputs: index.checked_sub(1).map(LayerOutput::first).into_iter().collect(),
                number: index + 1,
            })
            .collect();
        Ok(Self {
            name: name.into(),
            class: ModelClass::Sequential,
            nodes,
            inputs: vec![0],
            outputs,
        })
    }

    /// The model as Keras 2.3.1 leaves it when it is put together with a known input shape: the weights were made already, so the
    /// seeds of their initializers have moved on by one. Without an input shape the model stays as it is.
    ///
    /// # Errors
    ///
    /// A layer does not fit its input.
    pub fn built(mut self) -> Result<Self, ModelError> {
        if self.input_shape().is_some() {
            let shapes = self.shapes(None)?;
            for (node, shapes) in self.nodes.iter_mut().zip(&shapes) {
                node.layer.advance_seeds(&shapes.weights);
            }
        }
        Ok(self)
    }

    /// Reads a model configuration.
    ///
    /// # Errors
    ///
    /// It is not one, or has something that is not supported; the error names the layer.
    pub fn from_json(text: &str) -> Result<Self, ModelError> {
        let value = serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(ModelError::Json)?;
        Self::from_value(&value)
    }

    /// Reads a model configuration that was parsed already, as from an HDF5 attribute.
    ///
    /// # Errors
    ///
    /// As [`Model::from_json`].
    pub fn from_value(value: &Value) -> Result<Self, ModelError> {
        let Some(class_name) = value.get("class_name").and_then(Value::as_str) else {
            return Err(ModelError::Format("there is no class_name at its top".into()));
        };
        match class_name {
            "Sequential" => {}
            "Model" | "Functional" => {
                let Some(Value::Object(config)) = value.get("config") else {
                    return Err(ModelError::Format("it has no config".into()));
                };
                return Self::functional_from(config);
            }
            other => {
                return Err(ModelError::Format(format!(
                    "its class_name is {}, expected 'Sequential' or 'Model'",
                    quoted(other)
                )));
            }
        }
        // Keras before 2.2.3 wrote the layers only.
        let (name, layers) = match value.get("config") {
            Some(Value::Array(layers)) => ("sequential_1", layers),
            Some(Value::Object(config)) => {
                let Some(Value::Array(layers)) = config.get("layers") else {
                    return Err(ModelError::Format("its config has no list of layers".into()));
                };
                if config.get("trainable") == Some(&Value::Bool(false)) {
                    return Err(ModelError::Unsupported(
                        "the whole model is marked as not trainable; mark its layers instead".into(),
                    ));
                }
                (
                    config.get("name").and_then(Value::as_str).unwrap_or("sequential_1"),
                    layers,
                )
            }
            _ => return Err(ModelError::Format("it has no config".into())),
        };
        Self::sequential(name, read_layers(layers)?)
    }

    /// The configuration as Keras 2.3.1 writes it.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let (class_name, config) = match self.class {
            ModelClass::Sequential => {
                let layers: Vec<Value> = self
                    .nodes
                    .iter()
                    .map(|Node { layer, .. }| json!({"class_name": layer.kind.class_name(), "config": layer.to_config()}))
                    .collect();
                ("Sequential", json!({"name": self.name, "layers": layers}))
            }
            ModelClass::Functional => ("Model", self.functional_config()),
        };
        json!({
            "class_name": class_name,
            "config": config,
            "keras_version": KERAS_VERSION,
            "backend": "tensorflow",
        })
    }

    /// The configuration's text byte for byte as Keras 2.3.1 and Python's `json.dumps(indent=2)` write it.
    #[must_use]
    pub fn to_json(&self) -> String {
        json::to_string(&self.to_value())
    }

    /// The shape of the model's input without the batch axis, if the model says it; of the first, if there are several.
    #[must_use]
    pub fn input_shape(&self) -> Option<Shape> {
        let first = &self.nodes[*self.inputs.first()?].layer;
        first.batch_input_shape.as_ref().map(|shape| shape[1..].to_vec())
    }

    /// Shapes and weights of every layer, in the order of the nodes.
    ///
    /// `input` is the shape of the data, without the batch axis; without it the model's own input shape is taken. Both together must
    /// agree.
    ///
    /// # Errors
    ///
    /// No input shape is known, the data have another one than the model, or a layer does not fit its input: the error names the
    /// layer by number, type and name, its input's shape, and what would fit.
    pub fn shapes(&self, input: Option<&Shape>) -> Result<Vec<LayerShapes>, ModelError> {
        if input.is_some() {
            self.check_one_input_and_output()?;
        }
        let mut shapes: Vec<LayerShapes> = Vec::with_capacity(self.nodes.len());
        for (index, node) in self.nodes.iter().enumerate() {
            let inputs: Vec<Shape> = if node.inputs.is_empty() {
                vec![fed(node, input)?]
            } else {
                let taken = node.inputs.iter().map(|taken| {
                    let shape = shapes[taken.layer].outputs().nth(taken.output).cloned();
                    shape.ok_or_else(|| self.nodes[taken.layer].lacks(taken.output))
                });
                taken.collect::<Result<_, _>>()?
            };
            let applied = node
                .layer
                .apply(&inputs)
                .map_err(|error| self.complaint(index, error))?;
            let returned = node.layer.kind.states().filter(|states| states.returned);
            shapes.push(LayerShapes {
                inputs,
                states: returned.map_or_else(Vec::new, |states| vec![states.shape(&applied.output); states.count]),
                output: applied.output,
                weights: applied.weights,
            });
        }
        Ok(shapes)
    }
}

/// Refuses two layers of the same name.
fn check_names<'a>(layers: impl IntoIterator<Item = &'a Layer>) -> Result<(), ModelError> {
    let mut seen = std::collections::HashMap::new();
    for (index, layer) in layers.into_iter().enumerate() {
        if let Some(first) = seen.insert(layer.name.as_str(), index) {
            return Err(ModelError::DoubledName {
                first: first + 1,
                second: index + 1,
                name: quoted(&layer.name),
            });
        }
    }
    Ok(())
}

/// The shape that comes into a node that takes the model's input: what it declares, what the data have, or both if they agree.
fn fed(node: &Node, data: Option<&Shape>) -> Result<Shape, ModelError> {
    let declared = node.layer.batch_input_shape.as_ref().map(|shape| shape[1..].to_vec());
    match (declared, data) {
        (None, None) => Err(ModelError::NoInputShape),
        (Some(shape), None) => Ok(shape),
        (None, Some(shape)) => Ok(shape.clone()),
        (Some(expected), Some(found)) => merge(&expected, found).ok_or_else(|| ModelError::InputShape {
            expected: display(&expected),
            found: display(found),
        }),
    }
}

/// Two shapes' common one: the same number of axes, and the same sizes where both are known.
fn merge(a: &Shape, b: &Shape) -> Option<Shape> {
    if a.len() != b.len() {
        return None;
    }
    a.iter()
        .zip(b)
        .map(|pair| match pair {
            (Some(a), Some(b)) if a != b => None,
            (a, b) => Some(a.or(*b)),
        })
        .collect()
}

/// The layers of a sequential model; a leading `InputLayer` (Keras 2.10 and later) becomes the first layer's input shape.
fn read_layers(entries: &[Value]) -> Result<Vec<Layer>, ModelError> {
    let mut names = AutoNames::default();
    let mut input: Option<Value> = None;
    let mut layers = Vec::new();
    for (index, entry) in entries.iter().take(MAX_LAYERS + 1).enumerate() {
        let (Some(class_name), Some(Value::Object(config))) =
            (entry.get("class_name").and_then(Value::as_str), entry.get("config"))
        else {
            return Err(ModelError::Format(format!(
                "layer {} has no class_name or no config",
                index + 1
            )));
        };
        let name = config.get("name").and_then(Value::as_str);
        if class_name == "InputLayer" && index == 0 {
            input = Some(read_input(config).map_err(|error| ModelError::layer(index, class_name, name, error))?);
            continue;
        }
        let mut config = config.clone();
        if let Some(shape) = input.take().filter(|shape| !shape.is_null()) {
            config.insert("batch_input_shape".into(), shape);
        }
        // What building left there: Keras 3 repeats the input shape.
        config.remove("build_config");
        let layer = Layer::from_config(class_name, &config, &mut names)
            .map_err(|error| ModelError::layer(index, class_name, name, error))?;
        layers.push(layer);
    }
    Ok(layers)
}

/// The shape that an `InputLayer` declares, batch axis first.
fn read_input(config: &Map<String, Value>) -> Result<Value, LayerError> {
    let known = [
        "name",
        "trainable",
        "dtype",
        "batch_input_shape",
        "batch_shape",
        "sparse",
        "ragged",
        "optional",
    ];
    for (name, value) in config {
        let literal = Literal::from_json(value);
        let usual = match name.as_str() {
            "sparse" | "ragged" | "optional" => matches!(literal, Literal::Bool(false) | Literal::None),
            name => known.contains(&name) || literal == Literal::None,
        };
        if !usual {
            return Err(LayerError::Argument {
                name: name.clone(),
                value: literal.to_string(),
                problem: "not supported for an input".into(),
            });
        }
    }
    let shape = config
        .get("batch_input_shape")
        .or_else(|| config.get("batch_shape"))
        .cloned()
        .unwrap_or(Value::Null);
    // Checked here, so that an error names the input.
    <Option<Vec<Option<usize>>>>::from_literal(&Literal::from_json(&shape)).map_err(|problem| {
        LayerError::Argument {
            name: "batch_shape".into(),
            value: Literal::from_json(&shape).to_string(),
            problem,
        }
    })?;
    Ok(shape)
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
