//! Gradients for the input of a convolution with stride 1, line by line.
//!
//! The non-zeros of one column of the convolution's output lie in a list, from the top to the bottom. What a column adds to a line of
//! the input is a part of its list, the cells of the last `height` lines:
//!
//! ```text
//! dx[line, column + across] += slope(down, column) kernel[line - down, across]          for line - down in 0..height
//! ```
//!
//! So the sums of a few places stay in registers while the columns pass from left to right. Behind each column its leftmost place has
//! all it gets, and is written: once, to memory that need not be zero.

use super::slopes::open;
use super::{Live, Pooled};
use crate::nn::kernels::conv::ConvGeometry;
use crate::nn::kernels::conv::tile::store;
use crate::nn::kernels::nonzeros::{List, Lists, bits};
use crate::nn::kernels::simd::{Isa, Simd, Work, run};
use crate::nn::kernels::window::Window;
use crate::nn::threads::{Unset, with_list, with_scratch};

/// Vectors of channels whose sums are in registers together, for each place.
const VECTORS: usize = 4;

/// Where the cells of the pooling windows lie: made once.
pub struct InputLines {
    isa: Isa,
    geometry: ConvGeometry,
    /// Pooling windows.
    pooled: usize,
    /// The cells of each column of the convolution's output, from the top to the bottom.
    columns: Vec<Vec<Cell>>,
    /// Entries of the longest list that a column can have, and a vector behind it.
    room: usize,
    /// Values to a window: whole vectors of filters.
    stride: usize,
    /// For each line of the output where each filter's kernel begins: see [`Lines::kernel`]. `stride` of them.
    starts: Vec<f32>,
}

/// A cell of a pooling window.
struct Cell {
    /// Its line of the convolution's output.
    down: usize,
    window: usize,
    /// Its number in the window, and among all cells of all windows.
    number: f32,
    of_all: usize,
}

impl InputLines {
    /// None for a convolution that is not of this kind.
    pub fn new(isa: Isa, geometry: &ConvGeometry, pool: &Window) -> Option<Self> {
        let conv = &geometry.window;
        let suits = conv.input[0] == 1
            && conv.kernel[0] == 1
            && matches!(conv.kernel[2], 3 | 5)
            && conv.strides == [1; 3]
            && conv.dilation == [1; 3]
            && geometry.channels >= isa.lanes();
        if !suits {
            return None;
        }
        let [_, down, across] = conv.output;
        let mut columns: Vec<Vec<Cell>> = (0..across).map(|_| Vec::new()).collect();
        for (window, output) in pool.outputs().enumerate() {
            pool.for_each_cell(output, |number, place| {
                columns[place % across].push(Cell {
                    down: place / across,
                    window,
                    number: number as f32,
                    of_all: window * pool.kernel_cells() + number,
                });
            });
        }
        for column in &mut columns {
            column.sort_by_key(|cell| cell.down);
        }
        let longest = columns.iter().map(Vec::len).max().unwrap_or(0);
        let stride = geometry.filters.next_multiple_of(isa.lanes());
        let line_len = conv.kernel[2] * geometry.channels;
        let start = |at: usize| {
            let (line, filter) = (at / stride, (at % stride).min(geometry.filters));
            bits(filter * geometry.patch_len() + (down - 1 - line) * line_len)
        };
        Some(Self {
            isa,
            geometry: *geometry,
            pooled: pool.output_cells(),
            columns,
            room: longest * stride + isa.lanes(),
            stride,
            starts: (0..down * stride).map(start).collect(),
        })
    }

    /// So many values behind a kernel are read, and make no difference.
    pub fn read_behind_kernel(&self) -> usize {
        VECTORS * self.isa.lanes()
    }

    /// Writes one row's gradient for the input, `dx`, or of it what is [live](super::Live); `kernel` is `[filters, patch]` and
    /// [some values](Self::read_behind_kernel) more.
    pub fn write(&self, kernel: &[f32], pooled: Pooled, live: Option<Live>, dx: Unset<f32>) {
        assert_eq!(pooled.dy.len(), self.pooled * self.geometry.filters);
        assert!(live.is_none_or(|live| live.places.len() == self.geometry.window.input_cells()));
        assert_eq!(dx.len(), self.geometry.input_len());
        assert_eq!(kernel.len(), self.geometry.kernel_len() + self.read_behind_kernel());
        let (values, lists) = (self.pooled * self.stride, self.columns.len() * self.room);
        with_scratch(2 * values + 2 * lists, |room| {
            let (open, lists) = room.split_at_mut(2 * values);
            with_list(|ends| {
                run(
                    self.isa,
                    Lines {
                        plan: self,
                        kernel,
                        pooled,
                        live,
                        open,
                        lists,
                        ends,
                        dx,
                    },
                );
            });
        });
    }
}

