//! A classifier's result at a glance: accuracy, the confusion matrix, and precision, recall and F score of each class.

use super::classification::{Counts, Measure};

/// How well one class was recognised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassReport {
    /// Rows predicted as this class that are of this class.
    pub precision: f64,
    /// Rows of this class that are predicted as such.
    pub recall: f64,
    /// The harmonic mean of precision and recall.
    pub f_score: f64,
    /// Rows of this class.
    pub support: usize,
}

/// A classifier's result on some rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Rows whose class was predicted rightly.
    pub accuracy: f64,
    /// Number of rows, `confusion[true class][predicted class]`.
    pub confusion: Vec<Vec<usize>>,
    /// For each class.
    pub classes: Vec<ClassReport>,
}

/// Compares true and predicted classes, both as indices below `classes`. Pairs with an index beyond are left out.
#[must_use]
pub fn classification_report(truth: &[usize], predicted: &[usize], classes: usize) -> Report {
    let mut confusion = vec![vec![0; classes]; classes];
    for (&truth, &predicted) in truth.iter().zip(predicted) {
        if let Some(count) = confusion.get_mut(truth).and_then(|row| row.get_mut(predicted)) {
            *count += 1;
        }
    }
    let reports: Vec<ClassReport> = (0..classes)
        .map(|class| {
            let support = confusion[class].iter().sum();
            let found = confusion.iter().map(|row| row[class]).sum();
            let counts = Counts {
                hits: confusion[class][class],
                predicted: found,
                truth: support,
            };
            ClassReport {
                precision: counts.of(Measure::Precision),
                recall: counts.of(Measure::Recall),
                f_score: counts.of(Measure::F1),
                support,
            }
        })
        .collect();
    let hits = (0..classes).map(|class| confusion[class][class]).sum();
    let all = reports.iter().map(|class| class.support).sum();
    let accuracy = Counts {
        hits,
        predicted: all,
        truth: all,
    }
    .of(Measure::Recall);
    Report {
        accuracy,
        confusion,
        classes: reports,
    }
}
