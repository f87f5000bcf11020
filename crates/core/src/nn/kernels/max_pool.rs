//! Maxima of pooling windows with their cells, with relu in front of them or without: vectors run over channels.

use super::simd::{Isa, Simd, Work, run};
use super::window::Window;
use crate::nn::threads::Unset;

/// The winner of a window whose maximum relu has cut off: no gradient passes.
pub const CLOSED: u8 = u8::MAX;

/// Where the cells of all pooling windows lie: made once for a batch. Windows have up to 255 cells, or 256 without relu.
pub struct MaxPooling {
    isa: Isa,
    channels: usize,
    relu: bool,
    /// The cells of each window that exist, and their places.
    cells: Vec<(f32, usize)>,
    /// Where each window's cells begin and, last, end.
    starts: Vec<usize>,
}

impl MaxPooling {
    /// The maxima of the values.
    pub fn plain(pool: &Window, channels: usize) -> Self {
        Self::new(pool, channels, false)
    }

    /// The maxima of the values behind relu; those that relu cuts off have [`CLOSED`] for a cell.
    pub fn behind_relu(pool: &Window, channels: usize) -> Self {
        Self::new(pool, channels, true)
    }

    /// The places of each window's cells, if all windows have exactly four: the usual 2x2.
    pub fn quads(&self) -> Option<Vec<[usize; 4]>> {
        let windows = self.starts.windows(2).map(|at| &self.cells[at[0]..at[1]]);
        windows
            .map(|cells| match cells {
                [(0.0, a), (1.0, b), (2.0, c), (3.0, d)] => Some([*a, *b, *c, *d]),
                _ => None,
            })
            .collect()
    }

    #[expect(clippy::cast_possible_truncation, reason = "windows have up to 256 cells")]
    fn new(pool: &Window, channels: usize, relu: bool) -> Self {
        let windows = pool.output_cells();
        let mut cells = Vec::with_capacity(windows * pool.kernel_cells());
        let mut starts = Vec::with_capacity(windows + 1);
        starts.push(0);
        for output in pool.outputs() {
            pool.for_each_cell(output, |cell, place| cells.push((f32::from(cell as u8), place)));
            starts.push(cells.len());
        }
        Self {
            isa: Isa::current(),
            channels,
            relu,
            cells,
            starts,
        }
    }

    /// Writes the windows from `first` on that fill `y`, one row of a batch at most; `x` holds the cells from `place` on.
    pub fn pool(&self, first: usize, x: &[f32], place: usize, y: Unset<f32>, winners: Unset<u8>) {
        assert_eq!(winners.len(), y.len(), "a cell for each maximum");
        run(
            self.isa,
            Pool {
                pooling: self,
                first,
                x,
                place,
                y,
                winners,
            },
        );
    }
}

/// [`MaxPooling::pool`] for an instruction set.
struct Pool<'a> {
    pooling: &'a MaxPooling,
    first: usize,
    x: &'a [f32],
    place: usize,
    y: Unset<'a, f32>,
    winners: Unset<'a, u8>,
}

impl Work for Pool<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        if self.pooling.relu {
            self.windows::<S, true>(s);
        } else {
            self.windows::<S, false>(s);
        }
    }
}

impl Pool<'_> {
    #[inline(always)]
    fn windows<S: Simd, const RELU: bool>(self, s: S) {
        let MaxPooling {
            channels,
            cells,
            starts,
            ..
        } = self.pooling;
        let outputs = self.y.chunks_exact(*channels).zip(self.winners.chunks_exact(*channels));
        for (window, (y, winners)) in outputs.enumerate() {
            let window = self.first + window;
            let cells = &cells[starts[window]..starts[window + 1]];
            let from = |at: usize| self.x[(at - self.place) * channels..][..*channels].as_ptr();
            match cells {
                // The usual 2x2, unrolled: places are found once, and each value is loaded once.
                [first, second, third, fourth] => {
                    let from = [first, second, third, fourth].map(|(cell, at)| (*cell, from(*at)));
                    // SAFETY: each was sliced to `channels` values.
                    unsafe { pool_window::<S, _, RELU>(s, from, y, winners) };
                }
                // SAFETY: as above.
                _ => unsafe {
                    pool_window::<S, _, RELU>(s, cells.iter().map(|(cell, at)| (*cell, from(*at))), y, winners);
                },
            }
        }
    }
}

