//! Kernel gradients of short patches behind max-pooling, by looking values up instead of masking them.
//!
//! Vectors run over filters, and each lane has a winning cell `c` of its own: for the tap `t` of the patch it wants the value
//! `field[place(c) + t]`. Masks ask every lane about every cell. But all patches of a pooling window cover few values; copied
//! together at a pitch of as many columns as they cover, the value of cell `c` and tap `t` lies at `A(c) + B(t)`:
//!
//! ```text
//! A(down, across) = down * columns + across       B(height, width) = height * columns + width      (times strides and dilations)
//! ```
//!
//! Lanes differ in `A` only, which is the same for all taps, and taps in `B` only, which is the same for all lanes. So the vector from
//! `B(t)` on, its lanes picked by `A`, is what all lanes want of the tap: a pick and a multiply-add a tap, whatever the number of
//! cells. It takes that the last cell lies within a vector of the first, `A < lanes`. Channels lie in tables of their own.
//!
//! For 3x3 kernels on one channel and 2x2 pooling a table is 4x4 values and the last cell lies at 5.

use super::Row;
use crate::nn::kernels::conv::ConvGeometry;
use crate::nn::kernels::conv::field::Field;
use crate::nn::kernels::conv::tile::store;
use crate::nn::kernels::max_pool::CLOSED;
use crate::nn::kernels::simd::{Isa, MOST_LANES, Simd, Work, run};
use crate::nn::kernels::window::Window;
use crate::nn::threads::with_scratch;

/// Taps whose sums are in registers together.
const TAPS: usize = 9;
/// Values of a table's row that are read at once.
const QUAD: usize = 4;
/// Vectors of the bias's gradient that are summed together: a few cache lines side by side.
const VECTORS: usize = 4;

/// How the values under pooling windows are copied together: made once.
pub struct Lookup {
    isa: Isa,
    filters: usize,
    channels: usize,
    /// The extent of a window's patches, without channels.
    rows: usize,
    columns: usize,
    /// Values of the field, and from one of its rows to the next.
    field_len: usize,
    line: usize,
    /// Where each pooling window begins in the field.
    pub windows: Vec<usize>,
    /// Where each cell's patch begins in the field, from the window's first on.
    pub places: Vec<usize>,
    /// `A` of each cell, and zeros.
    cells: [u8; MOST_LANES],
    /// `B` of each tap, in the kernel's order.
    taps: Vec<usize>,
}

impl Lookup {
    /// None where cells lie too far from each other, where pooling windows are not whole, or without an instruction to pick lanes.
    pub fn new(isa: Isa, geometry: &ConvGeometry, pool: &Window, field: &Field) -> Option<Self> {
        let conv = &geometry.window;
        let [depth, down, across] = pool.kernel;
        if isa == Isa::Portable || !pool.is_inside() || depth * conv.kernel[0] != 1 {
            return None;
        }
        let step = |axis: usize| pool.dilation[axis] * conv.strides[axis];
        let extent =
            |axis: usize| (pool.kernel[axis] - 1) * step(axis) + (conv.kernel[axis] - 1) * conv.dilation[axis] + 1;
        let (rows, columns) = (extent(1), extent(2));
        let (mut cells, mut places) = ([0; MOST_LANES], Vec::new());
        for cell in 0..down * across {
            let (height, width) = (cell / across * step(1), cell % across * step(2));
            places.push(height * field.line() + width * geometry.channels);
            let at = height * columns + width;
            *cells.get_mut(cell)? = u8::try_from(at).ok().filter(|at| usize::from(*at) < isa.lanes())?;
        }
        let tap = |tap: usize| {
            let (cell, channel) = (tap / geometry.channels, tap % geometry.channels);
            let (height, width) = (cell / conv.kernel[2], cell % conv.kernel[2]);
            (channel * rows + height * conv.dilation[1]) * columns + width * conv.dilation[2]
        };
        let first_cell = |window: usize| {
            let [depth, height, width] = pool.output_at(window);
            let place = |axis: usize, output: usize| output * pool.strides[axis];
            (place(0, depth) * pool.input[1] + place(1, height)) * pool.input[2] + place(2, width)
        };
        let windows: Vec<usize> = (0..pool.output_cells())
            .map(|window| field.offsets[first_cell(window)])
            .collect();
        let last = windows.last()? + (rows - 1) * field.line() + columns * geometry.channels;
        assert!(last <= field.len(), "all windows lie in their field");
        Some(Self {
            isa,
            filters: geometry.filters,
            channels: geometry.channels,
            rows,
            columns,
            field_len: field.len(),
            line: field.line(),
            windows,
            places,
            cells,
            taps: (0..geometry.patch_len()).map(tap).collect(),
        })
    }

