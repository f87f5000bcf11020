//! The states of recurrent layers: which layers have some, which put them out, and which begin from those of another layer.

use super::LayerKind;
use crate::keras::shape::{Shape, display};

/// What a recurrent layer does with its states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct States {
    /// How many it has: an LSTM its output and its carry, others their output.
    pub count: usize,
    /// Whether it puts them out behind its output (`return_state`).
    pub returned: bool,
    /// Whether its output has every step, of which the states are as large as one.
    pub sequences: bool,
}

impl States {
    /// The shape of each state, from that of the layer's output, both without the batch axis.
    #[must_use]
    pub fn shape(self, output: &[Option<usize>]) -> Shape {
        output.get(usize::from(self.sequences)..).unwrap_or_default().to_vec()
    }

    /// Refuses first states that are not the layer's: too many, too few, or of another shape.
    pub(super) fn check(self, given: &[Shape], output: &[Option<usize>]) -> Result<(), String> {
        let shape = self.shape(output);
        let expected = if self.count == 1 {
            format!("one state of the shape {}", display(&shape))
        } else {
            format!("{} states of the shape {}", self.count, display(&shape))
        };
        if given.len() != self.count {
            return Err(format!("begins from {expected}, and is given {}", given.len()));
        }
        match given.iter().find(|given| **given != shape) {
            Some(other) => Err(format!(
                "begins from {expected}, and is given one of {}; the layer that it takes them from needs as many units",
                display(other)
            )),
            None => Ok(()),
        }
    }
}

impl LayerKind {
    /// What the layer does with its states; none if it is not recurrent.
    #[must_use]
    pub fn states(&self) -> Option<States> {
        let states = |count, returned, sequences| States {
            count,
            returned,
            sequences,
        };
        Some(match self {
            Self::SimpleRNN(layer) => states(1, layer.return_state, layer.return_sequences),
            Self::GRU(layer) => states(1, layer.return_state, layer.return_sequences),
            Self::LSTM(layer) => states(2, layer.return_state, layer.return_sequences),
            Self::ConvLSTM2D(layer) => states(2, layer.return_state, layer.return_sequences),
            Self::CuDNNGRU(layer) => states(1, layer.return_state, layer.return_sequences),
            Self::CuDNNLSTM(layer) => states(2, layer.return_state, layer.return_sequences),
            _ => return None,
        })
    }

    /// How many tensors the layer puts out: one, and its states if it returns them.
    #[must_use]
    pub fn outputs(&self) -> usize {
        let returned = self.states().filter(|states| states.returned);
        1 + returned.map_or(0, |states| states.count)
    }
}
