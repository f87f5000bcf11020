//! Means of pooling windows and their gradients: vectors run over channels, sums stay in registers over all cells of a window.

use super::conv::tile::store;
use super::simd::{Isa, Simd, Work, run};
use super::window::Window;
use crate::nn::threads::Unset;

/// Vectors of channels that are summed side by side.
const VECTORS: usize = 4;

/// Where the cells of all pooling windows lie: made once for a batch.
pub struct AveragePooling {
    isa: Isa,
    channels: usize,
    cells: usize,
    /// The first value of each cell that exists, window by window.
    places: Vec<usize>,
    /// Where each window's cells begin and, last, end.
    starts: Vec<usize>,
    /// Whether each cell of the input lies in one window.
    apart: bool,
}

impl AveragePooling {
    /// For windows over cells of `channels` channels, for the instruction set of the calling thread.
    pub fn new(pool: &Window, channels: usize) -> Self {
        let (mut places, mut starts) = (Vec::new(), vec![0]);
        for output in pool.outputs() {
            pool.for_each_cell(output, |_, place| places.push(place * channels));
            starts.push(places.len());
        }
        // What the loops read and write without looking again.
        let cells = pool.input_cells();
        assert!(places.iter().all(|place| place + channels <= cells * channels));
        let mut met = vec![0_usize; cells];
        for place in &places {
            met[place / channels] += 1;
        }
        Self {
            apart: met.iter().all(|windows| *windows == 1),
            isa: Isa::current(),
            channels,
            cells,
            places,
            starts,
        }
    }

    /// Writes the means `y` of one row `x`.
    pub fn forward(&self, x: &[f32], y: Unset<f32>) {
        self.check(x.len(), y.len());
        run(self.isa, Forward { pooling: self, x, y });
    }

    /// Writes the gradient for one row.
    pub fn backward(&self, dy: &[f32], mut dx: Unset<f32>) {
        self.check(dx.len(), dy.len());
        if !self.apart {
            dx.reborrow().zeroed();
        }
        run(self.isa, Backward { pooling: self, dy, dx });
    }

    fn check(&self, input: usize, output: usize) {
        assert!(input == self.cells * self.channels && output == (self.starts.len() - 1) * self.channels);
    }

    #[inline(always)]
    fn windows(&self) -> impl Iterator<Item = &[usize]> {
        self.starts.windows(2).map(|at| &self.places[at[0]..at[1]])
    }
}

#[expect(clippy::cast_precision_loss, reason = "windows have fewer than 2^24 cells")]
fn share(cells: &[usize]) -> f32 {
    1.0 / cells.len().max(1) as f32
}

struct Forward<'a> {
    pooling: &'a AveragePooling,
    x: &'a [f32],
    y: Unset<'a, f32>,
}

impl Work for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let channels = self.pooling.channels;
        for (cells, mut y) in self.pooling.windows().zip(self.y.chunks_exact(channels)) {
            let share = s.splat(share(cells));
            let mut channel = 0;
            // SAFETY: `new` and `check` have seen that all cells lie in `x` with their channels; no more than these are read or written.
            unsafe {
                while channel + VECTORS * S::LANES <= channels {
                    let mut sums = [s.splat(0.0); VECTORS];
                    for place in cells {
                        let x = self.x.as_ptr().add(place + channel);
                        for (v, sum) in sums.iter_mut().enumerate() {
                            *sum = s.add(*sum, s.load(x.add(v * S::LANES)));
                        }
                    }
                    for (v, sum) in sums.iter().enumerate() {
                        s.store(y.as_mut_ptr().add(channel + v * S::LANES), s.mul(*sum, share));
                    }
                    channel += VECTORS * S::LANES;
                }
                while channel < channels {
                    let mut sum = s.splat(0.0);
                    for place in cells {
                        let x = self.x.as_ptr().add(place + channel);
                        sum = s.add(sum, s.load_up_to(x, channels - channel));
                    }
                    store(s, y.as_mut_ptr().add(channel), channels - channel, &[s.mul(sum, share)]);
                    channel += S::LANES;
                }
            }
        }
    }
}

struct Backward<'a> {
    pooling: &'a AveragePooling,
    dy: &'a [f32],
    dx: Unset<'a, f32>,
}

impl Work for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let channels = self.pooling.channels;
        for (cells, dy) in self.pooling.windows().zip(self.dy.chunks_exact(channels)) {
            let share = s.splat(share(cells));
            let mut channel = 0;
            while channel < channels {
                let left = channels - channel;
                // SAFETY: as in `Forward`; what is read of `dx` was zeroed.
                unsafe {
                    let slope = s.mul(s.load_up_to(dy.as_ptr().add(channel), left), share);
                    for place in cells {
                        let dx = self.dx.as_mut_ptr().add(place + channel);
                        let sum = if self.pooling.apart {
                            slope
                        } else {
                            s.add(s.load_up_to(dx.cast_const(), left), slope)
                        };
                        store(s, dx, left, &[sum]);
                    }
                }
                channel += S::LANES;
            }
        }
    }
}
