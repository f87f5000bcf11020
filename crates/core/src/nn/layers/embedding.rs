//! Embedding: a learned vector for each whole number.

use std::sync::Arc;

use burn::backend::DispatchTensor;

use crate::Result;
use crate::nn::kernels::embedding;
use crate::nn::layer::{Flow, Layer, Mask, Pass};
use crate::nn::operation::{self, Gradients, Kernel, Output, Saved, View};

/// Looks ids `[batch, ..]` up in the embeddings `[input_dim, output_dim]`. The ids have been checked to be whole and in range.
#[derive(Debug)]
struct EmbeddingKernel;

impl Kernel for EmbeddingKernel {
    fn forward(&self, inputs: &[View<'_>], _: bool) -> Result<Output> {
        let (ids, table) = (inputs[0], inputs[1]);
        let dim = table.shape[1];
        let mut shape = ids.shape.to_vec();
        shape.push(dim);
        let steps = ids.shape.get(1).copied().unwrap_or(1);
        Ok(Output::new(
            embedding::gather(ids.values, steps, table.values, dim)?,
            shape,
        ))
    }

    fn backward(&self, inputs: &[View<'_>], _: &Saved, dy: View<'_>, needs: &[bool]) -> Result<Gradients> {
        let (ids, table) = (inputs[0], inputs[1]);
        let steps = ids.shape.get(1).copied().unwrap_or(1);
        let gradient = embedding::scatter(ids.values, steps, dy.values, table.shape[0], table.shape[1])?;
        Ok(vec![None, needs[1].then_some(gradient)])
    }
}

/// An embedding layer at work.
#[derive(Debug)]
pub(super) struct Embedding {
    /// Whether id 0 is padding: its steps are masked.
    pub mask_zero: bool,
}

impl Embedding {
    /// The mask that these ids ask for.
    pub(super) fn mask(&self, ids: &Flow) -> Result<Option<Arc<Mask>>> {
        if !self.mask_zero {
            return Ok(None);
        }
        let keep = operation::values(&ids.tensor)?.iter().map(|&id| id != 0.0).collect();
        Ok(Some(Arc::new(Mask {
            shape: ids.shape(),
            keep,
        })))
    }
}

impl Layer for Embedding {
    fn takes_pieces(&self) -> bool {
        // Each piece would go through all embeddings.
        false
    }

    fn forward(&self, inputs: &[Flow], weights: &[DispatchTensor], _: &mut Pass) -> Result<Flow> {
        let mask = self.mask(&inputs[0])?;
        let tensors = vec![inputs[0].tensor.clone(), weights[0].clone()];
        Ok(Flow {
            tensor: operation::apply(Arc::new(EmbeddingKernel), tensors)?,
            mask,
        })
    }
}
