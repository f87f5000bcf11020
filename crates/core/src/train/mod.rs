//! Training and judging a network: splits, labels, fit, callbacks, scores.

#[cfg(feature = "engine")]
pub mod fit;
pub mod labels;
pub mod metrics;
pub mod optimizer;
pub mod samples;
pub mod score;
pub mod split;
