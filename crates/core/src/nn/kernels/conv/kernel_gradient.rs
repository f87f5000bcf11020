//! The kernel's gradient `patches(x)ᵀ dy`, straight from the input.
//!
//! Register tiles of `values of a patch x vectors of filters`, summed over windows: the patches are read where they are (see [`Field`]).
//! A tile's values are neighbours, so that one address serves them all: with one for each there are not enough registers.

use super::ConvGeometry;
use super::field::{Field, Run};
use super::tile::{Block, blocks, load_up_to, store};
use crate::nn::kernels::simd::{Isa, Simd, Work, run};
use crate::nn::threads::with_scratch;

/// Windows between two visits to the kernel's gradient, so that `x` and `dy` stay in the cache while all tiles read them.
const WINDOWS_PER_PASS: usize = 128;
/// The widest block of filters: four vectors of sixteen.
const WIDEST: usize = 64;

/// Where windows and patches lie for the kernel's gradient: made once for a batch.
pub struct KernelGradient {
    isa: Isa,
    field: Field,
    /// Values of a patch.
    taps: usize,
    filters: usize,
}

impl KernelGradient {
    /// Prepares for a batch, for the instruction set of the calling thread.
    pub fn new(geometry: &ConvGeometry) -> Self {
        Self {
            isa: Isa::current(),
            field: Field::new(geometry),
            taps: geometry.patch_len(),
            filters: geometry.filters,
        }
    }

    /// Adds `patches(x)ᵀ dy` to `dk` `[patch, filters]`, for one row of the batch.
    pub fn add(&self, x: &[f32], dy: &[f32], dk: &mut [f32]) {
        let field = &self.field;
        assert!(dk.len() == self.taps * self.filters && dy.len() == field.offsets.len() * self.filters);
        let mut with_field = |field: &[f32]| {
            assert_eq!(field.len(), self.field.len());
            // One block of filters at a time, side by side: lines of `dy` that lie far apart would displace each other in the cache.
            with_scratch(WINDOWS_PER_PASS * WIDEST, |packed| {
                run(
                    self.isa,
                    Add {
                        prepared: self,
                        field,
                        dy,
                        packed,
                        dk,
                    },
                );
            });
        };
        if field.is_input() {
            return with_field(x);
        }
        with_scratch(field.len(), |padded| {
            field.fill(x, padded);
            with_field(padded);
        });
    }
}

/// [`KernelGradient::add`], its checks done.
struct Add<'a> {
    prepared: &'a KernelGradient,
    field: &'a [f32],
    dy: &'a [f32],
    packed: &'a mut [f32],
    dk: &'a mut [f32],
}

impl Work for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let offsets = &self.prepared.field.offsets;
        let blocks = blocks(self.prepared.isa, self.prepared.filters, 0);
        for (pass, windows) in offsets.chunks(WINDOWS_PER_PASS).enumerate() {
            for block in &blocks {
                let first_window = pass * WINDOWS_PER_PASS;
                match (block.vectors, S::ACCUMULATORS >= 24) {
                    (4, _) => self.block::<S, 6, 4>(s, *block, first_window, windows),
                    (2, true) => self.block::<S, 12, 2>(s, *block, first_window, windows),
                    (2, false) => self.block::<S, 6, 2>(s, *block, first_window, windows),
                    _ => self.block::<S, 12, 1>(s, *block, first_window, windows),
                }
            }
        }
    }
}

impl Add<'_> {
    /// One block of filters of all values of the patch, summed over some windows.
    #[inline(always)]
    fn block<S: Simd, const P: usize, const V: usize>(&mut self, s: S, block: Block, first: usize, windows: &[usize]) {
        let filters = self.prepared.filters;
        let width = V * S::LANES;
        let real = width.min(filters - block.first);
        let rows = self.dy[first * filters..].chunks_exact(filters);
        for (to, from) in self.packed[..windows.len() * width].chunks_exact_mut(width).zip(rows) {
            to[..real].copy_from_slice(&from[block.first..][..real]);
            to[real..].fill(0.0);
        }
        let mut tap = 0;
        for Run { offset, len } in &self.prepared.field.runs {
            let mut at = 0;
            while at < *len {
                let (from, left) = (offset + at, len - at);
                at += match left {
                    _ if left >= P => self.tile::<S, P, V>(s, block, windows, from, tap + at),
                    6.. => self.tile::<S, 6, V>(s, block, windows, from, tap + at),
                    3.. => self.tile::<S, 3, V>(s, block, windows, from, tap + at),
                    _ => self.tile::<S, 1, V>(s, block, windows, from, tap + at),
                };
            }
            tap += len;
        }
    }

    /// `P` neighbouring values of the patch, from the `tap`-th on, which lie `from` values behind each window's first. Returns `P`.
    #[inline(always)]
    fn tile<S: Simd, const P: usize, const V: usize>(
        &mut self,
        s: S,
        block: Block,
        windows: &[usize],
        from: usize,
        tap: usize,
    ) -> usize {
        let filters = self.prepared.filters;
        // SAFETY: `Field` lays all windows and their runs into the field, which is as long as it says; `packed` has `V` vectors for each
        // window; `dk` has `filters` values for each value of a patch.
        unsafe {
            let from = self.field.as_ptr().add(from);
            let mut sums = [[s.splat(0.0); V]; P];
            let mut dy = self.packed.as_ptr();
            for offset in windows {
                let from = from.add(*offset);
                let mut row = [s.splat(0.0); V];
                for (v, row) in row.iter_mut().enumerate() {
                    *row = s.load(dy.add(v * S::LANES));
                }
                dy = dy.add(V * S::LANES);
                for (p, sums) in sums.iter_mut().enumerate() {
                    let x = s.splat(*from.add(p));
                    for v in 0..V {
                        sums[v] = s.mul_add(x, row[v], sums[v]);
                    }
                }
            }
            for (p, sums) in sums.iter().enumerate() {
                let dk = self.dk.as_mut_ptr().add((tap + p) * filters + block.first);
                let left = filters - block.first;
                let mut total = *sums;
                for (v, total) in total.iter_mut().enumerate() {
                    if left > v * S::LANES {
                        let before = load_up_to(s, dk.add(v * S::LANES).cast_const(), left - v * S::LANES);
                        *total = s.add(before, *total);
                    }
                }
                store(s, dk, left, &total);
            }
        }
        P
    }
}