    /// Adds one row's gradients for the kernel, `[patch, filters]`, to `dk`, and those for the bias to `db`.
    pub fn add(&self, row: &Row, dk: &mut [f32], db: &mut [f32]) {
        assert!(dk.len() == self.taps.len() * self.filters && db.len() == self.filters);
        let (lanes, values) = (self.isa.lanes(), self.windows.len() * row.stride);
        assert!(row.stride >= self.filters.next_multiple_of(lanes));
        assert!(row.pooled.dy.len() == values && row.pooled.winners.len() == values);
        assert_eq!(row.field.len(), self.field_len);
        let exist = |windows: &[usize]| windows.iter().all(|window| *window < self.windows.len());
        assert!(exist(row.filled) && row.of_bias.is_none_or(exist));
        let tables = row.filled.len() * self.table_len() + MOST_LANES;
        with_scratch(tables, |tables| {
            run(
                self.isa,
                Sums {
                    lookup: self,
                    row,
                    tables,
                    dk,
                    db,
                },
            );
        });
    }

    fn table_len(&self) -> usize {
        self.channels * self.rows * self.columns
    }
}

/// [`Lookup::add`], its checks done.
struct Sums<'a> {
    lookup: &'a Lookup,
    row: &'a Row<'a>,
    /// A table for each filled window, and a vector more.
    tables: &'a mut [f32],
    dk: &'a mut [f32],
    db: &'a mut [f32],
}

impl Work for Sums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let Lookup {
            filters, taps, columns, ..
        } = self.lookup;
        if *columns == QUAD && self.lookup.channels == 1 {
            self.fill_quads(s);
        } else {
            self.fill(s);
        }
        if let Some(windows) = self.row.of_bias {
            self.bias(s, windows);
        }
        let in_a_vector = self.lookup.table_len() <= S::LANES;
        let mut filter = 0;
        while filter < *filters {
            let left = filters - filter;
            for (block, taps) in taps.chunks(TAPS).enumerate() {
                let (sums, of_bias) = if in_a_vector {
                    self.sums::<S, true>(s, filter, taps)
                } else {
                    self.sums::<S, false>(s, filter, taps)
                };
                if block == 0 && self.row.of_bias.is_none() {
                    // SAFETY: `db` has `left` values from `filter` on.
                    unsafe {
                        let db = self.db.as_mut_ptr().add(filter);
                        store(s, db, left, &[s.add(s.load_up_to(db, left), of_bias)]);
                    }
                }
                for (tap, sum) in sums.iter().enumerate().take(taps.len()) {
                    // SAFETY: `dk` has `left` values of the tap from `filter` on.
                    unsafe {
                        let dk = self.dk.as_mut_ptr().add((block * TAPS + tap) * filters + filter);
                        store(s, dk, left, &[s.add(s.load_up_to(dk, left), *sum)]);
                    }
                }
            }
            filter += S::LANES;
        }
    }
}

