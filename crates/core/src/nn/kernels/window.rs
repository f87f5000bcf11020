//! Where the windows of a convolution or a pooling lie: Keras's rules for `valid`, `same` and `causal`, in one to three dimensions.
//!
//! Everything is computed in three dimensions `[depth, height, width]`; a layer of lower rank has leading ones. With the effective
//! size `e = (kernel - 1) dilation + 1` of a window, along each axis (TensorFlow's documentation of convolutions):
//!
//! - valid: `output = (input - e) / stride + 1`, rounded down, no padding;
//! - same: `output = input / stride`, rounded up; `max(0, (output - 1) stride + e - input)` padded in all, the odd one behind;
//! - causal (one dimension): `e - 1` padded before, nothing behind, `output = input / stride`, rounded up.

/// What lies beyond the edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// Windows lie inside the input.
    Valid,
    /// As many outputs as inputs (divided by the stride), zeros evenly on both sides.
    Same,
    /// Zeros before the first step only, so that no output sees a later input. One dimension only.
    Causal,
}

/// Why windows cannot be laid over an input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// Not one to three axes, or the lists differ in length.
    #[error(
        "a window has one to three axes with a size, a stride and a dilation each, not {axes} axes with {sizes} sizes"
    )]
    Rank {
        /// Axes of the input.
        axes: usize,
        /// Length of the first list that differs.
        sizes: usize,
    },
    /// A size, stride or dilation of nought.
    #[error("{what} along axis {axis} is 0: it must be at least 1")]
    Zero {
        /// Which list it is in.
        what: &'static str,
        /// The axis, counted from 1.
        axis: usize,
    },
    /// The window does not fit into the input.
    #[error(
        "the window spans {window} values along axis {axis}, where the input has {input}: use padding 'same' or a smaller window"
    )]
    TooLarge {
        /// Span of the window, dilation included.
        window: usize,
        /// Length of the input.
        input: usize,
        /// The axis, counted from 1.
        axis: usize,
    },
    /// Causal padding of a picture.
    #[error("padding 'causal' needs an input with one axis of steps, not {axes} axes")]
    Causal {
        /// Axes of the input.
        axes: usize,
    },
}

/// Windows over an input, in three dimensions `[depth, height, width]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Lengths of the input's axes.
    pub input: [usize; 3],
    /// Cells of the window along each axis.
    pub kernel: [usize; 3],
    /// Steps from one window to the next.
    pub strides: [usize; 3],
    /// Steps from one cell to the next.
    pub dilation: [usize; 3],
    /// Zeros before the input.
    pub pad_before: [usize; 3],
    /// Number of windows along each axis.
    pub output: [usize; 3],
}

impl Window {
    /// Lays windows over an input of one to three axes; each slice has one entry an axis.
    ///
    /// # Errors
    /// When the lists differ in length, hold a zero, or a window is larger than its input.
    pub fn new(
        input: &[usize],
        kernel: &[usize],
        strides: &[usize],
        dilation: &[usize],
        padding: Padding,
    ) -> Result<Self, WindowError> {
        let axes = input.len();
        if !(1..=3).contains(&axes) {
            return Err(WindowError::Rank {
                axes,
                sizes: kernel.len(),
            });
        }
        for list in [kernel, strides, dilation] {
            if list.len() != axes {
                return Err(WindowError::Rank {
                    axes,
                    sizes: list.len(),
                });
            }
        }
        if padding == Padding::Causal && axes != 1 {
            return Err(WindowError::Causal { axes });
        }
        let mut window = Self {
            input: [1; 3],
            kernel: [1; 3],
            strides: [1; 3],
            dilation: [1; 3],
            pad_before: [0; 3],
            output: [1; 3],
        };
        for axis in 0..axes {
            let lists = [
                ("the input", input),
                ("the kernel", kernel),
                ("the stride", strides),
                ("the dilation", dilation),
            ];
            for (what, list) in lists {
                if list[axis] == 0 {
                    return Err(WindowError::Zero { what, axis: axis + 1 });
                }
            }
            let (length, stride) = (input[axis], strides[axis]);
            let span = (kernel[axis] - 1).saturating_mul(dilation[axis]).saturating_add(1);
            let (output, before) = match padding {
                Padding::Valid if span > length => {
                    return Err(WindowError::TooLarge {
                        window: span,
                        input: length,
                        axis: axis + 1,
                    });
                }
                Padding::Valid => ((length - span) / stride + 1, 0),
                Padding::Same => {
                    let output = length.div_ceil(stride);
                    (output, ((output - 1) * stride + span).saturating_sub(length) / 2)
                }
                Padding::Causal => (length.div_ceil(stride), span - 1),
            };
            let at = 3 - axes + axis;
            window.input[at] = length;
            window.kernel[at] = kernel[axis];
            window.strides[at] = stride;
            window.dilation[at] = dilation[axis];
            window.pad_before[at] = before;
            window.output[at] = output;
        }
        Ok(window)
    }

