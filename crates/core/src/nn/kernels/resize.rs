//! Making pictures larger or smaller: margins cut off or added, cells repeated, values between cells interpolated.
//!
//! Rows are `[rows, depth, height, width, inner]`. What lies inside an axis that is not touched is `inner`: the channels where they
//! come last, 1 where they come first and count as rows.

use super::simd::{Isa, vectorized};
use crate::nn::threads::{self, COST_OF_A_VALUE};

/// A picture inside a larger one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The larger picture.
    pub outer: [usize; 3],
    /// The smaller one.
    pub inner: [usize; 3],
    /// Where in the larger one it begins.
    pub before: [usize; 3],
    /// Values of a cell.
    pub cell: usize,
}

impl Frame {
    fn for_each_line(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let (inner, outer, before) = (self.inner, self.outer, self.before);
        for depth in 0..inner[0] {
            for row in 0..inner[1] {
                let small = (depth * inner[1] + row) * inner[2];
                let large = ((depth + before[0]) * outer[1] + row + before[1]) * outer[2] + before[2];
                visit(small * self.cell, large * self.cell, inner[2] * self.cell);
            }
        }
    }

    /// The inner picture of each outer one.
    #[must_use]
    pub fn crop(&self, x: &[f32]) -> Vec<f32> {
        let (outer, inner) = (
            self.outer.iter().product::<usize>(),
            self.inner.iter().product::<usize>(),
        );
        let rows = x.len() / (outer * self.cell).max(1);
        let mut y = Vec::with_capacity(rows * inner * self.cell);
        for x in x.chunks_exact((outer * self.cell).max(1)) {
            self.for_each_line(|_, large, len| y.extend_from_slice(&x[large..large + len]));
        }
        y
    }

    /// The inner pictures, each surrounded by zeros.
    #[must_use]
    pub fn pad(&self, x: &[f32]) -> Vec<f32> {
        let (outer, inner) = (
            self.outer.iter().product::<usize>(),
            self.inner.iter().product::<usize>(),
        );
        let rows = x.len() / (inner * self.cell).max(1);
        let mut y = vec![0.0; rows * outer * self.cell];
        let pictures = x.chunks_exact((inner * self.cell).max(1));
        for (x, y) in pictures.zip(y.chunks_exact_mut((outer * self.cell).max(1))) {
            self.for_each_line(|small, large, len| y[large..large + len].copy_from_slice(&x[small..small + len]));
        }
        y
    }
}

/// A picture with each cell repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeat {
    /// The picture.
    pub input: [usize; 3],
    /// How often cells are repeated along each axis.
    pub times: [usize; 3],
    /// Values of a cell.
    pub cell: usize,
}

impl Repeat {
    fn input_len(&self) -> usize {
        self.input.iter().product::<usize>() * self.cell
    }

    fn output_len(&self) -> usize {
        self.input_len() * self.times.iter().product::<usize>()
    }

    /// Each cell repeated.
    #[must_use]
    pub fn forward(&self, x: &[f32]) -> Vec<f32> {
        let ([_, height, width], [deep, high, wide]) = (self.input, self.times);
        let mut y = Vec::with_capacity(x.len() / self.input_len().max(1) * self.output_len());
        let line_len = width * self.cell;
        // A line once with its cells repeated, then that line, then the plane, copied as often.
        for plane in x.chunks_exact((height * line_len).max(1)) {
            let plane_at = y.len();
            for line in plane.chunks_exact(line_len.max(1)) {
                let line_at = y.len();
                for cell in line.chunks_exact(self.cell) {
                    (0..wide).for_each(|_| y.extend_from_slice(cell));
                }
                let line_end = y.len();
                (1..high).for_each(|_| y.extend_from_within(line_at..line_end));
            }
            let plane_end = y.len();
            (1..deep).for_each(|_| y.extend_from_within(plane_at..plane_end));
        }
        y
    }

    /// The gradient for the picture: the sum over each cell's repetitions.
    #[must_use]
    pub fn backward(&self, dy: &[f32]) -> Vec<f32> {
        let ([depth, height, width], [deep, high, wide]) = (self.input, self.times);
        let cell = self.cell;
        let mut dx = vec![0.0; dy.len() / self.output_len().max(1) * self.input_len()];
        let lines = dy.chunks_exact((width * wide * cell).max(1));
        for (index, line) in lines.enumerate() {
            let (row, plane) = (index % (height * high) / high, index / (height * high));
            let (picture, plane) = (plane / (depth * deep), plane % (depth * deep) / deep);
            let at = ((picture * depth + plane) * height + row) * width * cell;
            let to = dx[at..at + width * cell].chunks_exact_mut(cell);
            for (to, from) in to.zip(line.chunks_exact(wide * cell)) {
                for from in from.chunks_exact(cell) {
                    to.iter_mut()
                        .zip(from)
                        .for_each(|(sum, slope): (&mut f32, _)| *sum += slope);
                }
            }
        }
        dx
    }
}

