//! The one error type that a tool returns, and the exit code it stands for.

use std::path::PathBuf;

use crate::galaxy::inputs::InputsError;
use crate::galaxy::output::OutputError;
use crate::galaxy::table::TableError;
use crate::keras::estimator::EstimatorError;
use crate::keras::model::ModelError;
use crate::keras::parameter::ParameterError;
use crate::keras::weights::WeightsError;
use crate::plot::PlotError;
use crate::tool::ml_visualization_ex::LabelsError;
use crate::train::labels::LabelError;
use crate::train::score::ScoreError;
use crate::train::split::SplitError;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a tool could not do what it was asked to.
///
/// Every message says what was wrong, where, and what to do about it, in one line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user's input is at fault: a file, a parameter or how they fit together.
    #[error("{0}")]
    Input(String),
    /// The inputs JSON cannot be used.
    #[error(transparent)]
    Inputs(#[from] InputsError),
    /// A table cannot be used.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The labels cannot be used.
    #[error(transparent)]
    Labels(#[from] LabelError),
    /// The rows cannot be split as the form asks.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// The predictions cannot be scored as the form asks.
    #[error(transparent)]
    Score(#[from] ScoreError),
    /// An output could not be put in place.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A file that the user named could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// An output could not be written: a full disk, a read-only directory.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The output file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Something is wrong with the contents of a file.
    #[error("{}: {error}", path.display())]
    In {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: Box<Error>,
    },
    /// A model configuration that cannot be read, or whose layers do not fit together.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A picture could not be drawn.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// True and predicted labels cannot be compared.
    #[error(transparent)]
    Comparison(#[from] LabelsError),
    /// A name or value outside Keras's vocabulary.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// An estimator archive that cannot be read.
    #[error(transparent)]
    Estimator(#[from] EstimatorError),
    /// A weights file that cannot be read, or is of another model.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Ids that an embedding does not know.
    #[error(transparent)]
    Embedding(#[from] crate::nn::kernels::embedding::EmbeddingError),
    /// A recurrent layer's inputs do not fit together.
    #[error(transparent)]
    Recurrent(#[from] crate::nn::kernels::recurrent::RecurrentError),
    /// The computing threads could not be started.
    #[error(transparent)]
    Threads(#[from] crate::nn::threads::ThreadError),
    /// A convolution or pooling does not fit its input.
    #[error(transparent)]
    Window(#[from] crate::nn::kernels::window::WindowError),
    /// The engine failed in a way that no input should be able to cause.
    #[error("internal error: {0}; please report it with the inputs JSON")]
    Internal(String),
}

impl Error {
    /// The same error, saying in which file it arose.
    #[must_use]
    pub fn in_file(self, path: impl Into<PathBuf>) -> Self {
        Self::In {
            path: path.into(),
            error: Box::new(self),
        }
    }

    /// The message with whatever its causes add to it, in one line.
    ///
    /// Most messages quote their cause already, for callers that print no more than the message; it is not said twice.
    #[must_use]
    pub fn in_one_line(&self) -> String {
        let mut line = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let text = error.to_string();
            if !line.contains(&text) {
                line.push_str(": ");
                line.push_str(&text);
            }
            cause = error.source();
        }
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The process exit code: 2 when the input or the form is at fault, 1 when the work failed.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Output(_)
            | Self::Write { .. }
            | Self::Internal(_)
            | Self::Threads(_)
            | Self::Score(ScoreError::Length { .. })
            | Self::Plot(PlotError::Font(_) | PlotError::Encode(_)) => 1,
            Self::In { error, .. } => error.exit_code(),
            _ => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the job failed\nbadly")]
    struct Terse(#[source] io::Error);

    #[test]
    fn causes_are_said_once_and_in_one_line() {
        let quoting = Error::Read {
            path: "x.tsv".into(),
            source: io::Error::other("disk on fire"),
        };
        assert_eq!(quoting.in_one_line(), "cannot read x.tsv: disk on fire");
        let terse = Error::Write {
            path: "output".into(),
            source: io::Error::other(Terse(io::Error::other("no space"))),
        };
        assert_eq!(
            terse.in_one_line(),
            "cannot write output: the job failed badly: no space"
        );
    }
}
