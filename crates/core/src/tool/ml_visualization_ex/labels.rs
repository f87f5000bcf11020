//! Making the labels of two tables comparable: which cells mean the same class, and which slips of the form show in them.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::path::PathBuf;

use crate::galaxy::table::Cells;
use crate::plot::PlotError;
use crate::plot::confusion_matrix::ConfusionMatrix;

/// Why two columns of labels cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum LabelsError {
    /// A cell without a label.
    #[error("{}, row {row}: the label is missing ('{cell}'); remove the row from both tables, or fill it in", file.display())]
    Missing {
        /// The table.
        file: PathBuf,
        /// Row of the file, counted from 1.
        row: usize,
        /// What the cell holds.
        cell: String,
    },
    /// Not one prediction for each true label.
    #[error(
        "{} holds {truth} labels and {} holds {predictions} predictions: {hint}",
        true_file.display(),
        predicted_file.display()
    )]
    Lengths {
        /// The true labels' table.
        true_file: PathBuf,
        /// Its labels.
        truth: usize,
        /// The predictions' table.
        predicted_file: PathBuf,
        /// Its labels.
        predictions: usize,
        /// The likely slip.
        hint: String,
    },
    /// Probabilities or regression results instead of classes.
    #[error(
        "{}, row {row}: '{cell}' is no class label of {}; a confusion matrix needs predicted classes, not probabilities or a \
         regression's values: predict with the method 'predict' of a classifier",
        file.display(),
        true_file.display()
    )]
    Fraction {
        /// The predictions' table.
        file: PathBuf,
        /// Row of the file, counted from 1.
        row: usize,
        /// The prediction.
        cell: String,
        /// The true labels' table.
        true_file: PathBuf,
    },
}

/// The labels read from one table.
#[derive(Debug, Clone)]
pub struct Labels {
    /// The table.
    pub file: PathBuf,
    /// Whether its first row was taken for a header.
    pub header: bool,
    /// The cells, from the first row on.
    pub cells: Vec<String>,
    /// The line of the file, counted from 1, that each label stands in.
    pub lines: Vec<usize>,
}

impl Labels {
    /// All labels as numbers, if all are.
    fn numbers(&self) -> Option<Vec<Number>> {
        self.cells.iter().map(|cell| Number::parse(cell)).collect()
    }

    fn none_is_missing(&self) -> Result<(), LabelsError> {
        match self.cells.iter().zip(&self.lines).find(|(cell, _)| is_missing(cell)) {
            Some((cell, &row)) => Err(LabelsError::Missing {
                file: self.file.clone(),
                row,
                cell: cell.clone(),
            }),
            None => Ok(()),
        }
    }
}

fn is_missing(cell: &str) -> bool {
    let cell = cell.trim();
    cell.is_empty() || cell.eq_ignore_ascii_case("nan")
}

/// A label that is a finite number: `1`, `1.0` and `1e0` are the same class.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Number(f64);

impl Number {
    fn parse(cell: &str) -> Option<Self> {
        let number: f64 = cell.trim().parse().ok()?;
        // Adding 0.0 makes -0.0 the same class as 0.
        number.is_finite().then_some(Self(number + 0.0))
    }
}

impl Eq for Number {}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Display for Number {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(to)
    }
}

/// The classes of one-hot columns: column 0 is class 0, and so on. Nothing if there are fewer than three columns (of two, the last
/// alone is already the class), or a row is not one 1 among 0s.
#[must_use]
pub fn one_hot_classes(table: &Cells) -> Option<Vec<String>> {
    let class = |row: &[String]| {
        let cells: Option<Vec<Number>> = row.iter().map(|cell| Number::parse(cell)).collect();
        let hot: Vec<(usize, Number)> = cells?
            .into_iter()
            .enumerate()
            .filter(|(_, cell)| *cell != Number(0.0))
            .collect();
        match hot.as_slice() {
            [(class, one)] if *one == Number(1.0) => Some(class.to_string()),
            _ => None,
        }
    };
    if table.columns < 3 {
        return None;
    }
    table.values.chunks_exact(table.columns).map(class).collect()
}

/// Whether predictions are class numbers below `classes`, and more than 0 and 1 occur.
#[must_use]
pub fn are_numbers_of(classes: usize, predicted: &[String]) -> bool {
    let numbers: Option<Vec<usize>> = predicted
        .iter()
        .map(|cell| (0..classes).find(|class| Number::parse(cell) == Number::parse(&class.to_string())))
        .collect();
    numbers.is_some_and(|numbers| numbers.iter().any(|&number| number > 1))
}

