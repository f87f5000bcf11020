//! Tab-separated tables, plain or gzipped, read into numbers or text with errors that name file, row and column.
//!
//! Lines may end in LF or CRLF, the last one in nothing; blank lines are skipped, a byte order mark and quotes around cells are
//! dropped. A header with one column less than the rows, as R writes it, means that the first column holds row names (as in pandas):
//! that column is left out, and the columns are counted behind it.
//!
//! Tables are read in blocks of whole lines. In [`read_matrix`] the blocks are parsed in parallel, and cells that are short integers or
//! plain decimals take a fast path; a row that holds anything else is read again with care, which also words the errors.

mod blocks;
mod error;
mod number;
mod rows;

use std::path::{Path, PathBuf};

use rayon::prelude::*;

pub use error::{CellFault, Place, TableError, TableProblem};
pub(crate) use number::is_missing;

use super::columns::Selector;
use blocks::Blocks;

/// The numbers of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// Number of rows.
    pub rows: usize,
    /// Number of selected columns.
    pub columns: usize,
    /// The cells, `[rows, columns]`, row by row.
    pub values: Vec<f32>,
    /// The selected columns' names, if the table has a header.
    pub names: Option<Vec<String>>,
    /// What the user should know, one sentence each, for stdout.
    pub warnings: Vec<String>,
}

/// The texts of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cells {
    /// The file, for messages.
    pub file: PathBuf,
    /// Number of rows.
    pub rows: usize,
    /// Number of selected columns.
    pub columns: usize,
    /// The cells, `[rows, columns]`, row by row.
    pub values: Vec<String>,
    /// The selected columns' names, if the table has a header.
    pub names: Option<Vec<String>>,
    /// The line of the file, counted from 1, that each row stands in.
    pub lines: Vec<usize>,
    /// What the user should know, one sentence each, for stdout.
    pub warnings: Vec<String>,
}

impl Cells {
    /// The cells of a row, counted from 0.
    #[must_use]
    pub fn row(&self, row: usize) -> &[String] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    /// The cells of a column, counted from 0, from top to bottom.
    #[must_use]
    pub fn column(&self, column: usize) -> impl ExactSizeIterator<Item = &String> {
        self.values.iter().skip(column).step_by(self.columns)
    }
}

/// Reads the selected columns of the table at `path` as numbers.
///
/// # Errors
///
/// When the file is missing, empty, not text or damaged, its rows have different lengths, a selected column does not exist, or a
/// selected cell holds no finite number.
pub fn read_matrix(path: &Path, header: bool, selector: &Selector) -> Result<Matrix, TableError> {
    matrix(path, header, selector).map_err(|problem| TableError::new(path, problem))
}

/// Reads the selected columns of the table at `path` as texts: labels, groups, predictions.
///
/// # Errors
///
/// When the file is missing, empty, not text or damaged, its rows have different lengths, a selected column does not exist, or its
/// first row looks like a header but is not to be read as one (text above nothing but numbers).
pub fn read_cells(path: &Path, header: bool, selector: &Selector) -> Result<Cells, TableError> {
    cells(path, header, selector).map_err(|problem| TableError::new(path, problem))
}

/// A table that has been opened: its shape is known, its rows are not read yet.
struct Opened {
    blocks: Blocks,
    /// The first lines of the file.
    first: Vec<u8>,
    /// Where in `first` the rows begin, in bytes.
    start: usize,
    layout: Layout,
    warnings: Vec<String>,
}

/// Where the selected cells of a row are.
struct Layout {
    /// Cells in a row of the file.
    physical: usize,
    /// The selected cells, counted from 0; nothing when they are all, in their order.
    selected: Option<Vec<usize>>,
    /// The line of the first row, counted from 1.
    first_row: usize,
    /// The selected columns' names.
    names: Option<Vec<String>>,
    /// Whether there is a header.
    header: bool,
}

impl Layout {
    fn columns(&self) -> usize {
        self.selected.as_ref().map_or(self.physical, Vec::len)
    }

    /// The place in the file of a selected column.
    fn physical_of(&self, column: usize) -> usize {
        self.selected.as_ref().map_or(column, |selected| selected[column])
    }
}

