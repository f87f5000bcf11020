//! Layers that cut, repeat or pad along the axes between batch and channels.

use super::Applied;
use super::arguments::or;
use super::declare::{Rules, layer};
use super::spec::{COUNT, FormKind};
use crate::keras::field::{DataFormat, Interpolation, Margins};
use crate::keras::shape::{Shape, split_channels};

/// Changes the size along each of `N` axes and keeps the channels.
fn resized<const N: usize>(
    input: &[Option<usize>],
    data_format: DataFormat,
    new_size: impl Fn(usize, usize) -> Result<usize, String>,
) -> Result<Applied, String> {
    let (sizes, channels) = split_channels::<N>(input, data_format)?;
    let mut output: Shape = Vec::with_capacity(N + 1);
    for (axis, size) in sizes.into_iter().enumerate() {
        output.push(size.map(|size| new_size(axis, size)).transpose()?);
    }
    match data_format {
        DataFormat::ChannelsLast => output.push(channels),
        DataFormat::ChannelsFirst => output.insert(0, channels),
    }
    Ok(Applied::output(output))
}

fn cropped<const N: usize>(
    input: &[Option<usize>],
    data_format: DataFormat,
    Margins(cropping): Margins<N>,
) -> Result<Applied, String> {
    resized::<N>(input, data_format, |axis, size| {
        let [before, after] = cropping[axis];
        size.checked_sub(before.saturating_add(after))
            .filter(|&left| left > 0)
            .ok_or_else(|| format!("cropping {before} + {after} leaves nothing of {size}; crop less"))
    })
}

fn padded<const N: usize>(
    input: &[Option<usize>],
    data_format: DataFormat,
    Margins(padding): Margins<N>,
) -> Result<Applied, String> {
    resized::<N>(input, data_format, |axis, size| {
        let [before, after] = padding[axis];
        Ok(size.saturating_add(before).saturating_add(after))
    })
}

fn repeated<const N: usize>(
    input: &[Option<usize>],
    data_format: DataFormat,
    times: [usize; N],
) -> Result<Applied, String> {
    resized::<N>(input, data_format, |axis, size| Ok(size.saturating_mul(times[axis])))
}

layer! {
    /// The input without its margins.
    Cropping1D, "Convolutional", "Cuts off the margins of a sequence";
    form {
        cropping: FormKind::Margins(1), "Cropping",
            "How many steps to cut off at the start and at the end, e.g. (1, 1)";
    }
    kwargs: false;
    config {
        /// What is cut off along steps, before and after.
        cropping: Margins<1> = or(Margins([[1, 1]])),
    }
}

impl Rules for Cropping1D {
    fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String> {
        cropped(input, DataFormat::ChannelsLast, self.cropping)
    }
}

layer! {
    /// The input without its margins.
    Cropping2D, "Convolutional", "Cuts off the margins of an image";
    form {
        cropping: FormKind::Margins(2), "Cropping",
            "How many rows to cut off above and below, and columns left and right, e.g. ((1, 1), (2, 2))";
    }
    kwargs: true;
    config {
        /// What is cut off along rows and columns, before and after.
        cropping: Margins<2> = or(Margins([[0, 0], [0, 0]])),
        /// Where the channels are.
        data_format: DataFormat = or(DataFormat::ChannelsLast),
    }
}

impl Rules for Cropping2D {
    fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String> {
        cropped(input, self.data_format, self.cropping)
    }
}

layer! {
    /// The input without its margins.
    Cropping3D, "Convolutional", "Cuts off the margins of a volume";
    form {
        cropping: FormKind::Margins(3), "Cropping",
            "How many planes, rows and columns to cut off on either side, e.g. ((1, 1), (2, 2), (2, 2))";
    }
    kwargs: true;
    config {
        /// What is cut off along planes, rows and columns, before and after.
        cropping: Margins<3> = or(Margins([[1, 1], [1, 1], [1, 1]])),
        /// Where the channels are.
        data_format: DataFormat = or(DataFormat::ChannelsLast),
    }
}

