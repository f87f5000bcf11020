//! The form, checked: everything that can be known before a table is read.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::super::hyperparameters::{self, Change};
use super::form::{Form, HyperparamsSwapping, InputOptions, Scheme, Scoring, SplitAlgos, ValSplitAlgos};
use crate::galaxy::columns::split_names;
use crate::galaxy::inputs::{self, OptionalNumber, TableInput};
use crate::keras::estimator::{CompileParams, Container, Estimator, FitParams, LearningType};
use crate::keras::metric::Metric;
use crate::keras::model::Model;
use crate::train::score::{ResultColumn, Scorer, result_columns, result_columns_with_metrics};
use crate::train::split::{self, DEFAULT_TEST_SIZE};
use crate::{Error, Result};

/// What to train on what, and what to write.
#[derive(Debug)]
pub(super) struct Plan {
    pub estimator: Estimator,
    /// The kind of file that the estimator came in, and goes out in.
    pub container: Container,
    /// What the form changes of the estimator's parameters, for people to read.
    pub changes: Vec<String>,
    pub model: Model,
    pub compile: CompileParams,
    pub fit: FitParams,
    pub x: TableInput,
    pub y: TableInput,
    /// What is held out to be scored.
    pub split: Split,
    /// What is held out of the rest for validation, if that is not done on what is scored.
    pub validation_split: Option<Split>,
    pub columns: Vec<ResultColumn>,
    pub save_estimator: bool,
    pub save_predictions: bool,
    pub save_history: bool,
}

/// How the rows are held out.
#[derive(Debug)]
pub(super) struct Split {
    pub test_size: f64,
    pub kind: SplitKind,
    /// `random_state`, if the form gives one.
    pub seed: Option<u32>,
}

#[derive(Debug)]
pub(super) enum SplitKind {
    Ordered,
    Simple,
    Stratified,
    Groups {
        table: TableInput,
        names: Vec<String>,
    },
    /// The groups that the test holdout has.
    SameGroups {
        names: Vec<String>,
    },
}

impl Plan {
    pub(super) fn new(form: Form) -> Result<Self> {
        let (scheme, validation_split) = match form.experiment_schemes {
            Scheme::TrainVal(scheme) => (*scheme, None),
            Scheme::TrainValTest(mut scheme) => {
                let split = scheme.val_split.take().ok_or_else(|| {
                    Error::Input(
                        "val_split is missing: the scheme train_val_test needs to know what to hold out for validation"
                            .into(),
                    )
                })?;
                (*scheme, Some(Split::of_the_rest(split.split_algos)?))
            }
        };
        let tabular = match form.input_options {
            InputOptions::Tabular(tabular) => tabular,
            InputOptions::Sparse => return Err(not_yet("input from a sparse matrix", "tabular data")),
            InputOptions::SeqFasta => return Err(not_yet("input from fasta sequences", "tabular data")),
            InputOptions::RefseqAndInterval => {
                return Err(not_yet("input from a reference genome and intervals", "tabular data"));
            }
        };
        let path = scheme.infile_estimator.required("infile_estimator")?;
        let (mut estimator, container) = read_estimator(path)?;
        let changes = hyperparameters::apply(&changes(&scheme.hyperparams_swapping)?, &mut estimator)?;
        let (Some(compile), Some(fit)) = (estimator.compile.clone(), estimator.fit.clone()) else {
            return Err(Error::Input(format!(
                "{}: this estimator was made in the mode 'prefitted' and is ready for Model Prediction; to train, create it in the \
                 mode 'train_model'",
                path.display()
            )));
        };
        let model = Model::from_value(&estimator.model).map_err(|error| Error::from(error).in_file(path))?;
        let columns = scoring(
            &scheme.metrics.scoring,
            estimator.learning_type,
            &compile.metrics,
            container,
        )?;
        Ok(Self {
            model,
            columns,
            compile,
            fit,
            x: tabular.features.table()?,
            y: tabular.targets.table()?,
            split: Split::new(scheme.test_split.split_algos)?,
            validation_split,
            save_estimator: form.save.contains("save_estimator"),
            save_predictions: form.save.contains("save_prediction"),
            save_history: form.save.contains("save_csvlogger"),
            container,
            estimator,
            changes,
        })
    }
}

/// The form's new values of hyperparameters; a row without a value changes nothing.
fn changes(form: &HyperparamsSwapping) -> Result<Vec<Change>> {
    let given = form
        .param_set
        .iter()
        .filter_map(|row| Some((row, row.sp_value.given()?)));
    given
        .map(|(row, value)| match row.sp_name.given() {
            Some(name) => Ok(Change {
                name: name.to_owned(),
                value: value.to_owned(),
            }),
            None => Err(Error::Input(format!(
                "hyperparameter swapping: the new value {value} has no parameter; choose the parameter's name, or leave the value empty"
            ))),
        })
        .collect()
}

