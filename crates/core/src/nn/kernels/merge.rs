//! Several inputs made one: element by element, or row by row as products.

use super::axes::{inverse, permute};
use super::gemm::{Matrix, MatrixMut, Mode, multiply};

/// What is made of values in the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Their sum.
    Add,
    /// The first less the second.
    Subtract,
    /// Their product.
    Multiply,
    /// The largest; of equals the first one's slope counts, and NaN wins.
    Maximum,
    /// The smallest; of equals the first one's slope counts, and NaN wins.
    Minimum,
}

impl Merge {
    fn of(self, a: f32, b: f32) -> f32 {
        match self {
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            Self::Maximum | Self::Minimum => {
                if self.first_wins(a, b) {
                    a
                } else {
                    b
                }
            }
        }
    }

    fn first_wins(self, a: f32, b: f32) -> bool {
        a.is_nan() || if self == Self::Minimum { a <= b } else { a >= b }
    }
}

/// The inputs merged from left to right; all of the same length.
#[must_use]
pub fn forward(merge: Merge, inputs: &[&[f32]]) -> Vec<f32> {
    let mut inputs = inputs.iter();
    let mut y = inputs.next().map(|first| first.to_vec()).unwrap_or_default();
    for input in inputs {
        y.iter_mut().zip(*input).for_each(|(y, x)| *y = merge.of(*y, *x));
    }
    y
}

/// The gradient for the input `index`.
#[must_use]
pub fn backward(merge: Merge, inputs: &[&[f32]], index: usize, dy: &[f32]) -> Vec<f32> {
    match merge {
        Merge::Add => dy.to_vec(),
        Merge::Subtract if index == 0 => dy.to_vec(),
        Merge::Subtract => dy.iter().map(|dy| -dy).collect(),
        Merge::Multiply => {
            let mut dx = dy.to_vec();
            for (_, other) in inputs.iter().enumerate().filter(|(other, _)| *other != index) {
                dx.iter_mut().zip(*other).for_each(|(dx, x)| *dx *= x);
            }
            dx
        }
        Merge::Maximum | Merge::Minimum => (dy.iter().enumerate())
            .map(|(place, dy)| {
                let x = inputs[index][place];
                let against = |other: usize| {
                    let other_x = inputs[other][place];
                    if other < index {
                        !merge.first_wins(other_x, x)
                    } else {
                        merge.first_wins(x, other_x)
                    }
                };
                let wins = (0..inputs.len()).all(|other| other == index || against(other));
                if wins { *dy } else { 0.0 }
            })
            .collect(),
    }
}

/// Products of the rows of two inputs, summed along one axis of each (Keras's `Dot`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dot {
    /// Shapes of a row of each input.
    pub shapes: [Vec<usize>; 2],
    /// The axis of each row that is summed along; both have the same size.
    pub axes: [usize; 2],
    /// Whether values are first divided by their Euclidean norm along that axis.
    pub normalize: bool,
}

/// Below this sum of squares values are divided by its root instead, as TensorFlow does.
const SMALLEST_SQUARES: f32 = 1e-12;

impl Dot {
    fn row_len(&self, input: usize) -> usize {
        self.shapes[input].iter().product()
    }

    /// Values of the axis that is summed along.
    fn inner(&self) -> usize {
        self.shapes[0][self.axes[0]]
    }

    /// Values of a row of an input without that axis.
    fn outer(&self, input: usize) -> usize {
        self.row_len(input) / self.inner().max(1)
    }

    /// The order of a batch's axes that brings that axis last.
    fn order(&self, input: usize) -> Vec<usize> {
        let axis = self.axes[input] + 1;
        (0..=self.shapes[input].len())
            .filter(|&other| other != axis)
            .chain([axis])
            .collect()
    }

    /// An input with the axis last, `[batch, outer, inner]`, and one over the norms along it.
    fn prepared(&self, input: usize, values: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let mut shape = self.shapes[input].clone();
        shape.insert(0, values.len() / self.row_len(input).max(1));
        let mut rows = permute(values, &shape, &self.order(input));
        let mut scales = Vec::new();
        if self.normalize {
            for row in rows.chunks_exact_mut(self.inner()) {
                let squares: f32 = row.iter().map(|x| x * x).sum();
                let scale = 1.0 / squares.max(SMALLEST_SQUARES).sqrt();
                for x in row.iter_mut() {
                    *x *= scale;
                }
                scales.push(if squares > SMALLEST_SQUARES { scale } else { -scale });
            }
        }
        (rows, scales)
    }

