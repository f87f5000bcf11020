//! Layers that make one of several inputs.

use super::Applied;
use super::arguments::{or, required};
use super::declare::{Rules, layer};
use super::spec::FormKind;
use crate::keras::constraint::Axes;
use crate::keras::shape::{Shape, display};

/// A merging layer has several inputs.
const SEVERAL: &str = "takes several inputs; connect at least 2 layers to it";

fn at_least_two(inputs: &[Shape]) -> Result<(), String> {
    match inputs.len() {
        0 | 1 => Err(SEVERAL.into()),
        _ => Ok(()),
    }
}

/// The common shape of inputs that are put together number by number: a size of 1 stands for any, missing axes in front likewise.
fn broadcast(inputs: &[Shape]) -> Result<Applied, String> {
    at_least_two(inputs)?;
    let mut common = inputs[0].clone();
    for shape in &inputs[1..] {
        common = both(&common, shape).ok_or_else(|| {
            format!(
                "its inputs have unlike shapes, {} and {}; they must be the same, or 1 along an axis",
                display(&common),
                display(shape)
            )
        })?;
    }
    Ok(Applied::output(common))
}

fn both(a: &Shape, b: &Shape) -> Option<Shape> {
    let (long, short) = if a.len() < b.len() { (b, a) } else { (a, b) };
    let (front, back) = long.split_at(long.len() - short.len());
    let sizes = back.iter().zip(short).map(|pair| match pair {
        (None, _) | (_, None) => Some(None),
        (Some(1), size) | (size, Some(1)) => Some(*size),
        (a, b) => (a == b).then_some(*a),
    });
    front.iter().copied().map(Some).chain(sizes).collect()
}

/// The rules of the merges that work number by number; `$number` is how many inputs they take, if that is fixed.
macro_rules! elementwise {
    ($Name:ident $(, exactly $number:literal)?) => {
        impl Rules for $Name {
            fn apply(&self, _: &[Option<usize>]) -> Result<Applied, String> {
                Err(SEVERAL.into())
            }

            fn apply_all(&self, inputs: &[Shape]) -> Result<Applied, String> {
                $(
                    if inputs.len() > $number {
                        return Err(format!("takes exactly {} inputs, not {}", $number, inputs.len()));
                    }
                )?
                broadcast(inputs)
            }
        }
    };
}

layer! {
    /// The sum of its inputs.
    Add, "Merge", "Adds its inputs, number by number";
    form {
    }
    kwargs: false;
    config {
    }
}
elementwise!(Add);

layer! {
    /// The first input minus the second.
    Subtract, "Merge", "Subtracts its second input from its first, number by number";
    form {
    }
    kwargs: false;
    config {
    }
}
elementwise!(Subtract, exactly 2);

layer! {
    /// The product of its inputs.
    Multiply, "Merge", "Multiplies its inputs, number by number";
    form {
    }
    kwargs: false;
    config {
    }
}
elementwise!(Multiply);

layer! {
    /// The mean of its inputs.
    Average, "Merge", "Takes the mean of its inputs, number by number";
    form {
    }
    kwargs: false;
    config {
    }
}
elementwise!(Average);

layer! {
    /// The largest of its inputs.
    Maximum, "Merge", "Keeps the largest of its inputs, number by number";
    form {
    }
    kwargs: false;
    config {
    }
}
elementwise!(Maximum);

layer! {
    /// The smallest of its inputs.
    Minimum, "Merge", "Keeps the smallest of its inputs, number by number";
    form {
    }
    kwargs: false;
    config {
    }
}
elementwise!(Minimum);

layer! {
    /// Its inputs one behind the other along an axis.
    Concatenate, "Merge", "Puts its inputs one behind the other along an axis";
    form {
        axis: FormKind::Integer { min: None }, "Axis", "The axis along which they are joined, counted with the batch as axis 0; -1 is the last";
    }
    kwargs: false;
    config {
        /// The axis along which they are joined, counted with the batch axis; negative from the end.
        axis: i64 = or(-1),
    }
}

