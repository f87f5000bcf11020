//! The dense layer: `y = x w + b`, with `x` `[rows, inputs]`, `w` `[inputs, units]`, `b` `[units]`, `y` `[rows, units]`.
//!
//! A layer on inputs of higher rank calls this with all leading axes folded into `rows`. Large products leave out what is zero, as much
//! is behind a relu, in either direction: see [`super::gemm`].

use super::bias::sum_cells;
use super::conv::{self, ConvGeometry};
use super::gemm::{Matrix, product, transpose};
use super::window::Padding;

/// The sizes of a dense layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DenseShape {
    /// Rows of the input: the batch, times any axes between it and the last.
    pub rows: usize,
    /// Values of a row, the input's last axis.
    pub inputs: usize,
    /// Values of a row of the output.
    pub units: usize,
}

/// `y = x w + b`, `[rows, units]`.
///
/// # Panics
/// When a slice is not as long as `shape` says.
#[must_use]
pub fn forward(shape: DenseShape, x: &[f32], w: &[f32], b: Option<&[f32]>) -> Vec<f32> {
    let DenseShape { rows, inputs, units } = shape;
    product(Matrix::new(x, rows, inputs), Matrix::new(w, inputs, units), b)
}

/// The gradient for `x`: `dy wᵀ`, `[rows, inputs]`.
///
/// For a batch it is computed as a convolution of one cell: of fewer units than rows with the small `wᵀ` for a kernel, else as the
/// transpose of `w dyᵀ`. Then each row of `w` is a patch and each row of the batch a filter, so `w` is read as it lies and only the small
/// `dyᵀ` is rearranged. Many rows are worth rearranging `w`.
///
/// # Panics
/// When a slice is not as long as `shape` says.
#[must_use]
pub fn backward_input(shape: DenseShape, w: &[f32], dy: &[f32]) -> Vec<f32> {
    const FEW_ROWS: usize = 128;
    let DenseShape { rows, inputs, units } = shape;
    let cell = |filters| ConvGeometry::new(&[1], units, &[1], filters, &[1], &[1], Padding::Valid);
    if units < rows
        && units <= FEW_ROWS
        && let Ok(cell) = cell(inputs)
    {
        let mut turned = vec![0.0; w.len()];
        transpose(w, inputs, units, &mut turned);
        return conv::forward(&cell, dy, &turned, None);
    }
    if rows <= FEW_ROWS
        && let Ok(cell) = cell(rows)
    {
        let (mut turned, mut dx) = (vec![0.0; units * rows], vec![0.0; rows * inputs]);
        transpose(dy, rows, units, &mut turned);
        transpose(&conv::forward(&cell, w, &turned, None), inputs, rows, &mut dx);
        return dx;
    }
    let w = Matrix::new(w, inputs, units).transposed();
    product(Matrix::new(dy, rows, units), w, None)
}

/// The gradient for `w`: `xᵀ dy`, `[inputs, units]`.
///
/// # Panics
/// When a slice is not as long as `shape` says.
#[must_use]
pub fn backward_weights(shape: DenseShape, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let DenseShape { rows, inputs, units } = shape;
    product(
        Matrix::new(x, rows, inputs).transposed(),
        Matrix::new(dy, rows, units),
        None,
    )
}

/// The gradient for `b`: the sum of `dy` over the rows, `[units]`.
///
/// # Panics
/// When `dy` is not `[rows, units]`.
#[must_use]
pub fn backward_bias(shape: DenseShape, dy: &[f32]) -> Vec<f32> {
    assert_eq!(
        dy.len(),
        shape.rows * shape.units,
        "gradients [{}, {}]",
        shape.rows,
        shape.units
    );
    sum_cells(dy, shape.units)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{assert_close, assert_slopes, values};
    use super::*;
    use crate::nn::threads;

    fn naive(shape: DenseShape, x: &[f32], w: &[f32], b: &[f32]) -> Vec<f64> {
        let mut y = Vec::new();
        for row in x.chunks_exact(shape.inputs) {
            for unit in 0..shape.units {
                let products = row
                    .iter()
                    .enumerate()
                    .map(|(i, v)| f64::from(*v) * f64::from(w[i * shape.units + unit]));
                y.push(products.sum::<f64>() + f64::from(b[unit]));
            }
        }
        y
    }

    fn case(shape: DenseShape) -> [Vec<f32>; 4] {
        let DenseShape { rows, inputs, units } = shape;
        [
            values(rows * inputs, 1),
            values(inputs * units, 2),
            values(units, 3),
            values(rows * units, 4),
        ]
    }

    proptest! {
        #[test]
        fn forward_and_gradients_agree_with_the_plain_layer(rows in prop_oneof![1_usize..20, 100_usize..160], inputs in 1_usize..60, units in 1_usize..40) {
            let shape = DenseShape { rows, inputs, units };
            let [x, w, b, dy] = case(shape);
            assert_close(&forward(shape, &x, &w, Some(&b)), &naive(shape, &x, &w, &b), 1e-5);
            assert_close(&forward(shape, &x, &w, None), &naive(shape, &x, &w, &vec![0.0; units]), 1e-5);
            let slope = |x: &[f32], w: &[f32], b: &[f32]| naive(shape, x, w, b);
            assert_slopes(&backward_input(shape, &w, &dy), &x, &dy, |x| slope(x, &w, &b));
            assert_slopes(&backward_weights(shape, &x, &dy), &w, &dy, |w| slope(&x, w, &b));
            assert_slopes(&backward_bias(shape, &dy), &b, &dy, |b| slope(&x, &w, b));
        }
    }

    #[test]
    fn the_bytes_are_the_same_on_any_number_of_threads() {
        let shape = DenseShape {
            rows: 100,
            inputs: 300,
            units: 130,
        };
        let [x, w, b, dy] = case(shape);
        let run = || {
            [
                forward(shape, &x, &w, Some(&b)),
                backward_input(shape, &w, &dy),
                backward_weights(shape, &x, &dy),
                backward_bias(shape, &dy),
            ]
        };
        let alone = threads::pool(1).unwrap().install(run);
        for count in [2, 7] {
            assert_eq!(threads::pool(count).unwrap().install(run), alone);
        }
    }
}
