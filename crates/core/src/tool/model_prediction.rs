//! Model Prediction: what a fitted estimator makes of new rows.

use std::io::{self, Write};
use std::path::Path;

use serde::Deserialize;

use super::keras_train_and_eval::{Clock, read_file, say};
use super::prediction::{self, Predictions};
use crate::galaxy::inputs::{self, DatasetPath, FeaturesInput, TableInput};
use crate::galaxy::output::Outputs;
use crate::galaxy::table;
use crate::keras::classes::Classes;
use crate::keras::estimator::{Estimator, LearningType};
use crate::keras::model::Model;
use crate::keras::weights;
use crate::nn::device;
use crate::nn::network::Network;
use crate::nn::random::Seed;
use crate::{Error, Result};

/// The file in the working directory that becomes the predictions.
pub const PREDICTIONS: &str = "predictions.tabular";

#[derive(Debug, Deserialize)]
struct Form {
    #[serde(default)]
    infile_estimator: DatasetPath,
    #[serde(default)]
    infile_weights: DatasetPath,
    #[serde(default)]
    method: Method,
    input_options: InputOptions,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Method {
    #[default]
    Predict,
    PredictProba,
}

#[derive(Debug, Deserialize)]
#[serde(rename = "selected_input", rename_all = "snake_case")]
enum InputOptions {
    Tabular(FeaturesInput),
    Sparse,
    SeqFasta,
    VariantEffect,
}

/// Predicts as the inputs JSON says, and writes the predictions into `dir`.
///
/// # Errors
/// The form, a file or how they fit together is at fault, or the output cannot be written. No output appears then.
pub fn run(inputs: &Path, dir: &Path, report: &mut dyn Write) -> Result<()> {
    let form: Form = inputs::read(inputs)?;
    let mut clock = Clock::start();
    let table = match &form.input_options {
        InputOptions::Tabular(features) => features.table()?,
        InputOptions::Sparse => return Err(not_yet("a sparse matrix")),
        InputOptions::SeqFasta => return Err(not_yet("fasta sequences")),
        InputOptions::VariantEffect => return Err(not_yet("variants")),
    };
    let (estimator, weights) = fitted(&form)?;
    if form.method == Method::PredictProba && estimator.learning_type == LearningType::KerasGRegressor {
        return Err(Error::Input(
            "a regressor (KerasGRegressor) predicts values, it has no probabilities: choose the method 'predict'"
                .into(),
        ));
    }
    let x = table::read_matrix(&table.path, table.header, &table.columns)?;
    for warning in &x.warnings {
        say(report, &format!("warning: {warning}"))?;
    }
    let network = network(&form, &estimator, weights, x.columns, &table)?;
    prediction::check_ids(&network, &x, &table)?;
    clock.lap("read");
    let predictions = Predictions::of_all(&network, &x)?;
    clock.lap("predict");

    let written = Written::new(&form, &estimator, &predictions);
    if let Some(note) = written.note {
        say(report, note)?;
    }
    let mut outputs = Outputs::in_dir(dir);
    outputs.write(PREDICTIONS, |file| written.write(file, &predictions))?;
    outputs.commit()?;
    clock.lap("write");
    say(report, &clock.line())?;
    say(report, &format!("predicted {} rows", x.rows))
}

fn not_yet(what: &str) -> Error {
    Error::Input(format!(
        "prediction from {what} is not supported yet: choose tabular data"
    ))
}

/// The estimator, and the weights to predict with: a weights dataset wins over those in the archive.
fn fitted(form: &Form) -> Result<(Estimator, Vec<u8>)> {
    let path = form.infile_estimator.required("infile_estimator")?;
    let (estimator, inside, _) =
        Estimator::unpack(&read_file(path)?).map_err(|error| Error::from(error).in_file(path))?;
    let weights = match form.infile_weights.path() {
        Some(weights) => read_file(weights)?,
        None => inside.ok_or_else(|| {
            Error::Input(format!(
                "{}: this model has not been trained, it has no weights: give the fitted estimator of Deep learning training, or a \
                 weights dataset beside it",
                path.display()
            ))
        })?,
    };
    Ok((estimator, weights))
}

fn network(
    form: &Form,
    estimator: &Estimator,
    weights: Vec<u8>,
    columns: usize,
    table: &TableInput,
) -> Result<Network> {
    let path = form.infile_estimator.required("infile_estimator")?;
    let model = Model::from_value(&estimator.model).map_err(|error| Error::from(error).in_file(path))?;
    if let Some(fitted) = &estimator.fitted
        && fitted.input_shape != [columns]
    {
        return Err(Error::Input(format!(
            "{}: {columns} columns are chosen, but the model was trained on {}: choose the same columns as for training",
            table.path.display(),
            fitted.input_shape.iter().product::<usize>()
        )));
    }
    let mut network = Network::new(&model, &[columns], Seed(0), &device::default()?)?;
    let source = form.infile_weights.path().unwrap_or(path);
    weights::read_for(weights, &model)
        .map_err(Error::from)
        .and_then(|weights| network.load(weights))
        .map_err(|error| error.in_file(source))?;
    Ok(network)
}

/// How predictions are written.
struct Written {
    kind: Kind,
    note: Option<&'static str>,
}

enum Kind {
    /// The class of each row, under `Predicted`, or under `0` where the model has one output.
    Classes(Classes),
    /// 0 or 1 for each output.
    Indicators,
    /// The probability of each class.
    Probabilities,
    /// The outputs as they are; under `Predicted` where a regressor has one.
    Values { regressor: bool },
}

impl Written {
    fn new(form: &Form, estimator: &Estimator, predictions: &Predictions) -> Self {
        let kind = match (estimator.learning_type, form.method) {
            (LearningType::Prefitted, _) => Kind::Values { regressor: false },
            (LearningType::KerasGRegressor, _) => Kind::Values { regressor: true },
            (LearningType::KerasGClassifier, Method::PredictProba) => Kind::Probabilities,
            (LearningType::KerasGClassifier, Method::Predict) => {
                return match &estimator.fitted {
                    Some(fitted) => Self {
                        kind: fitted.classes.clone().map_or(Kind::Indicators, Kind::Classes),
                        note: None,
                    },
                    None => Self {
                        kind: Kind::Classes(Classes::numbered(predictions.width.max(2))),
                        note: Some(
                            "note: the estimator itself was never trained and does not know the labels: classes are numbered from 0",
                        ),
                    },
                };
            }
        };
        Self { kind, note: None }
    }

