//! Matrices turned in memory, four rows at a time through registers.

use crate::nn::kernels::simd::{Isa, Simd, Work, run};

/// Writes `[columns, rows]` of `from`, `[rows, columns]`, to `to`.
///
/// # Panics
/// When the slices are not that long.
pub fn transpose(from: &[f32], rows: usize, columns: usize, to: &mut [f32]) {
    let work = Transpose {
        from,
        rows,
        columns,
        to,
    };
    run(Isa::current(), work);
}

/// [`transpose`] as a kernel.
struct Transpose<'a> {
    from: &'a [f32],
    rows: usize,
    columns: usize,
    to: &'a mut [f32],
}

impl Work for Transpose<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        transpose_with(s, self.from, self.rows, self.columns, self.to);
    }
}

/// [`transpose`] inside a kernel.
///
/// # Panics
/// When the slices are not that long.
#[inline(always)]
pub fn transpose_with<S: Simd>(s: S, from: &[f32], rows: usize, columns: usize, to: &mut [f32]) {
    assert!(
        from.len() == rows * columns && to.len() == from.len(),
        "a matrix [{rows}, {columns}]"
    );
    // SAFETY: both are that long.
    unsafe { transpose_part(s, (from.as_ptr(), columns), rows, columns, (to.as_mut_ptr(), rows)) };
}

/// Turns a part of a matrix into a part of another: `from` and `to` are where they begin, and how many values lie between the
/// beginnings of their rows.
///
/// # Safety
/// `rows` rows of `columns` values can be read from `from`, and `columns` rows of `rows` values written to `to`.
#[inline(always)]
pub unsafe fn transpose_part<S: Simd>(
    s: S,
    (from, from_stride): (*const f32, usize),
    rows: usize,
    columns: usize,
    (to, to_stride): (*mut f32, usize),
) {
    /// Rows that are turned together in registers.
    const TOGETHER: usize = 4;
    /// Rows that are gone along together: read from left to right, and written as whole cache lines.
    const ALONG: usize = 16;
    let (whole_rows, whole_columns) = (rows / TOGETHER * TOGETHER, columns / S::LANES * S::LANES);
    for along in (0..whole_rows).step_by(ALONG) {
        let rows = along..(along + ALONG).min(whole_rows);
        for left in (0..whole_columns).step_by(S::LANES) {
            for top in rows.clone().step_by(TOGETHER) {
                // SAFETY: the four rows have a whole vector from column `left` on, and so many columns four values from row `top` on.
                unsafe {
                    let from = from.add(top * from_stride + left);
                    let together = [
                        s.load(from),
                        s.load(from.add(from_stride)),
                        s.load(from.add(2 * from_stride)),
                        s.load(from.add(3 * from_stride)),
                    ];
                    s.store_turned(to.add(left * to_stride + top), to_stride, together);
                }
            }
        }
    }
    for row in 0..rows {
        let first = if row < whole_rows { whole_columns } else { 0 };
        for column in first..columns {
            // SAFETY: both places lie inside the parts.
            unsafe { *to.add(column * to_stride + row) = *from.add(row * from_stride + column) };
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::testing::values;
    use super::*;

    #[test]
    fn a_transposed_matrix_has_its_columns_as_rows() {
        let mut turned = [0.0; 6];
        transpose(&[1., 2., 3., 4., 5., 6.], 2, 3, &mut turned);
        assert_eq!(turned, [1., 4., 2., 5., 3., 6.]);
    }

    proptest! {
        #[test]
        fn every_value_finds_its_place(rows in 1_usize..40, columns in 1_usize..70) {
            let from = values(rows * columns, 1);
            for isa in Isa::available() {
                let mut to = vec![0.0; from.len()];
                isa.hold(|| transpose(&from, rows, columns, &mut to));
                for (index, value) in from.iter().enumerate() {
                    prop_assert_eq!(to[index % columns * rows + index / columns], *value);
                }
            }
        }
    }
}
