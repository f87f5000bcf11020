//! The kernel's gradient `patches(x)ᵀ dy`, straight from the input.
//!
//! Register tiles of `values of a patch x vectors of filters`, summed over windows: the patches are read where they are (see [`Field`]).
//! A tile's values are neighbours, so that one address serves them all: with one for each there are not enough registers. Rows of few
//! windows are summed together, as the gradients of many channels are far larger than what is summed of a row.

use super::ConvGeometry;
use super::field::{Field, Run};
use super::tile::{Block, blocks, store};
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
    /// Rows of the batch whose fields lie side by side, and the first value of each of their windows' patches.
    rows: usize,
    offsets: Vec<usize>,
    /// Values of a patch.
    taps: usize,
    filters: usize,
}

impl KernelGradient {
    /// Prepares for a batch, for the instruction set of the calling thread.
    pub fn new(geometry: &ConvGeometry) -> Self {
        let field = Field::new(geometry);
        let windows = field.offsets.len();
        let rows = (WINDOWS_PER_PASS / windows.max(1)).max(1);
        let offsets =
            (0..rows * windows).map(|window| window / windows * field.len() + field.offsets[window % windows]);
        Self {
            isa: Isa::current(),
            rows,
            offsets: offsets.collect(),
            field,
            taps: geometry.patch_len(),
            filters: geometry.filters,
        }
    }

    /// Adds `patches(x)ᵀ dy`, for some rows of the batch, to `dk`: the part of the gradient `[patch, filters]` that begins with the value
    /// `first` of the patch.
    pub fn add(&self, geometry: &ConvGeometry, x: &[f32], dy: &[f32], first: usize, dk: &mut [f32]) {
        let (inputs, outputs) = (self.rows * geometry.input_len(), self.rows * geometry.output_len());
        let taps = dk.len() / self.filters;
        assert!(dk.len() == taps * self.filters && first + taps <= self.taps);
        let runs = part(&self.field.runs, first, taps);
        for (x, dy) in x.chunks(inputs).zip(dy.chunks(outputs)) {
            let rows = ConvGeometry::rows(x, geometry.input_len());
            assert_eq!(dy.len(), rows * geometry.output_len());
            let mut with_fields = |fields: &[f32]| {
                assert_eq!(fields.len(), rows * self.field.len());
                // One block of filters at a time, side by side: lines of `dy` that lie far apart would displace each other in the cache.
                with_scratch(WINDOWS_PER_PASS * WIDEST, |packed| {
                    run(
                        self.isa,
                        Add {
                            prepared: self,
                            runs: &runs,
                            fields,
                            dy,
                            packed,
                            dk,
                        },
                    );
                });
            };
            if self.field.is_input() {
                with_fields(x);
                continue;
            }
            with_scratch(rows * self.field.len(), |padded| {
                self.field.fill(x, padded);
                with_fields(padded);
            });
        }
    }
}

/// The part of a patch that begins with its value `first` and has `len` of them.
fn part(runs: &[Run], first: usize, len: usize) -> Vec<Run> {
    let (mut part, mut begin) = (Vec::with_capacity(runs.len()), 0);
    for run in runs {
        let (from, to) = (first.max(begin), (first + len).min(begin + run.len));
        if from < to {
            part.push(Run {
                offset: run.offset + from - begin,
                len: to - from,
            });
        }
        begin += run.len;
    }
    part
}

/// [`KernelGradient::add`], its checks done.
struct Add<'a> {
    prepared: &'a KernelGradient,
    runs: &'a [Run],
    fields: &'a [f32],
    dy: &'a [f32],
    packed: &'a mut [f32],
    dk: &'a mut [f32],
}

impl Work for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let offsets = &self.prepared.offsets[..self.dy.len() / self.prepared.filters];
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
        for Run { offset, len } in self.runs {
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
        // SAFETY: `Field` lays all windows and their runs into each row's field, which is as long as it says; `packed` has `V` vectors for
        // each window; `dk` has `filters` values for each value of the runs.
        unsafe {
            let from = self.fields.as_ptr().add(from);
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
                        let before = s.load_up_to(dk.add(v * S::LANES).cast_const(), left - v * S::LANES);
                        *total = s.add(before, *total);
                    }
                }
                store(s, dk, left, &total);
            }
        }
        P
    }
}