    /// `[batch, outer of a, outer of b]`.
    #[must_use]
    pub fn forward(&self, a: &[f32], b: &[f32]) -> Vec<f32> {
        let ((a, _), (b, _)) = (self.prepared(0, a), self.prepared(1, b));
        let (m, n, inner) = (self.outer(0), self.outer(1), self.inner());
        let rows = a.chunks_exact(m * inner).zip(b.chunks_exact(n * inner));
        let mut y = vec![0.0; a.len() / (m * inner).max(1) * m * n];
        for ((a, b), y) in rows.zip(y.chunks_exact_mut(m * n)) {
            let b = Matrix::new(b, n, inner).transposed();
            multiply(Matrix::new(a, m, inner), b, MatrixMut::new(y, m, n), Mode::Overwrite);
        }
        y
    }

    /// The gradients for both inputs.
    #[must_use]
    pub fn backward(&self, a: &[f32], b: &[f32], dy: &[f32]) -> [Vec<f32>; 2] {
        let ((a, a_scales), (b, b_scales)) = (self.prepared(0, a), self.prepared(1, b));
        let (m, n, inner) = (self.outer(0), self.outer(1), self.inner());
        let (mut da, mut db) = (vec![0.0; a.len()], vec![0.0; b.len()]);
        let gradients = da.chunks_exact_mut(m * inner).zip(db.chunks_exact_mut(n * inner));
        let rows = a.chunks_exact(m * inner).zip(b.chunks_exact(n * inner));
        for (((a, b), dy), (da, db)) in rows.zip(dy.chunks_exact(m * n)).zip(gradients) {
            let dy = Matrix::new(dy, m, n);
            multiply(
                dy,
                Matrix::new(b, n, inner),
                MatrixMut::new(da, m, inner),
                Mode::Overwrite,
            );
            multiply(
                dy.transposed(),
                Matrix::new(a, m, inner),
                MatrixMut::new(db, n, inner),
                Mode::Overwrite,
            );
        }
        [
            self.unprepared(0, &a, &a_scales, da),
            self.unprepared(1, &b, &b_scales, db),
        ]
    }