/// [`InputLines::write`], its checks done.
struct Lines<'a> {
    plan: &'a InputLines,
    kernel: &'a [f32],
    pooled: Pooled<'a>,
    live: Option<Live<'a>>,
    /// Room for gradients and winners, `[windows, stride]` each.
    open: &'a mut [f32],
    /// Room for the lists of all columns.
    lists: &'a mut [f32],
    /// For each column where the cells above each line of the output end, and where all do: empty.
    ends: &'a mut Vec<usize>,
    dx: Unset<'a, f32>,
}

impl Work for Lines<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        self.list(s);
        let channels = self.plan.geometry.channels;
        let mut channel = 0;
        while channel < channels {
            let vectors = (channels - channel).div_ceil(S::LANES);
            let (three, many) = (self.plan.geometry.window.kernel[2] == 3, S::ACCUMULATORS >= 24);
            channel += S::LANES
                * match (three, vectors, many) {
                    (true, 3.., true) => self.channels::<S, 3, VECTORS>(s, channel),
                    (true, 2.., _) => self.channels::<S, 3, 2>(s, channel),
                    (true, ..) => self.channels::<S, 3, 1>(s, channel),
                    (false, 3.., true) => self.channels::<S, 5, VECTORS>(s, channel),
                    (false, 2.., _) => self.channels::<S, 5, 2>(s, channel),
                    (false, ..) => self.channels::<S, 5, 1>(s, channel),
                };
        }
    }
}

