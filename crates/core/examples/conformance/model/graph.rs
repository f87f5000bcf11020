//! Models in which layers branch and join: every merge in every way, and graphs at random.

use galaxy_burn_core::keras::field::Dtype;
use galaxy_burn_core::keras::layers::catalogue;
use galaxy_burn_core::keras::loss::Loss;
use serde_json::{Map, Value, json};

use super::{ModelCase, owner, tuple};
use crate::layer::{Chosen, spec};
use crate::random::Draw;

/// How the layers of a functional model are connected.
#[derive(Clone, Debug)]
pub struct Graph {
    /// Options of the input beside its shape.
    pub input: Vec<(&'static str, String)>,
    /// For each layer the numbers of those whose outputs it takes; the input is number 1, the first layer number 2.
    pub sources: Vec<Vec<usize>>,
}

impl Graph {
    /// The form of the model.
    pub fn to_form(&self, shape: &[usize], layers: &[Chosen]) -> Value {
        let mut input = Chosen::new("Input", &[("shape", &tuple(shape))]);
        input.options.extend(self.input.clone());
        let mut entries = vec![input.to_form()];
        for (layer, sources) in layers.iter().zip(&self.sources) {
            let mut entry = layer.to_form();
            let merges = spec(layer.class_name).is_some_and(|spec| spec.group == "Merge");
            let field = if merges { "merging_layers" } else { "inbound_nodes" };
            entry["layer_selection"][field] = format!("{sources:?}").into();
            entries.push(entry);
        }
        json!({"model_selection": {
            "model_type": "functional",
            "input_layers": "[1]",
            "output_layers": format!("[{}]", entries.len()),
            "layers": entries,
        }})
    }
}

/// A graph that grows.
pub(super) struct Growing {
    layers: Vec<Chosen>,
    sources: Vec<Vec<usize>>,
}

impl Growing {
    pub(super) fn new() -> Self {
        Self {
            layers: Vec::new(),
            sources: Vec::new(),
        }
    }

