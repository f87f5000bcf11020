//! The engine held to numbers that Keras 2.15 computed (`golden/keras-2.15`), on every backend that is compiled in.
#![cfg(feature = "engine")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "Keras's numbers are f32 written as JSON"
)]

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use galaxy_burn_core::keras::loss::Loss;
use galaxy_burn_core::keras::model::Model;
use galaxy_burn_core::keras::optimizer::Optimizer;
use galaxy_burn_core::keras::weights;
use galaxy_burn_core::nn::device;
use galaxy_burn_core::nn::kernels::loss::LossFunction;
use galaxy_burn_core::nn::layer::Pass;
use galaxy_burn_core::nn::network::Network;
use galaxy_burn_core::nn::random::Seed;
use galaxy_burn_core::train::metrics::largest;
use galaxy_burn_core::train::optimizer::Updater;
use serde_json::{Value, json};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/keras-2.15")
}

/// A model with its weights, an input and what Keras made of it.
struct Case {
    name: String,
    json: Value,
}

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = fs::read_dir(golden())
        .expect("the golden files")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .filter(|path| path.with_extension("h5").exists())
        .map(|path| Case {
            name: path.file_stem().expect("a name").to_string_lossy().into_owned(),
            json: serde_json::from_slice(&fs::read(&path).expect("readable")).expect("JSON"),
        })
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(cases.len() > 50, "{} cases", cases.len());
    cases
}

fn floats(tensor: &Value) -> Vec<f32> {
    let number = |value: &Value| match value {
        // What JSON has no number for: NaN and the infinities.
        Value::String(text) => text.parse().expect("a number"),
        value => value.as_f64().expect("a number") as f32,
    };
    tensor["values"]
        .as_array()
        .expect("values")
        .iter()
        .map(number)
        .collect()
}

fn shape(tensor: &Value) -> Vec<usize> {
    let sizes = tensor["shape"].as_array().expect("a shape");
    sizes
        .iter()
        .map(|size| usize::try_from(size.as_u64().expect("a size")).expect("a small size"))
        .collect()
}

impl Case {
    fn network(&self, device: &Device) -> Network {
        let model = Model::from_value(&self.json["model"]).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let input = shape(&self.json["input"]);
        let mut network =
            Network::new(&model, &input[1..], Seed(0), device).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let file = fs::read(golden().join(format!("{}.h5", self.name))).expect("weights");
        let weights = weights::read(file).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        network
            .load(weights)
            .unwrap_or_else(|error| panic!("{}: {error}", self.name));
        network
    }

    fn loss(&self) -> Loss {
        Loss::from_name(self.json["training"]["loss"].as_str().expect("a loss")).expect("a known loss")
    }

    /// Asserts that numbers agree to `tolerance` of the largest of Keras's.
    fn agree(&self, backend: &str, what: &str, ours: &[f32], keras: &[f32], tolerance: f32) {
        assert_eq!(ours.len(), keras.len(), "{} on {backend}: {what}", self.name);
        let largest = keras.iter().fold(1e-3_f32, |largest, x| largest.max(x.abs()));
        for (index, (a, b)) in ours.iter().zip(keras).enumerate() {
            assert!(
                (a - b).abs() <= tolerance * largest,
                "{} on {backend}: {what} [{index}] is {a}, in Keras {b} (largest {largest})",
                self.name
            );
        }
    }
}

#[test]
fn predictions_from_keras_s_weights_are_keras_s() {
    for (backend, device) in device::available() {
        for case in cases() {
            let ours = case
                .network(&device)
                .predict(floats(&case.json["input"]))
                .expect("a prediction");
            case.agree(backend, "prediction", &ours, &floats(&case.json["prediction"]), 1e-5);
        }
    }
}

#[test]
fn losses_and_gradients_are_keras_s() {
    let mut compared = 0;
    for (backend, device) in device::available() {
        for case in cases().iter().filter(|case| case.json["training"].is_object()) {
            let network = case.network(&device);
            let training = &case.json["training"];
            let (x, truth) = (floats(&case.json["input"]), floats(&training["target"]));
            let trained = network
                .gradients(x, truth, case.loss(), &mut Pass::training(Seed(0), 0))
                .unwrap_or_else(|error| panic!("{}: {error}", case.name));
            let loss = training["loss_value"].as_f64().expect("a loss") as f32;
            case.agree(backend, "loss", &[trained.loss as f32], &[loss], 1e-5);
            let gradients = training["gradients"].as_array().expect("gradients");
            let ours: Vec<_> = trained.gradients.iter().flatten().collect();
            assert_eq!(ours.len(), gradients.len(), "{}", case.name);
            for (ours, keras) in ours.into_iter().zip(gradients) {
                case.agree(
                    backend,
                    keras["name"].as_str().expect("a name"),
                    ours,
                    &floats(keras),
                    1e-4,
                );
                compared += 1;
            }
        }
    }
    assert!(compared > 50, "{compared}");
}