impl Sums<'_> {
    /// Copies the values under each filled window together.
    #[inline(always)]
    fn fill<S: Simd>(&mut self, s: S) {
        let Lookup {
            channels,
            rows,
            columns,
            line,
            windows,
            ..
        } = self.lookup;
        let mut to = 0;
        for window in self.row.filled {
            for channel in 0..*channels {
                for row in 0..*rows {
                    let from = windows[*window] + row * line + channel;
                    if *channels == 1 {
                        for at in (0..*columns).step_by(S::LANES) {
                            // SAFETY: the row's `columns` values lie in the field, as `new` has checked; what is written beyond them belongs
                            // to rows that come later, or to the vector behind the last table.
                            unsafe {
                                let values = s.load_up_to(self.row.field.as_ptr().add(from + at), columns - at);
                                s.store(self.tables.as_mut_ptr().add(to + at), values);
                            }
                        }
                    } else {
                        let values = self.row.field[from..].iter().step_by(*channels);
                        for (to, value) in self.tables[to..to + columns].iter_mut().zip(values) {
                            *to = *value;
                        }
                    }
                    to += columns;
                }
            }
        }
    }

    /// [`Self::fill`] of one channel and tables that are four values wide.
    #[inline(always)]
    fn fill_quads<S: Simd>(&mut self, s: S) {
        let Lookup {
            rows, line, windows, ..
        } = self.lookup;
        let quads = S::LANES / QUAD;
        // Which row of a vector each lane is in.
        let lanes: [f32; MOST_LANES] = std::array::from_fn(|lane| (lane / QUAD) as f32);
        // SAFETY: there are as many lanes as any vector has.
        let lanes = unsafe { s.load(lanes.as_ptr()) };
        let mut to = 0;
        for window in self.row.filled {
            for first in (0..*rows).step_by(quads) {
                // SAFETY: rows of windows lie in the field, as `new` has checked; the last one is taken again if there are no more, and
                // what is written behind it belongs to tables that come later, or to the vector behind the last.
                unsafe {
                    let mut values = s.splat(0.0);
                    for quad in 0..quads {
                        let row = (first + quad).min(rows - 1);
                        let of_row = s.load_quad(self.row.field.as_ptr().add(windows[*window] + row * line));
                        values = s.select(s.equal(lanes, s.splat(quad as f32)), of_row, values);
                    }
                    s.store(self.tables.as_mut_ptr().add(to + first * QUAD), values);
                }
            }
            to += rows * QUAD;
        }
    }

    /// The gradient of the bias. Windows pass in the order in which they lie in memory, as this is the first look at them.
    #[inline(always)]
    fn bias<S: Simd>(&mut self, s: S, windows: &[usize]) {
        let filters = self.lookup.filters;
        let mut first = 0;
        while first < filters {
            if filters - first > (VECTORS - 1) * S::LANES {
                self.bias_of::<S, VECTORS>(s, windows, first);
                first += VECTORS * S::LANES;
            } else {
                self.bias_of::<S, 1>(s, windows, first);
                first += S::LANES;
            }
        }
    }

    /// [`Self::bias`] for `V` vectors of filters.
    #[inline(always)]
    fn bias_of<S: Simd, const V: usize>(&mut self, s: S, windows: &[usize], first: usize) {
        let mut sums = [s.splat(0.0); V];
        for window in windows {
            for (v, sum) in sums.iter_mut().enumerate() {
                // SAFETY: windows and filters exist, in whole vectors.
                *sum = s.add(*sum, unsafe { self.slope(s, *window, first + v * S::LANES) });
            }
        }
        for (v, sum) in sums.iter().enumerate() {
            let first = first + v * S::LANES;
            let left = self.lookup.filters - first;
            // SAFETY: `db` has `left` values from `first` on.
            unsafe {
                let db = self.db.as_mut_ptr().add(first);
                store(s, db, left, &[s.add(s.load_up_to(db, left), *sum)]);
            }
        }
    }

    /// The sums of some taps over the filled windows, and of the gradients alone. If a table is not larger than a vector, it is read once
    /// for all taps.
    #[inline(always)]
    fn sums<S: Simd, const IN_A_VECTOR: bool>(
        &self,
        s: S,
        filter: usize,
        taps: &[usize],
    ) -> ([S::Vector; TAPS], S::Vector) {
        let table_len = self.lookup.table_len();
        let mut sums = [s.splat(0.0); TAPS];
        let mut of_bias = s.splat(0.0);
        // SAFETY: windows and filters exist, in whole vectors; from every tap on a table, or what follows it, has a whole vector.
        unsafe {
            // The last block repeats its last tap, which is not stored.
            let taps: [usize; TAPS] = std::array::from_fn(|tap| taps[tap.min(taps.len() - 1)]);
            let mut from = [self.tables.as_ptr(); TAPS];
            for (from, tap) in from.iter_mut().zip(taps) {
                *from = from.add(tap);
            }
            let cells = s.load_lanes(self.lookup.cells.as_ptr());
            let further = taps.map(|tap| s.load_lanes([(tap % S::LANES) as u8; MOST_LANES].as_ptr()));
            for (table, window) in self.row.filled.iter().enumerate() {
                let slope = self.slope(s, *window, filter);
                of_bias = s.add(of_bias, slope);
                let winner = self.row.pooled.winners.as_ptr().add(window * self.row.stride + filter);
                let lanes = s.pick_lanes(s.load_lanes(winner), cells);
                let whole = s.load(self.tables.as_ptr().add(table * table_len));
                for tap in 0..TAPS {
                    let values = if IN_A_VECTOR {
                        s.pick(s.add_lanes(lanes, further[tap]), whole)
                    } else {
                        s.pick(lanes, s.load(from[tap].add(table * table_len)))
                    };
                    sums[tap] = s.mul_add(slope, values, sums[tap]);
                }
            }
        }
        (sums, of_bias)
    }

    /// The gradients of a window for a vector of filters, zero where relu was closed.
    ///
    /// # Safety
    /// The window and the vector exist.
    #[inline(always)]
    unsafe fn slope<S: Simd>(&self, s: S, window: usize, filter: usize) -> S::Vector {
        let at = window * self.row.stride + filter;
        // SAFETY: as the caller vouches; rows of `stride` values are whole vectors.
        unsafe {
            let slope = s.load(self.row.pooled.dy.as_ptr().add(at));
            let winner = s.load_bytes(self.row.pooled.winners.as_ptr().add(at));
            s.select(s.equal(winner, s.splat(f32::from(CLOSED))), s.splat(0.0), slope)
        }
    }
}
