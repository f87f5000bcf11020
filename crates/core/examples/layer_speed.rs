//! Times training steps of the models in `benches/layers.json`; prints one JSON object, milliseconds a step by name.
//!
//! `cargo xtask bench --layers --peer PYTHON` runs it beside the same models in Keras (`benches/layers_in_keras.py`).

#![expect(clippy::cast_precision_loss, reason = "numbers made for a benchmark are small")]

use std::path::Path;
use std::time::Instant;

use galaxy_burn_core::keras::layers::{AutoNames, Layer};
use galaxy_burn_core::keras::loss::Loss;
use galaxy_burn_core::keras::model::Model;
use galaxy_burn_core::keras::optimizer::Optimizer;
use galaxy_burn_core::nn::layer::Pass;
use galaxy_burn_core::nn::network::Network;
use galaxy_burn_core::nn::random::Seed;
use galaxy_burn_core::nn::{device, memory, threads};
use galaxy_burn_core::train::optimizer::Updater;
use serde_json::{Map, Value};

const STEPS: usize = 60;
const ROUNDS: usize = 3;

/// One model and the shape of its batches.
#[derive(serde::Deserialize)]
struct Case {
    name: String,
    batch: usize,
    shape: Vec<usize>,
    layers: Vec<(String, Map<String, Value>)>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    memory::keep_freed_memory();
    threads::init(std::thread::available_parallelism()?.get())?;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/layers.json");
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let mut measured = Map::new();
    for case in serde_json::from_slice::<Vec<Case>>(&std::fs::read(file)?)? {
        if wanted.is_empty() || wanted.iter().any(|name| case.name.contains(name)) {
            measured.insert(case.name.clone(), measure(&case)?.into());
        }
    }
    println!("{}", Value::from(measured));
    Ok(())
}

/// Milliseconds of one training step: the best of some rounds.
fn measure(case: &Case) -> Result<f64, Box<dyn std::error::Error>> {
    let mut names = AutoNames::default();
    let layers = case
        .layers
        .iter()
        .map(|(class_name, config)| Layer::from_config(class_name, config, &mut names))
        .collect::<Result<Vec<_>, _>>()?;
    let model = Model::sequential("sequential_1", layers)?;
    let mut network = Network::new(&model, &case.shape, Seed(1), &device::default()?)?;
    let lengths: Vec<usize> = network.weights().iter().map(|weight| weight.values.len()).collect();
    let mut updater = Updater::new(Optimizer::from_options("Adam", &Map::new())?, &lengths);
    let values = |shape: &[usize]| {
        let len = case.batch * shape.iter().product::<usize>();
        (0..len).map(|index| (index as f32 * 0.37).sin()).collect::<Vec<f32>>()
    };
    let (x, y) = (values(&case.shape), values(network.output_shape()));
    let mut best = f64::INFINITY;
    for _ in 0..=ROUNDS {
        let start = Instant::now();
        for step in 0..STEPS {
            let mut pass = Pass::training(Seed(1), step as u64);
            let mut gradients = network
                .gradients(x.clone(), y.clone(), Loss::MeanSquaredError, &mut pass)?
                .gradients;
            let mut update = updater.begin(&mut gradients);
            for (index, (weight, gradient)) in network.weights_mut().iter_mut().zip(&gradients).enumerate() {
                if let Some(gradient) = gradient {
                    update.update(index, &mut weight.values, gradient);
                }
            }
        }
        best = best.min(start.elapsed().as_secs_f64() * 1000.0 / STEPS as f64);
    }
    Ok(best)
}
