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
//! nothing but zeros are left out. Of the deeper layer of two, whatever concerns places that are not [`Live`] can be.

mod ahead;
mod input_lines;
mod input_patches;
mod long_patches;
mod lookup;
mod short_patches;
mod slopes;

pub use self::ahead::Ahead;
use self::input_lines::InputLines;
use self::lookup::Lookup;
use super::ConvGeometry;
use super::field::Field;
use crate::nn::kernels::max_pool::CLOSED;
use crate::nn::kernels::simd::Isa;
use crate::nn::kernels::window::Window;
use crate::nn::threads::{self, Unset, with_room, with_scratch};

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
    /// The same cell of the field.
    field_cells: Vec<usize>,
    /// Whether vectors run over filters, not over patches, for the kernel's gradient.
    by_filters: bool,
    /// If so, how lanes look up their winners' values.
    lookup: Option<Lookup>,
    /// All pooling windows.
    all: Vec<usize>,
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

/// Which places of a convolution's input are live: what concerns the others alone is left out.
#[derive(Clone, Copy)]
pub struct Live<'a> {
    /// For each place.
    places: &'a [bool],
    /// For each cell of each pooling window a bit for each run of its patch: whether there is a live place in it.
    reach: &'a [u8],
}

/// What kernel gradients leave out.
pub struct Left<'a> {
    /// A run of the patch without a live place is left out.
    pub live: Live<'a>,
    /// Here the slopes of the runs that are left out are added, `[runs, filters]`.
    pub sums: &'a mut [f32],
}

/// Whose gradients the bias gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfBias {
    /// Those of all pooling windows.
    All,
    /// Those of the windows that have anything but zeros under them.
    Filled,
}

