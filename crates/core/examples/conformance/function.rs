//! Cases of losses and metrics by themselves, on ordinary numbers and at their edges.

use anyhow::{Context, Result};
use galaxy_burn_core::keras::loss::{Loss, Target};
use galaxy_burn_core::keras::metric::Metric;
use galaxy_burn_core::nn::kernels::loss::LossFunction;
use galaxy_burn_core::train::metrics::RunningMetric;
use serde_json::json;

use crate::case::{Case, Judge, Label, Outcome};
use crate::deviation::{Quantity, relative, relative_number, worst};
use crate::model::truth;
use crate::random::Draw;
use crate::tensor::{self, Tensor};

/// Which numbers a function is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Numbers {
    /// Probabilities, each row summing to 1.
    Probabilities,
    /// Any numbers around zero.
    Wide,
    /// Exact zeros and ones, and what is next to them.
    Edges,
    /// Negative truth too, for what measures distances.
    Signed,
}

const NUMBERS: [(Numbers, &str); 4] = [
    (Numbers::Probabilities, "probabilities"),
    (Numbers::Wide, "wide"),
    (Numbers::Edges, "edges"),
    (Numbers::Signed, "signed"),
];

impl Numbers {
    fn predicted(self, shape: &[usize], draw: &mut Draw) -> Tensor {
        match self {
            Self::Probabilities => {
                let mut predicted = draw.tensor(shape, 0.05, 1.0);
                for row in predicted.values.chunks_mut(shape[1]) {
                    let sum: f32 = row.iter().sum::<f32>() * if shape[1] == 1 { 1.5 } else { 1.0 };
                    for value in row.iter_mut() {
                        *value /= sum;
                    }
                }
                predicted
            }
            Self::Wide | Self::Signed => draw.tensor(shape, -4.0, 4.0),
            Self::Edges => {
                let edges = [0.0, 1.0, 0.5, 1e-3, 0.999, 1e-8, 0.25];
                let values = (0..shape.iter().product()).map(|_| *draw.pick(&edges)).collect();
                Tensor::new(shape, values)
            }
        }
    }

    fn truth(self, loss: Loss, shape: &[usize], draw: &mut Draw) -> Tensor {
        match (self, loss.target()) {
            (Self::Edges, Target::LikeOutput) => {
                let values = (0..shape.iter().product()).map(|_| *draw.pick(&[0.0, 1.0])).collect();
                Tensor::new(shape, values)
            }
            (Self::Signed, Target::LikeOutput) => draw.tensor(shape, -2.0, 2.0),
            _ => truth(loss, shape, draw),
        }
    }
}

/// A loss's mean over a batch and its gradient.
#[derive(Clone, Debug)]
struct LossCase {
    loss: Loss,
    numbers: usize,
    rows: usize,
    width: usize,
    seed: u64,
}

/// Every loss with every kind of numbers, in several sizes.
pub fn losses(seed: u64) -> Vec<Box<dyn Case>> {
    let mut cases: Vec<Box<dyn Case>> = Vec::new();
    for loss in Loss::ALL {
        let mut draw = Draw::new(seed, loss.name());
        for numbers in 0..NUMBERS.len() {
            for (rows, width) in [(1, 3), (4, 5), (3, 1)] {
                // A single class has nothing to be told from.
                if width == 1 && loss.objection_to_units(1).is_some() {
                    continue;
                }
                cases.push(Box::new(LossCase {
                    loss,
                    numbers,
                    rows,
                    width,
                    seed: draw.seed(),
                }));
            }
        }
    }
    cases
}

impl Case for LossCase {
    fn labels(&self) -> Vec<Label> {
        let label = |option: &str, value: String| Label {
            kind: "losses",
            owner: self.loss.name().to_owned(),
            option: option.to_owned(),
            value,
        };
        vec![
            label("", String::new()),
            label("numbers", NUMBERS[self.numbers].1.to_owned()),
            label("shape", format!("({}, {})", self.rows, self.width)),
        ]
    }

    fn describe(&self) -> String {
        let numbers = NUMBERS[self.numbers].1;
        format!(
            "{} of {numbers} numbers, {} rows of {}, seed {}",
            self.loss.name(),
            self.rows,
            self.width,
            self.seed
        )
    }

    fn judge(&self, judge: &mut Judge) -> Result<Outcome> {
        let mut draw = Draw::new(self.seed, "loss");
        let shape = [self.rows, self.width];
        let numbers = NUMBERS[self.numbers].0;
        let predicted = numbers.predicted(&shape, &mut draw);
        let truth = numbers.truth(self.loss, &shape, &mut draw);
        let question = json!({
            "kind": "loss",
            "loss": self.loss.name(),
            "truth": truth.to_json(),
            "predicted": predicted.to_json(),
        });
        let answer = judge.keras.ask(&question)?.map_err(anyhow::Error::msg)?;
        let function = LossFunction {
            loss: self.loss,
            logits_of: None,
        };
        let mut gradient = vec![0.0; predicted.values.len()];
        let ours = function.mean(&truth.values, &predicted.values, self.width, Some(&mut gradient));
        let mut outcome = Outcome::default();
        let keras = tensor::number(&answer["value"])?;
        let shown = || format!("{ours}, in Keras {keras}, for {predicted:?} against {truth:?}");
        // Keras computes with 32 bits, here the sums have 64: beyond what 32 hold, both are infinite.
        let rounded = f64::from(ours as f32);
        outcome.compare(Quantity::Loss, relative_number(rounded, keras), shown);
        let keras = Tensor::from_json(&answer["gradient"])?;
        outcome.compare(Quantity::Gradient, relative(&gradient, &keras), || {
            format!("{}, for {predicted:?} against {truth:?}", worst(&gradient, &keras))
        });
        Ok(outcome)
    }

