//! The recurrent layers `SimpleRNN`, GRU and LSTM, forward and back, as Keras defines them.
//!
//! One call walks a whole batch through all of its steps:
//!
//! - `plan`: which steps are computed at all (masks, shared prefixes) and which rows walk together;
//! - `projection`: the products with kernel and recurrent kernel and their gradients, with dropout; `product`, `packed` and `tile` are
//!   the loops below;
//! - `distinct`: an Embedding in front, computed once for each distinct id;
//! - `lstm`, `gru`, `simple`: the algebra of one step, and `activation` what it passes through;
//! - `forward`, `backward`: the walk itself.
//!
//! Threads take blocks of rows and never meet inside a sequence. Sums over blocks are added in an order that the batch alone decides,
//! so results have the same bytes on any number of threads. Memory grows with the batch: in training a step keeps six numbers per
//! unit (LSTM), without training nothing.
#![allow(
    clippy::many_single_char_names,
    reason = "gates and states have the letters that the formulas give them"
)]

mod activation;
mod backward;
mod distinct;
mod forward;
mod gru;
mod lanes;
mod layer;
mod lstm;
mod memory;
mod packed;
mod plan;
mod product;
mod projection;
mod simple;
mod size;
mod step;
#[cfg(test)]
mod tests;
mod tile;
mod walk;

pub use crate::keras::activation::Activation;
pub use layer::{Call, Cell, Gradients, Input, Layer, Needs, Output, OutputGradients, RecurrentError, States, Weights};
pub use size::{rows_by_padding, working_bytes};

use crate::nn::kernels::simd::Isa;

/// What [`forward()`] keeps for [`backward()`].
#[derive(Debug)]
pub struct Saved {
    plan: plan::Plan,
    /// Of the plan's blocks, as `walk::saved_blocks` cuts it.
    memory: memory::Memory,
    distinct: Option<distinct::Distinct>,
    /// The embeddings of ids, when dropout lies between them and the layer.
    embeddings: Option<Vec<f32>>,
}

/// Computes a layer; `training` keeps what [`backward()`] needs.
///
/// # Errors
/// When a slice does not have the size that the shapes ask for, or an id is no row of its table.
pub fn forward(
    layer: &Layer,
    weights: &Weights<'_>,
    call: &Call<'_>,
    training: bool,
) -> Result<Output, RecurrentError> {
    forward::forward_on(Isa::current(), layer, weights, call, training)
}

/// The gradients of what [`forward()`] computed, from those of its output; weights and call must be the same. Uses up what was saved,
/// as the gradients of the gates take its place.
///
/// # Errors
/// When a slice does not have the size that the shapes ask for.
pub fn backward(
    layer: &Layer,
    weights: &Weights<'_>,
    call: &Call<'_>,
    saved: Saved,
    above: &OutputGradients<'_>,
    needs: Needs,
) -> Result<Gradients, RecurrentError> {
    backward::backward_on(Isa::current(), layer, weights, call, saved, above, needs)
}

/// Adds `values` to `sums`, number by number.
#[inline]
fn add(sums: &mut [f32], values: &[f32]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += value;
    }
}
