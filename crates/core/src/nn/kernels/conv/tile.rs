//! Register tiles, which all products here are made of: sums of `P` rows by `V` vectors that stay in registers.

use super::field::Run;
use crate::nn::kernels::simd::{Isa, Simd};

/// Filters that are computed together.
#[derive(Clone, Copy)]
pub struct Block {
    /// Vectors of filters.
    pub vectors: usize,
    /// The first filter.
    pub first: usize,
    /// Where the block begins in a kernel that is packed block by block, `[patch, width]` each.
    pub kernel_at: usize,
    /// Where it begins in a packed bias.
    pub bias_at: usize,
}

/// Cuts `filters` into blocks of up to four vectors with many registers, up to two with few.
pub fn blocks(isa: Isa, filters: usize, patch_len: usize) -> Vec<Block> {
    let lanes = isa.lanes();
    let widest = if isa == Isa::Avx512 { 4 } else { 2 };
    let (mut blocks, mut first, mut vector) = (Vec::new(), 0, 0);
    while first < filters {
        let left = (filters - first).div_ceil(lanes);
        let vectors = if left >= widest { widest } else { left.min(2) };
        let (kernel_at, bias_at) = (vector * lanes * patch_len, vector * lanes);
        blocks.push(Block {
            vectors,
            first,
            kernel_at,
            bias_at,
        });
        first += vectors * lanes;
        vector += vectors;
    }
    blocks
}

/// Adds to `sums[p][v]` the product of the patch at `from[p]` with the `v`-th vector of each row of `kernel`.
///
/// # Safety
/// The runs of every patch can be read, and `kernel` has `V` vectors for each value of a patch.
#[inline(always)]
pub unsafe fn product<S: Simd, const P: usize, const V: usize>(
    s: S,
    from: &[*const f32; P],
    runs: &[Run],
    mut kernel: *const f32,
    sums: &mut [[S::Vector; V]; P],
) {
    let mut acc = *sums;
    for run in runs {
        let mut from = *from;
        for from in &mut from {
            // SAFETY: the run is inside the patch.
            *from = unsafe { from.add(run.offset) };
        }
        for value in 0..run.len {
            // SAFETY: `value` is inside the run, and each value of a patch has its `V` vectors in `kernel`.
            unsafe {
                let mut row = [s.splat(0.0); V];
                for (v, row) in row.iter_mut().enumerate() {
                    *row = s.load(kernel.add(v * S::LANES));
                }
                kernel = kernel.add(V * S::LANES);
                for p in 0..P {
                    let x = s.splat(*from[p].add(value));
                    for v in 0..V {
                        acc[p][v] = s.mul_add(x, row[v], acc[p][v]);
                    }
                }
            }
        }
    }
    *sums = acc;
}

/// Writes the first `left` values of some vectors, or all.
///
/// # Safety
/// That many can be written.
#[inline(always)]
pub unsafe fn store<S: Simd, const V: usize>(s: S, to: *mut f32, left: usize, vectors: &[S::Vector; V]) {
    for (v, vector) in vectors.iter().enumerate() {
        let at = v * S::LANES;
        // SAFETY: at most `left` values from `to` on are written.
        unsafe {
            if left >= at + S::LANES {
                s.store(to.add(at), *vector);
            } else if left > at {
                s.store_first(to.add(at), left - at, *vector);
            }
        }
    }
}
