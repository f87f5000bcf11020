//! Blocks of lines as rows of numbers.
//!
//! Fast path: tables of counts, pixels or word ids are short integers, and expression tables plain decimals. Such rows are read in one
//! pass without looking for the line's end first. Whatever else a row holds (quotes, spaces, words, too few cells), the careful path
//! reads it again from its start, and finds the words for what is wrong.

use super::blocks::{self, cells, is_blank};
use super::error::{CellFault, Place, TableProblem};
use super::{Layout, number};

/// A row that does not fit.
#[derive(Debug)]
pub(super) struct Misfit {
    /// The line in its block, counted from 0.
    line: usize,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Another number of cells than in the first row.
    Ragged { found: usize },
    /// Not UTF-8.
    NotUtf8,
    /// A selected cell, counted from 0 among the selected, is not a number; whether the same cell of the next row is one.
    Cell {
        column: usize,
        fault: CellFault,
        number_below: bool,
    },
}

impl Misfit {
    /// The problem in the file's terms; `row` is the line in the file at which the block starts.
    pub(super) fn problem(self, row: usize, layout: &Layout) -> TableProblem {
        let row = row + self.line;
        match self.kind {
            Kind::Ragged { found } => TableProblem::Ragged {
                row,
                found,
                first: layout.first_row,
                expected: layout.physical,
            },
            Kind::NotUtf8 => TableProblem::NotUtf8 { row },
            Kind::Cell {
                column,
                fault: CellFault::Text(cell),
                number_below: true,
            } if row == layout.first_row && !layout.header => TableProblem::SuspectedHeader {
                row,
                column: layout.physical_of(column) + 1,
                cell,
            },
            Kind::Cell { column, fault, .. } => {
                let name = layout.names.as_ref().map(|names| names[column].clone());
                TableProblem::Cell {
                    row,
                    column: Place {
                        number: layout.physical_of(column) + 1,
                        name,
                    },
                    fault,
                }
            }
        }
    }
}

/// Reads a block of whole lines; the selected cells go into `values`, row by row. Gives the number of lines, blank ones included.
pub(super) fn parse(block: &[u8], layout: &Layout, values: &mut Vec<f32>) -> Result<usize, Misfit> {
    values.clear();
    let mut starts = Vec::new();
    let (mut at, mut lines) = (0, 0);
    while at < block.len() {
        let before = values.len();
        let next = match &layout.selected {
            None => fast_row(block, at, layout.physical, values),
            Some(selected) => fast_selection(block, at, layout.physical, selected, &mut starts, values),
        };
        at = if let Some(next) = next {
            next
        } else {
            values.truncate(before);
            let (line, below) = blocks::split_line(&block[at..]);
            careful_row(line, layout, values).map_err(|kind| Misfit {
                line: lines,
                kind: kind.looking_below(below, layout),
            })?;
            block.len() - below.len()
        };
        lines += 1;
    }
    Ok(lines)
}

/// Reads all cells of the row at `at`; gives the start of the next row, or nothing if the row is out of the ordinary.
#[inline]
fn fast_row(block: &[u8], mut at: usize, columns: usize, values: &mut Vec<f32>) -> Option<usize> {
    for _ in 1..columns {
        let (value, end) = fast_cell(block, at)?;
        if *block.get(end)? != b'\t' {
            return None;
        }
        values.push(value);
        at = end + 1;
    }
    let (value, end) = fast_cell(block, at)?;
    values.push(value);
    line_end(block, end)
}

/// Reads the selected cells of the row at `at`; gives the start of the next row, or nothing if the row is out of the ordinary.
fn fast_selection(
    block: &[u8],
    at: usize,
    columns: usize,
    selected: &[usize],
    starts: &mut Vec<usize>,
    values: &mut Vec<f32>,
) -> Option<usize> {
    starts.clear();
    starts.push(at);
    let mut end = at;
    while end < block.len() && block[end] != b'\n' {
        end += 1;
        if block[end - 1] == b'\t' {
            starts.push(end);
        }
    }
    if starts.len() != columns {
        return None;
    }
    for &column in selected {
        let (value, end) = fast_cell(block, starts[column])?;
        if block
            .get(end)
            .is_some_and(|after| !matches!(after, b'\t' | b'\n' | b'\r'))
        {
            return None;
        }
        values.push(value);
    }
    Some((end + 1).min(block.len()))
}

/// Where the next line starts, if a line ends at `end`.
#[inline]
fn line_end(block: &[u8], end: usize) -> Option<usize> {
    match block.get(end) {
        Some(b'\n') => Some(end + 1),
        Some(b'\r') if block.get(end + 1) == Some(&b'\n') => Some(end + 2),
        None => Some(end),
        Some(_) => None,
    }
}

/// The number at `at` and where it ends, if it is a short integer or a plain decimal.
#[inline]
fn fast_cell(block: &[u8], at: usize) -> Option<(f32, usize)> {
    let cell = block.get(at..)?;
    // Most cells of counts and pixels are one digit. A branch that is predicted does not wait for the digits before it, so this more than
    // halves the time for such tables.
    if let [digit @ b'0'..=b'9', b'\t' | b'\n', ..] = cell {
        return Some((f32::from(digit - b'0'), at + 1));
    }
    let negative = cell.first() == Some(&b'-');
    let unsigned = &cell[usize::from(negative)..];
    if let Some((integer, digits)) = number::short_integer(unsigned)
        && matches!(unsigned[digits], b'\t' | b'\n')
    {
        #[expect(
            clippy::cast_precision_loss,
            reason = "at most seven digits, which single precision holds exactly"
        )]
        let value = integer as f32;
        return Some((
            if negative { -value } else { value },
            at + usize::from(negative) + digits,
        ));
    }
    decimal(cell).map(|(value, length)| (value, at + length))
}

/// The number at the start of `text` and its length, if it is made of digits, point, exponent and signs only.
fn decimal(text: &[u8]) -> Option<(f32, usize)> {
    let of_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E');
    let length = text.iter().position(|byte| !of_number(byte)).unwrap_or(text.len());
    let value: f64 = std::str::from_utf8(&text[..length]).ok()?.parse().ok()?;
    let value = number::single(value);
    value.is_finite().then_some((value, length))
}

/// Reads a row of any kind, or says what is wrong with it.
fn careful_row(line: &[u8], layout: &Layout, values: &mut Vec<f32>) -> Result<(), Kind> {
    if is_blank(line) {
        return Ok(());
    }
    let row: Vec<&[u8]> = cells(line).collect();
    if row.len() != layout.physical {
        return Err(Kind::Ragged { found: row.len() });
    }
    for column in 0..layout.columns() {
        let cell = blocks::text(row[layout.physical_of(column)]).map_err(|_| Kind::NotUtf8)?;
        let value = number::parse(&cell).map_err(|fault| Kind::Cell {
            column,
            fault,
            number_below: false,
        })?;
        values.push(value);
    }
    Ok(())
}

impl Kind {
    /// Looks at the rows below a cell that is not a number.
    fn looking_below(self, below: &[u8], layout: &Layout) -> Self {
        let Self::Cell { column, fault, .. } = self else {
            return self;
        };
        let next = blocks::lines(below).map(|(_, line)| line).find(|line| !is_blank(line));
        let cell = next.and_then(|line| cells(line).nth(layout.physical_of(column)));
        let number_below = cell.is_some_and(|cell| blocks::text(cell).is_ok_and(|cell| number::parse(&cell).is_ok()));
        Self::Cell {
            column,
            fault,
            number_below,
        }
    }
}
