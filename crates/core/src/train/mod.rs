//! Training and judging a network: splits, labels, fit, callbacks, scores.

pub mod labels;
pub mod score;
pub mod split;
