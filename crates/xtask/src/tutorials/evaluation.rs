//! How good predictions are: confusion matrix, accuracy, and per class precision, recall and F score.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// Counts of `(true class, predicted class)`.
#[derive(Debug)]
pub struct Evaluation {
    /// The classes that occur on either side, numbers by value, before words by alphabet.
    pub classes: Vec<String>,
    /// `[true][predicted]`, in the order of `classes`.
    pub confusion: Vec<Vec<u64>>,
}

/// One class's scores; `None` where a score is 0 / 0.
#[derive(Debug, PartialEq)]
pub struct Scores {
    /// Of those predicted to be this class, how many are.
    pub precision: Option<f64>,
    /// Of this class, how many are predicted to be it.
    pub recall: Option<f64>,
    /// Their harmonic mean.
    pub f: Option<f64>,
}

impl Evaluation {
    /// Compares two tables of one column. Labels that are the same number are the same class, however it is written (`1`, `1.0`).
    pub fn of_files(truth: &Path, truth_header: bool, predicted: &Path, predicted_header: bool) -> Result<Self> {
        let truth_labels = labels(truth, truth_header)?;
        let predicted_labels = labels(predicted, predicted_header)?;
        ensure!(
            truth_labels.len() == predicted_labels.len(),
            "{} holds {} labels, {} holds {}",
            truth.display(),
            truth_labels.len(),
            predicted.display(),
            predicted_labels.len()
        );
        ensure!(!truth_labels.is_empty(), "{} holds no labels", truth.display());
        Ok(Self::of(&truth_labels, &predicted_labels))
    }

    fn of(truth: &[String], predicted: &[String]) -> Self {
        let distinct: BTreeSet<&String> = truth.iter().chain(predicted).collect();
        let mut classes: Vec<String> = distinct.into_iter().cloned().collect();
        classes.sort_by(|a, b| match (a.parse::<f64>(), b.parse::<f64>()) {
            (Ok(a), Ok(b)) => a.total_cmp(&b),
            (a, b) => b.is_ok().cmp(&a.is_ok()),
        });
        let place = |label: &String| classes.iter().position(|class| class == label).unwrap_or_default();
        let mut confusion = vec![vec![0; classes.len()]; classes.len()];
        for (truth, predicted) in truth.iter().zip(predicted) {
            confusion[place(truth)][place(predicted)] += 1;
        }
        Self { classes, confusion }
    }

    /// Right ones.
    pub fn right(&self) -> u64 {
        (0..self.classes.len()).map(|class| self.confusion[class][class]).sum()
    }

    /// All.
    pub fn total(&self) -> u64 {
        self.confusion.iter().flatten().sum()
    }

    /// Right ones of all.
    pub fn accuracy(&self) -> f64 {
        ratio(self.right(), self.total()).unwrap_or_default()
    }

    /// The scores of class number `class`.
    pub fn scores(&self, class: usize) -> Scores {
        let right = self.confusion[class][class];
        let actual: u64 = self.confusion[class].iter().sum();
        let predicted: u64 = self.confusion.iter().map(|row| row[class]).sum();
        Scores {
            precision: ratio(right, predicted),
            recall: ratio(right, actual),
            f: ratio(2 * right, predicted + actual),
        }
    }

    /// Everything as aligned plain text.
    pub fn report(&self) -> String {
        let score = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
        let widest = self
            .classes
            .iter()
            .map(|class| class.chars().count())
            .max()
            .unwrap_or(0)
            .max(5);
        let mut text = format!(
            "test accuracy {:.4} ({} of {})\n\n",
            self.accuracy(),
            self.right(),
            self.total()
        );
        let _ = writeln!(text, "{:>widest$}  precision  recall  F score  rows", "class");
        for (number, class) in self.classes.iter().enumerate() {
            let scores = self.scores(number);
            let rows: u64 = self.confusion[number].iter().sum();
            let _ = writeln!(
                text,
                "{class:>widest$}  {:>9}  {:>6}  {:>7}  {rows:>4}",
                score(scores.precision),
                score(scores.recall),
                score(scores.f)
            );
        }
        let cell = self
            .confusion
            .iter()
            .flatten()
            .map(|count| count.to_string().len())
            .max()
            .unwrap_or(1)
            .max(widest);
        let _ = write!(
            text,
            "\nconfusion matrix (rows: true, columns: predicted)\n{:>widest$}",
            ""
        );
        for class in &self.classes {
            let _ = write!(text, "  {class:>cell$}");
        }
        for (class, row) in self.classes.iter().zip(&self.confusion) {
            let _ = write!(text, "\n{class:>widest$}");
            for count in row {
                let _ = write!(text, "  {count:>cell$}");
            }
        }
        text.push('\n');
        text
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows are far below 2^53")]
fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn labels(path: &Path, header: bool) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let lines = text
        .lines()
        .skip(usize::from(header))
        .filter(|line| !line.trim().is_empty());
    lines
        .map(|line| {
            ensure!(
                !line.contains('\t'),
                "{} has more than one column, labels are one",
                path.display()
            );
            let label = line.trim();
            Ok(label
                .parse::<f64>()
                .map_or_else(|_| label.to_owned(), |number| number.to_string()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluated(truth: &str, truth_header: bool, predicted: &str, predicted_header: bool) -> Result<Evaluation> {
        let directory = tempfile::tempdir().unwrap();
        let paths = [directory.path().join("y"), directory.path().join("p")];
        std::fs::write(&paths[0], truth).unwrap();
        std::fs::write(&paths[1], predicted).unwrap();
        Evaluation::of_files(&paths[0], truth_header, &paths[1], predicted_header)
    }

    #[test]
    fn scores_are_scikit_learns() {
        // classification_report([0,0,0,1,1,2], [0,1,0,1,1,0])
        let it = evaluated("y\n0\n0\n0\n1\n1\n2\n", true, "0.0\n1\n0\n1\n1.0\n0\n", false).unwrap();
        assert_eq!(it.confusion, [[2, 1, 0], [0, 2, 0], [1, 0, 0]]);
        assert!((it.accuracy() - 4.0 / 6.0).abs() < 1e-12);
        assert_eq!(
            it.scores(0),
            Scores {
                precision: Some(2.0 / 3.0),
                recall: Some(2.0 / 3.0),
                f: Some(4.0 / 6.0)
            }
        );
        assert_eq!(
            it.scores(1),
            Scores {
                precision: Some(2.0 / 3.0),
                recall: Some(1.0),
                f: Some(0.8)
            }
        );
        assert_eq!(
            it.scores(2),
            Scores {
                precision: None,
                recall: Some(0.0),
                f: Some(0.0)
            }
        );
    }

    #[test]
    fn classes_sort_by_number_and_words_come_last() {
        let it = evaluated("10\n9\nAML\n", false, "10\n9\nALL\n", false).unwrap();
        assert_eq!(it.classes, ["9", "10", "ALL", "AML"]);
        assert!(it.report().contains("test accuracy 0.6667 (2 of 3)"));
    }

    #[test]
    fn tables_that_do_not_match_are_refused() {
        assert!(
            evaluated("1\n", false, "1\n0\n", false)
                .unwrap_err()
                .to_string()
                .contains("1 labels")
        );
        assert!(
            evaluated("1\t0\n", false, "1\n", false)
                .unwrap_err()
                .to_string()
                .contains("one column")
        );
        assert!(
            evaluated("y\n", true, "p\n", true)
                .unwrap_err()
                .to_string()
                .contains("no labels")
        );
    }
}
