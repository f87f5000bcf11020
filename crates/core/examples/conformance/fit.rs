//! Cases of whole trainings: epochs of batches in the order that we shuffle them, validation, metrics, and what callbacks decide.

use anyhow::{Context, Result};
use galaxy_burn_core::keras::callback::{Callback, EarlyStopping, Mode, ReduceLrOnPlateau};
use galaxy_burn_core::keras::loss::Loss;
use galaxy_burn_core::keras::metric::Metric;
use galaxy_burn_core::keras::optimizer::Optimizer;
use galaxy_burn_core::keras::weights;
use galaxy_burn_core::nn::random::{Seed, Stream, permutation};
use galaxy_burn_core::train::fit::{FitPlan, fit};
use galaxy_burn_core::train::samples::Samples;
use serde_json::{Map, Value, json};

use crate::case::{Case, Judge, Label, Outcome};
use crate::deviation::{Quantity, relative, relative_number, worst};
use crate::layer::Chosen;
use crate::model::{ModelCase, truth};
use crate::optimizer::closing;
use crate::random::Draw;
use crate::tensor;

/// A training.
#[derive(Clone, Debug)]
struct FitCase {
    model: ModelCase,
    metrics: Vec<&'static str>,
    callbacks: Vec<Value>,
    training: usize,
    validation: usize,
    epochs: usize,
    batch_size: usize,
    steps_per_epoch: Option<usize>,
    validation_steps: Option<usize>,
}

/// What callbacks are tried with.
fn callbacks() -> Vec<Vec<Value>> {
    let stop = |more: Value| {
        let mut stop =
            json!({"callback_type": "EarlyStopping", "monitor": "val_loss", "patience": 1, "min_delta": 0.02});
        if let (Some(stop), Some(more)) = (stop.as_object_mut(), more.as_object()) {
            stop.extend(more.clone());
        }
        stop
    };
    let reduce = |more: Value| {
        let mut reduce =
            json!({"callback_type": "ReduceLROnPlateau", "monitor": "val_loss", "patience": 1, "min_delta": 0.02});
        if let (Some(reduce), Some(more)) = (reduce.as_object_mut(), more.as_object()) {
            reduce.extend(more.clone());
        }
        reduce
    };
    vec![
        vec![],
        vec![stop(json!({}))],
        vec![stop(json!({"patience": 0}))],
        vec![stop(json!({"restore_best_weights": true, "patience": 2}))],
        vec![stop(json!({"monitor": "loss", "mode": "min", "min_delta": 0.05}))],
        vec![stop(json!({"mode": "max", "restore_best_weights": true}))],
        vec![stop(json!({"baseline": 0.01, "patience": 3}))],
        vec![stop(json!({"baseline": 5.0, "restore_best_weights": true}))],
        vec![reduce(json!({}))],
        vec![reduce(json!({"factor": 0.5, "cooldown": 2, "patience": 0}))],
        vec![reduce(json!({"factor": 0.3, "min_lr": 0.02, "mode": "max"}))],
        vec![reduce(json!({"monitor": "loss", "mode": "min", "min_delta": 0.1}))],
        vec![
            reduce(json!({"patience": 0})),
            stop(json!({"patience": 4, "restore_best_weights": true})),
        ],
        vec![json!({"callback_type": "TerminateOnNaN"})],
        vec![json!({"callback_type": "CSVLogger"}), stop(json!({"patience": 3}))],
        vec![
            json!({"callback_type": "TerminateOnNaN"}),
            stop(json!({"monitor": "loss", "mode": "min", "patience": 0})),
        ],
    ]
}

/// Trainings with each set of callbacks, each loss and each optimiser in turn.
pub fn runs(seed: u64) -> Vec<Box<dyn Case>> {
    let mut draw = Draw::new(seed, "runs");
    let losses = [
        (Loss::MeanSquaredError, vec!["mse", "mae", "cosine_proximity"]),
        (Loss::CategoricalCrossentropy, vec!["acc", "mse"]),
        (Loss::BinaryCrossentropy, vec!["acc", "binary_accuracy"]),
        (Loss::SparseCategoricalCrossentropy, vec!["acc"]),
        (Loss::Logcosh, vec![]),
    ];
    let optimizers = [
        ("SGD", json!({"lr": 0.4, "momentum": 0.5})),
        ("Adam", json!({"lr": 0.03})),
        ("RMSprop", json!({"lr": 0.05, "decay": 0.01})),
    ];
    let mut cases: Vec<Box<dyn Case>> = Vec::new();
    for (index, callbacks) in callbacks().into_iter().enumerate() {
        let (loss, metrics) = losses[index % losses.len()].clone();
        let (name, mut options) = optimizers[index % optimizers.len()].clone();
        let breaks = callbacks.len() > 1 && callbacks[0]["callback_type"] == "TerminateOnNaN";
        if breaks {
            options["lr"] = json!(1e25);
        }
        let layers = vec![
            Chosen::new(
                "Dense",
                &[
                    ("units", "5"),
                    ("activation", "'tanh'"),
                    ("kernel_regularizer", "l2(0.01)"),
                ],
            ),
            Chosen::new("Dense", &[("units", "3"), ("activation", closing(loss))]),
        ];
        // Keras ends a training that asks for more steps than there are batches.
        let few = index % 4 == 3;
        cases.push(Box::new(FitCase {
            model: ModelCase {
                kind: "runs",
                owners: Vec::new(),
                layers,
                input: vec![4],
                graph: None,
                ids: None,
                batch: 30,
                loss,
                optimizer: (name.to_owned(), options.as_object().cloned().unwrap_or_default()),
                seed: draw.seed(),
                file: "h5",
            },
            // Means of infinite numbers are another matter.
            metrics: if breaks { Vec::new() } else { metrics },
            callbacks,
            training: 23,
            validation: 7,
            epochs: 10,
            batch_size: *draw.pick(if few { &[4, 8] } else { &[4, 8, 23] }),
            steps_per_epoch: few.then_some(2),
            validation_steps: few.then_some(1),
        }));
    }
    cases
}

