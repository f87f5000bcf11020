//! Columns of labels.

use crate::galaxy::table::Cells;

/// A cell of a one-hot or multi-label column: 0 or 1, as integer, real or truth value.
pub(super) fn indicator(cell: &str) -> Option<f32> {
    match cell.trim() {
        "True" | "TRUE" | "true" => Some(1.0),
        "False" | "FALSE" | "false" => Some(0.0),
        number => match number.parse::<f64>() {
            Ok(0.0) => Some(0.0),
            Ok(1.0) => Some(1.0),
            _ => None,
        },
    }
}

/// The last column of a table.
pub(super) fn last(cells: &Cells) -> Cells {
    Cells {
        file: cells.file.clone(),
        rows: cells.rows,
        columns: 1,
        values: cells.column(cells.columns - 1).cloned().collect(),
        names: cells.names.as_ref().map(|names| names[cells.columns - 1..].to_vec()),
        lines: cells.lines.clone(),
        warnings: Vec::new(),
    }
}