    /// From the gradient of what [`Dot::prepared`] gave to that of the input.
    fn unprepared(&self, input: usize, rows: &[f32], scales: &[f32], mut gradient: Vec<f32>) -> Vec<f32> {
        let inner = self.inner();
        let parts = rows.chunks_exact(inner).zip(gradient.chunks_exact_mut(inner));
        for ((row, gradient), &scale) in parts.zip(scales) {
            // A norm that was too small to divide by is a constant: its scale is marked by the sign.
            let along: f32 = if scale < 0.0 {
                0.0
            } else {
                row.iter().zip(&*gradient).map(|(x, slope)| x * slope).sum()
            };
            for (slope, x) in gradient.iter_mut().zip(row) {
                *slope = scale.abs() * (*slope - x * along);
            }
        }
        let order = self.order(input);
        let mut shape = self.shapes[input].clone();
        shape.insert(0, gradient.len() / self.row_len(input).max(1));
        let permuted: Vec<usize> = order.iter().map(|&axis| shape[axis]).collect();
        permute(&gradient, &permuted, &inverse(&order))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{assert_close, assert_slopes, values};
    use super::*;

    const ALL: [Merge; 5] = [
        Merge::Add,
        Merge::Subtract,
        Merge::Multiply,
        Merge::Maximum,
        Merge::Minimum,
    ];

    #[test]
    fn values_in_the_same_place_are_merged() {
        let (a, b) = ([1.0, 5.0, -2.0], [4.0, 2.0, -2.0]);
        let merged = ALL.map(|merge| forward(merge, &[&a, &b]));
        assert_eq!(
            merged,
            [
                [5.0, 7.0, -4.0],
                [-3.0, 3.0, 0.0],
                [4.0, 10.0, 4.0],
                [4.0, 5.0, -2.0],
                [1.0, 2.0, -2.0]
            ]
        );
        let sum = forward(Merge::Add, &[&a, &b, &[1.0; 3]]);
        assert_eq!(sum, [6.0, 8.0, -3.0]);
    }

    #[test]
    fn of_equals_the_first_gets_the_slope() {
        for merge in [Merge::Maximum, Merge::Minimum] {
            let slopes = [0, 1, 2].map(|index| backward(merge, &[&[3.0], &[3.0], &[3.0]], index, &[1.0])[0]);
            assert_eq!(slopes, [1.0, 0.0, 0.0]);
        }
        assert!(
            forward(Merge::Maximum, &[&[f32::NAN, 1.0], &[1.0, f32::NAN]])
                .iter()
                .all(|y| y.is_nan())
        );
    }

    #[test]
    fn merging_has_the_slopes_of_its_definition() {
        let inputs = [values(40, 1), values(40, 2), values(40, 3)];
        let dy = values(40, 4);
        for merge in ALL {
            let count = if merge == Merge::Subtract { 2 } else { 3 };
            let views: Vec<&[f32]> = inputs[..count].iter().map(Vec::as_slice).collect();
            for index in 0..count {
                assert_slopes(&backward(merge, &views, index, &dy), views[index], &dy, |x| {
                    let mut moved = views.clone();
                    moved[index] = x;
                    forward(merge, &moved).into_iter().map(f64::from).collect()
                });
            }
        }
    }

    fn naive_dot(dot: &Dot, a: &[f32], b: &[f32]) -> Vec<f64> {
        let rows = |input: usize, values: &[f32]| {
            let (rows, _) = Dot {
                normalize: false,
                ..dot.clone()
            }
            .prepared(input, values);
            let wide = |row: &[f32]| row.iter().map(|x| f64::from(*x)).collect::<Vec<_>>();
            let mut rows: Vec<Vec<f64>> = rows.chunks_exact(dot.inner()).map(wide).collect();
            if dot.normalize {
                for row in &mut rows {
                    let norm = row.iter().map(|x| x * x).sum::<f64>().max(1e-12).sqrt();
                    for x in row.iter_mut() {
                        *x /= norm;
                    }
                }
            }
            rows
        };
        let (a, b) = (rows(0, a), rows(1, b));
        let mut y = Vec::new();
        for (a, b) in a.chunks(dot.outer(0)).zip(b.chunks(dot.outer(1))) {
            for a in a {
                y.extend(b.iter().map(|b| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>()));
            }
        }
        y
    }

    proptest! {
        #[test]
        fn dots_are_sums_of_products(
            a in prop::collection::vec(1_usize..5, 1..4), b in prop::collection::vec(1_usize..5, 1..4),
            at in (0_usize..3, 0_usize..3), inner in 1_usize..6, normalize in any::<bool>(), batch in 1_usize..4,
        ) {
            let (mut a, mut b) = (a, b);
            let axes = [at.0 % a.len(), at.1 % b.len()];
            (a[axes[0]], b[axes[1]]) = (inner, inner);
            let dot = Dot { shapes: [a, b], axes, normalize };
            // Away from zero, where what is divided by a length bends too sharply for finite differences.
            let long = |len, seed| values(len, seed).into_iter().map(|value| value + value.signum()).collect::<Vec<_>>();
            let (a, b) = (long(batch * dot.row_len(0), 1), long(batch * dot.row_len(1), 2));
            let y = dot.forward(&a, &b);
            assert_close(&y, &naive_dot(&dot, &a, &b), 1e-5);
            let dy = values(y.len(), 3);
            let [da, db] = dot.backward(&a, &b, &dy);
            assert_slopes(&da, &a, &dy, |a| naive_dot(&dot, a, &b));
            assert_slopes(&db, &b, &dy, |b| naive_dot(&dot, &a, b));
        }
    }

    #[test]
    fn the_first_of_three_axes_can_be_summed_along() {
        let dot = Dot {
            shapes: [vec![2, 2], vec![2]],
            axes: [0, 0],
            normalize: false,
        };
        assert_eq!(dot.forward(&[1.0, 2.0, 3.0, 4.0], &[10.0, 100.0]), [310.0, 420.0]);
    }
}
