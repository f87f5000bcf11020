//! The dense layer: `y = x w + b`, with `x` `[rows, inputs]`, `w` `[inputs, units]`, `b` `[units]`, `y` `[rows, units]`.
//!
//! A layer on inputs of higher rank calls this with all leading axes folded into `rows`.

use super::gemm::{Matrix, MatrixMut, Mode, multiply_in_tiles};

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
    let mut y = vec![0.0; rows * units];
    let mode = if let Some(b) = b {
        assert_eq!(b.len(), units, "a bias of {units} units");
        if units > 0 {
            y.chunks_exact_mut(units).for_each(|row| row.copy_from_slice(b));
        }
        Mode::Accumulate
    } else {
        Mode::Overwrite
    };
    let result = MatrixMut::new(&mut y, rows, units);
    multiply_in_tiles(
        Matrix::new(x, rows, inputs),
        Matrix::new(w, inputs, units),
        result,
        mode,
    );
    y
}

/// The gradient for `x`: `dy wᵀ`, `[rows, inputs]`.
///
/// # Panics
/// When a slice is not as long as `shape` says.
#[must_use]
pub fn backward_input(shape: DenseShape, w: &[f32], dy: &[f32]) -> Vec<f32> {
    let DenseShape { rows, inputs, units } = shape;
    let mut dx = vec![0.0; rows * inputs];
    let result = MatrixMut::new(&mut dx, rows, inputs);
    multiply_in_tiles(
        Matrix::new(dy, rows, units),
        Matrix::new(w, inputs, units).transposed(),
        result,
        Mode::Overwrite,
    );
    dx
}

/// The gradient for `w`: `xᵀ dy`, `[inputs, units]`.
///
/// # Panics
/// When a slice is not as long as `shape` says.
#[must_use]
pub fn backward_weights(shape: DenseShape, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let DenseShape { rows, inputs, units } = shape;
    let mut dw = vec![0.0; inputs * units];
    let result = MatrixMut::new(&mut dw, inputs, units);
    multiply_in_tiles(
        Matrix::new(x, rows, inputs).transposed(),
        Matrix::new(dy, rows, units),
        result,
        Mode::Overwrite,
    );
    dw
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
    sum_rows(dy, shape.units)
}

/// The sum over the rows of `[rows, columns]`, in blocks of rows, so that the error grows with the blocks and not with the rows.
pub(super) fn sum_rows(values: &[f32], columns: usize) -> Vec<f32> {
    const BLOCK: usize = 256;
    let mut sum = vec![0.0; columns];
    let mut partial = vec![0.0; columns];
    if columns > 0 {
        for block in values.chunks(BLOCK * columns) {
            partial.fill(0.0);
            for row in block.chunks_exact(columns) {
                partial
                    .iter_mut()
                    .zip(row)
                    .for_each(|(total, value): (&mut f32, _)| *total += value);
            }
            sum.iter_mut()
                .zip(&partial)
                .for_each(|(total, value): (&mut f32, _)| *total += value);
        }
    }
    sum
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
        fn forward_and_gradients_agree_with_the_plain_layer(rows in 1_usize..20, inputs in 1_usize..60, units in 1_usize..40) {
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
