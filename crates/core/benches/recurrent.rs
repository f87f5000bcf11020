//! The recurrent kernels on the shapes of the text classification tutorial, and on some that it does not have.
//!
//! `cargo bench --bench recurrent --no-default-features`; criterion's elements per second are rows per second.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "numbers made for a benchmark are small"
)]
#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use galaxy_burn_core::nn::kernels::recurrent::{
    Activation, Call, Cell, Input, Layer, Needs, OutputGradients, Weights, backward, forward,
};

const STEPS: usize = 500;
const WORDS: usize = 10_000;

struct Noise(u64);

impl Noise {
    /// Evenly between 0 and 1.
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / (1_u64 << 31) as f64
    }

    fn values(&mut self, n: usize, scale: f64) -> Vec<f32> {
        (0..n).map(|_| (scale * (2.0 * self.next() - 1.0)) as f32).collect()
    }
}

/// Reviews as in IMDB: padded in front, 222 words on average, frequent words far more often than rare ones.
fn reviews(batch: usize) -> Vec<f32> {
    let mut noise = Noise(3);
    let mut ids = Vec::with_capacity(batch * STEPS);
    for _ in 0..batch {
        let length = (500.0 * noise.next().powf(1.2)) as usize;
        for step in 0..STEPS {
            let word = (WORDS as f64).powf(noise.next()).floor() as f32;
            ids.push(if step + length < STEPS { 0.0 } else { word.min(9_999.0) });
        }
    }
    ids
}

struct Case {
    layer: Layer,
    batch: usize,
    steps: usize,
    /// Ids and table, or values alone.
    ids: Option<Vec<f32>>,
    input: Vec<f32>,
    kernel: Vec<f32>,
    recurrent_kernel: Vec<f32>,
    bias: Vec<f32>,
    dy: Vec<f32>,
}

impl Case {
    fn new(cell: Cell, features: usize, units: usize, batch: usize, steps: usize, words: bool) -> Self {
        let mut noise = Noise(1);
        let columns = cell.gates() * units;
        let layer = Layer {
            cell,
            features,
            units,
            return_sequences: false,
            go_backwards: false,
        };
        Self {
            layer,
            batch,
            steps,
            ids: words.then(|| reviews(batch)),
            input: noise.values(if words { WORDS } else { batch * steps } * features, 0.05),
            kernel: noise.values(features * columns, 0.1),
            recurrent_kernel: noise.values(units * columns, 0.1),
            bias: noise.values(cell.bias_rows() * columns, 0.1),
            dy: noise.values(batch * units, 0.01),
        }
    }

    fn weights(&self) -> Weights<'_> {
        Weights {
            kernel: &self.kernel,
            recurrent_kernel: &self.recurrent_kernel,
            bias: Some(&self.bias),
        }
    }

    fn call(&self) -> Call<'_> {
        Call {
            batch: self.batch,
            steps: self.steps,
            input: match &self.ids {
                Some(ids) => Input::Ids {
                    ids,
                    table: &self.input,
                },
                None => Input::Values(&self.input),
            },
            initial: None,
            mask: None,
            dropout: None,
            recurrent_dropout: None,
            share_prefix: true,
        }
    }

    fn fit(&self) {
        let (weights, call) = (self.weights(), self.call());
        let saved = forward(&self.layer, &weights, &call, true).unwrap().saved.unwrap();
        let above = OutputGradients {
            y: &self.dy,
            h: None,
            c: None,
        };
        let needs = Needs {
            input: self.ids.is_some(),
            weights: true,
            initial: false,
        };
        black_box(backward(&self.layer, &weights, &call, saved, &above, needs).unwrap());
    }

    fn predict(&self) {
        black_box(forward(&self.layer, &self.weights(), &self.call(), false).unwrap());
    }
}

fn benches(criterion: &mut Criterion) {
    galaxy_burn_core::nn::threads::flush_denormals();
    let lstm = Cell::Lstm {
        activation: Activation::Tanh,
        recurrent_activation: Activation::Sigmoid,
    };
    let gru = |reset_after| Cell::Gru {
        activation: Activation::Tanh,
        recurrent_activation: Activation::Sigmoid,
        reset_after,
    };
    let simple = Cell::Simple {
        activation: Activation::Tanh,
    };
    let cases = [
        ("tutorial lstm", Case::new(lstm, 32, 100, 128, STEPS, true)),
        ("values lstm", Case::new(lstm, 32, 100, 128, 100, false)),
        ("lstm of one row", Case::new(lstm, 32, 100, 1, STEPS, true)),
        ("gru 64, reset after", Case::new(gru(true), 32, 64, 128, 100, false)),
        ("gru 64, reset before", Case::new(gru(false), 32, 64, 128, 100, false)),
        ("simple 64", Case::new(simple, 32, 64, 128, 100, false)),
    ];
    let mut group = criterion.benchmark_group("recurrent");
    group.sample_size(10);
    for (name, case) in &cases {
        group.throughput(Throughput::Elements(case.batch as u64));
        group.bench_function(BenchmarkId::new("fit", name), |bench| bench.iter(|| case.fit()));
        group.bench_function(BenchmarkId::new("predict", name), |bench| bench.iter(|| case.predict()));
    }
    group.finish();
}

criterion_group!(recurrent, benches);
criterion_main!(recurrent);
