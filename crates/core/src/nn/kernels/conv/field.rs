//! One row of a batch as the windows see it: padded, with every window's patch as a few runs of neighbouring values.
//!
//! Channels last makes a patch a list of runs: all channels of all cells along the width lie side by side (or, dilated, the channels
//! of one cell). The runs are the same for all windows, only the window's own offset is added. So a kernel walks over patches
//! without copying them together.

use super::ConvGeometry;
use crate::nn::kernels::simd::{Isa, vectorized};
use crate::nn::kernels::window::Window;
use crate::nn::threads::with_list;

/// Neighbouring values of a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// From the window's first value.
    pub offset: usize,
    /// How many.
    pub len: usize,
}

/// Where windows and their patches lie in a padded row.
#[derive(Clone, Debug)]
pub struct Field {
    window: Window,
    channels: usize,
    dims: [usize; 3],
    /// The runs of a patch.
    pub runs: Vec<Run>,
    /// The first value of each window's patch.
    pub offsets: Vec<usize>,
}

impl Field {
    /// The smallest field that holds all windows: the input itself if none reaches beyond it.
    pub fn new(geometry: &ConvGeometry) -> Self {
        let window = &geometry.window;
        let dims = if window.is_inside() {
            window.input
        } else {
            [0, 1, 2].map(|axis| window.reach(axis))
        };
        Self::with_dims(geometry, dims)
    }

    /// A field of given extent, at least as large as all windows need.
    pub fn with_dims(geometry: &ConvGeometry, dims: [usize; 3]) -> Self {
        let (window, channels) = (geometry.window, geometry.channels);
        let place = |cell: [usize; 3]| ((cell[0] * dims[1] + cell[1]) * dims[2] + cell[2]) * channels;
        let [depth, height, width] = window.kernel;
        // Undilated cells along the width are one run, and undilated lines are one if the kernel is as wide as the field.
        let (cells, len) = if window.dilation[2] == 1 {
            (1, width * channels)
        } else {
            (width, channels)
        };
        let mut runs: Vec<Run> = Vec::with_capacity(depth * height * cells);
        for d in 0..depth {
            for h in 0..height {
                for w in 0..cells {
                    let cell = [d * window.dilation[0], h * window.dilation[1], w * window.dilation[2]];
                    let offset = place(cell);
                    match runs.last_mut() {
                        Some(last) if last.offset + last.len == offset => last.len += len,
                        _ => runs.push(Run { offset, len }),
                    }
                }
            }
        }
        let mut offsets = Vec::with_capacity(window.output_cells());
        window.outputs().for_each(|[d, h, w]| {
            let [depth, height, width] = window.strides;
            offsets.push(place([d * depth, h * height, w * width]));
        });
        let reach = runs.last().map_or(0, |run: &Run| run.offset + run.len);
        let last = offsets.last().copied().unwrap_or(0);
        // What kernels read without looking again.
        assert!(last + reach <= place([dims[0], 0, 0]), "all windows lie in their field");
        Self {
            window,
            channels,
            dims,
            runs,
            offsets,
        }
    }

    /// Values of the field.
    pub fn len(&self) -> usize {
        self.dims.iter().product::<usize>() * self.channels
    }

    /// Values from one line of the field to the next.
    pub fn line(&self) -> usize {
        self.dims[2] * self.channels
    }

    /// Whether the field is the input itself.
    pub fn is_input(&self) -> bool {
        self.window.pad_before == [0; 3] && self.dims == self.window.input
    }

    /// The offset of each value of a patch from the window's first.
    pub fn taps(&self) -> Vec<usize> {
        self.runs
            .iter()
            .flat_map(|run| run.offset..run.offset + run.len)
            .collect()
    }

