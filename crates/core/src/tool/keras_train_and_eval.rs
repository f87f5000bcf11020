//! Deep learning training and evaluation: trains the model of an estimator on a table, holding rows out to validate and score it.

mod form;
mod memory;
mod parts;
mod plan;
mod targets;

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use super::prediction::{self, Predictions};
use crate::galaxy::inputs;
use crate::galaxy::output::Outputs;
use crate::galaxy::table::{self, Matrix};
use crate::keras::callback::Callback;
use crate::keras::estimator::{Estimator, Fitted, History, LearningType};
use crate::keras::literal::float_repr;
use crate::keras::weights;
use crate::nn::device;
use crate::nn::network::Network;
use crate::nn::random::Seed;
use crate::train::fit::{self, EpochLog, FitPlan};
use crate::train::samples::Samples;
use crate::train::score::{Judged, ResultColumn, Scored};
use crate::{Error, Result};
use form::Form;
use parts::Parts;
use plan::Plan;
pub(super) use plan::read_file;
use targets::Truth;

/// The file in the working directory that becomes the result: the scores of the rows held out.
pub const RESULT: &str = "result.tabular";
/// The trained weights. (The fitted estimator beside them is called what its kind of file is: [`crate::keras::estimator::Container::file_name`].)
pub const WEIGHTS: &str = "weights.h5";
/// The labels or target values of the rows held out.
pub const TRUE_VALUES: &str = "y_true.tabular";
/// What the model predicts for the rows held out.
pub const PREDICTIONS: &str = "y_preds.tabular";
/// Loss and metrics of each epoch.
pub const HISTORY: &str = "history.tabular";

/// Trains as the inputs JSON says, reporting on `report` as it goes, and writes the outputs into `dir`. `memory_mb` is what Galaxy
/// grants the job, if it says.
///
/// # Errors
/// The form, a file or how they fit together is at fault; the memory would not suffice; training fails; or an output cannot be
/// written. No output appears then.
pub fn run(inputs: &Path, dir: &Path, memory_mb: Option<u64>, report: &mut dyn Write) -> Result<()> {
    let plan = Plan::new(inputs::read::<Form>(inputs)?)?;
    let mut clock = Clock::start();
    let x = table::read_matrix(&plan.x.path, plan.x.header, &plan.x.columns)?;
    let (mut truth, warnings) = Truth::read(&plan.y, plan.estimator.learning_type)?;
    for warning in x.warnings.iter().chain(&warnings) {
        say(report, &format!("warning: {warning}"))?;
    }
    same_rows(&plan, &x, &truth)?;
    for change in &plan.changes {
        say(report, &format!("changed {change}"))?;
    }
    let seed = job_seed(plan.fit.random_seed);
    say(report, &seed_note(seed, plan.fit.random_seed.is_some()))?;
    let mut network = Network::new(&plan.model, &[x.columns], seed, &device::default()?)?;
    prediction::check_ids(&network, &x, &plan.x)?;
    let parts = Parts::new(&plan, &truth, seed)?;
    let samples = samples(&plan, x, &mut truth, &network)?;
    let fit_plan = fit_plan(&plan, seed)?;
    memory::check(&network, &samples, parts.train.len(), fit_plan.batch_size, memory_mb)?;
    say(report, &parts.described())?;
    if let Some(share) = plan.fit.validation_split {
        say(
            report,
            &format!("the model's validation_split ({share}) is not used: the rows held out validate"),
        )?;
    }
    clock.lap("read");

    let tells_epochs = plan.fit.verbose != Some(0);
    let rate_changes = plan
        .fit
        .callbacks
        .iter()
        .any(|callback| matches!(callback, Callback::ReduceLROnPlateau(_)));
    let mut failed = None;
    let history = fit::fit(
        &mut network,
        &fit_plan,
        &samples,
        &parts.train,
        Some(&parts.validation),
        |log| {
            if tells_epochs && let Err(error) = say(report, &epoch_line(log, fit_plan.epochs)) {
                failed.get_or_insert(error);
            }
        },
    )?;
    failed.map_or(Ok(()), Err)?;
    if let Some(reason) = &history.stopped {
        say(report, &format!("training ended early: {reason}"))?;
    }
    clock.lap("fit");

    let scores = scores(&plan, &network, &fit_plan, &samples, &parts.test, &truth)?;
    clock.lap("evaluate");

    let (names, values): (Vec<_>, Vec<_>) = scores.table.iter().cloned().unzip();
    let outputs = outputs(
        dir,
        &plan,
        &network,
        &truth,
        &parts.test,
        &scores,
        Fitted {
            classes: truth.classes().cloned(),
            input_shape: network.input_shape().to_vec(),
            output_shape: network.output_shape().to_vec(),
            history: history_table(&history.epochs, rate_changes),
            seed_used: seed.0,
        },
    )?;
    outputs.commit()?;
    clock.lap("write");
    say(report, &clock.line())?;
    let line: Vec<String> = names
        .iter()
        .zip(&values)
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    say(
        report,
        &format!("result on {} rows held out: {}", parts.test.len(), line.join(", ")),
    )
}

