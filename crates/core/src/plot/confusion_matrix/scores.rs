//! Scores that a confusion matrix implies.

use super::ConfusionMatrix;

/// How well one class was predicted. As in scikit-learn a score without any sample to compute it from is 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassScores {
    /// Correct among those predicted as this class.
    pub precision: f64,
    /// Correct among those that are of this class.
    pub recall: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
    /// Samples of this class.
    pub support: u64,
}

impl ConfusionMatrix {
    /// Samples whose class was predicted, and all samples.
    #[must_use]
    pub fn correct(&self) -> (u64, u64) {
        let correct = self.rows().enumerate().map(|(class, row)| u64::from(row[class])).sum();
        (correct, self.counts.iter().map(|&count| u64::from(count)).sum())
    }

    /// Share of samples whose class was predicted.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        let (correct, all) = self.correct();
        share(correct, all)
    }

    /// The scores of each class, in the order of the labels.
    #[must_use]
    pub fn scores(&self) -> Vec<ClassScores> {
        self.rows()
            .enumerate()
            .map(|(class, row)| {
                let correct = u64::from(row[class]);
                let support: u64 = row.iter().map(|&count| u64::from(count)).sum();
                let predicted: u64 = self.rows().map(|row| u64::from(row[class])).sum();
                ClassScores {
                    precision: share(correct, predicted),
                    recall: share(correct, support),
                    f1: share(2 * correct, predicted + support),
                    support,
                }
            })
            .collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of samples")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_scikit_learns() {
        // precision_recall_fscore_support and accuracy_score of scikit-learn 1.x on the same labels.
        let matrix = ConfusionMatrix::count(&[0, 0, 0, 1, 1, 2, 2, 2, 2], &[0, 0, 1, 1, 2, 2, 2, 0, 0]).unwrap();
        assert_eq!(matrix.correct(), (5, 9));
        assert!((matrix.accuracy() - 0.555_555_555_555_555_6).abs() < 1e-15);
        let expected = [
            (0.5, 0.666_666_67, 0.571_428_57, 3),
            (0.5, 0.5, 0.5, 2),
            (0.666_666_67, 0.5, 0.571_428_57, 4),
        ];
        for (ours, (precision, recall, f1, support)) in matrix.scores().into_iter().zip(expected) {
            assert!((ours.precision - precision).abs() < 1e-8, "{ours:?}");
            assert!((ours.recall - recall).abs() < 1e-8, "{ours:?}");
            assert!((ours.f1 - f1).abs() < 1e-8, "{ours:?}");
            assert_eq!(ours.support, support);
        }
    }

    #[test]
    fn a_class_that_is_never_predicted_or_never_true_scores_zero() {
        let matrix = ConfusionMatrix::count(&["a", "a"], &["b", "b"]).unwrap();
        assert_eq!(
            matrix.scores()[0],
            ClassScores {
                precision: 0.0,
                recall: 0.0,
                f1: 0.0,
                support: 2
            }
        );
        assert_eq!(
            matrix.scores()[1],
            ClassScores {
                precision: 0.0,
                recall: 0.0,
                f1: 0.0,
                support: 0
            }
        );
        assert!(matrix.accuracy().abs() < f64::EPSILON);
    }
}
