//! Gradients of a convolution behind relu and max-pooling, from the non-zeros only.
//!
//! Each pooled value passes its gradient to one place of the convolution's output, or to none where relu was closed: of a 2x2 pooling
//! a quarter at most is not zero, in practice a tenth. A non-zero `g` at a window and filter
//!
//! - adds `g patch(window)` to the filter's kernel gradient: for long patches, filter by filter, a sum of some patches that stays in
//!   registers over a whole row of the batch ([`Sparse::parameters`]);
//! - adds `g kernel[filter]` to the window's patch of the input's gradient: all filters of a window are summed in registers before
//!   they are added ([`Sparse::input`]).
//!
//! Vectors run over the patch in both, so the kernel is kept filter by filter, `[filters, patch]`. The patches of a first layer on
//! pictures are too short for that (nine values); there vectors run over filters, and each lane looks its winner's values up
//! ([`lookup`](super::lookup)) or, where that does not reach, is masked to the cell that its maximum came from. Windows over nothing
//! but zeros are left out.

use super::ConvGeometry;
use super::field::{Field, Run};
use super::lookup::{Lookup, Row};
use super::short_patches::ShortPatches;
use super::tile::{load_up_to, store};
use crate::nn::kernels::max_pool::CLOSED;
use crate::nn::kernels::simd::{Isa, Simd, Work, run};
use crate::nn::kernels::window::Window;
use crate::nn::threads::{listed, with_list, with_room, with_scratch};

/// Vectors of a long patch whose sums are in registers together.
const VECTORS: usize = 12;
/// The same for the rest of a run.
const REST: usize = 4;

/// Where the cells of all pooling windows lie in the convolution's input: made once for a batch.
pub struct Sparse {
    isa: Isa,
    pub(super) field: Field,
    pub(super) taps: Vec<usize>,
    pub(super) filters: usize,
    pub(super) pooled: usize,
    pub(super) cells: usize,
    /// For each pooling window and each of its cells, the offset of the patch in the field.
    pub(super) places: Vec<usize>,
    /// Whether vectors run over filters, not over patches.
    by_filters: bool,
    /// If so, how lanes look up their winners' values.
    lookup: Option<Lookup>,
}

/// A non-zero gradient: where it applies (a patch in the field, or a filter in the kernel) and its value.
#[derive(Clone, Copy, Default)]
struct Slope {
    at: u32,
    value: f32,
}

listed!(Slope);

/// Lends `work` room for `slopes`, with whatever was left in it, and `counts` zeros.
fn with_lists<R>(slopes: usize, counts: usize, work: impl FnOnce(&mut [Slope], &mut [usize]) -> R) -> R {
    with_room(slopes, |slopes| {
        with_list(|zeros| {
            zeros.resize(counts, 0);
            work(slopes, zeros)
        })
    })
}

/// A place in a field or kernel, which holds fewer values than 2^32.
#[expect(clippy::cast_possible_truncation, reason = "`Sparse::new` has looked at the largest")]
fn short(at: usize) -> u32 {
    at as u32
}

/// Gradients of one row of a batch: a value and a winning cell for each pooling window and filter.
#[derive(Clone, Copy)]
pub struct Pooled<'a> {
    /// Gradients of the pooled values, `[windows, filters]`.
    pub dy: &'a [f32],
    /// The winning cell of each, or [`CLOSED`].
    pub winners: &'a [u8],
}

impl<'a> Pooled<'a> {
    /// Gradients and winning cells of each window.
    fn windows(self, filters: usize) -> impl Iterator<Item = (&'a [f32], &'a [u8])> {
        self.dy.chunks_exact(filters).zip(self.winners.chunks_exact(filters))
    }
}

/// Calls `visit(filter, cell, value)` for the gradients of a window that pass and are not zero. Half of them are not: their lanes are
/// found together, and only they are looked at one by one.
#[inline(always)]
fn each_slope<S: Simd>(s: S, dy: &[f32], winners: &[u8], mut visit: impl FnMut(usize, usize, f32)) {
    let (zero, closed) = (s.splat(0.0), s.splat(f32::from(CLOSED)));
    let whole = dy.len().min(winners.len()) / S::LANES * S::LANES;
    for first in (0..whole).step_by(S::LANES) {
        // SAFETY: a whole vector is left of both.
        let (slope, winner) = unsafe { (s.load(&raw const dy[first]), s.load_bytes(&raw const winners[first])) };
        let shut = s.select(s.equal(winner, closed), zero, slope);
        let mut open = !s.bits(s.equal(shut, zero)) & (u32::MAX >> (32 - S::LANES));
        while open != 0 {
            let filter = first + open.trailing_zeros() as usize;
            visit(filter, usize::from(winners[filter]), dy[filter]);
            open &= open - 1;
        }
    }
    for (filter, (value, winner)) in dy.iter().zip(winners).enumerate().skip(whole) {
        if *winner != CLOSED && *value != 0.0 {
            visit(filter, usize::from(*winner), *value);
        }
    }
}

