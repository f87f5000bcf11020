//! Scores of predicted probabilities: area under the ROC curve, average precision, log loss.

#![expect(clippy::cast_precision_loss, reason = "counts of rows, far below 2^53")]

use super::classification::{marked, mean};
use super::{Judged, ScoreError, Scorer};

/// A row's truth and the probability that was predicted for it.
type Ranked = (bool, f32);

/// The score of the second of two classes, or the mean over the classes of a multi-label table.
pub(super) fn macro_average(
    scorer: Scorer,
    judged: &Judged<'_>,
    score: fn(&mut [Ranked]) -> Option<f64>,
) -> Result<f64, ScoreError> {
    let of_column = |mut rows: Vec<Ranked>| {
        let number = rows.len();
        score(&mut rows).ok_or(ScoreError::OneClass { scorer, rows: number })
    };
    match *judged {
        Judged::Classes {
            truth,
            probabilities,
            classes,
            ..
        } => {
            let second = probabilities.chunks_exact(classes).map(|row| row[classes - 1]);
            of_column(truth.iter().map(|class| *class == classes - 1).zip(second).collect())
        }
        Judged::MultiLabel {
            truth,
            probabilities,
            columns,
            ..
        } => {
            let column = |column: usize| {
                let truth = truth.iter().skip(column).step_by(columns).map(|value| marked(*value));
                truth
                    .zip(probabilities.iter().skip(column).step_by(columns).copied())
                    .collect()
            };
            let of_columns: Result<Vec<f64>, _> = (0..columns).map(|index| of_column(column(index))).collect();
            Ok(mean(of_columns?.into_iter()))
        }
        Judged::Values { .. } => Err(ScoreError::NoRows),
    }
}

/// Sorts by probability, highest first, and gives the numbers of true and of all rows down to each distinct probability.
fn thresholds(rows: &mut [Ranked]) -> Vec<(usize, usize)> {
    rows.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut found = Vec::new();
    let mut hits = 0;
    for (index, (truth, probability)) in rows.iter().enumerate() {
        hits += usize::from(*truth);
        if rows
            .get(index + 1)
            .is_none_or(|next| next.1.total_cmp(probability).is_ne())
        {
            found.push((hits, index + 1));
        }
    }
    found
}

/// The area under the ROC curve by the trapezoidal rule; nothing if all rows are of one class.
pub(super) fn roc_auc(rows: &mut [Ranked]) -> Option<f64> {
    let positive = rows.iter().filter(|(truth, _)| *truth).count();
    let negative = rows.len() - positive;
    if positive == 0 || negative == 0 {
        return None;
    }
    let (mut twice_area, mut before) = (0.0, (0, 0));
    for (hits, all) in thresholds(rows) {
        let false_alarms = all - hits;
        twice_area += (false_alarms - before.1) as f64 * (hits + before.0) as f64;
        before = (hits, false_alarms);
    }
    Some(twice_area / 2.0 / positive as f64 / negative as f64)
}

/// Precision, averaged over the steps of recall; nothing if no row is of the class.
pub(super) fn average_precision(rows: &mut [Ranked]) -> Option<f64> {
    let positive = rows.iter().filter(|(truth, _)| *truth).count();
    if positive == 0 {
        return None;
    }
    let (mut sum, mut before) = (0.0, 0);
    for (hits, all) in thresholds(rows) {
        sum += (hits - before) as f64 / positive as f64 * (hits as f64 / all as f64);
        before = hits;
    }
    Some(sum)
}

/// Probabilities are kept this far from 0 and 1, as in scikit-learn 0.21.
const CLIP: f64 = 1e-15;

/// The mean of −ln of the probability of the true class, each row's probabilities scaled to a sum of 1.
pub(super) fn log_loss(judged: &Judged<'_>) -> f64 {
    let Judged::Classes {
        truth,
        probabilities,
        classes,
        ..
    } = *judged
    else {
        return 0.0;
    };
    let rows = truth.iter().zip(probabilities.chunks_exact(classes));
    mean(rows.map(|(&class, row)| {
        let clipped = |value: f32| f64::from(value).clamp(CLIP, 1.0 - CLIP);
        let sum: f64 = row.iter().map(|value| clipped(*value)).sum();
        -(clipped(row[class]) / sum).ln()
    }))
}
