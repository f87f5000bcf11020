//! An estimator's hyperparameters: the table that lists them, and changing them by the names that stand there.
//!
//! The names are those of the original tool: `lr`, `epochs`, `layers_0_Dense__config__units`.

#[cfg(feature = "engine")]
mod change;
mod table;

#[cfg(feature = "engine")]
pub use change::{Change, apply};
pub use table::table;
