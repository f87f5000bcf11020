//! What a recurrent layer is, what it is called with and what it gives back.

use crate::keras::activation::Activation;
use crate::nn::kernels::embedding::EmbeddingError;

/// The family of a recurrent layer; gates lie in Keras's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Keras's `SimpleRNN`: one gate.
    Simple {
        /// Of the new state.
        activation: Activation,
    },
    /// Keras's `GRU`: gates z (update), r (reset), h (candidate).
    Gru {
        /// Of the candidate.
        activation: Activation,
        /// Of update and reset gate.
        recurrent_activation: Activation,
        /// Whether the reset gate multiplies the recurrent product (Keras 2.15's default) or the state before it (Keras 2.3.1's).
        reset_after: bool,
    },
    /// Keras's `LSTM`: gates i (input), f (forget), c (candidate), o (output).
    Lstm {
        /// Of candidate and output.
        activation: Activation,
        /// Of input, forget and output gate.
        recurrent_activation: Activation,
    },
}

impl Cell {
    /// Gates: the kernel has this many times `units` columns.
    #[must_use]
    pub fn gates(self) -> usize {
        match self {
            Self::Simple { .. } => 1,
            Self::Gru { .. } => 3,
            Self::Lstm { .. } => 4,
        }
    }

    /// Rows of the bias, each of `gates * units` numbers: GRU with `reset_after` has one for the input and one for the state.
    #[must_use]
    pub fn bias_rows(self) -> usize {
        if let Self::Gru { reset_after: true, .. } = self {
            2
        } else {
            1
        }
    }

    /// Whether there is a second state, the carry.
    #[must_use]
    pub fn has_carry(self) -> bool {
        matches!(self, Self::Lstm { .. })
    }

    /// Numbers per unit that a step keeps for the way back, beside the states: the gates, and for GRU what the candidate was made of.
    pub(super) fn kept(self) -> usize {
        match self {
            Self::Simple { .. } => 1,
            Self::Gru { .. } | Self::Lstm { .. } => 4,
        }
    }
}

/// A recurrent layer without its weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Family and activations.
    pub cell: Cell,
    /// Numbers in each step of the input.
    pub features: usize,
    /// Numbers in the state.
    pub units: usize,
    /// Whether every step's output is returned, `[batch, steps, units]`, or the last one's, `[batch, units]`.
    pub return_sequences: bool,
    /// Whether the steps are walked from the last to the first; the sequence returned is then in that order, too.
    pub go_backwards: bool,
}

impl Layer {
    /// Columns of both kernels.
    pub(super) fn columns(&self) -> usize {
        self.cell.gates() * self.units
    }

    /// Numbers per step that are kept for the way back, beside the states.
    pub(super) fn kept(&self) -> usize {
        self.cell.kept() * self.units
    }
}

/// A layer's weights as Keras has them.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// `[features, gates * units]`
    pub kernel: &'a [f32],
    /// `[units, gates * units]`
    pub recurrent_kernel: &'a [f32],
    /// `[gates * units]`, with GRU's `reset_after` `[2, gates * units]`; none when `use_bias` is off.
    pub bias: Option<&'a [f32]>,
}

/// What the steps are.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// `[batch, steps, features]`
    Values(&'a [f32]),
    /// Ids that an Embedding layer would look up: the same result as with its output, for less work.
    Ids {
        /// `[batch, steps]`, whole numbers below the table's number of rows.
        ids: &'a [f32],
        /// The embeddings, `[input_dim, features]`.
        table: &'a [f32],
    },
}

/// States before the first step.
#[derive(Clone, Copy, Debug)]
pub struct States<'a> {
    /// `[batch, units]`
    pub h: &'a [f32],
    /// `[batch, units]`, for LSTM only.
    pub c: Option<&'a [f32]>,
}

/// One batch and how to walk it.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Rows.
    pub batch: usize,
    /// Steps of each row.
    pub steps: usize,
    /// The steps themselves.
    pub input: Input<'a>,
    /// States before the first step; zeros when absent.
    pub initial: Option<States<'a>>,
    /// `[batch, steps]`: where false, the states stay as they are and the output is that of the step before (zeros when there was none).
    pub mask: Option<&'a [bool]>,
    /// Factors of the input, the same at each step: `[batch, features]` for all gates (Keras's `implementation=2`), or
    /// `[gates, batch, features]` (`implementation=1`).
    pub dropout: Option<&'a [f32]>,
    /// Factors of the state where it enters the recurrent product, the same at each step: `[batch, units]` or `[gates, batch, units]`.
    /// GRU's state of `[batch, units]` is dropped also where the update gate carries it on, as in Keras 2.3.1's `implementation=2`.
    pub recurrent_dropout: Option<&'a [f32]>,
    /// Whether equal first steps of several rows may be computed once. Results are the same; but of those steps the gradient of the
    /// input is the sum over the rows that share them, handed to one of them, while the others get zeros. That is right when equal
    /// inputs came to be in the same way, as from Embedding or another recurrent layer, and for ids it always is.
    pub share_prefix: bool,
}

/// What a layer gives back.
#[derive(Debug)]
pub struct Output {
    /// `[batch, units]`, or `[batch, steps, units]` with `return_sequences`.
    pub y: Vec<f32>,
    /// State after the last step, `[batch, units]`.
    pub h: Vec<f32>,
    /// LSTM's carry after the last step, `[batch, units]`.
    pub c: Option<Vec<f32>>,
    /// What [`backward`](super::backward()) needs; none unless training.
    pub saved: Option<super::Saved>,
}

