//! Products of row-major `f32` matrices: a thin, safe front of the `gemm` crate, which brings AVX-512, AVX2 and portable kernels.
//!
//! The crate's own threads are not used: [`multiply`] runs on the calling thread, for kernels that are inside a chunk already, and
//! [`product`] cuts the result into tiles whose size depends on the shapes alone, so that the bytes of the result do not depend on the
//! number of threads. Where much of an operand is zero it leaves that out: see [`sparse`].

mod sparse;
mod transpose;

use gemm::Parallelism;

use self::sparse::Sparse;
pub use self::transpose::{transpose, transpose_with};
use crate::nn::threads::{self, WORTH_WAKING_THREADS};

/// A matrix in a slice, possibly transposed.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A contiguous row-major matrix `[rows, columns]`.
    ///
    /// # Panics
    /// When `data` is not that long: the callers know their shapes.
    #[must_use]
    pub fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(data.len(), rows * columns, "a matrix [{rows}, {columns}]");
        Self {
            data,
            rows,
            columns,
            row_stride: columns,
            column_stride: 1,
        }
    }

    /// A row-major matrix `[rows, columns]` whose rows begin every `row_stride` values.
    ///
    /// # Panics
    /// When `data` is too short.
    #[must_use]
    pub fn with_row_stride(data: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert_fits(data.len(), rows, columns, row_stride);
        Self {
            data,
            rows,
            columns,
            row_stride,
            column_stride: 1,
        }
    }

    /// The same values read as `[columns, rows]`.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// A row-major matrix to write into.
pub struct MatrixMut<'a> {
    data: &'a mut [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
}

impl<'a> MatrixMut<'a> {
    /// A contiguous row-major matrix `[rows, columns]`.
    ///
    /// # Panics
    /// When `data` is not that long: the callers know their shapes.
    #[must_use]
    pub fn new(data: &'a mut [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(data.len(), rows * columns, "a matrix [{rows}, {columns}]");
        Self {
            data,
            rows,
            columns,
            row_stride: columns,
        }
    }

    /// A row-major matrix `[rows, columns]` whose rows begin every `row_stride` values.
    ///
    /// # Panics
    /// When `data` is too short.
    #[must_use]
    pub fn with_row_stride(data: &'a mut [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert_fits(data.len(), rows, columns, row_stride);
        Self {
            data,
            rows,
            columns,
            row_stride,
        }
    }
}

fn assert_fits(len: usize, rows: usize, columns: usize, row_stride: usize) {
    let needed = if rows == 0 {
        0
    } else {
        (rows - 1) * row_stride + columns
    };
    assert!(
        row_stride >= columns && len >= needed,
        "a matrix [{rows}, {columns}] with rows every {row_stride}"
    );
}

/// What becomes of the values that are in the result's place already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They are overwritten: `c = a b`.
    Overwrite,
    /// They are added to: `c = c + a b`.
    Accumulate,
}

/// `c = a b` or `c += a b` on the calling thread.
///
/// # Panics
/// When the shapes do not chain: the callers know them.
pub fn multiply(a: Matrix, b: Matrix, mut c: MatrixMut, mode: Mode) {
    let tile = Tile {
        rows: 0..c.rows,
        columns: 0..c.columns,
    };
    check(&a, &b, &c);
    // SAFETY: `check` has compared the shapes, the constructors the lengths; the one tile is all of `c`, which is borrowed mutably.
    unsafe { multiply_tile(a, b, &Target::of(&mut c), &tile, mode) };
}

/// `a b`, or with `onto` added to each row, as a vector `[rows, columns]`: on the pool's threads, unless it is too small to be worth
/// waking them.
///
/// # Panics
/// When the shapes do not chain, or `onto` is not as long as a row.
#[must_use]
pub fn product(a: Matrix, b: Matrix, onto: Option<&[f32]>) -> Vec<f32> {
    let (rows, columns) = (a.rows, b.columns);
    assert!(
        a.columns == b.rows,
        "a product [{rows}, {}] x [{}, {columns}]",
        a.columns,
        b.rows
    );
    assert!(
        onto.is_none_or(|onto| onto.len() == columns),
        "a row of {columns} values"
    );
    if rows == 0 || columns == 0 || a.columns == 0 {
        let row = onto.map_or_else(|| vec![0.0; columns], <[f32]>::to_vec);
        return row.repeat(rows);
    }
    let mut values: Vec<f32> = Vec::with_capacity(rows * columns);
    let target = Target {
        data: values.as_mut_ptr(),
        row_stride: columns,
    };
    // SAFETY: the shapes chain, and there is room for the result, each value of which is written before the length is set.
    unsafe {
        match Sparse::of(a, b, onto) {
            Some(sparse) => sparse.write(&target),
            None => write_tiles(a, b, onto, &target),
        }
        values.set_len(rows * columns);
    }
    values
}