fn open(path: &Path, header: bool, selector: &Selector) -> Result<Opened, TableProblem> {
    let mut blocks = Blocks::open(path)?;
    // The header and two rows: what is needed to know the shape and to recognise a forgotten header.
    let rows = |block: &[u8]| blocks::lines(block).filter(|(_, line)| !blocks::is_blank(line)).count();
    let mut first = Vec::new();
    blocks.next_with(&mut first, |block| rows(block) > 2)?;
    let mut rows = blocks::lines(&first)
        .enumerate()
        .filter(|(_, (_, line))| !blocks::is_blank(line));
    let head = if header {
        Some(rows.next().ok_or(TableProblem::Empty)?)
    } else {
        None
    };
    let missing_rows = if header {
        TableProblem::HeaderOnly
    } else {
        TableProblem::Empty
    };
    let (before, (start, line)) = rows.next().ok_or(missing_rows)?;
    let (first_row, physical) = (before + 1, blocks::cells(line).count());
    let mut names = None;
    if let Some((before, (_, line))) = head {
        let row = before + 1;
        let header = blocks::cells(line).map(blocks::text).collect::<Result<Vec<_>, _>>();
        let header = header.map_err(|_| TableProblem::NotUtf8 { row })?;
        if header.len() != physical && header.len() + 1 != physical {
            let (found, expected) = (physical, header.len());
            return Err(TableProblem::Ragged {
                row: first_row,
                found,
                first: row,
                expected,
            });
        }
        names = Some(header);
    }
    drop(rows);

    let mut warnings = Vec::new();
    let row_names = names.as_ref().map_or(0, |header| physical - header.len());
    if row_names == 1 {
        warnings.push(format!(
            "{}: the header has one column less than the rows, so the first column is taken for row names and left out",
            path.display()
        ));
    }
    let mut selected = selector.resolve(names.as_deref(), physical - row_names)?;
    names = names.map(|header| selected.iter().map(|&column| header[column].clone()).collect());
    warnings.extend(names.as_deref().and_then(|names| numbers_as_header(path, names)));
    for column in &mut selected {
        *column += row_names;
    }
    let all = selected.iter().copied().eq(0..physical);
    let selected = (!all).then_some(selected);
    let layout = Layout {
        physical,
        selected,
        first_row,
        names,
        header,
    };
    Ok(Opened {
        blocks,
        first,
        start,
        layout,
        warnings,
    })
}

/// A warning if a header holds nothing but numbers, as the first row of a table without a header does. Columns that are numbered from
/// 0, as in predictions, are a header.
fn numbers_as_header(path: &Path, names: &[String]) -> Option<String> {
    let numbered = names
        .iter()
        .enumerate()
        .all(|(column, name)| *name == column.to_string());
    if numbered || !names.iter().all(|name| number::parse(name).is_ok()) {
        return None;
    }
    Some(format!(
        "{}: the header holds only numbers ('{}'{}); if that is a row of data, set 'Does the dataset contain header' to No",
        path.display(),
        names.first()?,
        if names.len() > 1 { ", ..." } else { "" }
    ))
}

/// How many blocks are read at a time for each thread that parses them.
const BLOCKS_A_THREAD: usize = 4;

/// A block and its numbers.
struct Parsed {
    block: Vec<u8>,
    values: Vec<f32>,
    lines: Result<usize, rows::Misfit>,
}

