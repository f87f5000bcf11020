//! Rows to learn from or to judge by.

use crate::nn::kernels::rows::gather;

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
