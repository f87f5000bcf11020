//! Training a network, as Keras's `fit` does.

use std::time::{Duration, Instant};

use super::batch;
use super::metrics::RunningMetric;
use super::optimizer::Updater;
use super::samples::Samples;
use crate::keras::callback::{Callback, Callbacks};
use crate::keras::loss::Loss;
use crate::keras::metric::Metric;
use crate::keras::optimizer::Optimizer;
use crate::nn::network::Network;
use crate::nn::random::{self, Seed, Stream};
use crate::nn::{threads, weight};
use crate::{Error, Result};

/// What to train for, and how.
#[derive(Clone, Debug)]
pub struct FitPlan {
    /// What training makes small.
    pub loss: Loss,
    /// How.
    pub optimizer: Optimizer,
    /// What is reported beside the loss.
    pub metrics: Vec<Metric>,
    /// Passes over the training rows.
    pub epochs: usize,
    /// Rows a step.
    pub batch_size: usize,
    /// Steps an epoch, if fewer than all rows give.
    pub steps_per_epoch: Option<usize>,
    /// Batches of the validation rows that are looked at, if fewer than all.
    pub validation_steps: Option<usize>,
    /// What may end training early, or slow it down.
    pub callbacks: Vec<Callback>,
    /// The seed of the rows' order and of what dropout drops.
    pub seed: Seed,
}

/// What is reported after an epoch.
#[derive(Clone, Debug)]
pub struct EpochLog {
    /// The epoch, from 0.
    pub epoch: usize,
    /// How long it took, validation included.
    pub duration: Duration,
    /// `loss`, the metrics, then the same of the validation rows with `val_` before the name.
    pub values: Vec<(String, f64)>,
    /// The learning rate it was trained with.
    pub learning_rate: f32,
}

/// How training ended.
#[derive(Clone, Debug)]
pub struct History {
    /// One entry for each epoch that ended.
    pub epochs: Vec<EpochLog>,
    /// Why training ended before the last epoch, in words.
    pub stopped: Option<String>,
}

/// Trains `network` on the rows `training` of `samples`, looking at the rows `validation` after each epoch.
///
/// `on_epoch` is called after each epoch.
///
/// # Errors
/// When the loss is no longer a finite number and no callback asks to stop there: the message names epoch, batch and layer.
///
/// Where `TerminateOnNaN` asks for it, training ends there as in Keras 2.3.1: the epoch is reported with the batches that it had, the last
/// one included, and without validation. Only that batch's step is left out, so that the network has the last good weights.
pub fn fit(
    network: &mut Network,
    plan: &FitPlan,
    samples: &Samples,
    training: &[usize],
    validation: Option<&[usize]>,
    mut on_epoch: impl FnMut(&EpochLog),
) -> Result<History> {
    if network.masked_output() {
        return Err(Error::Input(
            "the model puts out masked sequences (mask_zero=True, then return_sequences=True up to the last layer), which a table \
             cannot be the truth of; let the last recurrent layer return its last output only"
                .into(),
        ));
    }
    let lengths: Vec<usize> = network.weights().iter().map(|weight| weight.values.len()).collect();
    let mut updater = Updater::new(plan.optimizer.clone(), &lengths);
    let mut callbacks = Callbacks::new(&plan.callbacks);
    let mut metrics = Metrics::new(plan, network);
    let mut history = History {
        epochs: Vec::new(),
        stopped: None,
    };
    // The weights that each of the callbacks that watch a value has asked to keep.
    let mut kept: Vec<Vec<Vec<f32>>> = Vec::new();
    let mut step = 0_u64;
    for epoch in 0..plan.epochs {
        let started = Instant::now();
        let learning_rate = updater.learning_rate();
        let order = random::permutation(training.len(), &mut plan.seed.stream(Stream::Shuffle(epoch)));
        let order: Vec<usize> = order.into_iter().map(|i| training[i]).collect();
        let batches = order
            .chunks(plan.batch_size)
            .take(plan.steps_per_epoch.unwrap_or(usize::MAX));
        let mut broken = None;
        for (number, rows) in batches.enumerate() {
            let trained = batch::gradients(network, samples, rows, plan.loss, plan.seed, step)?;
            if !trained.loss.is_finite() {
                let place = not_finite(network, samples, rows, epoch, number)?;
                if !callbacks.batch_end(trained.loss) {
                    return Err(Error::Input(place));
                }
                metrics.add(trained.loss, &samples.truth(rows), &trained.predicted);
                broken = Some(place);
                break;
            }
            step += 1;
            metrics.add(trained.loss, &samples.truth(rows), &trained.predicted);
            apply(network, &mut updater, trained.gradients, trained.updates);
        }
        let mut values = metrics.take("");
        if let (Some(rows), None) = (validation, &broken) {
            evaluate(network, plan, samples, rows, &mut metrics)?;
            values.extend(metrics.take("val_"));
        }
        let log = EpochLog {
            epoch,
            duration: started.elapsed(),
            values,
            learning_rate,
        };
        on_epoch(&log);
        let value = |name: &str| {
            log.values
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| *value)
        };
        let decisions = callbacks.epoch_end(epoch, value, learning_rate);
        history.epochs.push(log);
        kept.resize(decisions.len(), Vec::new());
        for (decision, kept) in decisions.into_iter().zip(&mut kept) {
            if let Some(rate) = decision.learning_rate {
                updater.set_learning_rate(rate);
            }
            if decision.keep_weights {
                *kept = network.weights().iter().map(|weight| weight.values.clone()).collect();
            }
            if decision.restore_weights {
                for (weight, values) in network.weights_mut().iter_mut().zip(&*kept) {
                    weight.values.clone_from(values);
                }
            }
            if decision.stop {
                history.stopped = Some(format!("early stopping after epoch {}", epoch + 1));
            }
        }
        history.stopped = broken.or(history.stopped);
        if history.stopped.is_some() {
            break;
        }
    }
    Ok(history)
}