/// The callback as Keras's constructor takes it.
fn arguments(callback: &Callback) -> Option<(&'static str, Value)> {
    let mode = |mode: Mode| match mode {
        Mode::Auto => "auto",
        Mode::Min => "min",
        Mode::Max => "max",
    };
    match callback {
        Callback::EarlyStopping(EarlyStopping {
            monitor,
            mode: direction,
            min_delta,
            patience,
            baseline,
            restore_best_weights,
        }) => Some((
            "EarlyStopping",
            json!({
                "monitor": monitor.name(), "mode": mode(*direction), "min_delta": min_delta, "patience": patience,
                "baseline": baseline, "restore_best_weights": restore_best_weights,
            }),
        )),
        Callback::ReduceLROnPlateau(ReduceLrOnPlateau {
            monitor,
            mode: direction,
            factor,
            patience,
            min_delta,
            cooldown,
            min_lr,
        }) => Some((
            "ReduceLROnPlateau",
            json!({
                "monitor": monitor.name(), "mode": mode(*direction), "factor": factor, "patience": patience,
                "min_delta": min_delta, "cooldown": cooldown, "min_lr": min_lr,
            }),
        )),
        Callback::TerminateOnNaN => Some(("TerminateOnNaN", json!({}))),
        Callback::None | Callback::CSVLogger => None,
    }
}

impl FitCase {
    /// What is trained for, as the tool plans it.
    fn plan(&self) -> Result<FitPlan> {
        let callbacks = self.callbacks.iter().map(Callback::from_form);
        let metrics = self.metrics.iter().map(|name| Metric::from_name(name));
        Ok(FitPlan {
            loss: self.model.loss,
            optimizer: Optimizer::from_options(&self.model.optimizer.0, &self.model.optimizer.1)?,
            metrics: metrics.collect::<Result<_, _>>()?,
            epochs: self.epochs,
            batch_size: self.batch_size,
            steps_per_epoch: self.steps_per_epoch,
            validation_steps: self.validation_steps,
            callbacks: callbacks.collect::<Result<_, _>>()?,
            seed: Seed(self.model.seed),
        })
    }
}

impl Case for FitCase {
    fn labels(&self) -> Vec<Label> {
        let mut labels = Vec::new();
        let mut add = |owner: &str, option: &str, value: String| {
            labels.push(Label {
                kind: "runs",
                owner: owner.to_owned(),
                option: option.to_owned(),
                value,
            });
        };
        add("fit", "", String::new());
        add("fit", "loss", self.model.loss.name().to_owned());
        add("fit", "optimizer", self.model.optimizer.0.clone());
        add("fit", "batch_size", self.batch_size.to_string());
        if let Some(steps) = self.steps_per_epoch {
            add("fit", "steps_per_epoch", steps.to_string());
        }
        if let Some(steps) = self.validation_steps {
            add("fit", "validation_steps", steps.to_string());
        }
        for callback in &self.callbacks {
            let owner = callback["callback_type"].as_str().unwrap_or_default();
            add(owner, "", String::new());
            for (option, value) in callback.as_object().into_iter().flatten() {
                if option != "callback_type" {
                    add(owner, option, value.to_string());
                }
            }
        }
        labels
    }

    fn describe(&self) -> String {
        format!(
            "{} epochs of batches of {} (steps {:?}, validation steps {:?}), {} and {} rows, metrics {:?}, callbacks {}\n    {}",
            self.epochs,
            self.batch_size,
            self.steps_per_epoch,
            self.validation_steps,
            self.training,
            self.validation,
            self.metrics,
            Value::Array(self.callbacks.clone()),
            self.model.describe()
        )
    }

