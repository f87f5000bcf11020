//! scikit-learn's scorers: how well predictions fit the truth.
//!
//! Greater is better for all of them, so losses and errors are negated. Definitions are those of scikit-learn 0.21, which the original
//! tools use; a precision, recall or F score whose denominator is zero is zero.

mod classification;
mod ranking;
mod regression;
mod report;
mod scorer;

pub use report::{ClassReport, Report, classification_report};
pub use scorer::{ResultColumn, Scored, Scorer, result_columns, result_columns_with_metrics};

use classification::{Average, Measure};

/// Predictions and the truth for the same rows.
#[derive(Debug, Clone, Copy)]
pub enum Judged<'a> {
    /// One class for each row.
    Classes {
        /// The true class of each row.
        truth: &'a [usize],
        /// The predicted class of each row.
        predicted: &'a [usize],
        /// Probabilities `[rows, classes]`, row by row.
        probabilities: &'a [f32],
        /// Number of classes.
        classes: usize,
        /// Of two classes, the one that precision, recall and F score are about.
        positive: usize,
    },
    /// Any number of classes for each row.
    MultiLabel {
        /// 0 or 1, `[rows, columns]`, row by row.
        truth: &'a [f32],
        /// 0 or 1, `[rows, columns]`, row by row.
        predicted: &'a [f32],
        /// Probabilities `[rows, columns]`, row by row.
        probabilities: &'a [f32],
        /// Number of classes.
        columns: usize,
    },
    /// Real numbers.
    Values {
        /// `[rows, columns]`, row by row.
        truth: &'a [f32],
        /// `[rows, columns]`, row by row.
        predicted: &'a [f32],
        /// Number of target columns.
        columns: usize,
    },
}

/// What a scorer is asked to judge, known before anything is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// One class for each row.
    Classes {
        /// Number of classes.
        classes: usize,
    },
    /// Any number of classes for each row.
    MultiLabel,
    /// Real numbers.
    Values {
        /// Number of target columns.
        columns: usize,
    },
}

/// Why predictions cannot be scored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScoreError {
    /// The scorer is for another kind of target.
    #[error("the scorer '{scorer}' is for {needs}, but the targets are {found}: choose another scorer")]
    Task {
        /// The scorer.
        scorer: Scorer,
        /// What it is for.
        needs: &'static str,
        /// What it was given.
        found: String,
    },
    /// The scorer needs an estimator that these tools do not make.
    #[error(
        "the scorer '{0}' is for estimators that turn real targets into two classes at a threshold, which a Keras model does not do: \
         choose another scorer"
    )]
    Binarizing(Scorer),
    /// A class is missing among the rows that are scored.
    #[error(
        "the scorer '{scorer}' needs rows with and without the class, but the {rows} scored rows have only one of them"
    )]
    OneClass {
        /// The scorer.
        scorer: Scorer,
        /// Rows scored.
        rows: usize,
    },
    /// A negative value under a logarithm.
    #[error(
        "the scorer '{scorer}' takes logarithms of 1 + value, but a target or prediction is {value}: choose another scorer"
    )]
    Negative {
        /// The scorer.
        scorer: Scorer,
        /// The value, as text.
        value: String,
    },
    /// Nothing to score.
    #[error("there are no rows to score")]
    NoRows,
    /// The arrays do not belong together; the engine's fault.
    #[error("internal error: {truth} true values, but {predicted} predicted ones")]
    Length {
        /// Number of true values.
        truth: usize,
        /// Number of predicted values.
        predicted: usize,
    },
}