    /// One window over all of the input, as global pooling has it.
    ///
    /// # Errors
    /// When the input has not one to three axes, or an empty one.
    pub fn global(input: &[usize]) -> Result<Self, WindowError> {
        let ones = vec![1; input.len()];
        Self::new(input, input, &ones, &ones, Padding::Valid)
    }

    /// Values of the input, per channel.
    #[must_use]
    pub fn input_cells(&self) -> usize {
        self.input.iter().product()
    }

    /// Cells of one window.
    #[must_use]
    pub fn kernel_cells(&self) -> usize {
        self.kernel.iter().product()
    }

    /// Number of windows.
    #[must_use]
    pub fn output_cells(&self) -> usize {
        self.output.iter().product()
    }

    /// Whether no window reaches beyond the input.
    #[must_use]
    pub fn is_inside(&self) -> bool {
        (0..3).all(|axis| self.pad_before[axis] == 0 && self.reach(axis) <= self.input[axis])
    }

    /// The length of input that the windows need along `axis`, padding before it included.
    #[must_use]
    pub fn reach(&self, axis: usize) -> usize {
        (self.output[axis] - 1) * self.strides[axis] + (self.kernel[axis] - 1) * self.dilation[axis] + 1
    }

    /// The cells of the window at `output` along `axis` that lie inside the input: their range, and the first one's place there.
    pub(super) fn real_cells(&self, axis: usize, output: usize) -> (std::ops::Range<usize>, usize) {
        let (dilation, pad) = (self.dilation[axis], self.pad_before[axis]);
        // Asked for every window: a division takes longer than all else here.
        let steps = |places: usize| {
            if dilation == 1 {
                places
            } else {
                places.div_ceil(dilation)
            }
        };
        let start = output * self.strides[axis];
        let first = steps(pad.saturating_sub(start)).min(self.kernel[axis]);
        let end = steps((self.input[axis] + pad).saturating_sub(start)).clamp(first, self.kernel[axis]);
        // An empty range has no place; 0 keeps the arithmetic of callers inside the input.
        let place = if first == end {
            0
        } else {
            start + first * dilation - pad
        };
        (first..end, place)
    }

    /// Calls `visit(cell, place)` for each real cell of the window at `output` in order: its number in the window and its place in the
    /// input, in cells.
    pub(super) fn for_each_cell(&self, output: [usize; 3], mut visit: impl FnMut(usize, usize)) {
        let [(depths, front), (heights, top), (widths, left)] =
            [0, 1, 2].map(|axis| self.real_cells(axis, output[axis]));
        for (d, kd) in depths.enumerate() {
            let depth = front + d * self.dilation[0];
            for (h, kh) in heights.clone().enumerate() {
                let height = top + h * self.dilation[1];
                for (w, kw) in widths.clone().enumerate() {
                    let place = (depth * self.input[1] + height) * self.input[2] + left + w * self.dilation[2];
                    visit((kd * self.kernel[1] + kh) * self.kernel[2] + kw, place);
                }
            }
        }
    }