/// Writes `a b`, or with `onto` added to each row, tile by tile on the pool's threads.
///
/// # Safety
/// The shapes chain, and `target` has room for the result, which no one else reads or writes meanwhile.
unsafe fn write_tiles(a: Matrix, b: Matrix, onto: Option<&[f32]>, target: &Target) {
    let (rows, columns) = (a.rows, b.columns);
    let (tile_rows, tile_columns) = tiles(rows, a.columns, columns);
    let (down, across) = (rows.div_ceil(tile_rows), columns.div_ceil(tile_columns));
    threads::each(down * across, rows * columns * a.columns, |index| {
        let (top, left) = (index / across * tile_rows, index % across * tile_columns);
        let tile = Tile {
            rows: top..(top + tile_rows).min(rows),
            columns: left..(left + tile_columns).min(columns),
        };
        // SAFETY: the shapes chain and the constructors have checked the lengths; the tiles are disjoint and inside the target, of which
        // nothing is read that has not been written.
        unsafe {
            let mode = if let Some(onto) = onto {
                for row in tile.rows.clone() {
                    let to = target.data.add(row * columns + left);
                    to.copy_from_nonoverlapping(onto[tile.columns.clone()].as_ptr(), tile.columns.len());
                }
                Mode::Accumulate
            } else {
                Mode::Overwrite
            };
            multiply_tile(a, b, target, &tile, mode);
        }
    });
}

/// Rows and columns of the tiles of a product: some eight of them, or one that is not worth waking threads.
///
/// Both operands are packed for every tile, so tiles are as large as feeding threads allows; and to pack a few rows of a transposed
/// matrix takes longer than to multiply with them.
fn tiles(rows: usize, inner: usize, columns: usize) -> (usize, usize) {
    const MOST_ROWS: usize = 512;
    const FEWEST_TILES: usize = 8;
    const LANES: usize = 16;
    const NARROWEST: usize = 32;
    if rows.saturating_mul(inner).saturating_mul(columns) < WORTH_WAKING_THREADS {
        return (rows, columns);
    }
    let even = |length: usize, parts: usize, multiple: usize| length.div_ceil(parts).next_multiple_of(multiple);
    let down = rows.div_ceil(MOST_ROWS);
    let tile_columns = even(columns, FEWEST_TILES.div_ceil(down), NARROWEST);
    // Where columns are too few, rows are cut further.
    let across = columns.div_ceil(tile_columns);
    let down = down.max(FEWEST_TILES.div_ceil(across).min(rows.div_ceil(4 * LANES)));
    (even(rows, down, LANES), tile_columns)
}

fn check(a: &Matrix, b: &Matrix, c: &MatrixMut) {
    assert!(
        a.rows == c.rows && a.columns == b.rows && b.columns == c.columns,
        "a product [{}, {}] x [{}, {}] into [{}, {}]",
        a.rows,
        a.columns,
        b.rows,
        b.columns,
        c.rows,
        c.columns
    );
}

struct Tile {
    rows: std::ops::Range<usize>,
    columns: std::ops::Range<usize>,
}

/// Where disjoint tiles are written to from several threads.
struct Target {
    data: *mut f32,
    row_stride: usize,
}

impl Target {
    fn of(c: &mut MatrixMut) -> Self {
        Self {
            data: c.data.as_mut_ptr(),
            row_stride: c.row_stride,
        }
    }
}

// SAFETY: the pointer is only used by `multiply_tile`, on disjoint tiles.
unsafe impl Sync for Target {}