impl Judged<'_> {
    /// What is judged.
    #[must_use]
    pub fn task(&self) -> Task {
        match *self {
            Self::Classes { classes, .. } => Task::Classes { classes },
            Self::MultiLabel { .. } => Task::MultiLabel,
            Self::Values { columns, .. } => Task::Values { columns },
        }
    }

    fn check(&self) -> Result<(), ScoreError> {
        let lengths = match *self {
            Self::Classes {
                truth,
                predicted,
                probabilities,
                classes,
                ..
            } => [
                (truth.len(), predicted.len()),
                (truth.len() * classes, probabilities.len()),
            ],
            Self::MultiLabel {
                truth,
                predicted,
                probabilities,
                ..
            } => [(truth.len(), predicted.len()), (truth.len(), probabilities.len())],
            Self::Values { truth, predicted, .. } => [(truth.len(), predicted.len()); 2],
        };
        match lengths.into_iter().find(|(truth, predicted)| truth != predicted) {
            Some((truth, predicted)) => Err(ScoreError::Length { truth, predicted }),
            None if lengths[0].0 == 0 => Err(ScoreError::NoRows),
            None => Ok(()),
        }
    }
}

impl Scorer {
    /// Scores predictions.
    ///
    /// # Errors
    ///
    /// When the scorer is for another kind of target (see [`Scorer::check`]) or is not defined for these rows.
    pub fn score(self, judged: &Judged<'_>) -> Result<f64, ScoreError> {
        self.check(judged.task())?;
        judged.check()?;
        let measure = |measure, average| classification::measure(measure, average, judged);
        match self {
            Self::Accuracy => Ok(classification::accuracy(judged)),
            Self::BalancedAccuracy => Ok(classification::balanced_accuracy(judged)),
            Self::F1 => Ok(measure(Measure::F1, Average::Binary)),
            Self::F1Micro => Ok(measure(Measure::F1, Average::Micro)),
            Self::F1Macro => Ok(measure(Measure::F1, Average::Macro)),
            Self::F1Weighted => Ok(measure(Measure::F1, Average::Weighted)),
            Self::F1Samples => Ok(measure(Measure::F1, Average::Samples)),
            Self::Precision => Ok(measure(Measure::Precision, Average::Binary)),
            Self::PrecisionMicro => Ok(measure(Measure::Precision, Average::Micro)),
            Self::PrecisionMacro => Ok(measure(Measure::Precision, Average::Macro)),
            Self::PrecisionWeighted => Ok(measure(Measure::Precision, Average::Weighted)),
            Self::PrecisionSamples => Ok(measure(Measure::Precision, Average::Samples)),
            Self::Recall => Ok(measure(Measure::Recall, Average::Binary)),
            Self::RecallMicro => Ok(measure(Measure::Recall, Average::Micro)),
            Self::RecallMacro => Ok(measure(Measure::Recall, Average::Macro)),
            Self::RecallWeighted => Ok(measure(Measure::Recall, Average::Weighted)),
            Self::RecallSamples => Ok(measure(Measure::Recall, Average::Samples)),
            Self::NegLogLoss => Ok(-ranking::log_loss(judged)),
            Self::RocAuc => ranking::macro_average(self, judged, ranking::roc_auc),
            Self::AveragePrecision => ranking::macro_average(self, judged, ranking::average_precision),
            Self::ExplainedVariance => Ok(regression::average(judged, regression::explained_variance)),
            Self::R2 => Ok(regression::average(judged, regression::r2)),
            Self::NegMeanAbsoluteError => Ok(-regression::average(judged, regression::mean_absolute_error)),
            Self::NegMeanSquaredError => Ok(-regression::average(judged, regression::mean_squared_error)),
            Self::NegMedianAbsoluteError => Ok(-regression::average(judged, regression::median_absolute_error)),
            Self::MaxError => Ok(-regression::average(judged, regression::max_error)),
            Self::NegMeanSquaredLogError => {
                regression::not_negative(self, judged)?;
                Ok(-regression::average(judged, regression::mean_squared_log_error))
            }
            Self::BinarizeAuc | Self::BinarizeAveragePrecision => Err(ScoreError::Binarizing(self)),
        }
    }
}

#[cfg(test)]
mod tests;