#[test]
fn training_steps_end_at_keras_s_weights() {
    let sgd = ("after_1_sgd_step", "SGD", json!({"lr": 0.1}), 1);
    let adam = ("after_5_adam_steps", "Adam", json!({"lr": 0.01}), 5);
    for (backend, device) in device::available() {
        for case in cases().iter().filter(|case| case.json["training"].is_object()) {
            for (key, optimizer, options, steps) in [&sgd, &adam] {
                let expected = &case.json["training"][*key];
                if !expected.is_object() {
                    continue;
                }
                let mut network = case.network(&device);
                let optimizer =
                    Optimizer::from_options(optimizer, options.as_object().expect("options")).expect("an optimiser");
                let lengths: Vec<usize> = network.weights().iter().map(|weight| weight.values.len()).collect();
                let mut updater = Updater::new(optimizer, &lengths);
                for step in 0..*steps {
                    let (x, truth) = (floats(&case.json["input"]), floats(&case.json["training"]["target"]));
                    let mut pass = Pass::training(Seed(0), step);
                    let mut trained = network.gradients(x, truth, case.loss(), &mut pass).expect("gradients");
                    let mut update = updater.begin(&mut trained.gradients);
                    for (index, weight) in network.weights_mut().iter_mut().enumerate() {
                        if let Some(gradient) = &trained.gradients[index] {
                            update.update(index, &mut weight.values, gradient);
                        }
                    }
                    for (index, values) in trained.updates {
                        network.weights_mut()[index].values = values;
                    }
                }
                for (weight, keras) in network
                    .weights()
                    .iter()
                    .zip(expected["weights"].as_array().expect("weights"))
                {
                    case.agree(
                        backend,
                        &format!("{key}: {}", weight.name),
                        &weight.values,
                        &floats(keras),
                        1e-4,
                    );
                }
            }
        }
    }
}

/// A direction of length one, the same each time.
fn direction(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / 16_777_216.0 - 0.5
    };
    let direction: Vec<f32> = (0..len).map(|_| next()).collect();
    let norm = direction.iter().map(|x| x * x).sum::<f32>().sqrt();
    direction.iter().map(|x| x / norm).collect()
}

fn moved(values: &[f32], direction: &[f32], step: f32) -> Vec<f32> {
    values
        .iter()
        .zip(direction)
        .map(|(value, d)| value + step * d)
        .collect()
}

/// The slope of the loss along a direction, by gradient and by differences of the loss, for each weight and for the input.
///
/// Where a maximum or relu changes sides within the step, differences are off: the smallest of several steps' deviations counts.
#[test]
fn gradients_of_every_layer_agree_with_finite_differences() {
    for (backend, device) in device::available() {
        for case in cases() {
            let mut network = case.network(&device);
            let x = floats(&case.json["input"]);
            let truth = direction(floats(&case.json["prediction"]).len(), 99);
            let whole_numbers = network.ids().is_some();
            let loss_at = |network: &Network, x: &[f32]| {
                let mut pass = Pass::training(Seed(0), 0);
                pass.tracks_input = !whole_numbers;
                network
                    .gradients(x.to_vec(), truth.clone(), Loss::MeanSquaredError, &mut pass)
                    .expect("gradients")
            };
            let trained = loss_at(&network, &x);
            let check = |what: &str, slope: f64, difference: &mut dyn FnMut(f32) -> f64| {
                let off = [1e-2, 2e-3].map(|step| (difference(step) - slope).abs());
                let best = off[0].min(off[1]);
                assert!(
                    best <= 2e-3 * slope.abs().max(0.05),
                    "{} on {backend}: {what}: the slope is {slope}, differences are off by {off:?}",
                    case.name
                );
            };
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
            if let Some(gradient) = &trained.input {
                let along = direction(x.len(), 7);
                check("input", dot(gradient, &along), &mut |step| {
                    let up = loss_at(&network, &moved(&x, &along, step)).loss;
                    let down = loss_at(&network, &moved(&x, &along, -step)).loss;
                    (up - down) / (2.0 * f64::from(step))
                });
            }
            for index in 0..network.weights().len() {
                let Some(gradient) = &trained.gradients[index] else {
                    continue;
                };
                let values = network.weights()[index].values.clone();
                let along = direction(values.len(), index as u64 + 1);
                let name = network.weights()[index].name.clone();
                check(&name, dot(gradient, &along), &mut |step| {
                    network.weights_mut()[index].values = moved(&values, &along, step);
                    let up = loss_at(&network, &x).loss;
                    network.weights_mut()[index].values = moved(&values, &along, -step);
                    let down = loss_at(&network, &x).loss;
                    network.weights_mut()[index].values.clone_from(&values);
                    (up - down) / (2.0 * f64::from(step))
                });
            }
        }
    }
}