impl Sparse {
    /// Prepares for a batch, for the instruction set of the calling thread.
    pub fn new(geometry: &ConvGeometry, pool: &Window) -> Self {
        let field = Field::new(geometry);
        let (pooled, cells) = (pool.output_cells(), pool.kernel_cells());
        let largest = field.len().max(geometry.kernel_len());
        assert!(
            u32::try_from(largest).is_ok(),
            "one row of a batch with {largest} values is 16 GB"
        );
        let mut places = vec![0; pooled * cells];
        for (output, places) in pool.outputs().zip(places.chunks_exact_mut(cells)) {
            pool.for_each_cell(output, |cell, place| places[cell] = field.offsets[place]);
        }
        let isa = Isa::current();
        let by_filters = by_filters(isa, &field, cells);
        let lookup = if by_filters {
            Lookup::new(isa, geometry, pool, &field)
        } else {
            None
        };
        Self {
            isa,
            taps: field.taps(),
            field,
            filters: geometry.filters,
            pooled,
            cells,
            places,
            by_filters,
            lookup,
        }
    }

    /// Whether kernel gradients are kept `[patch, filters]` as the kernel is, and not `[filters, patch]`.
    pub fn keeps_layout(&self) -> bool {
        self.by_filters
    }

    /// Adds one row's gradients for the kernel (see [`Self::keeps_layout`]) to `dk`, and those for the bias to `db`.
    pub fn parameters(&self, x: &[f32], pooled: Pooled, dk: &mut [f32], db: &mut [f32]) {
        self.check(pooled);
        assert!(dk.len() == self.taps.len() * self.filters && db.len() == self.filters);
        let mut with_field = |field: &[f32]| {
            assert_eq!(field.len(), self.field.len());
            if self.keeps_layout() {
                self.short_patches(field, pooled, dk, db);
            } else {
                self.long_patches(field, pooled, dk, db);
            }
        };
        // Long patches are read time and again, which pays for a copy that begins at a cache line.
        if self.field.is_input() && self.keeps_layout() {
            return with_field(x);
        }
        with_scratch(self.field.len(), |field| {
            self.field.fill(x, field);
            with_field(field);
        });
    }

    /// Adds one row's gradient for the input to `dx`, which is zero; `kernel` is `[filters, patch]`.
    pub fn input(&self, kernel: &[f32], pooled: Pooled, dx: &mut [f32]) {
        self.check(pooled);
        assert_eq!(kernel.len(), self.taps.len() * self.filters);
        if self.field.is_input() {
            assert_eq!(dx.len(), self.field.len());
            return self.input_field(kernel, pooled, dx);
        }
        with_scratch(self.field.len(), |field| {
            field.fill(0.0);
            self.input_field(kernel, pooled, field);
            self.field.crop(field, dx);
        });
    }

    /// [`Self::input`] for a whole field, which is zero.
    fn input_field(&self, kernel: &[f32], pooled: Pooled, field: &mut [f32]) {
        let lists = self.pooled * self.cells;
        with_lists(lists * self.filters, lists, |slopes, counts| {
            let work = Input {
                plan: self,
                kernel,
                pooled,
                slopes,
                counts,
                dx: field,
            };
            run(self.isa, work);
        });
    }

    /// Winners name cells of their window, so that all places exist.
    fn check(&self, pooled: Pooled) {
        let len = self.pooled * self.filters;
        assert!(
            pooled.dy.len() == len && pooled.winners.len() == len,
            "{len} pooled values"
        );
        let known = |winner: &u8| *winner == CLOSED || usize::from(*winner) < self.cells;
        debug_assert!(pooled.winners.iter().all(known), "winners are cells of their window");
    }

