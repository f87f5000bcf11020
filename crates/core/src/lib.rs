//! The library that galaxy-burn's five tools stand on.
//!
//! Five floors; each imports only from the floors below it:
//!
//! ```text
//! tool    what each Galaxy tool does: inputs JSON -> a checked plan -> work -> output files
//! train   fit, callbacks, splits, labels, scores      plot   confusion matrix
//! nn      a Keras model as a running network: graph, layers, kernels
//! keras   Keras's vocabulary as closed enums; model JSON; HDF5 weights; the estimator archive
//! galaxy  what Galaxy hands us: inputs JSON, its text escapes, tables and column selectors, slots, memory
//! ```
//!
//! Without the feature `engine` (switched on by either Burn backend) everything but running a network is here.

pub mod error;
pub mod galaxy;
pub mod keras;
pub mod nn;
pub mod plot;
pub mod tool;
pub mod train;

pub use error::{Error, Result};
