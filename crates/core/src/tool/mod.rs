//! What each Galaxy tool does, one module a tool: read the inputs JSON, check it into a plan, work, write the output files.

mod hyperparameters;
pub mod keras_model_builder;
pub mod keras_model_config;
#[cfg(feature = "engine")]
pub mod keras_train_and_eval;
pub mod ml_visualization_ex;
#[cfg(feature = "engine")]
pub mod model_prediction;
#[cfg(feature = "engine")]
mod prediction;
pub mod sklearn_to_categorical;
