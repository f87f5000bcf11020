//! Cases of whole models: a layer, or several, with the options drawn.

mod check;
mod cover;
mod graph;
mod several;
mod shrink;
mod states;

use anyhow::Result;
use burn::tensor::Device;
use galaxy_burn_core::keras::loss::Loss;
use galaxy_burn_core::keras::model::Model;
use galaxy_burn_core::nn::network::Network;
use galaxy_burn_core::nn::random::Seed;
use galaxy_burn_core::tool::keras_model_config;
use serde_json::{Map, Value, json};

pub use self::cover::{layers, stacks};
pub use self::graph::{Graph, graphs, merges};
pub use self::several::several;
pub use self::states::states;
use crate::case::{Case, Judge, Label, Outcome};
use crate::layer::Chosen;
use crate::random::Draw;
use crate::tensor::Tensor;

/// The steps of training after which weights are compared.
pub const STEPS: [usize; 2] = [1, 20];

/// A layer or an optimiser, with the options that it is given.
pub type Owner = (String, Vec<(String, String)>);

/// A line of the page.
pub fn owner<'a>(name: &str, options: impl IntoIterator<Item = (&'a str, &'a str)>) -> Owner {
    let options = options
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    (name.to_owned(), options.collect())
}

/// The kinds of files that Keras writes its weights into; the first is the one that the tools write too.
const FILES: [&str; 5] = ["h5", "h5", "model.h5", "weights.h5", "keras"];

/// One of them.
pub fn file(draw: &mut Draw) -> &'static str {
    draw.pick::<&str>(&FILES)
}

/// A model, what it is given, and how it is trained.
#[derive(Clone, Debug)]
pub struct ModelCase {
    /// What the page lists it under.
    pub kind: &'static str,
    /// The lines of the page that it tells about.
    pub owners: Vec<Owner>,
    /// The layers in their order.
    pub layers: Vec<Chosen>,
    /// How they are connected, unless each takes the one before it.
    pub graph: Option<Graph>,
    /// The shape of one row of input.
    pub input: Vec<usize>,
    /// For ids: how many there are.
    pub ids: Option<usize>,
    /// Rows.
    pub batch: usize,
    /// What training makes small.
    pub loss: Loss,
    /// The optimiser's name and options.
    pub optimizer: (String, Map<String, Value>),
    /// The seed of weights, inputs and truth.
    pub seed: u64,
    /// The kind of file that Keras hands its weights back in.
    pub file: &'static str,
}

impl ModelCase {
    /// The layers through the tool's own form: the model and its JSON text.
    ///
    /// # Errors
    /// What the tool refuses.
    pub fn configured(&self) -> Result<(Model, String), String> {
        configured(&match &self.graph {
            Some(graph) => graph.to_form(&self.input, &self.layers),
            None => json!({"model_selection": {
                "model_type": "sequential",
                "input_shape": tuple(&self.input),
                "layers": self.layers.iter().map(Chosen::to_form).collect::<Vec<_>>(),
            }}),
        })
    }

    /// Whether its training can be compared: it draws no random numbers, and Keras takes it.
    pub fn trains(&self) -> bool {
        // Keras's embeddings have sparse gradients, for which 2.15 knows no constraints.
        let constrained = |layer: &Chosen| layer.get("embeddings_constraint").is_some_and(|value| value != "None");
        !self.layers.iter().any(|layer| layer.is_noisy() || constrained(layer))
    }

    /// The network with weights drawn from the case's seed, no weight left at a round number.
    ///
    /// # Errors
    /// When the network cannot be built.
    pub fn started(&self, model: &Model, device: &Device) -> galaxy_burn_core::Result<Network> {
        let mut network = Network::new(model, &self.input, Seed(self.seed), device)?;
        let mut draw = Draw::new(self.seed, "weights");
        for weight in network.weights_mut() {
            let (least, most) = match weight.name.rsplit('/').next().unwrap_or_default() {
                "gamma:0" | "moving_variance:0" => (0.5, 1.5),
                "alpha:0" => (0.05, 0.5),
                _ => (-0.6, 0.6),
            };
            weight.values = draw.tensor(&weight.shape, least, most).values;
        }
        Ok(network)
    }

