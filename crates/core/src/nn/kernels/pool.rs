//! Max and average pooling over one to three dimensions, channels last: `x` `[batch, depth, height, width, channels]`.
//!
//! Global pooling is the same with [`Window::global`]. With padding, only the real cells count: they alone compete for the maximum,
//! and an average is divided by their number, as TensorFlow does.

use super::average_pool::AveragePooling;
use super::max_pool::MaxPooling;
use super::simd::{Isa, vectorized};
use super::window::Window;
use crate::nn::threads::{self, COST_OF_A_VALUE, Unset, with_list};

/// Pooling of an input with `channels` channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolGeometry {
    /// Where the windows lie.
    pub window: Window,
    /// The input's last axis.
    pub channels: usize,
}

/// For each maximum the cell of its window that it came from: bytes where the window is small enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArgMax {
    /// Windows of up to 256 cells.
    Bytes(Vec<u8>),
    /// Larger windows, as in global pooling.
    Words(Vec<u32>),
}

impl PoolGeometry {
    /// Values of one row of the batch.
    #[must_use]
    pub fn input_len(&self) -> usize {
        self.window.input_cells() * self.channels
    }

    /// Values of one row of the output.
    #[must_use]
    pub fn output_len(&self) -> usize {
        self.window.output_cells() * self.channels
    }

    /// Rows of a batch that make one chunk of work, and the batch's rows.
    fn rows(&self, len: usize, row_len: usize) -> (usize, usize) {
        const CHUNK_VALUES: usize = 1 << 15;
        assert!(
            row_len > 0 && len.is_multiple_of(row_len),
            "{len} values are no rows of {row_len}"
        );
        ((CHUNK_VALUES / self.input_len()).max(1), len / row_len)
    }

    fn cost(&self, rows: usize) -> usize {
        rows * (self.output_len() * self.window.kernel_cells()).max(self.input_len()) * COST_OF_A_VALUE
    }
}

/// The maximum of each window, `[batch, windows.., channels]`, and where it was; the first of equals wins.
///
/// A window that holds a NaN gives NaN.
///
/// # Panics
/// When `x` is not whole rows of `geometry`.
#[must_use]
pub fn max_forward(geometry: &PoolGeometry, x: &[f32]) -> (Vec<f32>, ArgMax) {
    if geometry.window.kernel_cells() <= 1 << 8 {
        let (y, found) = max_forward_bytes(geometry, x);
        (y, ArgMax::Bytes(found))
    } else {
        let (y, found) = max_forward_words(geometry, x);
        (y, ArgMax::Words(found))
    }
}

/// The gradient for `x`: each window's gradient goes where its maximum was.
///
/// # Panics
/// When `found` and `dy` are not of `geometry`'s output.
#[must_use]
pub fn max_backward(geometry: &PoolGeometry, found: &ArgMax, dy: &[f32]) -> Vec<f32> {
    match found {
        ArgMax::Bytes(found) => max_backward_as(geometry, found, dy),
        ArgMax::Words(found) => max_backward_as(geometry, found, dy),
    }
}

/// The mean of each window's real cells, `[batch, windows.., channels]`.
///
/// # Panics
/// When `x` is not whole rows of `geometry`.
#[must_use]
pub fn average_forward(geometry: &PoolGeometry, x: &[f32]) -> Vec<f32> {
    let (input_len, output_len) = (geometry.input_len(), geometry.output_len());
    let (chunk_rows, rows) = geometry.rows(x.len(), input_len);
    let pooling = AveragePooling::new(&geometry.window, geometry.channels);
    let work = |chunk: usize, y: Unset<f32>| {
        let x = &x[chunk * chunk_rows * input_len..];
        for (x, y) in x.chunks_exact(input_len).zip(y.chunks_exact(output_len)) {
            pooling.forward(x, y);
        }
    };
    // SAFETY: chunks are whole rows, of which there are as many in `x`, and all windows of a row are written.
    unsafe { threads::build_unset(rows * output_len, chunk_rows * output_len, geometry.cost(rows), work) }
}

