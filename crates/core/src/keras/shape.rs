//! Shapes, and the arithmetic of windows that slide over them.

use std::ops::Range;

use crate::keras::constraint::Constraint;
use crate::keras::field::{DataFormat, Padding};
use crate::keras::initializer::Initializer;
use crate::keras::regularizer::Regularizer;

/// A shape without its batch axis; `None` is a size that only the data tell.
pub type Shape = Vec<Option<usize>>;

/// One weight of a layer, in Keras's order of [`LayerShapes::weights`].
#[derive(Debug, Clone, PartialEq)]
pub struct WeightSpec {
    /// Keras's name without layer and suffix: `kernel`.
    pub name: &'static str,
    /// Its shape, in Keras's layout: dense kernels `[in, out]`, convolution kernels `[window..., in, out]`.
    pub shape: Vec<usize>,
    /// How it starts.
    pub initializer: Initializer,
    /// Entries of a bias that start at 1 whatever the initializer says: the LSTM's forget gate.
    pub ones: Option<Range<usize>>,
    /// A penalty on it.
    pub regularizer: Option<Regularizer>,
    /// A condition on it.
    pub constraint: Option<Constraint>,
    /// Whether training changes it; moving averages and frozen layers are not trained.
    pub trainable: bool,
}

impl WeightSpec {
    /// A trainable weight without penalty or condition.
    #[must_use]
    pub fn new(name: &'static str, shape: impl Into<Vec<usize>>, initializer: &Initializer) -> Self {
        Self {
            name,
            shape: shape.into(),
            initializer: initializer.clone(),
            ones: None,
            regularizer: None,
            constraint: None,
            trainable: true,
        }
    }

    /// The same with a penalty.
    #[must_use]
    pub fn regularized(self, regularizer: Option<Regularizer>) -> Self {
        Self { regularizer, ..self }
    }

    /// The same with a condition.
    #[must_use]
    pub fn constrained(self, constraint: Option<&Constraint>) -> Self {
        Self {
            constraint: constraint.cloned(),
            ..self
        }
    }

    /// How many numbers it has; saturates, for shapes that no memory could hold.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        self.shape
            .iter()
            .fold(1, |count, &size| count.saturating_mul(size as u64))
    }
}

/// What a layer makes of its input.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// Output shape without the batch axis.
    pub output: Shape,
    /// Weights in Keras's order.
    pub weights: Vec<WeightSpec>,
}

impl Applied {
    /// A layer without weights.
    #[must_use]
    pub fn output(output: impl Into<Shape>) -> Self {
        Self {
            output: output.into(),
            weights: Vec::new(),
        }
    }
}

/// Input and output shapes and weights of one layer of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerShapes {
    /// Input shapes without the batch axis.
    pub inputs: Vec<Shape>,
    /// Output shape without the batch axis.
    pub output: Shape,
    /// The shapes of the states that the layer puts out behind its output; mostly none.
    pub states: Vec<Shape>,
    /// Weights in Keras's order.
    pub weights: Vec<WeightSpec>,
}

impl LayerShapes {
    /// The shapes of all that the layer puts out: its output, and its states if it returns them.
    pub fn outputs(&self) -> impl Iterator<Item = &Shape> {
        std::iter::once(&self.output).chain(&self.states)
    }
}

/// A shape as Python writes it: `(28, 28, 1)`, `(None, 3)`, `(784,)`.
#[must_use]
pub fn display(shape: &[Option<usize>]) -> String {
    let sizes: Vec<String> = shape
        .iter()
        .map(|size| size.map_or("None".into(), |size| size.to_string()))
        .collect();
    format!("({}{})", sizes.join(", "), if sizes.len() == 1 { "," } else { "" })
}

/// A window over `N` axes, of a convolution or a pooling.
#[derive(Debug, Clone, Copy)]
pub struct Window<const N: usize> {
    /// What slides, for errors: "kernel".
    pub what: &'static str,
    /// Its size along each axis.
    pub size: [usize; N],
    /// How far it moves from one output to the next.
    pub strides: [usize; N],
    /// How far apart its points are.
    pub dilation: [usize; N],
    /// What happens at the borders.
    pub padding: Padding,
    /// Where the channels are.
    pub data_format: DataFormat,
}

impl<const N: usize> Window<N> {
    /// The sizes of the output along the window's axes, and the input's channels.
    ///
    /// # Errors
    ///
    /// The input has another number of axes, or the window does not fit into it.
    pub fn slide(&self, input: &[Option<usize>]) -> Result<([Option<usize>; N], Option<usize>), String> {
        let (sizes, channels) = split_channels::<N>(input, self.data_format)?;
        let mut output = [None; N];
        for axis in 0..N {
            let reach = (self.size[axis] - 1)
                .saturating_mul(self.dilation[axis])
                .saturating_add(1);
            output[axis] = match sizes[axis] {
                None => None,
                Some(size) if self.padding != Padding::Valid => Some(size.div_ceil(self.strides[axis])),
                Some(size) if size >= reach => Some((size - reach) / self.strides[axis] + 1),
                Some(size) => {
                    return Err(format!(
                        "the {} covers {reach} of only {size} {}; use a smaller one or padding='same'",
                        self.what,
                        axis_names::<N>()[axis],
                    ));
                }
            };
        }
        Ok((output, channels))
    }

    /// Sizes and channels put together again, channels where the data format has them.
    #[must_use]
    pub fn join(&self, sizes: [Option<usize>; N], channels: Option<usize>) -> Shape {
        let mut shape = sizes.to_vec();
        match self.data_format {
            DataFormat::ChannelsLast => shape.push(channels),
            DataFormat::ChannelsFirst => shape.insert(0, channels),
        }
        shape
    }
}

/// The sizes along `N` axes, and the channels.
///
/// # Errors
///
/// The input has another number of axes.
pub fn split_channels<const N: usize>(
    input: &[Option<usize>],
    data_format: DataFormat,
) -> Result<([Option<usize>; N], Option<usize>), String> {
    let split = match data_format {
        DataFormat::ChannelsLast => input.split_last(),
        DataFormat::ChannelsFirst => input.split_first(),
    };
    split
        .and_then(|(channels, sizes)| Some((sizes.try_into().ok()?, *channels)))
        .ok_or_else(|| {
            let names = axis_names::<N>().join(", ");
            let wanted = match data_format {
                DataFormat::ChannelsLast => format!("({names}, channels)"),
                DataFormat::ChannelsFirst => format!("(channels, {names})"),
            };
            format!("needs {} axes {wanted}; a Reshape layer before it can make them", N + 1)
        })
}

fn axis_names<const N: usize>() -> &'static [&'static str] {
    match N {
        1 => &["steps"],
        2 => &["rows", "columns"],
        _ => &["planes", "rows", "columns"],
    }
}

/// The size of an axis that a layer's weights depend on.
///
/// # Errors
///
/// Only the data tell it.
pub fn known(size: Option<usize>, what: &str) -> Result<usize, String> {
    size.ok_or_else(|| format!("needs to know the number of {what}; give it in the input shape"))
}
