//! Vectors read from slices and written to them, to the last part of one.

use crate::nn::kernels::simd::Simd;

/// Safe reads and writes, for loops that take whole vectors first and what is left at last.
pub(super) trait Lanes: Simd {
    /// `LANES` numbers at `at`, or with `PART` those that are left there, fewer than `LANES`, and zeros.
    #[inline(always)]
    fn read<const PART: bool>(self, from: &[f32], at: usize) -> Self::Vector {
        if PART {
            let left = &from[at..];
            // SAFETY: at most `left.len()` numbers are read.
            unsafe { self.load_first(left.as_ptr(), left.len().min(Self::LANES - 1)) }
        } else {
            let whole = &from[at..at + Self::LANES];
            // SAFETY: the slice holds LANES numbers.
            unsafe { self.load(whole.as_ptr()) }
        }
    }

    /// Writes to where [`Lanes::read`] reads from.
    #[inline(always)]
    fn write<const PART: bool>(self, to: &mut [f32], at: usize, vector: Self::Vector) {
        if PART {
            let left = &mut to[at..];
            // SAFETY: at most `left.len()` numbers are written.
            unsafe { self.store_first(left.as_mut_ptr(), left.len().min(Self::LANES - 1), vector) }
        } else {
            let whole = &mut to[at..at + Self::LANES];
            // SAFETY: the slice holds LANES numbers.
            unsafe { self.store(whole.as_mut_ptr(), vector) }
        }
    }
}

impl<S: Simd> Lanes for S {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::kernels::simd::{Isa, Work, run};

    struct Double(usize);

    impl Work for Double {
        type Output = Vec<f32>;

        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> Vec<f32> {
            let from: Vec<f32> = (1_u8..).map(f32::from).take(S::LANES + self.0).collect();
            let mut to = vec![0.0; from.len() + 1];
            let end = from.len();
            let whole = s.read::<false>(&from, 0);
            s.write::<false>(&mut to[..end], 0, s.add(whole, whole));
            let part = s.read::<true>(&from, S::LANES);
            s.write::<true>(&mut to[..end], S::LANES, s.add(part, part));
            to
        }
    }

    #[test]
    fn a_part_of_a_vector_touches_nothing_behind_it() {
        for isa in Isa::available() {
            for left in 0..isa.lanes() {
                let doubled = (1_u8..).map(|i| 2.0 * f32::from(i)).take(isa.lanes() + left);
                let expected: Vec<f32> = doubled.chain([0.0]).collect();
                assert_eq!(run(isa, Double(left)), expected, "{isa:?}, {left} lanes");
            }
        }
    }
}