/// The gradient for `x`: each window's gradient in equal shares for its real cells.
///
/// # Panics
/// When `dy` is not of `geometry`'s output.
#[must_use]
pub fn average_backward(geometry: &PoolGeometry, dy: &[f32]) -> Vec<f32> {
    let (input_len, output_len) = (geometry.input_len(), geometry.output_len());
    let (chunk_rows, rows) = geometry.rows(dy.len(), output_len);
    let pooling = AveragePooling::new(&geometry.window, geometry.channels);
    let work = |chunk: usize, dx: Unset<f32>| {
        let dy = &dy[chunk * chunk_rows * output_len..];
        for (dy, dx) in dy.chunks_exact(output_len).zip(dx.chunks_exact(input_len)) {
            pooling.backward(dy, dx);
        }
    };
    // SAFETY: chunks are whole rows, of which there are as many in `dy`, and `backward` writes all of a row.
    unsafe { threads::build_unset(rows * input_len, chunk_rows * input_len, geometry.cost(rows), work) }
}

/// The number of a cell in its window, as small as the window allows.
trait Cell: threads::Zero {
    fn from_cell(cell: usize) -> Self;
    fn cell(self) -> usize;
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "chosen by `max_forward` for windows of up to 2^8 cells"
)]
impl Cell for u8 {
    fn from_cell(cell: usize) -> Self {
        cell as Self
    }

    fn cell(self) -> usize {
        usize::from(self)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a window with 2^32 cells would be 16 GB of input"
)]
impl Cell for u32 {
    fn from_cell(cell: usize) -> Self {
        cell as Self
    }

    fn cell(self) -> usize {
        self as usize
    }
}

/// Maxima with bytes for cells.
fn max_forward_bytes(geometry: &PoolGeometry, x: &[f32]) -> (Vec<f32>, Vec<u8>) {
    let pooling = MaxPooling::plain(&geometry.window, geometry.channels);
    max_forward_by(geometry, x, |x, y, found| pooling.pool(0, x, 0, y, found))
}

/// Maxima with words for cells, for windows too large for bytes: long loops, one window after the other.
fn max_forward_words(geometry: &PoolGeometry, x: &[f32]) -> (Vec<f32>, Vec<u32>) {
    let (window, channels, isa) = (&geometry.window, geometry.channels, Isa::current());
    max_forward_by(geometry, x, |x, y, found| {
        with_list(|cells: &mut Vec<usize>| {
            let outputs = y.chunks_exact(channels).zip(found.chunks_exact(channels));
            for (index, (best, found)) in outputs.enumerate() {
                let (best, found) = (best.zeroed(), found.zeroed());
                // Listed first: called from the loops below, `for_each_cell` would keep them from being compiled for the instructions.
                cells.clear();
                window.for_each_cell(window.output_at(index), |cell, place| cells.extend([cell, place]));
                best.fill(f32::NEG_INFINITY);
                vectorized(
                    isa,
                    #[inline(always)]
                    || {
                        for cell in cells.chunks_exact(2) {
                            let (cell, x) = (cell[0], &x[cell[1] * channels..][..channels]);
                            // Both are written whatever comes of it: that makes vectors of the loop.
                            for ((best, found), value) in best.iter_mut().zip(found.iter_mut()).zip(x) {
                                let better = *value > *best || value.is_nan();
                                *best = if better { *value } else { *best };
                                *found = if better { Cell::from_cell(cell) } else { *found };
                            }
                        }
                    },
                );
            }
        });
    })
}

/// Calls `pool(x, y, found)`, which writes all of `y` and `found`, for each row of the batch.
fn max_forward_by<C: Cell>(
    geometry: &PoolGeometry,
    x: &[f32],
    pool: impl Fn(&[f32], Unset<f32>, Unset<C>) + Sync,
) -> (Vec<f32>, Vec<C>) {
    let (input_len, output_len) = (geometry.input_len(), geometry.output_len());
    let (chunk_rows, rows) = geometry.rows(x.len(), input_len);
    let (len, chunk_len) = (rows * output_len, chunk_rows * output_len);
    let work = |chunk: usize, y: Unset<f32>, found: Unset<C>| {
        let x = &x[chunk * chunk_rows * input_len..];
        let outputs = y.chunks_exact(output_len).zip(found.chunks_exact(output_len));
        for (x, (y, found)) in x.chunks_exact(input_len).zip(outputs) {
            pool(x, y, found);
        }
    };
    // SAFETY: chunks are whole rows, of which there are as many in `x`, and `pool` writes all of a row.
    unsafe { threads::build_pair_unset((len, len), (chunk_len, chunk_len), geometry.cost(rows), work) }
}