/// Gradients that come from above.
#[derive(Clone, Copy, Debug)]
pub struct OutputGradients<'a> {
    /// Of `y`, in its shape.
    pub y: &'a [f32],
    /// Of the last state, `[batch, units]`.
    pub h: Option<&'a [f32]>,
    /// Of LSTM's last carry, `[batch, units]`.
    pub c: Option<&'a [f32]>,
}

/// Which gradients are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Of the values, or of the embedding table.
    pub input: bool,
    /// Of kernel, recurrent kernel and bias.
    pub weights: bool,
    /// Of the first states.
    pub initial: bool,
}

/// Gradients, each in the shape of what it belongs to.
#[derive(Debug, Default)]
pub struct Gradients {
    /// Of the values, `[batch, steps, features]`, or of the embedding table, `[input_dim, features]`.
    pub input: Option<Vec<f32>>,
    /// `[features, gates * units]`
    pub kernel: Option<Vec<f32>>,
    /// `[units, gates * units]`
    pub recurrent_kernel: Option<Vec<f32>>,
    /// As the bias; also made when the layer has none.
    pub bias: Option<Vec<f32>>,
    /// `[batch, units]`
    pub h: Option<Vec<f32>>,
    /// `[batch, units]`, for LSTM only.
    pub c: Option<Vec<f32>>,
}

/// Why a recurrent layer cannot be computed.
#[derive(Debug, thiserror::Error)]
pub enum RecurrentError {
    /// A slice is not of the size that the shapes ask for.
    #[error("recurrent layer: {what} holds {found} numbers, expected {expected} for the shape {shape}")]
    Size {
        /// Which slice.
        what: &'static str,
        /// Its shape in words.
        shape: &'static str,
        /// Numbers that the shape has.
        expected: usize,
        /// Numbers that are there.
        found: usize,
    },
    /// LSTM was given a state without a carry, or another family one with it.
    #[error("recurrent layer: an LSTM has two states, h and c, and the other families have one")]
    Carry,
    /// What was saved belongs to something else.
    #[error("recurrent layer: gradients were asked for another layer or batch than the one that was computed")]
    Saved,
    /// An id is outside of the table.
    #[error(transparent)]
    Embedding(#[from] EmbeddingError),
}

impl RecurrentError {
    fn check(what: &'static str, shape: &'static str, expected: usize, found: usize) -> Result<(), Self> {
        if expected == found {
            Ok(())
        } else {
            Err(Self::Size {
                what,
                shape,
                expected,
                found,
            })
        }
    }
}

/// Holds weights and call to the layer's shapes.
pub(super) fn check(layer: &Layer, weights: &Weights<'_>, call: &Call<'_>) -> Result<(), RecurrentError> {
    let (units, features, columns) = (layer.units, layer.features, layer.columns());
    let (batch, gates) = (call.batch, layer.cell.gates());
    let check = RecurrentError::check;
    check(
        "the kernel",
        "[features, gates * units]",
        features * columns,
        weights.kernel.len(),
    )?;
    check(
        "the recurrent kernel",
        "[units, gates * units]",
        units * columns,
        weights.recurrent_kernel.len(),
    )?;
    if let Some(bias) = weights.bias {
        let shape = if layer.cell.bias_rows() == 2 {
            "[2, gates * units]"
        } else {
            "[gates * units]"
        };
        check("the bias", shape, layer.cell.bias_rows() * columns, bias.len())?;
    }
    match call.input {
        Input::Values(x) => check(
            "the input",
            "[batch, steps, features]",
            batch * call.steps * features,
            x.len(),
        )?,
        Input::Ids { ids, table } => {
            check("the input", "[batch, steps]", batch * call.steps, ids.len())?;
            let rows = table.len().checked_div(features).unwrap_or(0);
            check(
                "the embedding table",
                "[input_dim, features]",
                rows * features,
                table.len(),
            )?;
        }
    }
    if let Some(initial) = call.initial {
        check("the first state", "[batch, units]", batch * units, initial.h.len())?;
        check_carry(layer, call, initial.c)?;
    }
    if let Some(mask) = call.mask {
        check("the mask", "[batch, steps]", batch * call.steps, mask.len())?;
    }
    let factors = |what, shape, width: usize, found: Option<&[f32]>| match found {
        Some(found) if found.len() != batch * width => check(what, shape, gates * batch * width, found.len()),
        _ => Ok(()),
    };
    factors(
        "the dropout mask",
        "[batch, features] or [gates, batch, features]",
        features,
        call.dropout,
    )?;
    factors(
        "the recurrent dropout mask",
        "[batch, units] or [gates, batch, units]",
        units,
        call.recurrent_dropout,
    )
}

/// Holds the gradients from above to the layer's shapes.
pub(super) fn check_gradients(
    layer: &Layer,
    call: &Call<'_>,
    above: &OutputGradients<'_>,
) -> Result<(), RecurrentError> {
    let rows = if layer.return_sequences {
        call.batch * call.steps
    } else {
        call.batch
    };
    RecurrentError::check(
        "the output's gradient",
        "of the output",
        rows * layer.units,
        above.y.len(),
    )?;
    if let Some(h) = above.h {
        RecurrentError::check(
            "the last state's gradient",
            "[batch, units]",
            call.batch * layer.units,
            h.len(),
        )?;
    }
    if above.c.is_some() {
        check_carry(layer, call, above.c)
    } else {
        Ok(())
    }
}

fn check_carry(layer: &Layer, call: &Call<'_>, c: Option<&[f32]>) -> Result<(), RecurrentError> {
    match (layer.cell.has_carry(), c) {
        (true, Some(c)) => RecurrentError::check("the carry", "[batch, units]", call.batch * layer.units, c.len()),
        (false, None) => Ok(()),
        _ => Err(RecurrentError::Carry),
    }
}