impl Lines<'_> {
    /// Lists the non-zeros of all columns.
    #[inline(always)]
    fn list<S: Simd>(&mut self, s: S) {
        let InputLines {
            geometry,
            pooled,
            columns,
            room,
            stride,
            starts,
            ..
        } = self.plan;
        let down = geometry.window.output[1];
        let (slopes, winners) = self.open.split_at_mut(pooled * stride);
        let open = open(s, self.pooled, geometry.filters, *stride, slopes, winners);
        let (slopes, places) = self.lists.split_at_mut(columns.len() * room);
        let mut lists = Lists { values: slopes, places };
        for (column, cells) in columns.iter().enumerate() {
            let mut end = column * room;
            let mut cells = cells.iter().peekable();
            for line in 0..down {
                self.ends.push(end);
                while let Some(cell) = cells.next_if(|cell| cell.down == line) {
                    if self.live.is_some_and(|live| live.reach[cell.of_all] == 0) {
                        continue;
                    }
                    for filter in (0..*stride).step_by(S::LANES) {
                        let at = cell.window * stride + filter;
                        // SAFETY: windows and lines are whole vectors.
                        let (slope, winner, start) = unsafe {
                            (
                                s.load(open.slopes.as_ptr().add(at)),
                                s.load(open.winners.as_ptr().add(at)),
                                s.load(starts.as_ptr().add(line * stride + filter)),
                            )
                        };
                        end = lists.push(s, end, s.equal(winner, s.splat(cell.number)), slope, start);
                    }
                }
            }
            self.ends.push(end);
        }
    }

    /// The kernel for a line of the input, as counted with the padding above: with what is added to it in the lists, `filter patch_len +
    /// (lines of the output - 1 - down) line_len`, this is the line `line - down` of the filter's kernel.
    #[inline(always)]
    fn kernel(&self, line: usize) -> *const f32 {
        let geometry = &self.plan.geometry;
        let line_len = geometry.window.kernel[2] * geometry.channels;
        let last = geometry.window.output[1] - 1;
        self.kernel
            .as_ptr()
            .wrapping_add(line * line_len)
            .wrapping_sub(last * line_len)
    }

    /// Writes the lines of `V` vectors of channels from `channel` on, and returns `V`; the kernel is `ACROSS` wide.
    #[inline(always)]
    fn channels<S: Simd, const ACROSS: usize, const V: usize>(&mut self, s: S, channel: usize) -> usize {
        let InputLines { geometry, columns, .. } = self.plan;
        let conv = &geometry.window;
        let (channels, height, down) = (geometry.channels, conv.kernel[1], conv.output[1]);
        let [_, lines, places] = conv.input;
        let [_, above, before] = conv.pad_before;
        let (slopes, starts) = self.lists.split_at(self.lists.len() / 2);
        for line in 0..lines {
            let is_live = |live: Live| live.places[line * places..][..places].contains(&true);
            if !self.live.is_none_or(is_live) {
                continue;
            }
            // Lines of the output from `top` to `bottom` reach this one.
            let padded = line + above;
            let (top, bottom) = ((padded + 1).saturating_sub(height).min(down), (padded + 1).min(down));
            let kernel = self.kernel(padded).wrapping_add(channel);
            let mut sums = [[s.splat(0.0); V]; ACROSS];
            let live = |place: usize| place < places && self.live.is_none_or(|live| live.places[line * places + place]);
            // A bit for each place that the sums are of: whether it is written.
            let mut written = (0..ACROSS - 1).fold(0, |bits, across| {
                bits | u32::from(live(across.wrapping_sub(before))) << (across + 1)
            });
            for column in 0..columns.len() + ACROSS - 1 {
                written = written >> 1 | u32::from(live((column + ACROSS - 1).wrapping_sub(before))) << (ACROSS - 1);
                if column < columns.len() {
                    let ends = &self.ends[column * (down + 1)..];
                    let list = ends[top]..ends[bottom];
                    let list = List {
                        values: &slopes[list.clone()],
                        places: &starts[list],
                    };
                    // SAFETY: a cell from `top` to `bottom` has a line of the kernel `line - down` below `height`; what is read beyond
                    // its channels is what follows, behind the last some values more.
                    unsafe {
                        match (ACROSS, written) {
                            (_, 0) => {}
                            (3, 0b001) => add::<S, ACROSS, V, 0, 1>(s, kernel, channels, list, &mut sums),
                            (3, 0b010) => add::<S, ACROSS, V, 1, 2>(s, kernel, channels, list, &mut sums),
                            (3, 0b011) => add::<S, ACROSS, V, 0, 2>(s, kernel, channels, list, &mut sums),
                            (3, 0b100) => add::<S, ACROSS, V, 2, 3>(s, kernel, channels, list, &mut sums),
                            (3, 0b110) => add::<S, ACROSS, V, 1, 3>(s, kernel, channels, list, &mut sums),
                            _ => add::<S, ACROSS, V, 0, ACROSS>(s, kernel, channels, list, &mut sums),
                        }
                    }
                }
                if written & 1 == 1 {
                    let to = (line * places + column - before) * channels + channel;
                    // SAFETY: the place lies in `dx`, and the channels that are left end with the place's last.
                    unsafe { store(s, self.dx.as_mut_ptr().add(to), channels - channel, &sums[0]) };
                }
                for across in 1..ACROSS {
                    sums[across - 1] = sums[across];
                }
                sums[ACROSS - 1] = [s.splat(0.0); V];
            }
        }
        V
    }
}

/// Adds what the cells of a list add to the places from `FROM` to `TO` of the `ACROSS` that the kernel reaches; their slopes are taken times
/// `V` vectors of `kernel`, whose places have `channels` values each.
///
/// # Safety
/// The vectors can be read for each cell of the list.
#[inline(always)]
#[expect(
    clippy::needless_range_loop,
    reason = "plain loops over arrays stay in registers, iterators over a part of them do not"
)]
unsafe fn add<S: Simd, const ACROSS: usize, const V: usize, const FROM: usize, const TO: usize>(
    s: S,
    kernel: *const f32,
    channels: usize,
    list: List,
    sums: &mut [[S::Vector; V]; ACROSS],
) {
    for (slope, start) in list.values.iter().zip(list.places) {
        let kernel = kernel.wrapping_add(start.to_bits() as usize);
        let slope = s.splat(*slope);
        for across in FROM..TO {
            for v in 0..V {
                // SAFETY: as the caller vouches.
                let of_kernel = unsafe { s.load(kernel.add(across * channels + v * S::LANES)) };
                sums[across][v] = s.mul_add(slope, of_kernel, sums[across][v]);
            }
        }
    }
}
