//! Cases of what is drawn at random: how weights start, and what layers drop or add in training. Here and in Keras the numbers are
//! drawn by different generators, so their distributions are compared.

use anyhow::{Result, ensure};
use galaxy_burn_core::keras::initializer::{self, Initializer};
use galaxy_burn_core::keras::layers::catalogue;
use galaxy_burn_core::keras::loss::Loss;
use galaxy_burn_core::keras::weights;
use galaxy_burn_core::nn::layer::Pass;
use galaxy_burn_core::nn::network::Network;
use galaxy_burn_core::nn::random::Seed;
use serde_json::{Map, Value, json};

use crate::case::{Case, Judge, Label, Outcome};
use crate::deviation::{Quantity, distance, relative, worst};
use crate::layer::{Chosen, Reads, draw_input, reads};
use crate::model::{ModelCase, configured, tuple};
use crate::random::Draw;
use crate::tensor::{self, Tensor};
use crate::vocabulary;

/// How a layer's weights start.
#[derive(Clone, Debug)]
struct StartCase {
    owner: String,
    value: String,
    layer: Chosen,
    input: Vec<usize>,
    seed: u64,
}

/// Arguments of the initialisers that take some.
const ARGUMENTS: [&str; 12] = [
    "Constant(value=0.3)",
    "RandomNormal(mean=0.5, stddev=0.2)",
    "RandomUniform(minval=-0.1, maxval=0.4)",
    "TruncatedNormal(mean=-0.2, stddev=0.3)",
    "Orthogonal(gain=1.5)",
    "Identity(gain=0.5)",
    "VarianceScaling()",
    "VarianceScaling(scale=2.0, mode='fan_out', distribution='uniform')",
    "VarianceScaling(scale=0.5, mode='fan_avg', distribution='normal')",
    "he_normal(seed=3)",
    "lecun_uniform()",
    "glorot_normal()",
];

/// Every initialiser, on weights of several shapes.
pub fn starts(seed: u64) -> Vec<Box<dyn Case>> {
    let names = initializer::NAMES.iter().map(|name| format!("'{name}'"));
    let all = names.chain(ARGUMENTS.map(str::to_owned));
    let mut cases: Vec<Box<dyn Case>> = Vec::new();
    for (index, text) in all.enumerate() {
        let matrix_only = text.to_lowercase().contains("identity");
        let owner = text.trim_matches('\'').split('(').next().unwrap_or_default().to_owned();
        let mut case = |layer: Chosen, input: &[usize]| {
            cases.push(Box::new(StartCase {
                owner: owner.clone(),
                value: text.clone(),
                layer,
                input: input.to_vec(),
                seed: seed.wrapping_add(index as u64),
            }) as Box<dyn Case>);
        };
        case(
            Chosen::new("Dense", &[("units", "40"), ("kernel_initializer", &text)]),
            &[50],
        );
        if !matrix_only {
            let options = [
                ("filters", "20"),
                ("kernel_size", "(3, 5)"),
                ("kernel_initializer", &text),
            ];
            case(Chosen::new("Conv2D", &options), &[7, 7, 6]);
        }
        case(
            Chosen::new("LSTM", &[("units", "25"), ("recurrent_initializer", &text)]),
            &[3, 20],
        );
    }
    for layer in [
        Chosen::new("Embedding", &[("input_dim", "50"), ("output_dim", "30")]),
        Chosen::new("GRU", &[("units", "20"), ("reset_after", "True")]),
        Chosen::new(
            "LSTM",
            &[
                ("units", "20"),
                ("unit_forget_bias", "False"),
                ("bias_initializer", "'ones'"),
            ],
        ),
        Chosen::new("BatchNormalization", &[]),
    ] {
        let input = if reads(layer.class_name) == Reads::Ids {
            vec![4]
        } else {
            vec![4, 6]
        };
        cases.push(Box::new(StartCase {
            owner: layer.class_name.to_owned(),
            value: layer.to_python(),
            layer,
            input,
            seed,
        }));
    }
    cases
}

impl Case for StartCase {
    fn labels(&self) -> Vec<Label> {
        let label = |option: &str, value: String| Label {
            kind: "initializers",
            owner: self.owner.clone(),
            option: option.to_owned(),
            value,
        };
        vec![
            label("", String::new()),
            label("written", self.value.clone()),
            label("layer", self.layer.class_name.to_owned()),
        ]
    }

