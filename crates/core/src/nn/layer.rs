//! What every running layer can do.

use std::fmt::Debug;
use std::sync::Arc;

use burn::backend::{DispatchTensor, TensorMetadata};
use rand_chacha::ChaCha8Rng;

use super::random::{Seed, Stream};
use super::weight::Weight;
use crate::Result;

/// Which steps of which rows hold data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    /// Mostly `[batch, steps]`; in general all axes of the values that it is for but the last ones.
    pub shape: Vec<usize>,
    /// Row by row, whether the step counts.
    pub keep: Vec<bool>,
}

impl Mask {
    /// Steps a row.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.shape.iter().skip(1).product()
    }
}

/// What flows from layer to layer.
#[derive(Clone, Debug)]
pub struct Flow {
    /// The values, the batch axis first.
    pub tensor: DispatchTensor,
    /// The steps that count, where a layer before has said so.
    pub mask: Option<Arc<Mask>>,
}

impl Flow {
    /// Values all of which count.
    #[must_use]
    pub fn unmasked(tensor: DispatchTensor) -> Self {
        Self { tensor, mask: None }
    }

    /// The shape, the batch axis first.
    #[must_use]
    pub fn shape(&self) -> Vec<usize> {
        self.tensor.shape().to_vec()
    }
}

/// Bits of a stream's number for the pieces of a batch.
const PIECE_BITS: u32 = 12;
/// The most pieces that a batch may be cut into.
pub const MOST_PIECES: usize = 1 << PIECE_BITS;

/// One run of a network over one batch.
#[derive(Debug)]
pub struct Pass {
    /// Whether layers behave as in training: drop values, normalise by the batch.
    pub training: bool,
    /// The seed of what training drops.
    pub seed: Seed,
    /// The training step, counted over all epochs.
    pub step: u64,
    /// Which piece of the step's batch it is, from 0.
    pub piece: u64,
    /// Whether the gradient of the network's input is asked for, row by row.
    pub tracks_input: bool,
    /// New values of weights that the forward itself changes (moving averages): the weight's number and its values.
    pub updates: Vec<(usize, Vec<f32>)>,
}

impl Pass {
    /// A run that only computes.
    #[must_use]
    pub fn inference() -> Self {
        Self {
            training: false,
            seed: Seed(0),
            step: 0,
            piece: 0,
            tracks_input: false,
            updates: Vec::new(),
        }
    }

    /// One training step.
    #[must_use]
    pub fn training(seed: Seed, step: u64) -> Self {
        Self {
            training: true,
            seed,
            step,
            piece: 0,
            tracks_input: false,
            updates: Vec::new(),
        }
    }

    /// The random numbers of one layer in this step, from the layer's own seed if it has one.
    #[must_use]
    pub fn random(&self, layer: usize, own_seed: Option<u64>) -> ChaCha8Rng {
        own_seed.map_or(self.seed, Seed).stream(Stream::Dropout {
            layer,
            step: self.step << PIECE_BITS | self.piece,
        })
    }
}

/// A layer at work.
pub trait Layer: Debug + Send + Sync {
    /// Computes the layer's result from its inputs and its weights (in Keras's order).
    ///
    /// # Errors
    /// When a kernel fails.
    fn forward(&self, inputs: &[Flow], weights: &[DispatchTensor], pass: &mut Pass) -> Result<Flow>;

    /// Whether training may take a batch in pieces, because what the layer makes of a row hangs on that row alone and the layer gains
    /// nothing from seeing many rows at once.
    fn takes_pieces(&self) -> bool {
        true
    }

    /// Bytes that a batch of `rows` rows needs at most beside the layer's input (one row of it has the shape `input`), its result and
    /// their gradients: what the backward will look up.
    fn working_bytes(&self, _rows: usize, _input: &[usize], _weights: &[&Weight], _training: bool) -> usize {
        0
    }
}