/// The index, without the batch axis, of an axis counted with it; `None` if there is no such axis or it is the batch.
#[must_use]
pub fn axis_without_batch(axis: i64, rank: usize) -> Option<usize> {
    let index = match usize::try_from(axis) {
        Ok(axis) => axis.checked_sub(1)?,
        Err(_) => rank.checked_sub(usize::try_from(axis.checked_neg()?).ok()?)?,
    };
    (index < rank).then_some(index)
}

fn no_axis(name: &str, axis: i64, input: &[Option<usize>]) -> String {
    format!(
        "{name}={axis} is not one of the axes of {}; the batch is axis 0, -1 is the last",
        display(input)
    )
}

impl Rules for Concatenate {
    fn apply(&self, _: &[Option<usize>]) -> Result<Applied, String> {
        Err(SEVERAL.into())
    }

    fn apply_all(&self, inputs: &[Shape]) -> Result<Applied, String> {
        at_least_two(inputs)?;
        let first = &inputs[0];
        let axis = axis_without_batch(self.axis, first.len()).ok_or_else(|| no_axis("axis", self.axis, first))?;
        let mut output = first.clone();
        for shape in &inputs[1..] {
            let alike = shape.len() == first.len()
                && shape
                    .iter()
                    .zip(first)
                    .enumerate()
                    .all(|(index, (a, b))| index == axis || a == b);
            if !alike {
                return Err(format!(
                    "its inputs have unlike shapes, {} and {}; they must be the same but along axis {}",
                    display(first),
                    display(shape),
                    axis + 1
                ));
            }
            output[axis] = output[axis].zip(shape[axis]).map(|(a, b)| a.saturating_add(b));
        }
        Ok(Applied::output(output))
    }
}

layer! {
    /// The sums of the products of two inputs along one axis of each.
    Dot, "Merge", "Multiplies two inputs and sums up along one axis of each: scalar products";
    form {
        axes as "axis": FormKind::Text, "Axis",
            "The axis to sum over, counted with the batch as axis 0, e.g. 1; or one for each of the two inputs, e.g. (1, 2)";
        normalize: FormKind::Boolean, "Normalize", "Whether to scale both inputs to length 1 first, which gives cosines";
    }
    kwargs: false;
    config {
        /// The axis to sum over, counted with the batch axis: one for both inputs, or one for each.
        axes: Axes = required(),
        /// Whether both inputs are scaled to length 1 along the axis first.
        normalize: bool = or(false),
    }
}

impl Dot {
    /// The axis to sum over in each of the two inputs, without the batch axis.
    ///
    /// # Errors
    ///
    /// An input has no such axis.
    pub fn summed(&self, inputs: [&[Option<usize>]; 2]) -> Result<[usize; 2], String> {
        let axes = match *self.axes.as_slice() {
            [both] => [both, both],
            [first, second] => [first, second],
            _ => return Err("axes needs one axis, or one for each of the two inputs".into()),
        };
        let mut summed = [0; 2];
        for (index, (&axis, &input)) in axes.iter().zip(&inputs).enumerate() {
            summed[index] = axis_without_batch(axis, input.len()).ok_or_else(|| no_axis("axes", axis, input))?;
        }
        Ok(summed)
    }
}

impl Rules for Dot {
    fn check(&self) -> Result<(), String> {
        match &self.axes {
            Axes::Many(axes) if axes.len() != 2 => {
                Err("axes needs one axis, or one for each of the two inputs, e.g. 1 or (1, 2)".into())
            }
            _ => Ok(()),
        }
    }

    fn apply(&self, _: &[Option<usize>]) -> Result<Applied, String> {
        Err("takes exactly 2 inputs; connect 2 layers to it".into())
    }

    fn apply_all(&self, inputs: &[Shape]) -> Result<Applied, String> {
        let [first, second] = inputs else {
            return Err(format!("takes exactly 2 inputs, not {}", inputs.len()));
        };
        let [one, other] = self.summed([first, second])?;
        if let (Some(a), Some(b)) = (first[one], second[other])
            && a != b
        {
            return Err(format!("the axes to sum over must have the same size, not {a} and {b}"));
        }
        let without = |shape: &Shape, axis: usize| [&shape[..axis], &shape[axis + 1..]].concat();
        let mut output = [without(first, one), without(second, other)].concat();
        if output.is_empty() {
            output.push(Some(1));
        }
        Ok(Applied::output(output))
    }
}
