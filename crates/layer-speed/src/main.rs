//! Times training steps of the models in a file beside it (`layers.json` or `shapes.json`, its name is the first argument; then, if not
//! all are wanted, parts of the models' names); prints one JSON object, milliseconds a step by name, and how long the processor takes for
//! a billion multiply-adds when nothing else keeps it.
//!
//! `GALAXY_SLOTS` says on how many threads, `BENCH_BACKEND` on which of Burn's backends (`ndarray`, `flex`), `BENCH_INSTRUCTIONS` with
//! which instructions (`portable`, `avx2`, `avx512`).
//!
//! `cargo xtask bench --layers` and `--shapes` run it beside the same models in Keras (`layers_in_keras.py`).

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "numbers made for a benchmark are small"
)]

mod roof;

use std::path::Path;
use std::time::Instant;

use burn::tensor::Device;
use galaxy_burn_core::galaxy::resources::Resources;
use galaxy_burn_core::keras::layers::{AutoNames, Layer};
use galaxy_burn_core::keras::loss::Loss;
use galaxy_burn_core::keras::model::Model;
use galaxy_burn_core::keras::optimizer::Optimizer;
use galaxy_burn_core::nn::kernels::simd::Isa;
use galaxy_burn_core::nn::network::Network;
use galaxy_burn_core::nn::random::Seed;
use galaxy_burn_core::nn::{device, memory, threads};
use galaxy_burn_core::train::batch;
use galaxy_burn_core::train::optimizer::Updater;
use galaxy_burn_core::train::samples::Samples;
use serde_json::{Map, Value};

/// As in `layers_in_keras.py`: steps that are not timed, then rounds of which the best counts.
const WARMING_STEPS: usize = 4;
const ROUNDS: usize = 2;

/// One model and the shape of its batches.
#[derive(serde::Deserialize)]
struct Case {
    name: String,
    batch: usize,
    shape: Vec<usize>,
    /// Inputs are whole numbers below this.
    ids: Option<usize>,
    /// This share of the steps, at the end, is zero.
    #[serde(default)]
    padded: f32,
    /// Steps a round.
    #[serde(default = "usual_steps")]
    steps: usize,
    layers: Vec<(String, Map<String, Value>)>,
}

fn usual_steps() -> usize {
    60
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    memory::keep_freed_memory();
    threads::init(Resources::from_env().slots.get())?;
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().unwrap_or_else(|| "layers.json".to_owned());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let wanted: Vec<String> = arguments.collect();
    let (device, instructions) = (chosen_device()?, chosen_instructions()?);
    let mut measured = Map::new();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part));
    if is_wanted(roof::NAME) {
        let milliseconds = threads::on_pool(|| roof::measure(instructions, ROUNDS));
        measured.insert(roof::NAME.to_owned(), milliseconds.into());
    }
    for case in serde_json::from_slice::<Vec<Case>>(&std::fs::read(file)?)? {
        if is_wanted(&case.name) {
            let milliseconds =
                threads::on_pool(|| instructions.hold(|| measure(&case, &device).map_err(|error| error.to_string())))?;
            measured.insert(case.name.clone(), milliseconds.into());
        }
    }
    println!("{}", Value::from(measured));
    Ok(())
}

fn chosen_device() -> Result<Device, String> {
    let wanted = std::env::var("BENCH_BACKEND").ok();
    let mut available = device::available().into_iter();
    let found = available.find(|(name, _)| wanted.as_deref().is_none_or(|wanted| wanted == *name));
    found
        .map(|(_, device)| device)
        .ok_or_else(|| "this backend is not compiled in".to_owned())
}

fn chosen_instructions() -> Result<Isa, String> {
    match std::env::var("BENCH_INSTRUCTIONS").as_deref() {
        Err(_) => Ok(Isa::detect()),
        Ok("portable") => Ok(Isa::Portable),
        Ok("avx2") => Ok(Isa::Avx2),
        Ok("avx512") => Ok(Isa::Avx512),
        Ok(other) => Err(format!(
            "BENCH_INSTRUCTIONS is {other}: there are portable, avx2 and avx512"
        )),
    }
}

/// Milliseconds of one training step: the best of some rounds.
fn measure(case: &Case, device: &Device) -> Result<f64, Box<dyn std::error::Error>> {
    let mut names = AutoNames::default();
    let layers = case
        .layers
        .iter()
        .map(|(class_name, config)| Layer::from_config(class_name, config, &mut names))
        .collect::<Result<Vec<_>, _>>()?;
    let model = Model::sequential("sequential_1", layers)?;
    let mut network = Network::new(&model, &case.shape, Seed(1), device)?;
    let lengths: Vec<usize> = network.weights().iter().map(|weight| weight.values.len()).collect();
    let mut updater = Updater::new(Optimizer::from_options("Adam", &Map::new())?, &lengths);
    let values = |shape: &[usize]| {
        let len = case.batch * shape.iter().product::<usize>();
        (0..len).map(|index| (index as f32 * 0.37).sin()).collect::<Vec<f32>>()
    };
    let row: usize = case.shape.iter().product();
    let mut x = values(&case.shape);
    if let Some(ids) = case.ids {
        for (index, value) in x.iter_mut().enumerate() {
            *value = (index.wrapping_mul(2_654_435_761) / 7 % ids) as f32;
        }
    }
    for row in x.chunks_exact_mut(row) {
        let steps = row.len() as f32 * (1.0 - case.padded);
        row[steps as usize..].fill(0.0);
    }
    let samples = Samples {
        x,
        row,
        truth: values(network.output_shape()),
        truth_row: network.output_shape().iter().product(),
    };
    let rows: Vec<usize> = (0..case.batch).collect();
    let mut train = |steps: usize| -> Result<f64, Box<dyn std::error::Error>> {
        let start = Instant::now();
        for step in 0..steps {
            let trained = batch::gradients(&network, &samples, &rows, Loss::MeanSquaredError, Seed(1), step as u64)?;
            let mut gradients = trained.gradients;
            let mut update = updater.begin(&mut gradients);
            for (index, (weight, gradient)) in network.weights_mut().iter_mut().zip(&gradients).enumerate() {
                if let Some(gradient) = gradient {
                    update.update(index, &mut weight.values, gradient);
                }
            }
        }
        Ok(start.elapsed().as_secs_f64() * 1000.0 / steps as f64)
    };
    train(WARMING_STEPS.min(case.steps))?;
    (0..ROUNDS).try_fold(f64::INFINITY, |best, _| Ok(best.min(train(case.steps)?)))
}
