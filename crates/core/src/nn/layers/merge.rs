//! Layers that make one of several inputs, and of their masks.

use std::borrow::Cow;
use std::sync::Arc;

use burn::backend::DispatchTensor;

use crate::nn::kernels::axes::{broadcast, concatenate, piece, sum_repeated};
use crate::nn::kernels::merge::{self, Dot, Merge};
use crate::nn::layer::{Flow, Layer, Mask, Pass};
use crate::nn::operation::{self, Gradients, Kernel, MOST_INPUTS, Output, Saved, View};
use crate::{Error, Result};

/// A layer of two or more inputs: its kernel takes some of them at a time, from left to right.
#[derive(Debug)]
pub(super) struct MergeLayer {
    pub kernel: Arc<dyn Kernel>,
    pub masks: MaskMerge,
    /// Whether the result is divided by the number of inputs.
    pub mean: bool,
}

/// What becomes of the inputs' masks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MaskMerge {
    /// A step counts if it counts in all inputs that have a mask.
    All,
    /// Masks lie behind each other along this axis, counted with the batch; along the values' last, as [`MaskMerge::All`].
    Along(usize),
    /// There is none behind the layer.
    Drop,
}

impl Layer for MergeLayer {
    fn forward(&self, inputs: &[Flow], _: &[DispatchTensor], _: &mut Pass) -> Result<Flow> {
        let mask = self.masks.of(inputs)?;
        let count = inputs.len();
        let mut rest = inputs.iter().map(|flow| flow.tensor.clone());
        let mut together: Vec<DispatchTensor> = rest.by_ref().take(MOST_INPUTS).collect();
        let tensor = loop {
            let merged = operation::apply(Arc::clone(&self.kernel), together)?;
            together = std::iter::once(merged.clone())
                .chain(rest.by_ref().take(MOST_INPUTS - 1))
                .collect();
            if together.len() == 1 {
                break merged;
            }
        };
        let tensor = if self.mean {
            operation::apply(Arc::new(Share(count as f32)), vec![tensor])?
        } else {
            tensor
        };
        Ok(Flow { tensor, mask })
    }
}

impl MaskMerge {
    fn of(self, inputs: &[Flow]) -> Result<Option<Arc<Mask>>> {
        if inputs.iter().all(|input| input.mask.is_none()) {
            return Ok(None);
        }
        match self {
            Self::Drop => Ok(None),
            Self::Along(axis) if axis + 1 < inputs[0].shape().len() => along(inputs, axis).map(Some),
            Self::All | Self::Along(_) => all(inputs).map(Some),
        }
    }
}

/// Where all masks that there are agree that a step counts.
fn all(inputs: &[Flow]) -> Result<Arc<Mask>> {
    let mut masks = inputs.iter().filter_map(|input| input.mask.as_deref());
    let mut merged = masks
        .next()
        .cloned()
        .ok_or_else(|| Error::Internal("masks of inputs without any".into()))?;
    for mask in masks {
        if mask.shape != merged.shape {
            return Err(unlike(&merged, mask));
        }
        merged
            .keep
            .iter_mut()
            .zip(&mask.keep)
            .for_each(|(keep, also)| *keep &= also);
    }
    Ok(Arc::new(merged))
}

/// The masks one behind the other along an axis; an input without one counts everywhere.
fn along(inputs: &[Flow], axis: usize) -> Result<Arc<Mask>> {
    let mut shape = Vec::new();
    let mut pieces: Vec<Mask> = Vec::with_capacity(inputs.len());
    for input in inputs {
        let whole = || {
            let mut shape = input.shape();
            shape.pop();
            let keep = vec![true; shape.iter().product()];
            Mask { shape, keep }
        };
        let mask = input.mask.as_deref().cloned().unwrap_or_else(whole);
        let fits = |first: &Mask| {
            let sizes = first.shape.iter().zip(&mask.shape);
            first.shape.len() == mask.shape.len() && sizes.enumerate().all(|(at, (a, b))| at == axis || a == b)
        };
        if axis >= mask.shape.len() || !pieces.first().is_none_or(fits) {
            return Err(unlike(pieces.first().unwrap_or(&mask), &mask));
        }
        if shape.is_empty() {
            shape.clone_from(&mask.shape);
        } else {
            shape[axis] += mask.shape[axis];
        }
        pieces.push(mask);
    }
    let rows: usize = shape[..axis].iter().product();
    let mut keep = Vec::with_capacity(shape.iter().product());
    for row in 0..rows {
        for mask in &pieces {
            let run: usize = mask.shape[axis..].iter().product();
            keep.extend_from_slice(&mask.keep[row * run..][..run]);
        }
    }
    Ok(Arc::new(Mask { shape, keep }))
}

fn unlike(a: &Mask, b: &Mask) -> Error {
    Error::Input(format!(
        "the inputs of a merge have masks of unlike shapes, {:?} and {:?} (rows and steps); give both the same number of steps",
        a.shape, b.shape
    ))
}

/// Division by a number.
#[derive(Debug)]
struct Share(f32);