    fn describe(&self) -> String {
        format!(
            "{}, input {}, seed {}",
            self.layer.to_python(),
            tuple(&self.input),
            self.seed
        )
    }

    fn judge(&self, judge: &mut Judge) -> Result<Outcome> {
        let form = json!({"model_selection": {
            "model_type": "sequential",
            "input_shape": tuple(&self.input),
            "layers": [self.layer.to_form()],
        }});
        let mut outcome = Outcome::default();
        let (model, text) = match configured(&form) {
            Ok(configured) => configured,
            Err(error) => {
                outcome.fail(format!("refused: {error}"));
                return Ok(outcome);
            }
        };
        let network = Network::new(&model, &self.input, Seed(self.seed), &judge.devices[0].1)?;
        let question = json!({"kind": "start", "json": text, "seed": self.seed});
        let answer = match judge.keras.ask(&question)? {
            Ok(answer) => answer,
            Err(error) => {
                outcome.fail(format!("Keras refuses what is accepted here: {error}"));
                return Ok(outcome);
            }
        };
        let keras = tensor::list(&answer["weights"])?;
        let shapes = model.shapes(None)?;
        let specs = shapes.iter().flat_map(|shapes| &shapes.weights);
        for ((weight, spec), keras) in network.weights().iter().zip(specs).zip(&keras) {
            let ours = &weight.values;
            let fixed = matches!(
                spec.initializer,
                Initializer::Zeros | Initializer::Ones | Initializer::Constant { .. } | Initializer::Identity { .. }
            );
            if fixed {
                outcome.compare(Quantity::Start, relative(ours, keras), || {
                    format!("{}: {}", weight.name, worst(ours, keras))
                });
                continue;
            }
            outcome.compare(Quantity::Noise, distance(ours, &keras.values), || weight.name.clone());
            if matches!(spec.initializer, Initializer::Orthogonal { .. }) {
                let (ours, keras) = (gram(ours, &weight.shape), gram(&keras.values, &weight.shape));
                outcome.compare(Quantity::Prediction, relative(&ours.values, &keras), || {
                    format!(
                        "products of columns of {}: {}",
                        weight.name,
                        worst(&ours.values, &keras)
                    )
                });
            }
        }
        Ok(outcome)
    }

    fn smaller(&self) -> Vec<Box<dyn Case>> {
        Vec::new()
    }
}

/// The products of a matrix's columns with each other, or of its rows if it is wider than high: what is fixed of an orthogonal one.
fn gram(values: &[f32], shape: &[usize]) -> Tensor {
    let columns = shape.last().copied().unwrap_or(1);
    let rows = values.len() / columns.max(1);
    let at = |row: usize, column: usize| f64::from(values[row * columns + column]);
    let (count, length) = (rows.min(columns), rows.max(columns));
    let entry = |i: usize, j: usize| {
        let product = |k: usize| {
            if columns <= rows {
                at(k, i) * at(k, j)
            } else {
                at(i, k) * at(j, k)
            }
        };
        (0..length).map(product).sum::<f64>() as f32
    };
    let entries = (0..count * count)
        .map(|index| entry(index / count, index % count))
        .collect();
    Tensor::new(&[count, count], entries)
}

/// What a layer drops or adds in training.
#[derive(Clone, Debug)]
struct NoiseCase {
    option: &'static str,
    value: String,
    model: ModelCase,
}

/// Equal rows that a noisy layer is shown.
const ROWS: usize = 3000;