/// Writes every output that the form asks for, not yet under its name.
fn outputs(
    dir: &Path,
    plan: &Plan,
    network: &Network,
    truth: &Truth,
    held_out: &[usize],
    scores: &Scores,
    fitted: Fitted,
) -> Result<Outputs> {
    let mut outputs = Outputs::in_dir(dir);
    let (names, values): (Vec<_>, Vec<_>) = scores
        .table
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .unzip();
    outputs.write(RESULT, |file| {
        writeln!(file, "{}\n{}", names.join("\t"), values.join("\t"))
    })?;
    if plan.save_history {
        outputs.write(HISTORY, |file| write_history(file, &fitted.history))?;
    }
    if plan.save_estimator {
        let weights = weights::write(&network.to_layer_weights())?;
        let estimator = Estimator {
            fitted: Some(fitted),
            ..plan.estimator.clone()
        };
        let packed = estimator.pack(plan.container, Some(&weights))?;
        outputs.write(plan.container.file_name(), |file| file.write_all(&packed))?;
        outputs.write(WEIGHTS, |file| file.write_all(&weights))?;
    }
    if let Some(predictions) = scores.predictions.as_ref().filter(|_| plan.save_predictions) {
        outputs.write(TRUE_VALUES, |file| write_truth(file, truth, held_out))?;
        let classifier = plan.estimator.learning_type == LearningType::KerasGClassifier;
        outputs.write(PREDICTIONS, |file| {
            prediction::write_held_out(file, predictions, classifier)
        })?;
    }
    Ok(outputs)
}

/// Seconds of each part of the work, for whoever wants to know where the time goes.
#[derive(Debug)]
pub(super) struct Clock {
    last: Instant,
    laps: Vec<(&'static str, f64)>,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self {
            last: Instant::now(),
            laps: Vec::new(),
        }
    }

    pub(super) fn lap(&mut self, name: &'static str) {
        self.laps.push((name, self.last.elapsed().as_secs_f64()));
        self.last = Instant::now();
    }

    pub(super) fn line(&self) -> String {
        let laps: Vec<String> = self
            .laps
            .iter()
            .map(|(name, seconds)| format!("{name} {seconds:.3} s"))
            .collect();
        format!("timing: {}", laps.join(", "))
    }
}

/// Prints a line for the user at once: Galaxy shows a running job's output.
pub(super) fn say(report: &mut dyn Write, line: &str) -> Result<()> {
    writeln!(report, "{line}")
        .and_then(|()| report.flush())
        .map_err(|source| Error::Write {
            path: "standard output".into(),
            source,
        })
}