impl Split {
    fn seeded(test_size: f64, kind: SplitKind, state: Option<i64>) -> Result<Self> {
        Ok(Self {
            test_size,
            kind,
            seed: state.map(split::seed).transpose()?,
        })
    }

    /// The holdout for validation.
    fn of_the_rest(form: ValSplitAlgos) -> Result<Self> {
        match form {
            ValSplitAlgos::None { test_size } => Self::seeded(given(test_size)?, SplitKind::Ordered, None),
            ValSplitAlgos::Simple {
                test_size,
                random_state,
            } => Self::seeded(given(test_size)?, SplitKind::Simple, random_state.0),
            ValSplitAlgos::Stratified {
                test_size,
                random_state,
            } => Self::seeded(given(test_size)?, SplitKind::Stratified, random_state.0),
            ValSplitAlgos::Group {
                test_size,
                random_state,
                group_names,
            } => {
                let names = group_names.given().map(split_names).unwrap_or_default();
                let size = test_size.0.unwrap_or(DEFAULT_TEST_SIZE);
                Self::seeded(size, SplitKind::SameGroups { names }, random_state.0)
            }
        }
    }

    fn new(form: SplitAlgos) -> Result<Self> {
        match form {
            SplitAlgos::None { test_size } => Self::seeded(given(test_size)?, SplitKind::Ordered, None),
            SplitAlgos::Simple {
                test_size,
                random_state,
            } => Self::seeded(given(test_size)?, SplitKind::Simple, random_state.0),
            SplitAlgos::Stratified {
                test_size,
                random_state,
            } => Self::seeded(given(test_size)?, SplitKind::Stratified, random_state.0),
            SplitAlgos::Group {
                test_size,
                random_state,
                group_names,
                groups_selector,
            } => {
                let names = group_names.given().map(split_names).unwrap_or_default();
                let kind = SplitKind::Groups {
                    table: groups_selector.table()?,
                    names,
                };
                Self::seeded(test_size.0.unwrap_or(DEFAULT_TEST_SIZE), kind, random_state.0)
            }
        }
    }
}

/// The share to hold out, which the form must give.
fn given(size: OptionalNumber) -> Result<f64> {
    size.0
        .ok_or_else(|| Error::Input("test_size is empty: give the share of rows to hold out, such as 0.2".into()))
}

fn not_yet(what: &str, instead: &str) -> Error {
    Error::Input(format!("{what} is not supported yet: choose {instead}"))
}

/// Reads an estimator of either kind.
fn read_estimator(path: &Path) -> Result<(Estimator, Container)> {
    let bytes = read_file(path)?;
    let (estimator, _, container) = Estimator::unpack(&bytes).map_err(|error| Error::from(error).in_file(path))?;
    Ok((estimator, container))
}

/// Reads a file whole.
pub(in crate::tool) fn read_file(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|source| Error::Read {
        path: PathBuf::from(path),
        source,
    })
}

/// The columns of the result, after a check that they can be computed.
///
/// The tools from 1.0.10 on, whose estimators are HDF5 files, add the loss and the metrics to the scores, and their default is the
/// accuracy of a classifier and r2 of a regressor.
fn scoring(
    form: &Scoring,
    learning_type: LearningType,
    metrics: &[Metric],
    container: Container,
) -> Result<Vec<ResultColumn>> {
    let scorer = |name: &str| {
        inputs::from_value::<Scorer>(&Value::from(name)).map_err(|error| Error::Input(format!("scoring: {error}")))
    };
    let primary = match form.primary_scoring.given() {
        None | Some("default") => None,
        Some(name) => Some(scorer(name)?),
    };
    let secondary = form
        .secondary_scoring
        .0
        .iter()
        .map(|name| scorer(name))
        .collect::<Result<Vec<_>>>()?;
    let classifier = learning_type == LearningType::KerasGClassifier;
    if container == Container::H5mlm {
        let primary = primary.unwrap_or(if classifier { Scorer::Accuracy } else { Scorer::R2 });
        return Ok(result_columns_with_metrics(primary, &secondary, metrics));
    }
    if primary.is_none() && classifier && !metrics.iter().any(|metric| metric.name() == "acc") {
        return Err(Error::Input(
            "the default score of a classifier is the metric 'acc', which this model does not report: choose the metric acc when the \
             model is created, or another scorer than default here"
                .into(),
        ));
    }
    Ok(result_columns(primary, &secondary))
}