impl Kernel for Share {
    fn forward(&self, inputs: &[View<'_>], _: bool) -> Result<Output> {
        let y = inputs[0].values.iter().map(|x| x / self.0).collect();
        Ok(Output::new(y, inputs[0].shape.to_vec()))
    }

    fn backward(&self, _: &[View<'_>], _: &Saved, dy: View<'_>, _: &[bool]) -> Result<Gradients> {
        Ok(vec![Some(dy.values.iter().map(|dy| dy / self.0).collect())])
    }
}

/// Inputs merged element by element, repeated along axes of size 1; of inputs with fewer axes those behind the batch are missing.
#[derive(Debug)]
pub(super) struct ElementwiseKernel(pub Merge);

/// A shape with ones behind the batch, to have `rank` axes.
fn with_rank(shape: &[usize], rank: usize) -> Vec<usize> {
    let (batch, rest) = shape.split_at(1);
    let ones = vec![1; rank - shape.len()];
    [batch, &ones, rest].concat()
}

/// The inputs' shapes with the same number of axes, and the shape they are repeated to.
fn common(inputs: &[View<'_>]) -> (Vec<Vec<usize>>, Vec<usize>) {
    let rank = inputs.iter().map(|input| input.shape.len()).max().unwrap_or(0);
    let shapes: Vec<_> = inputs.iter().map(|input| with_rank(input.shape, rank)).collect();
    let size = |axis: usize| {
        let sizes = shapes.iter().map(|shape| shape[axis]);
        sizes.clone().find(|&size| size != 1).unwrap_or(1)
    };
    let target = (0..rank).map(size).collect();
    (shapes, target)
}

fn repeated<'a>(inputs: &[View<'a>], shapes: &[Vec<usize>], target: &[usize]) -> Vec<Cow<'a, [f32]>> {
    let repeat = |(input, shape): (&View<'a>, &Vec<usize>)| {
        if shape == target {
            Cow::Borrowed(input.values)
        } else {
            Cow::Owned(broadcast(input.values, shape, target))
        }
    };
    inputs.iter().zip(shapes).map(repeat).collect()
}

impl Kernel for ElementwiseKernel {
    fn forward(&self, inputs: &[View<'_>], _: bool) -> Result<Output> {
        let (shapes, target) = common(inputs);
        let values = repeated(inputs, &shapes, &target);
        let values: Vec<&[f32]> = values.iter().map(|values| &values[..]).collect();
        Ok(Output::new(merge::forward(self.0, &values), target))
    }

    fn backward(&self, inputs: &[View<'_>], _: &Saved, dy: View<'_>, needs: &[bool]) -> Result<Gradients> {
        let (shapes, target) = common(inputs);
        let values = repeated(inputs, &shapes, &target);
        let values: Vec<&[f32]> = values.iter().map(|values| &values[..]).collect();
        let gradient = |index: usize| {
            let dx = merge::backward(self.0, &values, index, dy.values);
            if shapes[index] == target {
                dx
            } else {
                sum_repeated(&dx, &target, &shapes[index])
            }
        };
        Ok(needs
            .iter()
            .enumerate()
            .map(|(index, &needed)| needed.then(|| gradient(index)))
            .collect())
    }
}

/// Inputs one behind the other along an axis, counted with the batch.
#[derive(Debug)]
pub(super) struct ConcatenateKernel(pub usize);

impl ConcatenateKernel {
    /// How many values of each input lie together.
    fn runs(&self, inputs: &[View<'_>]) -> Vec<usize> {
        let run = |input: &View<'_>| input.shape[self.0..].iter().product();
        inputs.iter().map(run).collect()
    }
}

impl Kernel for ConcatenateKernel {
    fn forward(&self, inputs: &[View<'_>], _: bool) -> Result<Output> {
        let pieces: Vec<_> = inputs.iter().map(|input| input.values).zip(self.runs(inputs)).collect();
        let mut shape = inputs[0].shape.to_vec();
        shape[self.0] = inputs.iter().map(|input| input.shape[self.0]).sum();
        Ok(Output::new(concatenate(&pieces), shape))
    }

    fn backward(&self, inputs: &[View<'_>], _: &Saved, dy: View<'_>, needs: &[bool]) -> Result<Gradients> {
        let runs = self.runs(inputs);
        let row = runs.iter().sum();
        let gradient = |index: usize| piece(dy.values, row, runs[..index].iter().sum(), runs[index]);
        Ok(needs
            .iter()
            .enumerate()
            .map(|(index, &needed)| needed.then(|| gradient(index)))
            .collect())
    }
}

/// Scalar products of two inputs.
#[derive(Debug)]
pub(super) struct DotKernel {
    pub dot: Dot,
    /// The result's shape without the batch.
    pub output: Vec<usize>,
}

impl Kernel for DotKernel {
    fn forward(&self, inputs: &[View<'_>], _: bool) -> Result<Output> {
        let shape = std::iter::once(inputs[0].shape[0]).chain(self.output.iter().copied());
        let y = self.dot.forward(inputs[0].values, inputs[1].values);
        Ok(Output::new(y, shape.collect()))
    }

    fn backward(&self, inputs: &[View<'_>], _: &Saved, dy: View<'_>, needs: &[bool]) -> Result<Gradients> {
        let gradients = self.dot.backward(inputs[0].values, inputs[1].values, dy.values);
        Ok(gradients
            .into_iter()
            .zip(needs)
            .map(|(gradient, &needed)| needed.then_some(gradient))
            .collect())
    }
}
