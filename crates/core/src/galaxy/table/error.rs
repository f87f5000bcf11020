//! What can be wrong with a table, told so that it can be put right.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::galaxy::columns::ColumnError;

/// Why a table cannot be read: the file, and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {problem}", file = file.display())]
pub struct TableError {
    /// The table's file.
    pub file: PathBuf,
    /// What is wrong.
    pub problem: TableProblem,
}

impl TableError {
    pub(super) fn new(file: &Path, problem: impl Into<TableProblem>) -> Self {
        Self {
            file: file.to_path_buf(),
            problem: problem.into(),
        }
    }
}

/// What is wrong with a table. Rows are the file's lines, columns its cells, both counted from 1.
#[derive(Debug, thiserror::Error)]
pub enum TableProblem {
    /// The file cannot be opened or read.
    #[error("the file cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// The file is gzipped, but damaged.
    #[error("the file is gzipped but cannot be decompressed, it may be truncated: {0}")]
    Gzip(io::Error),
    /// The file holds no row at all.
    #[error("the file is empty: it should hold a tab-separated table")]
    Empty,
    /// The file is something else.
    #[error("the file is {0}, not a table: choose a tab-separated text dataset")]
    Foreign(&'static str),
    /// There is a header and nothing below it.
    #[error(
        "the file holds a header but no rows: if its only line is data, set 'Does the dataset contain header' to No"
    )]
    HeaderOnly,
    /// A row has more or fewer cells than the table's first.
    #[error(
        "row {row} has {found} column{}, but row {first} has {expected}: every row needs as many cells, with one tab between \
         two cells",
        if *found == 1 { "" } else { "s" }
    )]
    Ragged {
        /// The odd row.
        row: usize,
        /// Its number of cells.
        found: usize,
        /// The row it is compared with.
        first: usize,
        /// The number of cells there.
        expected: usize,
    },
    /// The chosen columns do not fit the table.
    #[error(transparent)]
    Columns(#[from] ColumnError),
    /// A row of text where there should be numbers, above rows of numbers.
    #[error(
        "row {row}, column {column} holds text ('{cell}'): is it a header? set 'Does the dataset contain header' to Yes"
    )]
    SuspectedHeader {
        /// The first row.
        row: usize,
        /// The column.
        column: usize,
        /// What the cell holds.
        cell: String,
    },
    /// A cell that should hold a number does not.
    #[error("row {row}, {column}: {fault}")]
    Cell {
        /// The row.
        row: usize,
        /// The column and its name.
        column: Place,
        /// What is wrong with the cell.
        fault: CellFault,
    },
    /// The text is in another encoding.
    #[error("row {row} is not UTF-8 text: convert the file to UTF-8")]
    NotUtf8 {
        /// The row.
        row: usize,
    },
}

/// A column, with its name if there is a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The column, counted from 1.
    pub number: usize,
    /// Its name in the header.
    pub name: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(to, "column {} ('{name}')", self.number),
            None => write!(to, "column {}", self.number),
        }
    }
}

/// Why a cell is not a number that a network can learn from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CellFault {
    /// Nothing is in the cell, or a sign for nothing.
    #[error(
        "the value is missing ({}): networks cannot handle missing values, so fill it in or remove the row or the column",
        shown_missing(.0)
    )]
    Missing(String),
    /// An infinite number, or one beyond single precision.
    #[error("'{0}' is too large: networks compute in single precision, up to 3.4e38, so scale the column")]
    TooLarge(String),
    /// Words.
    #[error("the cell holds text ('{0}') instead of a number: correct it, or leave the column out")]
    Text(String),
    /// A number with a comma.
    #[error("'{0}' has a comma in it: write numbers with a decimal point and without thousands separators")]
    DecimalComma(String),
    /// A whole row between commas.
    #[error("the cell holds a whole row between commas ('{0}'): the table should be separated by tabs, so convert it")]
    CommaSeparated(String),
}

fn shown_missing(cell: &str) -> String {
    if cell.is_empty() {
        "an empty cell".to_owned()
    } else {
        format!("'{cell}'")
    }
}
