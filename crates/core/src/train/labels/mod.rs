//! Class labels of any kind (integers, strings, one-hot columns) as class indices and back.
//!
//! A column's kind is decided as pandas decides it: all integers, all numbers, all true or false, else text. Classes are sorted as
//! `numpy.unique` sorts them, and written back as pandas writes them (`1` of an integer column, `1.0` of a column of reals).

mod columns;

use std::path::PathBuf;

use crate::galaxy::table::{Cells, is_missing};

pub use crate::keras::classes::Classes;
use columns::indicator;

/// Labels of a classifier, read from a table.
#[derive(Debug, Clone, PartialEq)]
pub enum Labels {
    /// One class for each row.
    Classes(Encoded),
    /// Any number of classes for each row.
    MultiLabel(Indicators),
}

/// One class for each row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The classes, sorted.
    pub classes: Classes,
    /// The class of each row, as an index into `classes`.
    pub indices: Vec<usize>,
    /// Whether the table has a 0/1 column for each class.
    pub one_hot: bool,
}

/// A 0/1 column for each class.
#[derive(Debug, Clone, PartialEq)]
pub struct Indicators {
    /// Number of rows.
    pub rows: usize,
    /// Number of classes.
    pub columns: usize,
    /// 0 or 1, `[rows, columns]`, row by row.
    pub values: Vec<f32>,
}

/// Why labels cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// A label is missing.
    #[error("{file}: row {row} has no label ({shown}): fill it in or remove the row from both tables", file = file.display(), shown = quoted(cell))]
    Missing {
        /// The table.
        file: PathBuf,
        /// The line in the file.
        row: usize,
        /// What the cell holds.
        cell: String,
    },
    /// Real numbers where there should be classes.
    #[error(
        "{file}: row {row} holds '{value}' where a class is expected; these look like measurements: choose KerasGRegressor as \
         the learning type in the model builder",
        file = file.display()
    )]
    Measurements {
        /// The table.
        file: PathBuf,
        /// The line in the file.
        row: usize,
        /// The first number that is not whole.
        value: String,
    },
    /// Only one class.
    #[error("{file}: all rows have the same label, '{class}': a classifier needs at least two classes", file = file.display())]
    OneClass {
        /// The table.
        file: PathBuf,
        /// The only class.
        class: String,
    },
    /// A label that the model has not learned.
    #[error("{file}: row {row} has the label '{label}', which is none of the known classes: {known}", file = file.display())]
    Unseen {
        /// The table.
        file: PathBuf,
        /// The line in the file.
        row: usize,
        /// The label.
        label: String,
        /// The known classes.
        known: String,
    },
    /// Several columns, but not of 0 and 1.
    #[error(
        "{file}: row {row}, column {column} of the labels holds '{cell}': several label columns must be 0 and 1, one column for \
         each class; select a single column if that holds the labels",
        file = file.display()
    )]
    NotIndicator {
        /// The table.
        file: PathBuf,
        /// The line in the file.
        row: usize,
        /// The column among the selected ones, counted from 1.
        column: usize,
        /// What the cell holds.
        cell: String,
    },
    /// A row of 0/1 columns with no or several classes, where one is needed.
    #[error(
        "{file}: row {row} marks {marked} classes with 1, but each row needs exactly one here",
        file = file.display()
    )]
    NotOneHot {
        /// The table.
        file: PathBuf,
        /// The line in the file.
        row: usize,
        /// How many are marked.
        marked: usize,
    },
    /// Another number of columns than classes.
    #[error(
        "{file}: there are {found} label columns, but {expected} classes: give one column of labels, or one 0/1 column for each class",
        file = file.display()
    )]
    Columns {
        /// The table.
        file: PathBuf,
        /// Label columns found.
        found: usize,
        /// Classes.
        expected: usize,
    },
}

fn quoted(cell: &str) -> String {
    if cell.is_empty() {
        "an empty cell".to_owned()
    } else {
        format!("'{cell}'")
    }
}

/// Reads the labels that a classifier is to learn: one column of labels of any kind, or several columns of 0 and 1 (one-hot if every
/// row marks exactly one class, else multi-label).
///
/// # Errors
///
/// When a label is missing, labels are measurements, there is only one class, or several columns hold more than 0 and 1.
pub fn encode(cells: &Cells) -> Result<Labels, LabelError> {
    if cells.columns > 1 {
        return several_columns(cells);
    }
    let encoded = encode_column(cells)?;
    if encoded.classes.len() < 2 {
        return Err(LabelError::OneClass {
            file: cells.file.clone(),
            class: encoded.classes.name(0),
        });
    }
    Ok(Labels::Classes(encoded))
}

fn encode_column(cells: &Cells) -> Result<Encoded, LabelError> {
    refuse_missing(cells)?;
    let column: Vec<&str> = cells.values.iter().map(String::as_str).collect();
    let classes = Classes::of(&column).map_err(|row| LabelError::Measurements {
        file: cells.file.clone(),
        row: cells.lines[row],
        value: column[row].to_owned(),
    })?;
    let indices = indices_in(&classes, cells)?;
    Ok(Encoded {
        classes,
        indices,
        one_hot: false,
    })
}