fn max_backward_as<C: Cell>(geometry: &PoolGeometry, found: &[C], dy: &[f32]) -> Vec<f32> {
    let (window, channels) = (&geometry.window, geometry.channels);
    let (input_len, output_len) = (geometry.input_len(), geometry.output_len());
    let (chunk_rows, rows) = geometry.rows(dy.len(), output_len);
    assert_eq!(found.len(), dy.len(), "one place for each maximum");
    threads::build(
        rows * input_len,
        chunk_rows * input_len,
        geometry.cost(rows),
        |chunk, dx| {
            let skip = chunk * chunk_rows * output_len;
            let outputs = dy[skip..]
                .chunks_exact(output_len)
                .zip(found[skip..].chunks_exact(output_len));
            let mut places = vec![0; window.kernel_cells()];
            for ((dy, found), dx) in outputs.zip(dx.chunks_exact_mut(input_len)) {
                for (index, (dy, found)) in dy.chunks_exact(channels).zip(found.chunks_exact(channels)).enumerate() {
                    window.for_each_cell(window.output_at(index), |cell, place| places[cell] = place * channels);
                    for (channel, (slope, found)) in dy.iter().zip(found).enumerate() {
                        dx[places[found.cell()] + channel] += slope;
                    }
                }
            }
        },
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_precision_loss, reason = "small whole numbers")]

    use proptest::prelude::*;

    use super::super::testing::{assert_close, assert_slopes, values};
    use super::super::window::Padding;
    use super::*;
    use crate::nn::threads;

    /// The cells of each window by plain loops over all coordinates: the values of one channel.
    fn windows(g: &PoolGeometry, x: &[f64], visit: &mut dyn FnMut(&[f64])) {
        let Window {
            input,
            kernel,
            strides,
            dilation,
            pad_before,
            output,
        } = g.window;
        let row_len = g.input_len();
        for row in 0..x.len() / row_len {
            for at in 0..g.window.output_cells() {
                let o = [at / (output[1] * output[2]), at / output[2] % output[1], at % output[2]];
                for channel in 0..g.channels {
                    let mut cells = Vec::new();
                    for k in 0..g.window.kernel_cells() {
                        let k = [k / (kernel[1] * kernel[2]), k / kernel[2] % kernel[1], k % kernel[2]];
                        let place =
                            [0, 1, 2].map(|a| (o[a] * strides[a] + k[a] * dilation[a]).wrapping_sub(pad_before[a]));
                        if (0..3).all(|a| place[a] < input[a]) {
                            let cell = (place[0] * input[1] + place[1]) * input[2] + place[2];
                            cells.push(x[row * row_len + cell * g.channels + channel]);
                        }
                    }
                    visit(&cells);
                }
            }
        }
    }

    fn naive(g: &PoolGeometry, x: &[f32], reduce: impl Fn(&[f64]) -> f64) -> Vec<f64> {
        let x: Vec<f64> = x.iter().map(|v| f64::from(*v)).collect();
        let mut y = Vec::new();
        windows(g, &x, &mut |cells| y.push(reduce(cells)));
        y
    }

    fn largest(cells: &[f64]) -> f64 {
        cells.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    fn mean(cells: &[f64]) -> f64 {
        cells.iter().sum::<f64>() / cells.len() as f64
    }

    fn geometries() -> impl Strategy<Value = PoolGeometry> {
        let axis = (1_usize..9, 1_usize..4, 1_usize..4);
        (
            proptest::collection::vec(axis, 1..=3),
            prop_oneof![1_usize..5, 1_usize..90],
            any::<bool>(),
        )
            .prop_map(|(axes, channels, same)| {
                let column = |of: fn(&(usize, usize, usize)) -> usize| axes.iter().map(of).collect::<Vec<_>>();
                let (input, strides) = (column(|a| a.0), column(|a| a.2));
                let kernel: Vec<usize> = axes.iter().map(|a| a.1.min(a.0)).collect();
                let padding = if same { Padding::Same } else { Padding::Valid };
                let window = Window::new(&input, &kernel, &strides, &vec![1; axes.len()], padding).unwrap();
                PoolGeometry { window, channels }
            })
    }

    proptest! {
        #[test]
        fn maxima_and_their_gradients_agree_with_plain_loops(g in geometries(), batch in 1_usize..4) {
            // A step between values, so that finite differences meet no change of the winner.
            let noise = values(batch * g.input_len(), 7);
            let mut ranks: Vec<usize> = (0..noise.len()).collect();
            ranks.sort_by(|a, b| noise[*a].total_cmp(&noise[*b]));
            let x: Vec<f32> = ranks.into_iter().map(|rank| rank as f32 / 64.0).collect();
            let (y, found) = max_forward(&g, &x);
            assert_close(&y, &naive(&g, &x, largest), 0.0);
            let dy = values(y.len(), 3);
            assert_slopes(&max_backward(&g, &found, &dy), &x, &dy, |x| naive(&g, x, largest));
        }

        #[test]
        fn averages_and_their_gradients_agree_with_plain_loops(g in geometries(), batch in 1_usize..4) {
            let x = values(batch * g.input_len(), 1);
            for isa in Isa::available() {
                isa.hold(|| {
                    let y = average_forward(&g, &x);
                    assert_close(&y, &naive(&g, &x, mean), 1e-6);
                    let dy = values(y.len(), 3);
                    assert_slopes(&average_backward(&g, &dy), &x, &dy, |x| naive(&g, x, mean));
                });
            }
        }
    }

    #[test]
    fn the_first_of_equals_wins_and_nan_stays() {
        let window = Window::new(&[4], &[2], &[2], &[1], Padding::Valid).unwrap();
        let g = PoolGeometry { window, channels: 1 };
        let (y, found) = max_forward(&g, &[3.0, 3.0, f32::NAN, 1.0]);
        assert_eq!((y[0], found), (3.0, ArgMax::Bytes(vec![0, 0])));
        assert!(y[1].is_nan());
        assert!(max_forward(&g, &[3.0, 3.0, 1.0, f32::NAN]).0[1].is_nan());
    }

    #[test]
    fn global_pooling_finds_maxima_beyond_256_cells() {
        let g = PoolGeometry {
            window: Window::global(&[20, 20]).unwrap(),
            channels: 2,
        };
        let mut x = vec![0.0; 800];
        (x[2 * 399], x[2 * 300 + 1]) = (5.0, 7.0);
        let (y, found) = max_forward(&g, &x);
        assert_eq!((y, &found), (vec![5.0, 7.0], &ArgMax::Words(vec![399, 300])));
        let dx = max_backward(&g, &found, &[1.0, 2.0]);
        assert_eq!((dx[2 * 399], dx[2 * 300 + 1], dx.iter().sum::<f32>()), (1.0, 2.0, 3.0));
    }

    #[test]
    fn the_bytes_are_the_same_on_any_number_of_threads() {
        let window = Window::new(&[30, 30], &[3, 3], &[2, 2], &[1, 1], Padding::Same).unwrap();
        let g = PoolGeometry { window, channels: 16 };
        let x = values(50 * g.input_len(), 1);
        let dy = values(50 * g.output_len(), 2);
        let run = || {
            let (y, found) = max_forward(&g, &x);
            [
                y,
                max_backward(&g, &found, &dy),
                average_forward(&g, &x),
                average_backward(&g, &dy),
            ]
        };
        let alone = threads::pool(1).unwrap().install(run);
        for count in [2, 7] {
            assert_eq!(threads::pool(count).unwrap().install(run), alone);
        }
    }
}