/// A row of a batch for short patches.
struct Row<'a> {
    /// The padded input.
    field: &'a [f32],
    /// The pooling windows with anything but zeros under them.
    filled: &'a [usize],
    /// Those whose gradients count for the bias, if they are others.
    of_bias: Option<&'a [usize]>,
    /// Gradients and winners, `stride` of them a window: whole vectors.
    pooled: Pooled<'a>,
    /// At least as many as there are filters.
    stride: usize,
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
            field_cells: places.iter().map(|place| place / geometry.channels).collect(),
            field,
            filters: geometry.filters,
            pooled,
            cells,
            places,
            by_filters,
            lookup,
            all: (0..pooled).collect(),
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
    pub fn parameters(&self, x: &[f32], ahead: Ahead, pooled: Pooled, dk: &mut [f32], db: &mut [f32]) {
        self.check(pooled);
        self.with_field(x, |field| {
            if self.keeps_layout() {
                with_room(self.pooled, |filled: &mut [bool]| {
                    self.mark_filled_of(field, filled);
                    self.short_patches(field, filled, OfBias::All, pooled, dk, db);
                });
            } else {
                long_patches::add(self, field, ahead, pooled, None, dk, db);
            }
        });
    }

    /// [`Self::parameters`] of short patches if only the `filled` windows have anything but zeros under them.
    pub fn parameters_of(
        &self,
        filled: &[bool],
        of_bias: OfBias,
        x: &[f32],
        pooled: Pooled,
        dk: &mut [f32],
        db: &mut [f32],
    ) {
        self.check(pooled);
        self.with_field(x, |field| self.short_patches(field, filled, of_bias, pooled, dk, db));
    }

    /// [`Self::parameters`] of long patches if it [can](Self::can_leave_out) leave something out; see [`Left`].
    pub fn parameters_but(&self, left: Left, x: &[f32], ahead: Ahead, pooled: Pooled, dk: &mut [f32], db: &mut [f32]) {
        self.check(pooled);
        self.with_field(x, |field| {
            long_patches::add(self, field, ahead, pooled, Some(left), dk, db);
        });
    }

    /// Whether [`Self::parameters_but`] and [`Self::input`] can leave out what is not live.
    pub fn can_leave_out(&self) -> bool {
        !self.keeps_layout() && self.lines.is_some() && long_patches::can_leave_out(&self.field)
    }

    /// Calls `work` with the live places among all `places` of the input, and what they reach.
    pub fn with_live<R>(&self, places: &[bool], work: impl FnOnce(Live) -> R) -> R {
        self.field.with_reach(self.isa, places, |of_field| {
            with_room(self.places.len(), |reach: &mut [u8]| {
                for (reach, cell) in reach.iter_mut().zip(&self.field_cells) {
                    *reach = of_field[*cell];
                }
                work(Live { places, reach })
            })
        })
    }

    /// The runs of a patch: where each begins and ends.
    pub fn runs(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        self.field.runs.iter().scan(0, |at, run| {
            *at += run.len;
            Some(*at - run.len..*at)
        })
    }

    /// Calls `work` with a row of the input as windows see it.
    fn with_field<R>(&self, x: &[f32], work: impl FnOnce(&[f32]) -> R) -> R {
        // Long patches are read time and again, which pays for a copy if the input does not begin at a cache line.
        if self.field.is_input() && (self.keeps_layout() || threads::begins_line(x)) {
            assert_eq!(x.len(), self.field.len());
            return work(x);
        }
        with_scratch(self.field.len(), |field| {
            self.field.fill(x, field);
            work(field)
        })
    }

    /// Writes for each pooling window of a row of short patches whether there is anything but zeros under it.
    pub fn mark_filled(&self, x: &[f32], filled: &mut [bool]) {
        assert!(self.keeps_layout() && filled.len() == self.pooled);
        self.with_field(x, |field| self.mark_filled_of(field, filled));
    }

    /// [`Self::mark_filled`] of a row as windows see it.
    fn mark_filled_of(&self, field: &[f32], filled: &mut [bool]) {
        if let Some(lookup) = &self.lookup {
            self.field.with_live(self.isa, field, &lookup.places, |live| {
                for (filled, first) in filled.iter_mut().zip(&lookup.windows) {
                    *filled = live[*first];
                }
            });
            return;
        }
        self.field.with_live(self.isa, field, &[0], |live| {
            for (filled, places) in filled.iter_mut().zip(self.places.chunks_exact(self.cells)) {
                *filled = places.iter().any(|place| live[*place]);
            }
        });
    }

    /// Calls `work` with the pooling windows that are marked.
    fn with_windows<R>(&self, marked: &[bool], work: impl FnOnce(&[usize]) -> R) -> R {
        with_room(self.pooled, |windows: &mut [usize]| {
            // Without a branch on what cannot be foreseen.
            let mut count = 0;
            for (window, marked) in marked.iter().enumerate() {
                windows[count] = window;
                count += usize::from(*marked);
            }
            work(&windows[..count])
        })
    }

    /// So many values behind a kernel are read by [`Self::input`], and make no difference.
    pub fn read_behind_kernel(&self) -> usize {
        self.lines.as_ref().map_or(0, InputLines::read_behind_kernel)
    }

    /// Writes one row's gradient for the input, or of it what is live if it [can](Self::can_leave_out) leave out the rest; `kernel` is
    /// `[filters, patch]` and [some values](Self::read_behind_kernel) more.
    pub fn input(&self, kernel: &[f32], pooled: Pooled, live: Option<Live>, dx: Unset<f32>) {
        self.check(pooled);
        if let Some(lines) = &self.lines {
            return lines.write(kernel, pooled, live, dx);
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

    /// [`Self::parameters`] by vectors of filters, from the `filled` windows.
    fn short_patches(
        &self,
        field: &[f32],
        filled: &[bool],
        of_bias: OfBias,
        pooled: Pooled,
        dk: &mut [f32],
        db: &mut [f32],
    ) {
        assert!(self.keeps_layout() && filled.len() == self.pooled);
        assert!(dk.len() == self.taps.len() * self.filters && db.len() == self.filters);
        let stride = self.stride();
        let mut add = |pooled: Pooled| {
            self.with_windows(filled, |filled| {
                let row = Row {
                    field,
                    filled,
                    of_bias: matches!(of_bias, OfBias::All).then_some(&self.all),
                    pooled,
                    stride,
                };
                match &self.lookup {
                    Some(lookup) => lookup.add(&row, dk, db),
                    None => short_patches::add(self, &row, dk, db),
                }
            });
        };
        if stride == self.filters {
            return add(pooled);
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
        add(Pooled {
            dy: &dy,
            winners: &winners,
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