    /// The three coordinates of each window in order.
    pub(super) fn outputs(&self) -> impl Iterator<Item = [usize; 3]> {
        let [depth, height, width] = self.output;
        (0..depth).flat_map(move |d| (0..height).flat_map(move |h| (0..width).map(move |w| [d, h, w])))
    }

    /// The three coordinates of the `index`-th window.
    pub(super) fn output_at(&self, index: usize) -> [usize; 3] {
        let [_, height, width] = self.output;
        [index / (height * width), index / width % height, index % width]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn along(input: usize, kernel: usize, stride: usize, dilation: usize, padding: Padding) -> (usize, usize) {
        let window = Window::new(&[input], &[kernel], &[stride], &[dilation], padding).unwrap();
        (window.output[2], window.pad_before[2])
    }

    #[test]
    fn outputs_and_padding_follow_tensorflow() {
        assert_eq!(along(28, 3, 1, 1, Padding::Valid), (26, 0));
        assert_eq!(along(28, 3, 1, 1, Padding::Same), (28, 1));
        assert_eq!(along(28, 4, 1, 1, Padding::Same), (28, 1));
        assert_eq!(along(28, 3, 2, 1, Padding::Same), (14, 0));
        assert_eq!(along(27, 3, 2, 1, Padding::Same), (14, 1));
        assert_eq!(along(10, 2, 3, 1, Padding::Same), (4, 0));
        assert_eq!(along(10, 3, 1, 4, Padding::Valid), (2, 0));
        assert_eq!(along(10, 3, 1, 2, Padding::Causal), (10, 4));
        assert_eq!(along(5, 1, 7, 1, Padding::Valid), (1, 0));
    }

    #[test]
    fn lower_ranks_have_leading_ones() {
        let window = Window::new(&[5, 6], &[2, 3], &[1, 2], &[2, 1], Padding::Valid).unwrap();
        assert_eq!((window.input, window.kernel), ([1, 5, 6], [1, 2, 3]));
        assert_eq!(
            (window.strides, window.dilation, window.output),
            ([1, 1, 2], [1, 2, 1], [1, 3, 2])
        );
        assert!(window.is_inside());
    }

    #[test]
    fn what_cannot_be_laid_out_is_named() {
        let message = |result: Result<Window, WindowError>| result.unwrap_err().to_string();
        assert_eq!(
            message(Window::new(&[4, 2], &[3, 3], &[1, 1], &[1, 1], Padding::Valid)),
            "the window spans 3 values along axis 2, where the input has 2: use padding 'same' or a smaller window"
        );
        assert_eq!(
            message(Window::new(&[4], &[3], &[0], &[1], Padding::Same)),
            "the stride along axis 1 is 0: it must be at least 1"
        );
        assert_eq!(Window::global(&[]), Err(WindowError::Rank { axes: 0, sizes: 0 }));
        assert_eq!(
            Window::new(&[4, 4], &[1], &[1, 1], &[1, 1], Padding::Same),
            Err(WindowError::Rank { axes: 2, sizes: 1 })
        );
        assert_eq!(
            Window::new(&[4, 4], &[1, 1], &[1, 1], &[1, 1], Padding::Causal),
            Err(WindowError::Causal { axes: 2 })
        );
    }

    #[test]
    fn only_cells_inside_the_input_are_visited() {
        let window = Window::new(&[3, 3], &[3, 3], &[2, 2], &[1, 1], Padding::Same).unwrap();
        assert_eq!(window.output, [1, 2, 2]);
        let mut seen = Vec::new();
        window.for_each_cell([0, 0, 0], |cell, place| seen.push((cell, place)));
        assert_eq!(seen, [(4, 0), (5, 1), (7, 3), (8, 4)]);
        seen.clear();
        window.for_each_cell(window.output_at(3), |cell, place| seen.push((cell, place)));
        assert_eq!(seen, [(0, 4), (1, 5), (3, 7), (4, 8)]);
    }
}