/// The loss and the metrics of these rows, by name, as `fit` reports them for validation rows.
///
/// # Errors
/// When the engine fails.
pub fn judge(network: &Network, plan: &FitPlan, samples: &Samples, rows: &[usize]) -> Result<Vec<(String, f64)>> {
    let mut metrics = Metrics::new(plan, network);
    let all = FitPlan {
        validation_steps: None,
        ..plan.clone()
    };
    evaluate(network, &all, samples, rows, &mut metrics)?;
    Ok(metrics.take(""))
}

fn evaluate(network: &Network, plan: &FitPlan, samples: &Samples, rows: &[usize], metrics: &mut Metrics) -> Result<()> {
    let penalty = network.weight_penalty();
    let batches = rows
        .chunks(plan.batch_size)
        .take(plan.validation_steps.unwrap_or(usize::MAX));
    let pieces: Vec<&[usize]> = batches
        .flat_map(|rows| rows.chunks(network.piece_rows(rows.len(), false)))
        .collect();
    let of_piece = |piece: usize| {
        let (x, truth) = samples.gather(pieces[piece]);
        let (loss, predicted) = network.evaluate(x, &truth, plan.loss)?;
        Ok::<_, Error>((loss, truth, predicted))
    };
    threads::in_order(pieces.len(), of_piece, |(loss, truth, predicted)| {
        metrics.add(loss + penalty, &truth, &predicted);
    })
}

/// One optimiser step, then constraints, then what the forward itself changes: the gradients and updates of
/// [`Network::gradients`].
pub fn apply(
    network: &mut Network,
    updater: &mut Updater,
    mut gradients: Vec<Option<Vec<f32>>>,
    updates: Vec<(usize, Vec<f32>)>,
) {
    let mut step = updater.begin(&mut gradients);
    for (index, (weight, gradient)) in network.weights_mut().iter_mut().zip(gradients).enumerate() {
        if let Some(gradient) = gradient {
            step.update(index, &mut weight.values, &gradient);
            if let Some(constraint) = &weight.constraint {
                weight::constrain(constraint, &weight.shape, &mut weight.values);
            }
        }
    }
    for (index, values) in updates {
        network.weights_mut()[index].values = values;
    }
}

/// Says where the loss stopped being a finite number.
fn not_finite(network: &Network, samples: &Samples, rows: &[usize], epoch: usize, batch: usize) -> Result<String> {
    let (x, _) = samples.gather(rows);
    let place = match network.first_not_finite(x)? {
        Some(layer) => format!("first seen in the output of layer {layer}"),
        None => "first seen in the loss itself: the network's output is finite".to_owned(),
    };
    Ok(format!(
        "the loss is not a finite number in epoch {}, batch {}, {place}; lower the learning rate, scale the input columns \
         to about -1 to 1, or check the last layer's activation against the loss",
        epoch + 1,
        batch + 1
    ))
}

/// The running means of loss and metrics.
struct Metrics {
    width: usize,
    loss: f64,
    rows: usize,
    running: Vec<RunningMetric>,
}

impl Metrics {
    fn new(plan: &FitPlan, network: &Network) -> Self {
        let width = network.output_width();
        let metrics = plan
            .metrics
            .iter()
            .map(|metric| RunningMetric::new(metric, plan.loss, width))
            .collect();
        Self {
            width,
            loss: 0.0,
            rows: 0,
            running: metrics,
        }
    }

    fn add(&mut self, loss: f64, truth: &[f32], predicted: &[f32]) {
        let rows = predicted.len() / self.width.max(1);
        self.loss += loss * rows as f64;
        self.rows += rows;
        for metric in &mut self.running {
            metric.add(truth, predicted, self.width);
        }
    }

    fn take(&mut self, prefix: &str) -> Vec<(String, f64)> {
        let loss = self.loss / self.rows.max(1) as f64;
        (self.loss, self.rows) = (0.0, 0);
        let named = |name: &str, value: f64| (format!("{prefix}{name}"), value);
        std::iter::once(named("loss", loss))
            .chain(
                self.running
                    .iter_mut()
                    .map(|metric| named(metric.name(), metric.take())),
            )
            .collect()
    }
}

#[cfg(test)]
#[path = "fit_tests.rs"]
mod tests;