    /// Calls `work` with, for each value of some fields, whether the patches that begin `cells` further on hold anything but zeros.
    ///
    /// Pictures have empty surroundings: with nothing under a window, neither its product nor its kernel gradient need be computed.
    pub fn with_live<R>(&self, isa: Isa, fields: &[f32], cells: &[usize], work: impl FnOnce(&[bool]) -> R) -> R {
        with_list(|patches| {
            with_list(|filled| {
                fill_marks(isa, fields, filled);
                let taps = self.runs.iter().flat_map(|run| run.offset..run.offset + run.len);
                spread(isa, filled, taps, patches);
            });
            if cells == [0] {
                return work(patches);
            }
            with_list(|live| {
                spread(isa, patches, cells.iter().copied(), live);
                work(live)
            })
        })
    }

    /// Calls `work` with, for each value of a field, bits for the runs of two pairs of patches, [`Self::bit`] of each run, and behind those
    /// of the first pair the second's: whether in one patch of the pair the run holds anything but zeros. Patches begin so much further on
    /// as `pairs` says; it takes those that [have bits](Self::has_bits).
    pub fn with_filled_runs<R>(
        &self,
        isa: Isa,
        field: &[f32],
        pairs: [[usize; 2]; 2],
        work: impl FnOnce(&[u16]) -> R,
    ) -> R {
        with_list(|near| {
            with_list(|filled| {
                fill_marks(isa, field, filled);
                let run = self.runs.first().map_or(0, |run| run.len);
                let [first, second] = pairs[0];
                let behind = (second - first).max(run)..second - first + run;
                spread(isa, filled, (0..run).chain(behind), near);
            });
            with_list(|bits: &mut Vec<u16>| {
                bits.resize(near.len(), 0);
                let of_pair = |pair: usize| {
                    let runs = self.runs.iter().enumerate();
                    runs.map(move |(run, Run { offset, .. })| {
                        (pair * self.bits() + self.bit(run), pairs[pair][0] + offset)
                    })
                };
                for (number, place) in of_pair(0).chain(of_pair(1)) {
                    vectorized(
                        isa,
                        #[inline(always)]
                        || {
                            for (bits, near) in bits.iter_mut().zip(&near[place..]) {
                                *bits |= u16::from(*near) << number;
                            }
                        },
                    );
                }
                work(bits)
            })
        })
    }

    /// How many bits the runs of a pair have in [`Self::with_filled_runs`].
    pub fn bits(&self) -> usize {
        self.runs.len().min(u16::BITS as usize / 2)
    }

    /// Which of them is a run's: neighbours share one if there are too many.
    #[inline(always)]
    pub fn bit(&self, run: usize) -> usize {
        let (bits, runs) = (self.bits(), self.runs.len());
        if bits == runs { run } else { run * bits / runs }
    }

    /// Whether [`Self::with_filled_runs`] takes these pairs.
    pub fn has_bits(&self, pairs: [[usize; 2]; 2]) -> bool {
        let [first, second] = pairs.map(|[first, second]| second.checked_sub(first));
        let alike = self.runs.iter().all(|run| run.len == self.runs[0].len);
        first.is_some() && first == second && alike
    }

    /// Values of a cell.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Calls `work` with, for each cell of the field, a bit for each run of a patch that begins there: whether it holds a cell of the
    /// input that is `live`; those around the input count as live. It takes runs of the same length, eight at most.
    pub fn with_reach<R>(&self, isa: Isa, live: &[bool], work: impl FnOnce(&[u8]) -> R) -> R {
        with_list(|cells: &mut Vec<bool>| {
            cells.resize(self.len() / self.channels, true);
            self.for_each_line(|place, at, len| {
                let [place, at, len] = [place, at, len].map(|values| values / self.channels);
                cells[at..at + len].copy_from_slice(&live[place..place + len]);
            });
            with_list(|begins| {
                let run = self.runs.first().map_or(0, |run| run.len / self.channels);
                spread(isa, cells, 0..run, begins);
                with_list(|reach: &mut Vec<u8>| {
                    reach.resize(begins.len(), 0);
                    for (number, run) in self.runs.iter().enumerate() {
                        vectorized(
                            isa,
                            #[inline(always)]
                            || {
                                for (reach, begins) in reach.iter_mut().zip(&begins[run.offset / self.channels..]) {
                                    *reach |= u8::from(*begins) << number;
                                }
                            },
                        );
                    }
                    work(reach)
                })
            })
        })
    }