    fn judge(&self, judge: &mut Judge) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let (model, text) = self.model.configured().map_err(anyhow::Error::msg)?;
        let plan = self.plan()?;
        let mut draw = Draw::new(self.model.seed, "data");
        let rows = self.training + self.validation;
        let x = draw.tensor(&[rows, self.model.input[0]], -1.0, 1.0);
        let goal = truth(self.model.loss, &[rows, 3], &mut draw);
        let training: Vec<usize> = (0..self.training).collect();
        let validation: Vec<usize> = (self.training..rows).collect();
        let orders: Vec<Vec<usize>> = (0..self.epochs)
            .map(|epoch| permutation(self.training, &mut plan.seed.stream(Stream::Shuffle(epoch))))
            .collect();
        let devices = judge.devices.clone();
        let path = judge.directory.path().join("ours.h5");
        let start = self.model.started(&model, &devices[0].1)?;
        std::fs::write(&path, weights::write(&start.to_layer_weights())?)?;
        let question = json!({
            "kind": "fit",
            "json": text,
            "weights": path,
            "x": x.to_json(),
            "truth": goal.to_json(),
            "loss": self.model.loss.name(),
            "metrics": self.metrics,
            "optimizer": {"name": self.model.optimizer.0, "options": self.model.optimizer.1},
            "orders": orders,
            "validation": validation,
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "steps_per_epoch": self.steps_per_epoch,
            "validation_steps": self.validation_steps,
            "callbacks": plan.callbacks.iter().filter_map(arguments).collect::<Vec<_>>(),
        });
        let answer = judge.keras.ask(&question)?.map_err(anyhow::Error::msg)?;
        let samples = Samples {
            x: x.values,
            row: self.model.input[0],
            truth: goal.values,
            truth_row: *goal.shape.last().context("no axis")?,
        };
        let rates: Vec<f64> = serde_json::from_value(answer["rates"].clone())?;
        let epochs = answer["epochs"].as_array().context("no epochs")?;
        for (backend, device) in &devices {
            let mut network = self.model.started(&model, device)?;
            let history = fit(&mut network, &plan, &samples, &training, Some(&validation), |_| ())?;
            outcome.same(&format!("epochs on {backend}"), &history.epochs.len(), &epochs.len());
            let broke = history
                .stopped
                .as_ref()
                .is_some_and(|why| why.contains("not a finite number"));
            for ((log, epoch), rate) in history.epochs.iter().zip(epochs).zip(&rates) {
                let number = log.epoch + 1;
                outcome.compare(
                    Quantity::Run,
                    relative_number(f64::from(log.learning_rate), *rate),
                    || {
                        format!(
                            "rate of epoch {number} on {backend}: {}, in Keras {rate}",
                            log.learning_rate
                        )
                    },
                );
                let mut keras: Vec<&Value> = epoch.as_array().context("no values")?.iter().collect();
                if broke && number == history.epochs.len() {
                    // Keras 2.3.1 does not validate in an epoch that broke off; newer Keras does.
                    keras.retain(|pair| !pair[0].as_str().is_some_and(|name| name.starts_with("val_")));
                }
                let names = |all: Vec<&str>| all.join(" ");
                let ours: Vec<&str> = log.values.iter().map(|(name, _)| name.as_str()).collect();
                let theirs: Vec<&str> = keras.iter().filter_map(|pair| pair[0].as_str()).collect();
                outcome.same("names of what is reported", &names(ours), &names(theirs));
                for ((name, value), keras) in log.values.iter().zip(keras) {
                    let keras = tensor::number(&keras[1])?;
                    outcome.compare(Quantity::Run, relative_number(*value, keras), || {
                        format!("{name} of epoch {number} on {backend}: {value}, in Keras {keras}")
                    });
                }
            }
            if broke {
                // Keras has made the step that broke everything; here the last good weights are kept.
                if network
                    .weights()
                    .iter()
                    .flat_map(|weight| &weight.values)
                    .any(|value| !value.is_finite())
                {
                    outcome.fail(format!("weights on {backend} are not finite"));
                }
                continue;
            }
            for (weight, keras) in network.weights().iter().zip(tensor::list(&answer["weights"])?) {
                outcome.compare(Quantity::Run, relative(&weight.values, &keras), || {
                    format!("{} on {backend}: {}", weight.name, worst(&weight.values, &keras))
                });
            }
        }
        Ok(outcome)
    }

    fn smaller(&self) -> Vec<Box<dyn Case>> {
        let mut found: Vec<Self> = Vec::new();
        if self.epochs > 1 {
            found.push(Self {
                epochs: self.epochs - 1,
                ..self.clone()
            });
        }
        if self.batch_size < self.training {
            found.push(Self {
                batch_size: self.training,
                ..self.clone()
            });
        }
        for index in 0..self.callbacks.len() {
            let mut smaller = self.clone();
            smaller.callbacks.remove(index);
            found.push(smaller);
        }
        if !self.metrics.is_empty() {
            found.push(Self {
                metrics: Vec::new(),
                ..self.clone()
            });
        }
        if self.model.optimizer.0 != "SGD" {
            let mut smaller = self.clone();
            smaller.model.optimizer = ("SGD".into(), Map::from_iter([("lr".to_owned(), json!(0.1))]));
            found.push(smaller);
        }
        found.into_iter().map(|case| Box::new(case) as Box<dyn Case>).collect()
    }
}
