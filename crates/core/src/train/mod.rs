//! Training and judging a network: splits, labels, fit, callbacks, scores.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    clippy::many_single_char_names,
    clippy::similar_names,
    reason = "training computes in f32 and sums in f64, compares with exact zeros and ones, and writes formulas with their letters"
)]

#[cfg(feature = "engine")]
pub mod batch;
#[cfg(feature = "engine")]
pub mod fit;
pub mod labels;
pub mod metrics;
pub mod optimizer;
pub mod samples;
pub mod score;
pub mod split;