    /// Copies rows of a batch into fields, with zeros around; no more than a copy if the field is the input.
    pub fn fill(&self, x: &[f32], fields: &mut [f32]) {
        if self.is_input() {
            fields.copy_from_slice(x);
            return;
        }
        let inputs = x.chunks_exact(self.window.input_cells() * self.channels);
        for (x, field) in inputs.zip(fields.chunks_exact_mut(self.len())) {
            field.fill(0.0);
            self.for_each_line(|place, at, len| field[at..at + len].copy_from_slice(&x[place..place + len]));
        }
    }

    /// Copies the part of a field that is input back.
    pub fn crop(&self, field: &[f32], x: &mut [f32]) {
        self.for_each_line(|place, at, len| x[place..place + len].copy_from_slice(&field[at..at + len]));
    }

    /// Calls `visit(place, at, len)` for each line along the width that lies at `place` in the input and at `at` in the field.
    fn for_each_line(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let (input, pad, dims) = (self.window.input, self.window.pad_before, self.dims);
        // What a stride leaves out at the end is not part of the field.
        let shared = [0, 1, 2].map(|axis| input[axis].min(dims[axis].saturating_sub(pad[axis])));
        for d in 0..shared[0] {
            for h in 0..shared[1] {
                let place = (d * input[1] + h) * input[2];
                let at = ((d + pad[0]) * dims[1] + h + pad[1]) * dims[2] + pad[2];
                visit(place * self.channels, at * self.channels, shared[2] * self.channels);
            }
        }
    }
}

/// Makes `marks`, which is empty, say of each value whether it is anything but zero.
fn fill_marks(isa: Isa, values: &[f32], marks: &mut Vec<bool>) {
    marks.resize(values.len(), false);
    vectorized(
        isa,
        #[inline(always)]
        || {
            for (mark, value) in marks.iter_mut().zip(values) {
                *mark = *value != 0.0;
            }
        },
    );
}

