//! The one error type that a tool returns, and the exit code it stands for.

use std::path::PathBuf;

use crate::galaxy::inputs::InputsError;
use crate::galaxy::output::OutputError;
use crate::galaxy::table::TableError;

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
    /// The engine failed in a way that no input should be able to cause.
    #[error("internal error: {0}; please report it with the inputs JSON")]
    Internal(String),
}

impl Error {
    /// The process exit code: 2 when the input or the form is at fault, 1 when the work failed.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Input(_) | Self::Inputs(_) | Self::Table(_) | Self::Read { .. } => 2,
            Self::Output(_) | Self::Write { .. } | Self::Internal(_) => 1,
        }
    }
}