    fn write(&self, file: &mut dyn Write, predictions: &Predictions) -> io::Result<()> {
        match &self.kind {
            Kind::Classes(classes) => {
                writeln!(file, "{}", if predictions.width == 1 { "0" } else { "Predicted" })?;
                let names = classes.names();
                predictions
                    .classes(names.len())
                    .into_iter()
                    .try_for_each(|class| writeln!(file, "{}", names[class]))
            }
            Kind::Indicators => {
                prediction::write_header(file, predictions.width)?;
                write_rows(file, &predictions.indicators(), predictions.width, |value| {
                    format!("{value:.0}")
                })
            }
            Kind::Probabilities => {
                let width = predictions.width.max(2);
                prediction::write_header(file, width)?;
                write_rows(file, &predictions.probabilities(), width, prediction::shortest)
            }
            Kind::Values { regressor } => {
                if *regressor && predictions.width == 1 {
                    writeln!(file, "Predicted")?;
                } else {
                    prediction::write_header(file, predictions.width)?;
                }
                write_rows(file, &predictions.values, predictions.width, prediction::shortest)
            }
        }
    }
}

fn write_rows(file: &mut dyn Write, values: &[f32], width: usize, spell: impl Fn(f32) -> String) -> io::Result<()> {
    for row in values.chunks_exact(width.max(1)) {
        let cells: Vec<String> = row.iter().map(|&value| spell(value)).collect();
        writeln!(file, "{}", cells.join("\t"))?;
    }
    Ok(())
}