    /// [`Self::parameters`] filter by filter.
    fn long_patches(&self, field: &[f32], pooled: Pooled, dk: &mut [f32], db: &mut [f32]) {
        with_lists(self.filters * self.pooled, self.filters, |slopes, counts| {
            let work = LongPatches {
                plan: self,
                field,
                pooled,
                slopes,
                counts,
                dk,
                db,
            };
            run(self.isa, work);
        });
    }

    /// [`Self::parameters`] for vectors of filters.
    fn short_patches(&self, field: &[f32], pooled: Pooled, dk: &mut [f32], db: &mut [f32]) {
        let lanes = self.isa.lanes();
        if self.filters.is_multiple_of(lanes) {
            return self.whole_vectors(field, pooled, self.filters, dk, db);
        }
        // Whole vectors, so that winners can be read beyond the last filter.
        let stride = self.filters.next_multiple_of(lanes);
        let mut winners = vec![CLOSED; self.pooled * stride];
        let mut dy = vec![0.0; self.pooled * stride];
        for (to, from) in winners
            .chunks_exact_mut(stride)
            .zip(pooled.winners.chunks_exact(self.filters))
        {
            to[..self.filters].copy_from_slice(from);
        }
        for (to, from) in dy.chunks_exact_mut(stride).zip(pooled.dy.chunks_exact(self.filters)) {
            to[..self.filters].copy_from_slice(from);
        }
        let pooled = Pooled {
            dy: &dy,
            winners: &winners,
        };
        self.whole_vectors(field, pooled, stride, dk, db);
    }

    /// [`Self::short_patches`] with `stride` filters a window.
    fn whole_vectors(&self, field: &[f32], pooled: Pooled, stride: usize, dk: &mut [f32], db: &mut [f32]) {
        self.field.with_live(self.isa, field, |live| {
            if let Some(lookup) = &self.lookup {
                let row = Row {
                    field,
                    live,
                    pooled,
                    stride,
                };
                return lookup.add(&row, dk, db);
            }
            with_list(|windows| {
                let places = self.places.chunks_exact(self.cells).enumerate();
                let with_values = places.filter(|(_, places)| places.iter().any(|place| live[*place]));
                windows.extend(with_values.map(|(window, _)| window));
                let work = ShortPatches {
                    plan: self,
                    field,
                    windows,
                    pooled,
                    stride,
                    dk,
                    db,
                };
                run(self.isa, work);
            });
        });
    }
}

/// Whether it takes fewer cycles to add masked values to all taps for all cells, two at a time, than to add up runs of patches for the
/// non-zeros, half of the lanes say: a vector a cycle there, but not less than a chain of additions takes.
fn by_filters(isa: Isa, field: &Field, cells: usize) -> bool {
    const CHAIN: usize = 6;
    let taps: usize = field.runs.iter().map(|run| run.len).sum();
    let runs: usize = field
        .runs
        .iter()
        .map(|run| run.len.div_ceil(isa.lanes()).max(CHAIN))
        .sum();
    cells * taps <= isa.lanes() * runs
}

/// Adds `values[i] rows[i]` of some rows, from `at` on, to `sum`: `V` vectors, of which `left` values exist.
///
/// # Safety
/// `left` values, or `V` vectors if that is less, can be read from each row and `sum`, and written to `sum`.
#[inline(always)]
unsafe fn add_rows<S: Simd, const V: usize>(s: S, rows: *const f32, slopes: &[Slope], sum: *mut f32, left: usize) {
    if left >= V * S::LANES {
        let mut acc = [s.splat(0.0); V];
        // SAFETY: all of the `V` vectors exist.
        unsafe {
            for (v, acc) in acc.iter_mut().enumerate() {
                *acc = s.load(sum.add(v * S::LANES));
            }
            for slope in slopes {
                let (value, row) = (s.splat(slope.value), rows.add(slope.at as usize));
                for (v, acc) in acc.iter_mut().enumerate() {
                    *acc = s.mul_add(value, s.load(row.add(v * S::LANES)), *acc);
                }
            }
            for (v, acc) in acc.iter().enumerate() {
                s.store(sum.add(v * S::LANES), *acc);
            }
        }
        return;
    }
    for v in 0..left.div_ceil(S::LANES) {
        let (at, left) = (v * S::LANES, left - v * S::LANES);
        // SAFETY: only values before `left` are read and written.
        unsafe {
            let mut acc = load_up_to(s, sum.add(at), left);
            for slope in slopes {
                let row = load_up_to(s, rows.add(slope.at as usize + at), left);
                acc = s.mul_add(s.splat(slope.value), row, acc);
            }
            store(s, sum.add(at), left, &[acc]);
        }
    }
}

