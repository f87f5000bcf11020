//! The scorers of the form, and the columns of the result table.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{ScoreError, Task};
use crate::keras::metric::Metric;

/// A scorer, by its option value in the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    missing_docs,
    reason = "the names are scikit-learn's own, and each does what its name says"
)]
pub enum Scorer {
    Accuracy,
    BalancedAccuracy,
    AveragePrecision,
    F1,
    F1Micro,
    F1Macro,
    F1Weighted,
    F1Samples,
    NegLogLoss,
    Precision,
    PrecisionMicro,
    PrecisionMacro,
    // The form misspells two options; workflows that were saved with it say so too.
    #[serde(alias = "precision_wighted")]
    PrecisionWeighted,
    PrecisionSamples,
    Recall,
    RecallMicro,
    RecallMacro,
    #[serde(alias = "recall_wighted")]
    RecallWeighted,
    RecallSamples,
    RocAuc,
    ExplainedVariance,
    NegMeanAbsoluteError,
    NegMeanSquaredError,
    NegMeanSquaredLogError,
    NegMedianAbsoluteError,
    R2,
    MaxError,
    #[serde(rename = "binarize_auc_scorer")]
    BinarizeAuc,
    #[serde(rename = "binarize_average_precision_scorer")]
    BinarizeAveragePrecision,
}

impl Scorer {
    /// Every scorer, in the order of the form.
    pub const ALL: [Self; 29] = [
        Self::Accuracy,
        Self::BalancedAccuracy,
        Self::AveragePrecision,
        Self::F1,
        Self::F1Micro,
        Self::F1Macro,
        Self::F1Weighted,
        Self::F1Samples,
        Self::NegLogLoss,
        Self::Precision,
        Self::PrecisionMicro,
        Self::PrecisionMacro,
        Self::PrecisionWeighted,
        Self::PrecisionSamples,
        Self::Recall,
        Self::RecallMicro,
        Self::RecallMacro,
        Self::RecallWeighted,
        Self::RecallSamples,
        Self::RocAuc,
        Self::ExplainedVariance,
        Self::NegMeanAbsoluteError,
        Self::NegMeanSquaredError,
        Self::NegMeanSquaredLogError,
        Self::NegMedianAbsoluteError,
        Self::R2,
        Self::MaxError,
        Self::BinarizeAuc,
        Self::BinarizeAveragePrecision,
    ];

    /// scikit-learn's name: the column's header in the result table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::BalancedAccuracy => "balanced_accuracy",
            Self::AveragePrecision => "average_precision",
            Self::F1 => "f1",
            Self::F1Micro => "f1_micro",
            Self::F1Macro => "f1_macro",
            Self::F1Weighted => "f1_weighted",
            Self::F1Samples => "f1_samples",
            Self::NegLogLoss => "neg_log_loss",
            Self::Precision => "precision",
            Self::PrecisionMicro => "precision_micro",
            Self::PrecisionMacro => "precision_macro",
            Self::PrecisionWeighted => "precision_weighted",
            Self::PrecisionSamples => "precision_samples",
            Self::Recall => "recall",
            Self::RecallMicro => "recall_micro",
            Self::RecallMacro => "recall_macro",
            Self::RecallWeighted => "recall_weighted",
            Self::RecallSamples => "recall_samples",
            Self::RocAuc => "roc_auc",
            Self::ExplainedVariance => "explained_variance",
            Self::NegMeanAbsoluteError => "neg_mean_absolute_error",
            Self::NegMeanSquaredError => "neg_mean_squared_error",
            Self::NegMeanSquaredLogError => "neg_mean_squared_log_error",
            Self::NegMedianAbsoluteError => "neg_median_absolute_error",
            Self::R2 => "r2",
            Self::MaxError => "max_error",
            Self::BinarizeAuc => "binarize_auc_scorer",
            Self::BinarizeAveragePrecision => "binarize_average_precision_scorer",
        }
    }

    /// Whether the scorer can judge such targets, to be asked before a long training.
    ///
    /// # Errors
    ///
    /// When it is for another kind of target.
    pub fn check(self, task: Task) -> Result<(), ScoreError> {
        let (needs, fits) = match self {
            Self::BinarizeAuc | Self::BinarizeAveragePrecision => return Err(ScoreError::Binarizing(self)),
            Self::F1 | Self::Precision | Self::Recall => ("two classes", matches!(task, Task::Classes { classes: 2 })),
            Self::RocAuc | Self::AveragePrecision => (
                "two classes or several labels a row",
                matches!(task, Task::Classes { classes: 2 } | Task::MultiLabel),
            ),
            Self::F1Samples | Self::PrecisionSamples | Self::RecallSamples => {
                ("several labels a row", task == Task::MultiLabel)
            }
            Self::BalancedAccuracy | Self::NegLogLoss => ("one class a row", matches!(task, Task::Classes { .. })),
            Self::MaxError => (
                "one column of real numbers",
                matches!(task, Task::Values { columns: 1 }),
            ),
            Self::ExplainedVariance
            | Self::NegMeanAbsoluteError
            | Self::NegMeanSquaredError
            | Self::NegMeanSquaredLogError
            | Self::NegMedianAbsoluteError
            | Self::R2 => ("real numbers", matches!(task, Task::Values { .. })),
            _ => ("classes", !matches!(task, Task::Values { .. })),
        };
        if fits {
            Ok(())
        } else {
            Err(ScoreError::Task {
                scorer: self,
                needs,
                found: task.to_string(),
            })
        }
    }
}

