//! Cropping, padding and up-sampling.

use crate::Result;
use crate::nn::kernels::resize::{Bilinear, Frame, Repeat};
use crate::nn::operation::{Gradients, Kernel, Output, Saved, View};

/// What is done to a picture, each way there and back.
#[derive(Clone, Copy, Debug)]
pub(super) enum Resize {
    Crop(Frame),
    Pad(Frame),
    Repeat(Repeat),
    Bilinear(Bilinear),
}

/// A picture of another size.
#[derive(Debug)]
pub(super) struct ResizeKernel {
    pub resize: Resize,
    /// The result's shape without the batch.
    pub output: Vec<usize>,
}

impl Kernel for ResizeKernel {
    fn forward(&self, inputs: &[View<'_>], _: bool) -> Result<Output> {
        let x = inputs[0].values;
        let y = match self.resize {
            Resize::Crop(frame) => frame.crop(x),
            Resize::Pad(frame) => frame.pad(x),
            Resize::Repeat(repeat) => repeat.forward(x),
            Resize::Bilinear(bilinear) => bilinear.forward(x),
        };
        let shape = std::iter::once(inputs[0].shape[0]).chain(self.output.iter().copied());
        Ok(Output::new(y, shape.collect()))
    }

    fn backward(&self, _: &[View<'_>], _: &Saved, dy: View<'_>, _: &[bool]) -> Result<Gradients> {
        let dy = dy.values;
        Ok(vec![Some(match self.resize {
            Resize::Crop(frame) => frame.pad(dy),
            Resize::Pad(frame) => frame.crop(dy),
            Resize::Repeat(repeat) => repeat.backward(dy),
            Resize::Bilinear(bilinear) => bilinear.backward(dy),
        })])
    }
}
