//! Rows picked by number.

use super::simd::{Isa, Simd, Work, run};
use crate::nn::threads::{self, Unset};

/// Rows of `width` values, picked by number. Rows lie far apart in memory, so that fetching them is shared among the threads, and the
/// next ones are asked for while one is copied.
///
/// # Panics
/// When there is no such row.
#[must_use]
pub fn gather(values: &[f32], width: usize, rows: &[usize]) -> Vec<f32> {
    /// Values that a thread fetches at once.
    const CHUNK: usize = 1 << 14;
    let at_once = (CHUNK / width.max(1)).max(1);
    let (len, isa) = (rows.len() * width, Isa::current());
    let work = |chunk: usize, picked: Unset<f32>| {
        let rows = &rows[chunk * at_once..];
        let work = Gather {
            values,
            width,
            rows,
            picked,
        };
        run(isa, work);
    };
    // To fetch a value costs as much as some multiply-adds.
    // SAFETY: a chunk is whole rows, each of which is written.
    unsafe { threads::build_unset(len, at_once * width, 4 * len, work) }
}

/// The first of `rows`, as many as fit into `picked`.
struct Gather<'a> {
    values: &'a [f32],
    width: usize,
    rows: &'a [usize],
    picked: Unset<'a, f32>,
}

impl Work for Gather<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        /// So many rows ahead they are asked for.
        const AHEAD: usize = 5;
        let row = |row: usize| &self.values[row * self.width..][..self.width];
        for (at, mut picked) in self.picked.chunks_exact(self.width.max(1)).enumerate() {
            if let Some(ahead) = self.rows.get(at + AHEAD) {
                s.prefetch_all(row(*ahead));
            }
            picked.copy_from_slice(row(self.rows[at]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_in_the_order_that_is_asked_for() {
        let values: Vec<f32> = (0..12).map(|value: u8| f32::from(value)).collect();
        assert_eq!(gather(&values, 3, &[2, 0, 2]), [6., 7., 8., 0., 1., 2., 6., 7., 8.]);
        assert_eq!(gather(&values, 1, &[11, 3]), [11., 3.]);
        assert!(gather(&values, 3, &[]).is_empty() && gather(&[], 0, &[0, 0]).is_empty());
    }

    #[test]
    fn many_rows_are_picked_by_several_threads() {
        const WIDTH: usize = 700;
        let values: Vec<f32> = (0..100 * WIDTH).map(|value| value as f32).collect();
        let rows: Vec<usize> = (0..1000).map(|row| row * 37 % 100).collect();
        let picked = threads::pool(3).unwrap().install(|| gather(&values, WIDTH, &rows));
        for (picked, row) in picked.chunks_exact(WIDTH).zip(rows) {
            assert_eq!(picked, &values[row * WIDTH..][..WIDTH]);
        }
    }
}
