//! Gradients of a convolution behind relu and max-pooling, from the non-zeros only.
//!
//! Each pooled value passes its gradient to one place of the convolution's output, or to none where relu was closed: of a 2x2 pooling
//! a quarter at most is not zero, in practice a tenth. A non-zero slope `g` at a window and filter
//!
//! - adds `g patch(window)` to the filter's kernel gradient ([`long_patches`]);
//! - adds `g kernel[filter]` to the window's patch of the input's gradient ([`input_lines`], and [`input_patches`] where strides or
//!   dilation tear lines apart).
//!
//! Vectors run over the patch in both, so the kernel is kept filter by filter, `[filters, patch]`. The patches of a first layer on
//! pictures are too short for that (nine values); there vectors run over filters, and each lane looks its winner's values up
//! ([`lookup`]) or, where that does not reach, is masked to the cell that its maximum came from ([`short_patches`]). Windows over
//! nothing but zeros are left out.

mod input_lines;
mod input_patches;
mod long_patches;
mod lookup;
mod short_patches;
mod slopes;

use self::input_lines::InputLines;
use self::lookup::{Lookup, Row};
use self::short_patches::ShortPatches;
use super::ConvGeometry;
use super::field::Field;
use crate::nn::kernels::max_pool::CLOSED;
use crate::nn::kernels::simd::{Isa, run};
use crate::nn::kernels::window::Window;
use crate::nn::threads::{self, Unset, with_list, with_scratch};

/// Where the cells of all pooling windows lie in the convolution's input: made once.
pub struct Sparse {
    isa: Isa,
    field: Field,
    taps: Vec<usize>,
    filters: usize,
    /// Pooling windows, and cells of each.
    pooled: usize,
    cells: usize,
    /// For each pooling window and each of its cells, the offset of the patch in the field.
    places: Vec<usize>,
    /// Whether vectors run over filters, not over patches, for the kernel's gradient.
    by_filters: bool,
    /// If so, how lanes look up their winners' values.
    lookup: Option<Lookup>,
    /// For the input's gradient, if its lines are whole.
    lines: Option<InputLines>,
}

/// Gradients of one row of a batch: a value and a winning cell for each pooling window and filter.
#[derive(Clone, Copy)]
pub struct Pooled<'a> {
    /// Gradients of the pooled values, `[windows, filters]`.
    pub dy: &'a [f32],
    /// The winning cell of each, or [`CLOSED`].
    pub winners: &'a [u8],
}

impl Sparse {
    /// Prepares for a batch, for the instruction set of the calling thread.
    pub fn new(geometry: &ConvGeometry, pool: &Window) -> Self {
        let field = Field::new(geometry);
        let (pooled, cells) = (pool.output_cells(), pool.kernel_cells());
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
        let lines = InputLines::new(isa, geometry, pool);
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
            lines,
        }
    }

    /// Values to a window in whole vectors of filters.
    fn stride(&self) -> usize {
        self.filters.next_multiple_of(self.isa.lanes())
    }

    /// Whether kernel gradients are kept `[patch, filters]` as the kernel is, and not `[filters, patch]`.
    pub fn keeps_layout(&self) -> bool {
        self.by_filters
    }

    /// Adds one row's gradients for the kernel (see [`Self::keeps_layout`]) to `dk`, and those for the bias to `db`. `ahead` is the input
    /// that will be wanted next: long patches bring it into the cache meanwhile, short ones make no use of it.
    pub fn parameters(&self, x: &[f32], ahead: &[f32], pooled: Pooled, dk: &mut [f32], db: &mut [f32]) {
        self.check(pooled);
        assert!(dk.len() == self.taps.len() * self.filters && db.len() == self.filters);
        let mut with_field = |field: &[f32]| {
            assert_eq!(field.len(), self.field.len());
            if self.keeps_layout() {
                self.short_patches(field, pooled, dk, db);
            } else {
                long_patches::add(self, field, ahead, pooled, dk, db);
            }
        };
        // Long patches are read time and again, which pays for a copy if the input does not begin at a cache line.
        if self.field.is_input() && (self.keeps_layout() || threads::begins_line(x)) {
            return with_field(x);
        }
        with_scratch(self.field.len(), |field| {
            self.field.fill(x, field);
            with_field(field);
        });
    }

    /// So many values behind a kernel are read by [`Self::input`], and make no difference.
    pub fn read_behind_kernel(&self) -> usize {
        self.lines.as_ref().map_or(0, InputLines::read_behind_kernel)
    }

    /// Writes one row's gradient for the input; `kernel` is `[filters, patch]` and [some values](Self::read_behind_kernel) more.
    pub fn input(&self, kernel: &[f32], pooled: Pooled, dx: Unset<f32>) {
        self.check(pooled);
        if let Some(lines) = &self.lines {
            return lines.write(kernel, pooled, dx);
        }
        let dx = dx.zeroed();
        if self.field.is_input() {
            return input_patches::add(self, kernel, pooled, dx);
        }
        with_scratch(self.field.len(), |field| {
            field.fill(0.0);
            input_patches::add(self, kernel, pooled, field);
            self.field.crop(field, dx);
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

    /// [`Self::parameters`] for vectors of filters.
    fn short_patches(&self, field: &[f32], pooled: Pooled, dk: &mut [f32], db: &mut [f32]) {
        let stride = self.stride();
        if stride == self.filters {
            return self.whole_vectors(field, pooled, stride, dk, db);
        }
        // Whole vectors, so that winners can be read beyond the last filter.
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
        if let Some(lookup) = &self.lookup {
            return self.field.with_live(self.isa, field, &lookup.places, |live| {
                let row = Row {
                    field,
                    live,
                    pooled,
                    stride,
                };
                lookup.add(&row, dk, db);
            });
        }
        self.field.with_live(self.isa, field, &[0], |live| {
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