fn same_rows(plan: &Plan, x: &Matrix, truth: &Truth) -> Result<()> {
    if x.rows == truth.rows() {
        return Ok(());
    }
    let header = |yes: bool| if yes { "with a header" } else { "without a header" };
    Err(Error::Input(format!(
        "{} (training samples, read {}) has {} rows, but {} (labels or target values, read {}) has {}: each sample needs one label; \
         check both header switches",
        plan.x.path.display(),
        header(plan.x.header),
        x.rows,
        plan.y.path.display(),
        header(plan.y.header),
        truth.rows()
    )))
}

/// The seed asked for, or one that nobody can foresee.
fn job_seed(asked: Option<i64>) -> Seed {
    use std::hash::{BuildHasher, Hasher};
    Seed(asked.map_or_else(
        || std::hash::RandomState::new().build_hasher().finish() >> 33,
        i64::cast_unsigned,
    ))
}

fn seed_note(seed: Seed, asked: bool) -> String {
    if asked {
        format!("random seed {}", seed.0)
    } else {
        format!(
            "random seed {} (drawn; give it in the model builder to get the same result again)",
            seed.0
        )
    }
}

/// The tables as the network wants them.
fn samples(plan: &Plan, x: Matrix, truth: &mut Truth, network: &Network) -> Result<Samples> {
    let [width] = *network.output_shape() else {
        return Err(Error::Input(format!(
            "the model puts out {:?} values for each row, but labels and target values are one row of numbers: end it with a Dense \
             layer, after Flatten, global pooling or a recurrent layer that returns its last output only",
            network.output_shape()
        )));
    };
    let (values, truth_row) = truth.for_loss(plan.compile.loss, width)?;
    Ok(Samples {
        row: x.columns,
        x: x.values,
        truth: values,
        truth_row,
    })
}

fn fit_plan(plan: &Plan, seed: Seed) -> Result<FitPlan> {
    if plan.fit.validation_steps.is_some() && plan.fit.steps_per_epoch.is_none() {
        return Err(Error::Input(
            "validation_steps is only meant together with steps_per_epoch: leave it empty when the model is created"
                .into(),
        ));
    }
    Ok(FitPlan {
        loss: plan.compile.loss,
        optimizer: plan.compile.optimizer.clone(),
        metrics: plan.compile.metrics.clone(),
        epochs: plan.fit.epochs as usize,
        batch_size: plan.fit.batch_size.max(1) as usize,
        steps_per_epoch: plan.fit.steps_per_epoch.map(|steps| steps as usize),
        validation_steps: plan.fit.validation_steps.map(|steps| steps as usize),
        callbacks: plan.fit.callbacks.clone(),
        seed,
    })
}

/// `epoch 1/2 - 12.3 s - loss: 0.4321 - acc: 0.8765 - val_loss: ...`
fn epoch_line(log: &EpochLog, epochs: usize) -> String {
    let mut line = format!("epoch {}/{epochs} - {:.1} s", log.epoch + 1, log.duration.as_secs_f64());
    for (name, value) in &log.values {
        // Writing to a text cannot fail.
        let _ = write!(line, " - {name}: {value:.4}");
    }
    line
}

/// What each epoch reported; as in Keras, the learning rate is a part of it when a callback may change it.
fn history_table(epochs: &[EpochLog], rate_changes: bool) -> History {
    let names = epochs.first().map(|log| {
        let names = log.values.iter().map(|(name, _)| name.as_str());
        names.chain(rate_changes.then_some("lr")).collect::<Vec<_>>()
    });
    let mut history = History::new(names.unwrap_or_default());
    for log in epochs {
        let values = log.values.iter().map(|(name, value)| (name.as_str(), *value));
        let rate = rate_changes.then(|| ("lr", f64::from(log.learning_rate)));
        history.push(values.chain(rate));
    }
    history
}