    /// Adds a layer and returns its number.
    pub(super) fn add(
        &mut self,
        class_name: &'static str,
        options: &[(&'static str, &str)],
        sources: &[usize],
    ) -> usize {
        self.layers.push(Chosen::new(class_name, options));
        self.sources.push(sources.to_vec());
        self.layers.len() + 1
    }

    pub(super) fn case(self, input: &[usize], owners: Vec<super::Owner>, draw: &mut Draw) -> ModelCase {
        ModelCase {
            kind: "layers",
            owners,
            layers: self.layers,
            input: input.to_vec(),
            graph: Some(Graph {
                input: Vec::new(),
                sources: self.sources,
            }),
            ids: None,
            batch: *draw.pick(&[1, 2, 3, 5]),
            loss: Loss::MeanSquaredError,
            optimizer: ("SGD".into(), Map::from_iter([("lr".to_owned(), json!(0.05))])),
            seed: draw.seed(),
            file: super::file(draw),
        }
    }
}

/// What comes into a merge.
#[derive(Clone, Copy, Debug)]
enum Branch {
    /// The input itself.
    Input,
    /// Another tensor of the input's shape.
    Plain,
    /// The last axis has size 1.
    Narrow,
    /// The last axis is longer by one.
    Wide,
    /// The first axis is longer.
    Long,
    /// The first axis is missing.
    Pooled,
    /// Both axes have changed their places.
    Turned,
    /// Some of the steps do not count.
    Masked,
}

impl Branch {
    /// Adds the branch to the graph and returns the number of its last layer.
    fn grow(self, graph: &mut Growing, input: &[usize]) -> usize {
        let width = input.last().copied().unwrap_or(1);
        let mut dense = |units: usize, source: usize| {
            let units = units.to_string();
            graph.add("Dense", &[("units", &units), ("activation", "'tanh'")], &[source])
        };
        match self {
            Self::Input => 1,
            Self::Plain => dense(width, 1),
            Self::Narrow => dense(1, 1),
            Self::Wide => dense(width + 1, 1),
            Self::Long => {
                let dense = dense(width, 1);
                graph.add("ZeroPadding1D", &[("padding", "1")], &[dense])
            }
            Self::Pooled => {
                let dense = dense(width, 1);
                graph.add("GlobalAveragePooling1D", &[], &[dense])
            }
            Self::Turned => {
                let dense = dense(width, 1);
                graph.add("Permute", &[("dims", "(2, 1)")], &[dense])
            }
            Self::Masked => {
                let masked = graph.add("Masking", &[("mask_value", "0.0")], &[1]);
                let units = width.to_string();
                graph.add("Dense", &[("units", &units)], &[masked])
            }
        }
    }
}

use Branch::{Input, Long, Masked, Narrow, Plain, Pooled, Turned, Wide};

/// A merge: its options, the shape of the model's input, and what is merged.
type Join = (
    &'static [(&'static str, &'static str)],
    &'static [usize],
    &'static [Branch],
);

const NUMBER_BY_NUMBER: &[Join] = &[
    (&[], &[5], &[Plain, Input]),
    (&[], &[4, 3], &[Plain, Narrow]),
    (&[], &[4, 3], &[Pooled, Plain]),
    (&[], &[4, 3], &[Masked, Plain]),
    (&[], &[2, 3, 2], &[Plain, Plain, Input]),
];

const CONCATENATE: &[Join] = &[
    (&[("axis", "-1")], &[5], &[Plain, Wide]),
    (&[("axis", "-1")], &[4, 3], &[Masked, Plain]),
    (&[("axis", "1")], &[5], &[Wide, Input, Plain]),
    (&[("axis", "1")], &[4, 3], &[Plain, Long]),
    (&[("axis", "1")], &[4, 3], &[Masked, Masked]),
    (&[("axis", "2")], &[4, 3], &[Wide, Plain]),
    (&[("axis", "-2")], &[4, 3], &[Long, Input]),
    (&[("axis", "3")], &[2, 3, 2], &[Plain, Narrow]),
];

const DOT: &[Join] = &[
    (&[("axis", "1")], &[5], &[Plain, Input]),
    (&[("axis", "-1"), ("normalize", "True")], &[5], &[Plain, Plain]),
    (&[("axis", "1"), ("normalize", "False")], &[4, 3], &[Plain, Wide]),
    (&[("axis", "2"), ("normalize", "True")], &[4, 3], &[Plain, Long]),
    (&[("axis", "(2, 1)")], &[4, 3], &[Plain, Turned]),
    (&[("axis", "(1, 2)"), ("normalize", "True")], &[4, 3], &[Plain, Turned]),
];

/// Every merge in every way, and the input with each of its options.
pub fn merges(seed: u64, only: Option<&str>) -> Vec<ModelCase> {
    let wanted = |name: &str| only.is_none_or(|only| only.eq_ignore_ascii_case(name));
    let mut cases = Vec::new();
    for spec in catalogue()
        .iter()
        .filter(|spec| spec.group == "Merge" && wanted(spec.layer_type))
    {
        let joins = match spec.layer_type {
            "Concatenate" => CONCATENATE,
            "Dot" => DOT,
            // The last one has three inputs.
            "Subtract" => &NUMBER_BY_NUMBER[..NUMBER_BY_NUMBER.len() - 1],
            _ => NUMBER_BY_NUMBER,
        };
        let mut draw = Draw::new(seed, spec.layer_type);
        for (options, input, branches) in joins {
            cases.push(join(spec.layer_type, options, input, branches, &mut draw));
        }
    }
    if wanted("Input") {
        let mut draw = Draw::new(seed, "Input");
        cases.extend(
            Dtype::NAMES
                .iter()
                .map(|dtype| input("dtype", &format!("'{dtype}'"), &mut draw)),
        );
        cases.push(input("sparse", "False", &mut draw));
    }
    cases
}

fn join(
    class_name: &'static str,
    options: &[(&'static str, &str)],
    input: &[usize],
    branches: &[Branch],
    draw: &mut Draw,
) -> ModelCase {
    let mut graph = Growing::new();
    let sources: Vec<usize> = branches.iter().map(|branch| branch.grow(&mut graph, input)).collect();
    let merged = graph.add(class_name, options, &sources);
    if branches.iter().any(|branch| matches!(branch, Masked)) {
        graph.add("GRU", &[("units", "2")], &[merged]);
    } else if draw.chance(0.5) {
        graph.add("Dense", &[("units", "2")], &[merged]);
    }
    let mut owner = owner(class_name, options.iter().copied());
    owner
        .1
        .push(("inputs".into(), format!("{branches:?} of {}", tuple(input))));
    graph.case(input, vec![owner], draw)
}

/// A model of words, whose input has this option.
fn input(option: &'static str, value: &str, draw: &mut Draw) -> ModelCase {
    let mut graph = Growing::new();
    let embedding = graph.add("Embedding", &[("input_dim", "7"), ("output_dim", "2")], &[1]);
    graph.add("GRU", &[("units", "2")], &[embedding]);
    let mut case = graph.case(&[4], vec![owner("Input", [(option, value)])], draw);
    case.ids = Some(7);
    if let Some(graph) = &mut case.graph {
        graph.input.push((option, value.to_owned()));
    }
    case
}

/// Graphs at random: outputs that several layers take, merges of merges, branches of unlike length.
pub fn graphs(seed: u64, count: usize) -> Vec<ModelCase> {
    (0..count)
        .map(|number| random(&mut Draw::new(seed, &format!("graph {number}"))))
        .collect()
}

fn random(draw: &mut Draw) -> ModelCase {
    const ALIKE: [&str; 6] = ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"];
    let input = draw.pick(&[vec![5], vec![4, 3], vec![2, 4, 3]]).clone();
    let units = input.last().copied().unwrap_or(1).to_string();
    let mut graph = Growing::new();
    let mut classes = Vec::new();
    // All layers put out what has the input's shape, until the last.
    for _ in 0..draw.between(3, 6) {
        let before = graph.layers.len() + 1;
        let source = |draw: &mut Draw| draw.between(1, before);
        match draw.between(0, 5) {
            0 | 1 if before > 1 => {
                let class_name = *draw.pick(&ALIKE);
                let sources = [source(draw), source(draw)];
                graph.add(class_name, &[], &sources);
                classes.push(class_name);
            }
            2 if input.len() == 2 => {
                let source = source(draw);
                graph.add("LSTM", &[("units", &units), ("return_sequences", "True")], &[source]);
                classes.push("LSTM");
            }
            2 if input.len() == 3 => {
                let options = [("filters", &*units), ("kernel_size", "(2, 3)"), ("padding", "'same'")];
                let source = source(draw);
                graph.add("Conv2D", &options, &[source]);
                classes.push("Conv2D");
            }
            3 => {
                let source = source(draw);
                graph.add("ELU", &[("alpha", "0.7")], &[source]);
                classes.push("ELU");
            }
            _ => {
                let source = source(draw);
                graph.add("Dense", &[("units", &units), ("activation", "'sigmoid'")], &[source]);
                classes.push("Dense");
            }
        }
    }
    let loose: Vec<usize> = (1..=graph.layers.len() + 1)
        .filter(|number| graph.sources.iter().all(|sources| !sources.contains(number)))
        .collect();
    let mut last = loose[0];
    if loose.len() > 1 {
        last = graph.add("Concatenate", &[("axis", "-1")], &loose);
        classes.push("Concatenate");
    }
    graph.add("Dense", &[("units", "2")], &[last]);
    classes.sort_unstable();
    classes.dedup();
    let owners = classes.into_iter().map(|name| owner(name, [])).collect();
    ModelCase {
        kind: "graphs",
        ..graph.case(&input, owners, draw)
    }
}