/// # Safety
/// `a`, `b` and the matrix behind `c` chain, `tile` is inside the latter, and no one else reads or writes the tile meanwhile.
unsafe fn multiply_tile(a: Matrix, b: Matrix, c: &Target, tile: &Tile, mode: Mode) {
    let (rows, columns) = (tile.rows.len(), tile.columns.len());
    if rows == 0 || columns == 0 {
        return;
    }
    // The `gemm` crate is column-minded and takes signed strides; slices are shorter than `isize::MAX`, so none can wrap.
    let stride = usize::cast_signed;
    let read = mode == Mode::Accumulate;
    // SAFETY: by the contract above all three stay inside their slices. Offsets are only computed inside them, as an operand with no
    // values (`a.columns == 0`) has strides but is not read.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            a.columns,
            c.data.wrapping_add(tile.rows.start * c.row_stride + tile.columns.start),
            1,
            stride(c.row_stride),
            read,
            a.data.as_ptr().wrapping_add(tile.rows.start * a.row_stride),
            stride(a.column_stride),
            stride(a.row_stride),
            b.data.as_ptr().wrapping_add(tile.columns.start * b.column_stride),
            stride(b.column_stride),
            stride(b.row_stride),
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{assert_close, values};
    use super::*;
    use crate::nn::kernels::simd::Isa;
    use crate::nn::threads;

    fn naive(a: &[f32], b: &[f32], rows: usize, inner: usize, columns: usize) -> Vec<f64> {
        let mut c = vec![0.0; rows * columns];
        for i in 0..rows {
            for j in 0..columns {
                c[i * columns + j] = (0..inner)
                    .map(|k| f64::from(a[i * inner + k]) * f64::from(b[k * columns + j]))
                    .sum();
            }
        }
        c
    }

    fn transposed(a: &[f32], rows: usize, columns: usize) -> Vec<f32> {
        let mut turned = vec![0.0; a.len()];
        transpose(a, rows, columns, &mut turned);
        turned
    }

    proptest! {
        #[test]
        fn every_transposition_and_mode_gives_the_plain_product(
            rows in 1_usize..90, inner in 0_usize..40, columns in 1_usize..300, gap in 0_usize..3,
            flip_a: bool, flip_b: bool, sum: bool,
        ) {
            let (a, b) = (values(rows * inner, 1), values(inner * columns, 2));
            let (at, bt) = (transposed(&a, rows, inner), transposed(&b, inner, columns));
            let left = if flip_a { Matrix::new(&at, inner, rows).transposed() } else { Matrix::new(&a, rows, inner) };
            let right = if flip_b { Matrix::new(&bt, columns, inner).transposed() } else { Matrix::new(&b, inner, columns) };
            let stride = columns + gap;
            let before = values(rows * stride, 3);
            let mut c = before.clone();
            let mode = if sum { Mode::Accumulate } else { Mode::Overwrite };
            multiply(left, right, MatrixMut::with_row_stride(&mut c, rows, columns, stride), mode);
            let expected = naive(&a, &b, rows, inner, columns);
            for i in 0..rows {
                for j in 0..stride {
                    let was = f64::from(before[i * stride + j]);
                    let want = match (j < columns, sum) {
                        (true, true) => was + expected[i * columns + j],
                        (true, false) => expected[i * columns + j],
                        (false, _) => was,
                    };
                    prop_assert!((f64::from(c[i * stride + j]) - want).abs() < 1e-4);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_product_in_tiles_is_the_plain_product(
            rows in prop_oneof![0_usize..90, 500_usize..600], inner in 0_usize..40, columns in 0_usize..200,
            flip_a: bool, flip_b: bool, onto: bool,
        ) {
            let (a, b, first) = (values(rows * inner, 1), values(inner * columns, 2), values(columns, 3));
            let (at, bt) = (transposed(&a, rows, inner), transposed(&b, inner, columns));
            let left = if flip_a { Matrix::new(&at, inner, rows).transposed() } else { Matrix::new(&a, rows, inner) };
            let right = if flip_b { Matrix::new(&bt, columns, inner).transposed() } else { Matrix::new(&b, inner, columns) };
            let mut want = naive(&a, &b, rows, inner, columns);
            if onto {
                want.iter_mut().enumerate().for_each(|(index, want)| *want += f64::from(first[index % columns]));
            }
            assert_close(&product(left, right, onto.then_some(&first)), &want, 1e-5);
        }
    }

    /// Values of which the share `zeros` is zero.
    fn with_zeros(len: usize, seed: u64, zeros: f32) -> Vec<f32> {
        let chance = values(len, seed + 100);
        let keep = |(value, chance): (f32, &f32)| if *chance < 2.0 * zeros - 1.0 { 0.0 } else { value };
        values(len, seed).into_iter().zip(&chance).map(keep).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn zeros_left_out_make_no_difference(
            rows in 192_usize..300, inner in 192_usize..600, columns in prop_oneof![192_usize..300, 500_usize..600],
            zeros in 0.45_f32..1.0, of_a: bool, flip_a: bool, flip_b: bool, onto: bool,
        ) {
            let (of_a, of_b) = if of_a { (zeros, 0.1) } else { (0.1, zeros) };
            let (a, b) = (with_zeros(rows * inner, 1, of_a), with_zeros(inner * columns, 2, of_b));
            let first = values(columns, 3);
            let (at, bt) = (transposed(&a, rows, inner), transposed(&b, inner, columns));
            let left = if flip_a { Matrix::new(&at, inner, rows).transposed() } else { Matrix::new(&a, rows, inner) };
            let right = if flip_b { Matrix::new(&bt, columns, inner).transposed() } else { Matrix::new(&b, inner, columns) };
            let onto = onto.then_some(&first[..]);
            let of = Sparse::of(left, right, onto);
            prop_assert_eq!(of.map(|sparse| sparse.turned), Some(of_a < of_b));
            let mut want = naive(&a, &b, rows, inner, columns);
            if let Some(onto) = onto {
                want.iter_mut().enumerate().for_each(|(index, want)| *want += f64::from(onto[index % columns]));
            }
            for isa in Isa::available() {
                assert_close(&isa.hold(|| product(left, right, onto)), &want, 1e-5);
            }
        }
    }

    #[test]
    fn zeros_are_left_out_where_that_is_faster() {
        let is_sparse = |rows, inner, columns, zeros: [f32; 2]| {
            let (a, b) = (
                with_zeros(rows * inner, 1, zeros[0]),
                with_zeros(inner * columns, 2, zeros[1]),
            );
            Sparse::of(Matrix::new(&a, rows, inner), Matrix::new(&b, inner, columns), None).is_some()
        };
        assert!(is_sparse(200, 200, 70, [0.5, 0.0]) && is_sparse(70, 200, 200, [0.0, 0.5]));
        assert!(!is_sparse(200, 200, 200, [0.1, 0.1]), "too few zeros");
        assert!(
            !is_sparse(70, 200, 200, [0.9, 0.0]) && !is_sparse(200, 200, 70, [0.0, 0.9]),
            "too few rows"
        );
        assert!(!is_sparse(200, 70, 200, [0.9, 0.0]), "too little to sum");
    }

    #[test]
    fn what_no_value_is_left_of_is_what_it_is_added_to() {
        let (a, b, onto) = (vec![0.0; 192 * 200], values(200 * 66, 2), values(66, 3));
        let product = product(Matrix::new(&a, 192, 200), Matrix::new(&b, 200, 66), Some(&onto));
        assert_eq!(product, onto.repeat(192));
    }

    #[test]
    fn infinities_and_nan_are_not_taken_for_zeros() {
        const SIDE: usize = 192;
        let (mut a, b) = (vec![0.0; SIDE * SIDE], vec![1.0; SIDE * SIDE]);
        (a[3], a[SIDE + 5]) = (f32::INFINITY, f32::NAN);
        let product = product(Matrix::new(&a, SIDE, SIDE), Matrix::new(&b, SIDE, SIDE), None);
        assert!(product[..SIDE].iter().all(|value| *value == f32::INFINITY));
        assert!(product[SIDE..2 * SIDE].iter().all(|value| value.is_nan()));
        assert!(product[2 * SIDE..].iter().all(|value| *value == 0.0));
    }

    #[test]
    fn tiles_have_the_same_bytes_on_any_number_of_threads() {
        for (rows, inner, columns, zeros) in [
            (131, 257, 301, 0.0),
            (1100, 40, 70, 0.0),
            (40, 300, 700, 0.0),
            (300, 257, 600, 0.5),
        ] {
            let (a, b) = (with_zeros(rows * inner, 1, zeros), values(inner * columns, 2));
            let of_pool = || product(Matrix::new(&a, rows, inner), Matrix::new(&b, inner, columns), None);
            let alone = threads::pool(1).unwrap().install(of_pool);
            for count in [2, 7] {
                assert_eq!(threads::pool(count).unwrap().install(of_pool), alone);
            }
        }
    }
}