/// Counts how often each class was predicted as each: numbers in numerical order if all labels of both tables are numbers, else texts
/// in alphabetical order. The flag says whether any label occurs in both tables.
///
/// # Errors
///
/// When the labels cannot be compared, or there are too many classes to draw.
pub fn compare(truth: &Labels, predicted: &Labels) -> crate::Result<(ConfusionMatrix, bool)> {
    truth.none_is_missing()?;
    predicted.none_is_missing()?;
    if truth.cells.len() != predicted.cells.len() {
        return Err(lengths(truth, predicted).into());
    }
    if let (Some(truth_numbers), Some(numbers)) = (truth.numbers(), predicted.numbers()) {
        let known: BTreeSet<Number> = truth_numbers.iter().copied().collect();
        let fraction = numbers
            .iter()
            .position(|number| number.0.fract() != 0.0 && !known.contains(number));
        if let Some(label) = fraction {
            return Err(LabelsError::Fraction {
                file: predicted.file.clone(),
                row: predicted.lines[label],
                cell: predicted.cells[label].clone(),
                true_file: truth.file.clone(),
            }
            .into());
        }
        return Ok(count(&truth_numbers, &numbers)?);
    }
    let texts = |labels: &Labels| {
        labels
            .cells
            .iter()
            .map(|cell| cell.trim().to_owned())
            .collect::<Vec<_>>()
    };
    Ok(count(&texts(truth), &texts(predicted))?)
}

fn count<L: Ord + Display>(truth: &[L], predicted: &[L]) -> Result<(ConfusionMatrix, bool), PlotError> {
    let known: BTreeSet<&L> = truth.iter().collect();
    let shared = predicted.iter().any(|label| known.contains(label));
    Ok((ConfusionMatrix::count(truth, predicted)?, shared))
}

/// Whether the first cell occurs again, so that it is a class rather than a header.
fn first_recurs(labels: &Labels) -> bool {
    labels
        .cells
        .first()
        .is_some_and(|first| labels.cells[1..].contains(first))
}