/// Reads labels as indices into classes that are known already: the labels of validation or test rows, or of a fitted model.
///
/// One column of labels, or as many 0/1 columns as there are classes.
///
/// # Errors
///
/// When a label is missing or none of the classes, or several columns are not one-hot over these classes.
pub fn encode_with(classes: &Classes, cells: &Cells) -> Result<Vec<usize>, LabelError> {
    if cells.columns == 1 {
        refuse_missing(cells)?;
        return indices_in(classes, cells);
    }
    if cells.columns != classes.len() {
        return Err(LabelError::Columns {
            file: cells.file.clone(),
            found: cells.columns,
            expected: classes.len(),
        });
    }
    let values = indicator_values(cells)?;
    (0..cells.rows)
        .map(|row| {
            marked_class(&values[row * cells.columns..][..cells.columns]).map_err(|marked| LabelError::NotOneHot {
                file: cells.file.clone(),
                row: cells.lines[row],
                marked,
            })
        })
        .collect()
}

/// Reads true and predicted labels as indices into the classes that occur in either, sorted: the rows and columns of a confusion
/// matrix. Only the last column of each table counts, as in the original plot.
///
/// Numbers are compared as numbers, so `1` and `1.0` are the same class.
///
/// # Errors
///
/// When a label is missing or labels are measurements.
pub fn encode_pair(truth: &Cells, predicted: &Cells) -> Result<(Classes, Vec<usize>, Vec<usize>), LabelError> {
    let (truth, predicted) = (columns::last(truth), columns::last(predicted));
    refuse_missing(&truth)?;
    refuse_missing(&predicted)?;
    let both: Vec<&str> = truth
        .values
        .iter()
        .chain(&predicted.values)
        .map(String::as_str)
        .collect();
    let classes = Classes::of(&both).map_err(|index| {
        let (cells, row) = if index < truth.rows {
            (&truth, index)
        } else {
            (&predicted, index - truth.rows)
        };
        let (file, row, value) = (cells.file.clone(), cells.lines[row], both[index].to_owned());
        LabelError::Measurements { file, row, value }
    })?;
    let found = (indices_in(&classes, &truth)?, indices_in(&classes, &predicted)?);
    // Predictions may be written as reals where the labels are integers: the labels' spelling is the one to show.
    let integral = truth.values.iter().all(|label| label.trim().parse::<i64>().is_ok());
    let classes = match classes {
        Classes::Reals(numbers) if integral => Classes::Integers(numbers),
        other => other,
    };
    Ok((classes, found.0, found.1))
}

fn refuse_missing(cells: &Cells) -> Result<(), LabelError> {
    match cells.values.iter().position(|cell| is_missing(cell)) {
        Some(index) => Err(LabelError::Missing {
            file: cells.file.clone(),
            row: cells.lines[index / cells.columns],
            cell: cells.values[index].clone(),
        }),
        None => Ok(()),
    }
}

fn indices_in(classes: &Classes, cells: &Cells) -> Result<Vec<usize>, LabelError> {
    let index = classes.index();
    let found = cells.values.iter().enumerate().map(|(row, label)| {
        index.get(label).ok_or_else(|| LabelError::Unseen {
            file: cells.file.clone(),
            row: cells.lines[row],
            label: label.clone(),
            known: classes.listed(),
        })
    });
    found.collect()
}

fn indicator_values(cells: &Cells) -> Result<Vec<f32>, LabelError> {
    refuse_missing(cells)?;
    let values = cells.values.iter().enumerate().map(|(index, cell)| {
        indicator(cell).ok_or_else(|| LabelError::NotIndicator {
            file: cells.file.clone(),
            row: cells.lines[index / cells.columns],
            column: index % cells.columns + 1,
            cell: cell.clone(),
        })
    });
    values.collect()
}

fn several_columns(cells: &Cells) -> Result<Labels, LabelError> {
    let values = indicator_values(cells)?;
    let rows = values.chunks_exact(cells.columns).map(marked_class);
    Ok(match rows.collect::<Result<Vec<usize>, _>>() {
        Ok(indices) => Labels::Classes(Encoded {
            classes: Classes::numbered(cells.columns),
            indices,
            one_hot: true,
        }),
        Err(_) => Labels::MultiLabel(Indicators {
            rows: cells.rows,
            columns: cells.columns,
            values,
        }),
    })
}

/// The only class that a row of 0 and 1 marks, or how many it marks.
fn marked_class(row: &[f32]) -> Result<usize, usize> {
    let mut marked = row
        .iter()
        .enumerate()
        .filter(|(_, value)| **value > 0.5)
        .map(|(column, _)| column);
    match (marked.next(), marked.count()) {
        (Some(class), 0) => Ok(class),
        (None, _) => Err(0),
        (Some(_), others) => Err(1 + others),
    }
}

#[cfg(test)]
mod tests;
