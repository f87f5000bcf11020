//! What layers do with a mask: the knowledge which steps of a sequence are none.

use super::LayerKind;

/// What a layer does with the mask of its input, in Keras 2.3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaskRule {
    /// Makes a mask of its own, whatever its input has.
    Makes,
    /// Hands the mask on, and uses it if it can.
    Keeps,
    /// Uses the mask; what it gives is no sequence any more.
    Uses,
    /// Cannot be given a masked input: the steps would be counted again without a word.
    Refuses,
}

impl LayerKind {
    /// Those of the layer's inputs whose mask it looks at: of a recurrent layer the sequence, not the states that it begins from.
    #[must_use]
    pub fn masked_inputs<'a, T>(&self, inputs: &'a [T]) -> &'a [T] {
        if self.states().is_some() {
            &inputs[..inputs.len().min(1)]
        } else {
            inputs
        }
    }

    /// What the layer does with the mask of its input.
    #[must_use]
    pub fn mask_rule(&self) -> MaskRule {
        let sequences = |return_sequences| {
            if return_sequences {
                MaskRule::Keeps
            } else {
                MaskRule::Uses
            }
        };
        match self {
            Self::Masking(_) => MaskRule::Makes,
            Self::Embedding(layer) if layer.mask_zero => MaskRule::Makes,
            // It reads numbers of words, of which none is left out.
            Self::Embedding(_) | Self::GlobalAveragePooling1D(_) | Self::Dot(_) => MaskRule::Uses,
            Self::SimpleRNN(layer) => sequences(layer.return_sequences),
            Self::GRU(layer) => sequences(layer.return_sequences),
            Self::LSTM(layer) => sequences(layer.return_sequences),
            Self::InputLayer(_)
            | Self::Dense(_)
            | Self::Activation(_)
            | Self::Dropout(_)
            | Self::SpatialDropout1D(_)
            | Self::SpatialDropout2D(_)
            | Self::SpatialDropout3D(_)
            | Self::ActivityRegularization(_)
            | Self::BatchNormalization(_)
            | Self::LeakyReLU(_)
            | Self::PReLU(_)
            | Self::ELU(_)
            | Self::ThresholdedReLU(_)
            | Self::Softmax(_)
            | Self::ReLU(_)
            | Self::GaussianNoise(_)
            | Self::GaussianDropout(_)
            | Self::AlphaDropout(_)
            | Self::Add(_)
            | Self::Subtract(_)
            | Self::Multiply(_)
            | Self::Average(_)
            | Self::Maximum(_)
            | Self::Minimum(_)
            | Self::Concatenate(_) => MaskRule::Keeps,
            _ => MaskRule::Refuses,
        }
    }
}