/// Says which switch of the form most likely makes the two lengths equal. (Whether the first prediction is a class does not tell: the
/// header that `model_prediction` writes can itself look like one, `0`.)
fn lengths(truth: &Labels, predicted: &Labels) -> LabelsError {
    let one_too_many = |longer: &Labels, shorter: &Labels| longer.cells.len() == shorter.cells.len() + 1;
    let taken = |labels: &Labels| {
        let file = labels.file.display();
        format!("was the first row of {file} taken for a header? set its 'Does the dataset contain header' to No")
    };
    let counted = |labels: &Labels| {
        let (file, first) = (labels.file.display(), labels.cells.first().map_or("", String::as_str));
        format!("is the first row of {file} ('{first}') a header? set its 'Does the dataset contain header' to Yes")
    };
    let hint = if one_too_many(predicted, truth) && !predicted.header {
        counted(predicted)
    } else if one_too_many(truth, predicted) && !truth.header && !(predicted.header && first_recurs(truth)) {
        counted(truth)
    } else if one_too_many(truth, predicted) && predicted.header {
        taken(predicted)
    } else if one_too_many(predicted, truth) && truth.header {
        taken(truth)
    } else {
        "are the predictions of the same samples?".to_owned()
    };
    LabelsError::Lengths {
        true_file: truth.file.clone(),
        truth: truth.cells.len(),
        predicted_file: predicted.file.clone(),
        predictions: predicted.cells.len(),
        hint,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(cells: &str) -> Vec<String> {
        cells.split_whitespace().map(str::to_owned).collect()
    }

    fn labels(file: &str, header: bool, cells: &str) -> Labels {
        let cells = texts(cells);
        let first = 1 + usize::from(header);
        Labels {
            file: file.into(),
            header,
            lines: (first..first + cells.len()).collect(),
            cells,
        }
    }

    fn truth(header: bool, cells: &str) -> Labels {
        labels("y_test.tsv", header, cells)
    }

    fn predicted(header: bool, cells: &str) -> Labels {
        labels("predicted.tsv", header, cells)
    }

    fn counted(truth_cells: &str, predicted_cells: &str) -> (Vec<String>, Vec<Vec<u32>>) {
        let (matrix, _) = compare(&truth(false, truth_cells), &predicted(false, predicted_cells)).unwrap();
        (matrix.labels().to_vec(), matrix.rows().map(<[u32]>::to_vec).collect())
    }

    fn error(truth: &Labels, predicted: &Labels) -> String {
        let error = compare(truth, predicted).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    }

    #[test]
    fn integers_and_the_same_numbers_printed_as_floats_are_one_class() {
        let (labels, rows) = counted("0 1 1 0", "0.0 1.0 0.0 -0.0");
        assert_eq!(labels, ["0", "1"]);
        assert_eq!(rows, [[2, 0], [1, 1]]);
    }

    #[test]
    fn numbers_are_in_numerical_order() {
        let (labels, _) = counted("10 9 -1 2.5", "9 10 -1 2.5");
        assert_eq!(labels, ["-1", "2.5", "9", "10"]);
    }

    #[test]
    fn texts_are_in_alphabetical_order_and_never_read_as_numbers() {
        let (labels, _) = counted("b 10 a 9", "b 10 a 1e1");
        assert_eq!(labels, ["10", "1e1", "9", "a", "b"]);
    }

    #[test]
    fn tables_without_a_common_label_are_told_apart() {
        let shared = |predictions| {
            compare(&truth(false, "AML ALL AML"), &predicted(false, predictions))
                .unwrap()
                .1
        };
        assert!(!shared("0 1 0"));
        assert!(shared("ALL ALL ALL"));
    }

    #[test]
    fn a_forgotten_header_of_the_predictions_is_named() {
        assert_eq!(
            error(&truth(true, "0 1 1"), &predicted(false, "0 0 1 1")),
            "y_test.tsv holds 3 labels and predicted.tsv holds 4 predictions: is the first row of predicted.tsv ('0') a header? \
             set its \
             'Does the dataset contain header' to Yes"
        );
    }

    #[test]
    fn a_forgotten_header_of_the_labels_is_named() {
        assert_eq!(
            error(&truth(false, "label a b a"), &predicted(true, "a b a")),
            "y_test.tsv holds 4 labels and predicted.tsv holds 3 predictions: is the first row of y_test.tsv ('label') a header? \
             set its \
             'Does the dataset contain header' to Yes"
        );
    }

    #[test]
    fn a_row_lost_as_a_header_is_named() {
        let lost = error(&truth(false, "0 1 0"), &predicted(true, "1 0"));
        assert!(
            lost.ends_with(
                "was the first row of predicted.tsv taken for a header? set its 'Does the dataset contain header' to No"
            ),
            "{lost}"
        );
        let lost = error(&truth(true, "1 1"), &predicted(false, "0 1 1"));
        assert!(
            lost.contains("is the first row of predicted.tsv ('0') a header?"),
            "{lost}"
        );
        let lost = error(&truth(true, "1 1"), &predicted(true, "0 1 1"));
        assert!(
            lost.ends_with(
                "was the first row of y_test.tsv taken for a header? set its 'Does the dataset contain header' to No"
            ),
            "{lost}"
        );
    }

    #[test]
    fn other_lengths_ask_for_the_same_samples() {
        let message = error(&truth(false, "0 1 1"), &predicted(false, "0 1 1 1 0"));
        assert!(
            message.ends_with("are the predictions of the same samples?"),
            "{message}"
        );
    }

    #[test]
    fn missing_labels_are_named_by_their_row() {
        let message = error(&truth(true, "0 1 NaN"), &predicted(true, "0 1 1"));
        assert!(
            message.starts_with("y_test.tsv, row 4: the label is missing ('NaN')"),
            "{message}"
        );
    }

    #[test]
    fn probabilities_are_no_classes() {
        let message = error(&truth(true, "0 1 1"), &predicted(true, "0 0.93 0.4"));
        assert!(
            message.starts_with("predicted.tsv, row 3: '0.93' is no class label of y_test.tsv"),
            "{message}"
        );
    }

    #[test]
    fn one_hot_rows_are_decoded() {
        let rows = |rows: &str| {
            let rows: Vec<Vec<String>> = rows.split('/').map(texts).collect();
            let (columns, lines) = (rows[0].len(), (1..=rows.len()).collect());
            let (names, warnings) = (None, Vec::new());
            Cells {
                file: "y".into(),
                rows: rows.len(),
                columns,
                values: rows.concat(),
                names,
                lines,
                warnings,
            }
        };
        assert_eq!(one_hot_classes(&rows("0 1 0/1 0 0/0.0 0.0 1.0")), Some(texts("1 0 2")));
        assert_eq!(
            one_hot_classes(&rows("0 1/1 0")),
            None,
            "of two columns the last is the class"
        );
        assert_eq!(one_hot_classes(&rows("0 1 1/1 0 0")), None, "two are hot");
        assert_eq!(one_hot_classes(&rows("0 0 0/1 0 0")), None, "none is hot");
        assert_eq!(one_hot_classes(&rows("0 2 0/1 0 0")), None, "not 1");
        assert_eq!(one_hot_classes(&rows("0 a 0/1 0 0")), None, "text");
    }

    #[test]
    fn predictions_are_class_numbers_only_if_more_than_two_classes_show() {
        assert!(are_numbers_of(3, &texts("0 1 2.0")));
        assert!(
            !are_numbers_of(3, &texts("0 1 1")),
            "could be the last of one-hot columns"
        );
        assert!(!are_numbers_of(3, &texts("0 1 3")));
        assert!(!are_numbers_of(3, &texts("0 1 b")));
    }
}
