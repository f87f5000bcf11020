//! The gradient for a bias: sums over everything but the channels.
//!
//! A few channels would leave most lanes of a vector idle, so as many cells as make some vectors are summed side by side, and folded to
//! the channels at the end.

use super::simd::{Isa, Simd, Work, run};
use crate::nn::threads::{self, COST_OF_A_VALUE};

/// The sum over all cells of `[cells, channels]`, `[channels]`.
///
/// # Panics
/// When `values` is not whole cells.
#[must_use]
pub fn sum_cells(values: &[f32], channels: usize) -> Vec<f32> {
    /// Values that are summed side by side at least.
    const LEAST: usize = 256;
    /// Values of a partial sum's part, so that the error grows with the parts and not with the cells.
    const PART: usize = 1 << 16;
    if channels == 0 {
        return Vec::new();
    }
    assert!(
        values.len().is_multiple_of(channels),
        "{} values are no cells of {channels}",
        values.len()
    );
    let isa = Isa::current();
    let width = LEAST.div_ceil(channels) * channels;
    let part = (PART / width).max(1) * width;
    let parts = values.len().div_ceil(part);
    let groups = threads::reduction_groups(parts, width);
    let cost = values.len().saturating_mul(COST_OF_A_VALUE);
    let wide = threads::sum_groups(width, groups, cost, |group, sum| {
        for index in threads::group_rows(parts, groups, group) {
            let values = &values[index * part..][..part.min(values.len() - index * part)];
            run(isa, Sum { values, sum: &mut *sum });
        }
    });
    let mut sums = vec![0.0_f64; channels];
    for cell in wide.chunks_exact(channels) {
        sums.iter_mut()
            .zip(cell)
            .for_each(|(sum, value)| *sum += f64::from(*value));
    }
    sums.into_iter().map(|sum| sum as f32).collect()
}

/// Adds rows as long as `sum` to it; the last may be short.
struct Sum<'a> {
    values: &'a [f32],
    sum: &'a mut [f32],
}

impl Work for Sum<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        const TILE: usize = 4;
        let (width, whole) = (self.sum.len(), self.values.len() / self.sum.len());
        let tile = TILE * S::LANES;
        let mut at = 0;
        while at + tile <= width {
            // SAFETY: the tile ends inside each whole row, and inside the sums.
            unsafe {
                let mut sums = [s.splat(0.0); TILE];
                for row in 0..whole {
                    let from = self.values.as_ptr().add(row * width + at);
                    for (v, sum) in sums.iter_mut().enumerate() {
                        *sum = s.add(*sum, s.load(from.add(v * S::LANES)));
                    }
                }
                for (v, sum) in sums.iter().enumerate() {
                    let to = self.sum.as_mut_ptr().add(at + v * S::LANES);
                    s.store(to, s.add(s.load(to.cast_const()), *sum));
                }
            }
            at += tile;
        }
        let add = |(sum, value): (&mut f32, &f32)| *sum += value;
        for row in self.values.chunks_exact(width) {
            self.sum[at..].iter_mut().zip(&row[at..]).for_each(add);
        }
        self.sum.iter_mut().zip(&self.values[whole * width..]).for_each(add);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{assert_close, values};
    use super::*;

    proptest! {
        #[test]
        fn every_cell_is_summed_once(channels in 1_usize..400, cells in 0_usize..700) {
            let x = values(channels * cells, 1);
            let mut want = vec![0.0_f64; channels];
            for cell in x.chunks_exact(channels) {
                want.iter_mut().zip(cell).for_each(|(sum, x)| *sum += f64::from(*x));
            }
            for isa in Isa::available() {
                isa.hold(|| assert_close(&sum_cells(&x, channels), &want, 1e-5));
            }
        }
    }

    #[test]
    fn the_bytes_are_the_same_on_any_number_of_threads() {
        let x = values(3 * 500_000, 1);
        let sum = || sum_cells(&x, 3);
        let alone = threads::pool(1).unwrap().install(sum);
        for count in [2, 7] {
            assert_eq!(threads::pool(count).unwrap().install(sum), alone);
        }
    }
}
