//! What the rows should become, as the loss and the model's output want it.

use crate::galaxy::inputs::TableInput;
use crate::galaxy::table::{self, Cells, Matrix};
use crate::keras::classes::Classes;
use crate::keras::estimator::LearningType;
use crate::keras::loss::{Loss, Target};
use crate::train::labels::{self, Labels};
use crate::{Error, Result};

/// The table of labels or target values, read.
#[derive(Debug)]
pub(super) enum Truth {
    /// One class a row.
    Classes {
        cells: Cells,
        classes: Classes,
        indices: Vec<usize>,
    },
    /// Any number of classes a row: 0 or 1, `[rows, columns]`.
    MultiLabel {
        cells: Cells,
        columns: usize,
        values: Vec<f32>,
    },
    /// Target values, `[rows, columns]`.
    Values { matrix: Matrix },
}

impl Truth {
    pub(super) fn read(table: &TableInput, learning_type: LearningType) -> Result<(Self, Vec<String>)> {
        if learning_type == LearningType::KerasGRegressor {
            let mut matrix = table::read_matrix(&table.path, table.header, &table.columns)?;
            let warnings = std::mem::take(&mut matrix.warnings);
            return Ok((Self::Values { matrix }, warnings));
        }
        let mut cells = table::read_cells(&table.path, table.header, &table.columns)?;
        let warnings = std::mem::take(&mut cells.warnings);
        let truth = match labels::encode(&cells)? {
            Labels::Classes(encoded) => Self::Classes {
                cells,
                classes: encoded.classes,
                indices: encoded.indices,
            },
            Labels::MultiLabel(marks) => Self::MultiLabel {
                cells,
                columns: marks.columns,
                values: marks.values,
            },
        };
        Ok((truth, warnings))
    }

    pub(super) fn rows(&self) -> usize {
        match self {
            Self::Classes { indices, .. } => indices.len(),
            Self::MultiLabel { cells, .. } => cells.rows,
            Self::Values { matrix } => matrix.rows,
        }
    }

    /// The classes, for an estimator that tells one class a row.
    pub(super) fn classes(&self) -> Option<&Classes> {
        match self {
            Self::Classes { classes, .. } => Some(classes),
            _ => None,
        }
    }

    /// The truth as numbers for `loss` and an output of `width` values a row: values, and how many there are a row.
    ///
    /// Integer labels that are numbers below the output's width are taken for the numbers of its units, even where some class has
    /// no row: the classes are then all of them.
    ///
    /// # Errors
    /// The labels do not fit the output.
    pub(super) fn for_loss(&mut self, loss: Loss, width: usize) -> Result<(Vec<f32>, usize)> {
        match self {
            Self::Classes { classes, indices, .. } => {
                if classes.len() < width && width > 1 {
                    number_all(classes, indices, width);
                }
                let count = classes.len();
                match (loss.target(), width) {
                    (Target::ClassNumber, _) if count <= width => {
                        Ok((indices.iter().map(|&index| number(index)).collect(), 1))
                    }
                    (Target::LikeOutput, 1) if count == 2 => {
                        Ok((indices.iter().map(|&index| number(index)).collect(), 1))
                    }
                    (Target::OneHot | Target::LikeOutput, _) if count == width => {
                        let mut values = vec![0.0; indices.len() * width];
                        for (row, &index) in indices.iter().enumerate() {
                            values[row * width + index] = 1.0;
                        }
                        Ok((values, width))
                    }
                    _ => Err(Error::Input(format!(
                        "the labels have {count} classes ({}), but the model's last layer has {width} {} and the loss is {}: {}",
                        listed(classes),
                        if width == 1 { "unit" } else { "units" },
                        loss.name(),
                        advice(count)
                    ))),
                }
            }
            Self::MultiLabel { columns, values, .. } => {
                if *columns == width && loss.target() != Target::ClassNumber {
                    return Ok((values.clone(), width));
                }
                Err(Error::Input(format!(
                    "there are {columns} label columns, but the model's last layer has {width} units and the loss is {}: rows with \
                     several classes need a unit for each column and a loss such as binary_crossentropy",
                    loss.name()
                )))
            }
            Self::Values { matrix } => {
                if loss.target() == Target::ClassNumber {
                    return class_numbers(matrix, width);
                }
                if matrix.columns == width {
                    return Ok((matrix.values.clone(), width));
                }
                Err(Error::Input(format!(
                    "there are {} target columns, but the model's last layer has {width} units: choose {width} target columns, or \
                     give the last layer {} units",
                    matrix.columns, matrix.columns
                )))
            }
        }
    }
}

/// A class number as the engine computes with it.
#[expect(
    clippy::cast_precision_loss,
    reason = "there are far fewer classes than the 2^24 that f32 tells apart"
)]
fn number(class: usize) -> f32 {
    class as f32
}

/// A regressor's target column as class numbers for the sparse loss.
fn class_numbers(matrix: &Matrix, width: usize) -> Result<(Vec<f32>, usize)> {
    let valid = |value: f32| value >= 0.0 && value.fract() == 0.0 && value < number(width);
    match matrix.values.iter().position(|&value| !valid(value)) {
        None if matrix.columns == 1 => Ok((matrix.values.clone(), 1)),
        None => Err(Error::Input(
            "sparse_categorical_crossentropy needs one column of class numbers: choose one column".into(),
        )),
        Some(index) => Err(Error::Input(format!(
            "row {} of the target values holds {}, but sparse_categorical_crossentropy needs class numbers from 0 to {} (the last \
             layer has {width} units)",
            index / matrix.columns + 1,
            matrix.values[index],
            width - 1
        ))),
    }
}

/// Takes integer labels below `width` for the numbers of the classes themselves.
fn number_all(classes: &mut Classes, indices: &mut [usize], width: usize) {
    let Classes::Integers(known) = &*classes else { return };
    let numbers: Option<Vec<usize>> = known
        .iter()
        .map(|&label| usize::try_from(label).ok().filter(|&number| number < width))
        .collect();
    if let Some(numbers) = numbers {
        for index in indices {
            *index = numbers[*index];
        }
        *classes = Classes::numbered(width);
    }
}

fn listed(classes: &Classes) -> String {
    let names = classes.names();
    match names.len() {
        0..=12 => names.join(", "),
        _ => format!("{}, ...", names[..12].join(", ")),
    }
}

fn advice(count: usize) -> String {
    if count == 2 {
        "give the last layer 1 unit with sigmoid and binary_crossentropy, or 2 units with softmax and categorical_crossentropy".into()
    } else {
        format!("give the last layer {count} units with softmax and the loss categorical_crossentropy")
    }
}