impl Rules for Cropping3D {
    fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String> {
        cropped(input, self.data_format, self.cropping)
    }
}

layer! {
    /// Each step several times.
    UpSampling1D, "Convolutional", "Repeats each step of a sequence";
    form {
        size: COUNT, "Size", "How often each step is repeated";
    }
    kwargs: false;
    config {
        /// How often each step is repeated.
        size: usize = or(2),
    }
}

impl Rules for UpSampling1D {
    fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String> {
        repeated(input, DataFormat::ChannelsLast, [self.size])
    }
}

layer! {
    /// Each entry several times along rows and columns.
    UpSampling2D, "Convolutional", "Makes an image larger by repeating its rows and columns";
    form {
        size: FormKind::Sizes(2), "Size", "How often rows and columns are repeated, e.g. (2, 2)";
    }
    kwargs: true;
    config {
        /// How often rows and columns are repeated.
        size: [usize; 2] = or([2, 2]),
        /// Where the channels are.
        data_format: DataFormat = or(DataFormat::ChannelsLast),
        /// How the new entries are found.
        interpolation: Interpolation = or(Interpolation::Nearest),
    }
}

impl Rules for UpSampling2D {
    fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String> {
        repeated(input, self.data_format, self.size)
    }
}

layer! {
    /// Each entry several times along planes, rows and columns.
    UpSampling3D, "Convolutional", "Makes a volume larger by repeating its planes, rows and columns";
    form {
        size: FormKind::Sizes(3), "Size", "How often planes, rows and columns are repeated, e.g. (2, 2, 2)";
    }
    kwargs: true;
    config {
        /// How often planes, rows and columns are repeated.
        size: [usize; 3] = or([2, 2, 2]),
        /// Where the channels are.
        data_format: DataFormat = or(DataFormat::ChannelsLast),
    }
}

impl Rules for UpSampling3D {
    fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String> {
        repeated(input, self.data_format, self.size)
    }
}

layer! {
    /// The input with zeros around it.
    ZeroPadding1D, "Convolutional", "Puts zeros around a sequence";
    form {
        padding["1"]: FormKind::Margins(1), "Padding",
            "How many steps of zeros before and after, e.g. (1, 1); one number stands for both";
    }
    kwargs: false;
    config {
        /// What is added along steps, before and after.
        padding: Margins<1> = or(Margins([[1, 1]])),
    }
}

impl Rules for ZeroPadding1D {
    fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String> {
        padded(input, DataFormat::ChannelsLast, self.padding)
    }
}

layer! {
    /// The input with zeros around it.
    ZeroPadding2D, "Convolutional", "Puts zeros around an image";
    form {
        padding["(1, 1)"]: FormKind::Margins(2), "Padding",
            "How many rows of zeros above and below, and columns left and right, e.g. ((1, 1), (2, 2)); (1, 2) for the same on both sides";
    }
    kwargs: true;
    config {
        /// What is added along rows and columns, before and after.
        padding: Margins<2> = or(Margins([[1, 1], [1, 1]])),
        /// Where the channels are.
        data_format: DataFormat = or(DataFormat::ChannelsLast),
    }
}

impl Rules for ZeroPadding2D {
    fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String> {
        padded(input, self.data_format, self.padding)
    }
}

layer! {
    /// The input with zeros around it.
    ZeroPadding3D, "Convolutional", "Puts zeros around a volume";
    form {
        padding["(1, 1, 1)"]: FormKind::Margins(3), "Padding",
            "How many planes, rows and columns of zeros on either side, e.g. ((1, 1), (2, 2), (2, 2)); (1, 2, 2) for the same on both sides";
    }
    kwargs: true;
    config {
        /// What is added along planes, rows and columns, before and after.
        padding: Margins<3> = or(Margins([[1, 1], [1, 1], [1, 1]])),
        /// Where the channels are.
        data_format: DataFormat = or(DataFormat::ChannelsLast),
    }
}

impl Rules for ZeroPadding3D {
    fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String> {
        padded(input, self.data_format, self.padding)
    }
}