/// The largest of a window's values behind relu and its cell, or zero and [`CLOSED`]: of vectors in registers.
#[inline(always)]
pub fn winner_behind_relu<S: Simd, const CELLS: usize>(s: S, cells: [S::Vector; CELLS]) -> (S::Vector, S::Vector) {
    // Plain loops over arrays, which stay in registers; iterators over arrays do not.
    let (zero, closed) = (s.splat(0.0), s.splat(f32::from(CLOSED)));
    let mut best = zero;
    for cell in cells {
        best = s.max(best, cell);
    }
    let mut winner = closed;
    for number in 0..CELLS {
        let number = CELLS - 1 - number;
        winner = s.select(s.equal(cells[number], best), s.splat(number as f32), winner);
    }
    (best, s.select(s.equal(best, zero), closed, winner))
}

/// One pooling window: `cells` are its cells' numbers and values.
///
/// # Safety
/// Every cell, `y` and `winners` have the same number of values.
#[inline(always)]
unsafe fn pool_window<S, I, const RELU: bool>(s: S, cells: I, mut y: Unset<f32>, mut winners: Unset<u8>)
where
    S: Simd,
    I: IntoIterator<Item = (f32, *const f32), IntoIter: DoubleEndedIterator + Clone> + Clone,
{
    let channels = y.len();
    let mut channel = 0;
    while channel + S::LANES <= channels {
        // SAFETY: a whole vector is left of each.
        unsafe {
            let values = cells
                .clone()
                .into_iter()
                .map(|(cell, from)| (cell, s.load(from.add(channel))));
            let (best, winner) = winner::<S, _, RELU>(s, values);
            s.store(y.as_mut_ptr().add(channel), best);
            s.store_bytes(winners.as_mut_ptr().add(channel), winner);
        }
        channel += S::LANES;
    }
    let left = channels - channel;
    if left > 0 {
        let mut bytes = [0; 16];
        // SAFETY: `left` values are left of each; no vector is longer than 16.
        unsafe {
            let values = cells
                .into_iter()
                .map(|(cell, from)| (cell, s.load_first(from.add(channel), left)));
            let (best, winner) = winner::<S, _, RELU>(s, values);
            s.store_first(y.as_mut_ptr().add(channel), left, best);
            s.store_bytes(bytes.as_mut_ptr(), winner);
        }
        winners.part(channel..channels).write(bytes.into_iter());
    }
}

/// The largest of some values, and which cell the first of equals is. With relu, of those above zero, or zero and [`CLOSED`].
#[inline(always)]
fn winner<S: Simd, I, const RELU: bool>(s: S, cells: I) -> (S::Vector, S::Vector)
where
    I: DoubleEndedIterator<Item = (f32, S::Vector)> + Clone,
{
    if RELU {
        let (zero, closed) = (s.splat(0.0), s.splat(f32::from(CLOSED)));
        // A NaN passes unless a later cell has a number.
        let best = cells.clone().fold(zero, |best, (_, value)| s.max(best, value));
        // From the last cell to the first, so that the first of equals stays.
        let of = |winner, (cell, value)| s.select(s.equal(value, best), s.splat(cell), winner);
        let winner = cells.rev().fold(closed, of);
        return (best, s.select(s.equal(best, zero), closed, winner));
    }
    // `max` keeps its second argument if either is NaN, and what does not equal itself is NaN: once in, it stays.
    let larger = |best, (_, value)| s.select(s.equal(value, value), s.max(value, best), value);
    let best = cells.clone().fold(s.splat(f32::NEG_INFINITY), larger);
    let is_best = |winner, (cell, value)| {
        let number = s.select(s.equal(value, best), s.splat(cell), winner);
        s.select(s.equal(value, value), number, s.splat(cell))
    };
    (best, cells.rev().fold(s.splat(0.0), is_best))
}