/// [`add_rows`] over a whole run.
///
/// # Safety
/// The run can be read from each row and `sum`, and written to `sum`.
#[inline(always)]
unsafe fn add_run<S: Simd>(s: S, rows: *const f32, slopes: &[Slope], sum: *mut f32, len: usize) {
    let mut at = 0;
    while at < len {
        // SAFETY: `at` lies inside the run, and `add_rows` stops at its end.
        unsafe {
            if len - at >= VECTORS * S::LANES {
                add_rows::<S, VECTORS>(s, rows.add(at), slopes, sum.add(at), len - at);
                at += VECTORS * S::LANES;
            } else {
                add_rows::<S, REST>(s, rows.add(at), slopes, sum.add(at), len - at);
                at += REST * S::LANES;
            }
        }
    }
}

/// Sums of patches, filter by filter.
struct LongPatches<'a> {
    plan: &'a Sparse,
    field: &'a [f32],
    pooled: Pooled<'a>,
    /// Room for the non-zeros of each filter, side by side.
    slopes: &'a mut [Slope],
    /// How many each has: zeros.
    counts: &'a mut [usize],
    dk: &'a mut [f32],
    db: &'a mut [f32],
}

impl Work for LongPatches<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Sparse {
            taps,
            pooled,
            places,
            cells,
            ..
        } = self.plan;
        let windows = self.pooled.windows(self.plan.filters);
        for ((dy, winners), places) in windows.zip(places.chunks_exact(*cells)) {
            each_slope(s, dy, winners, |filter, cell, value| {
                let count = &mut self.counts[filter];
                let at = short(places[cell]);
                self.slopes[filter * pooled + *count] = Slope { at, value };
                *count += 1;
                self.db[filter] += value;
            });
        }
        let lists = self.slopes.chunks_exact(*pooled).zip(&*self.counts);
        for ((list, count), dk) in lists.zip(self.dk.chunks_exact_mut(taps.len())) {
            let mut at = 0;
            for Run { offset, len } in &self.plan.field.runs {
                // SAFETY: all patches lie in the field, whose length was checked, and their runs fill `dk`.
                unsafe {
                    add_run(
                        s,
                        self.field.as_ptr().add(*offset),
                        &list[..*count],
                        dk.as_mut_ptr().add(at),
                        *len,
                    );
                }
                at += len;
            }
        }
    }
}

/// Sums of kernels, patch by patch.
struct Input<'a> {
    plan: &'a Sparse,
    kernel: &'a [f32],
    pooled: Pooled<'a>,
    /// Room for the non-zeros of each cell of each window.
    slopes: &'a mut [Slope],
    /// How many each cell has: zeros.
    counts: &'a mut [usize],
    dx: &'a mut [f32],
}

impl Work for Input<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Sparse { filters, cells, .. } = *self.plan;
        let patch_len = self.plan.taps.len();
        // For each cell of each window a list of its filters.
        let Self { slopes, counts, .. } = self;
        let lists = slopes
            .chunks_exact_mut(cells * filters)
            .zip(counts.chunks_exact_mut(cells));
        for ((dy, winners), (lists, counts)) in self.pooled.windows(filters).zip(lists) {
            each_slope(s, dy, winners, |filter, cell, value| {
                let count = &mut counts[cell];
                let at = short(filter * patch_len);
                lists[cell * filters + *count] = Slope { at, value };
                *count += 1;
            });
        }
        // Run by run, so that the kernel's part of it stays in the innermost cache.
        let mut at = 0;
        for Run { offset, len } in &self.plan.field.runs {
            for (window, places) in self.plan.places.chunks_exact(cells).enumerate() {
                for (cell, place) in places.iter().enumerate() {
                    let list = window * cells + cell;
                    let list = &slopes[list * filters..][..counts[list]];
                    if list.is_empty() {
                        continue;
                    }
                    // SAFETY: the patch at `place` lies in the field, as `dx` is; the runs fill a filter's kernel.
                    unsafe {
                        let dx = self.dx.as_mut_ptr().add(place + offset);
                        add_run(s, self.kernel.as_ptr().add(at), list, dx, *len);
                    }
                }
            }
            at += len;
        }
    }
}
