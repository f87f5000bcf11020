//! Functions of each value by itself: shared among threads where there are many, and compiled for the instruction set at hand, so that
//! the compiler makes vectors of the plain loops.

use rayon::prelude::*;

use super::simd::{Isa, vectorized};
use crate::nn::threads::{self, COST_OF_A_VALUE, Unset};

/// Values that one thread takes at a time: they stay in its first cache.
const CHUNK: usize = 1 << 13;

/// What one value costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// A little arithmetic: reading and writing take longest.
    Arithmetic,
    /// A function such as an exponential.
    Function,
}

impl Cost {
    /// Of `len` values, in multiply-adds.
    fn of(self, len: usize) -> usize {
        let value = match self {
            Self::Arithmetic => COST_OF_A_VALUE,
            Self::Function => 8 * COST_OF_A_VALUE,
        };
        len.saturating_mul(value)
    }
}

/// Puts `f` of each value in its place.
pub fn update(values: &mut [f32], cost: Cost, f: impl Fn(f32) -> f32 + Sync) {
    let isa = Isa::current();
    let chunk = |values: &mut [f32]| {
        vectorized(
            isa,
            #[inline(always)]
            || values.iter_mut().for_each(|value| *value = f(*value)),
        );
    };
    if threads::spreads(cost.of(values.len())) {
        values.par_chunks_mut(CHUNK).for_each(chunk);
    } else {
        chunk(values);
    }
}

/// Puts `f` of each value and its partner in `by` in the value's place.
///
/// # Panics
/// When `by` is not as long.
pub fn update_with(values: &mut [f32], by: &[f32], cost: Cost, f: impl Fn(f32, f32) -> f32 + Sync) {
    assert_eq!(values.len(), by.len(), "a partner for each value");
    let isa = Isa::current();
    let chunk = |(values, by): (&mut [f32], &[f32])| {
        vectorized(
            isa,
            #[inline(always)]
            || {
                for (value, by) in values.iter_mut().zip(by) {
                    *value = f(*value, *by);
                }
            },
        );
    };
    if threads::spreads(cost.of(values.len())) {
        values.par_chunks_mut(CHUNK).zip(by.par_chunks(CHUNK)).for_each(chunk);
    } else {
        chunk((values, by));
    }
}

/// `f` of each value.
#[must_use]
pub fn map(x: &[f32], cost: Cost, f: impl Fn(f32) -> f32 + Sync) -> Vec<f32> {
    let isa = Isa::current();
    let work = |chunk: usize, mut y: Unset<f32>| {
        let x = &x[chunk * CHUNK..];
        vectorized(
            isa,
            #[inline(always)]
            || {
                y.write(x.iter().map(
                    #[inline(always)]
                    |x| f(*x),
                ));
            },
        );
    };
    // SAFETY: for each value of a chunk there is one of `x`.
    unsafe { threads::build_unset(x.len(), CHUNK, cost.of(x.len()), work) }
}

/// A copy.
#[must_use]
pub fn copy(x: &[f32]) -> Vec<f32> {
    map(x, Cost::Arithmetic, |x| x)
}

/// `f` of each pair of values.
///
/// # Panics
/// When the slices are not as long as each other.
#[must_use]
pub fn map_pairs(a: &[f32], b: &[f32], cost: Cost, f: impl Fn(f32, f32) -> f32 + Sync) -> Vec<f32> {
    assert_eq!(a.len(), b.len(), "pairs of values");
    let isa = Isa::current();
    let work = |chunk: usize, mut y: Unset<f32>| {
        let (a, b) = (&a[chunk * CHUNK..], &b[chunk * CHUNK..]);
        vectorized(
            isa,
            #[inline(always)]
            || {
                y.write(a.iter().zip(b).map(
                    #[inline(always)]
                    |(a, b)| f(*a, *b),
                ));
            },
        );
    };
    // SAFETY: for each value of a chunk there is a pair.
    unsafe { threads::build_unset(a.len(), CHUNK, cost.of(a.len()), work) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp, reason = "the same operation on the same values")]

    use super::super::testing::values;
    use super::*;

    #[test]
    fn every_value_is_met_once_whatever_the_length() {
        for len in [0, 1, 7, 100, CHUNK, CHUNK + 3, (1 << 17) + 5] {
            let (a, b) = (values(len, 1), values(len, 2));
            for isa in Isa::available() {
                isa.hold(|| {
                    let mut doubled = a.clone();
                    update(&mut doubled, Cost::Arithmetic, |a| 2.0 * a);
                    assert_eq!(doubled, a.iter().map(|a| 2.0 * a).collect::<Vec<_>>());
                    assert_eq!(map(&a, Cost::Arithmetic, |a| 2.0 * a), doubled);
                    let want: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a - b).collect();
                    let mut less = a.clone();
                    update_with(&mut less, &b, Cost::Arithmetic, |a, b| a - b);
                    assert_eq!(less, want);
                    assert_eq!(map_pairs(&a, &b, Cost::Function, |a, b| a - b), want);
                });
            }
        }
    }
}