    fn x(&self, draw: &mut Draw) -> Tensor {
        let shape = [&[self.batch], &self.input[..]].concat();
        if let Some(ids) = self.ids {
            let mut x = draw.tensor(&shape, 0.0, ids as f32);
            x.values
                .iter_mut()
                .for_each(|id| *id = id.floor().min(ids as f32 - 1.0));
            return x;
        }
        let mut x = draw.tensor(&shape, -1.0, 1.0);
        if let Some(masking) = self.layers.iter().find(|layer| layer.class_name == "Masking") {
            let masked: f32 = masking
                .get("mask_value")
                .and_then(|value| value.parse().ok())
                .unwrap_or(0.0);
            for step in x.values.chunks_mut(self.input[1]) {
                if draw.chance(0.4) {
                    step.fill(masked);
                }
            }
        }
        x
    }
}

/// A form through the tool: the model and its JSON text.
///
/// # Errors
/// What the tool refuses.
pub fn configured(form: &Value) -> Result<(Model, String), String> {
    let run = || -> Result<(Model, String)> {
        let directory = tempfile::tempdir()?;
        let inputs = directory.path().join("inputs.json");
        std::fs::write(&inputs, form.to_string())?;
        keras_model_config::run(&inputs, directory.path())?;
        let text = std::fs::read_to_string(directory.path().join(keras_model_config::OUTPUT))?;
        Ok((Model::from_json(&text)?, text))
    };
    run().map_err(|error| error.to_string())
}

/// `(7, 2)`, `(3,)`
pub fn tuple(shape: &[usize]) -> String {
    let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    if sizes.len() == 1 {
        format!("({},)", sizes[0])
    } else {
        format!("({})", sizes.join(", "))
    }
}

/// Truth that a loss can be computed from.
pub fn truth(loss: Loss, shape: &[usize], draw: &mut Draw) -> Tensor {
    use galaxy_burn_core::keras::loss::Target;
    let width = shape.last().copied().unwrap_or(1);
    let rows = shape.iter().product::<usize>() / width.max(1);
    match loss.target() {
        Target::LikeOutput => draw.tensor(shape, 0.0, 1.0),
        Target::OneHot => {
            let mut values = vec![0.0; rows * width];
            for row in 0..rows {
                values[row * width + draw.between(0, width - 1)] = 1.0;
            }
            Tensor::new(shape, values)
        }
        Target::ClassNumber => {
            let mut shape = shape.to_vec();
            if let Some(last) = shape.last_mut() {
                *last = 1;
            }
            let values = (0..rows).map(|_| draw.between(0, width - 1) as f32).collect();
            Tensor::new(&shape, values)
        }
    }
}

impl Case for ModelCase {
    fn labels(&self) -> Vec<Label> {
        let label = |owner: &String, option: &str, value: &str| Label {
            kind: self.kind,
            owner: owner.clone(),
            option: option.to_owned(),
            value: value.to_owned(),
        };
        let mut labels = Vec::new();
        for (owner, options) in &self.owners {
            labels.push(label(owner, "", ""));
            labels.extend(options.iter().map(|(option, value)| label(owner, option, value)));
        }
        labels
    }

    fn describe(&self) -> String {
        let layers: Vec<String> = match &self.graph {
            None => self.layers.iter().map(Chosen::to_python).collect(),
            Some(graph) => {
                let input = format!("layer 1: Input{:?}", graph.input);
                let numbered = self
                    .layers
                    .iter()
                    .zip(&graph.sources)
                    .zip(2..)
                    .map(|((layer, sources), number)| format!("layer {number}: {} of {sources:?}", layer.to_python()));
                std::iter::once(input).chain(numbered).collect()
            }
        };
        format!(
            "{}\n    input {} in {} rows{}, loss {}, optimizer {} {}, seed {}",
            layers.join("\n    "),
            tuple(&self.input),
            self.batch,
            self.ids.map_or_else(String::new, |ids| format!(" of ids below {ids}")),
            self.loss.name(),
            self.optimizer.0,
            Value::Object(self.optimizer.1.clone()),
            self.seed,
        )
    }

    fn judge(&self, judge: &mut Judge) -> Result<Outcome> {
        check::judge(self, judge)
    }

    fn smaller(&self) -> Vec<Box<dyn Case>> {
        shrink::smaller(self)
            .into_iter()
            .map(|case| Box::new(case) as Box<dyn Case>)
            .collect()
    }
}
