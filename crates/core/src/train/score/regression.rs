//! Scores of predicted numbers. Of several target columns, the mean of the columns' scores.

use super::classification::mean;
use super::{Judged, ScoreError, Scorer};

/// True and predicted values of a column.
type Column<'a> = &'a [(f64, f64)];

/// The mean over the columns.
pub(super) fn average(judged: &Judged<'_>, score: fn(Column<'_>) -> f64) -> f64 {
    let Judged::Values {
        truth,
        predicted,
        columns,
    } = *judged
    else {
        return 0.0;
    };
    mean((0..columns).map(|column| {
        let truth = truth.iter().skip(column).step_by(columns);
        let predicted = predicted.iter().skip(column).step_by(columns);
        let pairs: Vec<(f64, f64)> = truth
            .zip(predicted)
            .map(|(t, p)| (f64::from(*t), f64::from(*p)))
            .collect();
        score(&pairs)
    }))
}

/// Refuses values that have no logarithm.
pub(super) fn not_negative(scorer: Scorer, judged: &Judged<'_>) -> Result<(), ScoreError> {
    let Judged::Values { truth, predicted, .. } = *judged else {
        return Ok(());
    };
    match truth.iter().chain(predicted).find(|value| **value < 0.0) {
        Some(value) => Err(ScoreError::Negative {
            scorer,
            value: value.to_string(),
        }),
        None => Ok(()),
    }
}

pub(super) fn mean_absolute_error(column: Column<'_>) -> f64 {
    mean(column.iter().map(|(truth, predicted)| (truth - predicted).abs()))
}

pub(super) fn mean_squared_error(column: Column<'_>) -> f64 {
    mean(column.iter().map(|(truth, predicted)| (truth - predicted).powi(2)))
}

pub(super) fn mean_squared_log_error(column: Column<'_>) -> f64 {
    mean(
        column
            .iter()
            .map(|(truth, predicted)| (truth.ln_1p() - predicted.ln_1p()).powi(2)),
    )
}

pub(super) fn max_error(column: Column<'_>) -> f64 {
    column
        .iter()
        .map(|(truth, predicted)| (truth - predicted).abs())
        .fold(0.0, f64::max)
}

pub(super) fn median_absolute_error(column: Column<'_>) -> f64 {
    let mut errors: Vec<f64> = column
        .iter()
        .map(|(truth, predicted)| (truth - predicted).abs())
        .collect();
    errors.sort_by(f64::total_cmp);
    let middle = errors.len() / 2;
    if errors.len() % 2 == 1 {
        errors[middle]
    } else {
        f64::midpoint(errors[middle - 1], errors[middle])
    }
}

/// 1 − residual / total; targets that do not vary score 1 if they are met exactly and 0 else.
fn explained(residual: f64, total: f64) -> f64 {
    if total > 0.0 {
        1.0 - residual / total
    } else if residual > 0.0 {
        0.0
    } else {
        1.0
    }
}

/// The mean squared deviation from the mean.
fn variance(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let centre = mean(values.clone());
    mean(values.map(|value| (value - centre).powi(2)))
}

pub(super) fn explained_variance(column: Column<'_>) -> f64 {
    let errors = column.iter().map(|(truth, predicted)| truth - predicted);
    explained(variance(errors), variance(column.iter().map(|(truth, _)| *truth)))
}

/// Not a number for a single row, as in scikit-learn.
pub(super) fn r2(column: Column<'_>) -> f64 {
    if column.len() < 2 {
        return f64::NAN;
    }
    explained(
        mean_squared_error(column),
        variance(column.iter().map(|(truth, _)| *truth)),
    )
}
