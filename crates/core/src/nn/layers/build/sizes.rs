//! Shapes as kernels want them: batch aside, channels last.

use crate::keras::field::{DataFormat, Padding};
use crate::nn::kernels::window;

/// Sizes of the axes between batch and channels, and the channels, wherever these are.
pub(super) fn split(shape: &[usize], data_format: DataFormat) -> (Vec<usize>, usize) {
    match data_format {
        DataFormat::ChannelsLast => (shape[..shape.len() - 1].to_vec(), shape[shape.len() - 1]),
        DataFormat::ChannelsFirst => (shape[1..].to_vec(), shape[0]),
    }
}

/// A shape with the channels moved last.
pub(super) fn channels_last(shape: &[usize], data_format: DataFormat) -> Vec<usize> {
    // What global pooling leaves has no axis but the channels.
    if shape.len() < 2 {
        return shape.to_vec();
    }
    let (mut sizes, channels) = split(shape, data_format);
    sizes.push(channels);
    sizes
}

/// One to three sizes as three, with leading ones (or whatever `rest` is).
pub(super) fn three(sizes: &[usize], rest: usize) -> [usize; 3] {
    let mut all = [rest; 3];
    all[3 - sizes.len()..].copy_from_slice(sizes);
    all
}

/// Keras's name for what lies beyond the edges, as the kernels have it.
pub(super) fn padding(padding: Padding) -> window::Padding {
    match padding {
        Padding::Valid => window::Padding::Valid,
        Padding::Same => window::Padding::Same,
        Padding::Causal => window::Padding::Causal,
    }
}