/// The history as a table: the epoch, counted from 1, and what was reported after it. What the last epoch was too short for is `NA`, as
/// Keras writes it.
fn write_history(file: &mut dyn Write, history: &History) -> std::io::Result<()> {
    let names: Vec<&str> = history.names().collect();
    writeln!(file, "epoch\t{}", names.join("\t"))?;
    for epoch in 0..history.epochs() {
        write!(file, "{}", epoch + 1)?;
        for name in &names {
            let value = history.values(name).and_then(|values| values.get(epoch));
            write!(
                file,
                "\t{}",
                value.map_or_else(|| "NA".into(), |value| float_repr(*value))
            )?;
        }
        writeln!(file)?;
    }
    Ok(())
}

/// The result's columns with their values, and the predictions they are about.
struct Scores {
    table: Vec<(String, String)>,
    /// What the model puts out for the rows held out, where a scorer or an output asks for it.
    predictions: Option<Predictions>,
}

fn scores(
    plan: &Plan,
    network: &Network,
    fit_plan: &FitPlan,
    samples: &Samples,
    rows: &[usize],
    truth: &Truth,
) -> Result<Scores> {
    let by_scorer = |column: &ResultColumn| matches!(column.scored, Scored::By(_));
    let predictions = (plan.save_predictions || plan.columns.iter().any(by_scorer))
        .then(|| Predictions::of_rows(network, &samples.x, samples.row, rows))
        .transpose()?;
    let judged = if plan.columns.iter().any(|column| column.scored.needs_evaluation()) {
        fit::judge(network, fit_plan, samples, rows)?
    } else {
        Vec::new()
    };
    let judged = |name: &str| {
        judged
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| *value)
            .ok_or_else(|| Error::Internal(format!("{name} of the rows held out was not computed")))
    };
    let mut table = Vec::with_capacity(plan.columns.len());
    for column in &plan.columns {
        let value = match column.scored {
            Scored::Default if plan.estimator.learning_type == LearningType::KerasGRegressor => -judged("loss")?,
            Scored::Default => judged("acc")?,
            Scored::Reported => judged(&column.header)?,
            Scored::By(scorer) => {
                let predictions = predictions
                    .as_ref()
                    .ok_or_else(|| Error::Internal("the rows held out were not predicted".into()))?;
                let width = predictions.width;
                let truth_values = samples.truth(rows);
                match truth {
                    Truth::Classes { classes, indices, .. } => scorer.score(&Judged::Classes {
                        truth: &rows.iter().map(|&row| indices[row]).collect::<Vec<_>>(),
                        predicted: &predictions.classes(classes.len()),
                        probabilities: &predictions.probabilities(),
                        classes: classes.len(),
                        positive: classes.positive(),
                    })?,
                    Truth::MultiLabel { .. } => scorer.score(&Judged::MultiLabel {
                        truth: &truth_values,
                        predicted: &predictions.indicators(),
                        probabilities: &predictions.values,
                        columns: width,
                    })?,
                    Truth::Values { .. } => scorer.score(&Judged::Values {
                        truth: &truth_values,
                        predicted: &predictions.values,
                        columns: width,
                    })?,
                }
            }
        };
        table.push((column.header.clone(), float_repr(value)));
    }
    Ok(Scores { table, predictions })
}

/// The labels or target values of `rows` as they were read, under the headers 0, 1, ...
fn write_truth(file: &mut dyn Write, truth: &Truth, rows: &[usize]) -> std::io::Result<()> {
    match truth {
        Truth::Classes { cells, .. } | Truth::MultiLabel { cells, .. } => {
            prediction::write_header(file, cells.columns)?;
            rows.iter()
                .try_for_each(|&row| writeln!(file, "{}", cells.row(row).join("\t")))
        }
        Truth::Values { matrix } => {
            prediction::write_header(file, matrix.columns)?;
            for &row in rows {
                let cells = &matrix.values[row * matrix.columns..(row + 1) * matrix.columns];
                let texts: Vec<String> = cells.iter().map(|&value| prediction::shortest(value)).collect();
                writeln!(file, "{}", texts.join("\t"))?;
            }
            Ok(())
        }
    }
}
