//! Weights as HDF5 files, in the layout that Keras 2 writes with `save_weights` and reads with `load_weights`.
//!
//! ```text
//! /                     layer_names, backend, keras_version
//! /dense_1              weight_names
//! /dense_1/dense_1/kernel:0     float32, contiguous, little-endian
//! /dense_1/dense_1/bias:0
//! /flatten_1            weight_names = []
//! ```
//!
//! This is the only module that knows the HDF5 library.

mod assign;
mod keras3;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use assign::assign;
pub use keras3::configuration;
pub use read::{read, read_for, read_model};
pub use write::{ModelFile, write, write_model};

use super::file_kind::FileKind;

/// One layer's weights, in Keras's order: kernel before bias, gamma before beta.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerWeights {
    /// The layer's name: `dense_1`.
    pub layer: String,
    /// Its weights; none for layers such as `Flatten`.
    pub weights: Vec<Weight>,
}

/// One weight tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Weight {
    /// Its full name: `dense_1/kernel:0`.
    pub name: String,
    /// Its shape: `[inputs, units]` for a dense kernel; empty for a scalar.
    pub shape: Vec<usize>,
    /// Its values in row-major order, the last axis fastest.
    pub values: Vec<f32>,
}

/// What is wrong with a weights file.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// Not HDF5.
    #[error("this is {}, not an HDF5 file with Keras weights{}", .0.describe(), advice(*.0))]
    Foreign(FileKind),
    /// HDF5, but damaged, or with something that weights files do not have.
    #[error("the HDF5 file is damaged or was cut off ({0}); upload or compute it again")]
    Damaged(String),
    /// HDF5, but no Keras weights.
    #[error("this HDF5 file holds no Keras weights: {0}")]
    NotKeras(String),
    /// Something in the file that is refused.
    #[error("{place}: {reason}")]
    Refused {
        /// The object's path in the file.
        place: String,
        /// Why it is refused.
        reason: String,
    },
    /// The weights do not fit the model.
    #[error("these are weights for another model: {0}")]
    OtherModel(String),
    /// The weights that are to be written contradict themselves.
    #[error("cannot write the weights of layer '{layer}': {reason}")]
    Unwritable {
        /// The layer.
        layer: String,
        /// What is wrong.
        reason: String,
    },
}

/// What to give instead of a file of this kind.
fn advice(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Zip => "; if it is an estimator, give it as the estimator",
        FileKind::Pickle => {
            "; pickles of the Python tools cannot be read, give the .h5 file that was written beside it"
        }
        FileKind::Json => "; a model configuration goes where the model is asked for",
        _ => "; give the .h5 file that Deep learning training or Keras's save_weights wrote",
    }
}

/// A shape as Keras prints it: `(3, 3, 1, 64)`, `(10,)`, `()`.
fn tuple(shape: &[usize]) -> String {
    match shape {
        [] => "()".to_owned(),
        [only] => format!("({only},)"),
        _ => format!(
            "({})",
            shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        ),
    }
}