/// A picture `[height, width]` enlarged by whole factors, values between the centres of cells interpolated (TensorFlow's bilinear
/// resizing with half-pixel centres).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bilinear {
    /// Height and width of the picture.
    pub input: [usize; 2],
    /// How many times as high and as wide it becomes.
    pub times: [usize; 2],
    /// Values of a cell.
    pub cell: usize,
}

/// The two cells that a value lies between, and how far it is from the first, as a share of their distance.
#[derive(Clone, Copy)]
struct Between {
    lower: usize,
    upper: usize,
    share: f32,
}

impl Bilinear {
    fn along(&self, axis: usize) -> Vec<Between> {
        let (size, times) = (self.input[axis], self.times[axis]);
        let scale = 1.0 / times as f32;
        (0..size * times)
            .map(|index| {
                let at = (index as f32 + 0.5) * scale - 0.5;
                Between {
                    lower: at.floor().max(0.0) as usize,
                    upper: (at.ceil().max(0.0) as usize).min(size - 1),
                    share: at - at.floor(),
                }
            })
            .collect()
    }

    fn lens(&self) -> (usize, usize) {
        let input = self.input.iter().product::<usize>() * self.cell;
        (input, input * self.times.iter().product::<usize>())
    }

    /// The enlarged pictures: each line blended of two lines of the picture, then along itself.
    #[must_use]
    pub fn forward(&self, x: &[f32]) -> Vec<f32> {
        let ((input, output), cell, isa) = (self.lens(), self.cell, Isa::current());
        let (down, across) = (self.along(0), self.along(1));
        let (line, wide) = (self.input[1] * cell, across.len() * cell);
        let pictures = x.len() / input.max(1);
        let cost = pictures * output * COST_OF_A_VALUE;
        threads::build(pictures * output, output, cost, |picture, y| {
            let x = &x[picture * input..][..input];
            vectorized(
                isa,
                #[inline(always)]
                || {
                    let mut blended = vec![0.0; line];
                    for (at, y) in down.iter().zip(y.chunks_exact_mut(wide.max(1))) {
                        let lines = x[at.lower * line..].iter().zip(&x[at.upper * line..]);
                        for (to, (lower, upper)) in blended.iter_mut().zip(lines) {
                            *to = (1.0 - at.share) * lower + at.share * upper;
                        }
                        for (at, y) in across.iter().zip(y.chunks_exact_mut(cell)) {
                            let cells = blended[at.lower * cell..].iter().zip(&blended[at.upper * cell..]);
                            for (to, (lower, upper)) in y.iter_mut().zip(cells) {
                                *to = (1.0 - at.share) * lower + at.share * upper;
                            }
                        }
                    }
                },
            );
        })
    }

    /// The gradient for the pictures: the way back of [`forward`](Self::forward).
    #[must_use]
    pub fn backward(&self, dy: &[f32]) -> Vec<f32> {
        let ((input, output), cell, isa) = (self.lens(), self.cell, Isa::current());
        let (down, across) = (self.along(0), self.along(1));
        let (line, wide) = (self.input[1] * cell, across.len() * cell);
        let pictures = dy.len() / output.max(1);
        let cost = pictures * output * COST_OF_A_VALUE;
        threads::build(pictures * input, input, cost, |picture, dx| {
            let dy = &dy[picture * output..][..output];
            vectorized(
                isa,
                #[inline(always)]
                || {
                    let mut slopes = vec![0.0; line];
                    for (at, dy) in down.iter().zip(dy.chunks_exact(wide.max(1))) {
                        slopes.fill(0.0);
                        for (at, dy) in across.iter().zip(dy.chunks_exact(cell)) {
                            add_scaled(&mut slopes[at.lower * cell..], dy, 1.0 - at.share);
                            add_scaled(&mut slopes[at.upper * cell..], dy, at.share);
                        }
                        add_scaled(&mut dx[at.lower * line..], &slopes, 1.0 - at.share);
                        add_scaled(&mut dx[at.upper * line..], &slopes, at.share);
                    }
                },
            );
        })
    }
}