fn json_file(name: &str) -> Value {
    serde_json::from_slice(&fs::read(golden().join(name)).expect("readable")).expect("JSON")
}

fn tensors(list: &Value) -> Vec<Vec<f32>> {
    list.as_array().expect("tensors").iter().map(floats).collect()
}

#[test]
fn every_optimiser_walks_as_keras_s_does() {
    let file = json_file("optimizers.json");
    let runs = file["runs"].as_array().expect("runs");
    for run in runs {
        let name = run["name"].as_str().expect("a name");
        let options = run["options"].as_object().expect("options");
        let optimizer =
            Optimizer::from_options(name, options).unwrap_or_else(|error| panic!("{name} {options:?}: {error}"));
        let mut weights = tensors(&file["start"]);
        let lengths: Vec<usize> = weights.iter().map(Vec::len).collect();
        let mut updater = Updater::new(optimizer, &lengths);
        let steps = file["gradients"]
            .as_array()
            .expect("gradients")
            .iter()
            .zip(run["after"].as_array().expect("steps"));
        for (number, (gradients, after)) in steps.enumerate() {
            let mut gradients: Vec<Option<Vec<f32>>> = tensors(gradients).into_iter().map(Some).collect();
            let mut step = updater.begin(&mut gradients);
            for (index, weights) in weights.iter_mut().enumerate() {
                step.update(index, weights, gradients[index].as_ref().expect("a gradient"));
            }
            for (ours, keras) in weights.iter().flatten().zip(tensors(after).iter().flatten()) {
                assert!(
                    (ours - keras).abs() <= 1e-5 * keras.abs().max(1.0),
                    "{name} {options:?}, step {}: {ours}, in Keras {keras}",
                    number + 1
                );
            }
        }
    }
    let mut names: Vec<_> = runs.iter().map(|run| run["name"].as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 7, "{names:?}");
}

#[test]
fn every_loss_and_its_gradient_are_keras_s() {
    let mut compared = 0;
    for case in json_file("losses.json").as_array().expect("cases") {
        let (target, output) = (floats(&case["target"]), floats(&case["output"]));
        let width = *shape(&case["output"]).last().expect("an axis");
        for (name, keras) in case["losses"].as_object().expect("losses") {
            let loss = Loss::from_name(name).expect("a known loss");
            let function = LossFunction { loss, logits_of: None };
            let truth: Vec<f32> = if loss == Loss::SparseCategoricalCrossentropy {
                target.chunks(width).map(|row| largest(row) as f32).collect()
            } else {
                target.clone()
            };
            let close = |what: &str, ours: f64, keras: f32| {
                // Sums in f32 on Keras's side: what a row's largest terms leave of precision.
                let tolerance = 2e-5 * f64::from(keras.abs()).max(1.0);
                let agree = (ours - f64::from(keras)).abs() <= tolerance || (!ours.is_finite() && !keras.is_finite());
                assert!(agree, "{} {name} {what}: {ours}, in Keras {keras}", case["name"]);
            };
            let per_row = floats(keras);
            // The hinge losses look at all labels of a batch to tell 0 and 1 from -1 and 1, so rows are not judged one by one.
            let mean = per_row.iter().map(|&value| f64::from(value)).sum::<f64>() / per_row.len() as f64;
            let mut gradient = vec![0.0; output.len()];
            close(
                "mean",
                function.mean(&truth, &output, width, Some(&mut gradient)),
                mean as f32,
            );
            for (ours, keras) in gradient.iter().zip(floats(&case["gradients"][name])) {
                close("gradient", f64::from(*ours), keras);
            }
            compared += 1;
        }
    }
    assert!(compared >= 14 * 3, "{compared}");
}
