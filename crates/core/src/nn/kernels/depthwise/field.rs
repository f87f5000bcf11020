//! One row of a batch laid out so that every tap of the kernel reads lines of neighbouring values.
//!
//! Along the width, cells that are a stride apart are put side by side: with stride 2 first all even cells of a line, then all odd
//! ones. A tap then reads one unbroken piece for all windows of a line, whatever the stride. With a multiplier each channel is
//! repeated as often, so that input and output have the same channels.

use super::DepthwiseGeometry;
use crate::nn::kernels::window::Window;
use crate::nn::threads::with_scratch;

/// Values behind the last that loops may read, and multiply with zero, or add zeros to.
const BEYOND: usize = 64;

/// The layout of a row, and where taps and lines lie in it.
#[derive(Clone, Debug)]
pub struct Field {
    window: Window,
    channels: usize,
    multiplier: usize,
    /// Cells of each phase of a line.
    phase_cells: usize,
    /// Where each tap reads, from its line's place on.
    pub taps: Vec<usize>,
    /// The place of each line of the output.
    pub lines: Vec<usize>,
    /// Values of a line of the output.
    pub line_len: usize,
    /// Channels of the output: after so many values the kernel repeats.
    pub filters: usize,
}

impl Field {
    /// The layout for a geometry.
    pub fn new(geometry: &DepthwiseGeometry) -> Self {
        let window = geometry.window;
        let filters = geometry.filters();
        let stride = window.strides[2];
        let phase_cells = window.reach(2).div_ceil(stride);
        let line = phase_cells * stride * filters;
        let height = window.reach(1);
        let place = |depth: usize, row: usize| (depth * height + row) * line;
        let [depths, rows, columns] = window.kernel;
        let mut taps = Vec::with_capacity(window.kernel_cells());
        for depth in 0..depths {
            for row in 0..rows {
                for column in 0..columns {
                    let at = column * window.dilation[2];
                    let along = (at % stride * phase_cells + at / stride) * filters;
                    taps.push(place(depth * window.dilation[0], row * window.dilation[1]) + along);
                }
            }
        }
        let (depths, rows) = (window.output[0], window.output[1]);
        let lines: Vec<usize> = (0..depths * rows)
            .map(|index| place(index / rows * window.strides[0], index % rows * window.strides[1]))
            .collect();
        let field = Self {
            window,
            channels: geometry.channels,
            multiplier: geometry.multiplier,
            phase_cells,
            taps,
            lines,
            line_len: window.output[2] * filters,
            filters,
        };
        let last = |places: &[usize]| places.iter().copied().max().unwrap_or(0);
        // What the loops read without looking again.
        assert!(
            last(&field.lines) + last(&field.taps) + field.line_len <= field.len(),
            "all lines lie in their field"
        );
        field
    }

    fn len(&self) -> usize {
        let window = &self.window;
        window.reach(0) * window.reach(1) * self.phase_cells * window.strides[2] * self.filters
    }

    /// Values of a field with what may be read beyond it.
    pub fn padded_len(&self) -> usize {
        self.len() + BEYOND
    }

    /// Lends `work` the field of one row.
    pub fn with_filled<R>(&self, x: &[f32], work: impl FnOnce(&[f32]) -> R) -> R {
        self.with_zeroed(|values| {
            let (channels, multiplier) = (self.channels, self.multiplier);
            self.for_each_piece(|from, to, cells, step| {
                if multiplier == 1 && step == 1 {
                    let len = cells * channels;
                    values[to..to + len].copy_from_slice(&x[from * channels..][..len]);
                    return;
                }
                for cell in 0..cells {
                    let x = &x[(from + cell * step) * channels..][..channels];
                    let values = &mut values[to + cell * self.filters..][..self.filters];
                    for (values, x) in values.chunks_exact_mut(multiplier).zip(x) {
                        values.fill(*x);
                    }
                }
            });
            work(values)
        })
    }

    /// Lends `work` a field of zeros.
    pub fn with_zeroed<R>(&self, work: impl FnOnce(&mut [f32]) -> R) -> R {
        with_scratch(self.padded_len(), |values| {
            values.fill(0.0);
            work(values)
        })
    }

    /// The part of a field that is input, summed over each channel's filters, to a row.
    pub fn gather(&self, values: &[f32], x: &mut [f32]) {
        let (channels, multiplier) = (self.channels, self.multiplier);
        self.for_each_piece(|from, to, cells, step| {
            for cell in 0..cells {
                let x = &mut x[(from + cell * step) * channels..][..channels];
                let values = &values[to + cell * self.filters..][..self.filters];
                for (x, values) in x.iter_mut().zip(values.chunks_exact(multiplier)) {
                    *x = values.iter().sum();
                }
            }
        });
    }

    /// Calls `visit(from, to, cells, step)` for each piece of a line: `cells` cells of the input from the cell `from` on, every
    /// `step`-th, lie from the value `to` on.
    fn for_each_piece(&self, mut visit: impl FnMut(usize, usize, usize, usize)) {
        let (input, pad, stride) = (self.window.input, self.window.pad_before, self.window.strides[2]);
        let reach = [0, 1, 2].map(|axis| self.window.reach(axis));
        // What a stride leaves out at the end is not part of the field.
        let shared = [0, 1, 2].map(|axis| input[axis].min(reach[axis].saturating_sub(pad[axis])));
        for depth in 0..shared[0] {
            for row in 0..shared[1] {
                let from = (depth * input[1] + row) * input[2];
                let line = ((depth + pad[0]) * reach[1] + row + pad[1]) * stride;
                for first in 0..stride.min(shared[2]) {
                    let at = first + pad[2];
                    let to = ((line + at % stride) * self.phase_cells + at / stride) * self.filters;
                    visit(from + first, to, (shared[2] - first).div_ceil(stride), stride);
                }
            }
        }
    }
}