/// Makes `to`, which is empty, true wherever `from` is true some offset further on.
fn spread(isa: Isa, from: &[bool], offsets: impl Iterator<Item = usize>, to: &mut Vec<bool>) {
    to.resize(from.len(), false);
    for offset in offsets {
        vectorized(
            isa,
            #[inline(always)]
            || {
                for (to, from) in to.iter_mut().zip(&from[offset..]) {
                    *to |= *from;
                }
            },
        );
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp, reason = "copies are equal")]

    use super::*;
    use crate::nn::kernels::window::Padding;

    #[test]
    fn a_patch_is_a_run_for_each_line_of_the_kernel() {
        let g = ConvGeometry::new(&[5, 6], 2, &[2, 3], 1, &[2, 1], &[1, 1], Padding::Valid).unwrap();
        let field = Field::new(&g);
        assert!(field.is_input());
        assert_eq!(field.runs, [Run { offset: 0, len: 6 }, Run { offset: 12, len: 6 }]);
        assert_eq!(field.offsets, [0, 2, 4, 6, 24, 26, 28, 30]);
        assert_eq!(field.taps(), [0, 1, 2, 3, 4, 5, 12, 13, 14, 15, 16, 17]);
    }

    #[test]
    fn dilated_cells_are_runs_of_their_channels() {
        let g = ConvGeometry::new(&[7], 3, &[2], 1, &[1], &[2], Padding::Valid).unwrap();
        assert_eq!(
            Field::new(&g).runs,
            [Run { offset: 0, len: 3 }, Run { offset: 6, len: 3 }]
        );
    }

    #[test]
    fn a_patch_is_live_if_it_holds_anything_but_zeros() {
        let g = ConvGeometry::new(&[3, 4], 1, &[2, 2], 1, &[1, 1], &[1, 1], Padding::Valid).unwrap();
        let field = Field::new(&g);
        let values = [0., 0., 0., 0., 0., 0., 0., -0.0, 0., 0., 0., f32::NAN];
        let live = |cells: &[usize], offsets: &[usize]| {
            field.with_live(Isa::current(), &values, cells, |live| {
                offsets.iter().map(|offset| live[*offset]).collect::<Vec<_>>()
            })
        };
        assert_eq!(live(&[0], &field.offsets), [false, false, false, false, false, true]);
        // Two windows side by side, and two on top of each other.
        assert_eq!(live(&[0, 1], &[0, 1, 4, 5]), [false, false, false, true]);
        assert_eq!(live(&[0, 4], &[0, 1, 2]), [false, false, true]);
    }

    #[test]
    fn a_run_reaches_live_cells_and_what_surrounds_the_input() {
        let live = [false, false, true, false, false, false];
        let reach = |padding: Padding, offsets: &[usize]| {
            let g = ConvGeometry::new(&[2, 3], 2, &[2, 2], 1, &[1, 1], &[1, 1], padding).unwrap();
            let field = Field::new(&g);
            field.with_reach(Isa::current(), &live, |reach| {
                offsets.iter().map(|at| reach[*at]).collect::<Vec<_>>()
            })
        };
        // The first line of the kernel holds the live cell only from the second column on.
        assert_eq!(reach(Padding::Valid, &[0, 1]), [0b00, 0b01]);
        // Behind the last column and below the last line, a field of 3 x 4 cells.
        assert_eq!(reach(Padding::Same, &[0, 1, 2, 4, 6]), [0b00, 0b01, 0b11, 0b10, 0b11]);
    }

    #[test]
    fn runs_of_two_patches_are_filled_if_either_holds_anything_but_zeros() {
        let g = ConvGeometry::new(&[3, 4], 1, &[2, 2], 1, &[1, 1], &[1, 1], Padding::Valid).unwrap();
        let (field, pairs) = (Field::new(&g), [[0, 1], [4, 5]]);
        assert!(field.has_bits(pairs) && !field.has_bits([[0, 1], [4, 6]]));
        let bits = |filled: usize| {
            let values: [f32; 12] = std::array::from_fn(|at| if at == filled { 1.0 } else { 0.0 });
            field.with_filled_runs(Isa::current(), &values, pairs, |bits| [bits[0], bits[1]])
        };
        assert_eq!(bits(0), [0b0001, 0]);
        assert_eq!(bits(6), [0b0110, 0b0110]);
        assert_eq!(bits(11), [0, 0b1000]);
    }

    #[test]
    fn neighbouring_runs_share_a_bit_if_there_are_many() {
        let bits = |cells: usize, dilation: usize| {
            let g = ConvGeometry::new(&[30, 30], 1, &[cells; 2], 1, &[1; 2], &[dilation; 2], Padding::Valid).unwrap();
            let field = Field::new(&g);
            (0..field.runs.len()).map(|run| field.bit(run)).collect::<Vec<_>>()
        };
        assert_eq!(bits(3, 1), [0, 1, 2]);
        assert_eq!(bits(3, 2), [0, 0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn padding_surrounds_the_input_and_comes_off_again() {
        let g = ConvGeometry::new(&[2, 2], 1, &[3, 3], 1, &[1, 1], &[1, 1], Padding::Same).unwrap();
        let field = Field::new(&g);
        let mut filled = vec![9.0; field.len()];
        field.fill(&[1.0, 2.0, 3.0, 4.0], &mut filled);
        assert_eq!(filled, [0., 0., 0., 0., 0., 1., 2., 0., 0., 3., 4., 0., 0., 0., 0., 0.]);
        let mut x = [0.0; 4];
        field.crop(&filled, &mut x);
        assert_eq!(x, [1.0, 2.0, 3.0, 4.0]);
    }
}