fn matrix(path: &Path, header: bool, selector: &Selector) -> Result<Matrix, TableProblem> {
    let Opened {
        mut blocks,
        first,
        start,
        layout,
        warnings,
    } = open(path, header, selector)?;
    let mut values = Vec::new();
    let lines = rows::parse(&first[start..], &layout, &mut values);
    let mut next_row = layout.first_row + lines.map_err(|misfit| misfit.problem(layout.first_row, &layout))?;
    if let Some(size) = blocks.plain_size {
        reserve(&mut values, size, first.len() - start);
    }

    // The buffers are used again and again: fresh ones would cost as many page faults as the matrix itself.
    let mut batch: Vec<Parsed> = Vec::new();
    loop {
        let mut read = 0;
        while read < BLOCKS_A_THREAD * rayon::current_num_threads() {
            if read == batch.len() {
                batch.push(Parsed {
                    block: Vec::new(),
                    values: Vec::new(),
                    lines: Ok(0),
                });
            }
            if !blocks.next(&mut batch[read].block)? {
                break;
            }
            read += 1;
        }
        if read == 0 {
            break;
        }
        batch.truncate(read);
        batch.par_iter_mut().for_each(|parsed| {
            parsed.lines = rows::parse(&parsed.block, &layout, &mut parsed.values);
        });
        for parsed in &mut batch {
            let lines = std::mem::replace(&mut parsed.lines, Ok(0));
            next_row += lines.map_err(|misfit| misfit.problem(next_row, &layout))?;
            values.extend_from_slice(&parsed.values);
        }
    }
    values.shrink_to_fit();
    let columns = layout.columns();
    Ok(Matrix {
        rows: values.len() / columns,
        columns,
        values,
        names: layout.names,
        warnings,
    })
}

/// Makes room for the numbers of a plain file of `size` bytes, of which `read` bytes gave the numbers so far. Only an estimate: memory
/// that is not used is not touched, and given back in the end.
fn reserve(values: &mut Vec<f32>, size: u64, read: usize) {
    let bytes = usize::try_from(size).unwrap_or(usize::MAX);
    let expected = (bytes / read.max(1) + 1).saturating_mul(values.len());
    let most = bytes / 2 + 1;
    // A failure shows where the memory is really needed.
    let _ = values.try_reserve_exact(expected.min(most).saturating_sub(values.len()));
}

fn cells(path: &Path, header: bool, selector: &Selector) -> Result<Cells, TableProblem> {
    let Opened {
        mut blocks,
        first,
        start,
        layout,
        warnings,
    } = open(path, header, selector)?;
    let mut read = Cells {
        file: path.to_path_buf(),
        rows: 0,
        columns: layout.columns(),
        values: Vec::new(),
        names: None,
        lines: Vec::new(),
        warnings,
    };
    let mut row = layout.first_row;
    read.extend(&first[start..], &mut row, &layout)?;
    let mut block = Vec::new();
    while blocks.next(&mut block)? {
        read.extend(&block, &mut row, &layout)?;
    }
    if !layout.header
        && let Some(column) = read.text_above_numbers()
    {
        let (column, cell) = (layout.physical_of(column) + 1, number::shown(&read.row(0)[column]));
        return Err(TableProblem::SuspectedHeader {
            row: layout.first_row,
            column,
            cell,
        });
    }
    read.names = layout.names;
    Ok(read)
}

impl Cells {
    /// Adds the rows of a block whose first line is line `row` of the file.
    fn extend(&mut self, block: &[u8], row: &mut usize, layout: &Layout) -> Result<(), TableProblem> {
        for (_, line) in blocks::lines(block) {
            if !blocks::is_blank(line) {
                let cells: Vec<&[u8]> = blocks::cells(line).collect();
                if cells.len() != layout.physical {
                    let (found, expected) = (cells.len(), layout.physical);
                    return Err(TableProblem::Ragged {
                        row: *row,
                        found,
                        first: layout.first_row,
                        expected,
                    });
                }
                for column in 0..layout.columns() {
                    let cell = blocks::text(cells[layout.physical_of(column)]);
                    self.values.push(cell.map_err(|_| TableProblem::NotUtf8 { row: *row })?);
                }
                self.lines.push(*row);
                self.rows += 1;
            }
            *row += 1;
        }
        Ok(())
    }

    /// The first column that begins with a word and holds nothing but numbers below it, as under a header.
    fn text_above_numbers(&self) -> Option<usize> {
        (0..self.columns).find(|&column| {
            let mut cells = self.column(column);
            let word = cells
                .next()
                .is_some_and(|cell| matches!(number::parse(cell), Err(CellFault::Text(_))));
            word && cells.len() > 0 && cells.all(|cell| number::parse(cell).is_ok())
        })
    }
}

#[cfg(test)]
mod tests;