/// Every layer that draws random numbers in training, with each option that makes it do so.
///
/// # Errors
/// When a layer's other options cannot be filled in.
pub fn noises(seed: u64, only: Option<&str>) -> Result<Vec<Box<dyn Case>>> {
    let mut cases: Vec<Box<dyn Case>> = Vec::new();
    for spec in catalogue().iter().filter(|spec| !spec.layer_type.ends_with("Cell")) {
        if only.is_some_and(|only| !only.eq_ignore_ascii_case(spec.layer_type)) {
            continue;
        }
        let options = vocabulary::options(spec);
        let noisy = options
            .iter()
            .filter(|option| ["rate", "dropout", "recurrent_dropout", "stddev"].contains(&option.name));
        for option in noisy {
            let mut draw = Draw::new(seed, spec.layer_type);
            let ways: &[&[(&'static str, &str)]] = if options.iter().any(|option| option.name == "implementation") {
                &[&[("implementation", "1")], &[("implementation", "2")]]
            } else {
                &[&[]]
            };
            for (way, value) in ways.iter().flat_map(|way| ["0.3", "0.6"].map(|value| (way, value))) {
                let input = match draw_input(spec.layer_type, &mut draw).len() {
                    1 => vec![4],
                    2 => vec![3, 2],
                    3 => vec![2, 2, 3],
                    _ => vec![2, 3, 3, 2],
                };
                let mut layer = Chosen::new(spec.layer_type, way);
                for other in options
                    .iter()
                    .filter(|other| other.required && other.name != option.name)
                {
                    let values = vocabulary::values(spec.layer_type, other, &input).unwrap_or_default();
                    ensure!(!values.is_empty(), "choose values for {} in vocabulary.rs", other.name);
                    layer.options.push((other.name, values[values.len() / 2].clone()));
                }
                layer.options.push((option.name, value.to_owned()));
                cases.push(Box::new(NoiseCase {
                    option: option.name,
                    value: value.to_owned(),
                    model: ModelCase {
                        kind: "noise",
                        owners: Vec::new(),
                        layers: vec![layer],
                        input,
                        graph: None,
                        ids: None,
                        batch: 1,
                        loss: Loss::MeanSquaredError,
                        optimizer: ("SGD".to_owned(), Map::new()),
                        seed: draw.seed(),
                        file: "h5",
                    },
                }));
            }
        }
    }
    Ok(cases)
}

impl Case for NoiseCase {
    fn labels(&self) -> Vec<Label> {
        let label = |option: &str, value: &str| Label {
            kind: "noise",
            owner: self.model.layers[0].class_name.to_owned(),
            option: option.to_owned(),
            value: value.to_owned(),
        };
        vec![label("", ""), label(self.option, &self.value)]
    }

    fn describe(&self) -> String {
        format!("{ROWS} equal rows through\n    {}", self.model.describe())
    }

    fn judge(&self, judge: &mut Judge) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let built = self.model.configured().and_then(|(model, text)| {
            let device = judge.devices[0].1.clone();
            self.model
                .started(&model, &device)
                .map(|network| (network, text))
                .map_err(|error| error.to_string())
        });
        let (network, text) = match built {
            Ok(built) => built,
            Err(error) => {
                outcome.fail(format!("refused: {error}"));
                return Ok(outcome);
            }
        };
        let row = Draw::new(self.model.seed, "row").tensor(&self.model.input, 0.5, 1.5);
        let shape = [&[ROWS], &self.model.input[..]].concat();
        let x = Tensor::new(&shape, row.values.repeat(ROWS));
        let path = judge.directory.path().join("ours.h5");
        std::fs::write(&path, weights::write(&network.to_layer_weights())?)?;
        let question: Value = json!({
            "kind": "noise",
            "json": text,
            "weights": path,
            "inputs": [x.to_json()],
            "seed": self.model.seed,
        });
        let answer = match judge.keras.ask(&question)? {
            Ok(answer) => answer,
            Err(error) => {
                outcome.fail(format!("Keras refuses what is accepted here: {error}"));
                return Ok(outcome);
            }
        };
        let keras = Tensor::from_json(&answer["outputs"])?;
        let size = keras.values.len() / ROWS;
        let mut pass = Pass::training(Seed(self.model.seed), 0);
        let truth = vec![0.0; keras.values.len()];
        let ours = network
            .gradients(x.values, truth, Loss::MeanSquaredError, &mut pass)?
            .predicted;
        outcome.same("size of the output", &ours.len(), &keras.values.len());
        let column = |values: &[f32], at: usize| values.iter().skip(at).step_by(size).copied().collect::<Vec<_>>();
        for at in 0..size {
            let deviation = distance(&column(&ours, at), &column(&keras.values, at));
            outcome.compare(Quantity::Noise, deviation, || format!("output {at} of a row"));
        }
        // What is dropped together shows in the sums of rows.
        let sums = |values: &[f32]| values.chunks(size).map(|row| row.iter().sum()).collect::<Vec<f32>>();
        let deviation = distance(&sums(&ours), &sums(&keras.values));
        outcome.compare(Quantity::Noise, deviation, || "sums of rows".into());
        Ok(outcome)
    }

    fn smaller(&self) -> Vec<Box<dyn Case>> {
        Vec::new()
    }
}
