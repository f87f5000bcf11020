//! What can be wrong with a layer.

use super::LayerKind;
use crate::keras::literal::{LiteralError, quoted};
use crate::keras::suggest::did_you_mean;

/// Why a layer cannot be made, without its place in the model, which [`ModelError`](crate::keras::model::ModelError) adds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayerError {
    /// No layer has this name.
    #[error("unknown layer type {}; {}", quoted(name), did_you_mean(name, LayerKind::NAMES))]
    Unknown {
        /// The name given.
        name: String,
    },
    /// A parameter without default is not given.
    #[error("{name} is missing; expected {expected}")]
    Missing {
        /// The parameter.
        name: &'static str,
        /// What can be written.
        expected: String,
    },
    /// A parameter has a value that it cannot have.
    #[error("{name}={value}: {problem}")]
    Argument {
        /// The parameter.
        name: String,
        /// The value given.
        value: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The layer has no such parameter.
    #[error("unknown keyword {name}; {hint}")]
    UnknownArgument {
        /// The name given, in quotes.
        name: String,
        /// Near names.
        hint: String,
    },
    /// The `kwargs` text is malformed.
    #[error("kwargs: {0}")]
    Kwargs(LiteralError),
    /// Parameters do not go together.
    #[error("{0}")]
    Conflict(String),
    /// The layer does not fit its input.
    #[error("does not fit its input of shape {input}: {problem}")]
    Input {
        /// The input's shape, or shapes.
        input: String,
        /// What does not fit, and what would.
        problem: String,
    },
}