#[inline(always)]
fn add_scaled(sums: &mut [f32], values: &[f32], factor: f32) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += factor * value;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{assert_close, assert_slopes, values};
    use super::*;

    fn wide(values: &[f32]) -> Vec<f64> {
        values.iter().map(|value| f64::from(*value)).collect()
    }

    /// Depth, height, width and value in the cell of each value of a picture.
    fn places(sizes: [usize; 3], cell: usize) -> impl Iterator<Item = ([usize; 3], usize)> {
        (0..sizes.iter().product::<usize>() * cell).map(move |at| {
            let index = at / cell;
            (
                [
                    index / (sizes[1] * sizes[2]),
                    index / sizes[2] % sizes[1],
                    index % sizes[2],
                ],
                at % cell,
            )
        })
    }

    fn place(sizes: [usize; 3], cell: usize, at: [usize; 3], value: usize) -> usize {
        ((at[0] * sizes[1] + at[1]) * sizes[2] + at[2]) * cell + value
    }

    fn sizes(range: std::ops::Range<usize>) -> impl Strategy<Value = [usize; 3]> {
        [range.clone(), range.clone(), range]
    }

    proptest! {
        #[test]
        fn a_frame_cut_off_and_put_back(inner in sizes(1..4), before in sizes(0..3), behind in sizes(0..3), cell in 1_usize..4) {
            let outer = [0, 1, 2].map(|axis| inner[axis] + before[axis] + behind[axis]);
            let frame = Frame { outer, inner, before, cell };
            let x = values(2 * outer.iter().product::<usize>() * cell, 1);
            let cropped = frame.crop(&x);
            let row = x.len() / 2;
            let want: Vec<f32> = (0..2).flat_map(|picture| places(inner, cell).map(move |(at, value)| (picture, at, value)))
                .map(|(picture, at, value)| x[picture * row + place(outer, cell, [0, 1, 2].map(|axis| at[axis] + before[axis]), value)])
                .collect();
            prop_assert_eq!(&cropped, &want);
            let padded = frame.pad(&cropped);
            prop_assert_eq!(padded.len(), x.len());
            prop_assert_eq!(&frame.crop(&padded), &cropped);
            let (inside, all) = (cropped.iter().map(|x| x.abs()).sum::<f32>(), padded.iter().map(|x| x.abs()).sum::<f32>());
            prop_assert!((inside - all).abs() < 1e-3);
        }

        #[test]
        fn cells_are_repeated_along_each_axis(input in sizes(1..4), times in sizes(1..4), cell in 1_usize..4) {
            let repeat = Repeat { input, times, cell };
            let x = values(2 * repeat.input_len(), 1);
            let y = repeat.forward(&x);
            let output = [0, 1, 2].map(|axis| input[axis] * times[axis]);
            let row = x.len() / 2;
            let want: Vec<f32> = (0..2).flat_map(|picture| places(output, cell).map(move |(at, value)| (picture, at, value)))
                .map(|(picture, at, value)| x[picture * row + place(input, cell, [0, 1, 2].map(|axis| at[axis] / times[axis]), value)])
                .collect();
            prop_assert_eq!(&y, &want);
            let dy = values(y.len(), 2);
            assert_slopes(&repeat.backward(&dy), &x, &dy, |x| wide(&repeat.forward(x)));
        }

        #[test]
        fn interpolation_has_its_own_slopes(input in [1_usize..5, 1_usize..5], times in [1_usize..4, 1_usize..4], cell in 1_usize..3) {
            let resize = Bilinear { input, times, cell };
            let x = values(2 * resize.lens().0, 1);
            for isa in Isa::available() {
                isa.hold(|| {
                    let y = resize.forward(&x);
                    let dy = values(y.len(), 2);
                    assert_slopes(&resize.backward(&dy), &x, &dy, |x| wide(&resize.forward(x)));
                });
            }
        }
    }

    /// `keras.layers.UpSampling2D((2, 3), interpolation="bilinear")` (Keras 2.15) of `[[1, 2], [3, 5]]`.
    #[test]
    fn values_between_cells_are_those_of_keras() {
        let resize = Bilinear {
            input: [2, 2],
            times: [2, 3],
            cell: 1,
        };
        let rows = [
            [1.0, 1.0, 1.333_333_4, 1.666_666_6, 2.0, 2.0],
            [1.5, 1.5, 1.916_666_7, 2.333_333_3, 2.75, 2.75],
            [2.5, 2.5, 3.083_333_3, 3.666_666_5, 4.25, 4.25],
            [3.0, 3.0, 3.666_666_7, 4.333_333, 5.0, 5.0],
        ];
        assert_close(&resize.forward(&[1.0, 2.0, 3.0, 5.0]), &wide(&rows.concat()), 1e-6);
    }
}
