//! Every layer that `keras.rs` has not, held to numbers that Keras 2.15 computed (`golden/layers`), on every backend that is compiled in.
#![cfg(feature = "engine")]
#![allow(clippy::cast_possible_truncation, reason = "Keras's numbers are f32 written as JSON")]

use std::fs;
use std::path::Path;

use burn::tensor::Device;
use galaxy_burn_core::keras::loss::Loss;
use galaxy_burn_core::keras::model::Model;
use galaxy_burn_core::keras::optimizer::Optimizer;
use galaxy_burn_core::nn::device;
use galaxy_burn_core::nn::layer::Pass;
use galaxy_burn_core::nn::network::Network;
use galaxy_burn_core::nn::random::Seed;
use galaxy_burn_core::train::optimizer::Updater;
use serde_json::{Value, json};

struct Case {
    json: Value,
    backend: &'static str,
}

fn floats(tensor: &Value) -> Vec<f32> {
    let values = tensor["values"].as_array().expect("values");
    values
        .iter()
        .map(|value| value.as_f64().expect("a number") as f32)
        .collect()
}

fn sizes(tensor: &Value) -> Vec<usize> {
    serde_json::from_value(tensor["shape"].clone()).expect("a shape")
}

impl Case {
    fn name(&self) -> &str {
        self.json["name"].as_str().expect("a name")
    }

    fn network(&self, device: &Device) -> Network {
        let model = Model::from_value(&self.json["model"]).unwrap_or_else(|error| panic!("{}: {error}", self.name()));
        let row = &sizes(&self.json["input"])[1..];
        let mut network =
            Network::new(&model, row, Seed(0), device).unwrap_or_else(|error| panic!("{}: {error}", self.name()));
        let weights = self.json["weights"].as_array().expect("weights");
        assert_eq!(network.weights().len(), weights.len(), "{}", self.name());
        for (weight, keras) in network.weights_mut().iter_mut().zip(weights) {
            assert_eq!(weight.shape, sizes(keras), "{}: {}", self.name(), weight.name);
            weight.values = floats(keras);
        }
        network
    }

    /// Asserts that numbers agree to `tolerance` of the largest of Keras's.
    fn agree(&self, what: &str, ours: &[f32], keras: &[f32], tolerance: f32) {
        let place = format!("{} on {}: {what}", self.name(), self.backend);
        assert_eq!(ours.len(), keras.len(), "{place}");
        let largest = keras.iter().fold(1e-3_f32, |largest, x| largest.max(x.abs()));
        for (index, (a, b)) in ours.iter().zip(keras).enumerate() {
            assert!(
                (a - b).abs() <= tolerance * largest,
                "{place} [{index}] is {a}, in Keras {b} (largest {largest})"
            );
        }
    }

    fn predicts(&self, device: &Device) {
        let network = self.network(device);
        let predicted = network.predict(floats(&self.json["input"])).expect("a prediction");
        self.agree("prediction", &predicted, &floats(&self.json["prediction"]), 1e-5);
    }

    fn has_gradients(&self, device: &Device) {
        let network = self.network(device);
        let mut pass = Pass::training(Seed(0), 0);
        pass.tracks_input = true;
        let (x, y) = (floats(&self.json["input"]), floats(&self.json["target"]));
        let trained = network
            .gradients(x, y, Loss::MeanSquaredError, &mut pass)
            .unwrap_or_else(|error| panic!("{}: {error}", self.name()));
        let loss = self.json["loss"].as_f64().expect("a loss") as f32;
        self.agree("loss", &[trained.loss as f32], &[loss], 1e-5);
        let gradients = self.json["gradients"].as_array().expect("gradients");
        let ours: Vec<_> = trained.gradients.iter().flatten().collect();
        assert_eq!(ours.len(), gradients.len(), "{}", self.name());
        for (index, (ours, keras)) in ours.into_iter().zip(gradients).enumerate() {
            self.agree(&format!("gradient {index}"), ours, &floats(keras), 1e-4);
        }
        let input = trained.input.expect("the input's gradient");
        self.agree("input's gradient", &input, &floats(&self.json["input_gradient"]), 1e-4);
    }

    fn walks(&self, device: &Device) {
        for (key, name, options, steps) in [
            ("sgd", "SGD", json!({"lr": 0.1}), 1),
            ("adam", "Adam", json!({"lr": 0.01}), 5),
        ] {
            let Some(expected) = self.json[key].as_array() else {
                continue;
            };
            let mut network = self.network(device);
            let optimizer = Optimizer::from_options(name, options.as_object().expect("options"));
            let lengths: Vec<usize> = network.weights().iter().map(|weight| weight.values.len()).collect();
            let mut updater = Updater::new(optimizer.expect("an optimiser"), &lengths);
            for step in 0..steps {
                let (x, y) = (floats(&self.json["input"]), floats(&self.json["target"]));
                let mut pass = Pass::training(Seed(0), step);
                let trained = network.gradients(x, y, Loss::MeanSquaredError, &mut pass);
                let mut gradients = trained.expect("gradients").gradients;
                let mut update = updater.begin(&mut gradients);
                for (index, weight) in network.weights_mut().iter_mut().enumerate() {
                    if let Some(gradient) = &gradients[index] {
                        update.update(index, &mut weight.values, gradient);
                    }
                }
            }
            for (weight, keras) in network.weights().iter().zip(expected) {
                self.agree(&format!("{key}: {}", weight.name), &weight.values, &floats(keras), 1e-4);
            }
        }
    }
}

/// Holds all cases of a family to Keras; all that fail are listed.
#[track_caller]
fn agrees_with_keras(family: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/layers/{family}.json"));
    let cases: Vec<Value> = serde_json::from_slice(&fs::read(file).expect("the golden file")).expect("JSON");
    assert!(cases.len() > 10, "{}", cases.len());
    let mut failed = Vec::new();
    for (backend, device) in device::available() {
        for json in &cases {
            let case = Case {
                json: json.clone(),
                backend,
            };
            let checked = std::panic::catch_unwind(|| {
                case.predicts(&device);
                if case.json["gradients"].is_array() {
                    case.has_gradients(&device);
                    case.walks(&device);
                }
            });
            if checked.is_err() {
                failed.push(format!("{} on {backend}", case.name()));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn convolutions_of_every_kind_are_keras_s() {
    agrees_with_keras("convolution");
}

#[test]
fn layers_that_reorder_cut_repeat_or_pool_are_keras_s() {
    agrees_with_keras("shape");
}

#[test]
fn activations_that_are_layers_are_keras_s() {
    agrees_with_keras("activation");
}

#[test]
fn recurrent_layers_and_masks_are_keras_s() {
    agrees_with_keras("recurrent");
}

#[test]
fn graphs_and_merges_are_keras_s() {
    agrees_with_keras("merge");
}