    fn smaller(&self) -> Vec<Box<dyn Case>> {
        let mut cases: Vec<Box<dyn Case>> = Vec::new();
        if self.rows > 1 {
            cases.push(Box::new(Self {
                rows: 1,
                ..self.clone()
            }));
        }
        if self.width > 2 {
            cases.push(Box::new(Self {
                width: 2,
                ..self.clone()
            }));
        }
        cases
    }
}

/// A metric over batches of several sizes.
#[derive(Clone, Debug)]
struct MetricCase {
    metric: &'static str,
    loss: Loss,
    numbers: usize,
    batches: Vec<usize>,
    width: usize,
    seed: u64,
}

/// Every metric by each of its names, beside the losses that change its meaning.
pub fn metrics(seed: u64) -> Vec<Box<dyn Case>> {
    let losses = [
        Loss::BinaryCrossentropy,
        Loss::CategoricalCrossentropy,
        Loss::SparseCategoricalCrossentropy,
        Loss::MeanSquaredError,
    ];
    let mut cases: Vec<Box<dyn Case>> = Vec::new();
    for metric in Metric::names() {
        let mut draw = Draw::new(seed, metric);
        for loss in losses {
            for (numbers, width) in [(0, 4), (2, 3), (0, 1)] {
                let sparse = loss == Loss::SparseCategoricalCrossentropy;
                if (width == 1 && loss.objection_to_units(1).is_some())
                    || sparse != (metric == "sparse_categorical_accuracy" || (sparse && metric.starts_with("acc")))
                {
                    continue;
                }
                cases.push(Box::new(MetricCase {
                    metric,
                    loss,
                    numbers,
                    batches: vec![5, 5, 2],
                    width,
                    seed: draw.seed(),
                }));
            }
        }
    }
    cases
}

impl Case for MetricCase {
    fn labels(&self) -> Vec<Label> {
        let label = |option: &str, value: String| Label {
            kind: "metrics",
            owner: self.metric.to_owned(),
            option: option.to_owned(),
            value,
        };
        vec![
            label("", String::new()),
            label("loss", self.loss.name().to_owned()),
            label("outputs", self.width.to_string()),
        ]
    }

    fn describe(&self) -> String {
        let numbers = NUMBERS[self.numbers].1;
        format!(
            "{} beside {}, {numbers} numbers, batches of {:?} rows of {}, seed {}",
            self.metric,
            self.loss.name(),
            self.batches,
            self.width,
            self.seed
        )
    }

    fn judge(&self, judge: &mut Judge) -> Result<Outcome> {
        let mut draw = Draw::new(self.seed, "metric");
        let metric = Metric::from_name(self.metric)?;
        let mut running = RunningMetric::new(&metric, self.loss, self.width);
        let mut batches = Vec::new();
        let numbers = NUMBERS[self.numbers].0;
        for &rows in &self.batches {
            let shape = [rows, self.width];
            let predicted = numbers.predicted(&shape, &mut draw);
            let mut truth = numbers.truth(self.loss, &shape, &mut draw);
            if self.metric.contains("acc") && self.loss.target() == Target::LikeOutput {
                truth.values.iter_mut().for_each(|value| *value = value.round());
            }
            running.add(&truth.values, &predicted.values, self.width);
            batches.push(json!({"truth": truth.to_json(), "predicted": predicted.to_json()}));
        }
        let question = json!({
            "kind": "metric",
            "metric": self.metric,
            "loss": self.loss.name(),
            "width": self.width,
            "batches": batches,
        });
        let answer = judge.keras.ask(&question)?.map_err(anyhow::Error::msg)?;
        let (ours, keras) = (running.take(), tensor::number(&answer["value"])?);
        let mut outcome = Outcome::default();
        let keras_name = answer["name"].as_str().context("no name")?;
        outcome.same("name", &running.name(), &keras_name);
        outcome.compare(Quantity::Metric, relative_number(ours, keras), || {
            format!("{ours}, in Keras {keras}")
        });
        Ok(outcome)
    }

    fn smaller(&self) -> Vec<Box<dyn Case>> {
        let mut cases: Vec<Box<dyn Case>> = Vec::new();
        if self.batches != [1] {
            cases.push(Box::new(Self {
                batches: vec![1],
                ..self.clone()
            }));
        }
        if self.batches.len() > 1 {
            cases.push(Box::new(Self {
                batches: self.batches[1..].to_vec(),
                ..self.clone()
            }));
        }
        cases
    }
}
