//! Scores of predicted classes: accuracy, precision, recall, F score.
//!
//! Both kinds of classification are seen as sets of labels for each row: one label, or those marked with 1.

#![expect(clippy::cast_precision_loss, reason = "counts of rows, far below 2^53")]

use super::Judged;

/// What is measured of a class.
#[derive(Debug, Clone, Copy)]
pub(super) enum Measure {
    Precision,
    Recall,
    F1,
}

/// How the classes' measures become one number.
#[derive(Debug, Clone, Copy)]
pub(super) enum Average {
    /// The positive class's.
    Binary,
    /// Of all rows together.
    Micro,
    /// The mean over the classes.
    Macro,
    /// The mean over the classes, weighted with their rows.
    Weighted,
    /// The mean over the rows.
    Samples,
}

/// What the measures of a class are made of.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    /// Rows predicted rightly as this class.
    pub(super) hits: usize,
    /// Rows predicted as this class.
    pub(super) predicted: usize,
    /// Rows of this class.
    pub(super) truth: usize,
}

impl Counts {
    pub(super) fn of(self, measure: Measure) -> f64 {
        let (part, whole) = match measure {
            Measure::Precision => (self.hits, self.predicted),
            Measure::Recall => (self.hits, self.truth),
            Measure::F1 => (2 * self.hits, self.predicted + self.truth),
        };
        if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
    }

    fn add(&mut self, truth: bool, predicted: bool) {
        self.hits += usize::from(truth && predicted);
        self.predicted += usize::from(predicted);
        self.truth += usize::from(truth);
    }
}

/// The counts of each class.
fn by_class(judged: &Judged<'_>) -> Vec<Counts> {
    match *judged {
        Judged::Classes {
            truth,
            predicted,
            classes,
            ..
        } => {
            let mut counts = vec![Counts::default(); classes];
            for (&truth, &predicted) in truth.iter().zip(predicted) {
                counts[truth].add(true, truth == predicted);
                if truth != predicted {
                    counts[predicted].add(false, true);
                }
            }
            counts
        }
        Judged::MultiLabel {
            truth,
            predicted,
            columns,
            ..
        } => {
            let mut counts = vec![Counts::default(); columns];
            for (truth, predicted) in truth.chunks_exact(columns).zip(predicted.chunks_exact(columns)) {
                for (class, counts) in counts.iter_mut().enumerate() {
                    counts.add(marked(truth[class]), marked(predicted[class]));
                }
            }
            counts
        }
        Judged::Values { .. } => Vec::new(),
    }
}

pub(super) fn marked(value: f32) -> bool {
    value > 0.5
}

/// Precision, recall or F score.
pub(super) fn measure(measure: Measure, average: Average, judged: &Judged<'_>) -> f64 {
    let mut counts = by_class(judged);
    match average {
        Average::Binary => match *judged {
            Judged::Classes { positive, .. } => counts.get(positive).map_or(0.0, |counts| counts.of(measure)),
            _ => 0.0,
        },
        Average::Micro => {
            let sum = |part: fn(&Counts) -> usize| counts.iter().map(part).sum();
            let all = Counts {
                hits: sum(|c| c.hits),
                predicted: sum(|c| c.predicted),
                truth: sum(|c| c.truth),
            };
            all.of(measure)
        }
        Average::Macro => {
            // A class that these rows neither have nor predict does not count; of marked columns all do.
            if matches!(judged, Judged::Classes { .. }) {
                counts.retain(|class| class.predicted + class.truth > 0);
            }
            mean(counts.iter().map(|class| class.of(measure)))
        }
        Average::Weighted => {
            let weights: usize = counts.iter().map(|class| class.truth).sum();
            let sum: f64 = counts.iter().map(|class| class.of(measure) * class.truth as f64).sum();
            if weights == 0 { 0.0 } else { sum / weights as f64 }
        }
        Average::Samples => match *judged {
            Judged::MultiLabel {
                truth,
                predicted,
                columns,
                ..
            } => {
                let rows = truth.chunks_exact(columns).zip(predicted.chunks_exact(columns));
                mean(rows.map(|(truth, predicted)| {
                    let mut counts = Counts::default();
                    for (truth, predicted) in truth.iter().zip(predicted) {
                        counts.add(marked(*truth), marked(*predicted));
                    }
                    counts.of(measure)
                }))
            }
            _ => 0.0,
        },
    }
}

/// The share of rows that are predicted wholly right.
pub(super) fn accuracy(judged: &Judged<'_>) -> f64 {
    let share = |right: &mut dyn Iterator<Item = bool>| mean(right.map(|right| f64::from(u8::from(right))));
    match *judged {
        Judged::Classes { truth, predicted, .. } => share(&mut truth.iter().zip(predicted).map(|(t, p)| t == p)),
        Judged::MultiLabel {
            truth,
            predicted,
            columns,
            ..
        } => {
            let rows = truth.chunks_exact(columns).zip(predicted.chunks_exact(columns));
            let same = |(truth, predicted): (&[f32], &[f32])| {
                truth
                    .iter()
                    .zip(predicted)
                    .all(|(truth, predicted)| marked(*truth) == marked(*predicted))
            };
            share(&mut rows.map(same))
        }
        Judged::Values { .. } => 0.0,
    }
}

/// The mean recall of the classes that the rows have.
pub(super) fn balanced_accuracy(judged: &Judged<'_>) -> f64 {
    mean(
        by_class(judged)
            .iter()
            .filter(|class| class.truth > 0)
            .map(|class| class.of(Measure::Recall)),
    )
}

/// The mean, zero of nothing.
pub(super) fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut number) = (0.0, 0_usize);
    for value in values {
        sum += value;
        number += 1;
    }
    if number == 0 { 0.0 } else { sum / number as f64 }
}