impl fmt::Display for Scorer {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(self.name())
    }
}

impl fmt::Display for Task {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Classes { classes } => write!(to, "{classes} classes"),
            Self::MultiLabel => to.write_str("several labels a row"),
            Self::Values { columns: 1 } => to.write_str("real numbers"),
            Self::Values { columns } => write!(to, "{columns} columns of real numbers"),
        }
    }
}

/// A column of the result table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultColumn {
    /// The header.
    pub header: String,
    /// Where its value comes from.
    pub scored: Scored,
}

/// Where a value of the result comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scored {
    /// The estimator's own score (`default`).
    Default,
    /// The loss or the metric of the column's name, as Keras's `evaluate` reports it.
    Reported,
    /// A scorer.
    By(Scorer),
}

impl Scored {
    /// Whether the loss and the metrics of the scored rows have to be known.
    #[must_use]
    pub fn needs_evaluation(self) -> bool {
        !matches!(self, Self::By(_))
    }
}

/// The columns of the result table: `score` if there is but one scorer, else the scorers' names in alphabetical order.
///
/// `primary` is none for `default`.
#[must_use]
pub fn result_columns(primary: Option<Scorer>, secondary: &[Scorer]) -> Vec<ResultColumn> {
    let score = |scored| {
        vec![ResultColumn {
            header: "score".to_owned(),
            scored,
        }]
    };
    let Some(primary) = primary else {
        return score(Scored::Default);
    };
    match named(primary, secondary) {
        scorers if scorers.len() == 1 => score(Scored::By(primary)),
        scorers => scorers,
    }
}

/// The columns of the result table of the tools from 1.0.10 on: the loss, the model's metrics and the scorers, in alphabetical order.
#[must_use]
pub fn result_columns_with_metrics(primary: Scorer, secondary: &[Scorer], metrics: &[Metric]) -> Vec<ResultColumn> {
    let mut columns = named(primary, secondary);
    for name in std::iter::once("loss").chain(metrics.iter().map(Metric::name)) {
        if columns.iter().all(|column| column.header != name) {
            columns.push(ResultColumn {
                header: name.to_owned(),
                scored: Scored::Reported,
            });
        }
    }
    columns.sort_by(|one, other| one.header.cmp(&other.header));
    columns
}

/// A column for each scorer, in alphabetical order.
fn named(primary: Scorer, secondary: &[Scorer]) -> Vec<ResultColumn> {
    let mut scorers = vec![primary];
    scorers.extend_from_slice(secondary);
    scorers.sort_by_key(|scorer| scorer.name());
    scorers.dedup();
    scorers
        .into_iter()
        .map(|scorer| ResultColumn {
            header: scorer.name().to_owned(),
            scored: Scored::By(scorer),
        })
        .collect()
}
