//! Rows to learn from or to judge by.

use crate::nn::threads;

/// Inputs and what they should become, row by row.
#[derive(Clone, Debug)]
pub struct Samples {
    /// The inputs, `row` values each.
    pub x: Vec<f32>,
    /// Values of one row of the input.
    pub row: usize,
    /// The truth, `truth_row` values a row.
    pub truth: Vec<f32>,
    /// Values of one row of the truth.
    pub truth_row: usize,
}

impl Samples {
    /// The inputs and the truth of these rows, in their order.
    #[must_use]
    pub fn gather(&self, rows: &[usize]) -> (Vec<f32>, Vec<f32>) {
        (gather(&self.x, self.row, rows), self.truth(rows))
    }

    /// The truth of these rows, in their order.
    #[must_use]
    pub fn truth(&self, rows: &[usize]) -> Vec<f32> {
        gather(&self.truth, self.truth_row, rows)
    }
}

/// Rows of `width` values, picked by number. Rows lie far apart in memory, so that fetching them is shared among the threads.
#[must_use]
pub fn gather(values: &[f32], width: usize, rows: &[usize]) -> Vec<f32> {
    /// Values that a thread fetches at once.
    const CHUNK: usize = 1 << 14;
    let at_once = (CHUNK / width.max(1)).max(1);
    let len = rows.len() * width;
    // To fetch a value costs as much as some multiply-adds.
    threads::build(len, at_once * width, 4 * len, |chunk, picked| {
        let rows = &rows[chunk * at_once..];
        for (picked, &row) in picked.chunks_exact_mut(width.max(1)).zip(rows) {
            picked.copy_from_slice(&values[row * width..(row + 1) * width]);
        }
    })
}
