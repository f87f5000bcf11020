//! The engine held to numbers that Keras 2.15 computed (`golden/keras-2.15`), on every backend that is compiled in.
#![cfg(feature = "engine")]

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use galaxy_burn_core::keras::loss::Loss;
use galaxy_burn_core::keras::model::Model;
use galaxy_burn_core::keras::optimizer::Optimizer;
use galaxy_burn_core::keras::weights;
use galaxy_burn_core::nn::device;
use galaxy_burn_core::nn::layer::Pass;
use galaxy_burn_core::nn::network::Network;
use galaxy_burn_core::nn::random::Seed;
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
    tensor["values"]
        .as_array()
        .expect("values")
        .iter()
        .map(|value| value.as_f64().expect("a number") as f32)
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
